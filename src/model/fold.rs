//! Text as matching sees it: without case, accents and spacing (PS3.4 §C.2.2.2.1, §C.2.2.2.4 leave this to the SCP
//! for person names).

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Folds a text: compatibility forms unified, case folded, accents dropped, white space collapsed and trimmed.
///
/// Idempotent. The wildcards `*` and `?` are left as they are, so a pattern is folded the same way as what it is matched against.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return collapse(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
    // Twice, because case folding may yield what decomposes again, and the other way round; composed in the end so
    // that `?` stands for a Hangul syllable and not for a part of one.
    let once = text.nfkd().filter(|&c| !is_accent(c)).default_case_fold();
    let twice = once.nfkd().filter(|&c| !is_accent(c)).default_case_fold();
    collapse(twice.nfkd().filter(|&c| !is_accent(c)).map(without_stroke).nfc())
}

/// The component groups of a person name (alphabetic, ideographic, phonetic), each folded and less the `^` at its end.
///
/// Empty groups are left out. PS3.5 §6.2.1.
pub fn fold_person_name(text: &str) -> Vec<String> {
    fold_groups(text).filter(|group| !group.is_empty()).collect()
}

/// As [`fold_person_name`], each group in its place: empty ones are there, too.
pub fn fold_groups(text: &str) -> impl Iterator<Item = String> {
    text.split('=').map(|group| {
        let components: Vec<String> = group.split('^').map(fold).collect();
        components.join("^").trim_end_matches('^').to_owned()
    })
}

/// Marks that vary a letter: accents, voicing marks, points, tones. Vowel signs of South and Southeast Asian scripts,
/// and the marks that silence a vowel, are letters in their own right and stay.
fn is_accent(character: char) -> bool {
    match canonical_combining_class(character) {
        0 | 9 | 84 | 91 | 103 | 118 | 129..=132 => is_variation_selector(character),
        _ => true,
    }
}

/// They pick a glyph for the character before them, in Japanese names not rarely.
fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Letters whose accent Unicode does not part from them; a keyboard without them has the bare letter.
fn without_stroke(character: char) -> char {
    match character {
        'đ' => 'd',
        'ħ' => 'h',
        'ı' => 'i',
        'ł' => 'l',
        'ø' => 'o',
        'ŧ' => 't',
        _ => character,
    }
}

fn collapse(characters: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut space = false;
    for character in characters {
        if character.is_whitespace() || character == '\0' {
            space = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(character);
    }
    out
}

/// What stands before the `^*` at the end of a group, where nothing else is a wildcard: `doe^*` also finds who has no more
/// than `doe`, whose delimiters are not stored.
pub fn without_rest(group: &str) -> Option<&str> {
    let bare = group.strip_suffix("^*")?.trim_end_matches('^');
    (!bare.is_empty() && !bare.contains(['*', '?'])).then_some(bare)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn drops_case_accents_and_spacing() {
        for (text, folded) in [
            ("MÜLLER", "muller"),
            ("Mu\u{308}ller ", "muller"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("Łukasz Sørensen", "lukasz sorensen"),
            ("Ό̓Σος", "οσοσ"),
            ("ﬁn  de\tsiècle", "fin de siecle"),
            ("İstanbul YILMAZ Yılmaz", "istanbul yilmaz yilmaz"),
            ("ﾔﾏﾀﾞ", "ヤマタ"),
            ("ヤマダ", "ヤマタ"),
            ("山田　太郎", "山田 太郎"),
            ("葛\u{E0100}城", "葛城"),
            ("홍길동", "홍길동"),
            ("ปิ่น", "ปิน"),
            ("A*B?", "a*b?"),
            (" \0", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn folds_a_person_name_by_group() {
        assert_eq!(fold_person_name("Yamada ^Tarou^^=山田^太郎="), ["yamada^tarou", "山田^太郎"]);
        assert_eq!(fold_person_name("=山田"), ["山田"]);
        assert_eq!(fold_person_name("DOE^ Jane*"), ["doe^jane*"]);
        assert!(fold_person_name("^^^ = ").is_empty());
    }

    #[test]
    fn folding_again_changes_nothing_for_any_assigned_character() {
        // Planes 0 to 3, and the variation selectors; the rest is unassigned or of private use.
        for character in (0..0x3_3500).chain(0xE_0100..0xE_01F0).filter_map(char::from_u32) {
            let once = fold(&format!("a{character}a"));
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(character));
        }
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in "\\PC*") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn case_does_not_matter(text in "[a-zà-öø-ýα-ωа-я ^*?]*") {
            prop_assert_eq!(fold(&text), fold(&text.to_uppercase()));
        }
    }
}
