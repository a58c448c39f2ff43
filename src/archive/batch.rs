//! One transaction for many instances and turns of lanes, and what follows from its outcome.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use telemetry::Event;
use tokio::sync::oneshot;

use crate::fanout::Fanout;
use crate::files::hour_of;
use crate::store::{Added, Learned, Places, Store};
use crate::writer::{Reply, Shared};
use crate::{Committed, DestinationId, Error, Prepared, SpooledFile, Turn, Turned};

/// Something to commit, together with other such things.
#[expect(clippy::large_enum_variant, reason = "most pieces are instances; a box for each would cost more")]
pub(crate) enum Work {
    Instance(Job),
    Turn(TurnJob),
}

/// An instance to commit, and where the answer goes.
pub(crate) struct Job {
    pub(crate) instance: Prepared,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// The turn of a lane, and where the answer goes.
pub(crate) struct TurnJob {
    pub(crate) destination: DestinationId,
    pub(crate) turn: Turn,
    pub(crate) reply: oneshot::Sender<Result<Turned, Error>>,
}

/// Commits batches.
pub(crate) struct Batcher<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
    places: Places,
    /// Whether a COMMIT waits for the disk, as it does on a new connection of the writer.
    is_synced: bool,
    /// When one last did so that wrote something.
    synced: Instant,
}

/// What was done with a piece of work.
enum Outcome {
    Added(Added),
    Turned(Turned),
}

/// How a transaction ended that was not committed.
enum Failed {
    /// One piece of work cannot be done; nothing was.
    One(Error),
    /// Nothing can be stored at present; nothing was.
    All(Error),
    /// It may be durable.
    Unknown(Error),
}

/// What a committed transaction leaves to do.
struct Done {
    outcomes: Vec<Outcome>,
    learned: Learned,
    fanout: Fanout,
    disagreements: i64,
}

impl<'a> Batcher<'a> {
    pub(crate) fn new(connection: &'a Connection, shared: &'a Shared) -> Self {
        Self { connection, shared, places: Places::new(), is_synced: true, synced: Instant::now() }
    }

    /// Commits all of it and answers each. One piece that cannot be done does not keep the others from it: nothing of
    /// a transaction that fails is answered but by what becomes of it alone.
    ///
    /// Instances are durable with their answers. Turns without instances outlive this process, and a loss of power with
    /// the next transaction that is synced, which is one in a second at least while there are some: a turn that is lost
    /// is a turn that was not taken.
    ///
    /// Gives whether anything was written.
    pub(crate) fn commit(&mut self, work: Vec<Work>) -> bool {
        let before = self.connection.total_changes();
        let begin = Instant::now();
        let work = self.sync_folders(work);
        if work.is_empty() {
            return false;
        }
        match self.transact(&work) {
            Err(Failed::One(_)) if work.len() > 1 => {
                for piece in work {
                    let begin = Instant::now();
                    let outcome = self.transact(std::slice::from_ref(&piece));
                    self.settle(vec![piece], outcome, begin);
                }
            }
            outcome => self.settle(work, outcome, begin),
        }
        self.connection.total_changes() != before
    }

    /// Makes the names of the files durable, folder by folder. Gives back the work for which that worked.
    fn sync_folders(&self, work: Vec<Work>) -> Vec<Work> {
        let mut folders = BTreeMap::new();
        let mut synced = Vec::with_capacity(work.len());
        for piece in work {
            let Work::Instance(job) = piece else {
                synced.push(piece);
                continue;
            };
            let hour = hour_of(job.instance.file.number());
            match folders.entry(hour).or_insert_with(|| self.shared.files.sync_folder(hour)) {
                Ok(()) => synced.push(Work::Instance(job)),
                Err(error) => fail(Work::Instance(job), error.clone()),
            }
        }
        synced
    }

