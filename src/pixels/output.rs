use std::io::{Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::Error;

/// Where the transcoded data set goes.
pub(crate) trait Target: Write + Seek {}

impl<T: Write + Seek> Target for T {}

/// Writes a data set, deflated where its transfer syntax says so.
pub(crate) struct Output<'a> {
    target: &'a mut dyn Target,
    deflate: Option<DeflateEncoder<Vec<u8>>>,
    written: u64,
    goes_on: &'a dyn Fn() -> bool,
}

impl<'a> Output<'a> {
    pub(crate) fn new(target: &'a mut dyn Target, deflated: bool, goes_on: &'a dyn Fn() -> bool) -> Self {
        let deflate = deflated.then(|| DeflateEncoder::new(Vec::new(), Compression::default()));
        Self { target, deflate, written: 0, goes_on }
    }

    /// Writes some of it, unless nobody waits for it any more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !(self.goes_on)() {
            return Err(Error::Stopped);
        }
        let Some(deflate) = &mut self.deflate else { return self.put(bytes) };
        deflate.write_all(bytes).map_err(Error::Write)?;
        if deflate.get_ref().len() >= HELD_BYTES {
            let held = std::mem::take(deflate.get_mut());
            self.put(&held)?;
        }
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn position(&self) -> u64 {
        self.written
    }

    /// Replaces bytes written before, where nothing is deflated.
    pub(crate) fn patch(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error> {
        let back = i64::try_from(self.written - position).unwrap_or(i64::MAX);
        self.target.seek(SeekFrom::Current(-back)).map_err(Error::Write)?;
        self.target.write_all(bytes).map_err(Error::Write)?;
        self.target.seek(SeekFrom::Current(back - bytes.len() as i64)).map_err(Error::Write)?; // far below 2^63
        Ok(())
    }

    /// Ends the data set; a deflate stream of odd length gets a NUL (PS3.5 §A.5).
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if let Some(deflate) = self.deflate.take() {
            let held = deflate.finish().map_err(Error::Write)?;
            self.put(&held)?;
            if !self.written.is_multiple_of(2) {
                self.put(&[0])?;
            }
        }
        self.target.flush().map_err(Error::Write)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.target.write_all(bytes).map_err(Error::Write)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

const HELD_BYTES: usize = 64 << 10;
