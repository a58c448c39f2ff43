use std::io;

use model::limits;
use tokio::task::JoinHandle;

use super::file::{Chunk, DataSet, Whole};
use super::queue::Instance;
use super::store::Rest;

/// The data set of one instance, read a chunk ahead of what is asked for: while the peer takes one chunk, the next is read.
///
/// A file of up to [`limits::CHECKED_AHEAD_BYTES`] is read as a whole before its first chunk is given out: once that is on its way, a
/// file that turns out to have changed can only be broken off, with all that was to follow.
///
/// Holds no thread between chunks. Memory: two chunks of at most 1 MiB, which may serve the next instance.
pub(crate) struct Ahead {
    /// The chunk that comes next, and what is left behind it.
    next: Option<JoinHandle<io::Result<(DataSet, Chunk)>>>,
    spare: Vec<Chunk>,
}

impl Ahead {
    /// Begins to read an instance, whose file has to be `whole`, into `spare` chunks.
    pub(crate) fn start(instance: Instance, whole: Whole, mut spare: Vec<Chunk>) -> Self {
        let mut chunk = spare.pop().unwrap_or_default();
        let read = move || {
            let mut data_set = DataSet::open_whole(&instance, whole)?;
            data_set.read(&mut chunk)?;
            if !data_set.is_read() && whole.file_bytes <= limits::CHECKED_AHEAD_BYTES {
                while !data_set.is_read() {
                    data_set.read(&mut chunk)?;
                }
                // Now it is known to be right.
                data_set = DataSet::open_whole(&instance, whole)?.unchecked();
                data_set.read(&mut chunk)?;
            }
            Ok((data_set, chunk))
        };
        Self { next: Some(tokio::task::spawn_blocking(read)), spare }
    }

    /// Waits for the first chunk; with it, the bytes of the data set.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was received.
    pub(crate) async fn first(&mut self) -> io::Result<(Chunk, u64)> {
        let (chunk, left) = self.take().await?;
        let bytes = chunk.bytes().len() as u64 + left;
        Ok((chunk, bytes))
    }

    /// What another can read into.
    pub(crate) fn into_spare(self) -> Vec<Chunk> {
        self.spare
    }

    /// The chunk that was read, and how many bytes follow it; begins to read these.
    async fn take(&mut self) -> io::Result<(Chunk, u64)> {
        let Some(reading) = self.next.take() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let ended = |_| Err(io::Error::other("reading ended early"));
        let (mut data_set, chunk) = reading.await.unwrap_or_else(ended)?;
        if data_set.is_read() {
            return Ok((chunk, 0));
        }
        let left = data_set.bytes();
        let mut spare = self.spare.pop().unwrap_or_default();
        let read = move || {
            data_set.read(&mut spare)?;
            Ok((data_set, spare))
        };
        self.next = Some(tokio::task::spawn_blocking(read));
        Ok((chunk, left))
    }
}

impl Rest for Ahead {
    async fn more(&mut self) -> io::Result<Chunk> {
        Ok(self.take().await?.0)
    }

    fn give_back(&mut self, chunk: Chunk) {
        self.spare.push(chunk);
    }
}
