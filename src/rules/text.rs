//! Texts that are looked for in others: folded, with wildcards, as regular expressions.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use model::fold::fold;
use model::limits;
use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization as _;

use crate::functions::Exactness;

/// A text with `*` for any characters and `?` for any one; it matches a text as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// What stands before the first `*`.
    first: Box<str>,
    /// What stands behind each `*`.
    behind: Box<[Box<str>]>,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut segments = pattern.split('*').map(Box::from);
        Self { first: segments.next().unwrap_or_default(), behind: segments.collect() }
    }

    /// How often the longest of its parts that has a `?` may be held against each place of a text.
    pub(crate) fn passes(&self) -> usize {
        let parts = self.behind.iter().filter(|part| part.contains('?'));
        parts.map(|part| part.len()).max().unwrap_or(1)
    }

    /// Takes time in proportion to the product of both lengths at most.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(mut text) = strip(&self.first, text) else { return false };
        let Some((last, between)) = self.behind.split_last() else { return text.is_empty() };
        for segment in between {
            let Some(rest) = find(segment, text) else { return false };
            text = rest;
        }
        ends_with(last, text)
    }
}

/// What stands behind a segment at the beginning of a text.
fn strip<'t>(segment: &str, text: &'t str) -> Option<&'t str> {
    let mut characters = text.chars();
    let fits = segment.chars().all(|wanted| characters.next().is_some_and(|c| wanted == '?' || wanted == c));
    fits.then_some(characters.as_str())
}

/// What stands behind the first occurrence of a segment.
fn find<'t>(segment: &str, text: &'t str) -> Option<&'t str> {
    if !segment.contains('?') {
        return text.split_once(segment).map(|(_, rest)| rest);
    }
    text.char_indices().find_map(|(begin, _)| strip(segment, text.get(begin..)?))
}

fn ends_with(segment: &str, text: &str) -> bool {
    let length = segment.chars().count();
    let begin = match length.checked_sub(1) {
        Some(before) => text.char_indices().rev().nth(before).map(|(begin, _)| begin),
        None => Some(text.len()),
    };
    begin.and_then(|begin| text.get(begin..)).and_then(|end| strip(segment, end)).is_some()
}

/// A text to look for in folded ones: folded, but white space at its ends still parts words.
pub(crate) fn needle(text: &str) -> Box<str> {
    let folded = fold(text);
    if folded.is_empty() {
        return folded.into();
    }
    let space = |is_there: bool| if is_there { " " } else { "" };
    let begin = space(text.starts_with(char::is_whitespace));
    let end = space(text.ends_with(char::is_whitespace));
    format!("{begin}{folded}{end}").into()
}

/// Compiles a regular expression; for folded texts it is folded itself, as far as it has letters beyond ASCII.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn regex(pattern: &str, exactness: Exactness) -> Result<Regex, String> {
    if pattern.len() > limits::PATTERN_BYTES {
        return Err(format!("a regular expression has at most {} bytes", limits::PATTERN_BYTES));
    }
    let (pattern, is_folded) = match exactness {
        Exactness::Folded => (fold_pattern(pattern), true),
        Exactness::Exact => (pattern.to_owned(), false),
    };
    RegexBuilder::new(&pattern)
        .case_insensitive(is_folded)
        .size_limit(limits::REGEX_BYTES)
        .dfa_size_limit(limits::REGEX_CACHE_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "this regular expression is too large once compiled".to_owned()
            }
            error => {
                let text = error.to_string();
                let reason = text.rsplit_once("error: ").map_or(text.as_str(), |(_, reason)| reason);
                format!("this is no regular expression: {}", reason.trim())
            }
        })
}

