use std::fs::File;
use std::io::{self, Read};

use pipeline::{Outcome, StoredInstance};
use sha2::{Digest, Sha256};

/// Reads the file of an instance from its beginning and vouches for it at its end.
///
/// A file that has changed on our disk since it was received would get a fresh checksum on its way and pass for whole ever after: so
/// what is read must have the length and the data set the hash that the index knows.
pub(crate) struct Source<'a> {
    instance: &'a StoredInstance,
    file: File,
    position: u64,
    whole: Sha256,
    data_set: Sha256,
}

/// The file of an instance cannot be sent.
#[derive(Debug)]
pub(crate) enum Unsendable {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is not what was received.
    Changed,
}

impl<'a> Source<'a> {
    /// Opens the file. Blocking, as all of this is.
    ///
    /// # Errors
    /// [`Unsendable::Unreadable`].
    pub(crate) fn open(instance: &'a StoredInstance) -> Result<Self, Unsendable> {
        let file = File::open(&instance.path).map_err(Unsendable::Unreadable)?;
        Ok(Self { instance, file, position: 0, whole: Sha256::new(), data_set: Sha256::new() })
    }

    /// Reads on, until `buffer` is full or the file ends; returns how much.
    ///
    /// # Errors
    /// [`Unsendable::Unreadable`]; [`Unsendable::Changed`] when there is more than there should be.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unsendable> {
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Unsendable::Unreadable(error)),
            }
        }
        let read = buffer.get(..length).unwrap_or_default();
        self.whole.update(read);
        let before =
            usize::try_from(self.instance.data_offset.saturating_sub(self.position)).unwrap_or(usize::MAX);
        self.data_set.update(read.get(before..).unwrap_or_default());
        self.position += length as u64;
        if self.position > self.instance.length { Err(Unsendable::Changed) } else { Ok(length) }
    }

    /// Ends the reading: the file, and the SHA-256 of all that was read.
    ///
    /// # Errors
    /// [`Unsendable::Changed`] when that is not the instance as it was received.
    pub(crate) fn finish(self) -> Result<(File, [u8; 32]), Unsendable> {
        let is_same =
            self.position == self.instance.length && self.data_set.finalize() == self.instance.sha256;
        if is_same { Ok((self.file, self.whole.finalize().into())) } else { Err(Unsendable::Changed) }
    }
}

impl Unsendable {
    /// How the delivery of `instance` ends.
    pub(crate) fn outcome(self, instance: &StoredInstance) -> Outcome {
        let path = instance.path.display();
        match self {
            Self::Unreadable(error) if is_passing(&error) => {
                Outcome::Retry { reason: format!("{path} cannot be read now: {error}"), after: None }
            }
            Self::Unreadable(error) => Outcome::Poison { reason: format!("{path} cannot be read: {error}") },
            Self::Changed => {
                Outcome::Poison { reason: format!("{path} is not what was received: it has changed on disk") }
            }
        }
    }
}

/// Whether it says more about the load of this machine than about a file.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN)
    )
}

/// The SHA-256 of what a file holds from here on. Blocking.
pub(crate) fn hash(mut file: File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Runs blocking work on a thread for it. A panic is passed on. Cancel safe; the work is done all the same.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being torn down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// How much is read at a time: small enough to be hashed out of a cache.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
