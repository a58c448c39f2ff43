#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

use super::ScanError;
use super::deep::Deep;
use super::frame::{Frame, Kind, NO_END};
use super::walk::{SHORT_HEAD, Walk};
use super::wire::{self, Begun, Head, ITEM, ITEM_END, SEQUENCE_END};
use crate::header::{Record, State, UNDEFINED};
use crate::syntax::Encoding;
use crate::{Tag, Vr, limits, vr};

/// What opens, what closes, what stands where: PS3.5 §7.5, §A.4.
impl Walk {
    /// Takes the head of an element, item, fragment or delimiter.
    pub(super) fn meet(&mut self, head: Head) -> Result<(), ScanError> {
        let (kind, encoding) = self.context();
        let is_defined = self.deep.is_none() && self.innermost.end != NO_END;
        match (kind, head.tag) {
            (Kind::Sequence, SEQUENCE_END) | (Kind::Item, ITEM_END) if !is_defined => self.close(),
            (Kind::Fragments, SEQUENCE_END) => self.close(),
            (Kind::Fragments, ITEM) if head.length != UNDEFINED => return self.step_over(head),
            (Kind::Sequence, ITEM) => return self.open_item(head, encoding),
            // To all readers, a sequence delimiter that ends an undefined item is the end of sense.
            (Kind::Item, SEQUENCE_END) if !is_defined => return self.give_up(head.tag),
            // Else an empty delimiter does no harm where it does not belong, nor does an item whose end is known.
            (Kind::DataSet | Kind::Item | Kind::Sequence, ITEM_END | SEQUENCE_END) if head.length == 0 => {}
            (Kind::DataSet | Kind::Item, ITEM) if head.length == 0 => {}
            (Kind::DataSet | Kind::Item, ITEM) if head.length != UNDEFINED => {
                self.collect.omit();
                return self.step_over(head);
            }
            (_, ITEM | ITEM_END | SEQUENCE_END) | (Kind::Sequence | Kind::Fragments, _) => {
                return self.give_up(head.tag);
            }
            (Kind::DataSet | Kind::Item, _) => return self.meet_element(head, encoding),
        }
        Ok(())
    }

    /// Brings the walk to where an element's head or a value follows.
    pub(super) fn settle(&mut self) {
        while self.remaining == 0 {
            if self.deep.is_none() && self.innermost.end == self.position {
                self.close();
            } else if self.room() < SHORT_HEAD as u64 {
                self.resume();
            } else {
                return;
            }
        }
    }

    /// What the innermost container holds, and how it is coded.
    pub(super) fn context(&self) -> (Kind, Encoding) {
        match &self.deep {
            Some(deep) => (deep.kind(), deep.encoding()),
            None => (self.innermost.kind, self.innermost.encoding),
        }
    }

    pub(super) fn is_top_level(&self) -> bool {
        self.outer.is_empty() && self.deep.is_none()
    }

    pub(super) fn note_top(&mut self, tag: Tag) {
        if self.is_top_level() {
            self.top = tag;
        }
    }

    /// Bytes up to the nearest defined end.
    pub(super) fn room(&self) -> u64 {
        self.innermost.bound - self.position
    }

    /// Leaves the rest of the nearest container of defined length out.
    ///
    /// # Errors
    /// When there is none: `found` stands where the walk cannot go on.
    pub(super) fn give_up(&mut self, found: Tag) -> Result<(), ScanError> {
        if self.innermost.bound == NO_END {
            return Err(ScanError::Lost(found));
        }
        self.resume();
        Ok(())
    }

    /// Steps over to the nearest defined end, which there is.
    fn resume(&mut self) {
        self.collect.omit();
        self.deep = None;
        self.head_length = 0;
        while self.innermost.end != self.innermost.bound {
            self.leave();
        }
        self.remaining = self.room();
    }

    fn meet_element(&mut self, head: Head, encoding: Encoding) -> Result<(), ScanError> {
        self.note_top(head.tag);
        if head.length == UNDEFINED {
            self.open_undefined(head, encoding);
            return Ok(());
        }
        if u64::from(head.length) > self.room() {
            return self.give_up(head.tag);
        }
        let (vr, encoding) = match head.vr {
            Some(Vr::UN) => (vr::of_tag(head.tag, self.signed), Encoding::ImplicitLittle),
            Some(vr) => (vr, encoding),
            None => (vr::of_tag(head.tag, self.signed), encoding),
        };
        let is_doubtful = vr == Vr::SQ && head.vr == Some(Vr::UN) && self.deep.is_none();
        match head.length {
            1..8 if is_doubtful => self.open_value(head, Vr::UN, encoding),
            8.. if is_doubtful => self.doubtful = Some(head),
            _ if vr == Vr::SQ => {
                let record = self.record(head, vr, encoding, State::Sequence);
                self.open(Kind::Sequence, record, encoding);
            }
            _ => self.open_value(head, vr, encoding),
        }
        Ok(())
    }

