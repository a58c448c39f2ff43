//! What the disk allows: a program that does for each instance what a durable archive cannot leave out.
//!
//! As many threads as there would be associations create a file, write it and call fdatasync; one committer syncs the folder and
//! commits one `synchronous=FULL` transaction for all that wait, then lets them go on. No network, no parsing, no hash.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rusqlite::{Connection, params};

use crate::figures::Figures;
use crate::load::{Load, ingest_figures};
use crate::peers::Place;
use crate::process::own_cpu;

/// Instances committed together at most.
const BATCH: usize = 128;
/// Bytes of compressed metadata that an index keeps for each instance.
const METADATA_BYTES: usize = 420;

/// A file that waits for its commit.
struct Written {
    name: String,
    committed: SyncSender<()>,
}

/// Runs `load` without a server.
pub(crate) fn run(load: &Load<'_>, place: Place) -> Result<Figures> {
    let folder = place.folder()?;
    let files = &folder.path().join("files");
    std::fs::create_dir(files)?;
    let index = open_index(folder.path())?;
    let (queue, written) = sync_channel(256);
    let names = AtomicU64::new(0);
    let start = Barrier::new(load.associations + 1);
    let cpu_before = own_cpu()?;
    let (mut latencies, elapsed) = thread::scope(|scope| {
        let committer = scope.spawn(move || commit_all(&index, files, written));
        let writers: Vec<_> = (0..load.associations)
            .map(|_| {
                let queue = queue.clone();
                scope.spawn(|| write_all(load, files, &names, &start, queue))
            })
            .collect();
        drop(queue);
        start.wait();
        let begin = Instant::now();
        let mut latencies = Vec::new();
        for writer in writers {
            latencies.extend(writer.join().map_err(|_| anyhow!("a writer panicked"))??);
        }
        let elapsed = begin.elapsed();
        committer.join().map_err(|_| anyhow!("the committer panicked"))??;
        anyhow::Ok((latencies, elapsed))
    })?;
    latencies.sort_unstable();
    let cpu = own_cpu()?.saturating_sub(cpu_before);
    Ok(ingest_figures(latencies, elapsed, cpu, load.template.data_set().len()))
}

fn open_index(folder: &Path) -> Result<Connection> {
    let index = Connection::open(folder.join("index.db"))?;
    index.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
         CREATE TABLE instance(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, hash BLOB NOT NULL,
                               metadata BLOB NOT NULL) STRICT;",
    )?;
    Ok(index)
}

fn write_all(
    load: &Load<'_>,
    files: &Path,
    names: &AtomicU64,
    start: &Barrier,
    queue: SyncSender<Written>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let (committed, done) = sync_channel(1);
    start.wait();
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < load.seconds {
        let number = names.fetch_add(1, Ordering::Relaxed);
        if number >= load.instances {
            break;
        }
        let asked = Instant::now();
        let name = format!("{number:016}.dcm");
        let mut file = File::create_new(files.join(&name))?;
        file.write_all(load.template.data_set())?;
        file.sync_data()?;
        queue.send(Written { name, committed: committed.clone() }).context("the committer has ended")?;
        done.recv().context("the committer has ended")?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}

fn commit_all(index: &Connection, files: &Path, written: Receiver<Written>) -> Result<()> {
    let folder = File::open(files)?;
    let mut insert =
        index.prepare("INSERT INTO instance(name, bytes, hash, metadata) VALUES (?1, ?2, ?3, ?4)")?;
    while let Ok(first) = written.recv() {
        let mut batch = vec![first];
        batch.extend(written.try_iter().take(BATCH - 1));
        folder.sync_all()?;
        index.execute_batch("BEGIN IMMEDIATE")?;
        for file in &batch {
            insert.execute(params![file.name, 526_000, [0x5A_u8; 32], [0xA5_u8; METADATA_BYTES]])?;
        }
        index.execute_batch("COMMIT")?;
        for file in batch {
            file.committed.send(()).context("a writer has ended")?;
        }
    }
    Ok(())
}
