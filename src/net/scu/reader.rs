//! Reads files ahead, on a thread of its own: while the peer writes one instance, the next is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Returned, SyncSender, sync_channel};

use tokio::sync::mpsc;

use super::lane::Instance;

/// The data sets of some instances, in order, in chunks. Dropped, it stops reading.
pub(super) struct Reader {
    pieces: mpsc::Receiver<Piece>,
    used: SyncSender<Chunk>,
}

/// The next piece of what is being read.
pub(super) enum Piece {
    /// An instance begins; with padding its data set has so many bytes.
    First { data: Chunk, bytes: u64 },
    /// More of it.
    More(Chunk),
    /// It cannot be read, or not to its end.
    Failed(io::Error),
}

/// A buffer that is filled again and again.
pub(super) struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
}

impl Reader {
    /// Begins to read the instances with these indices.
    pub(super) fn start(instances: Arc<[Instance]>, indices: Vec<usize>) -> Self {
        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        let (used, returned) = sync_channel(READ_AHEAD + 2);
        let read = move || {
            let mut source = Source { sender, returned };
            for instance in indices.into_iter().filter_map(|index| instances.get(index)) {
                let sent = match source.instance(instance) {
                    Ok(sent) => sent,
                    Err(error) => source.send(Piece::Failed(error)),
                };
                if sent.is_none() {
                    return;
                }
            }
        };
        // Its end is seen by the channel, a panic included.
        drop(tokio::task::spawn_blocking(read));
        Self { pieces, used }
    }

    /// Waits for the next piece. Cancel safe.
    pub(super) async fn next(&mut self) -> Piece {
        match self.pieces.recv().await {
            Some(piece) => piece,
            None => Piece::Failed(io::Error::other("reading ended early")),
        }
    }

    /// Gives a chunk back to be filled again.
    pub(super) fn give_back(&self, chunk: Chunk) {
        // When there are enough of them, or nobody reads any more, it is dropped.
        drop(self.used.try_send(chunk));
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
    fn instance(&mut self, instance: &Instance) -> io::Result<Option<()>> {
        let mut file = File::open(&instance.path)?;
        let end = file.metadata()?.len();
        let Some(data_bytes) = end.checked_sub(instance.data_offset) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        file.seek(SeekFrom::Start(instance.data_offset))?;
        // Data sets have even length (PS3.5 §7.1.1); where a file's has not, one NUL is added.
        let bytes = data_bytes.next_multiple_of(2);
        let mut left = bytes;
        let mut unread = data_bytes;
        let mut is_first = true;
        while left > 0 || is_first {
            let data = self.chunk(&mut file, &mut unread, bytes > data_bytes)?;
            left -= data.filled as u64;
            let piece = if is_first { Piece::First { data, bytes } } else { Piece::More(data) };
            is_first = false;
            if self.send(piece).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
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

/// Written at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that are read before they are asked for.
const READ_AHEAD: usize = 2;
