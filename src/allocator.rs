//! How much memory the allocator keeps of what was freed.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Begins this process anew with few arenas and large blocks outside of them, unless its environment says how many arenas.
///
/// glibc makes up to eight arenas for each processor, and each keeps what it has once held, however little of that is in use: with peers
/// of all kinds that came to three times the memory. It also lets ever larger blocks into them once one has been freed: frames and
/// answers of some MiB, between which small things then keep what was theirs. It reads both numbers only when a process starts. The
/// process stays the same one, with its files; where it cannot be begun anew it goes on as it is.
pub(crate) fn limit_arenas() {
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(own) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| own.clone().into_os_string());
    let unsaid = LARGE_BLOCKS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none());
    // It returns only when it failed.
    drop(Command::new(own).arg0(name).args(arguments).env(ARENAS, FEW).envs(unsaid).exec());
}

const ARENAS: &str = "MALLOC_ARENA_MAX";
const FEW: &str = "2";
/// From so many bytes on, a block is the kernel's again as soon as it is freed. Buffers for receiving and sending are smaller.
const LARGE_BLOCKS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];
