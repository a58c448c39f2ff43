//! How names sound, for fuzzy semantic matching of person names (PS3.4 §C.2.2.2.1), which leaves the way to the SCP.
//!
//! A word in Latin letters is reduced after Hans Joachim Postel's Kölner Phonetik (1969): to its consonants, which stand for
//! others of the same sound, and the mark of a vowel at its beginning. So *Meyer, Maier, Mayr* are the same, and so are *Schmidt,
//! Schmitt, Smith* and *Szabó, Sabo*. Other than there, *m* and *n* stay apart. A word in another script is compared as it is,
//! folded.

use crate::fold::fold;

/// One word of a key, by its sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// The whole word.
    Word(String),
    /// The beginning of a word, of which a `*` leaves the rest open.
    Beginning(String),
}

/// The sounds of the words in all component groups of a name, each once, in order. None is empty.
pub fn of_name(name: &str) -> Vec<String> {
    let mut sounds: Vec<String> = words(&fold(name)).map(of_word).filter(|sound| !sound.is_empty()).collect();
    sounds.sort_unstable();
    sounds.dedup();
    sounds
}

/// What the words of a key sound like; `None` where sounds cannot tell: with wildcards other than a `*` at the end of a word, with a
/// beginning of less than two sounds, and without any word.
pub fn of_key(name: &str) -> Option<Vec<Sound>> {
    let folded = fold(name);
    let sounds = words(&folded).map(|word| match word.strip_suffix('*') {
        _ if word.contains('?') => None,
        Some(beginning) if beginning.contains('*') => None,
        Some(beginning) => {
            let sound = of_beginning(beginning);
            (sound.chars().count() >= 2).then_some(Sound::Beginning(sound))
        }
        None if word.contains('*') => None,
        None => Some(of_word(word)).filter(|sound| !sound.is_empty()).map(Sound::Word),
    });
    sounds.collect::<Option<Vec<_>>>().filter(|sounds| !sounds.is_empty())
}

/// Words are parted by the delimiters of person names, white space and hyphens.
fn words(folded: &str) -> impl Iterator<Item = &str> {
    let is_delimiter = |c: char| matches!(c, '^' | '=' | '\\' | '-' | ',' | '/') || c.is_whitespace();
    folded
        .split(is_delimiter)
        .filter(|word| word.chars().any(|c| c.is_alphanumeric() || c == '*' || c == '?'))
}

/// The sound of a beginning: less the letters at its end whose sound the next letter decides.
fn of_beginning(word: &str) -> String {
    if word.is_ascii() { of_word(word.trim_end_matches(['c', 'd', 'p', 't', 'x'])) } else { word.to_owned() }
}

fn of_word(word: &str) -> String {
    if !word.is_ascii() {
        return word.to_owned();
    }
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let mut sound = String::new();
    let mut last = None;
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at).copied());
        for code in of_letter(before, letter, letters.get(at + 1).copied()).bytes() {
            // A vowel parts equal consonants; of its own it is heard at the beginning only.
            if last != Some(code) && (code != VOWEL || sound.is_empty()) {
                sound.push(char::from(code));
            }
            last = Some(code);
        }
    }
    sound
}

/// The code of a letter between two others; none for a letter that is not heard.
fn of_letter(before: Option<u8>, letter: u8, after: Option<u8>) -> &'static str {
    let is_before = |letters: &[u8]| after.is_some_and(|after| letters.contains(&after));
    let is_after = |letters: &[u8]| before.is_some_and(|before| letters.contains(&before));
    match letter {
        b'a' | b'e' | b'i' | b'j' | b'o' | b'u' | b'y' => "a",
        b'b' => "p",
        b'p' if is_before(b"h") => "f",
        b'p' => "p",
        b'd' | b't' if is_before(b"csz") => "s",
        b'd' | b't' => "t",
        b'f' | b'v' | b'w' => "f",
        b'g' | b'k' | b'q' => "k",
        b'c' if is_after(b"sz") => "s",
        b'c' if before.is_none() && is_before(b"lr") => "k",
        b'c' if is_before(b"ahkoqux") => "k",
        b'c' => "s",
        b'x' if is_after(b"ckq") => "s",
        b'x' => "ks",
        b'l' => "l",
        b'm' => "m",
        b'n' => "n",
        b'r' => "r",
        b's' | b'z' => "s",
        b'0'..=b'9' => digit(letter),
        _ => "",
    }
}

