#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::ScanError;
use super::collect::Collect;
use super::deep::Deep;
use super::frame::{Frame, Kind, NO_END};
use super::wire::{self, Begun, Head};
use crate::header::Header;
use crate::syntax::Encoding;
use crate::{Tag, Vr, vr};

/// The walk over the bytes of an inflated data set.
pub(super) struct Walk {
    /// Bytes walked.
    pub(super) position: u64,
    /// Bytes of the value that are to come, or to be stepped over.
    pub(super) remaining: u64,
    /// Whether these are copied.
    pub(super) captures: bool,
    /// The begun head of an element.
    pub(super) head: [u8; LONG_HEAD],
    pub(super) head_length: usize,
    /// The containers around the innermost one that is kept, the data set first.
    pub(super) outer: Vec<Frame>,
    pub(super) innermost: Frame,
    /// Open containers inside of the innermost that are not kept.
    pub(super) deep: Option<Deep>,
    pub(super) collect: Collect,
    /// A UN that the dictionary calls SQ: what follows is the beginning of its value.
    pub(super) doubtful: Option<Head>,
    /// The last top-level element.
    pub(super) top: Tag,
    /// Pixel Representation (0028,0103) is 1.
    pub(super) signed: bool,
}

impl Walk {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            position: 0,
            remaining: 0,
            captures: false,
            head: [0; LONG_HEAD],
            head_length: 0,
            outer: Vec::new(),
            innermost: Frame::data_set(encoding),
            deep: None,
            doubtful: None,
            collect: Collect::new(),
            top: Tag(0, 0),
            signed: false,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.collect.held_bytes()
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ScanError> {
        while !bytes.is_empty() {
            if self.remaining > 0 {
                self.take_value(&mut bytes);
            } else if let Some(head) = self.take_head(&mut bytes)? {
                self.meet(head)?;
                self.settle();
            }
        }
        Ok(())
    }

    pub(super) fn skippable(&self) -> u64 {
        if self.captures { 0 } else { self.remaining }
    }

    pub(super) fn skip(&mut self, bytes: u64) {
        let bytes = bytes.min(self.skippable());
        // Else the head of an element may have begun.
        if bytes > 0 {
            self.advance(bytes);
        }
    }

    pub(super) fn finish(self) -> Result<Header, ScanError> {
        let outermost = self.outer.get(1).or((self.outer.len() == 1).then_some(&self.innermost));
        match outermost {
            Some(frame) if frame.end != NO_END => return Err(ScanError::PastEnd(self.top)),
            Some(frame) if frame.kind == Kind::Fragments && self.remaining > 0 => {
                return Err(ScanError::FragmentPastEnd(self.top));
            }
            Some(_) => return Err(ScanError::Unclosed(self.top)),
            None if self.deep.is_some() => return Err(ScanError::Unclosed(self.top)),
            None => {}
        }
        let begun = self.head.get(..self.head_length).unwrap_or_default();
        if self.remaining > 0 || self.doubtful.is_some() || begun.len() >= SHORT_HEAD {
            return Err(ScanError::PastEnd(self.top));
        }
        if begun.iter().any(|&byte| byte != 0) {
            return Err(ScanError::Trailing(begun.len()));
        }
        Ok(self.collect.finish(self.innermost.encoding, self.position))
    }

    /// Takes what `bytes` has of the value.
    fn take_value(&mut self, bytes: &mut &[u8]) {
        let length = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let (value, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if self.captures {
            self.collect.capture(value);
        }
        *bytes = rest;
        self.advance(value.len() as u64);
    }

    fn advance(&mut self, bytes: u64) {
        self.position += bytes;
        self.remaining -= bytes;
        if self.remaining > 0 {
            return;
        }
        if self.captures && self.is_top_level() && self.top == PIXEL_REPRESENTATION {
            let value = vr::integer(Vr::US, self.innermost.encoding, self.collect.last_value());
            self.signed = value == Some(1);
        }
        self.captures = false;
        self.settle();
    }

    /// Takes what `bytes` has of an element's head; returns it when it is complete.
    fn take_head(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, ScanError> {
        self.fill_head(SHORT_HEAD, bytes);
        let [begun @ .., _, _, _, _] = self.head;
        if self.head_length < SHORT_HEAD {
            return Ok(None);
        }
        if let Some(un) = self.doubtful.take() {
            self.resolve(un, begun)?;
            return Ok(None);
        }
        let (kind, encoding) = self.context();
        let has_vr = matches!(kind, Kind::DataSet | Kind::Item);
        let (tag, vr) = match wire::begin(encoding, has_vr, begun) {
            Begun::Whole(head) => {
                self.head_length = 0;
                return Ok(Some(head));
            }
            Begun::Long(tag, vr) => (tag, vr),
        };
        if self.room() < (LONG_HEAD - self.head_length) as u64 {
            self.give_up(tag)?;
            self.settle();
            return Ok(None);
        }
        self.note_top(tag);
        self.fill_head(LONG_HEAD, bytes);
        if self.head_length < LONG_HEAD {
            return Ok(None);
        }
        self.head_length = 0;
        let [.., l0, l1, l2, l3] = self.head;
        Ok(Some(Head { tag, vr: Some(vr), length: wire::long(encoding, [l0, l1, l2, l3]), bytes: 12 }))
    }

    /// Takes bytes until the begun head has `length`.
    fn fill_head(&mut self, length: usize, bytes: &mut &[u8]) {
        let missing = length.saturating_sub(self.head_length).min(bytes.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or_default();
        if let Some(slot) = self.head.get_mut(self.head_length..self.head_length + missing) {
            slot.copy_from_slice(taken);
        }
        *bytes = rest;
        self.head_length += missing;
        self.position += missing as u64;
    }
}

/// Tag and what follows up to the value, where the length has 16 bits or no VR is stated.
pub(super) const SHORT_HEAD: usize = 8;
/// The same, where two reserved bytes and a length of 32 bits follow the VR.
const LONG_HEAD: usize = 12;

const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
