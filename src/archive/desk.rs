use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use model::{DestinationName, limits};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::clock::now_microseconds;
use crate::counters::Counters;
use crate::files::Files;
use crate::peers::PeerRecord;
use crate::turn::{ASK, HASTEN};
use crate::verification::BY_REQUEST;
use crate::{
    CommitmentCounts, CommitmentRecord, DeliveryState, DestinationId, Error, LaneSummary, Trace, commitment,
    enrol, lanes, peers, schema, trace,
};

/// The queue and the ledger as a person sees and changes them, beside a running server or without one. Blocks.
///
/// Reads by a connection that cannot write; changes in short transactions, each followed by a pause at least as long, in
/// which the server has its own. Never makes or migrates an index.
pub struct Desk {
    reader: Connection,
    index: PathBuf,
    files: Files,
}

/// Which deliveries are to be tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retry {
    /// Of this destination only.
    pub destination: Option<DestinationName>,
    /// Those that were given up: as if they were queued now.
    pub dead: bool,
    /// Those that wait to be tried again, and those that wait for storage commitment, which is asked for again: now.
    pub waiting: bool,
}

/// What was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resent {
    /// So many instances are ready now.
    pub instances: u64,
}

impl Desk {
    /// Opens the index of a data folder.
    ///
    /// # Errors
    /// [`Error::NoIndex`] when no server has kept anything there; [`Error::OlderSchema`] and [`Error::NewerSchema`] when a server of
    /// another version has written it; else what file system and index say.
    pub fn open(data_dir: &Path) -> Result<Self, Error> {
        let index = data_dir.join("index.sqlite");
        if !fs::metadata(&index).is_ok_and(|found| found.len() > 0) {
            return Err(Error::NoIndex);
        }
        let reader = schema::open_reader(&index)?;
        schema::check(&reader)?;
        Ok(Self { reader, index, files: Files::at(data_dir) })
    }

    /// The lanes at a glance, by name. Takes as long as there are destinations, however much waits.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn lanes(&self) -> Result<Vec<LaneSummary>, Error> {
        let transaction = self.reader.unchecked_transaction()?;
        lanes::summaries(&transaction)
    }

    /// Where the instances of a study, series or SOP Instance UID came from and went, in all their versions; nothing
    /// for a UID that is not known.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`].
    pub fn trace(&self, uid: &str) -> Result<Trace, Error> {
        let transaction = self.reader.unchecked_transaction()?;
        trace::trace(&transaction, &self.files, uid)
    }

    /// Has deliveries tried again, and gives their number. A running server notices within a second.
    ///
    /// Durable when this returns; after an error some of them may be, and doing it again is safe.
    ///
    /// # Errors
    /// [`Error::UnknownDestination`], [`Error::Index`], [`Error::NoSpace`].
    pub fn retry(&mut self, which: &Retry) -> Result<u64, Error> {
        let destinations = match &which.destination {
            Some(name) => vec![self.destination(name)?],
            None => self
                .reader
                .prepare("SELECT destination_pk FROM destination")?
                .query_map([], |row| Ok(DestinationId(row.get(0)?)))?
                .collect::<Result<_, _>>()?,
        };
        let writer = self.writer()?;
        let begin = now_microseconds();
        let mut changed = 0;
        for destination in destinations {
            if which.dead {
                changed += in_batches(&writer, REVIVE, destination, begin, |counters, count| {
                    for _ in 0..count {
                        counters.moved(destination.0, Some(DeliveryState::Dead), DeliveryState::Ready);
                    }
                })?;
            }
            if which.waiting {
                changed += in_batches(&writer, HASTEN, destination, begin, |_, _| ())?;
                changed += in_batches(&writer, ASK_NOW, destination, BY_REQUEST, |_, _| ())?;
            }
            writer.execute(ASK, [destination.0])?;
        }
        Ok(changed)
    }

    /// Sends the instances of a study, series or SOP Instance UID to a destination, whatever became of them there
    /// before; the version that is served of each. A running server notices within a second.
    ///
    /// Durable when this returns; after an error some of them may be, and doing it again is safe.
    ///
    /// # Errors
    /// [`Error::UnknownUid`], [`Error::UnknownDestination`], [`Error::Index`], [`Error::NoSpace`].
    pub fn resend(&mut self, uid: &str, to: &DestinationName) -> Result<Resent, Error> {
        let destination = self.destination(to)?;
        let instances = trace::instances_of(&self.reader, uid, u32::MAX)?;
        if instances.is_empty() {
            return Err(Error::UnknownUid);
        }
        let writer = self.writer()?;
        let batch = usize::try_from(limits::DESK_BATCH).unwrap_or(usize::MAX);
        for instances in instances.chunks(batch) {
            change(&writer, |writer, counters| {
                let now = now_microseconds();
                for instance_pk in instances {
                    let former: Option<DeliveryState> = writer
                        .prepare_cached(STATE)?
                        .query_row([*instance_pk, destination.0], |row| row.get(0))
                        .optional()?;
                    writer.prepare_cached(SEND)?.execute([destination.0, *instance_pk, now])?;
                    counters.moved(destination.0, former, DeliveryState::Ready);
                }
                Ok(())
            })?;
        }
        writer.execute(ASK, [destination.0])?;
        Ok(Resent { instances: u64::try_from(instances.len()).unwrap_or(u64::MAX) })
    }

    /// The storage commitment reports that wait, and those that were given up; see [`Archive::commitments`](crate::Archive::commitments).
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`].
    pub fn commitments(&self, limit: u32) -> Result<Vec<CommitmentRecord>, Error> {
        let transaction = self.reader.unchecked_transaction()?;
        commitment::records(&transaction, limit)
    }

    /// How many storage commitment reports wait and were given up.
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn commitment_counts(&self) -> Result<CommitmentCounts, Error> {
        let transaction = self.reader.unchecked_transaction()?;
        commitment::counts(&transaction)
    }

    /// Has the storage commitment reports sent now that wait for their next attempt or were given up, and gives their number. A
    /// running server notices within a second.
    ///
    /// Durable when this returns.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::NoSpace`].
    pub fn retry_reports(&mut self) -> Result<u64, Error> {
        let writer = self.writer()?;
        commitment::hasten(&writer)
    }

    /// All that is remembered of peers, by name; see [`Archive::peers`](crate::Archive::peers).
    ///
    /// # Errors
    /// [`Error::Index`].
    pub fn peers(&self) -> Result<Vec<PeerRecord>, Error> {
        let transaction = self.reader.unchecked_transaction()?;
        peers::records(&transaction)
    }

    /// Forgets a peer, and gives whether anything was known of it. A running server notices within a second.
    ///
    /// Durable when this returns.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::NoSpace`].
    pub fn forget(&mut self, peer: &str) -> Result<bool, Error> {
        let writer = self.writer()?;
        change(&writer, |writer, _| peers::forget(writer, peer))
    }

    /// The connection that cannot write.
    pub(crate) fn reader(&self) -> &Connection {
        &self.reader
    }

    fn destination(&self, name: &DestinationName) -> Result<DestinationId, Error> {
        enrol::destination(&self.reader, name)?.ok_or(Error::UnknownDestination)
    }

    fn writer(&self) -> Result<Connection, Error> {
        let writer = schema::open_beside(&self.index)?;
        schema::check(&writer)?;
        Ok(writer)
    }
}

