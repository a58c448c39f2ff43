//! Other archives that are asked for what ours lacks: their rows join the answers to queries, and what they have is fetched when it is
//! to be retrieved.

mod bridge;
mod complete;
mod from;
mod fuzz;
mod gap;
mod health;
mod listing;
mod port;
mod rows;
mod shortfall;
mod turns;

pub(crate) use bridge::Bridge;
pub use bridge::UpstreamSummary;
pub use complete::{Completion, Progress};
pub use from::{FromUpstreams, Gathered};
pub use fuzz::fuzz_row;
pub use port::{Answers, Asked, Behalf, Fetched, Upstream, UpstreamError, UpstreamFault};
pub use rows::UpstreamRow;
pub use shortfall::Shortfall;
