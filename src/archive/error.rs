use std::io;
use std::sync::Arc;

use model::Fault;

/// Why the archive could not do it. Nothing that failed with one of these was acknowledged or is served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file system is full, or a quota is used up.
    #[error("no space left for the archive")]
    NoSpace,
    /// A file or folder could not be created, written, synced or read.
    #[error("the archive could not {action}")]
    Io {
        /// What was tried, as a verb with its object.
        action: &'static str,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The index refused a statement; it was rolled back.
    #[error("the index failed")]
    Index(#[source] Arc<rusqlite::Error>),
    /// The index could not tell whether the transaction is durable: the instance may be there after the next start,
    /// so its file is kept until then. Sending again is safe.
    #[error("the outcome of the index transaction is unknown")]
    OutcomeUnknown(#[source] Arc<rusqlite::Error>),
    /// Another process serves this data folder.
    #[error("another process uses this data folder")]
    InUse,
    /// There are instances, but no index, or one without content. To start with an empty one would hide them.
    #[error("the index is missing or empty, but there are instances: restore it, or move the instances away")]
    IndexMissing,
    /// A later version of this program has written the index.
    #[error("the index has schema version {found}, this program knows up to {known}")]
    NewerSchema {
        /// The version found.
        found: i64,
        /// The newest version that this program can read.
        known: i64,
    },
    /// No server has kept anything in this data folder yet.
    #[error("there is no index in this data folder yet: start the server first")]
    NoIndex,
    /// The index has not been migrated yet; only a server does that.
    #[error(
        "the index has schema version {found}, this program needs {known}: start the server of this version first"
    )]
    OlderSchema {
        /// The version found.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// No study, series or instance has this UID.
    #[error("no study, series or instance has this UID")]
    UnknownUid,
    /// No destination has ever had this name.
    #[error("the server has never had a destination of this name")]
    UnknownDestination,
    /// To read took longer than [`limits::READ_TIMEOUT`](model::limits::READ_TIMEOUT).
    #[error("the index was read for more than {} s", model::limits::READ_TIMEOUT.as_secs())]
    TooLong,
    /// More series, or named instances, than [`limits::SELECTED_KEYS`](model::limits::SELECTED_KEYS).
    #[error("more than {} series or instances at once", model::limits::SELECTED_KEYS)]
    TooManySelected,
    /// The archive has been closed, or its writer has ended.
    #[error("the archive is closed")]
    Closed,
    /// Stored metadata cannot be read back.
    #[error("stored metadata is damaged")]
    Damaged,
}

impl Error {
    /// Who must act, and whether trying again can help.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSpace | Self::Closed => Fault::Transient { retry_after: None },
            Self::Io { .. } | Self::Index(_) | Self::OutcomeUnknown(_) | Self::Damaged => Fault::Local,
            Self::InUse
            | Self::IndexMissing
            | Self::NewerSchema { .. }
            | Self::NoIndex
            | Self::OlderSchema { .. }
            | Self::UnknownUid
            | Self::UnknownDestination
            | Self::TooLong
            | Self::TooManySelected => Fault::Policy,
        }
    }

    /// Why a row could not be read. One that says what cannot be is damage; the index as such has not failed.
    pub(crate) fn of_row(self) -> Self {
        if let Self::Index(source) = &self
            && source.sqlite_error_code().is_none()
        {
            return Self::Damaged;
        }
        self
    }

    /// Names what was tried; a full file system is [`Error::NoSpace`].
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Io { action, source: Arc::new(source) },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::NoSpace,
            // Only reads have an end.
            Some(rusqlite::ErrorCode::OperationInterrupted) => Self::TooLong,
            _ => Self::Index(Arc::new(error)),
        }
    }
}
