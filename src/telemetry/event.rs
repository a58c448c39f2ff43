use std::time::Duration;

use model::QueryRetrieveLevel;

/// The way something came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// DIMSE over TCP (PS3.7, PS3.8).
    Dimse,
    /// DICOMweb over HTTP (PS3.18).
    Web,
}

impl Door {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dimse => "dimse",
            Self::Web => "web",
        }
    }
}

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The receipt of one instance came to an end, well or not.
    InstanceReceived {
        /// How it came.
        door: Door,
        /// `stored`, `duplicate`, `conflict`, `no_space`, `unreadable`, `mismatch`, `aborted` or `error`.
        status: &'static str,
        /// Bytes of the data set that arrived.
        bytes: u64,
        /// From its first byte to the answer.
        elapsed: Duration,
    },
    /// An association was established.
    AssociationOpened {
        /// Whether we requested it.
        requestor: bool,
    },
    /// An established association is over.
    AssociationClosed {
        /// Whether we requested it.
        requestor: bool,
        /// `released`, `aborted`, `timeout`, `closed`, `panicked` or `shutdown`.
        end: &'static str,
    },
    /// We refused an association (PS3.8 §9.3.4).
    AssociationRejected {
        /// Why, in a word of a closed set.
        reason: &'static str,
    },
    /// A query was answered, or given up.
    Query {
        /// How it came.
        door: Door,
        /// What it asked for.
        level: QueryRetrieveLevel,
        /// Rows sent.
        rows: u64,
        /// From the request to the last row.
        elapsed: Duration,
    },
    /// An HTTP request was answered.
    HttpRequest {
        /// The pattern of the path, never the path itself.
        route: &'static str,
        /// The status code.
        status: u16,
        /// From the request's head to the end of the answer.
        elapsed: Duration,
        /// Bytes of the answer's body.
        bytes: u64,
    },
    /// An instance came a second time with other content.
    Conflict,
    /// An instance said something else about its patient, study or series than the index.
    AttributeDisagreement,
    /// So many elements were left out of an instance's stored metadata.
    ElementsOmitted(u32),
    /// The index committed a transaction.
    CommitBatch {
        /// Instances in it.
        instances: u64,
        /// From its first row to the durable end, folder syncs included.
        elapsed: Duration,
    },
    /// A task panicked.
    Panicked,
}