    /// Opens a UN that the dictionary calls SQ as what its first bytes say it is.
    pub(super) fn resolve(&mut self, un: Head, begun: [u8; SHORT_HEAD]) -> Result<(), ScanError> {
        self.position -= SHORT_HEAD as u64;
        self.head_length = 0;
        let encoding = Encoding::ImplicitLittle;
        if let Begun::Whole(Head { tag: ITEM, .. }) = wire::begin(encoding, false, begun) {
            let record = self.record(un, Vr::SQ, encoding, State::Sequence);
            self.open(Kind::Sequence, record, encoding);
        } else {
            self.open_value(un, Vr::UN, encoding);
        }
        self.feed(&begun)
    }

    fn open_value(&mut self, head: Head, vr: Vr, encoding: Encoding) {
        self.remaining = u64::from(head.length);
        if self.deep.is_some() {
            return;
        }
        let is_short = head.length <= vr::inline_bytes(vr) && !is_pixels(head.tag) || head.length == 0;
        let state = if is_short { State::Captured } else { State::Bulk };
        let record = self.record(head, vr, encoding, state);
        let value_bytes = if is_short { head.length } else { 0 };
        self.captures = self.collect.push(record, self.is_top_level(), value_bytes).is_some() && is_short;
    }

    fn open_undefined(&mut self, head: Head, encoding: Encoding) {
        // PS3.5 §6.2.2; what has a VR that we do not know is read likewise, as DCMTK does.
        let content = if head.vr == Some(Vr::UN) { Encoding::ImplicitLittle } else { encoding };
        let words = head.vr.filter(|vr| matches!(vr, Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW));
        if words.is_some() || is_pixels(head.tag) {
            // The delimiter makes it fragments: see `close`.
            let record = self.record(head, words.unwrap_or(Vr::OB), encoding, State::Omitted);
            self.open(Kind::Fragments, record, content);
        } else {
            let record = self.record(head, Vr::SQ, encoding, State::Sequence);
            self.open(Kind::Sequence, record, content);
        }
    }

    fn open_item(&mut self, head: Head, encoding: Encoding) -> Result<(), ScanError> {
        if head.length != UNDEFINED && u64::from(head.length) > self.room() {
            return self.give_up(head.tag);
        }
        let record = self.record(head, Vr::UN, encoding, State::Item);
        self.open(Kind::Item, record, encoding);
        Ok(())
    }

    /// Opens a container, kept where depth and size allow it.
    fn open(&mut self, kind: Kind, record: Record, content: Encoding) {
        let end = match record.length {
            UNDEFINED => NO_END,
            length => self.position + u64::from(length),
        };
        if let Some(deep) = self.deep.as_mut().filter(|_| end == NO_END) {
            return deep.open(kind, content);
        }
        if self.deep.is_none() {
            let is_too_deep =
                kind == Kind::Sequence && self.outer.len() >= 2 * limits::DEPTH && record.length != 0;
            let state = if is_too_deep { State::Omitted } else { record.state };
            let index = self.collect.push(Record { state, ..record }, self.is_top_level(), 0);
            if is_too_deep && index.is_some() {
                self.collect.omit();
            }
            if let Some(index) = index.filter(|_| !is_too_deep) {
                let bound = end.min(self.innermost.bound);
                let frame = Frame { kind, end, bound, encoding: content, record: Some(index) };
                self.outer.push(std::mem::replace(&mut self.innermost, frame));
                return;
            }
            if end == NO_END {
                self.deep = Some(Deep::new(kind, self.innermost.encoding, content));
                return;
            }
        }
        self.remaining = end - self.position;
    }

    /// Closes the innermost container where it ends.
    fn close(&mut self) {
        if let Some(deep) = self.deep {
            self.deep = deep.close();
            return;
        }
        if let (Kind::Fragments, Some(index)) = (self.innermost.kind, self.innermost.record) {
            self.collect.close_fragments(index, self.position);
        }
        self.leave();
    }

    /// Leaves the innermost kept container, ended or not.
    fn leave(&mut self) {
        if let Some(index) = self.innermost.record {
            self.collect.close(index);
        }
        if let Some(outer) = self.outer.pop() {
            self.innermost = outer;
        }
    }

    /// Steps over an item.
    fn step_over(&mut self, head: Head) -> Result<(), ScanError> {
        if u64::from(head.length) > self.room() {
            return self.give_up(head.tag);
        }
        self.remaining = u64::from(head.length);
        Ok(())
    }

    fn record(&self, head: Head, vr: Vr, encoding: Encoding, state: State) -> Record {
        let Head { tag, length, bytes, .. } = head;
        Record {
            offset: self.position,
            extra: 0,
            tag,
            length,
            next: 0,
            vr,
            state,
            encoding,
            head_bytes: bytes,
        }
    }
}

/// Pixel Data and its floating point siblings, of which nothing is copied.
fn is_pixels(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008 | 0x0009 | 0x0010))
}
