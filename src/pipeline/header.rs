use std::fs::File;
use std::os::unix::fs::FileExt;

use archive::StoredInstance;
use model::header::Header;
use model::scan::Scanner;
use model::syntax;

use crate::Error;
use crate::budget::Claim;

/// Scans the header of a stored object again, stepping over bulk values. Blocking. A large header is held only within `claim`.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Unreadable`] when it is no longer what was stored, [`Error::Busy`] when the
/// header is large and so are many others that are held.
pub(crate) fn read(instance: &StoredInstance, file: &File, claim: &mut Claim) -> Result<Header, Error> {
    let mut scanner = Scanner::new(syntax::form(instance.transfer_syntax.as_str()));
    let mut position = instance.data_offset;
    let mut buffer = vec![0; READ_BYTES];
    while position < instance.length {
        let taken = file.read_at(&mut buffer, position).map_err(Error::File)?;
        let Some(bytes) = buffer.get(..taken).filter(|bytes| !bytes.is_empty()) else { break };
        scanner.feed(bytes).map_err(Error::Unreadable)?;
        if !claim.covers_header(scanner.held_bytes()) {
            return Err(Error::Busy);
        }
        position += bytes.len() as u64;
        let step = scanner.skippable().min(instance.length.saturating_sub(position));
        scanner.skip(step);
        position += step;
    }
    scanner.finish().map_err(Error::Unreadable)
}

const READ_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{
        InstanceIds, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
    };

    use super::*;
    use crate::budget::Budget;

    #[test]
    fn a_large_header_is_read_only_within_the_budget() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        std::fs::write(&path, b"\x99\0\x01\x10LO\0\0".repeat(100_000)).unwrap();
        let file = File::open(&path).unwrap();
        let instance = StoredInstance {
            ids: InstanceIds {
                study: StudyInstanceUid::lenient("2.25.1").unwrap(),
                series: SeriesInstanceUid::lenient("2.25.2").unwrap(),
                sop_class: SopClassUid::lenient("2.25.3").unwrap(),
                sop_instance: SopInstanceUid::lenient("2.25.4").unwrap(),
            },
            transfer_syntax: TransferSyntaxUid::lenient(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            path,
            data_offset: 0,
            length: 800_000,
            sha256: [0; 32],
            number_of_frames: None,
        };
        let read_within = |bytes| read(&instance, &file, &mut Arc::new(Budget::new(bytes)).claim());
        assert_eq!(read_within(16 << 20).unwrap().elements().count(), 100_000);
        assert!(matches!(read_within(1 << 20), Err(Error::Busy)));
    }
}
