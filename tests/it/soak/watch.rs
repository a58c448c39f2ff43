//! What the server holds.

use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::peers::Peers;
use crate::harness::files_below;

/// What is the same again in the end, and what is worth seeing beside.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Reading {
    allocated_bytes: u64,
    anonymous_bytes: u64,
    resident_bytes: u64,
    open_files: usize,
    threads: u64,
    associations: u64,
    index_bytes: u64,
    pid: u32,
}

/// What may come on top when every act has been done before: readers of the index that are opened when so many ask at once for the first
/// time, with their statements. An act that leaks 1 KiB is found: each is done some thousand times.
const IN_USE_BYTES: u64 = 4 << 20;
/// The same with pages that are not free as a whole.
const ALLOWED_BYTES: u64 = 12 << 20;
/// So much more where the warm-up was too short to meet everything at once.
const UNMET_BYTES: u64 = 32 << 20;
const LONG: Duration = Duration::from_secs(15 * 60);
/// The reading itself is taken by requests, which other threads may serve.
/// Threads for work that blocks end when nothing comes for ten seconds; what looks around every second keeps some of them awake, in turns.
const FEW: u64 = 12;
/// The writer and each of 8 readers of the index cache its pages (up to 64 and 4 MiB): what it has grown by is in all of them.
const CACHES: u64 = 9;

impl Reading {
    pub(super) fn of(peers: &Peers) -> Self {
        let server = peers.server();
        let index = ["index.sqlite", "index.sqlite-wal"].map(|name| server.data_dir().join(name));
        Self {
            allocated_bytes: server.metric("gantry_memory_allocated_bytes"),
            anonymous_bytes: server.anonymous_bytes(),
            resident_bytes: server.resident_bytes(),
            open_files: open_files(server.pid()),
            threads: server.threads(),
            associations: server.metric("gantry_associations_open"),
            index_bytes: index.map(|path| fs::metadata(path).map_or(0, |file| file.len())).iter().sum(),
            pid: server.pid(),
        }
    }
}

/// Files and sockets that a process has open, but for those of the index: its readers come when so many are needed at once.
fn open_files(pid: u32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    names.filter(|name| !name.to_string_lossy().contains("/index.sqlite")).count()
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "allocated {} KiB, anonymous {} KiB, resident {} KiB, {} files, {} threads, {} associations, index {} KiB",
            self.allocated_bytes >> 10,
            self.anonymous_bytes >> 10,
            self.resident_bytes >> 10,
            self.open_files,
            self.threads,
            self.associations,
            self.index_bytes >> 10
        )
    }
}

/// The reading when nobody has called, and nobody was to be called, for longer than a thread for blocking work waits for more, which are 10 s.
pub(super) fn when_quiet(peers: &Peers) -> Reading {
    let started = Instant::now();
    let owed = || peers.server().metric(r#"gantry_commitment_reports_owed{state="waiting"}"#);
    while Reading::of(peers).associations > 0 || owed() > 0 {
        let now = Reading::of(peers);
        assert!(started.elapsed() < Duration::from_secs(120), "never quiet, {} reports owed: {now}", owed());
        thread::sleep(Duration::from_millis(500));
    }
    // Whoever looks wakes the threads that should end; what is free is given back within some ten seconds.
    thread::sleep(Duration::from_secs(20));
    let scratch = files_below(&peers.server().data_dir().join("transcoded"));
    assert!(scratch.is_empty(), "copies are removed: {scratch:?}");
    Reading::of(peers)
}

/// Whether the server is back where it was.
pub(super) fn is_flat(warm: &Reading, end: &Reading, length: Duration) -> Result<(), String> {
    let unmet = if length < LONG { UNMET_BYTES } else { 0 };
    let cached = end.index_bytes.saturating_sub(warm.index_bytes) * CACHES;
    let faults = [
        (end.pid != warm.pid, "it was started again"),
        (end.allocated_bytes > warm.allocated_bytes + IN_USE_BYTES + unmet + cached, "more memory is in use"),
        (end.anonymous_bytes > warm.anonymous_bytes + ALLOWED_BYTES + unmet + cached, "memory has grown"),
        (end.open_files > warm.open_files, "files or sockets are left open"),
        (end.threads > warm.threads + FEW, "threads are left"),
    ];
    let faults: Vec<_> = faults.iter().filter(|(is_fault, _)| *is_fault).map(|(_, what)| *what).collect();
    if faults.is_empty() { Ok(()) } else { Err(format!("{}:\n{warm}\n{end}", faults.join(", "))) }
}
