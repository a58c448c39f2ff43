//! The DICOM file format: preamble, File Meta Information, data set (PS3.10 §7).
//!
//! Read leniently, as the field's readers do: Group Length (0002,0000) is often wrong, so that group 2 ends where its elements end.
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use crate::element::{has_long_length, put};
use crate::syntax::{self, Encoding, Form};
use crate::uid::{Kind, Uid};
use crate::{AeTitle, SopClassUid, SopInstanceUid, Tag, TransferSyntaxUid, Vr, limits};

/// Our Implementation Class UID (0002,0012), also in A-ASSOCIATE (PS3.7 §D.3.3.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.311406923127394312903271340126428034163";

/// Our Implementation Version Name (0002,0013), also in A-ASSOCIATE (PS3.7 §D.3.3.2).
pub const IMPLEMENTATION_VERSION_NAME: &str = "GANTRY_0_1";

/// What the beginning of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// More bytes are needed to tell; never more than [`limits::FILE_META_BYTES`] and a preamble.
    NeedMore,
    /// A DICOM file.
    Part10(FileMeta),
    /// No group 2, neither first nor behind a preamble: nothing but a data set, if it is DICOM at all. [`guess_form`] tells how to read
    /// it.
    Bare,
    /// It says that it is a DICOM file, and its data set cannot be read.
    Unreadable(Part10Error),
}

/// What the File Meta Information says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: TransferSyntaxUid,
    /// Media Storage SOP Class UID (0002,0002).
    pub sop_class: Option<SopClassUid>,
    /// Media Storage SOP Instance UID (0002,0003).
    pub sop_instance: Option<SopInstanceUid>,
    /// Where the data set begins.
    pub data_offset: usize,
    /// Whether the file begins with the preamble; else it begins with group 2.
    pub has_preamble: bool,
}

/// Why a file's data set cannot be found or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Part10Error {
    /// The file ends inside of group 2.
    #[error("the file ends inside its meta information")]
    Cut,
    /// Group 2 has no Transfer Syntax UID.
    #[error("the file meta information has no transfer syntax")]
    NoTransferSyntax,
    /// Group 2 is larger than [`limits::FILE_META_BYTES`].
    #[error("the file meta information is larger than {} bytes", limits::FILE_META_BYTES)]
    TooLarge,
}

/// Finds the data set in a file of which `bytes` is the beginning, or all of it when `complete`.
///
/// Group 2 is taken in explicit and, against the standard, in implicit VR. PS3.10 §7.1.
pub fn split(bytes: &[u8], complete: bool) -> Split {
    let begin = match (bytes.get(PREAMBLE_BYTES..MAGIC_END), bytes.get(..2)) {
        (Some(MAGIC), _) => MAGIC_END,
        (_, Some(GROUP_2)) => 0,
        (None, _) if !complete => return Split::NeedMore,
        _ => return Split::Bare,
    };
    match bytes.get(begin..begin + 2) {
        Some(GROUP_2) => {}
        None if !complete => return Split::NeedMore,
        // The `DICM` may be by chance: a value in a data set without preamble.
        _ => return Split::Bare,
    }
    match read_meta(bytes, begin, complete) {
        Ok(Some(meta)) => Split::Part10(meta),
        Ok(None) => Split::NeedMore,
        Err(error) => Split::Unreadable(error),
    }
}

/// Writes the beginning of a file whose data set will follow: an empty preamble, and group 2 with our implementation.
///
/// PS3.10 §7.1.
pub fn write(
    ids: (&SopClassUid, &SopInstanceUid),
    syntax: &TransferSyntaxUid,
    source_aet: Option<&AeTitle>,
) -> Vec<u8> {
    let mut meta = Vec::with_capacity(384);
    let mut element = |element, vr, value: &[u8]| {
        put(&mut meta, Encoding::ExplicitLittle, Tag(0x0002, element), vr, value);
    };
    element(0x0001, Vr::OB, &[0x00, 0x01]);
    element(0x0002, Vr::UI, &uid_bytes(ids.0));
    element(0x0003, Vr::UI, &uid_bytes(ids.1));
    element(0x0010, Vr::UI, &uid_bytes(syntax));
    element(0x0012, Vr::UI, IMPLEMENTATION_CLASS_UID.as_bytes());
    element(0x0013, Vr::SH, IMPLEMENTATION_VERSION_NAME.as_bytes());
    if let Some(title) = source_aet {
        element(0x0016, Vr::AE, title.as_str().as_bytes());
    }
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX);
    let mut out = vec![0; PREAMBLE_BYTES];
    out.extend_from_slice(MAGIC);
    put(&mut out, Encoding::ExplicitLittle, Tag(0x0002, 0x0000), Vr::UL, &length.to_le_bytes());
    out.append(&mut meta);
    out
}

