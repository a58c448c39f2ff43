//! From the paths on the command line to instances that can be sent.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::part10::{self, Split};
use model::scan::Scanner;
use model::syntax::{self, Encoding, Form};
use model::{Tag, TransferSyntaxUid};
use net::scu::Instance;

/// An instance in a file.
#[derive(Debug)]
pub(super) struct Sendable {
    pub(super) instance: Instance,
    /// Bytes of its data set.
    pub(super) bytes: u64,
}

/// What was found at the given paths.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) instances: Vec<Sendable>,
    /// What is not meant to be sent, and why.
    pub(super) skipped: Vec<(PathBuf, String)>,
    /// Files that cannot be sent, and why.
    pub(super) refused: Vec<(PathBuf, String)>,
}

/// Why a file is not sent.
enum NotSent {
    Skipped(&'static str),
    Refused(String),
}

/// Looks at every file, and into every folder, in the order of their names.
pub(super) fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = waiting.pop() {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => match found.entries(&path) {
                Ok(entries) => waiting.extend(entries.into_iter().rev()),
                Err(error) => found.refused.push((path, error.to_string())),
            },
            Ok(metadata) if metadata.is_file() => found.look_at(path),
            Ok(_) => found.refused.push((path, "is neither a file nor a folder".to_owned())),
            Err(error) => found.refused.push((path, error.to_string())),
        }
    }
    found
}

impl Found {
    /// The entries of a folder by name; links to folders are skipped, for they may lead back.
    fn entries(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_symlink() && path.is_dir() {
                self.skipped.push((path, "is a link to a folder".to_owned()));
            } else {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn look_at(&mut self, path: PathBuf) {
        match read(&path) {
            Ok(instance) => self.instances.push(instance),
            Err(NotSent::Skipped(reason)) => self.skipped.push((path, reason.to_owned())),
            Err(NotSent::Refused(reason)) => self.refused.push((path, reason)),
        }
    }
}

fn read(path: &Path) -> Result<Sendable, NotSent> {
    let file = File::open(path)?;
    let file_bytes = file.metadata()?.len();
    let mut start = Start { file: &file, file_bytes, buffer: Vec::new() };
    let (transfer_syntax, form, data_offset) = start.data_set()?;
    let scanned = scan(&file, form, data_offset, file_bytes)?;
    let uid = |what| NotSent::Refused(format!("is a data set without {what}"));
    let instance = Instance {
        path: path.to_owned(),
        data_offset,
        sop_class: scanned.uid(Tag(0x0008, 0x0016)).ok_or_else(|| uid("SOP Class UID"))?,
        sop_instance: scanned.uid(Tag(0x0008, 0x0018)).ok_or_else(|| uid("SOP Instance UID"))?,
        transfer_syntax,
    };
    Ok(Sendable { instance, bytes: file_bytes.saturating_sub(data_offset) })
}

/// The beginning of a file, read as far as needed.
struct Start<'f> {
    file: &'f File,
    file_bytes: u64,
    buffer: Vec<u8>,
}

impl Start<'_> {
    /// Transfer syntax, form and place of the data set.
    fn data_set(&mut self) -> Result<(TransferSyntaxUid, Form, u64), NotSent> {
        loop {
            let is_complete = self.read_on()?;
            return match part10::split(&self.buffer, is_complete) {
                Split::NeedMore if !is_complete => continue,
                Split::NeedMore => Err(NotSent::Refused("is not DICOM".to_owned())),
                Split::Unreadable(error) => Err(NotSent::Refused(error.to_string())),
                Split::Part10(meta) => {
                    // PS3.10 §8.6: the directory of a medium is no composite instance.
                    if meta.sop_class.is_some_and(|class| class.as_str() == MEDIA_STORAGE_DIRECTORY) {
                        return Err(NotSent::Skipped(
                            "is the directory of a medium (DICOMDIR), not an instance",
                        ));
                    }
                    let form = syntax::form(meta.transfer_syntax.as_str());
                    Ok((meta.transfer_syntax, form, meta.data_offset as u64))
                }
                Split::Bare => self.bare(),
            };
        }
    }

    /// A data set without anything before it: taken when it begins as nearly all do, with group 8.
    fn bare(&self) -> Result<(TransferSyntaxUid, Form, u64), NotSent> {
        if !matches!(self.buffer.as_slice(), [8, 0, ..] | [0, 8, ..]) {
            return Err(NotSent::Refused("is not DICOM".to_owned()));
        }
        let form = part10::guess_form(&self.buffer);
        let uid = match form.encoding {
            Encoding::ImplicitLittle => syntax::IMPLICIT_VR_LITTLE_ENDIAN,
            Encoding::ExplicitLittle => syntax::EXPLICIT_VR_LITTLE_ENDIAN,
            Encoding::ExplicitBig => syntax::EXPLICIT_VR_BIG_ENDIAN,
        };
        let uid = TransferSyntaxUid::parse(uid).expect("the standard's UIDs are valid");
        Ok((uid, form, 0))
    }

    /// Reads more; whether the buffer is the whole file now.
    fn read_on(&mut self) -> io::Result<bool> {
        let at = self.buffer.len();
        self.buffer.resize(at + READ_BYTES, 0);
        let taken = self.file.read_at(self.buffer.get_mut(at..).unwrap_or_default(), at as u64)?;
        self.buffer.truncate(at + taken);
        Ok(taken == 0 || self.buffer.len() as u64 >= self.file_bytes)
    }
}

/// Reads the header of a data set, stepping over pixels and other bulk.
fn scan(file: &File, form: Form, data_offset: u64, end: u64) -> Result<model::header::Header, NotSent> {
    let unreadable = |error: model::scan::ScanError| NotSent::Refused(format!("is unreadable: {error}"));
    let mut scanner = Scanner::new(form);
    let mut buffer = vec![0; READ_BYTES];
    let mut at = data_offset;
    while at < end {
        let taken = file.read_at(&mut buffer, at)?;
        let Some(bytes) = buffer.get(..taken).filter(|bytes| !bytes.is_empty()) else { break };
        scanner.feed(bytes).map_err(unreadable)?;
        at += bytes.len() as u64;
        let step = scanner.skippable().min(end.saturating_sub(at));
        scanner.skip(step);
        at += step;
    }
    scanner.finish().map_err(unreadable)
}

impl From<io::Error> for NotSent {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Media Storage Directory Storage (PS3.4 §I.4).
const MEDIA_STORAGE_DIRECTORY: &str = "1.2.840.10008.1.3.10";
const READ_BYTES: usize = 32 << 10;
