//! How memory is allocated, and what of it is in use.

use telemetry::Memory;
use tikv_jemalloc_ctl::{Error, epoch, stats};
// Linking it replaces `malloc` for all of the process, libraries in C among it. As `#[global_allocator]` it would take for granted that
// nobody frees a null pointer, and openjp2 does.
use tikv_jemalloc_sys as _;

/// What is in use now, and what of the machine's memory that takes. `None` never comes from the jemalloc that is linked.
///
/// glibc's `malloc` keeps what was once freed for as long as something small is in use behind it: with peers of all kinds the server grew
/// by half a MiB a minute.
pub(crate) fn memory() -> Option<Memory> {
    let read = || -> Result<Memory, Error> {
        // The numbers are as old as the epoch.
        epoch::advance()?;
        Ok(Memory { allocated_bytes: stats::allocated::read()?, resident_bytes: stats::resident::read()? })
    };
    read().ok()
}
