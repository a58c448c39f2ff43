//! What a condition comes to for an instance.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use core::net::IpAddr;
use std::borrow::Cow;

use model::fold::fold;

use crate::ast::Op;
use crate::decode::{Decoded, part_of_name};
use crate::facts::Level;
use crate::functions::{Exactness, Quantifier, TextTest};
use crate::program::{Base, List, Node, Operand, Place, Sought, Test};
use crate::symbols::Component;
use crate::value::{Constant, Moment};
use crate::{Budget, Facts};

/// What a condition is about: an instance, and the element of the `any` or `all` around it.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'f, 'a> {
    /// `None`: whatever the instance.
    facts: Option<&'f Facts<'a>>,
    it: It<'f, 'a>,
}

#[derive(Clone, Copy)]
enum It<'f, 'a> {
    Nothing,
    Item(&'f Level<'a>),
    Value(Element<'f>),
}

/// One of several values.
#[derive(Clone, Copy)]
pub(crate) enum Element<'f> {
    Text(&'f str),
    Number(f64),
    Moment(Option<Moment>),
}

/// What an operand comes to.
#[derive(Clone)]
pub(crate) enum Seen<'f> {
    Null,
    /// Not null, but nothing that compares with anything: unreadable, or several values where one is wanted.
    Other,
    Text(Cow<'f, str>),
    Number(f64),
    Moment(Moment),
    Address(IpAddr),
}

impl Node {
    /// Whether it holds for an instance.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        Scene { facts: Some(facts), it: It::Nothing }.holds(self)
    }

    /// Whether it holds, for one that depends on no instance.
    pub(crate) fn holds_always(&self) -> bool {
        Scene { facts: None, it: It::Nothing }.holds(self)
    }
}

impl<'f, 'a> Scene<'f, 'a> {
    pub(crate) fn of(facts: &'f Facts<'a>) -> Self {
        Self { facts: Some(facts), it: It::Nothing }
    }

    pub(crate) fn with_item<'g>(&self, item: &'g Level<'a>) -> Scene<'g, 'a>
    where
        'f: 'g,
    {
        Scene { facts: self.facts, it: It::Item(item) }
    }

    fn holds(&self, node: &Node) -> bool {
        if !self.spend(1) {
            return false;
        }
        match &node.test {
            Test::Constant(value) => *value,
            Test::Not(operand) => !self.holds(operand),
            Test::And(operands) => operands.iter().all(|operand| self.holds(operand)),
            Test::Or(operands) => operands.iter().any(|operand| self.holds(operand)),
            Test::Same(operands) => {
                let [one, two] = operands.each_ref().map(|operand| self.holds(operand));
                one == two
            }
            Test::Has(operand) => !matches!(self.see(operand), Seen::Null),
            Test::Compare { op, left, right } => compare(*op, &self.see(left), &self.see(right)),
            Test::OneOf { operand, list } => self.spend(list.steps()) && is_one_of(&self.see(operand), list),
            Test::Among { operand, values } => self.is_among(&self.see(operand), values),
            Test::Text { test, exactness, text, sought } => self.text_holds(*test, *exactness, text, sought),
            Test::Each { quantifier, of, condition } => self.each(*quantifier, of, condition),
        }
    }

    /// Takes steps of the budget where a condition is asked again and again; false when there are no more.
    fn spend(&self, steps: usize) -> bool {
        match self.it {
            It::Nothing => true,
            It::Item(_) | It::Value(_) => self.facts.is_none_or(|facts| facts.budget().spend(steps)),
        }
    }

