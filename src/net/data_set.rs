//! Data sets that are read and written as a whole, in memory: those of messages that carry no image.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use model::header::Header;
use model::scan::{self, ScanError};
use model::syntax::Form;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::drive::Drive;
use crate::end::End;

/// A data set in memory.
pub(crate) struct Whole<'s> {
    pub(crate) bytes: Vec<u8>,
    /// Held by a large one, for as long as it and what is made of it are in memory.
    pub(crate) permit: Option<SemaphorePermit<'s>>,
}

/// Why a data set is not read; it is dropped then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than what is taken.
    TooLarge,
    /// It is large, and so are others that are being read.
    Busy,
}

/// Reads the data set of the message, of at most `most` bytes; of those above [`SMALL_BYTES`] so many at once as `large` has permits.
/// The message has been read to its end in any case.
pub(crate) async fn read<'s>(
    drive: &mut Drive,
    most: usize,
    large: &'s Semaphore,
) -> Result<Result<Whole<'s>, Unread>, End> {
    let mut whole = Whole { bytes: Vec::with_capacity(4 << 10), permit: None };
    loop {
        let is_read = drive.read_data(&mut whole.bytes).await?;
        let length = whole.bytes.len();
        if length > SMALL_BYTES && whole.permit.is_none() {
            whole.permit = large.try_acquire().ok();
        }
        let unread = match length > SMALL_BYTES {
            true if length > most => Some(Unread::TooLarge),
            true if whole.permit.is_none() => Some(Unread::Busy),
            true | false => None,
        };
        match unread {
            Some(unread) => {
                drop(whole);
                drive.drain().await?;
                return Ok(Err(unread));
            }
            None if is_read => return Ok(Ok(whole)),
            None => whole.bytes.reserve(length),
        }
    }
}

/// Scans a data set; one that is large or deflated, which takes a while, on a thread for such work. A deflated one inflates to at most
/// `most` bytes.
pub(crate) async fn scan(form: Form, bytes: Vec<u8>, most: usize) -> Result<Header, ScanError> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if !form.deflated && bytes.len() <= QUICK_BYTES {
        return scan::scan_within(form, &bytes, most);
    }
    match tokio::task::spawn_blocking(move || scan::scan_within(form, &bytes, most)).await {
        Ok(scanned) => scanned,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being torn down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A data set as it goes out in this form: a raw deflate stream, padded to even length, where the form asks for that (PS3.5 §A.5).
pub(crate) fn in_form(form: Form, data_set: Vec<u8>) -> Vec<u8> {
    if !form.deflated {
        return data_set;
    }
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(data_set.len()), Compression::fast());
    encoder.write_all(&data_set).expect("writing to memory does not fail");
    let mut bytes = encoder.finish().expect("writing to memory does not fail");
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

/// What everybody may have in memory at once.
const SMALL_BYTES: usize = 256 << 10;
/// What is scanned where it is.
const QUICK_BYTES: usize = 16 << 10;
