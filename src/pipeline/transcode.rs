use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use archive::{Archive, StoredInstance};
use model::check::{Check, Crc64};
use model::header::Header;
use model::{TransferSyntaxUid, limits, part10, syntax};
use sha2::{Digest, Sha256};

use crate::budget::Budget;
use crate::pulse::{Beating, Pulse, Waiting};
use crate::turns::Turns;
use crate::{Error, header};

/// Whether objects of one transfer syntax can be transcoded into another.
pub use pixels::can as can_transcode;

/// The transfer syntaxes into which objects of another can be transcoded.
pub fn transcoding_targets(from: &TransferSyntaxUid) -> Vec<TransferSyntaxUid> {
    let others = pixels::abilities().iter().map(|ability| ability.uid).filter(|uid| *uid != from.as_str());
    let possible = others.filter(|uid| can_transcode(from.as_str(), uid).is_ok());
    possible.filter_map(TransferSyntaxUid::lenient).collect()
}

/// Makes copies of instances in other transfer syntaxes, at most [`limits::TRANSCODED_AT_ONCE`] at a time. Cheap to clone.
#[derive(Clone)]
pub struct Transcoder {
    archive: Archive,
    headers: Arc<Budget>,
    turns: Arc<Turns>,
    latest: Arc<AtomicU64>,
}

/// A copy of an instance in another transfer syntax: a file of PS3.10, removed when this is dropped.
#[derive(Debug)]
pub struct Transcoded {
    /// What the copy is.
    pub instance: StoredInstance,
    _file: Scratch,
}

/// Why there is no copy.
#[derive(Debug)]
pub enum NotTranscoded {
    /// This object cannot be transcoded so, for this reason: words without patient data.
    Cannot(String),
    /// It failed now.
    Failed(Error),
}