    /// What an operand comes to.
    pub(crate) fn see<'s>(&self, operand: &'s Operand) -> Seen<'s>
    where
        'f: 's,
    {
        let seen = self.read(operand);
        if let Seen::Text(text) = &seen {
            self.spend(Budget::steps(text.len()));
        }
        seen
    }

    fn read<'s>(&self, operand: &'s Operand) -> Seen<'s>
    where
        'f: 's,
    {
        match operand {
            Operand::Constant(Constant::Null) => Seen::Null,
            Operand::Constant(Constant::Text(text)) => Seen::Text(Cow::Borrowed(text)),
            Operand::Constant(Constant::Number(number)) => Seen::Number(*number),
            Operand::Constant(Constant::Moment(moment)) => Seen::Moment(*moment),
            Operand::Constant(Constant::Address(address)) => Seen::Address(*address),
            Operand::Place(place) => self.decoded(place).map_or(Seen::Null, see_decoded),
            Operand::Size(place) => match self.decoded(place) {
                // Counts of what a header holds are exact.
                Some(Decoded::Count(count)) => Seen::Number(*count as f64),
                Some(Decoded::Null) | None => Seen::Number(0.0),
                Some(_) => Seen::Other,
            },
            Operand::It { component, is_lower } => match self.it {
                It::Value(element) => see_element(element, *component, *is_lower),
                It::Nothing | It::Item(_) => Seen::Null,
            },
            Operand::Today { days, is_span } => {
                let day = self.facts.map(|facts| Moment::day(facts.today(), *days));
                day.map_or(Seen::Other, |day| Seen::Moment(if *is_span { day.whole_day() } else { day }))
            }
        }
    }

    /// The text that an operand comes to, without case, accents and spacing.
    fn folded<'s>(&self, operand: &'s Operand) -> Option<Cow<'s, str>>
    where
        'f: 's,
    {
        if let Operand::Place(place) = operand {
            return self.level(place)?.folded(place.view).map(Cow::Borrowed);
        }
        match self.see(operand) {
            Seen::Text(text) => Some(Cow::Owned(fold(&text))),
            Seen::Null | Seen::Other | Seen::Number(_) | Seen::Moment(_) | Seen::Address(_) => None,
        }
    }

    fn exact<'s>(&self, operand: &'s Operand) -> Option<Cow<'s, str>>
    where
        'f: 's,
    {
        match self.see(operand) {
            Seen::Text(text) => Some(text),
            Seen::Null | Seen::Other | Seen::Number(_) | Seen::Moment(_) | Seen::Address(_) => None,
        }
    }

    fn text_holds(&self, test: TextTest, exactness: Exactness, text: &Operand, sought: &Sought) -> bool {
        let read = |operand| match exactness {
            Exactness::Folded => self.folded(operand),
            Exactness::Exact => self.exact(operand),
        };
        let Some(text) = read(text) else { return false };
        if !self.spend(Budget::steps(text.len()).saturating_mul(sought.passes())) {
            return false;
        }
        match sought {
            Sought::Constant(sought) => text_test(test, &text, sought),
            Sought::Operand(sought) => read(sought).is_some_and(|sought| text_test(test, &text, &sought)),
            Sought::Glob(glob) => glob.matches(&text),
            Sought::Regex(regex) => regex.is_match(&text),
        }
    }

    fn each(&self, quantifier: Quantifier, of: &Place, condition: &Node) -> bool {
        let Some(decoded) = self.decoded(of) else { return false };
        let facts = self.facts;
        // All are so when there are some, and none is not so.
        let decisive = quantifier == Quantifier::Any;
        let is_over = |steps| facts.is_some_and(|facts| !facts.budget().spend(steps));
        let of_value = |value: Element<'_>| {
            is_over(1) || Scene { facts, it: It::Value(value) }.holds(condition) == decisive
        };
        let of_item =
            |item: &Level<'a>| is_over(item.steps()) || self.with_item(item).holds(condition) == decisive;
        let is_decided = match decoded {
            Decoded::Items(items) => items.any(of_item),
            Decoded::Text(text) => text.values().any(|value| of_value(Element::Text(value))),
            Decoded::Numbers(numbers) => numbers.iter().any(|number| of_value(Element::Number(*number))),
            Decoded::Moments(moments) => moments.iter().any(|moment| of_value(Element::Moment(*moment))),
            Decoded::Null | Decoded::Unread | Decoded::Count(_) | Decoded::Address(_) => return false,
        };
        is_decided == decisive
    }

    fn is_among(&self, seen: &Seen<'_>, values: &Place) -> bool {
        let decoded = self.decoded(values);
        if !self.spend(decoded.map_or(0, Decoded::steps)) {
            return false;
        }
        match (seen, decoded) {
            (Seen::Text(sought), Some(Decoded::Text(text))) => text.values().any(|value| value == sought),
            (Seen::Number(sought), Some(Decoded::Numbers(numbers))) => numbers.contains(sought),
            (Seen::Moment(sought), Some(Decoded::Moments(moments))) => {
                moments.iter().flatten().any(|moment| overlap(*sought, *moment))
            }
            _ => false,
        }
    }

    /// What a reference reads; `None` where it leads into an item that is not there.
    pub(crate) fn decoded(&self, place: &Place) -> Option<&'f Decoded<'a>> {
        let decoded = self.level(place)?.decoded(place.view);
        if let Decoded::Count(_) | Decoded::Items(_) = decoded {
            // Of an item that is not kept these are made anew.
            self.spend(decoded.steps());
        }
        Some(decoded)
    }

    fn level(&self, place: &Place) -> Option<&'f Level<'a>> {
        let base = match (place.base, self.it) {
            (Base::DataSet, _) => self.facts?.top(),
            (Base::It, It::Item(level)) => level,
            (Base::It, It::Nothing | It::Value(_)) => return None,
        };
        place.path.iter().try_fold(base, |level, (view, item)| match level.decoded(*view) {
            Decoded::Items(items) => items.kept(*item),
            _ => None,
        })
    }
}

