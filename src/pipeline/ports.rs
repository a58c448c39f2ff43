//! What the pipeline asks of those that carry instances away. The crate `dest` implements it.

use std::time::Duration;

use archive::Parcel;
use futures_util::future::BoxFuture;
use model::{DestinationName, SopClassUid, TransferSyntaxUid};

/// Where instances go. One lane serves each.
pub trait Destination: Send + Sync + 'static {
    /// What the configuration calls it.
    fn name(&self) -> &DestinationName;

    /// How many deliveries run at once.
    fn width(&self) -> usize;

    /// Makes one who delivers; a lane has [`Destination::width`] of them.
    fn courier(&self) -> Box<dyn Courier>;
}

/// Delivers one instance after the other, keeping what it can use again in between, such as an association.
pub trait Courier: Send {
    /// Delivers an instance. Delivering the same one twice has the effect of once.
    ///
    /// Not cancel safe: dropped, it may or may not have been delivered. Ends in bounded time whatever the other end does.
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, waiting: &'a dyn Waiting) -> BoxFuture<'a, Outcome>;

    /// Lets go of what was kept, because nothing has come for [`IDLE`] or the lane ends.
    fn rest(&mut self) -> BoxFuture<'_, ()>;
}

/// What else waits in the lane.
pub trait Waiting: Send + Sync {
    /// The distinct kinds of the instances that wait, in order; behind them those that came lately, the latest first. A few dozen.
    fn kinds(&self) -> Vec<(SopClassUid, TransferSyntaxUid)>;
}

/// How a delivery ended. Reasons are for the operator: words without patient data, at most some hundred characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it, a warning of its kept in the answer.
    Delivered {
        /// What it answered, such as `0000H success`.
        answer: String,
        /// SHA-256 of the bytes that were sent: data set or file.
        sent: [u8; 32],
    },
    /// The destination has taken the instance, and is to be asked whether it keeps it: see
    /// [`Verification`](crate::Verification).
    Stored {
        /// What it answered.
        answer: String,
        /// SHA-256 of the bytes that were sent.
        sent: [u8; 32],
    },
    /// It failed now and may succeed later.
    Retry {
        /// Why.
        reason: String,
        /// The destination asks to be left alone for so long.
        after: Option<Duration>,
    },
    /// The destination cannot be used at present, by no instance.
    Down {
        /// Why.
        reason: String,
    },
    /// The destination will never take this instance.
    Refused {
        /// Why.
        reason: String,
    },
    /// What we keep of this instance cannot be sent.
    Poison {
        /// Why.
        reason: String,
    },
}

/// A courier without work for so long rests.
pub const IDLE: Duration = Duration::from_secs(5);
