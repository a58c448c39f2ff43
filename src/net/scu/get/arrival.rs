//! An instance on its way into a folder. Everything here blocks.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use model::header::Header;
use model::scan::{ScanError, Scanner};
use model::{
    AeTitle, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid,
    limits, part10, syntax,
};
use sha2::{Digest, Sha256};

/// What the command says that comes.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) sop_class: SopClassUid,
    pub(crate) sop_instance: SopInstanceUid,
    pub(crate) transfer_syntax: TransferSyntaxUid,
}

/// An instance that is in the folder, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The instance.
    pub sop_instance: SopInstanceUid,
    /// Its file.
    pub path: PathBuf,
    /// Length of the file.
    pub file_bytes: u64,
    /// The file was there already, with the same content.
    pub was_there: bool,
}

/// Why an instance that came was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The folder does not take it.
    #[error("cannot {doing} {}", path.display())]
    Folder {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Both names that could be its own belong to other files.
    #[error("{} and the name without ~ are other files", .0.display())]
    Taken(PathBuf),
    /// The SOP class of the command is not that of the presentation context.
    #[error("SOP class is not that of the presentation context")]
    NotOfItsContext,
    /// The data set cannot be read.
    #[error("data set cannot be read")]
    Unreadable(#[source] ScanError),
    /// Something is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Command and data set say different things.
    #[error("{0} of the command is not that of the data set")]
    Disagreement(&'static str),
    /// Writing ended early.
    #[error("writing ended early")]
    Interrupted,
}

impl NotKept {
    /// The error with its causes.
    pub fn explain(&self) -> String {
        crate::chain(self)
    }
}

/// A file that is being written under a name of its own, removed unless it gets its final one.
pub(super) struct Arrival {
    root: PathBuf,
    expected: Expected,
    aside: Aside,
    scanner: Scanner,
    hash: Sha256,
    bytes: u64,
}

impl Arrival {
    /// Begins the file with its meta information, which says who sends it.
    pub(super) fn begin(root: PathBuf, expected: Expected, source: &AeTitle) -> Result<Self, NotKept> {
        let name = format!(".{}.{}.part", expected.sop_instance.path_component(), std::process::id());
        let aside = Aside::create(root.join(name))?;
        let scanner = Scanner::new(syntax::form(expected.transfer_syntax.as_str()));
        let meta = part10::write(
            (&expected.sop_class, &expected.sop_instance),
            &expected.transfer_syntax,
            Some(source),
        );
        let mut arrival = Self { root, expected, aside, scanner, hash: Sha256::new(), bytes: 0 };
        arrival.write(&meta)?;
        Ok(arrival)
    }

    /// Takes the next bytes of the data set.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), NotKept> {
        self.scanner.feed(bytes).map_err(NotKept::Unreadable)?;
        self.write(bytes)
    }

    /// Takes the end of the data set, and puts the file where it belongs, over nothing.
    pub(super) fn finish(self) -> Result<Kept, NotKept> {
        let Self { root, expected, mut aside, scanner, hash, bytes: file_bytes } = self;
        let header = scanner.finish().map_err(NotKept::Unreadable)?;
        let folder = root.join(place(&header, &expected)?);
        let sha256: [u8; 32] = hash.finalize().into();
        aside.file.sync_all().map_err(failed("sync", &aside.path))?;
        make_folders(&root, &folder)?;
        let name = expected.sop_instance.path_component();
        let digits: String = sha256.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let own = folder.join(format!("{name}.dcm"));
        let beside = folder.join(format!("{name}~{digits}.dcm"));
        for path in [own, beside.clone()] {
            let was_there = !aside.rename(&path)?;
            if was_there && !is_same(&path, file_bytes, &sha256)? {
                continue;
            }
            if was_there {
                // Whoever put it there may have died before it was durable.
                sync(&path)?;
            }
            sync(&folder)?;
            return Ok(Kept { sop_instance: expected.sop_instance, path, file_bytes, was_there });
        }
        Err(NotKept::Taken(beside))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NotKept> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.aside.file.write_all(bytes).map_err(failed("write", &self.aside.path))
    }
}

/// `{Study}/{Series}`, where the data set is what the command says.
fn place(header: &Header, expected: &Expected) -> Result<PathBuf, NotKept> {
    let sop_class = header.uid::<model::SopClass>(Tag(0x0008, 0x0016));
    if sop_class.ok_or(NotKept::Missing("SOP Class UID"))? != expected.sop_class {
        return Err(NotKept::Disagreement("SOP Class UID"));
    }
    let sop_instance: Option<SopInstanceUid> = header.uid(Tag(0x0008, 0x0018));
    if sop_instance.ok_or(NotKept::Missing("SOP Instance UID"))? != expected.sop_instance {
        return Err(NotKept::Disagreement("SOP Instance UID"));
    }
    let study: Option<StudyInstanceUid> = header.uid(Tag(0x0020, 0x000D));
    let study = study.ok_or(NotKept::Missing("Study Instance UID"))?;
    let series: Option<SeriesInstanceUid> = header.uid(Tag(0x0020, 0x000E));
    let series = series.ok_or(NotKept::Missing("Series Instance UID"))?;
    Ok(Path::new(&*study.path_component()).join(&*series.path_component()))
}

struct Aside {
    path: PathBuf,
    file: File,
    is_renamed: bool,
}

impl Aside {
    fn create(path: PathBuf) -> Result<Self, NotKept> {
        let create = || File::options().write(true).create_new(true).open(&path);
        let created = match create() {
            // From one that a crash has ended.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| create())
            }
            created => created,
        };
        match created {
            Ok(file) => Ok(Self { path, file, is_renamed: false }),
            Err(source) => Err(NotKept::Folder { doing: "create", path, source }),
        }
    }

    /// Gives it a name, unless something has it. By a second link, because a plain rename would replace what is there.
    fn rename(&mut self, to: &Path) -> Result<bool, NotKept> {
        let linked = match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => match to.symlink_metadata() {
                // Not every file system has links.
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                    fs::rename(&self.path, to).map_err(failed("rename a file to", to))?;
                    self.is_renamed = true;
                    return Ok(true);
                }
                Ok(_) | Err(_) => Err(error),
            },
            linked => linked,
        };
        match linked {
            Ok(()) => {
                // The name aside goes with the drop.
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("rename a file to", to)(error)),
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_renamed
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a file that is not needed could not be removed");
        }
    }
}