/// A file of its own, as long as this lives.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Transcoder {
    pub(crate) fn new(archive: Archive, headers: Arc<Budget>) -> Self {
        let turns = Arc::new(Turns::new(limits::FRAME_TIMEOUT));
        Self { archive, headers, turns, latest: Arc::default() }
    }

    /// How many codecs have run past [`limits::FRAME_TIMEOUT`] and keep their turn.
    pub(crate) fn overdue(&self) -> usize {
        self.turns.standing_still()
    }

    /// Makes a copy of `instance` in the transfer syntax `to`, with the same SOP Instance UID.
    ///
    /// Waits for its turn. Cancel safe: dropped, the work ends with the frame that it is at.
    ///
    /// # Errors
    /// [`NotTranscoded`].
    pub async fn transcode(
        &self,
        instance: &StoredInstance,
        to: &TransferSyntaxUid,
    ) -> Result<Transcoded, NotTranscoded> {
        can_transcode(instance.transfer_syntax.as_str(), to.as_str())
            .map_err(|reason| NotTranscoded::Cannot(reason.to_owned()))?;
        let (to, instance) = (to.clone(), instance.clone());
        self.in_turn(instance.sha256, move |work, pulse| work.make(&instance, &to, pulse)).await
    }

    /// Makes a copy in the first of these transfer syntaxes that this object can be transcoded into.
    ///
    /// Waits for its turn. Cancel safe, as [`Transcoder::transcode`].
    ///
    /// # Errors
    /// [`NotTranscoded`]: that of the first one, where none is possible.
    pub async fn transcode_into_any(
        &self,
        instance: &StoredInstance,
        into: &[TransferSyntaxUid],
    ) -> Result<Transcoded, NotTranscoded> {
        let mut first = None;
        for to in into {
            match self.transcode(instance, to).await {
                Err(NotTranscoded::Cannot(reason)) => drop(first.get_or_insert(reason)),
                made => return made,
            }
        }
        Err(NotTranscoded::Cannot(
            first.unwrap_or_else(|| "there is nothing to transcode it into".to_owned()),
        ))
    }

    /// Makes one frame of `instance`, counted from 0, as the transfer syntax `to` has it: native and little endian, or encoded.
    ///
    /// Waits for its turn. Cancel safe.
    ///
    /// # Errors
    /// [`NotTranscoded`].
    pub async fn frame(
        &self,
        instance: &StoredInstance,
        index: u64,
        to: &TransferSyntaxUid,
    ) -> Result<Vec<u8>, NotTranscoded> {
        let (to, instance) = (to.clone(), instance.clone());
        let made = self.in_turn(instance.sha256, move |work, _| {
            let stored = File::open(&instance.path).map_err(Error::File)?;
            let header = header::read(&instance, &stored, &mut work.headers.claim())?;
            Ok(pixels::FrameReader::open(&object(&instance, &stored, &header))?.frame(index, to.as_str())?)
        });
        made.await
    }

    /// Does work on what has this SHA-256, on a thread for it once it is its turn; it is told when nobody waits for it any more.
    ///
    /// Nobody waits for longer than [`limits::FRAME_TIMEOUT`] for one frame. A codec cannot be ended from outside: it keeps the turn until
    /// it is done. [`Error::NoTurn`] says that, and to who waits for a turn that there is none to be had.
    async fn in_turn<T: Send + 'static>(
        &self,
        sha256: [u8; 32],
        work: impl FnOnce(&Self, &Pulse) -> Result<T, NotTranscoded> + Send + 'static,
    ) -> Result<T, NotTranscoded> {
        let turn = self.turns.take(sha256).await?;
        let transcoder = self.clone();
        let waiting = Waiting(Arc::clone(turn.pulse()));
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&transcoder, turn.pulse());
            drop(turn);
            done
        });
        let patience = self.turns.patience();
        let done = tokio::select! {
            done = done => done,
            () = waiting.0.stands_still(patience) => {
                let (seconds, overdue) = (patience.as_secs(), self.overdue());
                tracing::warn!(seconds, overdue, "{TOO_LONG}; it is waited for no more");
                return Err(Error::NoTurn(TOO_LONG).into());
            }
        };
        match done {
            Ok(done) => done,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime is being torn down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Writes the copy. Blocking.
    fn make(
        &self,
        instance: &StoredInstance,
        to: &TransferSyntaxUid,
        pulse: &Pulse,
    ) -> Result<Transcoded, NotTranscoded> {
        if !self.archive.has_space() {
            return Err(Error::NoSpace.into());
        }
        let mut stored = File::open(&instance.path).map_err(Error::File)?;
        // A copy is compared with itself, by which nobody could tell that the stored file has changed since it was received.
        if !is_whole(&mut stored, instance, pulse).map_err(Error::File)? {
            let changed = "it has changed on disk since it was received";
            return Err(Error::File(io::Error::new(io::ErrorKind::InvalidData, changed)).into());
        }
        let mut claim = self.headers.claim();
        let header = header::read(instance, &stored, &mut claim)?;
        let number = self.latest.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(self.archive.scratch_folder().join(number.to_string()));
        let mut file =
            File::options().read(true).write(true).create_new(true).open(&scratch.0).map_err(cannot_write)?;
        let meta = part10::write((&instance.ids.sop_class, &instance.ids.sop_instance), to, None);
        let data_offset = meta.len() as u64;
        file.write_all(&meta).map_err(cannot_write)?;
        let spacious = Spacious { file: &mut file, archive: &self.archive };
        let mut writer = BufWriter::with_capacity(limits::SPOOL_CHUNK_BYTES, Beating(spacious, pulse));
        pixels::transcode(&object(instance, &stored, &header), to, &mut writer, &|| pulse.beat())?;
        writer.flush().map_err(cannot_write)?;
        drop(writer);
        let (mut hash, mut crc64) = (Sha256::new(), Crc64::default());
        let take = |piece: &[u8]| {
            hash.update(piece);
            crc64.update(piece);
        };
        let length = read_through(&mut file, data_offset, pulse, take).map_err(cannot_write)?;
        let copy = StoredInstance {
            transfer_syntax: to.clone(),
            path: scratch.0.clone(),
            data_offset,
            length,
            sha256: hash.finalize().into(),
            crc64: Some(crc64.value()),
            ..instance.clone()
        };
        Ok(Transcoded { instance: copy, _file: scratch })
    }
}

fn object<'a>(instance: &'a StoredInstance, stored: &'a File, header: &'a Header) -> pixels::Object<'a> {
    pixels::Object {
        bytes: stored,
        data_offset: instance.data_offset,
        length: instance.length,
        transfer_syntax: instance.transfer_syntax.as_str(),
        header,
    }
}

impl Transcoded {
    /// From what and to what, in words.
    pub fn describe(from: &TransferSyntaxUid, to: &TransferSyntaxUid) -> String {
        let name = |uid: &TransferSyntaxUid| syntax::name(uid.as_str()).unwrap_or("?").to_owned();
        format!("transcoded from {} to {}", name(from), name(to))
    }
}

impl NotTranscoded {
    /// Why, in words without patient data.
    pub fn reason(&self) -> String {
        match self {
            Self::Cannot(reason) => reason.clone(),
            Self::Failed(error) => error.to_string(),
        }
    }

    /// Whether it is for want of a codec, for ever or for now: what is stored can be sent as it is.
    pub fn is_of_codecs(&self) -> bool {
        matches!(self, Self::Cannot(_) | Self::Failed(Error::NoTurn(_)))
    }
}

