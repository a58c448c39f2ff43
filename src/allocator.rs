//! How much memory the allocator keeps of what was freed.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Begins this process anew with few arenas, unless its environment says how many.
///
/// glibc makes up to eight for each processor, and each keeps what it has once held, however little of that is in use: with peers of
/// all kinds that came to three times the memory. It reads the number only when a process starts. The process stays the same one, with
/// its files; where it cannot be begun anew it goes on as it is.
pub(crate) fn limit_arenas() {
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(own) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| own.clone().into_os_string());
    // It returns only when it failed.
    drop(Command::new(own).arg0(name).args(arguments).env(ARENAS, FEW).exec());
}

const ARENAS: &str = "MALLOC_ARENA_MAX";
const FEW: &str = "2";
