//! The data set of an instance in its file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use model::check::Check;
use pipeline::StoredInstance;

use super::queue::Instance;

/// What the file of an instance must be for it to be sent: a file that has changed since is not what was received.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    /// Length of the file.
    pub file_bytes: u64,
    /// SHA-256 of its data set, from where that begins to the end of the file.
    pub sha256: [u8; 32],
    /// CRC-64 of the same bytes, by which it is compared where it is known.
    pub crc64: Option<u64>,
}

impl Whole {
    /// What the file of a stored instance must be.
    pub fn of(stored: &StoredInstance) -> Self {
        Self { file_bytes: stored.length, sha256: stored.sha256, crc64: stored.crc64 }
    }
}

/// A data set that is being read. Its calls block.
pub(super) struct DataSet {
    file: File,
    unread: u64,
    is_padded: bool,
    /// Whether it is what was received, as far as that is still to be seen.
    check: Option<Check>,
}

/// A buffer that is filled again and again.
#[derive(Default)]
pub(crate) struct Chunk {
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
        Ok(Self { file, unread, is_padded: !unread.is_multiple_of(2), check: None })
    }

    /// As [`DataSet::open`], and the file has to be whole: its length is known here, its content when its last bytes are read.
    ///
    /// # Errors
    /// Of kind [`io::ErrorKind::InvalidData`] where the length is another one.
    pub(super) fn open_whole(instance: &Instance, whole: Whole) -> io::Result<Self> {
        let opened = Self::open(instance)?;
        let found = instance.data_offset + opened.unread;
        if found != whole.file_bytes {
            return Err(changed(format!("it has {found} bytes instead of {}", whole.file_bytes)));
        }
        Ok(Self { check: Some(Check::new(whole.crc64, whole.sha256)), ..opened })
    }

    /// It is known to be right.
    pub(super) fn unchecked(self) -> Self {
        Self { check: None, ..self }
    }

    /// What is still to be read, padding included.
    pub(super) fn bytes(&self) -> u64 {
        self.unread + u64::from(self.is_padded)
    }

    /// Whether everything has been read.
    pub(super) fn is_read(&self) -> bool {
        self.unread == 0
    }

    /// Fills a chunk, with all that is left where that is not much; with a NUL behind the last byte where the data set is padded.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than it was; of kind [`io::ErrorKind::InvalidData`] in place of the last chunk, when what
    /// was read is not what was received.
    pub(super) fn read(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let unread = usize::try_from(self.unread).unwrap_or(usize::MAX);
        let wanted = if unread < WHOLE_BYTES { unread } else { CHUNK_BYTES };
        // Room for the padding is left in every chunk.
        if chunk.buffer.len() <= wanted {
            chunk.buffer.resize(wanted + 1, 0);
        }
        let read = chunk.buffer.get_mut(..wanted).unwrap_or_default();
        // In pieces that are still in the cache when they are checked.
        for piece in read.chunks_mut(CHUNK_BYTES) {
            self.file.read_exact(piece)?;
            if let Some(check) = &mut self.check {
                check.update(piece);
            }
        }
        chunk.filled = wanted;
        self.unread -= wanted as u64;
        if let Some(check) = self.check.take_if(|_| self.unread == 0)
            && !check.holds()
        {
            return Err(changed("it has changed on disk since it was received".to_owned()));
        }
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

fn changed(how: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, how)
}

/// Written at once, of a data set that is not read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Data sets, and ends of data sets, below this are read and written at once: a CT is not worth two switches between threads for each
/// of its three chunks, and need not be read twice to be checked before it is sent.
const WHOLE_BYTES: usize = 1 << 20;
