use std::time::Duration;

use model::{DestinationName, QueryRetrieveLevel, UpstreamName};

use crate::{AskEnd, ReportEnd, Retrieved, UpstreamEnd};

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

/// A service of DIMSE by which instances are retrieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retrieval {
    /// C-GET: over the association that asks.
    Get,
    /// C-MOVE: to a third party.
    Move,
}

impl Retrieval {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Get => "c-get",
            Self::Move => "c-move",
        }
    }
}

/// How an attempt to deliver ended, or the wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The destination has the instance.
    Delivered {
        /// From its being queued.
        since_queued: Duration,
    },
    /// The destination took the instance, and is to be asked whether it keeps it.
    Stored,
    /// It will be tried again.
    Retry,
    /// The destination will never take it.
    Refused,
    /// What we keep cannot be sent.
    Poison,
    /// The destination cannot be used at present; it will be tried again.
    Down,
    /// It has failed for too long.
    GaveUp,
}

impl DeliveryEnd {
    /// Every metric label.
    pub(crate) const LABELS: [&str; 7] =
        ["delivered", "stored", "retry", "refused", "poison", "down", "gave_up"];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Stored => "stored",
            Self::Retry => "retry",
            Self::Refused => "refused",
            Self::Poison => "poison",
            Self::Down => "down",
            Self::GaveUp => "gave_up",
        }
    }
}

/// Something that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A caller's TLS handshake came to an end.
    TlsHandshake {
        /// `ok`, or what stood in the way, in a word of a closed set.
        outcome: &'static str,
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
    /// A C-MOVE or C-GET came to its end, well or not.
    Retrieve {
        /// Which of them.
        retrieval: Retrieval,
        /// What it asked for.
        level: QueryRetrieveLevel,
        /// How its sub-operations went.
        retrieved: Retrieved,
        /// From the request to the end.
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
    /// An attempt to deliver ended, or its delivery was given up.
    DeliveryEnded {
        /// Where it was to go; one of those that [`Telemetry::show_destination`](crate::Telemetry::show_destination) was told.
        destination: DestinationName,
        /// How it ended.
        end: DeliveryEnd,
    },
    /// An instance came back from where it had been sent, and was not routed again.
    CameBack,
    /// Rules were loaded, just now.
    RulesLoaded,
    /// Somebody asked for the rules to be loaded again.
    RulesReloaded {
        /// Whether they were; else the former ones stay.
        is_accepted: bool,
    },
    /// A peer asked for storage commitment.
    CommitmentRequest {
        /// Whether a report is owed now.
        is_accepted: bool,
    },
    /// An attempt to send a storage commitment report ended.
    CommitmentReport(ReportEnd),
    /// Asking a destination for storage commitment ended, or the wait for its report did.
    CommitmentAsked {
        /// Who was asked; one of those that [`Telemetry::show_asked`](crate::Telemetry::show_asked) was told.
        destination: DestinationName,
        /// How it ended.
        end: AskEnd,
    },
    /// A query at an upstream archive ended.
    UpstreamQuery {
        /// Which; one of those that [`Telemetry::show_upstream`](crate::Telemetry::show_upstream) was told.
        upstream: UpstreamName,
        /// How it ended.
        end: UpstreamEnd,
        /// Rows of its answer that were given on.
        rows: u64,
        /// From asking to the end.
        elapsed: Duration,
    },
    /// A retrieve from an upstream archive ended.
    UpstreamFetch {
        /// Which; one of those that [`Telemetry::show_upstream`](crate::Telemetry::show_upstream) was told.
        upstream: UpstreamName,
        /// How it ended.
        end: UpstreamEnd,
        /// Instances that it sent.
        instances: u64,
        /// From asking to the end.
        elapsed: Duration,
    },
    /// A task panicked.
    Panicked,
}
