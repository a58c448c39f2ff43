//! The archive as its callers see it, and through crashes.

mod commit;
mod commitment;
mod desk;
mod fanout;
mod find;
mod items;
mod lookups;
mod merge;
mod paging;
mod plans;
mod recovery;
mod refill;
mod relational;
mod repair;
mod retrieve;
mod selected;
mod settle;
mod trace;
mod turns;
mod verification;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use model::check::Crc64;
use model::element::{put, put_item};
use model::query::{Keys, Mechanisms, Query};
use model::scan::scan;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, Encoding, form};
use model::{
    AeTitle, InstanceIds, PeerName, QueryRetrieveLevel, Scope, SeriesInstanceUid, SopClassUid,
    SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, Vr, vr,
};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use telemetry::{Door, Telemetry};
use tempfile::TempDir;

use crate::{
    Archive, Committed, Config, Cursor, Error, NewInstance, Page, Prepared, Routing, Row, Source, Spool,
};

pub(super) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

pub(super) const STUDY: Tag = Tag(0x0020, 0x000D);
pub(super) const SERIES: Tag = Tag(0x0020, 0x000E);
pub(super) const INSTANCE: Tag = Tag(0x0008, 0x0018);
pub(super) const NAME: Tag = Tag(0x0010, 0x0010);
pub(super) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub(super) const ISSUER: Tag = Tag(0x0010, 0x0021);
pub(super) const DATE: Tag = Tag(0x0008, 0x0020);
pub(super) const TIME: Tag = Tag(0x0008, 0x0030);
pub(super) const ACCESSION: Tag = Tag(0x0008, 0x0050);
pub(super) const MODALITY: Tag = Tag(0x0008, 0x0060);
pub(super) const MODALITIES: Tag = Tag(0x0008, 0x0061);

/// An archive in a folder of its own.
pub(super) struct Home {
    pub(super) folder: TempDir,
    pub(super) archive: Archive,
    pub(super) telemetry: Telemetry,
}

impl Home {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
        Self { folder, archive, telemetry }
    }

    /// Ends as a crash would, as far as a process can do that to itself: nothing is closed. Then opens again.
    pub(super) fn reopen(self) -> Self {
        self.reopen_after(|_| ())
    }

    /// As [`Home::reopen`], with something done to the folder in between.
    pub(super) fn reopen_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self { folder, archive, telemetry } = self;
        drop(archive);
        change(folder.path());
        let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
        Self { folder, archive, telemetry }
    }

    pub(super) async fn store(&self, sample: &Sample) -> Committed {
        self.archive.commit(sample.prepared(&self.archive)).await.unwrap()
    }

    pub(super) async fn store_new(&self, sample: &Sample) {
        assert_eq!(self.store(sample).await, Committed::New);
    }

    /// A look into the index besides the archive.
    pub(super) fn index(&self) -> Connection {
        let connection = Connection::open(self.folder.path().join("index.sqlite")).unwrap();
        crate::functions::register(&connection).unwrap();
        connection
    }

    pub(super) fn count(&self, sql: &str) -> i64 {
        self.index().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// All files of instances.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("instances"))
    }

    /// All rows, with as many pages as it takes.
    pub(super) async fn all(&self, query: &Query) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut next: Option<Cursor> = None;
        loop {
            let page: Page<Row> = self.archive.find(query, next).await.unwrap();
            rows.extend(page.rows);
            next = page.next;
            if next.is_none() {
                return rows;
            }
        }
    }

    /// The UIDs of the rows of a query, of its level.
    pub(super) async fn uids(&self, query: &Query) -> Vec<String> {
        let uid = |row: &Row| {
            let ids = &row.ids;
            let instance = ids.instance.as_ref().map(|uid| uid.as_str());
            let series = ids.series.as_ref().map(|uid| uid.as_str());
            instance.or(series).or(ids.study.as_ref().map(|uid| uid.as_str())).unwrap_or_default().to_owned()
        };
        self.all(query).await.iter().map(uid).collect()
    }
}

pub(super) fn config(data_dir: &Path) -> Config {
    Config { data_dir: data_dir.to_owned(), min_free_bytes: 0 }
}

pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// An instance to store: its attributes as UTF-8 text.
#[derive(Clone)]
pub(super) struct Sample {
    attributes: BTreeMap<Tag, String>,
    sequences: BTreeMap<Tag, Vec<Vec<(Tag, String)>>>,
    transfer_syntax: &'static str,
    routing: Option<Routing>,
}

