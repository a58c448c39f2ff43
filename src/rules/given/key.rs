use std::ops::Range;

use model::{Tag, Vr, vr};

use super::SPECIFIC_CHARACTER_SET;
use crate::dictionary::closest_keyword;
use crate::finding::Finder;

/// What a key of `given` names.
pub(super) enum Key {
    /// An element whose tag is known.
    Tag(Tag),
    /// An element in the block of its creator.
    Private(Private),
}

/// A private element as rules refer to it.
pub(super) struct Private {
    pub(super) creator: String,
    pub(super) group: u16,
    pub(super) element: u8,
}

impl Key {
    /// The VR by the dictionary, SS over US where the standard leaves the choice and a value is negative; UN where there is none.
    pub(super) fn vr(&self, is_signed: bool) -> Vr {
        match self {
            Self::Tag(tag) => vr::of_tag(*tag, is_signed),
            Self::Private(_) => Vr::UN,
        }
    }
}

/// Reads a keyword, `tag(0008,103E)` or `private("CREATOR", 0x29, 0x10)`; `None` when it is none of them, which is noted.
pub(super) fn read(text: &str, at: &Range<usize>, finder: &mut Finder<'_>) -> Option<Key> {
    if let Some(inside) = call(text, "tag") {
        let Some(tag) = tag(inside) else {
            finder.error(at, format!("no tag in {text:?}"), "for example \"tag(0008,103E)\"".to_owned());
            return None;
        };
        return of_tag(tag, at, finder);
    }
    if let Some(inside) = call(text, "private") {
        let key = private(inside);
        if key.is_none() {
            let help = "for example 'private(\"SIEMENS CSA HEADER\", 0x29, 0x10)': creator, odd group, element \
                        without its block";
            finder.error(at, format!("no private element in {text:?}"), help.to_owned());
        }
        return key.map(Key::Private);
    }
    match vr::tag_of_keyword(text) {
        Some((tag, _)) => of_tag(tag, at, finder),
        None => {
            finder.error(at, format!("unknown keyword {text:?}"), help(text));
            None
        }
    }
}

fn of_tag(tag: Tag, at: &Range<usize>, finder: &mut Finder<'_>) -> Option<Key> {
    let reason = match (tag.group(), tag) {
        (0x0000, _) => "is part of a command",
        (0x0002, _) => "is in the file meta information",
        (0xFFFE, _) => "delimits items",
        (_, SPECIFIC_CHARACTER_SET) => "is always ISO_IR 192 in a test, whose texts are Unicode",
        _ => return Some(Key::Tag(tag)),
    };
    finder.error(
        at,
        format!("({:04X},{:04X}) {reason}, and cannot be given", tag.group(), tag.element()),
        None,
    );
    None
}

fn help(text: &str) -> Option<String> {
    if let Some((keyword, _)) = text.split_once(['[', '.'])
        && let Some((_, vr)) = vr::tag_of_keyword(keyword)
    {
        let example = match vr {
            Vr::SQ => "[{ CodeValue = \"T-D4000\" }]",
            Vr::PN => "\"Family^Given\"",
            _ => "[\"first\", \"second\"]",
        };
        return Some(format!("give the whole element: {keyword} = {example}"));
    }
    closest_keyword(text).map(|keyword| format!("did you mean {keyword}?"))
}

/// What stands between the parentheses of `name(…)`.
fn call<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.trim_end().strip_suffix(')')
}

/// `0008,103E`, or the eight digits alone.
pub(super) fn tag(text: &str) -> Option<Tag> {
    let (group, element) = text.split_once(',').or_else(|| text.split_at_checked(4))?;
    Some(Tag(four_digits(group)?, four_digits(element)?))
}

fn four_digits(text: &str) -> Option<u16> {
    let text = text.trim();
    let is_plain = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(text, 16).ok().filter(|_| is_plain)
}

/// `"CREATOR", 0x29, 0x10`
fn private(text: &str) -> Option<Private> {
    let text = text.trim();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (creator, rest) = text.get(1..)?.split_once(quote)?;
    let (group, element) = rest.trim_start().strip_prefix(',')?.split_once(',')?;
    let group = u16::try_from(number(group)?).ok().filter(|group| group % 2 == 1)?;
    let element = u8::try_from(number(element)?).ok()?;
    let creator = creator.trim();
    (!creator.is_empty()).then(|| Private { creator: creator.to_owned(), group, element })
}

fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
