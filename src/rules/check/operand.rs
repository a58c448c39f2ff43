//! The sides of a comparison: what they are, and as what they are read.

use super::reference::Reference;
use super::{Checker, literal};
use crate::Flaw;
use crate::Symbols;
use crate::ast::{Expr, ExprKind, Literal, Op};
use crate::functions::Does;
use crate::program::{Mention, Operand};
use crate::types::{Style, Type};
use crate::value::Constant;

/// Text that is nothing in particular.
pub(super) const PLAIN: Type = Type::Text(Style::Plain);

/// One side of a comparison.
pub(super) enum Side {
    Literal(Literal),
    Reference(Reference),
    Size(Operand),
    Lower(Operand),
    Today { days: i64 },
}

impl Side {
    /// What it is; `None` for null.
    pub(super) fn kind(&self) -> Option<Type> {
        match self {
            Self::Literal(literal) => literal::natural_of(literal),
            Self::Reference(reference) => Some(reference.kind),
            Self::Size(_) => Some(Type::Number),
            Self::Lower(_) => Some(Type::Text(Style::Lower)),
            Self::Today { .. } => Some(Type::Date),
        }
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Literal(Literal::Null))
    }

    /// Whether it is a text of several values.
    pub(super) fn names_several(&self) -> bool {
        matches!(self, Self::Literal(Literal::Text(text)) if text.contains('\\'))
    }

    /// The value multiplicity, when several values are meant at once.
    pub(super) fn several(&self) -> Option<&'static str> {
        match self {
            Self::Reference(reference) => reference.several,
            Self::Literal(_) | Self::Size(_) | Self::Lower(_) | Self::Today { .. } => None,
        }
    }

    /// How an explanation shows it; a literal explains itself.
    pub(super) fn mention(&self, expr: &Expr, symbols: &mut Symbols) -> Option<Mention> {
        let shown = |operand: &Operand, is_quoted| {
            Some(Mention { at: expr.at.clone(), operand: operand.clone(), is_quoted })
        };
        match self {
            Self::Literal(_) => None,
            Self::Reference(reference) => Some(reference.mention(expr, symbols)),
            Self::Size(operand) => shown(operand, false),
            Self::Lower(operand) => shown(operand, true),
            Self::Today { days } => shown(&Operand::Today { days: *days, is_span: false }, false),
        }
    }
}

