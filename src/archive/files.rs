//! Where the bytes are: one file per instance, written once under its final name, in a folder of the hour in which it
//! came.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Date, Month, OffsetDateTime};

use crate::Error;

/// A file being written. Dropped before [`Spool::sync`], it removes the file.
pub struct Spool {
    file: File,
    lease: Lease,
}

/// A file whose bytes are durable, but not yet its name. Dropped before it is committed, it removes the file.
pub struct SpooledFile {
    lease: Lease,
}

impl Spool {
    /// Writes `bytes` at the end. Blocks.
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Io`]; the spool is then of no use but to be dropped.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write a file"))
    }

    /// Makes the bytes durable (fdatasync). The name becomes durable when the instance is committed. Blocks.
    ///
    /// # Errors
    /// [`Error::NoSpace`] or [`Error::Io`]; the file is removed, because pages that failed to sync may be lost and a
    /// second sync would not tell.
    pub fn sync(self) -> Result<SpooledFile, Error> {
        self.file.sync_data().map_err(Error::io("sync a file"))?;
        Ok(SpooledFile { lease: self.lease })
    }
}

impl SpooledFile {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.lease.path
    }

    pub(crate) fn number(&self) -> i64 {
        self.lease.number
    }

    /// The file belongs to a committed row.
    pub(crate) fn keep(mut self) {
        self.lease.is_settled = true;
    }

    /// Nobody knows whether a row speaks of the file: it stays until the next start, which looks.
    pub(crate) fn leave_unsettled(mut self) {
        self.lease.is_settled = true;
        self.lease.files.unsettle(hour_of(self.lease.number));
    }
}

/// The folder tree of one archive.
pub(crate) struct Files {
    root: PathBuf,
    latest_number: AtomicI64,
    /// Hours for which the index knows that their folder may disagree with it.
    open_hours: Mutex<BTreeMap<i64, OpenHour>>,
    /// Held while an hour is opened, so that it is opened once; never while `open_hours` is.
    opening: Mutex<()>,
}

#[derive(Default)]
struct OpenHour {
    /// Files that are written or wait for their commit.
    leases: usize,
    /// A file was left whose row is in doubt, or could not be removed.
    is_unsettled: bool,
}

impl Files {
    /// Makes `data_dir/instances` when it is missing; `data_dir` is there.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        let files = Self::at(data_dir);
        make_folder(&files.root)?;
        Ok(files)
    }

    /// The same, without looking: to say where files are.
    pub(crate) fn at(data_dir: &Path) -> Self {
        Self {
            root: data_dir.join("instances"),
            latest_number: AtomicI64::new(0),
            open_hours: Mutex::default(),
            opening: Mutex::default(),
        }
    }

    /// Begins a file. `announce` must make it durable that the hour's folder may hold files without rows; it is
    /// called once per hour.
    pub(crate) fn spool(
        self: &Arc<Self>,
        announce: impl Fn(i64) -> Result<(), Error>,
    ) -> Result<Spool, Error> {
        loop {
            let number = self.next_number();
            self.enter(hour_of(number), &announce)?;
            let path = self.path(number);
            // The name is taken only when the clock went back over a restart; the next number is tried then.
            let created = File::options().write(true).create_new(true).open(&path);
            let is_taken = created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
            let lease = Lease { files: self.clone(), path, number, is_settled: created.is_err() };
            if !is_taken {
                return Ok(Spool { file: created.map_err(Error::io("create a file"))?, lease });
            }
        }
    }

    /// The path of a file by its number.
    pub(crate) fn path(&self, number: i64) -> PathBuf {
        let mut path = self.folder(hour_of(number));
        path.push(file_name(number));
        path
    }

    /// The folder of an hour: `2026/11/24/13` below the root.
    pub(crate) fn folder(&self, hour: i64) -> PathBuf {
        let begin = OffsetDateTime::from_unix_timestamp(hour.saturating_mul(3600))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.root.join(format!(
            "{:04}/{:02}/{:02}/{:02}",
            begin.year(),
            u8::from(begin.month()),
            begin.day(),
            begin.hour()
        ))
    }

    /// Makes the names in an hour's folder durable.
    pub(crate) fn sync_folder(&self, hour: i64) -> Result<(), Error> {
        sync_folder(&self.folder(hour))
    }

    /// Whether no file was ever kept here.
    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.root).map(|mut entries| entries.next().is_none()).unwrap_or(true)
    }

    /// Whether a file is there in its full length. What cannot be looked at is as good as lost.
    pub(crate) fn is_whole(&self, number: i64, length: i64) -> bool {
        fs::metadata(self.path(number))
            .is_ok_and(|found| found.is_file() && i64::try_from(found.len()) == Ok(length))
    }

    /// The hours not before `first` that have a folder.
    pub(crate) fn hours_from(&self, first: i64) -> Result<Vec<i64>, Error> {
        let first = self.folder(first);
        let mut hours = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(Error::io("read a folder"))? {
                let path = entry.map_err(Error::io("read a folder"))?.path();
                // Names have a fixed width: folders sort as hours do, and before what is in them.
                let is_before =
                    first.components().cmp(path.components()).is_gt() && !first.starts_with(&path);
                let levels = path.strip_prefix(&self.root).ok().and_then(levels_of);
                match levels.as_deref() {
                    None => {}
                    Some(_) if is_before || !path.is_dir() => {}
                    Some(&[year, month, day, hour]) => hours.extend(hour_from(year, month, day, hour)),
                    Some(_) => folders.push(path),
                }
            }
        }
        Ok(hours)
    }

    /// Where files are that no row speaks of.
    pub(crate) fn unindexed(&self) -> PathBuf {
        self.root.with_file_name("unindexed")
    }

    /// Moves files out of the tree into [`Files::unindexed`], over none that is there, durably but for their absence
    /// here.
    pub(crate) fn set_aside(&self, numbers: impl IntoIterator<Item = i64>) -> Result<(), Error> {
        let folder = self.unindexed();
        make_folders(&folder)?;
        for number in numbers {
            // The lock of the data folder sees to it that nobody takes the name in between.
            fs::rename(self.path(number), free_name(&folder, number)?).map_err(Error::io("move a file"))?;
        }
        sync_folder(&folder)
    }

    /// Takes the hours out of which nothing more can come: past, no file in flight, none in doubt. Whoever spools
    /// into one of them again announces it again.
    pub(crate) fn take_settled_hours(&self, is_past: impl Fn(i64) -> bool) -> Vec<i64> {
        let mut settled = Vec::new();
        self.open_hours().retain(|&hour, state| {
            let stays = !is_past(hour) || state.leases > 0 || state.is_unsettled;
            if !stays {
                settled.push(hour);
            }
            stays
        });
        settled
    }

    fn enter(&self, hour: i64, announce: impl Fn(i64) -> Result<(), Error>) -> Result<(), Error> {
        if self.enter_open(hour) {
            return Ok(());
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.enter_open(hour) {
            return Ok(());
        }
        let folder = self.folder(hour);
        let mut levels: Vec<&Path> = folder.ancestors().take_while(|level| *level != self.root).collect();
        levels.reverse();
        levels.into_iter().try_for_each(make_folder)?;
        announce(hour)?;
        self.open_hours().entry(hour).or_default().leases += 1;
        Ok(())
    }

    fn enter_open(&self, hour: i64) -> bool {
        self.open_hours().get_mut(&hour).map(|state| state.leases += 1).is_some()
    }

    fn leave(&self, hour: i64) {
        if let Some(state) = self.open_hours().get_mut(&hour) {
            state.leases = state.leases.saturating_sub(1);
        }
    }

    fn unsettle(&self, hour: i64) {
        self.open_hours().entry(hour).or_default().is_unsettled = true;
    }

    /// Nanoseconds since 1970 UTC, different for each call.
    fn next_number(&self) -> i64 {
        let now = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos()).unwrap_or(i64::MAX);
        let next = |latest: i64| now.max(latest.saturating_add(1));
        let latest = self
            .latest_number
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |latest| Some(next(latest)));
        latest.map_or(now, next)
    }

    fn open_hours(&self) -> MutexGuard<'_, BTreeMap<i64, OpenHour>> {
        self.open_hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to a file that no row speaks of yet, and the duty to remove it.
struct Lease {
    files: Arc<Files>,
    path: PathBuf,
    number: i64,
    is_settled: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let hour = hour_of(self.number);
        if !self.is_settled
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a file that was not acknowledged could not be removed");
            self.files.unsettle(hour);
        }
        self.files.leave(hour);
    }
}

/// The hour (since 1970 UTC) in whose folder a file is.
pub(crate) fn hour_of(number: i64) -> i64 {
    number.div_euclid(NANOSECONDS_PER_HOUR)
}

/// The numbers that folders on the way to an hour are named by; `None` where one of them is not of ours.
fn levels_of(relative: &Path) -> Option<Vec<u16>> {
    let level = |(depth, part): (usize, &OsStr)| {
        let digits = part.to_str().filter(|digits| digits.len() == if depth == 0 { 4 } else { 2 })?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    relative.iter().enumerate().map(level).collect()
}

/// The hour that a folder is of; `None` when there is none such.
fn hour_from(year: u16, month: u16, day: u16, hour: u16) -> Option<i64> {
    let small = |number: u16| u8::try_from(number).ok();
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(year.into(), month, small(day)?).ok()?;
    let begin = date.with_hms(small(hour)?, 0, 0).ok()?.assume_utc();
    Some(begin.unix_timestamp().div_euclid(3600))
}

/// The numbers of the files of an hour.
pub(crate) fn numbers_of(hour: i64) -> std::ops::RangeInclusive<i64> {
    let first = hour.saturating_mul(NANOSECONDS_PER_HOUR);
    first..=first.saturating_add(NANOSECONDS_PER_HOUR - 1)
}

/// The number of a file by its name; `None` for a name that this module does not give.
pub(crate) fn number_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".dcm").filter(|digits| digits.len() == 16)?;
    let number = i64::from_str_radix(digits, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

fn file_name(number: i64) -> String {
    format!("{number:016x}.dcm")
}

/// A path in a folder that nothing has: the name of the file, with a number before its end where that is taken.
fn free_name(folder: &Path, number: i64) -> Result<PathBuf, Error> {
    let mut path = folder.join(file_name(number));
    for copy in 2_u64.. {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(Error::io("look at a file")(error)),
            Ok(_) => path.set_file_name(format!("{number:016x}.{copy}.dcm")),
        }
    }
    Ok(path)
}

/// Makes a folder and those above it that are missing, durably.
pub(crate) fn make_folders(path: &Path) -> Result<(), Error> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect();
    missing.into_iter().rev().try_for_each(make_folder)
}

/// Makes a folder in an existing one, durably, also when an earlier process made it and died before it synced.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::io("make a folder")(error));
        }
        Ok(()) | Err(_) => {}
    }
    sync_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io("sync a folder"))
}

const NANOSECONDS_PER_HOUR: i64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Arc<Files>) {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(Files::open(folder.path()).unwrap());
        (folder, files)
    }

    #[test]
    fn a_path_says_when_the_file_was_begun() {
        let (folder, files) = files();
        // 2026-11-24 13:59:59.999999999 UTC
        let number = 1_795_528_799_999_999_999;
        let path = folder.path().join("instances/2026/11/24/13/18eaffee33fbbfff.dcm");
        assert_eq!((files.path(number), hour_of(number)), (path, 498_757));
        assert!(numbers_of(498_757).contains(&number) && !numbers_of(498_757).contains(&(number + 1)));
        assert_eq!(number_of("18eaffee33fbbfff.dcm"), Some(number));
        for name in [
            "18eaffee33fbbfff",
            "18EAFFEE33FBBFFF.dcm",
            "+8eaffee33fbbfff.dcm",
            "x.dcm",
            "ffffffffffffffff.dcm",
        ] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }

    #[test]
    fn hours_are_found_by_their_folders_from_any_of_them_on() {
        let (folder, files) = files();
        let root = folder.path().join("instances");
        for path in ["2025/12/31/23", "2026/11/24/12", "2026/11/24/13", "2026/11/25/00", "2027/01/01/00"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in ["2026/11/24/14x", "2026/11/1/01", "2026/11/31/01", "2026/13", "lost+found/26/11/24"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("2026/11/24/15"), "a file").unwrap();
        let from = |first| {
            let mut hours = files.hours_from(first).unwrap();
            hours.sort_unstable();
            hours
        };
        let hour = 498_757;
        let all = [hour - 7862, hour - 1, hour, hour + 11, hour + 899];
        assert_eq!(from(i64::MIN), all);
        assert_eq!(from(hour), all[2..]);
        assert_eq!(from(hour + 1), all[3..]);
        assert!(from(hour + 900).is_empty());
    }

    #[test]
    fn an_hour_is_announced_once_and_before_its_first_file() {
        let (_folder, files) = files();
        let announced = std::cell::Cell::new(0);
        let announce = |hour| {
            assert!(fs::read_dir(files.folder(hour)).unwrap().next().is_none());
            announced.set(announced.get() + 1);
            Ok(())
        };
        let spools: Vec<_> = (0..100).map(|_| files.spool(announce).unwrap()).collect();
        // Once more when the hour has just struck.
        assert!((1..=2).contains(&announced.get()));
        let numbers: std::collections::BTreeSet<i64> =
            spools.iter().map(|spool| spool.lease.number).collect();
        assert_eq!(numbers.len(), 100);
    }

    #[test]
    fn an_hour_that_cannot_be_announced_gets_no_file() {
        let (folder, files) = files();
        assert!(matches!(files.spool(|_| Err(Error::NoSpace)), Err(Error::NoSpace)));
        assert!(crate::tests::files_below(folder.path()).is_empty());
    }

    #[test]
    fn an_hour_is_settled_when_nothing_of_it_is_in_flight_or_in_doubt() {
        let (_folder, files) = files();
        let spool = files.spool(|_| Ok(())).unwrap();
        let hour = hour_of(spool.lease.number);
        assert!(files.take_settled_hours(|_| true).is_empty());
        drop(spool);
        assert!(files.take_settled_hours(|_| false).is_empty());
        assert_eq!(files.take_settled_hours(|_| true), [hour]);
        files.spool(|_| Ok(())).unwrap().sync().unwrap().leave_unsettled();
        assert!(files.take_settled_hours(|_| true).is_empty());
    }

    #[test]
    fn what_is_set_aside_takes_nobodys_name() {
        let (folder, files) = files();
        let number = 1_795_528_799_999_999_999;
        make_folders(&files.folder(hour_of(number))).unwrap();
        for content in ["first", "second", "third"] {
            fs::write(files.path(number), content).unwrap();
            files.set_aside([number]).unwrap();
        }
        for (name, content) in [
            ("18eaffee33fbbfff.dcm", "first"),
            ("18eaffee33fbbfff.2.dcm", "second"),
            ("18eaffee33fbbfff.3.dcm", "third"),
        ] {
            assert_eq!(fs::read_to_string(folder.path().join("unindexed").join(name)).unwrap(), content);
        }
        assert!(!files.path(number).exists());
    }

    #[test]
    fn a_taken_name_is_passed_over() {
        let (_folder, files) = files();
        let first = files.spool(|_| Ok(())).unwrap();
        let next = first.lease.number.max(files.next_number()) + 60_000_000_000;
        files.latest_number.store(next - 1, Ordering::Relaxed);
        make_folders(&files.folder(hour_of(next))).unwrap();
        fs::write(files.path(next), "of an earlier run").unwrap();
        let second = files.spool(|_| Ok(())).unwrap();
        assert_eq!(second.lease.number, next + 1);
        drop(second);
        assert!(files.path(next).exists());
    }
}
