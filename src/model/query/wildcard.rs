/// Whether a pattern of wildcard matching fits the whole text: `*` stands for any characters, also none, `?` for any one.
///
/// With case; the caller folds both where the VR asks for it. Time grows with the product of both lengths at worst.
///
/// PS3.4 §C.2.2.2.4.
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on when the rest does not fit: behind the last `*`, which takes one more character then.
    let mut retry = None;
    loop {
        let (before_pattern, before_text) = (pattern.clone(), text.clone());
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = before_text;
                retry = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(expected), Some(character)) if expected == character => {}
            (None, None) => return true,
            (_, None) => {
                // Nothing is left for the pattern but further `*`.
                return before_pattern.clone().all(|character| character == '*');
            }
            (_, Some(_)) => {
                let Some((after_star, taken)) = &mut retry else { return false };
                taken.next();
                (pattern, text) = (after_star.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fits_whole_texts() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "", true),
            ("?", "", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("*b*", "abc", true),
            ("a?c", "abc", true),
            ("a?", "abc", false),
            ("a*d", "abc", false),
            ("*ab", "aab", true),
            ("a*b*c", "axbxbxc", true),
            ("?é?", "xéx", true),
            ("a*?", "a", false),
            ("a*?", "ab", true),
        ] {
            assert_eq!(wildcard_matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    fn by_recursion(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| by_recursion(rest, &text[skipped..])),
            ([b'?', pattern @ ..], [_, text @ ..]) => by_recursion(pattern, text),
            ([a, pattern @ ..], [b, text @ ..]) => a == b && by_recursion(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(wildcard_matches(&pattern, &text), by_recursion(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