fn digit(letter: u8) -> &'static str {
    let at = usize::from(letter.saturating_sub(b'0'));
    "0123456789".get(at..=at).unwrap_or_default()
}

const VOWEL: u8 = b'a';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str) -> String {
        of_name(name).join(" ")
    }

    #[test]
    fn names_that_sound_alike_have_one_sound() {
        for alike in [
            &["Meyer", "Meier", "Maier", "Mayr", "MEYR"][..],
            &["Schmidt", "Schmitt", "Schmid", "Smith", "Schmiedt"],
            &["Müller", "Mueller", "Muller", "Miller"],
            &["Szabó", "Sabo"],
            &["Kovács", "Kovač", "Kowatz"],
            &["Philipp", "Filip"],
            &["Christian", "Kristian"],
            &["Österreicher", "Oesterreicher"],
            &["O'Brien", "OBrien"],
            &["Alexander", "Aleksander"],
            &["Jansen", "Janssen"],
        ] {
            for name in alike {
                assert_eq!(one(name), one(alike[0]), "{name}");
            }
        }
        for (one_name, other) in [
            ("Meyer", "Meyerson"),
            ("Berg", "Bern"),
            ("Simon", "Simson"),
            ("Lang", "Lam"),
            ("Anna", "Hanna1"),
        ] {
            assert_ne!(one(one_name), one(other), "{one_name} {other}");
        }
    }

    #[test]
    fn a_name_has_the_sounds_of_its_words() {
        assert_eq!(of_name("Müller-Lüdenscheidt^Jürgen"), ["arkn", "ltnst", "mlr"]);
        assert_eq!(
            of_name("Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ["amt", "tr", "たろう", "やまた", "太郎", "山田"]
        );
        assert_eq!(of_name("^^ = "), Vec::<String>::new());
        assert_eq!(of_name("Lee Lee"), ["l"]);
        assert_eq!(of_name("Test1^H"), ["tst1"], "nothing is heard of an H");
    }

    #[test]
    fn keys_tell_words_and_beginnings() {
        let word = |sound: &str| Sound::Word(sound.to_owned());
        let beginning = |sound: &str| Sound::Beginning(sound.to_owned());
        assert_eq!(of_key("Mueller^J"), Some(vec![word("mlr"), word("a")]));
        assert_eq!(of_key("mey* anna"), None, "one sound is too little of a beginning");
        assert_eq!(of_key("meyer* anna"), Some(vec![beginning("mr"), word("an")]));
        assert_eq!(of_key("meyer*"), Some(vec![beginning("mr")]));
        assert_eq!(of_key("schmid*"), Some(vec![beginning("sm")]));
        assert_eq!(of_key("山田*"), Some(vec![beginning("山田")]));
        for literal in ["*", "m*", "*meyer", "me?er", "m*r*", "a*", "", "^", "doe ^j*"] {
            assert_eq!(of_key(literal), None, "{literal}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_found_by_itself_and_by_its_beginnings(name in "[A-Za-zäöüß^ -]{1,20}", cut in 1_usize..20) {
            let sounds = of_name(&name);
            if let Some(key) = of_key(&name) {
                for sound in key {
                    let Sound::Word(sound) = sound else { panic!("no wildcard") };
                    prop_assert!(sounds.contains(&sound));
                }
            }
            let first = name.split(['^', ' ', '-']).next().unwrap_or_default();
            let begun: String = first.chars().take(cut).collect();
            if let Some(key) = of_key(&format!("{begun}*")) {
                let [Sound::Beginning(begun)] = &key[..] else { panic!("{key:?}") };
                prop_assert!(sounds.iter().any(|sound| sound.starts_with(begun.as_str())), "{} {:?}", begun, sounds);
            }
        }
    }
}