/// Runs a statement that changes at most so many rows at a time until there are none left for it. Its parameters:
/// destination, when the command began, how many rows. It must not find again what it has changed.
fn in_batches(
    writer: &Connection,
    sql: &str,
    destination: DestinationId,
    begin: i64,
    count: impl Fn(&mut Counters, usize),
) -> Result<u64, Error> {
    let mut total = 0;
    loop {
        let changed = change(writer, |writer, counters| {
            let changed =
                writer.prepare_cached(sql)?.execute(params![destination.0, begin, limits::DESK_BATCH])?;
            count(counters, changed);
            Ok(changed)
        })?;
        total += u64::try_from(changed).unwrap_or(u64::MAX);
        if changed == 0 {
            return Ok(total);
        }
    }
}

/// Makes a change in one transaction, and leaves the index alone for as long as that took.
///
/// SQLite's lock goes to whoever asks at the right moment: without the pause, the server would hardly find one.
fn change<T>(
    writer: &Connection,
    change: impl FnOnce(&Connection, &mut Counters) -> Result<T, Error>,
) -> Result<T, Error> {
    let transaction = Transaction::new_unchecked(writer, TransactionBehavior::Immediate)?;
    let begin = Instant::now();
    let mut counters = Counters::default();
    let changed = change(&transaction, &mut counters)?;
    counters.write(&transaction)?;
    transaction.commit()?;
    thread::sleep(begin.elapsed().max(PAUSE));
    Ok(changed)
}

/// What dies after the command has begun stays dead.
pub(crate) const REVIVE: &str =
    "UPDATE delivery SET state = 0, attempts = 0, queued = ?2, due = ?2, status = '' WHERE delivery_pk IN (
        SELECT delivery_pk FROM delivery INDEXED BY delivery_open
        WHERE destination_pk = ?1 AND state = 3 AND state < 4 AND due <= ?2 ORDER BY due, delivery_pk LIMIT ?3)";

/// What waits for storage commitment is asked about.
pub(crate) const ASK_NOW: &str = "UPDATE delivery SET due = ?2 WHERE delivery_pk IN (
        SELECT delivery_pk FROM delivery INDEXED BY delivery_verifying
        WHERE destination_pk = ?1 AND state = 6 AND due > ?2 ORDER BY due, delivery_pk LIMIT ?3)";

pub(crate) const STATE: &str = "SELECT state FROM delivery INDEXED BY delivery_by_version
    WHERE instance_pk = ?1 AND version = 1 AND destination_pk = ?2";

const SEND: &str = "INSERT INTO delivery (destination_pk, instance_pk, version, state, queued, due)
    VALUES (?1, ?2, 1, 0, ?3, ?3) ON CONFLICT (instance_pk, version, destination_pk)
    DO UPDATE SET rule_pk = NULL, state = 0, attempts = 0, queued = ?3, due = ?3, status = ''";

/// The least pause between two transactions: several looks of the server's writer at the lock, see [`schema`].
const PAUSE: Duration = Duration::from_millis(10);
