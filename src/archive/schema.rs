//! The index file: how it is opened, and the versions of its schema.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Error, functions, refill};

/// Opens the index for writing, migrating it as needed; where it `may_be_new`, also making it. At most one such
/// connection exists.
pub(crate) fn open_writer(path: &Path, may_be_new: bool) -> Result<Connection, Error> {
    // SQLite would take an empty file for a new database, and remove the log beside it.
    if !may_be_new && !fs::metadata(path).is_ok_and(|found| found.len() > 0) {
        return Err(Error::IndexMissing);
    }
    let mut connection = Connection::open(path)?;
    // Before anything is written: a database whose log is lost may be left with a header and no tables.
    let version = version(&connection)?;
    if !may_be_new && version == 0 {
        return Err(Error::IndexMissing);
    }
    connection.busy_handler(Some(wait_for_the_lock))?;
    connection.execute_batch(WRITER_PRAGMAS)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate(&mut connection, version)?;
    refill::resume(&mut connection)?;
    Ok(connection)
}

/// Opens the index for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(READER_PRAGMAS)?;
    functions::register(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens the index for a short change beside the writer. Moving the log into the database is left to the latter.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(BESIDE_PRAGMAS)?;
    Ok(connection)
}

/// Whether an index is of the version that this program reads and writes.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    let (found, known) = (version(connection)?, known());
    match found.cmp(&known) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Error::NewerSchema { found, known }),
        // A server that was stopped while it made its first index leaves this.
        Ordering::Less if found == 0 => Err(Error::NoIndex),
        Ordering::Less => Err(Error::OlderSchema { found, known }),
    }
}

/// Waits for a command beside the server to leave the lock, some five seconds at most, looking often: SQLite's own wait
/// would look once in 100 ms, and miss the pauses that such a command makes.
fn wait_for_the_lock(looks: i32) -> bool {
    let is_patient = looks < MOST_LOOKS;
    if is_patient {
        thread::sleep(BETWEEN_LOOKS);
    }
    is_patient
}

/// The version that this program reads and writes: the number of migrations, whatever their files are called.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn migrate(connection: &mut Connection, found: i64) -> Result<(), Error> {
    let known = known();
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        tracing::info!(version, "index schema migrated");
    }
    Ok(())
}

/// Migration n leads to schema version n. One that was released is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/001_index.sql"),
    include_str!("schema/002_repairs.sql"),
    include_str!("schema/003_probes.sql"),
    include_str!("schema/004_routing.sql"),
    include_str!("schema/006_commitment.sql"),
    include_str!("schema/007_verification.sql"),
    include_str!("schema/008_query.sql"),
    include_str!("schema/009_peers.sql"),
    include_str!("schema/010_kinds.sql"),
    include_str!("schema/011_checksums.sql"),
    include_str!("schema/012_identity.sql"),
    include_str!("schema/013_counts.sql"),
    include_str!("schema/014_keys.sql"),
];

/// A commit returns when the write-ahead log is synced. The log is moved into the database after 16 MiB, or when
/// there is time.
const WRITER_PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 4096;
    PRAGMA journal_size_limit = 67108864;";

/// Waits longer than the writer does, which must not wait for a person's command.
const BESIDE_PRAGMAS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA busy_timeout = 30000;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 0;";

const READER_PRAGMAS: &str = "
    PRAGMA cache_size = -4096;
    PRAGMA busy_timeout = 5000;";

const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
const MOST_LOOKS: i32 = 4500;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Manner;

    #[test]
    fn makes_the_schema_once_and_refuses_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        drop(open_writer(&path, true).unwrap());
        let connection = open_writer(&path, true).unwrap();
        let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!(synchronous, 2);
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let error = open_writer(&path, true).unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 99, known } if known == super::known()));
    }

    #[test]
    fn of_who_was_shown_to_a_peer_only_that_somebody_was_is_known_after_the_twelfth_file() {
        let identity = include_str!("schema/012_identity.sql");
        let before = MIGRATIONS.iter().position(|file| *file == identity).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let index = Connection::open(&path).unwrap();
        MIGRATIONS[..before].iter().for_each(|file| index.execute_batch(file).unwrap());
        for (peer, shows_user) in [("bare", 0), ("shown", 1)] {
            let called = "INSERT INTO peer_called VALUES (?1, 'PACS', 'pacs:104', 'GANTRY', ?2, 5, 'TLS 1.3', '1.2', 'V1', 16384, 3, 1, 6,
                'rejected', 7, 'failed')";
            index.execute(called, rusqlite::params![peer, shows_user]).unwrap();
            let context =
                "INSERT INTO peer_context VALUES (?1, '1.2.840.10008.1.1', '1.2.840.10008.1.2', NULL, 5)";
            index.execute(context, [peer]).unwrap();
        }
        index.pragma_update(None, "user_version", i64::try_from(before).unwrap()).unwrap();
        drop(index);
        let index = open_writer(&path, false).unwrap();
        assert_eq!(version(&index).unwrap(), known());
        let records = crate::peers::records(&index).unwrap();
        let called = |at: usize| records[at].called.clone().unwrap();
        let (bare, shown) = (called(0), called(1));
        let identities = [&bare, &shown].map(|called| called.manner.identity.as_deref());
        assert_eq!(identities, [None, Some("")]);
        assert_eq!(Manner { identity: None, ..shown.manner.clone() }, bare.manner);
        assert_eq!((shown.accepted.clone(), shown.contexts.len()), (bare.accepted, 1));
        let accepted = shown.accepted.unwrap();
        assert_eq!((accepted.max_pdu_bytes, accepted.operations, accepted.knows_user), (16384, 3, true));
        assert_eq!(
            (shown.rejected.unwrap().1, shown.failed.unwrap().1),
            ("rejected".into(), "failed".into())
        );
    }

    #[test]
    fn readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let _writer = open_writer(&path, true).unwrap();
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("DELETE FROM open_hour", []).is_err());
    }
}
