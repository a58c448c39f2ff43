use std::fmt;

use model::InstanceIds;
use sha2::{Digest, Sha256};

/// Where an instance stands below the root of a destination: `{Study}/{Series}/{SOP}.dcm`.
///
/// Other content under the same UIDs stands beside it, as `{SOP}~{sha12}.dcm`, where `sha12` is the beginning of the SHA-256 of its
/// file in hex. UIDs that are none are replaced by a hash, so a key has digits, dots, hyphens, the letters of hex and of `x-`, and
/// nothing that a patient is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    shard: String,
    folder: String,
    name: String,
}

impl Key {
    pub(crate) fn of(ids: &InstanceIds) -> Self {
        let study = ids.study.path_component();
        let shard =
            hex::encode(Sha256::digest(ids.study.as_str().as_bytes()).first_chunk::<1>().unwrap_or(&[0]));
        Self {
            shard,
            folder: format!("{study}/{}", ids.series.path_component()),
            name: ids.sop_instance.path_component().into_owned(),
        }
    }

    /// Two hexadecimal digits that spread studies evenly: their UIDs all begin alike.
    pub(crate) fn shard(&self) -> &str {
        &self.shard
    }

    /// `{Study}/{Series}`
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// `{SOP}.dcm`
    pub(crate) fn file(&self) -> String {
        format!("{}.dcm", self.name)
    }

    /// `{SOP}~{sha12}.dcm`
    pub(crate) fn other_file(&self, sha256: &[u8; 32]) -> String {
        let mut digits = hex::encode(sha256);
        digits.truncate(12);
        format!("{}~{digits}.dcm", self.name)
    }
}

/// What all content under the same UIDs has in common.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

    use super::*;

    fn ids(study: &str, series: &str, sop_instance: &str) -> InstanceIds {
        InstanceIds {
            study: StudyInstanceUid::lenient(study).unwrap(),
            series: SeriesInstanceUid::lenient(series).unwrap(),
            sop_class: SopClassUid::lenient("1.2.840.10008.5.1.4.1.1.2").unwrap(),
            sop_instance: SopInstanceUid::lenient(sop_instance).unwrap(),
        }
    }

    #[test]
    fn a_key_is_made_of_the_uids() {
        let key = Key::of(&ids("1.2", "1.2.3", "1.2.3.4"));
        // SHA-256 of "1.2" begins with 77.
        assert_eq!((key.shard(), key.folder(), key.file().as_str()), ("77", "1.2/1.2.3", "1.2.3.4.dcm"));
        assert_eq!(key.other_file(&[0xab; 32]), "1.2.3.4~abababababab.dcm");
        assert_eq!(key.to_string(), "1.2/1.2.3/1.2.3.4");
    }

    #[test]
    fn text_that_is_no_uid_stays_out_of_keys() {
        let key = Key::of(&ids("DOE^JANE", "../..", "a/b"));
        let all = format!("{}/{}/{}", key.shard(), key.folder(), key.file());
        assert!(!all.contains("DOE") && !all.contains("..") && all.matches('/').count() == 3, "{all}");
    }
}
