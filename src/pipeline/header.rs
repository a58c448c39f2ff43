use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use archive::StoredInstance;
use model::header::Header;
use model::scan::Scanner;
use model::{TransferSyntaxUid, syntax};

use crate::Error;
use crate::budget::Claim;

/// Scans the header of a stored object again. Blocking. A large header is held only within `claim`.
///
/// # Errors
/// As [`read_part`], where the file is no longer what was stored.
pub(crate) fn read(instance: &StoredInstance, file: &File, claim: &mut Claim) -> Result<Header, Error> {
    read_part(file, instance.data_offset..instance.length, &instance.transfer_syntax, claim)
}

/// Scans the header of the data set in a part of a file, stepping over bulk values. Blocking. A large header is held only within `claim`.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Unreadable`] when the data set cannot, [`Error::Busy`] when the header is
/// large and so are many others that are held.
pub(crate) fn read_part(
    file: &File,
    place: Range<u64>,
    transfer_syntax: &TransferSyntaxUid,
    claim: &mut Claim,
) -> Result<Header, Error> {
    let mut scanner = Scanner::new(syntax::form(transfer_syntax.as_str()));
    let mut position = place.start;
    let mut buffer = vec![0; READ_BYTES];
    while position < place.end {
        let taken = file.read_at(&mut buffer, position).map_err(Error::File)?;
        let Some(bytes) = buffer.get(..taken).filter(|bytes| !bytes.is_empty()) else { break };
        scanner.feed(bytes).map_err(Error::Unreadable)?;
        if !claim.covers_header(scanner.held_bytes()) {
            return Err(Error::Busy);
        }
        position += bytes.len() as u64;
        let step = scanner.skippable().min(place.end.saturating_sub(position));
        scanner.skip(step);
        position += step;
    }
    scanner.finish().map_err(Error::Unreadable)
}

const READ_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;

    #[test]
    fn a_large_header_is_read_only_within_the_budget() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        std::fs::write(&path, b"\x99\0\x01\x10LO\0\0".repeat(100_000)).unwrap();
        let file = File::open(&path).unwrap();
        let syntax = TransferSyntaxUid::lenient(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let read_within =
            |bytes| read_part(&file, 0..800_000, &syntax, &mut Arc::new(Budget::new(bytes)).claim());
        assert_eq!(read_within(16 << 20).unwrap().elements().count(), 100_000);
        assert!(matches!(read_within(1 << 20), Err(Error::Busy)));
    }
}
