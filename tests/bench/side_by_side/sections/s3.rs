//! Delivery to an S3 bucket, against a bare loop of puts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::{Attribute, Attributes, ObjectStore as _, PutOptions};
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::ingest::MOST_BYTES_PER_LOAD;
use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::load::{Load, next_slice};
use crate::pages;
use crate::peers::{self, PARALLEL, Peer, Place, Server};
use crate::process::own_cpu;
use crate::report::Section;
use crate::seaweed::{self, SeaweedFs};
use crate::synthetic::{EXPLICIT_VR_LITTLE_ENDIAN, Field, Subject, Template, uid};

pub(crate) const TITLE: &str = "Delivery of 526 KB CT to SeaweedFS on tmpfs";
pub(crate) const CASE: &str = "16 in parallel";
/// The row of the loop.
pub(crate) const BARE: &str = "object_store";

const TEXT: &str = "A study that Gantry keeps goes to a bucket by `gantry resend`: from the claim of the first delivery to when the index \
                    has the last one as delivered. `object_store` is the same client in a bare loop: it reads the same files and puts \
                    them with a checksum (SHA-256) and as many attributes. Some were delivered before; CPU is the sender's.";

/// Instances that go before the measured ones: connections are open then, and Gantry knows what the store can do.
const FIRST: u64 = 32;
/// Longest wait for all of a study to be delivered.
const PATIENCE: Duration = Duration::from_secs(120);
/// The group of studies that no load uses.
const STUDIES: u64 = 1 << 41;

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let seaweed = SeaweedFs::start(Place::Memory)?;
    let bare = Bare::new(&seaweed)?;
    let count = bench.options.amount(400, 100);
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry], round) {
            let server = Peer::start_with_bucket(Place::Memory, seaweed.s3)?;
            let number = u64::try_from(2 * round)?;
            let (first, study) =
                (uid(Subject::Study, STUDIES, number), uid(Subject::Study, STUDIES, number + 1));
            keep(&server, &first, FIRST)?;
            let first_files = files(&server)?;
            deliver(&server, &first, FIRST)?;
            bare.put_all(first_files.clone())?;
            keep(&server, &study, count)?;
            let mut files = files(&server)?;
            files.retain(|file| !first_files.contains(file));
            ensure!(u64::try_from(files.len())? == count, "a file for each instance");
            let mut rows = [peer.name(), BARE];
            rows.rotate_left(round % 2);
            for row in rows {
                let before = bare.objects()?;
                pages::warm(MOST_BYTES_PER_LOAD);
                let figures =
                    if row == BARE { bare.put_all(files.clone()) } else { deliver(&server, &study, count) }?;
                let failed = Some(count.abs_diff(bare.objects()? - before));
                section.add(CASE, row, Figures { failed, ..figures });
            }
        }
    }
    section.note(format!("SeaweedFS: {}.", seaweed::version()?));
    Ok(section)
}

/// Has Gantry keep a study of so many instances.
fn keep(server: &Server, study: &str, count: u64) -> Result<()> {
    let template = &Template::ct();
    let next = |template: &mut Template, turn| {
        template.set(Field::StudyInstanceUid, study);
        next_slice(template, turn);
    };
    let load = Load { template, associations: 4, seconds: f64::MAX, instances: count, next: &next };
    let stored = load.run(server)?;
    ensure!(stored.failed == Some(0), "not all instances were stored");
    Ok(())
}

