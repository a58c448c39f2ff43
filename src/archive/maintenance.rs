//! What the writer does between batches: hours and checkpoints.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};

use crate::Error;
use crate::clock::now_microseconds;
use crate::files::{Files, hour_of};

/// The state of the index file as the writer keeps it.
pub(crate) struct Upkeep<'a> {
    connection: &'a Connection,
    files: &'a Files,
    has_written: bool,
    /// When a probe last succeeded.
    probed: Option<Instant>,
}

impl<'a> Upkeep<'a> {
    pub(crate) fn new(connection: &'a Connection, files: &'a Files) -> Self {
        Self { connection, files, has_written: false, probed: None }
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

    /// Shows that a transaction can be made durable, or could be a moment ago.
    pub(crate) fn probe(&mut self) -> Result<(), Error> {
        if self.probed.is_some_and(|probed| probed.elapsed() < PROBE_HOLDS) {
            return Ok(());
        }
        self.has_written = true;
        // The value must change: SQLite writes no page that stays as it is.
        self.connection.prepare_cached("UPDATE total SET probes = probes + 1")?.execute([])?;
        self.probed = Some(Instant::now());
        Ok(())
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

/// So long a probe that succeeded answers for the next ones, so that asking often does not cost a sync each time.
const PROBE_HOLDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::schema;

    #[test]
    fn a_probe_commits_and_holds_for_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        let path = folder.path().join("index.sqlite");
        let connection = schema::open_writer(&path, true).unwrap();
        let log = || fs::read(folder.path().join("index.sqlite-wal")).unwrap();
        let mut upkeep = Upkeep::new(&connection, &files);
        let before = log();
        upkeep.probe().unwrap();
        let probed = log();
        assert!(probed.len() > before.len());
        upkeep.probe().unwrap();
        assert_eq!(log(), probed);
        upkeep.probed = Instant::now().checked_sub(PROBE_HOLDS);
        upkeep.probe().unwrap();
        assert!(log().len() > probed.len());
    }

    #[test]
    fn a_probe_that_cannot_write_fails_and_goes_on_failing() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(folder.path()).unwrap();
        let connection = schema::open_writer(&folder.path().join("index.sqlite"), true).unwrap();
        connection.execute_batch("PRAGMA query_only = ON").unwrap();
        let mut upkeep = Upkeep::new(&connection, &files);
        assert!(upkeep.probe().is_err() && upkeep.probe().is_err());
        connection.execute_batch("PRAGMA query_only = OFF").unwrap();
        upkeep.probe().unwrap();
    }
}
