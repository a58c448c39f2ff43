//! Tokens to an expression.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod path;

use std::ops::Range;

use model::limits;

use crate::Flaw;
use crate::ast::{Expr, ExprKind, Literal, Op};
use crate::functions::FUNCTIONS;
use crate::lex::{Mark, Token, TokenKind, lex};

/// Reads an expression. What cannot be read is reported and [`ExprKind::Broken`], and the rest is read all the same.
pub(crate) fn parse(text: &str, flaws: &mut Vec<Flaw>) -> Expr {
    if text.len() > limits::EXPRESSION_BYTES {
        let message = format!("an expression has at most {} bytes", limits::EXPRESSION_BYTES);
        flaws.push(Flaw::error(0..0, message).help("part it into several rules"));
        return Expr { at: 0..0, kind: ExprKind::Broken };
    }
    let tokens = lex(text, flaws);
    let mut parser = Parser { text, tokens, next: 0, depth: 0, reported: None, flaws };
    if parser.is_at_end() {
        parser.report(
            0..text.len(),
            "there is no expression",
            Some("one that always holds is written: true".to_owned()),
        );
        return Expr { at: 0..text.len(), kind: ExprKind::Broken };
    }
    let expr = parser.any_of();
    parser.expect_end(&expr);
    expr
}

struct Parser<'t, 'f> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    next: usize,
    depth: usize,
    /// The token at which something was last reported: what follows from it is not.
    reported: Option<usize>,
    flaws: &'f mut Vec<Flaw>,
}

