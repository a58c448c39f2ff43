//! Checked expressions.

use std::ops::Range;

use ipnet::IpNet;
use model::limits;
use regex::Regex;

use crate::ast::Op;
use crate::check::check;
use crate::functions::{Exactness, Quantifier, TextTest};
use crate::parse::parse;
use crate::symbols::Component;
use crate::text::Glob;
use crate::value::{Constant, Moment};
use crate::{Budget, Facts, Flaw, Severity, Step, Symbols};

/// A checked expression. It cannot fail, ends always, and changes nothing.
#[derive(Debug)]
pub(crate) struct Program {
    text: Box<str>,
    /// As written.
    whole: Node,
    /// Less what does not depend on the instance.
    folded: Node,
}

impl Program {
    /// Reads and checks an expression; its references are added to `symbols`. Warnings come with the program.
    ///
    /// # Errors
    /// What is wrong with it, by place: at most [`limits::EXPRESSION_FLAWS`], warnings among them.
    pub(crate) fn compile(text: &str, symbols: &mut Symbols) -> Result<(Self, Vec<Flaw>), Vec<Flaw>> {
        let mut flaws = Vec::new();
        let expr = parse(text, &mut flaws);
        let whole = check(text, &expr, symbols, &mut flaws);
        let is_error = |flaw: &Flaw| flaw.severity == Severity::Error;
        let is_refused = flaws.iter().any(is_error);
        // Where not all are shown, errors are.
        flaws.sort_by_key(|flaw| (!is_error(flaw), flaw.at.start, flaw.at.end));
        flaws.dedup();
        flaws.truncate(limits::EXPRESSION_FLAWS);
        flaws.sort_by_key(|flaw| (flaw.at.start, flaw.at.end));
        if is_refused {
            return Err(flaws);
        }
        let folded = whole.folded();
        Ok((Self { text: text.into(), whole, folded }, flaws))
    }

    /// What it comes to whatever the instance, where that is so.
    pub(crate) fn constant(&self) -> Option<bool> {
        self.folded.constant()
    }

    /// Whether it holds for an instance; `None` when that took too many steps to tell.
    pub(crate) fn matches(&self, facts: &Facts<'_>) -> Option<bool> {
        facts.budget().begin_rule();
        let holds = self.folded.holds(facts);
        (!facts.budget().has_run_out()).then_some(holds)
    }

    /// Why it holds for an instance, or does not: its sub-expressions in order, those that were not reached too.
    pub(crate) fn trace(&self, facts: &Facts<'_>) -> Vec<Step> {
        facts.budget().lift();
        crate::trace::trace(&self.text, &self.whole, facts)
    }
}

/// A condition, or a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Range<usize>,
    /// The references of this part, but not those of its operands.
    pub(crate) mentions: Box<[Mention]>,
    pub(crate) test: Test,
}

/// A reference, for explanations.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) at: Range<usize>,
    pub(crate) operand: Operand,
    /// Whether what it reads is shown in quotes.
    pub(crate) is_quoted: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Constant(bool),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    /// Whether two conditions come to the same.
    Same(Box<[Node; 2]>),
    /// Whether an operand is not null.
    Has(Operand),
    Compare {
        op: Op,
        left: Operand,
        right: Operand,
    },
    /// Whether an operand is one of a list.
    OneOf {
        operand: Operand,
        list: List,
    },
    /// Whether an operand is one of the values of a reference.
    Among {
        operand: Operand,
        values: Place,
    },
    Text {
        test: TextTest,
        exactness: Exactness,
        text: Operand,
        sought: Sought,
    },
    Each {
        quantifier: Quantifier,
        of: Place,
        condition: Box<Node>,
    },
}

/// What a text is held against.
#[derive(Debug, Clone)]
pub(crate) enum Sought {
    /// Folded where case and accents do not count.
    Constant(Box<str>),
    Operand(Operand),
    Glob(Glob),
    Regex(Regex),
}

