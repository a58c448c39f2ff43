//! Who must act on an error, and whether trying again can help.

use std::time::Duration;

/// The class of an error: logs choose their level by it, metrics their label, retries their decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer sent something it should not have sent.
    Peer,
    /// Configuration forbids it; the peer or the operator must change something.
    Policy,
    /// It may work later, not before `retry_after` when that is known.
    Transient {
        /// When trying again makes sense.
        retry_after: Option<Duration>,
    },
    /// Our own machine failed (disk, database); an operator must act.
    Local,
    /// We broke our own contract.
    Bug,
}

impl Fault {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Policy => "policy",
            Self::Transient { .. } => "transient",
            Self::Local => "local",
            Self::Bug => "bug",
        }
    }
}