impl Sample {
    /// `study.series.instance` of a made-up patient.
    pub(super) fn new(study: u32, series: u32, instance: u32) -> Self {
        let sample = Self {
            attributes: BTreeMap::new(),
            sequences: BTreeMap::new(),
            transfer_syntax: EXPLICIT_VR_LITTLE_ENDIAN,
            routing: None,
        };
        sample
            .with(Tag(0x0008, 0x0005), "ISO_IR 192")
            .with(STUDY, &format!("2.25.{study}"))
            .with(SERIES, &format!("2.25.{study}.{series}"))
            .with(INSTANCE, &format!("2.25.{study}.{series}.{instance}"))
            .with(Tag(0x0008, 0x0016), CT)
            .with(PATIENT_ID, "P1")
            .with(NAME, "Doe^Jane")
            .with(DATE, "20200101")
            .with(MODALITY, "CT")
            .with(Tag(0x0020, 0x0013), &instance.to_string())
    }

    pub(super) fn with(mut self, tag: Tag, value: &str) -> Self {
        self.attributes.insert(tag, value.to_owned());
        self
    }

    /// Adds an item to a sequence.
    pub(super) fn with_item(mut self, sequence: Tag, attributes: &[(Tag, &str)]) -> Self {
        let item = attributes.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
        self.sequences.entry(sequence).or_default().push(item);
        self
    }

    pub(super) fn without(mut self, tag: Tag) -> Self {
        self.attributes.remove(&tag);
        self
    }

    pub(super) fn in_syntax(mut self, transfer_syntax: &'static str) -> Self {
        self.transfer_syntax = transfer_syntax;
        self
    }

    pub(super) fn routed(mut self, routing: Routing) -> Self {
        self.routing = Some(routing);
        self
    }

    pub(super) fn data_set(&self) -> Vec<u8> {
        let encoding = Encoding::ExplicitLittle;
        let mut elements = BTreeMap::new();
        for (tag, value) in &self.attributes {
            let vr = vr::of_tag(*tag, false);
            let value = match vr {
                Vr::US => value.parse::<u16>().unwrap().to_le_bytes().to_vec(),
                _ => value.as_bytes().to_vec(),
            };
            elements.insert(*tag, (vr, value));
        }
        for (sequence, items) in &self.sequences {
            let mut value = Vec::new();
            for item in items {
                let mut content = Vec::new();
                for (tag, text) in item {
                    put(&mut content, encoding, *tag, vr::of_tag(*tag, false), text.as_bytes());
                }
                put_item(&mut value, encoding, &content);
            }
            elements.insert(*sequence, (Vr::SQ, value));
        }
        let mut bytes = Vec::new();
        for (tag, (vr, value)) in elements {
            put(&mut bytes, encoding, tag, vr, &value);
        }
        bytes
    }