    fn transact(&mut self, work: &[Work]) -> Result<Done, Failed> {
        // What a turn says may be lost with the power and is done again then: it need not wait for the disk, but for
        // one in a while.
        let has_instance = work.iter().any(|piece| matches!(piece, Work::Instance(_)));
        let is_synced = has_instance || self.synced.elapsed() >= UNSYNCED;
        self.sync_commits(is_synced).map_err(Failed::All)?;
        let before = self.connection.total_changes();
        let done = self.do_all(work);
        if is_synced && done.is_ok() && self.connection.total_changes() != before {
            self.synced = Instant::now();
        }
        if done.is_err() {
            self.places.clear();
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "the index could not roll back");
            }
        }
        // For whatever else is committed next. Should it fail, the next instances are refused.
        if let Err(error) = self.sync_commits(true) {
            tracing::error!(error = &error as &dyn std::error::Error, "the index cannot be told to sync");
        }
        done
    }

    /// Whether a COMMIT waits for the disk from now on.
    fn sync_commits(&mut self, is_synced: bool) -> Result<(), Error> {
        if self.is_synced != is_synced {
            // It takes effect when it is prepared, so that it cannot be kept prepared.
            let level = if is_synced { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.connection.execute_batch(level)?;
            self.is_synced = is_synced;
        }
        Ok(())
    }

    fn do_all(&mut self, work: &[Work]) -> Result<Done, Failed> {
        let all = |error: rusqlite::Error| Failed::All(error.into());
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(all)?;
        let Shared { files, dictionaries, kinds, .. } = self.shared;
        let mut store = Store::new(self.connection, files, &mut self.places, dictionaries, kinds);
        let outcomes: Result<Vec<_>, _> = work.iter().map(|piece| piece.run(&mut store)).collect();
        let outcomes = outcomes.map_err(Failed::of_statement)?;
        let disagreements = store.counters.disagreements();
        let (learned, fanout) = store.finish().map_err(Failed::of_statement)?;
        self.connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .map_err(Failed::of_commit)?;
        Ok(Done { outcomes, learned, fanout, disagreements })
    }

    /// Answers, once the outcome is certain. Files follow their rows.
    fn settle(&self, work: Vec<Work>, outcome: Result<Done, Failed>, begin: Instant) {
        match outcome {
            Ok(done) => self.succeed(work, done, begin),
            Err(Failed::One(error) | Failed::All(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    pieces = work.len(),
                    "nothing committed"
                );
                work.into_iter().for_each(|piece| fail(piece, error.clone()));
            }
            Err(Failed::Unknown(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    pieces = work.len(),
                    "commit in doubt"
                );
                for piece in work {
                    match piece {
                        Work::Instance(Job { instance, reply }) => {
                            instance.file.leave_unsettled();
                            send(reply, Reply { outcome: Err(error.clone()), unwanted: None });
                        }
                        Work::Turn(TurnJob { reply, .. }) => send(reply, Err(error.clone())),
                    }
                }
            }
        }
    }

    fn succeed(&self, work: Vec<Work>, done: Done, begin: Instant) {
        let (mut added, mut turned) = (Vec::with_capacity(work.len()), Vec::new());
        for (piece, outcome) in work.into_iter().zip(done.outcomes) {
            match (piece, outcome) {
                // First of all: whatever happens next, rows have their files.
                (Work::Instance(Job { instance, reply }), Outcome::Added(what)) => {
                    added.push((reply, what, keep_or_leave(instance.file, what)));
                }
                (Work::Turn(job), Outcome::Turned(result)) => turned.push((job.reply, result)),
                (Work::Instance(_), Outcome::Turned(_)) | (Work::Turn(_), Outcome::Added(_)) => {
                    debug_assert!(false, "outcomes are in the order of the work");
                }
            }
        }
        let telemetry = &self.shared.telemetry;
        (0..done.disagreements).for_each(|_| telemetry.record(Event::AttributeDisagreement));
        (0..done.fanout.came_back).for_each(|_| telemetry.record(Event::CameBack));
        if !added.is_empty() {
            let instances = u64::try_from(added.len()).unwrap_or(u64::MAX);
            telemetry.record(Event::CommitBatch { instances, elapsed: begin.elapsed() });
        }
        // Before the answers, so that whoever waits for one packs its next instance with it.
        for (series, dictionary) in done.learned.dictionaries {
            self.shared.dictionaries.insert(series, dictionary);
        }
        for (kind, instances) in done.learned.kinds {
            self.shared.kinds.add(kind, instances);
        }
        for (reply, added, unwanted) in added {
            send(reply, Reply { outcome: Ok(self.committed(added)), unwanted });
        }
        for (reply, turned) in turned {
            send(reply, Ok(turned));
        }
        done.fanout
            .woken
            .into_iter()
            .for_each(|destination| self.shared.wakeups.of(destination).notify_one());
    }

    fn committed(&self, added: Added) -> Committed {
        match added {
            Added::New => Committed::New,
            Added::Duplicate => Committed::Duplicate,
            Added::Repaired { former } => {
                self.report_repair(former);
                Committed::Duplicate
            }
            Added::Conflict { version } => {
                self.shared.telemetry.record(Event::Conflict);
                Committed::Conflict { version }
            }
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

impl Work {
    fn run(&self, store: &mut Store<'_>) -> Result<Outcome, Error> {
        match self {
            Self::Instance(job) => store.add(&job.instance).map(Outcome::Added),
            Self::Turn(job) => store.turn(job.destination, &job.turn).map(Outcome::Turned),
        }
    }

    /// What it will add to the index, nearly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Instance(job) => job.instance.json_bytes(),
            Self::Turn(_) => 0,
        }
    }
}

impl Failed {
    /// A failed statement says something about its piece of work, unless file system or index as a whole are the reason.
    fn of_statement(error: Error) -> Self {
        let code = match &error {
            Error::Index(source) => source.sqlite_error_code(),
            Error::NoSpace
            | Error::Io { .. }
            | Error::OutcomeUnknown(_)
            | Error::InUse
            | Error::IndexMissing
            | Error::NewerSchema { .. }
            | Error::NoIndex
            | Error::OlderSchema { .. }
            | Error::UnknownUid
            | Error::UnknownDestination
            | Error::Damaged
            | Error::TooManySelected
            | Error::TooLong
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
            _ => Self::One(error),
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

fn fail(piece: Work, error: Error) {
    match piece {
        Work::Instance(Job { instance, reply }) => {
            send(reply, Reply { outcome: Err(error), unwanted: Some(instance.file) });
        }
        Work::Turn(TurnJob { reply, .. }) => send(reply, Err(error)),
    }
}

fn send<T>(reply: oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("somebody left before the index had an answer");
    }
}

/// What was committed without waiting for the disk may be so old.
const UNSYNCED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use model::DestinationName;
    use telemetry::Telemetry;

    use super::*;
    use crate::files::Files;
    use crate::kinds::Kinds;
    use crate::metadata::Dictionaries;
    use crate::wakeups::Wakeups;
    use crate::{Circuit, enrol, files, schema};

    #[test]
    fn turns_without_instances_are_synced_once_in_a_while() {
        let folder = tempfile::tempdir().unwrap();
        files::make_folders(folder.path()).unwrap();
        let connection = schema::open_writer(&folder.path().join("index.sqlite"), true).unwrap();
        let destination = enrol::destinations(&connection, &[DestinationName::new("pacs")]).unwrap()[0];
        let shared = Shared {
            files: Files::open(folder.path()).unwrap().into(),
            dictionaries: Dictionaries::new().into(),
            kinds: Kinds::default().into(),
            telemetry: Telemetry::new(),
            wakeups: Wakeups::default().into(),
        };
        let mut batcher = Batcher::new(&connection, &shared);
        let long_ago = Instant::now().checked_sub(UNSYNCED).unwrap();
        let mut commit = |synced, circuit| {
            let turn = Turn { circuit, ..Turn::default() };
            batcher.synced = synced;
            batcher.commit(vec![Work::Turn(TurnJob { destination, turn, reply: oneshot::channel().0 })]);
            batcher.synced
        };
        let now = Instant::now();
        assert_eq!(commit(now, Some(Circuit::Closed)), now);
        assert_eq!(commit(long_ago, None), long_ago, "nothing was written");
        assert!(commit(long_ago, Some(Circuit::Closed)) >= now);
    }
}