/// The files of all instances that Gantry keeps.
fn files(server: &Server) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![server.data().join("instances")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Has Gantry deliver a study.
fn deliver(server: &Server, study: &str, count: u64) -> Result<Figures> {
    let queue = Queue::open(server)?;
    let before = queue.look()?;
    let all = before.delivered + i64::try_from(count)?;
    let cpu_before = server.process.cpu()?;
    // The lane may claim before the command has ended.
    let begin = thread::scope(|scope| {
        let command = scope.spawn(|| server.command(&["resend", study, "--to", peers::BUCKET]));
        let begin = queue.wait(|now| now.leased > 0 || now.delivered > before.delivered);
        command.join().map_err(|_| anyhow!("asking for the delivery panicked"))??;
        begin
    })?;
    let elapsed = queue.wait(|now| now.delivered == all)? - begin;
    let cpu = server.process.cpu()?.saturating_sub(cpu_before);
    Ok(Figures { resident: Some(server.process.memory()?.resident), ..figures(count, elapsed, cpu) })
}

/// Gantry's queue as its index has it, which outcomes reach within 20 ms.
struct Queue(Connection);

struct Look {
    leased: i64,
    delivered: i64,
}

impl Queue {
    fn open(server: &Server) -> Result<Self> {
        let index = server.data().join("index.sqlite");
        Ok(Self(Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_ONLY)?))
    }

    fn look(&self) -> Result<Look> {
        let mut look = self.0.prepare_cached("SELECT leased, delivered FROM destination WHERE name = ?1")?;
        Ok(look.query_row([peers::BUCKET], |row| Ok(Look { leased: row.get(0)?, delivered: row.get(1)? }))?)
    }

    /// Waits until it is so; returns when it was.
    fn wait(&self, is_so: impl Fn(&Look) -> bool) -> Result<Instant> {
        let begin = Instant::now();
        while !is_so(&self.look()?) {
            ensure!(begin.elapsed() < PATIENCE, "not all instances were delivered in time");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Instant::now())
    }
}

/// The loop.
struct Bare {
    runtime: Runtime,
    store: Arc<AmazonS3>,
}

impl Bare {
    fn new(seaweed: &SeaweedFs) -> Result<Self> {
        // One that is there already is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        let [(_, access), (_, secret)] = seaweed::KEYS;
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", seaweed.s3))
            .with_bucket_name(seaweed::BUCKET)
            .with_region("us-east-1")
            .with_access_key_id(access)
            .with_secret_access_key(secret)
            .with_allow_http(true)
            .with_checksum_algorithm(Checksum::SHA256)
            .build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, store: Arc::new(store) })
    }

    /// Reads and puts these files.
    fn put_all(&self, files: Vec<PathBuf>) -> Result<Figures> {
        let count = u64::try_from(files.len())?;
        let cpu_before = own_cpu()?;
        let begin = Instant::now();
        self.runtime.block_on(self.put(files.into()))?;
        let elapsed = begin.elapsed();
        Ok(figures(count, elapsed, own_cpu()?.saturating_sub(cpu_before)))
    }

    async fn put(&self, files: Arc<[PathBuf]>) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..PARALLEL {
            let (store, files, next) = (self.store.clone(), files.clone(), next.clone());
            tasks.spawn(async move {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    put(&store, file).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// How many objects the bucket has.
    fn objects(&self) -> Result<u64> {
        let count = self.store.list(None).try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
        Ok(self.runtime.block_on(count)?)
    }
}

async fn put(store: &AmazonS3, file: &Path) -> Result<()> {
    let name = file.file_name().and_then(|name| name.to_str()).context("a name of Gantry's")?;
    let content = tokio::fs::read(file).await?;
    let text = |name: &'static str| Attribute::Metadata(name.into());
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "application/dicom".to_owned()),
        (text("sha256"), "5a".repeat(32)),
        (text("ts-uid"), EXPLICIT_VR_LITTLE_ENDIAN.to_owned()),
        (text("router-version"), "bench/0.0.0".to_owned()),
    ]);
    let options = PutOptions { attributes, ..PutOptions::default() };
    store.put_opts(&format!("bare/{name}").into(), content.into(), options).await?;
    Ok(())
}

fn figures(count: u64, elapsed: Duration, cpu: Duration) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let instances = count as f64;
    let rate = instances / elapsed.as_secs_f64();
    Figures {
        per_second: Some(rate),
        megabytes_per_second: Some(rate * 0.526),
        cpu_ms: Some(milliseconds(cpu) / instances),
        ..Figures::default()
    }
}
