//! The stored DICOM JSON of instances: zstd with the JSON of the series' first instance as dictionary.
//!
//! Instances of a series say nearly the same, so a quarter of the bytes is left and unpacking a series takes
//! milliseconds.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use lru::LruCache;
use model::InstanceIds;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::EncoderDictionary;

use crate::Error;

/// A series within its study: series UIDs that occur in several studies are several series. By the path components of
/// the UIDs, which are short even where the UIDs are not: caches hold many keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SeriesKey {
    study: Box<str>,
    series: Box<str>,
}

impl SeriesKey {
    pub(crate) fn of(ids: &InstanceIds) -> Self {
        Self { study: ids.study.path_component().into(), series: ids.series.path_component().into() }
    }
}

/// The JSON of one instance, packed.
#[derive(Debug)]
pub(crate) struct PackedJson {
    pub(crate) bytes: Vec<u8>,
    /// The series' dictionary is needed to unpack it.
    pub(crate) needs_dictionary: bool,
    /// What would serve as dictionary if this turns out to be the first instance of its series; packed without one.
    pub(crate) dictionary: Option<Vec<u8>>,
}

/// Packs the JSON of an instance, with the dictionary of its series where there is one.
pub(crate) fn pack(json: &[u8], dictionary: Option<&Dictionary>) -> PackedJson {
    match dictionary {
        Some(dictionary) => {
            let bytes = Compressor::with_prepared_dictionary(dictionary.encoder())
                .and_then(|mut compressor| compressor.compress(json))
                .expect(PACKING_FAILS);
            PackedJson { bytes: trimmed(bytes), needs_dictionary: true, dictionary: None }
        }
        None => {
            let beginning = json.get(..DICTIONARY_BYTES).unwrap_or(json);
            PackedJson {
                bytes: pack_plain(json),
                needs_dictionary: false,
                dictionary: Some(beginning.to_vec()),
            }
        }
    }
}

/// Packs bytes without a dictionary.
pub(crate) fn pack_plain(bytes: &[u8]) -> Vec<u8> {
    trimmed(zstd::bulk::compress(bytes, LEVEL).expect(PACKING_FAILS))
}

/// Unpacks what [`pack`] made for one series.
pub(crate) struct Unpacker {
    plain: Decompressor<'static>,
    with_dictionary: Option<Decompressor<'static>>,
}

impl Unpacker {
    /// `dictionary` is the stored one of the series, itself packed.
    pub(crate) fn new(dictionary: Option<&[u8]>) -> Result<Self, Error> {
        let damaged = |_| Error::Damaged;
        let mut plain = Decompressor::new().map_err(damaged)?;
        let with_dictionary = match dictionary {
            Some(packed) => {
                let raw = plain.decompress(packed, DICTIONARY_BYTES).map_err(damaged)?;
                Some(Decompressor::with_dictionary(&raw).map_err(damaged)?)
            }
            None => None,
        };
        Ok(Self { plain, with_dictionary })
    }

    pub(crate) fn unpack(&mut self, bytes: &[u8], needs_dictionary: bool) -> Result<Vec<u8>, Error> {
        let decompressor = match (needs_dictionary, &mut self.with_dictionary) {
            (true, Some(decompressor)) => decompressor,
            (true, None) => return Err(Error::Damaged),
            (false, _) => &mut self.plain,
        };
        decompressor.decompress(bytes, JSON_BYTES).map_err(|_| Error::Damaged)
    }
}

/// Unpacks a stored dictionary.
pub(crate) fn unpack_dictionary(packed: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::decompress(packed, DICTIONARY_BYTES).map_err(|_| Error::Damaged)
}

/// The dictionary of a series, ready for packing once it is needed.
pub(crate) struct Dictionary {
    raw: Vec<u8>,
    encoder: OnceLock<EncoderDictionary<'static>>,
}

impl Dictionary {
    pub(crate) fn new(raw: Vec<u8>) -> Self {
        Self { raw, encoder: OnceLock::new() }
    }

    fn encoder(&self) -> &EncoderDictionary<'static> {
        self.encoder.get_or_init(|| EncoderDictionary::copy(&self.raw, LEVEL))
    }
}

