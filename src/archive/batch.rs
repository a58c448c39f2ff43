//! One transaction for many instances, and what follows from its outcome.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};
use telemetry::Event;
use tokio::sync::oneshot;

use crate::files::hour_of;
use crate::metadata::SeriesKey;
use crate::store::{Added, Places, Store};
use crate::writer::{Reply, Shared};
use crate::{Committed, Error, Prepared, SpooledFile};

/// An instance to commit, and where the answer goes.
pub(crate) struct Job {
    pub(crate) instance: Prepared,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// Commits batches of instances.
pub(crate) struct Batcher<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
    places: Places,
}

/// How a transaction ended that was not committed.
enum Failed {
    /// One instance cannot be stored; nothing was.
    Instance(Error),
    /// Nothing can be stored at present; nothing was.
    All(Error),
    /// It may be durable.
    Unknown(Error),
}

/// What a committed transaction leaves to do.
struct Done {
    added: Vec<Added>,
    dictionaries: HashMap<SeriesKey, Vec<u8>>,
    disagreements: i64,
}

impl<'a> Batcher<'a> {
    pub(crate) fn new(connection: &'a Connection, shared: &'a Shared) -> Self {
        Self { connection, shared, places: Places::new() }
    }

    /// Makes the instances durable and answers each. One that cannot be stored does not keep the others from it.
    pub(crate) fn commit(&mut self, jobs: Vec<Job>) {
        let begin = Instant::now();
        let jobs = self.sync_folders(jobs);
        if jobs.is_empty() {
            return;
        }
        match self.transact(&jobs) {
            Err(Failed::Instance(_)) if jobs.len() > 1 => {
                for job in jobs {
                    let begin = Instant::now();
                    let outcome = self.transact(std::slice::from_ref(&job));
                    self.settle(vec![job], outcome, begin);
                }
            }
            outcome => self.settle(jobs, outcome, begin),
        }
    }

    /// Makes the names of the files durable, folder by folder. Gives back the jobs for which that worked.
    fn sync_folders(&self, jobs: Vec<Job>) -> Vec<Job> {
        let mut folders = BTreeMap::new();
        let (synced, failed): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| {
            let hour = hour_of(job.instance.file.number());
            folders.entry(hour).or_insert_with(|| self.shared.files.sync_folder(hour)).is_ok()
        });
        for job in failed {
            let hour = hour_of(job.instance.file.number());
            if let Some(Err(error)) = folders.get(&hour) {
                fail(job, error.clone());
            }
        }
        synced
    }

    fn transact(&mut self, jobs: &[Job]) -> Result<Done, Failed> {
        let done = self.add_all(jobs);
        if done.is_err() {
            self.places.clear();
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "the index could not roll back");
            }
        }
        done
    }

    fn add_all(&mut self, jobs: &[Job]) -> Result<Done, Failed> {
        let all = |error: rusqlite::Error| Failed::All(error.into());
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(all)?;
        let mut store =
            Store::new(self.connection, &self.shared.files, &mut self.places, &self.shared.dictionaries);
        let added: Result<Vec<_>, _> = jobs.iter().map(|job| store.add(&job.instance)).collect();
        let added = added.map_err(Failed::of_statement)?;
        let disagreements = store.counters.disagreements();
        let dictionaries = store.finish().map_err(Failed::of_statement)?;
        self.connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .map_err(Failed::of_commit)?;
        Ok(Done { added, dictionaries, disagreements })
    }

    /// Answers, once the outcome is certain. Files follow their rows.
    fn settle(&self, jobs: Vec<Job>, outcome: Result<Done, Failed>, begin: Instant) {
        match outcome {
            Ok(done) => self.succeed(jobs, done, begin),
            Err(Failed::Instance(error) | Failed::All(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    instances = jobs.len(),
                    "nothing committed"
                );
                jobs.into_iter().for_each(|job| fail(job, error.clone()));
            }
            Err(Failed::Unknown(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    instances = jobs.len(),
                    "commit in doubt"
                );
                for Job { instance, reply } in jobs {
                    instance.file.leave_unsettled();
                    send(reply, Reply { outcome: Err(error.clone()), unwanted: None });
                }
            }
        }
    }

    fn succeed(&self, jobs: Vec<Job>, done: Done, begin: Instant) {
        let instances = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
        // First of all: whatever happens next, rows have their files.
        let answers: Vec<_> = jobs
            .into_iter()
            .zip(done.added)
            .map(|(Job { instance, reply }, added)| (reply, added, keep_or_leave(instance.file, added)))
            .collect();
        let telemetry = &self.shared.telemetry;
        (0..done.disagreements).for_each(|_| telemetry.record(Event::AttributeDisagreement));
        telemetry.record(Event::CommitBatch { instances, elapsed: begin.elapsed() });
        // Before the answers, so that whoever waits for one packs its next instance with it.
        for (series, dictionary) in done.dictionaries {
            self.shared.dictionaries.insert(series, dictionary);
        }
        for (reply, added, unwanted) in answers {
            let outcome = match added {
                Added::New => Committed::New,
                Added::Duplicate => Committed::Duplicate,
                Added::Repaired { former } => {
                    self.report_repair(former);
                    Committed::Duplicate
                }
                Added::Conflict { version } => {
                    telemetry.record(Event::Conflict);
                    Committed::Conflict { version }
                }
            };
            send(reply, Reply { outcome: Ok(outcome), unwanted });
        }
    }

    /// What is left of the file goes where everything is that no row speaks of.
    fn report_repair(&self, former: i64) {
        let files = &self.shared.files;
        let path = files.path(former);
        tracing::error!(path = %path.display(), "a missing or damaged file was replaced by the same content, sent again");
        if path.exists()
            && let Err(error) = files.set_aside([former])
        {
            tracing::warn!(path = %path.display(), error = &error as &dyn std::error::Error, "it could not be set aside");
        }
    }
}

/// Keeps a file that a row speaks of; gives back any other.
fn keep_or_leave(file: SpooledFile, added: Added) -> Option<SpooledFile> {
    match added {
        Added::New | Added::Repaired { .. } | Added::Conflict { .. } => file.keep(),
        Added::Duplicate => return Some(file),
    }
    None
}

impl Failed {
    /// A failed statement says something about its instance, unless file system or index as a whole are the reason.
    fn of_statement(error: Error) -> Self {
        let code = match &error {
            Error::Index(source) => source.sqlite_error_code(),
            Error::NoSpace
            | Error::Io { .. }
            | Error::OutcomeUnknown(_)
            | Error::InUse
            | Error::IndexMissing
            | Error::NewerSchema { .. }
            | Error::Damaged
            | Error::Closed => return Self::All(error),
        };
        match code {
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory,
            ) => Self::All(error),
            _ => Self::Instance(error),
        }
    }

    /// A commit that fails for want of space has not written its last frame. Any other may have, and may yet reach
    /// the disk.
    fn of_commit(error: rusqlite::Error) -> Self {
        match Error::from(error) {
            Error::Index(source) => Self::Unknown(Error::OutcomeUnknown(source)),
            error => Self::All(error),
        }
    }
}

fn fail(job: Job, error: Error) {
    send(job.reply, Reply { outcome: Err(error), unwanted: Some(job.instance.file) });
}

fn send(reply: oneshot::Sender<Reply>, answer: Reply) {
    if reply.send(answer).is_err() {
        tracing::debug!("a sender left before its instance was committed");
    }
}