/// How to read a data set that came without meta information: as explicit VR where two capital letters follow the first tag, as big
/// endian where the group of that tag then makes more sense.
pub fn guess_form(data_set: &[u8]) -> Form {
    let uid = match data_set.get(4..6) {
        Some([b'A'..=b'Z', b'A'..=b'Z']) if matches!(data_set, [0, 1..=0xFF, ..]) => {
            syntax::EXPLICIT_VR_BIG_ENDIAN
        }
        Some([b'A'..=b'Z', b'A'..=b'Z']) => syntax::EXPLICIT_VR_LITTLE_ENDIAN,
        _ => syntax::IMPLICIT_VR_LITTLE_ENDIAN,
    };
    syntax::form(uid)
}

/// Runs [`split`] on anything: it must not panic, nor find more in less.
pub fn fuzz_part10(data: &[u8]) {
    if let Split::Part10(meta) = split(data, true) {
        assert!(meta.data_offset <= data.len(), "the data set begins inside the file");
        let begun = split(data.get(..meta.data_offset).unwrap_or_default(), false);
        assert!(matches!(begun, Split::NeedMore | Split::Part10(_)), "the beginning of a file is one");
    }
    let _ = guess_form(data);
}

/// `None`: more bytes are needed.
fn read_meta(bytes: &[u8], begin: usize, complete: bool) -> Result<Option<FileMeta>, Part10Error> {
    let mut at = begin;
    let mut stated_end = None;
    let (mut syntax, mut sop_class, mut sop_instance) = (None, None, None);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let done = stated_end == Some(at) && is_deflated(syntax.as_ref());
        let Some((Tag(0x0002, element), rest)) = tag(rest).filter(|_| !done) else {
            if rest.len() < 4 && !complete && !done {
                return Ok(None);
            }
            break;
        };
        let Some((header, length)) = value_length(rest) else {
            return cut(complete);
        };
        let value_at = at + 4 + header;
        if length > limits::FILE_META_BYTES || value_at - begin > limits::FILE_META_BYTES {
            return Err(Part10Error::TooLarge);
        }
        at = value_at + length;
        let Some(value) = bytes.get(value_at..at) else {
            return cut(complete);
        };
        match element {
            0x0000 => stated_end = group_end(at, value),
            0x0002 => sop_class = sop_class.or(uid(value)),
            0x0003 => sop_instance = sop_instance.or(uid(value)),
            0x0010 => syntax = syntax.or(uid(value)),
            _ => {}
        }
    }
    let transfer_syntax = syntax.ok_or(Part10Error::NoTransferSyntax)?;
    let has_preamble = begin != 0;
    Ok(Some(FileMeta { transfer_syntax, sop_class, sop_instance, data_offset: at, has_preamble }))
}

fn cut(complete: bool) -> Result<Option<FileMeta>, Part10Error> {
    if complete { Err(Part10Error::Cut) } else { Ok(None) }
}

fn tag(bytes: &[u8]) -> Option<(Tag, &[u8])> {
    let ([g0, g1, e0, e1], rest) = bytes.split_first_chunk()?;
    Some((Tag(u16::from_le_bytes([*g0, *g1]), u16::from_le_bytes([*e0, *e1])), rest))
}

