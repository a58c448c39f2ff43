use std::io;

/// Why an object is not transcoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We do not do this, for any object or for one like this.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The object contradicts itself, or its pixel data cannot be decoded.
    #[error("{0}")]
    Damaged(&'static str),
    /// It would take more than the limits allow.
    #[error("{0}")]
    TooLarge(&'static str),
    /// A decoder or encoder failed.
    #[error("{codec}: {reason}")]
    Codec {
        /// Which.
        codec: &'static str,
        /// What it says, at most some hundred characters.
        reason: String,
    },
    /// The one for whom it is done has gone.
    #[error("given up")]
    Stopped,
    /// The stored object cannot be read.
    #[error("the stored object cannot be read")]
    Read(#[source] io::Error),
    /// The result cannot be written.
    #[error("the transcoded object cannot be written")]
    Write(#[source] io::Error),
}

impl Error {
    pub(crate) fn codec(codec: &'static str, reason: impl ToString) -> Self {
        let reason = reason.to_string().chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect();
        Self::Codec { codec, reason }
    }
}

const REASON_CHARS: usize = 200;
