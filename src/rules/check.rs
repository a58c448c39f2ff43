//! An expression as written to one that can be evaluated: names are looked up, types compared, literals read.

mod literal;
mod operand;
mod reference;
mod text_test;

use std::ops::Range;

use crate::ast::{Expr, ExprKind, Literal, Op};
use crate::dictionary::closest;
use crate::functions::{Does, FUNCTIONS, Function, Quantifier};
use crate::program::{Mention, Node, Test};
use crate::symbols::ScopeId;
use crate::types::Type;
use crate::value::Constant;
use crate::{Flaw, Symbols};
use operand::Side;

/// Checks an expression; what is wrong with it goes to `flaws`, and the rest is checked all the same.
pub(crate) fn check(text: &str, expr: &Expr, symbols: &mut Symbols, flaws: &mut Vec<Flaw>) -> Node {
    Checker { text, symbols, flaws, it: Vec::new() }.condition(expr)
}

struct Checker<'t, 's, 'f> {
    text: &'t str,
    symbols: &'s mut Symbols,
    flaws: &'f mut Vec<Flaw>,
    /// What `it` is in each `any` or `all` around, the innermost last.
    it: Vec<It>,
}

/// What `it` stands for.
#[derive(Clone, Copy)]
enum It {
    Item(ScopeId),
    Value(Type),
}

