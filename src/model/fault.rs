//! Who must act on an error, and whether trying again can help.

use std::time::Duration;

/// The class of an error: logs choose their level by it, retries their decision.
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
