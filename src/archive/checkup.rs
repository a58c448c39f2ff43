//! What a person wants to know of a data folder before trusting it: room, how fast it syncs, whether the index is sound.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::space::Gauge;
use crate::{Desk, Error, schema};

/// Room on the file system of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For whoever is not root.
    pub free_bytes: u64,
    /// In all.
    pub total_bytes: u64,
}

/// What keeps a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Memory: what is there is gone after a restart of the machine.
    Memory,
    /// Another machine, by this protocol.
    Network(&'static str),
    /// Anything else.
    Other,
}

/// How long small writes took to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncTimes {
    /// How many there were.
    pub writes: usize,
    /// Half of them took no longer.
    pub median: Duration,
    /// None took longer.
    pub slowest: Duration,
}

/// What SQLite found wrong with the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuickCheck {
    /// The version of its schema.
    pub schema: i64,
    /// In SQLite's words, at most ten; empty: nothing.
    pub faults: Vec<String>,
    /// It was looked at as a whole; a large one may take longer than there was time.
    pub is_complete: bool,
}

/// Measures the room in which a folder is.
///
/// # Errors
/// [`Error::Io`].
pub fn room(folder: &Path) -> Result<Room, Error> {
    let space = Gauge::new(folder).read()?;
    Ok(Room { free_bytes: space.free_bytes, total_bytes: space.total_bytes })
}

/// What kind of file system a folder is on, as far as that matters and can be told.
///
/// # Errors
/// [`Error::Io`].
#[cfg(target_os = "linux")]
pub fn file_system(folder: &Path) -> Result<FileSystem, Error> {
    let found =
        rustix::fs::statfs(folder).map_err(|error| Error::io("look at the file system")(error.into()))?;
    // The magic numbers of statfs(2) have 32 bits, whatever the type.
    Ok(match u32::try_from(i128::from(found.f_type) & 0xFFFF_FFFF).unwrap_or(0) {
        0x0102_1994 | 0x8584_58F6 => FileSystem::Memory,
        0x6969 => FileSystem::Network("NFS"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => FileSystem::Network("SMB"),
        _ => FileSystem::Other,
    })
}

/// What kind of file system a folder is on, as far as that matters and can be told.
///
/// # Errors
/// [`Error::Io`].
#[cfg(not(target_os = "linux"))]
pub fn file_system(folder: &Path) -> Result<FileSystem, Error> {
    fs::metadata(folder).map(|_| FileSystem::Other).map_err(Error::io("look at the file system"))
}

/// Writes a small file in a folder, block by block, each synced, and removes it again. Blocks, some seconds at most.
///
/// Safe beside a running server, which does not look at what is not its own.
///
/// # Errors
/// The folder cannot be written.
pub fn time_syncs(folder: &Path) -> io::Result<SyncTimes> {
    let mut probe = Probe::create(folder)?;
    let mut times = Vec::with_capacity(WRITES);
    let begin = Instant::now();
    while times.len() < WRITES && begin.elapsed() < LONGEST {
        let write = Instant::now();
        probe.file.write_all(&[0; BLOCK_BYTES])?;
        probe.file.sync_all()?;
        times.push(write.elapsed());
    }
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Ok(SyncTimes {
        writes: times.len(),
        median: at(times.len() / 2),
        slowest: at(times.len().saturating_sub(1)),
    })
}

/// A file of nobody's, removed when dropped.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".doctor-{:016x}", random()));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Empty of meaning where it stays.
        drop(fs::remove_file(&self.path));
    }
}

/// A number that the leftover of another probe hardly has.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

impl Desk {
    /// Has SQLite look for damage, for as long as `patience`. Blocks.
    ///
    /// Safe beside a running server, whose log is not moved into the index meanwhile.
    ///
    /// # Errors
    /// [`Error::Index`] when the index is too damaged to be looked at.
    pub fn quick_check(&self, patience: Duration) -> Result<QuickCheck, Error> {
        let reader = self.reader();
        let interrupt = reader.get_interrupt_handle();
        let (done, waiting) = mpsc::sync_channel::<()>(1);
        let looked = thread::scope(|scope| {
            scope.spawn(move || {
                let mut wait = patience;
                // Again and again: it does nothing to a statement that has not begun.
                while waiting.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    interrupt.interrupt();
                    wait = BETWEEN_INTERRUPTS;
                }
            });
            let looked = look(reader);
            drop(done);
            looked
        });
        let schema = schema::known();
        match looked {
            Ok(faults) => Ok(QuickCheck { schema, faults, is_complete: true }),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Ok(QuickCheck { schema, faults: Vec::new(), is_complete: false })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn look(reader: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = reader.prepare("PRAGMA quick_check(10)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

const BETWEEN_INTERRUPTS: Duration = Duration::from_millis(1);
/// As many blocks as tell a median from a chance.
const WRITES: usize = 32;
/// A page of the index.
const BLOCK_BYTES: usize = 4096;
/// After so long even a slow disk has shown what it is.
const LONGEST: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn index() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.sqlite");
        drop(schema::open_writer(&index, true).unwrap());
        (folder, index)
    }

    #[test]
    fn measures_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let times = time_syncs(folder.path()).unwrap();
        assert!(times.writes > 0 && times.median <= times.slowest);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let room = room(folder.path()).unwrap();
        assert!(room.free_bytes <= room.total_bytes);
        assert!(file_system(folder.path()).is_ok());
        assert!(time_syncs(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_sound_index_has_no_fault_and_a_damaged_one_has() {
        let (folder, index) = index();
        let found = Desk::open(folder.path()).unwrap().quick_check(Duration::from_secs(60)).unwrap();
        assert_eq!(found, QuickCheck { schema: schema::known(), faults: Vec::new(), is_complete: true });
        // All but the page that says which version it is of.
        let mut bytes = fs::read(&index).unwrap();
        for byte in bytes.iter_mut().skip(BLOCK_BYTES) {
            *byte = 0xA5;
        }
        fs::write(&index, bytes).unwrap();
        let found = Desk::open(folder.path()).and_then(|desk| desk.quick_check(Duration::from_secs(60)));
        assert!(found.is_err() || found.is_ok_and(|found| !found.faults.is_empty()));
    }

    #[test]
    fn a_look_that_takes_too_long_is_broken_off() {
        let (folder, index) = index();
        let filler = Connection::open(&index).unwrap();
        let fill = "CREATE TABLE filler (a); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 300000)
             INSERT INTO filler SELECT randomblob(100) FROM n;";
        filler.execute_batch(fill).unwrap();
        // However busy the machine is, the look begins after the time has passed.
        let found = Desk::open(folder.path()).unwrap().quick_check(Duration::ZERO).unwrap();
        assert!(!found.is_complete && found.faults.is_empty());
    }

    #[test]
    fn a_probe_is_its_owners_and_gone_whatever_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Probe::create(folder.path()).unwrap(), Probe::create(folder.path()).unwrap());
        let mode = one.file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop((one, other));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
