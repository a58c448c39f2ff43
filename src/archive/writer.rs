//! The one writer: a thread that owns the writing connection and commits what has queued up, instances and turns of
//! lanes, in one transaction.
//!
//! While a commit waits for the disk the next batch queues up, so batches grow with load and nobody waits for
//! company.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::limits;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use telemetry::Telemetry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::batch::{Batcher, Job, TurnJob, Work};
use crate::files::Files;
use crate::kinds::Kinds;
use crate::metadata::Dictionaries;
use crate::wakeups::Wakeups;
use crate::{Committed, DestinationId, Error, Prepared, SpooledFile, Turn, Turned, maintenance};

/// The sending side of the writer. Dropped, it waits until the writer has committed what is queued.
pub(crate) struct Writer {
    queue: Option<SyncSender<Command>>,
    /// One for each place in the queue, so that sending never blocks.
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer needs besides its connection.
pub(crate) struct Shared {
    pub(crate) files: Arc<Files>,
    pub(crate) dictionaries: Arc<Dictionaries>,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) telemetry: Telemetry,
    pub(crate) wakeups: Arc<Wakeups>,
}

/// The answer to a commit.
pub(crate) struct Reply {
    pub(crate) outcome: Result<Committed, Error>,
    /// A file that no row speaks of. Removing it takes time, which the sender has and the writer has not.
    pub(crate) unwanted: Option<SpooledFile>,
}

enum Command {
    Commit(Box<Work>, OwnedSemaphorePermit),
    Change(Change, OwnedSemaphorePermit),
    OpenHour(i64, SyncSender<Result<(), Error>>),
    Probe(oneshot::Sender<Result<(), Error>>, OwnedSemaphorePermit),
    Close(oneshot::Sender<Result<(), Error>>, OwnedSemaphorePermit),
}

/// Something rare that changes the index in a transaction of its own, and answers itself.
type Change = Box<dyn FnOnce(&Connection) + Send>;

