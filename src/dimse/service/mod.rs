//! The services: requests and responses of each, and the statuses it knows.

pub mod action;
pub mod echo;
pub mod event_report;
pub mod find;
pub mod get;
pub mod mechanisms;
pub mod move_;
pub mod retrieve;
pub mod store;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use crate::Status;

/// One line of a service's status table: the codes, and what they mean there.
pub(crate) type StatusRow = (RangeInclusive<u16>, &'static str);

/// What `status` means in a service with this table; [`Status::meaning`] where the table has no line.
fn meaning(table: &[StatusRow], status: Status) -> &'static str {
    table.iter().find(|(codes, _)| codes.contains(&status.0)).map_or(status.meaning(), |(_, meaning)| meaning)
}