/// A pattern without accents and with narrow spaces, as the texts are that it is held against. What is of ASCII stays as it is: `\S`
/// is not `\s`.
fn fold_pattern(pattern: &str) -> String {
    let mut folded = String::new();
    for character in pattern.nfc() {
        if character.is_ascii() {
            folded.push(character);
            continue;
        }
        if character.is_whitespace() {
            folded.push(' ');
            continue;
        }
        let text = fold(character.encode_utf8(&mut [0; 4]));
        // A letter that becomes two is still one for `+` and the like, but in a class.
        match text.chars().count() {
            // A mark for which no letter with it exists, or one that picks a glyph.
            0 => {}
            1 => folded.push_str(&text),
            _ if is_in_class(&folded) => folded.push_str(&text),
            _ => folded.extend(["(?:", &text, ")"]),
        }
    }
    folded
}

/// Whether a pattern ends inside of `[…]`.
fn is_in_class(pattern: &str) -> bool {
    let mut is_inside = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
    }
    is_inside
}

/// Whether a regular expression describes the shape of a text, but says neither where it begins nor where it ends, so that it also
/// matches where what it describes is part of something longer. Plain words, and what begins or ends with `.*`, are meant so.
pub(crate) fn is_unanchored_shape(pattern: &str) -> bool {
    let is_anchored =
        ["^", "$", "\\A", "\\z", "\\b", "\\<", "\\>"].iter().any(|anchor| pattern.contains(anchor));
    let is_open = pattern.starts_with(".*") || pattern.ends_with(".*");
    let is_shape =
        ["[", "{", "+", "*", "\\d", "\\w", "\\D", "\\W"].iter().any(|shape| pattern.contains(shape));
    is_shape && !is_anchored && !is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, expected) in [
            ("CT*", "CT1", true),
            ("CT*", "XCT1", false),
            ("*CT", "CTACT", true),
            ("*CT", "CTA", false),
            ("*C?T*", "xxCATyy", true),
            ("*C?T", "C1TC2TC", false),
            ("*C?T", "C1TC2T", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("??", "äö", true),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "anything", true),
            ("a?*?b", "a1b", false),
            ("a?*?b", "a12b", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn needles_keep_the_ends_of_words() {
        assert_eq!(&*needle("  CT "), " ct ");
        assert_eq!(&*needle("Schädel"), "schadel");
        assert_eq!(&*needle("  "), "");
    }

    #[test]
    fn patterns_are_folded_with_care() {
        assert_eq!(fold_pattern(r"^Schädel\S$"), r"^Schadel\S$");
        assert_eq!(fold_pattern("Stra(ß)+[ßx]"), "Stra((?:ss))+[ssx]");
        assert_eq!(fold_pattern(r"\[ß"), r"\[(?:ss)");
        assert_eq!(fold_pattern("^Scha\u{308}del[u\u{308}]?$"), "^Schadel[u]?$");
        assert_eq!(fold_pattern("山田\u{3000}太郎"), "山田 太郎");
        assert_eq!(fold_pattern("葛\u{E0100}城"), "葛城");
    }

    #[test]
    fn regular_expressions_are_bounded() {
        assert!(regex(r"^\w{1,64}$", Exactness::Folded).is_ok());
        assert_eq!(
            regex("(a", Exactness::Exact).unwrap_err(),
            "this is no regular expression: unclosed group"
        );
        assert!(regex(r"(\w{100}){100}", Exactness::Exact).unwrap_err().contains("too large"));
        assert!(
            regex(&"a".repeat(limits::PATTERN_BYTES + 1), Exactness::Exact).unwrap_err().contains("bytes")
        );
        assert!(regex(r"(?=a)", Exactness::Exact).is_err());
    }

    #[test]
    fn shapes_without_ends_are_told_from_words() {
        for pattern in ["chest|thorax", "^[A-Z]+", "CT.*", r"t[12]\b", "c.t", r"1\.2"] {
            assert!(!is_unanchored_shape(pattern), "{pattern}");
        }
        for pattern in ["[A-Z]+", r"\d{3}", "ER_CT[0-9]"] {
            assert!(is_unanchored_shape(pattern), "{pattern}");
        }
    }
}
