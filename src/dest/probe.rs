//! Whether a destination could take something now, tried with an object of no meaning that is removed again.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};

use crate::source::blocking;

/// One thing that was tried at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What: `put`, `get`, `delete`, `write`.
    pub doing: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether it worked, or why not: in words, without secrets.
    pub outcome: Result<(), String>,
}

/// What came of a probe of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderProbe {
    /// A file was written there, synced, and removed again.
    Writable(Duration),
    /// The folder is not there yet, and can be made: the last that is there of those above it.
    Absent(PathBuf),
    /// It could take nothing: why, in words.
    Unusable(String),
}

impl Probed {
    /// Runs something, and takes its time.
    pub(crate) async fn of(doing: &'static str, work: impl Future<Output = Result<(), String>>) -> Self {
        let begin = Instant::now();
        let outcome = work.await;
        Self { doing, took: begin.elapsed(), outcome }
    }
}

/// Tries a folder, for as long as `patience`.
pub(crate) async fn folder(path: &Path, patience: Duration) -> FolderProbe {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    match tokio::time::timeout(patience, blocking(move || look(&path))).await {
        Ok(probe) => probe,
        Err(_) => FolderProbe::Unusable(format!("{shown} does not answer for {} s", patience.as_secs())),
    }
}

fn look(path: &Path) -> FolderProbe {
    let unusable = |doing: &str, at: &Path, error: io::Error| {
        FolderProbe::Unusable(format!("cannot {doing} {}: {error}", at.display()))
    };
    if path.is_dir() {
        let begin = Instant::now();
        return match write(path) {
            Ok(()) => FolderProbe::Writable(begin.elapsed()),
            Err(error) => unusable("write into", path, error),
        };
    }
    match path.symlink_metadata() {
        Ok(_) => return FolderProbe::Unusable(format!("{} is no folder", path.display())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return unusable("look at", path, error),
        Err(_) => {}
    }
    let above = path.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    match access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => FolderProbe::Absent(above.to_owned()),
        Err(error) => unusable("make a folder in", above, error.into()),
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let number = RandomState::new().hash_one(std::process::id());
    let path = folder.join(format!(".doctor-{number:016x}.part"));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn folders_are_tried_and_left_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(folder(root.path(), PATIENCE).await, FolderProbe::Writable(_)));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let absent = folder(&root.path().join("a/b"), PATIENCE).await;
        assert_eq!(absent, FolderProbe::Absent(root.path().to_owned()));
        fs::write(root.path().join("file"), "").unwrap();
        for name in ["file", "file/below"] {
            let probe = folder(&root.path().join(name), PATIENCE).await;
            assert!(matches!(probe, FolderProbe::Unusable(_)), "{name}: {probe:?}");
        }
        assert!(matches!(folder(Path::new("/proc"), PATIENCE).await, FolderProbe::Unusable(_)));
    }
}
