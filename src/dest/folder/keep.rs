use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pipeline::{Outcome, StoredInstance};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::key::Key;
use crate::source::{CHUNK_BYTES, Source, Unsendable, hash, is_passing};
use crate::words;

/// An instance that is in a folder, durably.
pub(super) struct Kept {
    pub(super) answer: &'static str,
    pub(super) sent: [u8; 32],
    /// Where it is.
    pub(super) folder: PathBuf,
}

/// An instance that could not be put into a folder.
pub(super) enum Failure {
    /// It is our side.
    Ours(Unsendable),
    /// It is the folder's.
    Theirs { doing: &'static str, path: PathBuf, error: io::Error },
    /// Files are at both names that could be its own, and are not it.
    Taken(PathBuf),
}

/// Puts the file of an instance below `root`, whole and durably, over nothing. Blocking.
///
/// `durable` is a folder whose name and those above it are known to be durable.
pub(super) fn keep(
    root: &Path,
    key: &Key,
    instance: &StoredInstance,
    durable: Option<&Path>,
) -> Result<Kept, Failure> {
    let folder = root.join(key.folder());
    if durable != Some(&*folder) || !folder.is_dir() {
        make_folders(root, &folder)?;
    }
    let mut aside = Aside::create(folder.join(format!(".{}.part", key.file())))?;
    let sent = aside.fill(instance)?;
    let (first, other) = (folder.join(key.file()), folder.join(key.other_file(&sent)));
    for (path, answer) in [(&first, words::STORED), (&other, words::STORED_BESIDE)] {
        if aside.rename(path)? {
            sync(&folder)?;
            return Ok(Kept { answer, sent, folder });
        }
        if is_same(path, instance.length, &sent)? {
            // Nobody comes back for it after success.
            aside.remove()?;
            // Whoever put the other one there may have died before it was durable.
            sync(path)?;
            sync(&folder)?;
            return Ok(Kept { answer: words::THERE_ALREADY, sent, folder });
        }
    }
    Err(Failure::Taken(other))
}

/// A file under a name of its own, removed unless it is renamed.
struct Aside {
    path: PathBuf,
    file: File,
    /// Nothing of this name is left.
    is_gone: bool,
}

impl Aside {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let create = || File::options().write(true).create_new(true).open(&path);
        let created = match create() {
            // From an attempt that a crash has ended.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| create())
            }
            created => created,
        };
        match created {
            Ok(file) => Ok(Self { path, file, is_gone: false }),
            Err(error) => Err(Failure::Theirs { doing: "create", path, error }),
        }
    }

    /// Writes the instance and syncs it; the SHA-256 of its file.
    fn fill(&mut self, instance: &StoredInstance) -> Result<[u8; 32], Failure> {
        let mut source = Source::open(instance).map_err(Failure::Ours)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = source.read(&mut chunk).map_err(Failure::Ours)?;
            let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
            self.file.write_all(read).map_err(theirs("write", &self.path))?;
        }
        let (_, sent) = source.finish().map_err(Failure::Ours)?;
        self.file.sync_all().map_err(theirs("sync", &self.path))?;
        Ok(sent)
    }

    /// Gives it a name, unless something has it.
    fn rename(&mut self, to: &Path) -> Result<bool, Failure> {
        let renamed = match renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system can. The claim on the key keeps our own couriers out in between.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match to.symlink_metadata() {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(&self.path, to),
                Err(error) => Err(error),
            },
            renamed => renamed.map_err(io::Error::from),
        };
        match renamed {
            Ok(()) => self.is_gone = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(theirs("rename a file to", to)(error)),
        }
        Ok(self.is_gone)
    }

    fn remove(&mut self) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(theirs("remove", &self.path))?;
        self.is_gone = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_gone
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a file that was not finished could not be removed");
        }
    }
}

impl Failure {
    pub(super) fn outcome(self, instance: &StoredInstance) -> Outcome {
        match self {
            Self::Ours(unsendable) => unsendable.outcome(instance),
            Self::Theirs { doing, path, error } => {
                let reason = format!("cannot {doing} {}: {error}", path.display());
                match error.kind() {
                    io::ErrorKind::FileTooLarge => Outcome::Refused { reason },
                    // Somebody tidied up under our hands.
                    io::ErrorKind::NotFound => Outcome::Retry { reason, after: None },
                    _ if is_passing(&error) => Outcome::Retry { reason, after: None },
                    _ => Outcome::Down { reason },
                }
            }
            Self::Taken(path) => Outcome::Refused {
                reason: format!("{} and the name without ~ are other files", path.display()),
            },
        }
    }
}

/// Whether a file with this content is there. What is no file is something else.
fn is_same(path: &Path, length: u64, sha256: &[u8; 32]) -> Result<bool, Failure> {
    let found = path.symlink_metadata().map_err(theirs("look at", path))?;
    if !found.is_file() || found.len() != length {
        return Ok(false);
    }
    let found = File::open(path).and_then(hash).map_err(theirs("read", path))?;
    Ok(found == *sha256)
}

/// Makes the folder of a series and those above it that are missing. Their names from `root` down are durable after it also when an
/// earlier process made them and died before it synced.
fn make_folders(root: &Path, folder: &Path) -> Result<(), Failure> {
    let is_ours = |level: &Path| level.starts_with(root);
    let missing: Vec<_> = folder
        .ancestors()
        .take_while(|level| !level.as_os_str().is_empty() && (is_ours(level) || !level.is_dir()))
        .collect();
    for level in missing.into_iter().rev() {
        match fs::create_dir(level) {
            // Whoever gave us `root` alone may keep the folder above it to himself.
            Err(_) if level == root && root.is_dir() && !is_readable(root.parent()) => continue,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(theirs("make the folder", level)(error));
            }
            Ok(()) | Err(_) => {}
        }
        sync(level.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn is_readable(folder: Option<&Path>) -> bool {
    folder.is_some_and(|folder| File::open(folder).is_ok())
}

fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path).and_then(|file| file.sync_all()).map_err(theirs("sync", path))
}

fn theirs(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| Failure::Theirs { doing, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::parcels::stored;

    #[test]
    fn every_failure_of_a_folder_has_its_class() {
        use Errno as E;
        let classify = |errno: Errno| {
            let failure = theirs("write", Path::new("/copies/x"))(errno.into());
            let outcome = failure.outcome(&stored());
            let (class, reason) = match outcome {
                Outcome::Down { reason } => ("down", reason),
                Outcome::Retry { reason, after: None } => ("retry", reason),
                Outcome::Refused { reason } => ("refused", reason),
                other => panic!("{other:?}"),
            };
            assert!(reason.starts_with("cannot write /copies/x: "), "{reason}");
            class
        };
        for errno in
            [E::NOSPC, E::DQUOT, E::ROFS, E::ACCESS, E::PERM, E::IO, E::NOTDIR, E::STALE, E::NAMETOOLONG]
        {
            assert_eq!(classify(errno), "down", "{errno}");
        }
        for errno in [E::MFILE, E::NFILE, E::NOMEM, E::INTR, E::NOENT] {
            assert_eq!(classify(errno), "retry", "{errno}");
        }
        assert_eq!(classify(E::FBIG), "refused");
    }
}
