//! The data set of an instance in its file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::queue::Instance;

/// A data set that is being read. Its calls block.
pub(super) struct DataSet {
    file: File,
    unread: u64,
    is_padded: bool,
}

/// A buffer that is filled again and again.
#[derive(Default)]
pub(super) struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
}

impl DataSet {
    /// Opens the file at its data set.
    ///
    /// # Errors
    /// The file cannot be opened, or ends before its data set begins.
    pub(super) fn open(instance: &Instance) -> io::Result<Self> {
        let mut file = File::open(&instance.path)?;
        let end = file.metadata()?.len();
        let unread = end.checked_sub(instance.data_offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        file.seek(SeekFrom::Start(instance.data_offset))?;
        // Data sets have even length (PS3.5 §7.1.1); where a file's has not, one NUL is added.
        Ok(Self { file, unread, is_padded: !unread.is_multiple_of(2) })
    }

    /// As [`DataSet::open`], and the file has to have so many bytes.
    ///
    /// # Errors
    /// Of kind [`io::ErrorKind::InvalidData`] where it has not.
    pub(super) fn open_whole(instance: &Instance, file_bytes: u64) -> io::Result<Self> {
        let opened = Self::open(instance)?;
        let found = instance.data_offset + opened.unread;
        if found != file_bytes {
            let reason = format!("it has {found} bytes instead of {file_bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(opened)
    }

    /// What is still to be read, padding included.
    pub(super) fn bytes(&self) -> u64 {
        self.unread + u64::from(self.is_padded)
    }

    /// Whether everything has been read.
    pub(super) fn is_read(&self) -> bool {
        self.unread == 0
    }

    /// Fills a chunk, with a NUL behind the last byte where the data set is padded.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was.
    pub(super) fn read(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        chunk.buffer.resize(CHUNK_BYTES, 0);
        // Room for the padding is left in every chunk.
        let wanted = usize::try_from(self.unread).unwrap_or(usize::MAX).min(CHUNK_BYTES - 1);
        self.file.read_exact(chunk.buffer.get_mut(..wanted).unwrap_or_default())?;
        chunk.filled = wanted;
        self.unread -= wanted as u64;
        if self.unread == 0 && self.is_padded {
            if let Some(padding) = chunk.buffer.get_mut(wanted) {
                *padding = 0;
            }
            chunk.filled += 1;
        }
        Ok(())
    }
}

impl Chunk {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

/// Written at once.
const CHUNK_BYTES: usize = 256 << 10;