impl Writer {
    pub(crate) fn start(connection: Connection, shared: Shared) -> Result<Self, Error> {
        // Hours are opened one at a time and need no permit.
        let (queue, commands) = sync_channel(limits::WRITER_QUEUE + 1);
        let thread = thread::Builder::new()
            .name("index-writer".into())
            .spawn(move || run(&connection, &shared, &commands))
            .map_err(Error::io("start the writer"))?;
        Ok(Self {
            queue: Some(queue),
            places: Arc::new(Semaphore::new(limits::WRITER_QUEUE)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Cancel safety: dropped before the instance is queued, nothing has happened; after that it is committed.
    pub(crate) async fn commit(&self, instance: Prepared) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        let permit = self.permit().await?;
        self.send(Command::Commit(Box::new(Work::Instance(Job { instance, reply })), permit))?;
        let Reply { outcome, unwanted } = answer.await.map_err(|_| Error::Closed)?;
        if let Some(file) = unwanted {
            // It fails only when the runtime shuts down; the file is removed then, too.
            tokio::task::spawn_blocking(move || drop(file)).await.ok();
        }
        outcome
    }

    /// Cancel safety: dropped before the turn is queued, nothing has happened; after that it is taken, and what it
    /// claimed stays leased to nobody.
    pub(crate) async fn turn(&self, destination: DestinationId, turn: Turn) -> Result<Turned, Error> {
        let (reply, answer) = oneshot::channel();
        let permit = self.permit().await?;
        self.send(Command::Commit(Box::new(Work::Turn(TurnJob { destination, turn, reply })), permit))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Runs a change in a transaction of its own. Cancel safety: as for [`Writer::commit`].
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let permit = self.permit().await?;
        let change = move |connection: &Connection| {
            if reply.send(in_transaction(connection, change)).is_err() {
                tracing::debug!("somebody left before the index had an answer");
            }
        };
        self.send(Command::Change(Box::new(change), permit))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Makes it durable that files of this hour may be without rows. Blocks.
    pub(crate) fn open_hour(&self, hour: i64) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        self.send(Command::OpenHour(hour, reply))?;
        answer.recv().map_err(|_| Error::Closed)?
    }

    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let permit = self.permit().await?;
        self.send(Command::Probe(reply, permit))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Commits what is queued, leaves the index in one file, and ends the writer.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let permit = self.permit().await?;
        self.send(Command::Close(reply, permit))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.places.clone().acquire_owned().await.map_err(|_| Error::Closed)
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.try_send(command).map_err(|_| Error::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the index writer panicked");
        }
    }
}

fn run(connection: &Connection, shared: &Shared, commands: &Receiver<Command>) {
    let mut batcher = Batcher::new(connection, shared);
    let mut upkeep = maintenance::Upkeep::new(connection, &shared.files);
    let mut written = Instant::now();
    loop {
        // Here, and not where there is no command for a moment: lanes that look and find nothing come all the time.
        if written.elapsed() >= IDLE {
            upkeep.idle();
            written = Instant::now();
        }
        let mut next = match commands.recv_timeout(IDLE.saturating_sub(written.elapsed())) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(command) = next.take() {
            match command {
                Command::Commit(first, permit) => {
                    let work;
                    (work, next) = drain(*first, permit, commands);
                    // Lanes that look and find nothing do not put off what is done between batches.
                    if batcher.commit(work) {
                        upkeep.has_written();
                        written = Instant::now();
                    }
                }
                Command::Change(change, _permit) => {
                    change(connection);
                    upkeep.has_written();
                }
                Command::OpenHour(hour, reply) => {
                    answer(|result| reply.send(result).is_ok(), upkeep.open_hour(hour))
                }
                Command::Probe(reply, _permit) => answer(|result| reply.send(result).is_ok(), upkeep.probe()),
                Command::Close(reply, _permit) => {
                    answer(|result| reply.send(result).is_ok(), upkeep.close());
                    return;
                }
            }
        }
    }
}

/// Takes the work that is queued behind the first piece, as much as one transaction should have, and the command that
/// comes after it.
fn drain(
    first: Work,
    permit: OwnedSemaphorePermit,
    commands: &Receiver<Command>,
) -> (Vec<Work>, Option<Command>) {
    drop(permit);
    let mut bytes = first.bytes();
    let mut work = vec![first];
    while work.len() < limits::COMMIT_BATCH {
        match commands.try_recv() {
            Ok(Command::Commit(piece, permit)) => {
                bytes = bytes.saturating_add(piece.bytes());
                if bytes > BATCH_BYTES {
                    return (work, Some(Command::Commit(piece, permit)));
                }
                // Its place in the queue is free again.
                drop(permit);
                work.push(*piece);
            }
            Ok(other) => return (work, Some(other)),
            Err(_) => break,
        }
    }
    (work, None)
}

/// Commits a change, or nothing.
fn in_transaction<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let done = change(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Sends a result to somebody who may have left.
fn answer(send: impl FnOnce(Result<(), Error>) -> bool, result: Result<(), Error>) {
    if !send(result) {
        tracing::debug!("nobody waits for this answer of the index writer");
    }
}

/// Stored JSON in one transaction, unless a single instance has more: a thousand ordinary instances have less.
const BATCH_BYTES: usize = 16 << 20;

/// So long without work, and the writer tidies up.
const IDLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Home, Sample};

    /// How many jobs of these sizes are drained at a time.
    fn batches(sizes: &[usize]) -> Vec<usize> {
        let home = Home::new();
        let (queue, commands) = sync_channel(sizes.len());
        let places = Arc::new(Semaphore::new(sizes.len()));
        for &size in sizes {
            let mut instance = Sample::new(1, 1, 1).prepared(&home.archive);
            instance.json.bytes = vec![0; size];
            instance.json.dictionary = None;
            let job = Box::new(Work::Instance(Job { instance, reply: oneshot::channel().0 }));
            let permit = places.clone().try_acquire_owned().unwrap();
            assert!(queue.try_send(Command::Commit(job, permit)).is_ok());
        }
        let mut batches = Vec::new();
        let mut next = commands.try_recv().ok();
        while let Some(Command::Commit(job, permit)) = next {
            let jobs;
            (jobs, next) = drain(*job, permit, &commands);
            batches.push(jobs.len());
            next = next.or_else(|| commands.try_recv().ok());
        }
        assert_eq!(places.available_permits(), sizes.len());
        batches
    }

    #[test]
    fn a_batch_is_bounded_in_instances_and_in_bytes() {
        assert_eq!(batches(&vec![1; limits::COMMIT_BATCH + 2]), [limits::COMMIT_BATCH, 2]);
        assert_eq!(batches(&[1, BATCH_BYTES - 1, 1, BATCH_BYTES, BATCH_BYTES + 1, 1, 1]), [2, 1, 1, 1, 2]);
    }
}
