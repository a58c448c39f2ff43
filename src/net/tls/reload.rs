//! Reading the files again while associations run.

use std::sync::{Arc, PoisonError, RwLock};

use super::files::FileError;

/// What files were read into; read again and put in force by whoever holds it.
pub(crate) struct Reloadable<T>(RwLock<Option<Arc<T>>>);

/// Files that were read and are not in force yet: nothing changes when it is dropped.
pub struct Fresh(Vec<Box<dyn FnOnce() + Send>>);

impl<T> Reloadable<T> {
    /// Of something that has not been read.
    pub(crate) fn unread() -> Self {
        Self(RwLock::new(None))
    }

    /// What is in force, read now where it never was.
    pub(crate) fn get(&self, read: impl FnOnce() -> Result<T, FileError>) -> Result<Arc<T>, FileError> {
        if let Some(held) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(held));
        }
        let read = Arc::new(read()?);
        self.put(Arc::clone(&read));
        Ok(read)
    }

    pub(crate) fn put(&self, fresh: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
    }
}

impl Fresh {
    /// With nothing in it.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn of(put: impl FnOnce() + Send + 'static) -> Self {
        Self(vec![Box::new(put)])
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Associations that begin from now on use what was read.
    pub fn put_in_force(self) {
        for put in self.0 {
            put();
        }
    }
}