impl From<Error> for NotTranscoded {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<pixels::Error> for NotTranscoded {
    fn from(error: pixels::Error) -> Self {
        match error {
            pixels::Error::Read(error) => Self::Failed(Error::File(error)),
            pixels::Error::Write(error) => cannot_write(error),
            pixels::Error::Unsupported(_)
            | pixels::Error::Damaged(_)
            | pixels::Error::TooLarge(_)
            | pixels::Error::Codec { .. }
            | pixels::Error::Stopped => Self::Cannot(error.to_string()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a transcoded copy could not be removed; the next start does it");
        }
    }
}

fn cannot_write(error: io::Error) -> NotTranscoded {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotTranscoded::Failed(Error::NoSpace),
        _ => NotTranscoded::Failed(Error::File(error)),
    }
}

/// A file that is written as long as the free space is not less than it has to be.
struct Spacious<'a> {
    file: &'a mut File,
    archive: &'a Archive,
}

impl Write for Spacious<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.archive.has_space() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes.get(..limits::SPOOL_CHUNK_BYTES).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Spacious<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Whether a stored file is what was received.
fn is_whole(file: &mut File, instance: &StoredInstance, pulse: &Pulse) -> io::Result<bool> {
    let mut check = Check::new(instance.crc64, instance.sha256);
    let length = read_through(file, instance.data_offset, pulse, |piece| check.update(piece))?;
    Ok(length == instance.length && check.holds())
}

/// Hands out the data set of a file piece by piece, as long as somebody waits; the length of the file.
fn read_through(
    file: &mut File,
    data_offset: u64,
    pulse: &Pulse,
    mut take: impl FnMut(&[u8]),
) -> io::Result<u64> {
    file.seek(SeekFrom::Start(data_offset))?;
    let mut chunk = vec![0; limits::SPOOL_CHUNK_BYTES];
    let mut length = data_offset;
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(length);
        }
        if !pulse.beat() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        take(chunk.get(..read).unwrap_or_default());
        length += read as u64;
    }
}

const TOO_LONG: &str = "a frame takes too long to decode or encode";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use archive::Config;
    use telemetry::Telemetry;

    use super::*;
    use crate::tests::Home;

    #[tokio::test]
    async fn a_codec_that_does_not_end_is_not_waited_for_and_keeps_its_turn() {
        let mut home = Home::new(&[]).await;
        let turns = Arc::new(Turns::new(Duration::from_millis(50)));
        let transcoder = Transcoder { turns, ..home.pipeline.transcoder().clone() };
        // They end when the sender is dropped.
        let (end, ended) = mpsc::sync_channel::<()>(1);
        let ended = Arc::new(std::sync::Mutex::new(ended));
        for overdue in 1..=limits::TRANSCODED_AT_ONCE {
            let ended = Arc::clone(&ended);
            let made = transcoder.in_turn([overdue as u8; 32], move |_, pulse| {
                assert!(ended.lock().is_ok_and(|ended| ended.recv().is_err()) && pulse.is_given_up());
                Ok(())
            });
            assert!(matches!(made.await, Err(NotTranscoded::Failed(Error::NoTurn(TOO_LONG)))));
            assert_eq!(transcoder.overdue(), overdue);
        }
        let refused = transcoder.in_turn([0; 32], |_, _| Ok(())).await;
        assert!(matches!(refused, Err(NotTranscoded::Failed(Error::NoTurn(_)))));
        home.pipeline.transcoder = transcoder.clone();
        home.pipeline.measure_queues().await.unwrap();
        let gauge = format!("gantry_codecs_overdue {}", limits::TRANSCODED_AT_ONCE);
        assert!(home.telemetry.render().lines().any(|line| line == gauge));
        drop(end);
        while transcoder.overdue() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(transcoder.in_turn([0; 32], |_, _| Ok(())).await.is_ok());
    }

    #[test]
    fn a_copy_is_given_up_while_it_is_written_once_space_is_scarce() {
        for (min_free_bytes, is_room) in [(0, true), (u64::MAX, false)] {
            let folder = tempfile::tempdir().unwrap();
            let config = Config { data_dir: folder.path().to_owned(), min_free_bytes };
            let archive = Archive::open(config, Telemetry::new()).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            let mut copy = Spacious { file: &mut file, archive: &archive };
            let written = copy.write_all(&[7; 3 * limits::SPOOL_CHUNK_BYTES]);
            assert_eq!(written.is_ok(), is_room);
            if let Err(error) = written {
                assert!(matches!(cannot_write(error), NotTranscoded::Failed(Error::NoSpace)));
                assert_eq!(file.metadata().unwrap().len(), 0);
            }
        }
    }

    #[test]
    fn nothing_is_read_through_for_nobody() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 10]).unwrap();
        let (waiting, mut seen) = (Waiting::default(), 0);
        let pulse = Arc::clone(&waiting.0);
        let length = read_through(&mut file, 0, &pulse, |piece| seen += piece.len());
        assert_eq!((length.unwrap(), seen), (10, 10));
        drop(waiting);
        assert!(read_through(&mut file, 0, &pulse, |_| panic!("it is read all the same")).is_err());
    }
}