/// What a value is looked for in.
#[derive(Debug, Clone)]
pub(crate) enum List {
    /// Sorted.
    Texts(Box<[Box<str>]>),
    Numbers(Box<[f64]>),
    Moments(Box<[Moment]>),
    Networks(Box<[IpNet]>),
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Constant(Constant),
    Place(Place),
    /// How many values or items there are: 0 when null.
    Size(Place),
    /// The value of the `any` or `all` around it.
    It {
        component: Option<Component>,
        is_lower: bool,
    },
    /// So many days from today; `is_span`: among dates with times.
    Today {
        days: i64,
        is_span: bool,
    },
}

/// Where a reference leads.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) base: Base,
    /// Views that are sequences, with the number of the item.
    pub(crate) path: Box<[(usize, usize)]>,
    /// Of the scope in which the path ends.
    pub(crate) view: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    DataSet,
    /// The item of the `any` or `all` around it.
    It,
}

impl Sought {
    /// How often a text is looked through for it, as it were.
    pub(crate) fn passes(&self) -> usize {
        match self {
            Self::Constant(_) | Self::Operand(_) => 1,
            Self::Glob(glob) => glob.passes(),
            Self::Regex(_) => REGEX_PASSES,
        }
    }
}

/// Regular expressions read a text as others do, but slower.
const REGEX_PASSES: usize = 8;

impl List {
    /// What looking through it takes of the budget.
    pub(crate) fn steps(&self) -> usize {
        let bytes = match self {
            // These are in order.
            Self::Texts(_) => 0,
            Self::Numbers(numbers) => size_of_val::<[f64]>(numbers),
            Self::Moments(moments) => size_of_val::<[Moment]>(moments),
            Self::Networks(networks) => size_of_val::<[IpNet]>(networks),
        };
        Budget::steps(bytes)
    }
}

impl Node {
    pub(crate) fn constant(&self) -> Option<bool> {
        match self.test {
            Test::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn folded(&self) -> Self {
        let test = match &self.test {
            Test::And(operands) => chain(operands, false),
            Test::Or(operands) => chain(operands, true),
            Test::Not(operand) => {
                let operand = operand.folded();
                operand
                    .constant()
                    .map_or_else(|| Test::Not(Box::new(operand)), |value| Test::Constant(!value))
            }
            Test::Same(operands) => {
                let operands = operands.each_ref().map(Self::folded);
                match operands.each_ref().map(Self::constant) {
                    [Some(one), Some(two)] => Test::Constant(one == two),
                    _ => Test::Same(Box::new(operands)),
                }
            }
            Test::Each { quantifier, of, condition } => {
                let condition = Box::new(condition.folded());
                match condition.constant() {
                    Some(false) => Test::Constant(false),
                    _ => Test::Each { quantifier: *quantifier, of: of.clone(), condition },
                }
            }
            leaf if leaf.is_of_constants() => Test::Constant(self.holds_always()),
            leaf => leaf.clone(),
        };
        Self { at: self.at.clone(), mentions: Box::default(), test }
    }
}

/// Operands joined by `&&`, which one false one decides, or `||`, which a true one does.
fn chain(operands: &[Node], decisive: bool) -> Test {
    let operands: Vec<Node> = operands.iter().map(Node::folded).collect();
    if operands.iter().any(|operand| operand.constant() == Some(decisive)) {
        return Test::Constant(decisive);
    }
    let mut open: Vec<Node> = operands.into_iter().filter(|operand| operand.constant().is_none()).collect();
    match (open.len(), decisive) {
        (0, _) => Test::Constant(!decisive),
        (1, _) => open.remove(0).test,
        (_, false) => Test::And(open.into()),
        (_, true) => Test::Or(open.into()),
    }
}

impl Test {
    /// Whether it is no more than a comparison of what stands in the expression.
    fn is_of_constants(&self) -> bool {
        let is_constant = |operand: &Operand| matches!(operand, Operand::Constant(_));
        match self {
            Self::Constant(_) => true,
            Self::Has(operand) | Self::OneOf { operand, .. } => is_constant(operand),
            Self::Compare { left, right, .. } => is_constant(left) && is_constant(right),
            Self::Text { text, sought, .. } => {
                is_constant(text) && !matches!(sought, Sought::Operand(sought) if !is_constant(sought))
            }
            Self::Among { .. } | Self::Each { .. } => false,
            Self::Not(_) | Self::And(_) | Self::Or(_) | Self::Same(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