impl Checker<'_, '_, '_> {
    /// What stands on one side of a comparison; `None` when it cannot.
    pub(super) fn side(&mut self, expr: &Expr) -> Option<Side> {
        match &expr.kind {
            ExprKind::Literal(literal) => Some(Side::Literal(literal.clone())),
            ExprKind::Path(path) => self.reference(path, &expr.at).map(Side::Reference),
            ExprKind::Call { function, function_at, arguments } => {
                let known = self.function(function, function_at, expr, arguments)?;
                self.value_of_call(known.does, expr, arguments)
            }
            ExprKind::Sum { first, terms } => self.sum(first, terms),
            ExprKind::List(_) => {
                let flaw = Flaw::error(expr.at.clone(), "a list stands only behind `in`");
                self.flaws.push(flaw.help("write X in [\"A\", \"B\"]"));
                None
            }
            ExprKind::Not(_)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Compare { .. }
            | ExprKind::In { .. } => {
                let flaw = Flaw::error(expr.at.clone(), "a condition stands where a value is wanted");
                self.flaws.push(flaw.help("join conditions by && or ||"));
                None
            }
            ExprKind::Broken => None,
        }
    }

    fn value_of_call(&mut self, does: Does, expr: &Expr, arguments: &[Expr]) -> Option<Side> {
        match (does, arguments) {
            (Does::Size, [of]) => {
                let size = self.reference_of(of, "size")?.size(self.symbols);
                if size.is_none() {
                    self.flaws.push(Flaw::error(of.at.clone(), "`it` is one value here"));
                }
                size.map(Side::Size)
            }
            (Does::Lower, [of]) => {
                let reference = self.reference_of(of, "lower")?;
                if !matches!(reference.kind, Type::Text(_) | Type::Unknown) {
                    let message = format!(
                        "lower takes text, and `{}` is {}",
                        self.written(&of.at),
                        reference.kind.noun()
                    );
                    self.flaws.push(Flaw::error(of.at.clone(), message));
                    return None;
                }
                Some(Side::Lower(reference.lower(self.symbols)))
            }
            (Does::Today, _) => Some(Side::Today { days: 0 }),
            (Does::Days, _) => {
                let flaw = Flaw::error(expr.at.clone(), "days(…) is added to a date");
                self.flaws.push(flaw.help("write today() - days(30)"));
                None
            }
            (Does::Cidr, _) => {
                let flaw = Flaw::error(expr.at.clone(), "an address is in a network");
                self.flaws.push(flaw.help("write from.ip in cidr(\"10.0.0.0/8\")"));
                None
            }
            _ => {
                let flaw = Flaw::error(expr.at.clone(), "a condition stands where a value is wanted");
                self.flaws.push(flaw.help("join conditions by && or ||"));
                None
            }
        }
    }

    /// `today() - days(30)`
    fn sum(&mut self, first: &Expr, terms: &[(bool, Expr)]) -> Option<Side> {
        let side = self.side(first)?;
        let mut sum = match side {
            Side::Today { days } => Some(days),
            _ => None,
        };
        for (is_minus, term) in terms {
            let (Some(days), Some(count)) = (sum, days(term)) else {
                let at = first.at.start..term.at.end;
                let flaw = Flaw::error(at, "only whole days are added to, or taken from, today()");
                self.flaws.push(match first.kind {
                    ExprKind::Literal(Literal::Number(_)) => {
                        flaw.help("a date stands in quotes: \"2026-01-31\"")
                    }
                    _ => flaw.help("write today() - days(30)"),
                });
                return None;
            };
            sum = Some(if *is_minus { days - count } else { days + count });
        }
        sum.map(|days| Side::Today { days })
    }

    /// Both sides of a comparison, read as the same.
    pub(super) fn compared(
        &mut self,
        op: Op,
        left: (&Side, &Expr),
        right: (&Side, &Expr),
    ) -> Option<(Operand, Operand)> {
        if left.0.is_null() || right.0.is_null() {
            return self.compared_with_null(op, left, right);
        }
        let (one, two) = (left.0.kind()?, right.0.kind()?);
        let kind = match (left.0.is_literal(), right.0.is_literal()) {
            // A literal is read as what it is compared with.
            (false, true) if one != Type::Unknown => Some(one),
            (true, false) if two != Type::Unknown => Some(two),
            // A day has an order among dates with times.
            (_, _) => match (left.0, right.0) {
                (Side::Today { .. }, _) if two == Type::DateTime => Some(two),
                (_, Side::Today { .. }) if one == Type::DateTime => Some(one),
                _ => one.common(two),
            },
        };
        let Some(kind) = kind else {
            let written = |checker: &Self, expr: &Expr| checker.written(&expr.at).to_owned();
            let (a, b) = (written(self, left.1), written(self, right.1));
            let message = format!("`{a}` is {}, and `{b}` is {}", one.noun(), two.noun());
            let at = left.1.at.start..right.1.at.end;
            self.flaws.push(Flaw::error(at, message));
            return None;
        };
        let kind = if kind == Type::Unknown { PLAIN } else { kind };
        if !op.is_equality() && !kind.is_ordered() {
            let at = left.1.at.start..right.1.at.end;
            let message = format!("{} compares {}, which has no order", op.as_str(), kind.noun());
            self.flaws.push(Flaw::error(at, message).help("numbers, ages, dates and times have one"));
            return None;
        }
        let sides = (self.operand(left.0, left.1, kind)?, self.operand(right.0, right.1, kind)?);
        self.warn_of_empty_text(op, (&sides.0, left.1), (&sides.1, right.1));
        Some(sides)
    }

    fn warn_of_empty_text(&mut self, op: Op, left: (&Operand, &Expr), right: (&Operand, &Expr)) {
        let is_empty =
            |operand: &Operand| matches!(operand, Operand::Constant(Constant::Text(text)) if text.is_empty());
        let (empty, other) = match (is_empty(left.0), is_empty(right.0)) {
            (true, false) => (left.1, right.1),
            (false, true) => (right.1, left.1),
            _ => return,
        };
        let other = self.written(&other.at);
        let (often, help) = match op {
            Op::NotEqual => ("always", format!("write {other} != null, or has({other})")),
            _ => ("never", format!("write {other} == null, or !has({other})")),
        };
        let message = format!("what is empty is null, so this {often} holds");
        self.flaws.push(Flaw::warning(empty.at.clone(), message).help(help));
    }

    fn compared_with_null(
        &mut self,
        op: Op,
        left: (&Side, &Expr),
        right: (&Side, &Expr),
    ) -> Option<(Operand, Operand)> {
        if !op.is_equality() {
            let at = left.1.at.start..right.1.at.end;
            let flaw = Flaw::error(at, "null has no order: this never holds");
            self.flaws.push(flaw.help("write … == null, or !has(…)"));
            return None;
        }
        let mut presence = |(side, expr): (&Side, &Expr)| match side {
            Side::Literal(Literal::Null) => Some(Operand::Constant(Constant::Null)),
            Side::Reference(reference) => Some(reference.presence(self.symbols)),
            Side::Lower(operand) => Some(operand.clone()),
            Side::Literal(_) | Side::Size(_) | Side::Today { .. } => {
                let flaw = Flaw::error(expr.at.clone(), "this is never null");
                self.flaws.push(flaw);
                None
            }
        };
        Some((presence(left)?, presence(right)?))
    }

    /// A side, read as values of a type.
    pub(super) fn operand(&mut self, side: &Side, expr: &Expr, kind: Type) -> Option<Operand> {
        let operand = match (side, kind) {
            (Side::Literal(literal), _) => {
                return self.constant(literal, &expr.at, kind).map(Operand::Constant);
            }
            (Side::Reference(reference), _) => reference.operand(kind, self.symbols),
            (Side::Size(operand), Type::Number) | (Side::Lower(operand), Type::Text(_)) => {
                Some(operand.clone())
            }
            (Side::Today { days }, Type::Date) => Some(Operand::Today { days: *days, is_span: false }),
            (Side::Today { days }, Type::DateTime) => Some(Operand::Today { days: *days, is_span: true }),
            (Side::Size(_) | Side::Lower(_) | Side::Today { .. }, _) => None,
        };
        if operand.is_none() {
            let written = self.written(&expr.at).to_owned();
            let flaw = Flaw::error(expr.at.clone(), format!("`{written}` has no value that compares"));
            self.flaws.push(match side.kind() {
                Some(Type::Sequence) => {
                    flaw.help(format!("write any({written}, it.Keyword == …), or has({written})"))
                }
                _ => flaw.help(format!("one may ask whether it is there: has({written})")),
            });
        }
        operand
    }
}

/// The number in `days(30)`.
fn days(term: &Expr) -> Option<i64> {
    let ExprKind::Call { function, arguments, .. } = &term.kind else { return None };
    let [Expr { kind: ExprKind::Literal(Literal::Number(count)), .. }] = arguments.as_slice() else {
        return None;
    };
    let is_count = function == "days" && count.fract() == 0.0 && count.abs() <= MOST_DAYS;
    // Whole and small.
    is_count.then_some(*count as i64)
}

/// More than a calendar has.
const MOST_DAYS: f64 = 1e7;
