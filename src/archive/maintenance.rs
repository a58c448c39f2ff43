//! What the writer does between batches: hours and checkpoints.

use rusqlite::{Connection, OptionalExtension};

use crate::Error;
use crate::files::{Files, hour_of};
use crate::store::now_microseconds;

/// The state of the index file as the writer keeps it.
pub(crate) struct Upkeep<'a> {
    connection: &'a Connection,
    files: &'a Files,
    has_written: bool,
}

impl<'a> Upkeep<'a> {
    pub(crate) fn new(connection: &'a Connection, files: &'a Files) -> Self {
        Self { connection, files, has_written: false }
    }

    pub(crate) fn has_written(&mut self) {
        self.has_written = true;
    }

    /// Makes it durable that the folder of an hour may hold files without rows, before it does.
    pub(crate) fn open_hour(&mut self, hour: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO open_hour (hour) VALUES (?1)")?
            .execute([hour])?;
        self.has_written = true;
        self.close_hours(|past| past < hour && past < current_hour());
        Ok(())
    }

    /// Shows that a transaction can be made durable.
    pub(crate) fn probe(&mut self) -> Result<(), Error> {
        self.has_written = true;
        Ok(self.connection.execute_batch("UPDATE total SET instances = instances")?)
    }

    /// Moves the log into the index, so that a start finds little to replay, and marks past hours as settled.
    pub(crate) fn idle(&mut self) {
        if !std::mem::take(&mut self.has_written) {
            return;
        }
        self.close_hours(|hour| hour < current_hour());
        if let Err(error) = self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)") {
            tracing::warn!(error = &error as &dyn std::error::Error, "the index could not be tidied");
        }
    }

    /// Leaves the index in one file. Hours with files in doubt stay open, for the next start to look at.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        self.close_hours(|_| true);
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Marks hours as settled. What fails here is looked at by the next start.
    fn close_hours(&self, is_past: impl Fn(i64) -> bool) {
        for hour in self.files.take_settled_hours(is_past) {
            if let Err(error) = self.close_hour(hour) {
                tracing::warn!(
                    hour,
                    error = &error as &dyn std::error::Error,
                    "the folder of an hour stays marked"
                );
            }
        }
    }

    fn close_hour(&self, hour: i64) -> Result<(), Error> {
        // Removed files must not come back once nobody looks for them any more.
        self.files.sync_folder(hour)?;
        self.connection.execute("DELETE FROM open_hour WHERE hour = ?1", [hour])?;
        Ok(())
    }

    fn checkpoint(&self, pragma: &str) -> Result<(), Error> {
        // A checkpoint that readers keep from finishing goes on where it stopped next time.
        self.connection.query_row(pragma, [], |_| Ok(())).optional()?;
        Ok(())
    }
}

fn current_hour() -> i64 {
    hour_of(now_microseconds().saturating_mul(1000))
}
