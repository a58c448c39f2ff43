#![deny(clippy::indexing_slicing, clippy::string_slice)]

use super::Matching;

impl Matching {
    /// Whether a text meets this as it stands: with case, a range by the order of text.
    ///
    /// For values that no index has, such as our own AE title. Takes at most the product of both lengths for each pattern,
    /// see [`limits::PATTERN_BYTES`](crate::limits::PATTERN_BYTES). Matching of a sequence, and of a
    /// date with its time, is never met.
    ///
    /// PS3.4 §C.2.2.2.
    pub fn is_met_by(&self, value: &str) -> bool {
        match self {
            Self::Single(wanted) => value == wanted,
            Self::UidList(wanted) => wanted.iter().any(|wanted| value == wanted),
            Self::Wildcard(pattern) => matches_wildcard(pattern, value),
            Self::Range { from, to } => {
                !value.is_empty()
                    && from.as_deref().is_none_or(|from| from <= value)
                    && to.as_deref().is_none_or(|to| value <= to)
            }
            Self::Empty => value.is_empty(),
            // These are about more than one text.
            Self::Moments { .. } | Self::Item(_) => false,
            Self::AnyOf(parts) => parts.iter().any(|part| part.is_met_by(value)),
        }
    }
}

/// Wildcard matching: `*` stands for any characters, none included, `?` for any one.
///
/// PS3.4 §C.2.2.2.4.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where the last star stands, and how much of the text it has taken.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut rest = text.clone();
        let is_met = match (pattern.next(), rest.next()) {
            (Some('*'), _) => {
                star = Some((pattern.clone(), text.clone()));
                continue;
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => true,
            (Some(wanted), Some(found)) => wanted == found,
            (Some(_), None) => return false,
            (None, Some(_)) => false,
        };
        if is_met {
            text = rest;
            continue;
        }
        let Some((after, taken)) = &mut star else { return false };
        if taken.next().is_none() {
            return false;
        }
        (pattern, text) = (after.clone(), taken.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*ab*ab", "abaab", true),
            ("?", "", false),
            ("?", "é", true),
            ("a?c", "abc", true),
            ("**?*", "", false),
            ("**?*", "x", true),
            ("[a]", "a", false),
            ("a*b*c*d", "aXbXcX", false),
        ] {
            assert_eq!(matches_wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_kind_of_matching_can_be_asked() {
        let single = |text: &str| Matching::Single(text.to_owned());
        let range = |from: Option<&str>, to: Option<&str>| Matching::Range {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        for (matching, met, unmet) in [
            (single("A"), "A", "a"),
            (Matching::UidList(vec!["A".into(), "B".into()]), "B", "C"),
            (Matching::Wildcard("A*".into()), "AB", "B"),
            (range(Some("2"), Some("3")), "3", "4"),
            (range(None, Some("3")), "1", ""),
            (range(Some("2"), None), "3", "1"),
            (Matching::Empty, "", "A"),
            (Matching::AnyOf(vec![single("A"), Matching::Empty]), "", "B"),
        ] {
            assert!(matching.is_met_by(met) && !matching.is_met_by(unmet), "{matching:?}");
        }
    }

    /// By the definition, without regard to time.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some(('*', rest)), _) => {
                (0..=text.len()).any(|taken| text.get(taken..).is_some_and(|text| slowly(rest, text)))
            }
            (Some((wanted, pattern)), Some((found, text))) => {
                (*wanted == '?' || wanted == found) && slowly(pattern, text)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches_wildcard(&pattern, &text), slowly(&chars(&pattern), &chars(&text)));
        }
    }
}
