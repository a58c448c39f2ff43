use std::collections::HashMap;
use std::sync::LazyLock;

use crate::Tag;

/// The level of a query or retrieve (PS3.4 §C.3). The third level is *Instance* in prose; only the wire says IMAGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueryRetrieveLevel {
    /// All studies of a patient.
    Patient,
    /// One study.
    Study,
    /// One series.
    Series,
    /// One instance.
    Image,
}

impl QueryRetrieveLevel {
    /// The value of Query/Retrieve Level (0008,0052), padding trimmed by the caller.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        match keyword {
            "PATIENT" => Some(Self::Patient),
            "STUDY" => Some(Self::Study),
            "SERIES" => Some(Self::Series),
            "IMAGE" => Some(Self::Image),
            _ => None,
        }
    }

    /// The value of Query/Retrieve Level (0008,0052).
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Study => "STUDY",
            Self::Series => "SERIES",
            Self::Image => "IMAGE",
        }
    }
    /// The level whose entity an attribute of a data set describes: what it says holds for all of that patient, study or series.
    ///
    /// Goes by the modules of PS3.3 §C.7 that are of patient, study, series, frame of reference and equipment; whatever
    /// these do not have, private attributes among it, is of the instance.
    pub fn of_attribute(tag: Tag) -> Self {
        LEVELS.get(&tag).copied().unwrap_or(Self::Image)
    }
}

/// Attributes above the level of the instance: tag, keyword, level.
static LEVELS: LazyLock<HashMap<Tag, QueryRetrieveLevel>> = LazyLock::new(|| {
    let rows = include_str!("levels.tsv").lines().filter_map(|line| {
        let (tag, rest) = line.split_once('\t')?;
        let (_, level) = rest.split_once('\t')?;
        let [a, b, c, d] = u32::from_str_radix(tag, 16).ok()?.to_be_bytes();
        let tag = Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Some((tag, QueryRetrieveLevel::from_keyword(level)?))
    });
    rows.collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vr;

    #[test]
    fn attributes_belong_to_the_level_of_their_module() {
        use QueryRetrieveLevel::{Image, Patient, Series, Study};
        for (tag, level) in [
            (Tag(0x0010, 0x0010), Patient),
            (Tag(0x0010, 0x1002), Patient),
            (Tag(0x0010, 0x1010), Study),
            (Tag(0x0008, 0x1032), Study),
            (Tag(0x0040, 0x0275), Series),
            (Tag(0x0018, 0x1000), Series),
            (Tag(0x0018, 0x0050), Image),
            (Tag(0x0008, 0x0018), Image),
            (Tag(0x0009, 0x1001), Image),
        ] {
            assert_eq!(QueryRetrieveLevel::of_attribute(tag), level, "{tag}");
        }
    }

    #[test]
    fn every_line_of_the_table_names_an_attribute_of_the_dictionary() {
        let lines = include_str!("levels.tsv").lines();
        for line in lines.clone() {
            let [tag, keyword, level] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (found, _) = vr::tag_of_keyword(keyword).unwrap_or_else(|| panic!("{keyword}"));
            assert_eq!(format!("{:04X}{:04X}", found.group(), found.element()), tag, "{keyword}");
            assert!(QueryRetrieveLevel::from_keyword(level).is_some(), "{line}");
        }
        assert_eq!(LEVELS.len(), lines.count(), "each once");
    }
}
