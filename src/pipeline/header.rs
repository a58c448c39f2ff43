use std::fs::File;
use std::os::unix::fs::FileExt;

use archive::StoredInstance;
use model::header::Header;
use model::scan::Scanner;
use model::syntax;

use crate::Error;

/// Scans the header of a stored object again, stepping over bulk values. Blocking.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Unreadable`] when it is no longer what was stored.
pub(crate) fn read(instance: &StoredInstance, file: &File) -> Result<Header, Error> {
    let mut scanner = Scanner::new(syntax::form(instance.transfer_syntax.as_str()));
    let mut position = instance.data_offset;
    let mut buffer = vec![0; READ_BYTES];
    while position < instance.length {
        let taken = file.read_at(&mut buffer, position).map_err(Error::File)?;
        let Some(bytes) = buffer.get(..taken).filter(|bytes| !bytes.is_empty()) else { break };
        scanner.feed(bytes).map_err(Error::Unreadable)?;
        position += bytes.len() as u64;
        let step = scanner.skippable().min(instance.length.saturating_sub(position));
        scanner.skip(step);
        position += step;
    }
    scanner.finish().map_err(Error::Unreadable)
}

const READ_BYTES: usize = 32 << 10;
