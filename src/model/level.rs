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
}