impl Checker<'_, '_, '_> {
    /// Something that holds or does not.
    fn condition(&mut self, expr: &Expr) -> Node {
        match &expr.kind {
            ExprKind::Literal(Literal::Condition(value)) => node(expr, Vec::new(), Test::Constant(*value)),
            ExprKind::Not(operand) => {
                let operand = Box::new(self.condition(operand));
                node(expr, Vec::new(), Test::Not(operand))
            }
            ExprKind::And(operands) => {
                let operands = operands.iter().map(|operand| self.condition(operand)).collect();
                node(expr, Vec::new(), Test::And(operands))
            }
            ExprKind::Or(operands) => {
                let operands = operands.iter().map(|operand| self.condition(operand)).collect();
                node(expr, Vec::new(), Test::Or(operands))
            }
            ExprKind::Compare { op, left, right } => self.comparison(expr, *op, left, right),
            ExprKind::In { left, right } => self.membership(expr, left, right),
            ExprKind::Call { function, function_at, arguments } => {
                self.call(expr, function, function_at, arguments)
            }
            ExprKind::Literal(_) | ExprKind::List(_) | ExprKind::Path(_) | ExprKind::Sum { .. } => {
                self.no_condition(expr)
            }
            ExprKind::Broken => broken(expr),
        }
    }

    fn no_condition(&mut self, expr: &Expr) -> Node {
        let written = self.written(&expr.at).to_owned();
        let flaw = match &expr.kind {
            // What is wrong with the reference itself comes first.
            ExprKind::Path(path) => match self.reference(path, &expr.at) {
                Some(reference) => {
                    let message = format!("`{written}` is {}, not a condition", reference.kind.noun());
                    let example = reference.kind.example();
                    let help = match reference.kind {
                        Type::Sequence | Type::Bytes => format!("write has({written})"),
                        _ => format!("write has({written}), or compare it: {written} == {example}"),
                    };
                    Flaw::error(expr.at.clone(), message).help(help)
                }
                None => return broken(expr),
            },
            _ => Flaw::error(expr.at.clone(), "this is a value, not a condition")
                .help("compare it with something: ==, in, contains(…) …"),
        };
        self.flaws.push(flaw);
        broken(expr)
    }

    fn call(&mut self, expr: &Expr, name: &str, name_at: &Range<usize>, arguments: &[Expr]) -> Node {
        let Some(function) = self.function(name, name_at, expr, arguments) else { return broken(expr) };
        match (function.does, arguments) {
            (Does::Has, [of]) => self.has(expr, of),
            (Does::Each(quantifier), [of, condition]) => self.each(expr, quantifier, of, condition),
            (Does::Text(test, exactness), [text, sought]) => {
                self.text_test(expr, function, (test, exactness), text, sought)
            }
            _ => {
                let message = format!("{} gives a value, not a condition", function.signature());
                let flaw = Flaw::error(expr.at.clone(), message);
                self.flaws.push(match function.does {
                    Does::Cidr => flaw.help("write from.ip in cidr(\"10.0.0.0/8\")"),
                    _ => flaw.help("compare it with something: ==, <, in …"),
                });
                broken(expr)
            }
        }
    }

    /// The function of this name, when it is called with as many arguments as it takes.
    fn function(
        &mut self,
        name: &str,
        at: &Range<usize>,
        expr: &Expr,
        arguments: &[Expr],
    ) -> Option<&'static Function> {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            let flaw = Flaw::error(at.clone(), format!("there is no function `{name}`"));
            self.flaws.push(flaw.help(help_with_name(name)));
            return None;
        };
        let (given, wanted) = (arguments.len(), function.arguments.len());
        if given != wanted {
            let count = if wanted == 1 { "1 argument".to_owned() } else { format!("{wanted} arguments") };
            let flaw = Flaw::error(expr.at.clone(), format!("{name} takes {count}, not {given}"));
            self.flaws.push(flaw.help(format!("write {}", function.signature())));
            return None;
        }
        Some(function)
    }

    fn has(&mut self, expr: &Expr, of: &Expr) -> Node {
        let Some(reference) = self.reference_of(of, "has") else { return broken(expr) };
        let operand = reference.presence(self.symbols);
        let mention = reference.mention(of, self.symbols);
        node(expr, vec![mention], Test::Has(operand))
    }

    fn each(&mut self, expr: &Expr, quantifier: Quantifier, of: &Expr, condition: &Expr) -> Node {
        let name = if quantifier == Quantifier::Any { "any" } else { "all" };
        let Some(reference) = self.reference_of(of, name) else { return broken(expr) };
        let mention = reference.mention(of, self.symbols);
        let is_items = match reference.kind {
            Type::Sequence => true,
            // What it is used for tells what it is.
            Type::Unknown => mentions_attribute_of_it(condition),
            _ => false,
        };
        if reference.is_one_of_several() {
            let flaw = Flaw::error(
                of.at.clone(),
                format!("{name} goes through all values or items, and this is one"),
            );
            self.flaws.push(flaw.help("leave out the number"));
            return broken(expr);
        }
        let (place, it) = if is_items {
            let (place, items) = reference.items(self.symbols);
            (Some(place), It::Item(items))
        } else {
            let kind = match reference.kind {
                Type::Unknown => operand::PLAIN,
                // A part of a name has no parts.
                _ if reference.is_part_of_name() => operand::PLAIN,
                kind => kind,
            };
            (reference.values(kind, self.symbols), It::Value(kind))
        };
        self.it.push(it);
        let condition = self.condition(condition);
        self.it.pop();
        let Some(place) = place else {
            let message = format!("the values of {} cannot be gone through", self.written(&of.at));
            self.flaws
                .push(Flaw::error(of.at.clone(), message).help("one may ask whether it is there: has(…)"));
            return broken(expr);
        };
        node(expr, vec![mention], Test::Each { quantifier, of: place, condition: Box::new(condition) })
    }

    fn comparison(&mut self, expr: &Expr, op: Op, left: &Expr, right: &Expr) -> Node {
        if is_condition(left) || is_condition(right) {
            return self.same(expr, op, left, right);
        }
        let sides = (self.side(left), self.side(right));
        let (Some(one), Some(two)) = sides else { return broken(expr) };
        let mentions: Vec<Mention> = [one.mention(left, self.symbols), two.mention(right, self.symbols)]
            .into_iter()
            .flatten()
            .collect();
        self.warn_of_several_values(op, &one, left, (&two, right));
        self.warn_of_several_values(op, &two, right, (&one, left));
        let Some((left, right)) = self.compared(op, (&one, left), (&two, right)) else { return broken(expr) };
        node(expr, mentions, Test::Compare { op, left, right })
    }

    /// Two conditions, of which one is mostly `true` or `false`.
    fn same(&mut self, expr: &Expr, op: Op, left: &Expr, right: &Expr) -> Node {
        if !op.is_equality() {
            // Of `1 < X < 2` it is said already that a comparison has two sides.
            if !matches!(left.kind, ExprKind::Compare { .. }) {
                let message = format!("{} compares values, and conditions have no order", op.as_str());
                self.flaws.push(Flaw::error(expr.at.clone(), message).help("join conditions by && or ||"));
            }
            return broken(expr);
        }
        let operands = Box::new([self.condition(left), self.condition(right)]);
        let same = node(expr, Vec::new(), Test::Same(operands));
        match op {
            Op::NotEqual => node(expr, Vec::new(), Test::Not(Box::new(same))),
            _ => same,
        }
    }

    fn membership(&mut self, expr: &Expr, left: &Expr, right: &Expr) -> Node {
        let Some(one) = self.side(left) else { return broken(expr) };
        let mut mentions: Vec<Mention> = one.mention(left, self.symbols).into_iter().collect();
        let test = match &right.kind {
            ExprKind::List(elements) => self.one_of(&one, left, right, elements),
            ExprKind::Call { function, .. } if function == "cidr" => {
                self.one_of(&one, left, right, std::slice::from_ref(right))
            }
            ExprKind::Path(path) => match self.reference(path, &right.at) {
                Some(values) => {
                    mentions.push(values.mention(right, self.symbols));
                    self.among(&one, left, &values, right)
                }
                None => None,
            },
            ExprKind::Broken => None,
            _ => {
                let flaw = Flaw::error(
                    right.at.clone(),
                    "`in` wants a list, an attribute with several values, or cidr(…)",
                );
                self.flaws.push(flaw.help(format!("write in [{}]", self.written(&right.at))));
                None
            }
        };
        test.map_or_else(|| broken(expr), |test| node(expr, mentions, test))
    }

    fn one_of(&mut self, one: &Side, left: &Expr, right: &Expr, elements: &[Expr]) -> Option<Test> {
        if elements.is_empty() {
            self.flaws.push(Flaw::warning(right.at.clone(), "nothing is in an empty list"));
        }
        let kind = match one.kind() {
            Some(Type::Unknown) => elements.first().and_then(literal::natural).unwrap_or(operand::PLAIN),
            Some(kind) => kind,
            None => {
                self.flaws.push(
                    Flaw::error(left.at.clone(), "null is in no list").help("write … == null, or !has(…)"),
                );
                return None;
            }
        };
        let constants: Vec<Option<literal::Member>> =
            elements.iter().map(|element| self.member(element, kind)).collect();
        let constants: Vec<literal::Member> = constants.into_iter().collect::<Option<_>>()?;
        let is_empty = |member: &literal::Member| match member {
            literal::Member::Constant(Constant::Text(text)) => text.is_empty(),
            literal::Member::Constant(_) | literal::Member::Network(_) => false,
        };
        for (element, _) in elements.iter().zip(&constants).filter(|(_, constant)| is_empty(constant)) {
            let flaw = Flaw::warning(element.at.clone(), "what is empty is null, and null is in no list");
            let written = self.written(&left.at);
            self.flaws.push(flaw.help(format!("write {written} == null, or !has({written})")));
        }
        self.warn_of_several_in_list(one, left, right, elements);
        let operand = self.operand(one, left, kind)?;
        Some(Test::OneOf { operand, list: literal::list(kind, constants) })
    }

    fn among(
        &mut self,
        one: &Side,
        left: &Expr,
        values: &reference::Reference,
        right: &Expr,
    ) -> Option<Test> {
        let common = match one.kind() {
            Some(kind) => kind.common(values.kind).or_else(|| one.is_literal().then_some(values.kind)),
            None => None,
        };
        let kind = common.map(|kind| if kind == Type::Unknown { operand::PLAIN } else { kind });
        let found = kind.and_then(|kind| Some((kind, values.place(kind, self.symbols)?)));
        let Some((kind, place)) = found else {
            let message = format!("`{}` has no values that could be looked through", self.written(&right.at));
            let flaw = Flaw::error(right.at.clone(), message);
            self.flaws.push(match values.kind {
                Type::Sequence => flaw.help("write any(sequence, it.Keyword == …)"),
                _ => flaw.help(format!("it is {}", values.kind.noun())),
            });
            return None;
        };
        let operand = self.operand(one, left, kind)?;
        Some(Test::Among { operand, values: place })
    }

    fn warn_of_several_values(&mut self, op: Op, one: &Side, expr: &Expr, other: (&Side, &Expr)) {
        let Some(several) = one.several() else { return };
        let (written, compared) = (self.written(&expr.at), self.written(&other.1.at));
        let begin = format!("`{written}` may have several values ({several}), and {}", op.as_str());
        let flaw = if op.is_equality() {
            if !other.0.is_literal() || other.0.is_null() || other.0.names_several() {
                return;
            }
            let help = format!("to ask for one of them, write \"…\" in {written}, or {written}[0]");
            Flaw::warning(expr.at.clone(), format!("{begin} compares all of them")).help(help)
        } else if other.0.is_null() {
            return;
        } else {
            let (op, is_left) = (op.as_str(), expr.at.start < other.1.at.start);
            let asked = if is_left { format!("it {op} {compared}") } else { format!("{compared} {op} it") };
            let help = format!("to ask for one of them, write any({written}, {asked}), or {written}[0]");
            Flaw::warning(expr.at.clone(), format!("{begin} never holds for more than one")).help(help)
        };
        self.flaws.push(flaw);
    }

    /// Of `ImageType in ["ORIGINAL"]`.
    fn warn_of_several_in_list(&mut self, one: &Side, left: &Expr, right: &Expr, elements: &[Expr]) {
        let Some(several) = one.several() else { return };
        let names_several = |element: &Expr| match &element.kind {
            ExprKind::Literal(Literal::Text(text)) => text.contains('\\'),
            _ => false,
        };
        if elements.is_empty() || elements.iter().any(names_several) {
            return;
        }
        let (written, list) = (self.written(&left.at), self.written(&right.at));
        let message =
            format!("`{written}` may have several values ({several}), and `in` looks for all of them as one");
        let help = format!("to ask for one of them, write any({written}, it in {list}), or {written}[0]");
        self.flaws.push(Flaw::warning(left.at.clone(), message).help(help));
    }

    fn written(&self, at: &Range<usize>) -> &str {
        self.text.get(at.clone()).unwrap_or_default()
    }
}

