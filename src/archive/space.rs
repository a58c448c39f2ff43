//! Room on the file system.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;

/// Room on a file system at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// For us, who are not root.
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

/// Measures the room in which a folder is, at most ten times a second.
pub(crate) struct Gauge {
    folder: PathBuf,
    last: Mutex<Option<(Instant, Space)>>,
}

impl Gauge {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), last: Mutex::new(None) }
    }

    pub(crate) fn read(&self) -> Result<Space, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((measured, space)) = *last
            && measured.elapsed() < MAX_AGE
        {
            return Ok(space);
        }
        let found = rustix::fs::statvfs(&self.folder)
            .map_err(|error| Error::io("measure the free space")(error.into()))?;
        let space = Space {
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        };
        *last = Some((Instant::now(), space));
        Ok(space)
    }
}

const MAX_AGE: Duration = Duration::from_millis(100);
