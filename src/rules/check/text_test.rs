//! `contains`, `glob`, `matches` and their like.

use super::{Checker, broken, node};
use crate::Flaw;
use crate::ast::{Expr, ExprKind, Literal};
use crate::functions::{Exactness, Function, TextTest};
use crate::program::{Node, Operand, Sought, Test};
use crate::text::{Glob, is_unanchored_shape, needle, regex};
use crate::types::Type;
use model::fold::fold;

impl Checker<'_, '_, '_> {
    pub(super) fn text_test(
        &mut self,
        expr: &Expr,
        function: &Function,
        (test, exactness): (TextTest, Exactness),
        text: &Expr,
        sought: &Expr,
    ) -> Node {
        let (Some(side), Some(sought_side)) = (self.side(text), self.side(sought)) else {
            return broken(expr);
        };
        let mentions = [side.mention(text, self.symbols), sought_side.mention(sought, self.symbols)];
        let operand = self.text_operand(function, &side, text);
        let sought = match &sought.kind {
            ExprKind::Literal(Literal::Text(wanted)) => self.sought(test, exactness, wanted, sought),
            _ if matches!(test, TextTest::Glob | TextTest::Regex) => {
                let flaw = Flaw::error(
                    sought.at.clone(),
                    format!("the pattern of {} stands in quotes", function.name),
                );
                self.flaws.push(flaw.help(format!("write {}", function.signature())));
                None
            }
            _ => self.text_operand(function, &sought_side, sought).map(Sought::Operand),
        };
        match (operand, sought) {
            (Some(text), Some(sought)) => {
                let mentions = mentions.into_iter().flatten().collect();
                node(expr, mentions, Test::Text { test, exactness, text, sought })
            }
            _ => broken(expr),
        }
    }

    fn text_operand(
        &mut self,
        function: &Function,
        side: &super::operand::Side,
        expr: &Expr,
    ) -> Option<Operand> {
        match side.kind() {
            Some(kind @ Type::Text(_)) => self.operand(side, expr, kind),
            Some(Type::Unknown) => self.operand(side, expr, super::operand::PLAIN),
            kind => {
                let noun = kind.map_or("null", Type::noun);
                let message =
                    format!("{} takes text, and `{}` is {noun}", function.name, self.written(&expr.at));
                let flaw = Flaw::error(expr.at.clone(), message);
                self.flaws.push(match kind {
                    Some(kind) if kind.is_ordered() => flaw.help("compare it: ==, <, <=, >, >=, in"),
                    Some(Type::Address) => flaw.help("write from.ip in cidr(\"10.0.0.0/8\")"),
                    Some(Type::Sequence) => flaw.help("write any(sequence, contains(it.Keyword, …))"),
                    _ => flaw,
                });
                None
            }
        }
    }

    fn sought(&mut self, test: TextTest, exactness: Exactness, wanted: &str, expr: &Expr) -> Option<Sought> {
        let is_folded = exactness == Exactness::Folded;
        match test {
            TextTest::Equals => Some(Sought::Constant(fold(wanted).into())),
            TextTest::Contains | TextTest::StartsWith | TextTest::EndsWith => {
                let text = if is_folded { needle(wanted) } else { wanted.into() };
                if text.is_empty() {
                    let flaw = Flaw::warning(expr.at.clone(), "every text has an empty one in it");
                    self.flaws.push(flaw.help("to ask whether there is one, write has(…)"));
                }
                Some(Sought::Constant(text))
            }
            TextTest::Glob => {
                let pattern = if is_folded { fold(wanted) } else { wanted.to_owned() };
                Some(Sought::Glob(Glob::new(&pattern)))
            }
            TextTest::Regex => match regex(wanted, exactness) {
                Ok(regex) => {
                    if is_unanchored_shape(wanted) {
                        let flaw = Flaw::warning(expr.at.clone(), "this matches anywhere in the text");
                        self.flaws.push(flaw.help("for the whole of it, begin with ^ and end with $"));
                    }
                    Some(Sought::Regex(regex))
                }
                Err(reason) => {
                    self.flaws.push(Flaw::error(expr.at.clone(), reason));
                    None
                }
            },
        }
    }
}