/// Whether a file with this content is there. What is no file is something else.
fn is_same(path: &Path, length: u64, sha256: &[u8; 32]) -> Result<bool, NotKept> {
    let found = path.symlink_metadata().map_err(failed("look at", path))?;
    if !found.is_file() || found.len() != length {
        return Ok(false);
    }
    let mut file = File::open(path).map_err(failed("read", path))?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; limits::SPOOL_CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk).map_err(failed("read", path))?;
        match chunk.get(..read) {
            Some(bytes) if !bytes.is_empty() => hash.update(bytes),
            Some(_) | None => return Ok(hash.finalize().as_slice() == sha256),
        }
    }
}

/// Makes the folder of a series and that of its study. Their names are durable after it.
fn make_folders(root: &Path, folder: &Path) -> Result<(), NotKept> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<_> = folder.ancestors().take_while(|level| *level != root).collect();
    for level in missing.into_iter().rev() {
        match fs::create_dir(level) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("make the folder", level)(error));
            }
            Ok(()) | Err(_) => sync(level.parent().unwrap_or(root))?,
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), NotKept> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NotKept {
    let path = path.to_owned();
    move |source| NotKept::Folder { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{CT, image, instance_uid};

    fn expected(number: u32) -> Expected {
        Expected {
            sop_class: SopClassUid::lenient(CT).unwrap(),
            sop_instance: SopInstanceUid::lenient(&instance_uid(number)).unwrap(),
            transfer_syntax: TransferSyntaxUid::lenient(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
        }
    }

    fn source() -> AeTitle {
        AeTitle::parse("PEER").unwrap()
    }

    fn keep(root: &Path, expected: Expected, data: &[u8]) -> Result<Kept, NotKept> {
        let mut arrival = Arrival::begin(root.to_owned(), expected, &source())?;
        for part in data.chunks(100) {
            arrival.take(part)?;
        }
        arrival.finish()
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_aside() {
        let root = tempfile::tempdir().unwrap();
        let first = keep(root.path(), expected(1), &image(1, 100)).unwrap();
        assert_eq!(first.path, root.path().join("1.2.3.1/1.2.3.1.1/1.2.3.1.1.1.dcm"));
        let written = fs::read(&first.path).unwrap();
        assert!(written.ends_with(&image(1, 100)) && written.len() as u64 == first.file_bytes);
        let again = keep(root.path(), expected(1), &image(1, 100)).unwrap();
        assert_eq!(again, Kept { was_there: true, ..first.clone() });
        let other = keep(root.path(), expected(1), &image(1, 200)).unwrap();
        assert!(!other.was_there && other.path.to_str().unwrap().contains("1.2.3.1.1.1~"), "{other:?}");
        assert_eq!(fs::read(&first.path).unwrap(), written);
        assert_eq!(names(root.path()), ["1.2.3.1"]);
        assert_eq!(names(first.path.parent().unwrap()).len(), 2);
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let refused = |expected, data: &[u8]| keep(root.path(), expected, data).unwrap_err().explain();
        assert_eq!(
            refused(expected(2), &image(1, 10)),
            "SOP Instance UID of the command is not that of the data set"
        );
        let mr = Expected { sop_class: SopClassUid::lenient("1.2").unwrap(), ..expected(1) };
        assert_eq!(refused(mr, &image(1, 10)), "SOP Class UID of the command is not that of the data set");
        assert!(refused(expected(1), b"\x08\x00\x05\x00no data set").contains("cannot be read"));
        assert_eq!(refused(expected(1), b""), "SOP Class UID is missing");
        drop(Arrival::begin(root.path().to_owned(), expected(1), &source()).unwrap());
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn text_that_is_no_uid_stays_out_of_paths() {
        let root = tempfile::tempdir().unwrap();
        let odd = "../../../DOE";
        let mut data = image(1, 0);
        let at = data.windows(12).position(|window| window == b"1.2.3.1.1.1\0").unwrap();
        data[at..at + 12].copy_from_slice(odd.as_bytes());
        let expected = Expected { sop_instance: SopInstanceUid::lenient(odd).unwrap(), ..expected(1) };
        let kept = keep(root.path(), expected, &data).unwrap();
        assert!(kept.path.starts_with(root.path()) && !kept.path.to_str().unwrap().contains("DOE"));
    }
}
