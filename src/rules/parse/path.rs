//! References: attributes, numbers of items and values, parts of names.

use std::ops::Range;

use model::Tag;

use super::Parser;
use crate::Flaw;
use crate::ast::{Expr, ExprKind, Part, PartKind, Path};
use crate::lex::{Mark, TokenKind};

impl<'t> Parser<'t, '_> {
    /// `Keyword[0].family`, `it.Keyword`, `private(…)`, `tag(…)`: from its first word on.
    pub(super) fn path(&mut self) -> Expr {
        let begin = self.here().start;
        let is_of_it = self.is_word("it");
        let mut path = Path { is_of_it, parts: Vec::new() };
        let mut is_broken = false;
        if is_of_it {
            self.next += 1;
        } else {
            is_broken |= self.name(&mut path, begin);
        }
        loop {
            if self.is_mark(Mark::Dot) {
                self.next += 1;
                is_broken |= self.name(&mut path, begin);
            } else if self.is_mark(Mark::OpenList) {
                is_broken |= self.item_number(&mut path);
            } else {
                break;
            }
            if is_broken {
                break;
            }
        }
        let kind = if is_broken { ExprKind::Broken } else { ExprKind::Path(path) };
        Expr { at: begin..self.behind(), kind }
    }

    /// A part that begins with a word; returns whether it is broken.
    fn name(&mut self, path: &mut Path, begin: usize) -> bool {
        let at = self.here();
        let TokenKind::Word(word) = self.token().kind else {
            let help = "a keyword such as Modality, or a part of a name such as family".to_owned();
            let message = format!("{} stands where a name is missing", self.token().kind);
            self.report(at, &message, Some(help));
            return true;
        };
        if self.is_mark_at(1, Mark::Open) {
            let kind = match word {
                "private" => self.private(),
                "tag" => self.raw_tag(),
                _ => return self.method(word, begin),
            };
            let at = at.start..self.behind();
            return kind.map(|kind| path.parts.push(Part { at, kind })).is_none();
        }
        self.next += 1;
        path.parts.push(Part { at, kind: PartKind::Name(word.to_owned()) });
        false
    }

    /// `X.contains("a")`, which other languages have.
    fn method(&mut self, word: &str, begin: usize) -> bool {
        let (at, subject) = (self.here(), self.text.get(begin..self.here().start).unwrap_or_default());
        let help = format!("write {word}({}, …)", subject.trim_end().trim_end_matches('.'));
        self.report(at.clone(), "functions are not called on a value", Some(help));
        self.next += 1;
        self.call(word.to_owned(), at);
        true
    }

    fn item_number(&mut self, path: &mut Path) -> bool {
        let open = self.here();
        self.next += 1;
        let at = self.here();
        let number = match self.token().kind {
            TokenKind::Number(written) => written.parse::<u32>().ok(),
            _ => None,
        };
        let Some(number) = number else {
            let help = "numbers of values and items count from 0: X[0]".to_owned();
            self.report(at, "the number of a value or item is missing", Some(help));
            self.skip_to(|kind| matches!(kind, TokenKind::Mark(Mark::CloseList)));
            self.close(Mark::CloseList, open);
            return true;
        };
        self.next += 1;
        let end = self.close(Mark::CloseList, open.clone());
        path.parts.push(Part { at: open.start..end, kind: PartKind::Number(number) });
        false
    }

    /// `private("CREATOR", 0x29, 0x10)`
    fn private(&mut self) -> Option<PartKind> {
        let begin = self.here().start;
        self.next += 1;
        let open = self.here();
        self.next += 1;
        let arguments = self.raw_arguments();
        let at = begin..self.close(Mark::Close, open);
        let help = "private creator in quotes, group, element: private(\"SIEMENS CSA HEADER\", 0x29, 0x10)";
        let [(creator_at, TokenKind::Text(creator)), group, element] = arguments.as_slice() else {
            self.flaws.push(Flaw::error(at, "private(…) takes a text and two numbers").help(help));
            return None;
        };
        let creator = creator.trim_matches([' ', '\0']);
        if creator.is_empty() {
            self.flaws.push(Flaw::error(creator_at.clone(), "the private creator is empty").help(help));
            return None;
        }
        let number = hexadecimal(group).filter(|number| number % 2 == 1 && *number > 8);
        let Some(number) = number else {
            let flaw = Flaw::error(group.0.clone(), "this is no private group");
            self.flaws.push(flaw.help("private groups are odd and hexadecimal: 0x29, 0x0019"));
            return None;
        };
        let Some(element) = hexadecimal(element).and_then(|number| u8::try_from(number).ok()) else {
            let flaw = Flaw::error(element.0.clone(), "this is no element of a private block");
            self.flaws.push(flaw.help(
                "the last two digits of it: for (0029,1010) write 0x10, and the creator finds the block",
            ));
            return None;
        };
        Some(PartKind::Private { creator: creator.to_owned(), group: number, element })
    }

    /// `tag(0008,103E)`
    fn raw_tag(&mut self) -> Option<PartKind> {
        let begin = self.here().start;
        self.next += 1;
        let open = self.here();
        self.next += 1;
        let arguments = self.raw_arguments();
        let at = begin..self.close(Mark::Close, open);
        let tag = match arguments.as_slice() {
            [group, element] => half(group).zip(half(element)).map(|(group, element)| Tag(group, element)),
            _ => None,
        };
        if tag.is_none() {
            let flaw = Flaw::error(at, "this is no tag");
            self.flaws.push(flaw.help("group and element have four hexadecimal digits: tag(0008,103E)"));
        }
        tag.map(PartKind::Tag)
    }

    /// Single tokens with commas between them.
    fn raw_arguments(&mut self) -> Vec<Argument<'t>> {
        let mut arguments = Vec::new();
        while !self.is_at_end() && !self.is_mark(Mark::Close) {
            arguments.push((self.here(), self.token().kind.clone()));
            self.next += 1;
            if !self.is_mark(Mark::Comma) {
                break;
            }
            self.next += 1;
        }
        arguments
    }
}

type Argument<'t> = (Range<usize>, TokenKind<'t>);

fn hexadecimal((_, kind): &Argument<'_>) -> Option<u16> {
    let TokenKind::Number(written) = kind else { return None };
    let digits = written.strip_prefix("0x").or_else(|| written.strip_prefix("0X"))?;
    u16::from_str_radix(digits, 16).ok()
}

/// One half of a tag.
fn half((_, kind): &Argument<'_>) -> Option<u16> {
    let (TokenKind::Number(written) | TokenKind::Word(written)) = kind else { return None };
    u16::from_str_radix(written, 16).ok().filter(|_| written.len() == 4)
}