    pub(super) fn ids(&self) -> InstanceIds {
        let text = |tag| self.attributes.get(&tag).unwrap().as_str();
        InstanceIds {
            study: StudyInstanceUid::lenient(text(STUDY)).unwrap(),
            series: SeriesInstanceUid::lenient(text(SERIES)).unwrap(),
            sop_class: SopClassUid::lenient(text(Tag(0x0008, 0x0016))).unwrap(),
            sop_instance: SopInstanceUid::lenient(text(INSTANCE)).unwrap(),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        let InstanceIds { study, series, sop_class: _, sop_instance } = self.ids();
        Scope { study, series: Some(series), instance: Some(sop_instance) }
    }

    /// Writes the file and makes the rows, as the pipeline does.
    pub(super) fn prepared(&self, archive: &Archive) -> Prepared {
        self.prepared_by(archive.spool().unwrap(), |received| archive.prepare(received))
    }

    pub(super) fn prepared_by(
        &self,
        mut spool: Spool,
        prepare: impl Fn(NewInstance) -> Prepared,
    ) -> Prepared {
        let data_set = self.data_set();
        spool.append(&data_set).unwrap();
        prepare(NewInstance {
            ids: self.ids(),
            transfer_syntax: TransferSyntaxUid::parse(self.transfer_syntax).unwrap(),
            file: spool.sync().unwrap(),
            data_offset: 0,
            length: data_set.len().try_into().unwrap(),
            sha256: Sha256::digest(&data_set).into(),
            crc64: crc64_of(&data_set),
            header: scan(form(EXPLICIT_VR_LITTLE_ENDIAN), &data_set).unwrap(),
            source: Source {
                door: Door::Dimse,
                calling_aet: Some(AeTitle::parse("CT1").unwrap()),
                called_aet: Some(AeTitle::parse("GANTRY").unwrap()),
                address: "10.1.2.3".parse().ok(),
                peer: Some(PeerName::new("scanner")),
            },
            routing: self.routing.clone(),
        })
    }
}

/// Something that ends once the writer has committed it.
pub(super) type Commit<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Has all committed in one transaction: the writer is held up until they are queued. It takes the first by itself when
/// it was waiting, so that one is for that.
pub(super) async fn together<T>(home: &Home, mut commits: Vec<Commit<'_, T>>) -> Vec<T> {
    let hold_up = home.index();
    hold_up.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut outcomes: Vec<Option<_>> = commits.iter().map(|_| None).collect();
    let mut poll_all = |context: &mut Context<'_>| {
        for (outcome, commit) in outcomes.iter_mut().zip(&mut commits) {
            if outcome.is_none()
                && let Poll::Ready(result) = commit.as_mut().poll(context)
            {
                *outcome = Some(result);
            }
        }
        if outcomes.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    };
    poll_fn(|context| {
        assert!(poll_all(context).is_pending());
        Poll::Ready(())
    })
    .await;
    hold_up.execute_batch("COMMIT").unwrap();
    poll_fn(&mut poll_all).await;
    outcomes.into_iter().map(Option::unwrap).collect()
}

/// A query for everything of a level.
pub(super) fn query(level: QueryRetrieveLevel) -> Query {
    Query::new(level)
}

/// What peers may negotiate.
const NEGOTIATED: Mechanisms = Mechanisms::ALL;

/// A query with keys as text, read as those of peers are that have negotiated everything.
pub(super) fn query_for(level: QueryRetrieveLevel, keys: &[(Tag, &str)]) -> Query {
    let mut read = Keys::new(NEGOTIATED);
    for (tag, value) in keys {
        read.add(*tag, vr::of_tag(*tag, false), value).unwrap();
    }
    Query { keys: read.finish().unwrap(), ..query(level) }
}

/// A query for one item of a sequence with these keys.
pub(super) fn query_within(level: QueryRetrieveLevel, sequence: Tag, keys: &[(Tag, &str)]) -> Query {
    let mut read = Keys::new(NEGOTIATED);
    read.add_within(sequence, query_for(level, keys).keys);
    Query { keys: read.finish().unwrap(), ..query(level) }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

/// Runs a future of a test: the archive blocks in places that a runtime of one thread would not bear.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

#[test]
fn a_second_archive_of_the_same_folder_is_refused() {
    let home = Home::new();
    let error = Archive::open(config(home.folder.path()), Telemetry::new()).err().unwrap();
    assert!(matches!(error, Error::InUse));
}

#[test]
fn nothing_works_after_close_and_everything_after_the_next_open() {
    let home = Home::new();
    let sample = Sample::new(1, 1, 1);
    run(async {
        home.store_new(&sample).await;
        home.archive.close().await.unwrap();
        assert!(matches!(
            home.archive.find(&query(QueryRetrieveLevel::Study), None).await,
            Err(Error::Closed)
        ));
        assert!(matches!(home.archive.probe().await, Err(Error::Closed)));
    });
    assert!(!home.folder.path().join("index.sqlite-wal").exists());
    assert_eq!(home.count("SELECT count(*) FROM open_hour"), 0);
    let home = home.reopen();
    run(async {
        home.archive.probe().await.unwrap();
        assert_eq!(home.store(&sample).await, Committed::Duplicate);
    });
}

#[test]
fn space_is_what_the_configuration_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let open = |min_free_bytes| {
        Archive::open(Config { data_dir: folder.path().join("a"), min_free_bytes }, Telemetry::new()).unwrap()
    };
    assert!(open(1).has_space());
    assert!(open(1).free_bytes().unwrap() > 0);
    assert!(!open(u64::MAX).has_space());
}

pub(super) fn crc64_of(bytes: &[u8]) -> u64 {
    let mut crc64 = Crc64::default();
    crc64.update(bytes);
    crc64.value()
}
