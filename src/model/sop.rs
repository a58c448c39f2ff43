//! SOP classes (PS3.4, PS3.6 Annex A).

use dicom_core::dictionary::{UidDictionary, UidDictionaryEntry};
use dicom_dictionary_std::sop_class::StandardSopClassDictionary;

/// Verification SOP Class (PS3.4 Annex A).
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Patient Root Query/Retrieve Information Model - FIND (PS3.4 §C.6.1).
pub const PATIENT_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
/// Study Root Query/Retrieve Information Model - FIND (PS3.4 §C.6.2).
pub const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
/// Storage Commitment Push Model SOP Class (PS3.4 §J.3).
pub const STORAGE_COMMITMENT_PUSH_MODEL: &str = "1.2.840.10008.1.20.1";
/// The one, well-known instance of that class (PS3.4 §J.3.5).
pub const STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
/// Patient Root Query/Retrieve Information Model - MOVE (PS3.4 §C.6.1).
pub const PATIENT_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
/// Study Root Query/Retrieve Information Model - MOVE (PS3.4 §C.6.2).
pub const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
/// Patient Root Query/Retrieve Information Model - GET (PS3.4 §C.6.1).
pub const PATIENT_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
/// Study Root Query/Retrieve Information Model - GET (PS3.4 §C.6.2).
pub const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";

/// The Service Class UID of storage (PS3.6 Table A-1).
pub const STORAGE_SERVICE_CLASS: &str = "1.2.840.10008.4.2";

/// Whether instances of this class are taken by C-STORE: a storage class of the dictionary whose instances belong to a study, or one
/// that the dictionary does not know: below the storage root (newer ones), or private (PS3.4 §B.5).
pub fn is_storage(uid: &str) -> bool {
    match name(uid) {
        Some(name) => is_storage_name(name) && !NON_PATIENT.contains(&uid),
        None => is_below(uid, "1.2.840.10008.5.1.4.1.1") || !format!("{uid}.").starts_with("1.2.840.10008."),
    }
}

/// Non-Patient Object Storage: instances of these have no Study and Series Instance UID (PS3.4 §GG.3).
const NON_PATIENT: &[&str] = &[
    "1.2.840.10008.5.1.4.1.1.200.1",
    "1.2.840.10008.5.1.4.1.1.200.3",
    "1.2.840.10008.5.1.4.1.1.200.7",
    "1.2.840.10008.5.1.4.1.1.201.1",
    "1.2.840.10008.5.1.4.38.1",
    "1.2.840.10008.5.1.4.39.1",
    "1.2.840.10008.5.1.4.43.1",
    "1.2.840.10008.5.1.4.44.1",
    "1.2.840.10008.5.1.4.45.1",
];

/// The name in the standard's registry (PS3.6 Table A-1); `None` for a SOP class we do not know.
pub fn name(uid: &str) -> Option<&'static str> {
    StandardSopClassDictionary.by_uid(uid).map(|class| class.name())
}

/// The UID of a SOP class by its keyword in the standard's registry, such as `CTImageStorage` (PS3.6 Table A-1).
pub fn by_keyword(keyword: &str) -> Option<&'static str> {
    StandardSopClassDictionary.by_keyword(keyword).map(|class| class.uid())
}

/// The SOP classes that we know by name, retired ones too, in the order of their UIDs: UID and name (PS3.6 Table A-1).
pub fn registered() -> impl Iterator<Item = (&'static str, &'static str)> {
    REGISTRY.lines().filter_map(|line| line.split_once('\t'))
}

/// SOP classes of PS3.6 Table A-1, a line each: UID, tab, name.
const REGISTRY: &str = include_str!("sop.tsv");

fn is_below(uid: &str, root: &str) -> bool {
    uid.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'))
}

fn is_storage_name(name: &str) -> bool {
    let name = ["(Retired)", "SOP Class", "- Trial", "- For Presentation", "- For Processing"]
        .iter()
        .fold(name, |name, suffix| name.trim_end().trim_end_matches(suffix).trim_end());
    name.ends_with("Storage") && name != "Media Storage Directory Storage"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_registered() {
        assert_eq!(name("1.2.840.10008.5.1.4.1.1.2"), Some("CT Image Storage"));
        assert_eq!(name("1.3.12.2.1107.5.9.1"), None);
        for (uid, words) in [
            (PATIENT_ROOT_FIND, "Patient Root Query/Retrieve Information Model - FIND"),
            (STUDY_ROOT_FIND, "Study Root Query/Retrieve Information Model - FIND"),
            (PATIENT_ROOT_MOVE, "Patient Root Query/Retrieve Information Model - MOVE"),
            (STUDY_ROOT_MOVE, "Study Root Query/Retrieve Information Model - MOVE"),
            (PATIENT_ROOT_GET, "Patient Root Query/Retrieve Information Model - GET"),
            (STUDY_ROOT_GET, "Study Root Query/Retrieve Information Model - GET"),
        ] {
            assert_eq!(name(uid), Some(words));
        }
    }

    #[test]
    fn the_registry_agrees_with_the_dictionary() {
        assert_eq!(registered().count(), REGISTRY.lines().count());
        for (uid, words) in registered() {
            assert_eq!(name(uid), Some(words));
        }
        assert!(registered().filter(|(uid, _)| is_storage(uid)).count() > 150);
    }

    #[test]
    fn takes_storage_of_the_dictionary_newer_and_private_classes() {
        for uid in [
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.1.1.1",
            "1.2.840.10008.5.1.4.1.1.88.4",
            "1.2.840.10008.5.1.4.1.1.999.1",
            "1.2.840.10008.5.1.4.34.7",
            "1.2.840.10008.5.1.1.27",
            "1.3.12.2.1107.5.9.1",
        ] {
            assert!(is_storage(uid), "{uid}");
        }
        for uid in [
            VERIFICATION,
            PATIENT_ROOT_FIND,
            STUDY_ROOT_MOVE,
            PATIENT_ROOT_GET,
            "1.2.840.10008.1.20.1",
            "1.2.840.10008.1.3.10",
            "1.2.840.10008",
            "1.2.840.10008.5.1.4.1.1",
        ] {
            assert!(!is_storage(uid), "{uid}");
        }
    }

    #[test]
    fn below_the_storage_root_are_queries_and_objects_without_a_study_too() {
        let others =
            registered().filter(|(uid, _)| is_below(uid, "1.2.840.10008.5.1.4.1.1") && !is_storage(uid));
        let names: Vec<&str> = others.map(|(_, name)| name).collect();
        let expected = [
            "CT Defined Procedure Protocol Storage",
            "Protocol Approval Storage",
            "Protocol Approval Information Model - FIND",
            "Protocol Approval Information Model - MOVE",
            "Protocol Approval Information Model - GET",
            "XA Defined Procedure Protocol Storage",
            "Inventory Storage",
            "Inventory - FIND",
            "Inventory - MOVE",
            "Inventory - GET",
            "Inventory Creation",
            "Repository Query",
        ];
        assert_eq!(names, expected);
        for uid in NON_PATIENT {
            assert!(name(uid).is_some_and(is_storage_name) && !is_storage(uid), "{uid}");
        }
    }
}
