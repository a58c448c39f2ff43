//! Reads files ahead, on a thread of its own: while the peer writes one instance, the next is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Returned, SyncSender, sync_channel};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::queue::{Claim, Instance, Queue};
use super::store::Contexts;
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

/// A buffer that is filled again and again.
pub(super) struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
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

    /// Gives a chunk back to be filled again.
    pub(super) fn give_back(&self, chunk: Chunk) {
        // When there are enough of them, or nobody reads any more, it is dropped.
        drop(self.used.try_send(chunk));
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

impl Chunk {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

struct Source {
    sender: mpsc::Sender<Piece>,
    returned: Returned<Chunk>,
}

impl Source {
    /// Reads one instance; `None` when nobody listens any more.
    fn instance(&mut self, claim: Claim) -> Option<()> {
        let (mut file, mut unread) = match open(claim.instance()) {
            Ok(opened) => opened,
            Err(error) => return self.send(Piece::Unread { claim, error: Error::File(error) }),
        };
        // Data sets have even length (PS3.5 §7.1.1); where a file's has not, one NUL is added.
        let bytes = unread.next_multiple_of(2);
        let is_padded = bytes > unread;
        let data = match self.chunk(&mut file, &mut unread, is_padded) {
            Ok(data) => data,
            Err(error) => return self.send(Piece::Unread { claim, error: Error::File(error) }),
        };
        self.send(Piece::First { claim, data, bytes })?;
        while unread > 0 {
            match self.chunk(&mut file, &mut unread, is_padded) {
                Ok(data) => self.send(Piece::More(data))?,
                Err(error) => return self.send(Piece::Failed(error)),
            }
        }
        Some(())
    }

    /// Fills a chunk, with a NUL behind the last byte where `is_padded`.
    fn chunk(&mut self, file: &mut File, unread: &mut u64, is_padded: bool) -> io::Result<Chunk> {
        let empty = || Chunk { buffer: vec![0; CHUNK_BYTES], filled: 0 };
        let mut chunk = self.returned.try_recv().unwrap_or_else(|_| empty());
        // Room for the padding is left in every chunk.
        let wanted = usize::try_from(*unread).unwrap_or(usize::MAX).min(CHUNK_BYTES - 1);
        file.read_exact(chunk.buffer.get_mut(..wanted).unwrap_or_default())?;
        chunk.filled = wanted;
        *unread -= wanted as u64;
        if *unread == 0 && is_padded {
            if let Some(padding) = chunk.buffer.get_mut(wanted) {
                *padding = 0;
            }
            chunk.filled += 1;
        }
        Ok(chunk)
    }

    fn send(&self, piece: Piece) -> Option<()> {
        self.sender.blocking_send(piece).ok()
    }
}

/// The file at its data set, and the bytes of that.
fn open(instance: &Instance) -> io::Result<(File, u64)> {
    let mut file = File::open(&instance.path)?;
    let end = file.metadata()?.len();
    let bytes = end.checked_sub(instance.data_offset).ok_or(io::ErrorKind::UnexpectedEof)?;
    file.seek(SeekFrom::Start(instance.data_offset))?;
    Ok((file, bytes))
}

/// Written at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that are read before they are asked for.
const READ_AHEAD: usize = 2;