/// Bytes between tag and value, and of the value.
fn value_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let short = usize::from(u16::from_le_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    let long = |at: usize| {
        let length = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        usize::try_from(length).ok()
    };
    match bytes.first_chunk::<2>().copied()? {
        vr @ [b'A'..=b'Z', b'A'..=b'Z'] => match Vr::from_binary(vr) {
            Some(vr) if !has_long_length(vr) => Some((4, short)),
            Some(_) | None => Some((8, long(4)?)),
        },
        _ => Some((4, long(0)?)),
    }
}

fn group_end(at: usize, value: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*value.first_chunk()?);
    at.checked_add(usize::try_from(length).ok()?)
}

/// A deflate stream may begin with the bytes of a group 2 tag: then the stated end of the group decides.
fn is_deflated(syntax: Option<&TransferSyntaxUid>) -> bool {
    syntax.is_some_and(|uid| syntax::form(uid.as_str()).deflated)
}

fn uid<K: Kind>(value: &[u8]) -> Option<Uid<K>> {
    Uid::from_bytes(value)
}

/// As [`Uid::from_bytes`] read it: odd UIDs too go into the file as they were received.
fn uid_bytes<K>(uid: &Uid<K>) -> Vec<u8> {
    uid.as_str().chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

const PREAMBLE_BYTES: usize = 128;
const MAGIC_END: usize = 132;
const MAGIC: &[u8] = b"DICM";
const GROUP_2: &[u8] = &[0x02, 0x00];

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "these bytes are our own")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file() -> Vec<u8> {
        let (class, instance) = (
            SopClassUid::parse("1.2.840.10008.5.1.4.1.1.7").unwrap(),
            SopInstanceUid::parse("2.25.1").unwrap(),
        );
        let syntax = TransferSyntaxUid::parse(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let mut file = write((&class, &instance), &syntax, Some(&AeTitle::parse("SENDER").unwrap()));
        file.extend_from_slice(DATA_SET);
        file
    }

    fn meta(element: u16, vr: Vr, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0002, element), vr, value);
        out
    }

    fn preamble() -> Vec<u8> {
        [[0; PREAMBLE_BYTES].as_slice(), MAGIC].concat()
    }

    fn syntax_element() -> Vec<u8> {
        meta(0x0010, Vr::UI, b"1.2.840.10008.1.2.1")
    }

    fn part10(bytes: &[u8]) -> FileMeta {
        match split(bytes, true) {
            Split::Part10(meta) => meta,
            other => panic!("{other:?}"),
        }
    }

    const DATA_SET: &[u8] = b"\x08\0\x16\0UI\x04\x001.2\0";

    #[test]
    fn reads_what_it_writes() {
        let file = file();
        let meta = part10(&file);
        assert_eq!(meta.transfer_syntax.as_str(), syntax::EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(meta.sop_class.unwrap().as_str(), "1.2.840.10008.5.1.4.1.1.7");
        assert_eq!(meta.sop_instance.unwrap().as_str(), "2.25.1");
        assert_eq!((meta.data_offset, meta.has_preamble), (file.len() - DATA_SET.len(), true));
        let group_length = u32::from_le_bytes(file[140..144].try_into().unwrap());
        assert_eq!(144 + group_length as usize, meta.data_offset);
        assert!(
            SopClassUid::parse(IMPLEMENTATION_CLASS_UID).is_ok() && IMPLEMENTATION_VERSION_NAME.len() <= 16
        );
    }

    #[test]
    fn writes_odd_uids_as_they_were_received() {
        let (class, instance) = (
            SopClassUid::from_bytes(b"1.2.\xE9").unwrap(),
            SopInstanceUid::from_bytes(b"\xFF\x80x").unwrap(),
        );
        let syntax = TransferSyntaxUid::from_bytes(b"1.2.\xC3\xA9").unwrap();
        let file = write((&class, &instance), &syntax, None);
        for (element, value) in
            [(0x0002, &b"1.2.\xE9"[..]), (0x0003, b"\xFF\x80x"), (0x0010, b"1.2.\xC3\xA9")]
        {
            let element = meta(element, Vr::UI, value);
            assert!(file.windows(element.len()).any(|window| window == element), "{value:02X?}");
        }
        let read = part10(&file);
        assert_eq!((read.sop_class.unwrap(), read.sop_instance.unwrap()), (class, instance));
        assert_eq!((read.transfer_syntax, read.data_offset), (syntax, file.len()));
    }

    #[test]
    fn walks_group_2_whatever_length_it_states() {
        let mut file = file();
        let offset = part10(&file).data_offset;
        for length in [0, 4, 26, 10_000, u32::MAX] {
            file[140..144].copy_from_slice(&length.to_le_bytes());
            assert_eq!(part10(&file).data_offset, offset);
        }
        let without = [preamble(), syntax_element(), DATA_SET.to_vec()].concat();
        assert_eq!(part10(&without).data_offset, without.len() - DATA_SET.len());
    }

    #[test]
    fn takes_group_2_without_preamble_and_in_implicit_vr() {
        let bare_group = part10(&file()[MAGIC_END..]);
        assert!(!bare_group.has_preamble);
        assert_eq!(bare_group.data_offset, part10(&file()).data_offset - MAGIC_END);

        let mut implicit = preamble();
        put(&mut implicit, Encoding::ImplicitLittle, Tag(0x0002, 0x0010), Vr::UI, b"1.2.840.10008.1.2");
        assert_eq!(part10(&implicit).transfer_syntax.as_str(), syntax::IMPLICIT_VR_LITTLE_ENDIAN);
    }

    #[test]
    fn ends_group_2_where_it_says_before_a_deflate_stream() {
        let deflated = meta(0x0010, Vr::UI, syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.as_bytes());
        let length = meta(0x0000, Vr::UL, &u32::try_from(deflated.len()).unwrap().to_le_bytes());
        let file = [preamble(), length, deflated, b"\x02\0\x01\0\x55".to_vec()].concat();
        assert_eq!(part10(&file).data_offset, file.len() - 5);
    }

    #[test]
    fn tells_what_is_no_file() {
        let chance = [[b'A'; PREAMBLE_BYTES].as_slice(), b"DICMA1"].concat();
        for bare in [b"".as_slice(), &[0], &[0; 128], DATA_SET, &chance, &preamble(), &[0xFF; 200]] {
            assert_eq!(split(bare, true), Split::Bare);
        }
        let no_syntax = [preamble(), meta(0x0002, Vr::UI, b"1.2"), DATA_SET.to_vec()].concat();
        assert_eq!(split(&no_syntax, true), Split::Unreadable(Part10Error::NoTransferSyntax));
        let cut = [preamble(), syntax_element()].concat();
        assert_eq!(split(&cut[..cut.len() - 1], true), Split::Unreadable(Part10Error::Cut));
        let huge = [preamble(), b"\x02\0\x02\x01OB\0\0\xFF\xFF\xFF\xFF".to_vec()].concat();
        assert_eq!(split(&huge, false), Split::Unreadable(Part10Error::TooLarge));
        let many = [preamble(), meta(0x0102, Vr::OB, &[0; 1000]).repeat(70)].concat();
        assert_eq!(split(&many, false), Split::Unreadable(Part10Error::TooLarge));
    }

    #[test]
    fn waits_until_it_can_tell() {
        let file = file();
        let offset = part10(&file).data_offset;
        for length in 0..file.len() {
            let expected = if length < offset + 4 { Split::NeedMore } else { split(&file, true) };
            assert_eq!(split(&file[..length], false), expected, "{length}");
        }
    }

    #[test]
    fn guesses_the_form_of_a_bare_data_set() {
        for (begin, encoding) in [
            (b"\x08\0\x05\0CS\x0A\0".as_slice(), Encoding::ExplicitLittle),
            (b"\0\x08\0\x05CS\0\x0A", Encoding::ExplicitBig),
            (b"\x08\0\x05\0\x0A\0\0\0", Encoding::ImplicitLittle),
            (b"\x08\0", Encoding::ImplicitLittle),
        ] {
            assert_eq!(guess_form(begin).encoding, encoding);
        }
    }

    proptest! {
        #[test]
        fn takes_any_bytes(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
            let mut file = file();
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            fuzz_part10(&file);
            fuzz_part10(&file[MAGIC_END..]);
        }
    }
}
