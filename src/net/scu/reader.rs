//! Reads files ahead, on a thread of its own: while the peer writes one instance, the next is read.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Returned, SyncSender, sync_channel};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::file::{Chunk, DataSet};
use super::queue::{Claim, Queue};
use super::store::{Contexts, Rest};
use crate::error::Error;

/// The data sets of the instances that wait, in order, in chunks.
pub(super) struct Reader {
    pieces: mpsc::Receiver<Piece>,
    used: SyncSender<Chunk>,
    reading: JoinHandle<()>,
}

/// The next piece of what is being read.
pub(super) enum Piece {
    /// An instance begins; with padding its data set has so many bytes.
    First { claim: Claim, data: Chunk, bytes: u64 },
    /// More of it.
    More(Chunk),
    /// It cannot be read to its end.
    Failed(io::Error),
    /// Nothing of this instance was read: the peer takes none of its kind, or its file cannot be read.
    Unread { claim: Claim, error: Error },
}

impl Reader {
    /// Begins to read instances that these contexts serve.
    pub(super) fn start(queue: Arc<Queue>, contexts: Arc<Contexts>) -> Self {
        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        let (used, returned) = sync_channel(READ_AHEAD + 2);
        let read = move || {
            let mut source = Source { sender, returned };
            while let Some(claim) = queue.claim(|kind| contexts.knows(kind)) {
                let sent = match contexts.of(claim.instance()) {
                    Ok(_) => source.instance(claim),
                    Err(error) => source.send(Piece::Unread { claim, error }),
                };
                if sent.is_none() {
                    return;
                }
            }
        };
        Self { pieces, used, reading: tokio::task::spawn_blocking(read) }
    }

    /// Waits for the next piece; `None` when there is nothing left that the contexts serve. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// Stops reading; what was read and not taken waits in the queue again.
    ///
    /// # Errors
    /// Reading panicked.
    pub(super) async fn stop(self) -> io::Result<()> {
        drop(self.pieces);
        self.reading.await.map_err(|_| io::Error::other("reading ended early"))
    }
}

impl Rest for Reader {
    async fn more(&mut self) -> io::Result<Chunk> {
        match self.next().await {
            Some(Piece::More(data)) => Ok(data),
            Some(Piece::Failed(error)) => Err(error),
            Some(Piece::First { .. } | Piece::Unread { .. }) | None => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    fn give_back(&mut self, chunk: Chunk) {
        // When there are enough of them, or nobody reads any more, it is dropped.
        drop(self.used.try_send(chunk));
    }
}

struct Source {
    sender: mpsc::Sender<Piece>,
    returned: Returned<Chunk>,
}

impl Source {
    /// Reads one instance; `None` when nobody listens any more.
    fn instance(&mut self, claim: Claim) -> Option<()> {
        let mut data_set = match DataSet::open(claim.instance()) {
            Ok(opened) => opened,
            Err(error) => return self.send(Piece::Unread { claim, error: Error::File(error) }),
        };
        let bytes = data_set.bytes();
        let data = match self.chunk(&mut data_set) {
            Ok(data) => data,
            Err(error) => return self.send(Piece::Unread { claim, error: Error::File(error) }),
        };
        self.send(Piece::First { claim, data, bytes })?;
        while !data_set.is_read() {
            match self.chunk(&mut data_set) {
                Ok(data) => self.send(Piece::More(data))?,
                Err(error) => return self.send(Piece::Failed(error)),
            }
        }
        Some(())
    }

    fn chunk(&self, data_set: &mut DataSet) -> io::Result<Chunk> {
        let mut chunk = self.returned.try_recv().unwrap_or_default();
        data_set.read(&mut chunk)?;
        Ok(chunk)
    }

    fn send(&self, piece: Piece) -> Option<()> {
        self.sender.blocking_send(piece).ok()
    }
}

/// Chunks that are read before they are asked for.
const READ_AHEAD: usize = 2;
