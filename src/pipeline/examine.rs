use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use archive::StoredInstance;
use model::header::Header;
use model::part10::{self, FileMeta, Split};
use model::{InstanceIds, TransferSyntaxUid, limits};

use crate::budget::Budget;
use crate::{Error, header, intake};

/// What the rules would see of an instance.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Which instance it is.
    pub ids: InstanceIds,
    /// How its data set is encoded.
    pub transfer_syntax: TransferSyntaxUid,
    /// Its elements.
    pub header: Header,
}

/// Looks at a file of PS3.10 as ingest would, and keeps nothing. Blocks.
///
/// # Errors
/// [`Error::File`], [`Error::NotPart10`], [`Error::Part10`], [`Error::Unreadable`], [`Error::MissingUid`]; [`Error::Busy`] when its header
/// is larger than [`limits::HEADERS_BYTES`].
pub fn examine(path: &Path) -> Result<Examined, Error> {
    let mut file = File::open(path).map_err(Error::File)?;
    let length = file.metadata().map_err(Error::File)?.len();
    let meta = meta(&mut file)?;
    examine_part(&file, meta.data_offset as u64..length, meta.transfer_syntax)
}

/// Looks at a stored instance again. Blocks.
///
/// # Errors
/// As [`examine`], where the file is no longer what was stored.
pub fn examine_stored(instance: &StoredInstance) -> Result<Examined, Error> {
    let file = File::open(&instance.path).map_err(Error::File)?;
    examine_part(&file, instance.data_offset..instance.length, instance.transfer_syntax.clone())
}

fn examine_part(
    file: &File,
    place: Range<u64>,
    transfer_syntax: TransferSyntaxUid,
) -> Result<Examined, Error> {
    let mut claim = Arc::new(Budget::new(limits::HEADERS_BYTES)).claim();
    let header = header::read_part(file, place, &transfer_syntax, &mut claim)?;
    Ok(Examined { ids: intake::identify(&header)?, transfer_syntax, header })
}

fn meta(file: &mut File) -> Result<FileMeta, Error> {
    let mut start = Vec::new();
    loop {
        let taken = io::copy(&mut file.take(READ_BYTES), &mut start).map_err(Error::File)?;
        match part10::split(&start, taken < READ_BYTES) {
            Split::Part10(meta) => return Ok(meta),
            Split::NeedMore if taken == READ_BYTES => {}
            Split::NeedMore | Split::Bare => return Err(Error::NotPart10),
            Split::Unreadable(error) => return Err(Error::Part10(error)),
        }
    }
}

const READ_BYTES: u64 = 4 << 10;