/// The dictionaries of the series that came last. Only committed ones: a row packed with one that was rolled back
/// could not be read.
pub(crate) struct Dictionaries(Mutex<LruCache<SeriesKey, Arc<Dictionary>>>);

impl Dictionaries {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CACHED_DICTIONARIES)))
    }

    pub(crate) fn of(&self, series: &SeriesKey) -> Option<Arc<Dictionary>> {
        self.lock().get(series).cloned()
    }

    pub(crate) fn has(&self, series: &SeriesKey) -> bool {
        self.lock().contains(series)
    }

    pub(crate) fn insert(&self, series: SeriesKey, raw: Vec<u8>) {
        self.lock().put(series, Arc::new(Dictionary::new(raw)));
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<SeriesKey, Arc<Dictionary>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packing reserves for the worst case; what waits in the writer's queue and in the index should not.
fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.shrink_to_fit();
    bytes
}

/// zstd's default: better ratios cost more than they save here.
const LEVEL: i32 = 3;

/// A dictionary is at most so long; the attributes that instances of a series share stand at the front.
const DICTIONARY_BYTES: usize = 64 << 10;

/// More JSON than a header can yield, so that a damaged length is not believed.
const JSON_BYTES: usize = 1 << 30;

const CACHED_DICTIONARIES: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

const PACKING_FAILS: &str = "packing into a buffer of the worst-case size cannot fail";

#[cfg(test)]
mod tests {
    use model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

    use super::*;

    const FIRST: &[u8] = br#"{"00080060":{"vr":"CS","Value":["CT"]},"00200013":{"vr":"IS","Value":[1]}}"#;
    const SECOND: &[u8] = br#"{"00080060":{"vr":"CS","Value":["CT"]},"00200013":{"vr":"IS","Value":[2]}}"#;

    #[test]
    fn unpacks_what_was_packed_with_and_without_a_dictionary() {
        let first = pack(FIRST, None);
        let raw = first.dictionary.unwrap();
        let second = pack(SECOND, Some(&Dictionary::new(raw.clone())));
        assert!(second.needs_dictionary && second.bytes.len() < first.bytes.len());

        let mut unpacker = Unpacker::new(Some(&pack_plain(&raw))).unwrap();
        assert_eq!(unpacker.unpack(&first.bytes, false).unwrap(), FIRST);
        assert_eq!(unpacker.unpack(&second.bytes, true).unwrap(), SECOND);
    }

    #[test]
    fn the_key_of_a_series_is_short_and_tells_odd_uids_apart() {
        let key = |study: &str, series: &str| {
            SeriesKey::of(&InstanceIds {
                study: StudyInstanceUid::lenient(study).unwrap(),
                series: SeriesInstanceUid::lenient(series).unwrap(),
                sop_class: SopClassUid::lenient("1.2").unwrap(),
                sop_instance: SopInstanceUid::lenient("1.2.3").unwrap(),
            })
        };
        let long = "1".repeat(60_000);
        let of_long = key(&long, &long);
        assert!(of_long.study.len() + of_long.series.len() <= 2 * 66);
        assert_ne!(of_long, key(&long, &format!("{long}1")));
        assert_ne!(of_long, key(&of_long.study, &of_long.series));
        assert_eq!(key("1.2", "1.3"), key("1.2", "1.3"));
        assert_ne!(key("1.2", "1.3"), key("1.3", "1.2"));
    }

    #[test]
    fn a_long_first_instance_gives_a_bounded_dictionary() {
        let long: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let first = pack(&long, None);
        let raw = first.dictionary.unwrap();
        assert_eq!(raw.len(), DICTIONARY_BYTES);
        let second = pack(&long, Some(&Dictionary::new(raw.clone())));
        let mut unpacker = Unpacker::new(Some(&pack_plain(&raw))).unwrap();
        assert_eq!(unpacker.unpack(&second.bytes, true).unwrap(), long);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let mut unpacker = Unpacker::new(None).unwrap();
        assert!(unpacker.unpack(b"no zstd frame", false).is_err());
        assert!(unpacker.unpack(&pack_plain(FIRST), true).is_err());
        assert!(Unpacker::new(Some(b"no zstd frame")).is_err());
    }
}