fn see_decoded<'s>(decoded: &'s Decoded<'_>) -> Seen<'s> {
    match decoded {
        Decoded::Null => Seen::Null,
        Decoded::Unread | Decoded::Count(_) | Decoded::Items(_) => Seen::Other,
        Decoded::Text(text) => Seen::Text(Cow::Borrowed(&text.whole)),
        Decoded::Numbers(numbers) => match numbers.as_slice() {
            [number] => see_element(Element::Number(*number), None, false),
            _ => Seen::Other,
        },
        Decoded::Moments(moments) => match moments.as_slice() {
            [moment] => see_element(Element::Moment(*moment), None, false),
            _ => Seen::Other,
        },
        Decoded::Address(address) => Seen::Address(*address),
    }
}

fn see_element<'s>(element: Element<'s>, component: Option<Component>, is_lower: bool) -> Seen<'s> {
    match element {
        Element::Text(text) => match component.map_or(text, |component| part_of_name(text, component)) {
            "" => Seen::Null,
            text if is_lower => Seen::Text(Cow::Owned(text.to_lowercase())),
            text => Seen::Text(Cow::Borrowed(text)),
        },
        Element::Number(number) if number.is_nan() => Seen::Other,
        Element::Number(number) => Seen::Number(number),
        Element::Moment(moment) => moment.map_or(Seen::Other, Seen::Moment),
    }
}

fn compare(op: Op, left: &Seen<'_>, right: &Seen<'_>) -> bool {
    match (op, left, right) {
        (Op::Equal, ..) => is_equal(left, right),
        (Op::NotEqual, ..) => !is_equal(left, right),
        (Op::Less, Seen::Number(left), Seen::Number(right)) => left < right,
        (Op::LessEqual, Seen::Number(left), Seen::Number(right)) => left <= right,
        (Op::Greater, Seen::Number(left), Seen::Number(right)) => left > right,
        (Op::GreaterEqual, Seen::Number(left), Seen::Number(right)) => left >= right,
        (Op::Less, Seen::Moment(left), Seen::Moment(right)) => left.last < right.first,
        (Op::LessEqual, Seen::Moment(left), Seen::Moment(right)) => left.first <= right.last,
        (Op::Greater, Seen::Moment(left), Seen::Moment(right)) => left.first > right.last,
        (Op::GreaterEqual, Seen::Moment(left), Seen::Moment(right)) => left.last >= right.first,
        (Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual, ..) => false,
    }
}

fn is_equal(left: &Seen<'_>, right: &Seen<'_>) -> bool {
    match (left, right) {
        (Seen::Null, Seen::Null) => true,
        (Seen::Text(left), Seen::Text(right)) => left == right,
        (Seen::Number(left), Seen::Number(right)) => left == right,
        (Seen::Moment(left), Seen::Moment(right)) => overlap(*left, *right),
        (Seen::Address(left), Seen::Address(right)) => left == right,
        _ => false,
    }
}

/// A point lies in a span, or is the other point.
fn overlap(one: Moment, other: Moment) -> bool {
    one.first <= other.last && other.first <= one.last
}

fn is_one_of(seen: &Seen<'_>, list: &List) -> bool {
    match (seen, list) {
        (Seen::Text(text), List::Texts(texts)) => texts.binary_search_by(|known| (**known).cmp(text)).is_ok(),
        (Seen::Number(number), List::Numbers(numbers)) => numbers.contains(number),
        (Seen::Moment(moment), List::Moments(moments)) => {
            moments.iter().any(|known| overlap(*known, *moment))
        }
        (Seen::Address(address), List::Networks(networks)) => {
            networks.iter().any(|known| known.contains(address))
        }
        _ => false,
    }
}

fn text_test(test: TextTest, text: &str, sought: &str) -> bool {
    match test {
        TextTest::Equals => text == sought,
        TextTest::Contains => text.contains(sought),
        TextTest::StartsWith => text.starts_with(sought),
        TextTest::EndsWith => text.ends_with(sought),
        // Their patterns are no texts.
        TextTest::Glob | TextTest::Regex => false,
    }
}
