//! Turns hostile data set bytes into a bounded [`Header`](crate::header::Header).
//!
//! One pass, no recursion, no allocation by a length that the data set claims. Long values and pixel data are stepped over; a caller
//! that can seek need not even read them.

mod collect;
mod deep;
mod error;
mod frame;
mod fuzz;
mod inflate;
mod scanner;
mod structure;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

pub use error::ScanError;
pub use fuzz::fuzz_scan;
pub use scanner::{Scanner, scan, scan_within};
