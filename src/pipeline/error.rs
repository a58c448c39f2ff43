use model::Fault;
use model::part10::Part10Error;
use model::scan::ScanError;
use model::{SopClassUid, SopInstanceUid};

/// Why an operation on the archive did not succeed. Each door maps it to its own wire codes, exhaustively.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Less disk is free than `storage.min_free_bytes`, or none; nothing was kept.
    #[error("not enough disk space")]
    NoSpace,
    /// Too many instances with large headers are on their way; the same one may be taken in a moment.
    #[error("too many large headers at once")]
    Busy,
    /// No codec could be had, or none was done in time, for this reason; the same may be transcoded later.
    #[error("{0}")]
    NoTurn(&'static str),
    /// What was announced as a file of PS3.10 is none.
    #[error("not a DICOM file")]
    NotPart10,
    /// The file's preamble or File Meta Information cannot be read.
    #[error("not a readable DICOM file")]
    Part10(#[source] Part10Error),
    /// The top level of the data set cannot be walked to its end.
    #[error("data set cannot be read")]
    Unreadable(#[source] ScanError),
    /// A UID that identifies the instance is absent or empty.
    #[error("{0} is missing")]
    MissingUid(&'static str),
    /// Command and data set disagree on SOP class or instance.
    #[error("{0} of the command is not that of the data set")]
    Disagreement(&'static str),
    /// The instance belongs to another study than the request names (PS3.18 §10.5.1).
    #[error("the instance belongs to another study")]
    OtherStudy,
    /// The body ended early.
    #[error("transfer did not complete")]
    Body(#[source] BodyError),
    /// A retrieve asks for more than can be kept count of.
    #[error("more than {} series or instances at once", model::limits::SELECTED_KEYS)]
    TooManySelected,
    /// A retrieve names more than upstream archives are asked about, and we have nothing of it.
    #[error("more than {} things at once to ask upstream archives for", model::limits::UPSTREAM_PIECES)]
    TooManySought,
    /// What a query or retrieve asks for was looked for as long as it may be.
    #[error("the search took more than {} s, ask for less", model::limits::READ_TIMEOUT.as_secs())]
    TooLong,
    /// Nothing in the archive has this name.
    #[error("not found")]
    NotFound,
    /// What is asked for cannot be made from the stored object.
    #[error("{0}")]
    NotAvailable(&'static str),
    /// A stored file cannot be read.
    #[error("stored file cannot be read")]
    File(#[source] std::io::Error),
    /// The index or the spool failed.
    #[error("archive failed")]
    Archive(#[source] archive::Error),
}

/// Why a body stopped before its end; the door that read it knows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The peer closed, aborted or broke the protocol.
    #[error("peer ended the transfer")]
    Ended,
    /// No progress within the time allowed.
    #[error("peer stalled")]
    Stalled,
}

/// A refused instance, with as much of its identity as became known.
#[derive(Debug, thiserror::Error)]
#[error("instance refused")]
pub struct IngestError {
    /// Why.
    #[source]
    pub error: Error,
    /// SOP Class UID, when the data set or the command gave it.
    pub sop_class: Option<SopClassUid>,
    /// SOP Instance UID, when the data set or the command gave it.
    pub sop_instance: Option<SopInstanceUid>,
}

impl Error {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSpace | Self::Busy | Self::NoTurn(_) => Fault::Transient { retry_after: None },
            Self::NotPart10
            | Self::Part10(_)
            | Self::Unreadable(_)
            | Self::MissingUid(_)
            | Self::Disagreement(_)
            | Self::OtherStudy
            | Self::Body(_)
            | Self::TooManySelected
            | Self::TooManySought
            | Self::TooLong
            | Self::NotFound
            | Self::NotAvailable(_) => Fault::Peer,
            Self::File(_) => Fault::Local,
            Self::Archive(error) => error.fault(),
        }
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::NoSpace => Self::NoSpace,
            archive::Error::TooManySelected => Self::TooManySelected,
            archive::Error::TooLong => Self::TooLong,
            other => Self::Archive(other),
        }
    }
}
