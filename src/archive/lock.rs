//! One process per data folder, and how often the folder was opened: an index that was opened less often than its
//! folder is an old copy.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// The lock of a data folder, held until dropped. The operating system releases it when the process dies.
pub(crate) struct Lock(File);

impl Lock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(data_dir.join("lock"))
            .map_err(Error::io("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse),
            Err(TryLockError::Error(error)) => Err(Error::io("lock the data folder")(error)),
        }
    }

    /// How often the folder was opened; 0 when nobody has written that down.
    pub(crate) fn starts(&mut self) -> Result<i64, Error> {
        let mut text = String::new();
        self.0.rewind().map_err(Error::io("read the lock file"))?;
        match self.0.read_to_string(&mut text) {
            Err(error) if error.kind() != std::io::ErrorKind::InvalidData => {
                Err(Error::io("read the lock file")(error))
            }
            Ok(_) | Err(_) => Ok(text.trim().parse().unwrap_or(0)),
        }
    }

    /// Durable when this returns. The text has the same length each time, so that a crash leaves the old or the new
    /// one.
    pub(crate) fn set_starts(&mut self, starts: i64) -> Result<(), Error> {
        self.0
            .rewind()
            .and_then(|()| self.0.write_all(format!("{starts:019}\n").as_bytes()))
            .and_then(|()| self.0.sync_data())
            .map_err(Error::io("write the lock file"))
    }
}
