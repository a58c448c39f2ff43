//! What the data dictionary of the standard says about attributes, beyond their VR (PS3.6 §6).

use std::collections::HashMap;
use std::sync::OnceLock;

/// Keywords of the attributes of data sets, each with its value multiplicity where that is not 1.
const ATTRIBUTES: &str = include_str!("attributes.tsv");

/// The value multiplicity of an attribute that has, or may have, several values, such as `2-n` (PS3.5 §6.4).
pub(crate) fn multiplicity(keyword: &str) -> Option<&'static str> {
    static MULTIPLE: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    MULTIPLE
        .get_or_init(|| ATTRIBUTES.lines().filter_map(|line| line.split_once('\t')).collect())
        .get(keyword)
        .copied()
}

/// The keyword that a mistyped one was probably meant to be.
pub fn closest_keyword(given: &str) -> Option<&'static str> {
    let known = || ATTRIBUTES.lines().map(|line| line.split_once('\t').map_or(line, |(keyword, _)| keyword));
    known().find(|keyword| keyword.eq_ignore_ascii_case(given)).or_else(|| closest(given, known()))
}

/// The known word that a mistyped one was probably meant to be.
pub(crate) fn closest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let most = |word: &str| word.len().max(given.len()).div_ceil(3).min(MOST_SLIPS);
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(given.len()) <= most(word))
        .map(|word| (strsim::damerau_levenshtein(&given, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= most(word))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Letters that a slip changes at most; what differs by more is another word.
const MOST_SLIPS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_in_the_dictionary() {
        for line in ATTRIBUTES.lines() {
            let keyword = line.split('\t').next().unwrap();
            assert!(model::vr::tag_of_keyword(keyword).is_some(), "{keyword}");
        }
        assert!(ATTRIBUTES.lines().is_sorted());
    }

    #[test]
    fn knows_what_has_several_values() {
        assert_eq!(multiplicity("ImageType"), Some("2-n"));
        assert_eq!(multiplicity("PixelSpacing"), Some("2"));
        assert_eq!(multiplicity("Modality"), None);
    }

    #[test]
    fn finds_what_was_meant() {
        for (given, meant) in [
            ("modality", Some("Modality")),
            ("Modalty", Some("Modality")),
            ("StudyDescripton", Some("StudyDescription")),
            ("PatientsName", Some("PatientName")),
            ("ImageTyp", Some("ImageType")),
            ("CHEST", None),
            ("", None),
            ("Weather", None),
        ] {
            assert_eq!(closest_keyword(given), meant, "{given}");
        }
    }
}