impl<'t> Parser<'t, '_> {
    /// `a || b`
    fn any_of(&mut self) -> Expr {
        self.chain(Mark::Or, "or", Self::all_of, ExprKind::Or)
    }

    /// `a && b`
    fn all_of(&mut self) -> Expr {
        self.chain(Mark::And, "and", Self::comparison, ExprKind::And)
    }

    fn chain(
        &mut self,
        mark: Mark,
        word: &str,
        operand: fn(&mut Self) -> Expr,
        make: fn(Vec<Expr>) -> ExprKind,
    ) -> Expr {
        let first = operand(self);
        let mut operands = vec![first];
        loop {
            if self.is_word(word) {
                let at = self.here();
                self.report(
                    at,
                    &format!("`{word}` is no operator"),
                    Some(format!("write {}", mark.as_str())),
                );
            } else if !self.is_mark(mark) {
                break;
            }
            self.next += 1;
            operands.push(operand(self));
        }
        if operands.len() == 1
            && let Some(only) = operands.pop()
        {
            return only;
        }
        let at =
            operands.first().map_or(0, |expr| expr.at.start)..operands.last().map_or(0, |expr| expr.at.end);
        Expr { at, kind: make(operands) }
    }

    /// `a == b`, `a in b`. What stands behind a second operator is read for its own mistakes only, so that no chain nests.
    fn comparison(&mut self) -> Expr {
        let mut left = self.sum();
        let mut operators = 0_usize;
        loop {
            let op = match &self.token().kind {
                TokenKind::Mark(mark) => comparison_of(*mark),
                TokenKind::Word("in") => None,
                TokenKind::Word("not") if self.is_word_at(1, "in") => {
                    let at = self.here().start..self.here_at(1).end;
                    self.report(at, "`not in` is no operator", Some("write !(… in …)".to_owned()));
                    self.next += 1;
                    None
                }
                _ => return left,
            };
            if op.is_none() && !self.is_word("in") {
                return left;
            }
            operators += 1;
            if operators == 2 {
                let help = "write the two with && between them".to_owned();
                self.report(self.here(), "a comparison has two sides", Some(help));
            }
            self.next += 1;
            let right = self.sum();
            if operators > 1 {
                continue;
            }
            let at = left.at.start..right.at.end;
            let (left_side, right) = (Box::new(left), Box::new(right));
            let kind = match op {
                Some(op) => ExprKind::Compare { op, left: left_side, right },
                None => ExprKind::In { left: left_side, right },
            };
            left = Expr { at, kind };
        }
    }

    /// `today() - days(30)`
    fn sum(&mut self) -> Expr {
        let first = self.unary();
        let mut terms = Vec::new();
        loop {
            let is_minus = self.is_mark(Mark::Minus);
            if !is_minus && !self.is_mark(Mark::Plus) {
                break;
            }
            self.next += 1;
            terms.push((is_minus, self.unary()));
        }
        let Some((_, last)) = terms.last() else { return first };
        Expr { at: first.at.start..last.at.end, kind: ExprKind::Sum { first: Box::new(first), terms } }
    }

    /// `!a`, `-1`
    fn unary(&mut self) -> Expr {
        let begin = self.here().start;
        if self.is_word("not") && !matches!(self.kind_at(1), TokenKind::Mark(_) | TokenKind::End)
            || self.is_word("not") && self.kind_at(1) == &TokenKind::Mark(Mark::Open)
        {
            self.report(self.here(), "`not` is no operator", Some("write !".to_owned()));
        } else if self.is_mark(Mark::Minus) {
            return self.negative();
        } else if !self.is_mark(Mark::Not) {
            return self.primary();
        }
        self.next += 1;
        let operand = self.deeper(Self::unary);
        Expr { at: begin..operand.at.end, kind: ExprKind::Not(Box::new(operand)) }
    }

    fn negative(&mut self) -> Expr {
        let begin = self.here();
        self.next += 1;
        let operand = self.deeper(Self::unary);
        let at = begin.start..operand.at.end;
        match operand.kind {
            ExprKind::Literal(Literal::Number(number)) => {
                Expr { at, kind: ExprKind::Literal(Literal::Number(-number)) }
            }
            ExprKind::Broken => operand,
            _ => {
                self.flaws.push(Flaw::error(begin, "`-` stands before something that is no number"));
                Expr { at, kind: ExprKind::Broken }
            }
        }
    }

    fn primary(&mut self) -> Expr {
        let at = self.here();
        match self.token().kind.clone() {
            TokenKind::Text(text) => self.literal(Literal::Text(text)),
            TokenKind::Number(written) => {
                let number = self.number(written, at);
                self.literal(Literal::Number(number))
            }
            TokenKind::Word("true") => self.literal(Literal::Condition(true)),
            TokenKind::Word("false") => self.literal(Literal::Condition(false)),
            TokenKind::Word("null") => self.literal(Literal::Null),
            TokenKind::Word("cs") if self.is_mark_at(1, Mark::Dot) && self.is_mark_at(3, Mark::Open) => {
                let name = self.kind_at(2).clone();
                let TokenKind::Word(name) = name else { return self.missing() };
                let function_at = at.start..self.here_at(2).end;
                self.next += 3;
                self.call(format!("cs.{name}"), function_at)
            }
            TokenKind::Word("private" | "tag") if self.is_mark_at(1, Mark::Open) => self.path(),
            TokenKind::Word(name) if self.is_mark_at(1, Mark::Open) => {
                self.next += 1;
                self.call(name.to_owned(), at)
            }
            TokenKind::Word("in" | "and" | "or") => self.missing(),
            TokenKind::Word(_) => self.path(),
            TokenKind::Mark(Mark::Open) => self.deeper(Self::group),
            TokenKind::Mark(Mark::OpenList) => self.deeper(Self::list),
            TokenKind::Mark(_) | TokenKind::End => self.missing(),
        }
    }

    fn literal(&mut self, literal: Literal) -> Expr {
        let at = self.here();
        self.next += 1;
        Expr { at, kind: ExprKind::Literal(literal) }
    }

    fn number(&mut self, written: &str, at: Range<usize>) -> f64 {
        let hexadecimal = written.strip_prefix("0x").or_else(|| written.strip_prefix("0X"));
        let number = match hexadecimal {
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
            None if written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => written.parse().ok(),
            None => None,
        };
        number.filter(|number: &f64| number.is_finite()).unwrap_or_else(|| {
            let help = "numbers are written as 12, 1.5 or 0x1F; text stands in quotes".to_owned();
            self.report(at, &format!("`{written}` is no number"), Some(help));
            0.0
        })
    }

    /// `(a)`: the expression inside, which stands where the parentheses do not.
    fn group(&mut self) -> Expr {
        let open = self.here();
        self.next += 1;
        let inner = self.any_of();
        self.close(Mark::Close, open);
        inner
    }

    fn list(&mut self) -> Expr {
        let open = self.here();
        self.next += 1;
        let items = self.separated(Mark::CloseList);
        let end = self.close(Mark::CloseList, open.clone());
        Expr { at: open.start..end, kind: ExprKind::List(items) }
    }

    /// From the parenthesis behind the name on.
    fn call(&mut self, function: String, function_at: Range<usize>) -> Expr {
        self.deeper(|parser| {
            let open = parser.here();
            parser.next += 1;
            let arguments = parser.separated(Mark::Close);
            let end = parser.close(Mark::Close, open);
            let at = function_at.start..end;
            Expr { at, kind: ExprKind::Call { function, function_at, arguments } }
        })
    }

    fn separated(&mut self, end: Mark) -> Vec<Expr> {
        let mut items = Vec::new();
        if self.is_mark(end) {
            return items;
        }
        loop {
            items.push(self.any_of());
            if !self.is_mark(Mark::Comma) {
                return items;
            }
            self.next += 1;
        }
    }

    /// Takes the end of what was opened; returns where it ends.
    fn close(&mut self, mark: Mark, open: Range<usize>) -> usize {
        if !self.is_mark(mark) && !self.is_at_end() {
            self.unexpected(None);
            self.skip_to(|kind| matches!(kind, TokenKind::Mark(Mark::Close | Mark::CloseList)));
        }
        if self.is_mark(mark) {
            let end = self.here().end;
            self.next += 1;
            return end;
        }
        let opened = if mark == Mark::Close { "(" } else { "[" };
        self.report(open, &format!("this `{opened}` is not closed"), None);
        self.behind()
    }

    fn expect_end(&mut self, expr: &Expr) {
        let mut operand = Some(expr);
        while !self.is_at_end() {
            if self.is_mark(Mark::Close) || self.is_mark(Mark::CloseList) {
                let message = format!("this {} closes nothing", self.token().kind);
                self.report(self.here(), &message, None);
                self.next += 1;
            } else {
                self.unexpected(operand.take());
            }
            // What stands behind is read for its own mistakes.
            let is_joined = self.skip_to(|kind| {
                matches!(kind, TokenKind::Mark(Mark::And | Mark::Or | Mark::Close | Mark::CloseList))
            });
            if is_joined && !self.is_mark(Mark::Close) && !self.is_mark(Mark::CloseList) {
                self.next += 1;
                self.any_of();
            }
        }
    }

    /// Reports a token that continues nothing.
    fn unexpected(&mut self, operand: Option<&Expr>) {
        let token = self.token().clone();
        let written = operand.and_then(|expr| self.text.get(expr.at.clone())).filter(|text| text.len() <= 40);
        let help = match &token.kind {
            TokenKind::Word(word) if FUNCTIONS.iter().any(|function| function.name == *word) => {
                format!("{word} is called as {word}({}, …)", written.unwrap_or("…"))
            }
            TokenKind::Word("is") => "write ==, or == null for what is absent".to_owned(),
            TokenKind::Mark(Mark::Comma) => "conditions are joined by && or ||".to_owned(),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Word(_) => {
                "an operator is missing before it: ==, in, &&, || …".to_owned()
            }
            _ => "expected && or ||".to_owned(),
        };
        self.report(token.at, &format!("{} is not expected here", token.kind), Some(help));
    }

    /// Reports that an operand is missing; what stands in its place stays.
    fn missing(&mut self) -> Expr {
        let token = self.token().clone();
        let message = match token.kind {
            TokenKind::End => "the expression ends where a value is missing".to_owned(),
            kind => format!("{kind} stands where a value is missing"),
        };
        self.report(token.at.clone(), &message, None);
        Expr { at: token.at.start..token.at.start, kind: ExprKind::Broken }
    }

    /// Parses what is one level further inside, unless that is too deep.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if self.depth >= limits::EXPRESSION_DEPTH {
            let message = format!("more than {} levels inside each other", limits::EXPRESSION_DEPTH);
            let at = self.here();
            self.report(at.clone(), &message, Some("part it into several rules".to_owned()));
            self.next = self.tokens.len().saturating_sub(1);
            self.reported = Some(self.next);
            return Expr { at, kind: ExprKind::Broken };
        }
        self.depth += 1;
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    /// Says what is wrong, unless something was said at this token already.
    fn report(&mut self, at: Range<usize>, message: &str, help: Option<String>) {
        if self.reported.replace(self.next) != Some(self.next) {
            self.flaws.push(Flaw { help, ..Flaw::error(at, message) });
        }
    }

    /// Steps to the first token that is wanted, or to the end; returns whether there is one.
    fn skip_to(&mut self, is_wanted: impl Fn(&TokenKind<'t>) -> bool) -> bool {
        while !self.is_at_end() && !is_wanted(&self.token().kind) {
            self.next += 1;
        }
        !self.is_at_end()
    }

    fn token(&self) -> &Token<'t> {
        self.token_at(0)
    }

    fn token_at(&self, ahead: usize) -> &Token<'t> {
        self.tokens.get(self.next + ahead).or(self.tokens.last()).unwrap_or(&END)
    }

    fn kind_at(&self, ahead: usize) -> &TokenKind<'t> {
        &self.token_at(ahead).kind
    }

    fn here(&self) -> Range<usize> {
        self.here_at(0)
    }

    fn here_at(&self, ahead: usize) -> Range<usize> {
        self.token_at(ahead).at.clone()
    }

    /// Where the last token that was taken ends.
    fn behind(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.at.end)
    }

    fn is_at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    fn is_mark(&self, mark: Mark) -> bool {
        self.is_mark_at(0, mark)
    }

    fn is_mark_at(&self, ahead: usize, mark: Mark) -> bool {
        self.kind_at(ahead) == &TokenKind::Mark(mark)
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.kind_at(ahead), TokenKind::Word(written) if *written == word)
    }
}

static END: Token<'static> = Token { at: 0..0, kind: TokenKind::End };

fn comparison_of(mark: Mark) -> Option<Op> {
    match mark {
        Mark::Equal => Some(Op::Equal),
        Mark::NotEqual => Some(Op::NotEqual),
        Mark::Less => Some(Op::Less),
        Mark::LessEqual => Some(Op::LessEqual),
        Mark::Greater => Some(Op::Greater),
        Mark::GreaterEqual => Some(Op::GreaterEqual),
        Mark::And | Mark::Or | Mark::Not | Mark::Open | Mark::Close | Mark::OpenList | Mark::CloseList => {
            None
        }
        Mark::Comma | Mark::Dot | Mark::Plus | Mark::Minus => None,
    }
}
