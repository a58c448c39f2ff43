//! Elements of a command set: Implicit VR Little Endian, group 0000 only (PS3.7 §6.3.1).
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use dicom_dictionary_std::tags;
use model::{AeTitle, Kind, SopClassUid, Tag, Uid, limits};

use crate::{ErrorComment, Outcome, Status};

/// Why bytes are not a command set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An element runs past the end.
    #[error("element {0} of the command set runs past its end")]
    Truncated(Tag),
    /// Larger than [`limits::COMMAND_SET_BYTES`].
    #[error("command set is larger than {} bytes", limits::COMMAND_SET_BYTES)]
    TooLarge,
    /// An element without which nothing can be answered is absent.
    #[error("command set has no {0}")]
    Missing(&'static str),
}

/// A command set whose elements have been walked once to their end.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Walks `bytes`. Order, Command Group Length and elements of other groups are not judged: peers get them wrong and nothing
    /// depends on them. Fewer than 8 bytes after the last element are padding.
    ///
    /// # Errors
    /// [`CommandError::TooLarge`], [`CommandError::Truncated`].
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, CommandError> {
        if bytes.len() > limits::COMMAND_SET_BYTES {
            return Err(CommandError::TooLarge);
        }
        let mut rest = bytes;
        while let Some((tag, length, value)) = split_header(rest) {
            rest = value.get(length..).ok_or(CommandError::Truncated(tag))?;
        }
        Ok(Self { bytes })
    }

    /// The value of the first element with this tag.
    pub(crate) fn value(self, wanted: Tag) -> Option<&'a [u8]> {
        let mut rest = self.bytes;
        while let Some((tag, length, value)) = split_header(rest) {
            let (value, after) = value.split_at_checked(length)?;
            if tag == wanted {
                return Some(value);
            }
            rest = after;
        }
        None
    }

    /// The first value of a US element, of whatever length it was sent with.
    pub(crate) fn integer(self, tag: Tag) -> Option<u16> {
        self.value(tag)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// As [`Elements::integer`], for an element that the command cannot do without.
    pub(crate) fn required(self, tag: Tag, name: &'static str) -> Result<u16, CommandError> {
        self.integer(tag).ok_or(CommandError::Missing(name))
    }

    /// A UI element, less padding; `None` when absent or empty.
    pub(crate) fn uid<K: Kind>(self, tag: Tag) -> Option<Uid<K>> {
        Uid::from_bytes(self.value(tag)?)
    }

    /// An AE element, less padding; `None` when it is absent, empty or no AE title.
    pub(crate) fn ae_title(self, tag: Tag) -> Option<AeTitle> {
        let text = std::str::from_utf8(self.value(tag)?).ok()?;
        AeTitle::parse(text.trim_end_matches('\0')).ok()
    }

    /// Whether the command says that a data set follows; it does not where it says nothing.
    pub(crate) fn announces_data_set(self) -> bool {
        self.integer(tags::COMMAND_DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET)
    }

    /// Message ID, which every request has.
    pub(crate) fn message_id(self) -> Result<u16, CommandError> {
        self.required(tags::MESSAGE_ID, "Message ID")
    }

    /// Message ID Being Responded To, which every response has.
    pub(crate) fn responded_to(self) -> Result<u16, CommandError> {
        self.required(tags::MESSAGE_ID_BEING_RESPONDED_TO, "Message ID Being Responded To")
    }

    pub(crate) fn sop_class(self) -> Option<SopClassUid> {
        self.uid(tags::AFFECTED_SOP_CLASS_UID)
    }

    pub(crate) fn outcome(self) -> Result<Outcome, CommandError> {
        Ok(Outcome {
            status: Status(self.required(tags::STATUS, "Status")?),
            offending_elements: self.tags(tags::OFFENDING_ELEMENT),
            error_comment: self.value(tags::ERROR_COMMENT).and_then(ErrorComment::from_bytes),
        })
    }

    /// The tags of an AT element.
    fn tags(self, tag: Tag) -> Vec<Tag> {
        let (pairs, _) = self.value(tag).unwrap_or_default().as_chunks::<4>();
        pairs.iter().map(|[g0, g1, e0, e1]| tag_of([*g0, *g1], [*e0, *e1])).collect()
    }
}

/// Writes a command set, elements in the order of their tags, and puts Command Group Length before them.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let mut writer = Self { out: Vec::with_capacity(256) };
        writer.put(tags::COMMAND_GROUP_LENGTH, &[0; 4]);
        writer
    }

    pub(crate) fn integer(&mut self, tag: Tag, value: u16) {
        self.put(tag, &value.to_le_bytes());
    }

    pub(crate) fn uid<K>(&mut self, tag: Tag, uid: Option<&Uid<K>>) {
        if let Some(uid) = uid {
            self.uid_text(tag, uid.as_str());
        }
    }

    pub(crate) fn uid_text(&mut self, tag: Tag, uid: &str) {
        self.padded(tag, uid, 0);
    }

    pub(crate) fn ae_title(&mut self, tag: Tag, title: Option<&AeTitle>) {
        if let Some(title) = title {
            self.padded(tag, title.as_str(), b' ');
        }
    }

    /// Status, Offending Element, Error Comment.
    pub(crate) fn outcome(&mut self, outcome: &Outcome) {
        self.integer(tags::STATUS, outcome.status.0);
        if !outcome.offending_elements.is_empty() {
            let halves = outcome.offending_elements.iter().flat_map(|tag| [tag.0, tag.1]);
            self.put(tags::OFFENDING_ELEMENT, &halves.flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
        }
        if let Some(comment) = &outcome.error_comment {
            self.padded(tags::ERROR_COMMENT, comment.as_str(), b' ');
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.out.len().saturating_sub(GROUP_LENGTH_ELEMENT)).unwrap_or(u32::MAX);
        if let Some(value) = self.out.get_mut(HEADER..GROUP_LENGTH_ELEMENT) {
            value.copy_from_slice(&length.to_le_bytes());
        }
        self.out
    }

    fn padded(&mut self, tag: Tag, text: &str, pad: u8) {
        // Text that was received in another repertoire goes back byte for byte as `Uid::from_bytes` read it.
        let mut bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        if bytes.len() % 2 == 1 {
            bytes.push(pad);
        }
        self.put(tag, &bytes);
    }

    fn put(&mut self, tag: Tag, value: &[u8]) {
        self.out.extend_from_slice(&tag.0.to_le_bytes());
        self.out.extend_from_slice(&tag.1.to_le_bytes());
        self.out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.out.extend_from_slice(value);
    }
}

fn split_header(bytes: &[u8]) -> Option<(Tag, usize, &[u8])> {
    let ([g0, g1, e0, e1, l0, l1, l2, l3], value) = bytes.split_first_chunk()?;
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    Some((tag_of([*g0, *g1], [*e0, *e1]), usize::try_from(length).unwrap_or(usize::MAX), value))
}

fn tag_of(group: [u8; 2], element: [u8; 2]) -> Tag {
    Tag(u16::from_le_bytes(group), u16::from_le_bytes(element))
}

/// Command Data Set Type of a message without data set (PS3.7 §E.1).
pub(crate) const NO_DATA_SET: u16 = 0x0101;
/// Command Data Set Type of a message with data set: anything but [`NO_DATA_SET`].
pub(crate) const A_DATA_SET: u16 = 0x0001;
/// Priority (0000,0700) MEDIUM.
pub(crate) const MEDIUM: u16 = 0x0000;

const HEADER: usize = 8;
const GROUP_LENGTH_ELEMENT: usize = 12;
