//! Why a condition holds, or does not.

use std::fmt;

use crate::Facts;
use crate::decode::Decoded;
use crate::eval::{Scene, Seen};
use crate::program::{Base, Mention, Node, Operand, Test};

/// One sub-expression of an expression, for an operator who wants to know why it came out as it did.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// How deep it stands: its operands follow with one more.
    pub depth: usize,
    /// As written.
    pub text: String,
    /// What it came to; `None` when what stands before it had decided already.
    pub value: Option<bool>,
    /// What it refers to, as written, each with its value as the operator reads it; `absent` when null. Reached or not.
    pub references: Vec<(String, String)>,
}

/// Without values, which may be a patient's.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { depth, text, value, references } = self;
        write!(f, "{:depth$}{text}: {value:?} ({} references)", "", references.len())
    }
}

/// The sub-expressions of a condition, which is one itself where nothing joins several.
pub(crate) fn trace(text: &str, whole: &Node, facts: &Facts<'_>) -> Vec<Step> {
    let mut tracer = Tracer { text, facts, steps: Vec::new() };
    match &whole.test {
        Test::And(operands) => tracer.chain(operands, 0, true, false),
        Test::Or(operands) => tracer.chain(operands, 0, true, true),
        _ => tracer.step(whole, 0, true),
    }
    tracer.steps
}

struct Tracer<'t, 'f, 'a> {
    text: &'t str,
    facts: &'f Facts<'a>,
    steps: Vec<Step>,
}

impl<'a> Tracer<'_, '_, 'a> {
    fn step(&mut self, node: &Node, depth: usize, is_reached: bool) {
        let mut references = Vec::new();
        self.references(node, &mut references);
        self.steps.push(Step {
            depth,
            text: self.written(node.at.clone()),
            value: is_reached.then(|| node.holds(self.facts)),
            references,
        });
        match &node.test {
            Test::And(operands) => self.chain(operands, depth + 1, is_reached, false),
            Test::Or(operands) => self.chain(operands, depth + 1, is_reached, true),
            Test::Not(operand) => self.step(operand, depth + 1, is_reached),
            Test::Same(operands) => operands.iter().for_each(|node| self.step(node, depth + 1, is_reached)),
            Test::Constant(_) | Test::Has(_) | Test::Compare { .. } | Test::OneOf { .. } => {}
            Test::Among { .. } | Test::Text { .. } | Test::Each { .. } => {}
        }
    }

    /// Operands of which the first that comes to `decisive` is the last that is reached.
    fn chain(&mut self, operands: &[Node], depth: usize, mut is_reached: bool, decisive: bool) {
        for operand in operands {
            self.step(operand, depth, is_reached);
            is_reached &= operand.holds(self.facts) != decisive;
        }
    }

    fn references(&self, node: &Node, references: &mut Vec<(String, String)>) {
        let scene = Scene::of(self.facts);
        for mention in &node.mentions {
            self.add(references, mention, || value(&scene, mention));
        }
        if let Test::Each { of, condition, .. } = &node.test {
            let items = scene.decoded(of);
            self.inner(condition, items, references);
        }
    }

    /// What the condition of an `any` or `all` refers to: of `it`, in the first items.
    fn inner(&self, node: &Node, items: Option<&Decoded<'a>>, references: &mut Vec<(String, String)>) {
        let scene = Scene::of(self.facts);
        for mention in &node.mentions {
            match (&mention.operand, items) {
                (Operand::It { .. }, _) => {}
                (Operand::Place(place) | Operand::Size(place), items) if place.base == Base::It => {
                    if let Some(Decoded::Items(items)) = items {
                        let mut values = Vec::new();
                        items.any(|item| {
                            values.push(value(&scene.with_item(item), mention));
                            values.len() > ITEMS
                        });
                        self.add(references, mention, || joined(values));
                    }
                }
                _ => self.add(references, mention, || value(&scene, mention)),
            }
        }
        match &node.test {
            Test::And(operands) | Test::Or(operands) => {
                operands.iter().for_each(|operand| self.inner(operand, items, references));
            }
            Test::Not(operand) => self.inner(operand, items, references),
            Test::Same(operands) => {
                operands.iter().for_each(|operand| self.inner(operand, items, references))
            }
            // Another `it` stands in there.
            Test::Each { condition, .. } => self.inner(condition, None, references),
            Test::Constant(_) | Test::Has(_) | Test::Compare { .. } | Test::OneOf { .. } => {}
            Test::Among { .. } | Test::Text { .. } => {}
        }
    }

    fn add(&self, references: &mut Vec<(String, String)>, mention: &Mention, value: impl FnOnce() -> String) {
        let written = self.written(mention.at.clone());
        if !references.iter().any(|(known, _)| *known == written) {
            references.push((written, value()));
        }
    }

    fn written(&self, at: std::ops::Range<usize>) -> String {
        self.text.get(at).unwrap_or_default().to_owned()
    }
}

fn joined(mut values: Vec<String>) -> String {
    let is_cut = values.len() > ITEMS;
    values.truncate(ITEMS);
    let numbered = values.iter().enumerate().map(|(number, value)| format!("[{number}] {value}"));
    let mut joined = numbered.collect::<Vec<_>>().join(", ");
    if is_cut {
        joined.push_str(", …");
    }
    if joined.is_empty() { ABSENT.to_owned() } else { joined }
}

fn value(scene: &Scene<'_, '_>, mention: &Mention) -> String {
    if let Operand::Place(place) = &mention.operand
        && let Some(decoded) = scene.decoded(place)
    {
        match decoded {
            Decoded::Count(1) => return "1 item".to_owned(),
            Decoded::Count(count) => return format!("{count} items"),
            Decoded::Unread => return "there, but not read".to_owned(),
            Decoded::Numbers(numbers) if numbers.len() > 1 => {
                return cut(&numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\"));
            }
            Decoded::Null | Decoded::Text(_) | Decoded::Numbers(_) => {}
            Decoded::Moments(_) | Decoded::Address(_) | Decoded::Items(_) => {}
        }
    }
    match scene.see(&mention.operand) {
        Seen::Null => ABSENT.to_owned(),
        Seen::Other => "there, but not read".to_owned(),
        Seen::Text(text) if mention.is_quoted => format!("{:?}", cut(&text)),
        Seen::Text(text) => cut(&text),
        Seen::Number(number) => number.to_string(),
        Seen::Moment(moment) => moment.first.to_string(),
        Seen::Address(address) => address.to_string(),
    }
}

fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut cut: String = characters.by_ref().take(CHARACTERS).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

const ABSENT: &str = "absent";

/// Items of which values are shown.
const ITEMS: usize = 8;

/// Characters of a value that are shown.
const CHARACTERS: usize = 200;