fn node(expr: &Expr, mentions: Vec<Mention>, test: Test) -> Node {
    Node { at: expr.at.clone(), mentions: mentions.into(), test }
}

/// Stands for what was reported.
fn broken(expr: &Expr) -> Node {
    node(expr, Vec::new(), Test::Constant(false))
}

/// What to write in place of a function that there is not.
fn help_with_name(name: &str) -> String {
    if name == "cs.ieq" {
        return "write ==, which compares to the letter".to_owned();
    }
    let names = || FUNCTIONS.iter().map(|function| function.name);
    match name.strip_prefix("cs.").filter(|bare| names().any(|known| known == *bare)) {
        Some(bare) => format!("write {bare}(…)"),
        None => match closest(name, names()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        },
    }
}

fn is_condition(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(Literal::Condition(_)) | ExprKind::Not(_) | ExprKind::And(_) | ExprKind::Or(_) => {
            true
        }
        ExprKind::Compare { .. } | ExprKind::In { .. } => true,
        ExprKind::Call { function, .. } => FUNCTIONS.iter().any(|known| {
            known.name == function && matches!(known.does, Does::Has | Does::Each(_) | Does::Text(..))
        }),
        ExprKind::Literal(_) | ExprKind::List(_) | ExprKind::Path(_) => false,
        ExprKind::Sum { .. } | ExprKind::Broken => false,
    }
}

/// Whether a condition asks for an attribute of `it`.
fn mentions_attribute_of_it(expr: &Expr) -> bool {
    let any = |operands: &[Expr]| operands.iter().any(mentions_attribute_of_it);
    match &expr.kind {
        ExprKind::Path(path) => path.is_of_it && !path.parts.is_empty(),
        ExprKind::Not(operand) => mentions_attribute_of_it(operand),
        ExprKind::And(operands) | ExprKind::Or(operands) | ExprKind::List(operands) => any(operands),
        ExprKind::Call { arguments, .. } => any(arguments),
        ExprKind::Compare { left, right, .. } | ExprKind::In { left, right } => {
            mentions_attribute_of_it(left) || mentions_attribute_of_it(right)
        }
        ExprKind::Sum { first, terms } => {
            mentions_attribute_of_it(first) || terms.iter().any(|(_, term)| mentions_attribute_of_it(term))
        }
        ExprKind::Literal(_) | ExprKind::Broken => false,
    }
}
