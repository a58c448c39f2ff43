#![deny(clippy::indexing_slicing)]

use crate::charset::Charset;
use crate::header::{Header, Record, State};
use crate::syntax::Encoding;
use crate::{Tag, limits};

/// Gathers records and values, within [`limits::HEADER_BYTES`].
pub(super) struct Collect {
    records: Vec<Record>,
    bytes: Vec<u8>,
    omitted: u32,
}

impl Collect {
    pub(super) fn new() -> Self {
        Self {
            records: Vec::with_capacity(TYPICAL_RECORDS),
            bytes: Vec::with_capacity(TYPICAL_BYTES),
            omitted: 0,
        }
    }

    /// Bytes that records and values take now.
    pub(super) fn held_bytes(&self) -> usize {
        self.records.len() * size_of::<Record>() + self.bytes.len()
    }

    /// Adds a record, with room for `value` bytes; `None` (and counted) when that is over the limit.
    pub(super) fn push(&mut self, record: Record, is_top_level: bool, value: u32) -> Option<u32> {
        let limit = if is_top_level { limits::HEADER_BYTES } else { limits::HEADER_BYTES - TOP_LEVEL_BYTES };
        let used = self.held_bytes() + size_of::<Record>();
        let value = usize::try_from(value).unwrap_or(usize::MAX);
        let index = u32::try_from(self.records.len()).ok();
        let Some(index) = index.filter(|_| used.saturating_add(value) <= limit) else {
            self.omit();
            return None;
        };
        let extra = if record.state == State::Captured { self.bytes.len() as u64 } else { 0 };
        self.records.push(Record { extra, next: index + 1, ..record });
        Some(index)
    }

    /// Adds bytes of the value of the record that was added last.
    pub(super) fn capture(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The value of the record that was added last.
    pub(super) fn last_value(&self) -> &[u8] {
        let begin = self.records.last().map_or(0, |record| record.extra);
        usize::try_from(begin).ok().and_then(|begin| self.bytes.get(begin..)).unwrap_or_default()
    }

    /// Notes that all that a container has is there.
    pub(super) fn close(&mut self, index: u32) {
        let next = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        if let Some(record) = self.record(index) {
            record.next = next;
        }
    }

    /// Notes that fragments were followed to their delimiter, which ends at `position`.
    pub(super) fn close_fragments(&mut self, index: u32, position: u64) {
        if let Some(record) = self.record(index) {
            record.state = State::Fragments;
            record.extra = position - record.offset;
        }
    }

    /// Counts one element or item that is left out.
    pub(super) fn omit(&mut self) {
        self.omitted = self.omitted.saturating_add(1);
    }

    pub(super) fn finish(self, encoding: Encoding, length: u64) -> Header {
        let charset = Charset::default();
        let mut header = Header {
            records: self.records,
            bytes: self.bytes,
            encoding,
            charset,
            omitted: self.omitted,
            length,
        };
        if let Some(value) = header.bytes(SPECIFIC_CHARACTER_SET) {
            header.charset = Charset::parse(value);
        }
        header
    }

    fn record(&mut self, index: u32) -> Option<&mut Record> {
        usize::try_from(index).ok().and_then(|index| self.records.get_mut(index))
    }
}

/// Of the limit, what only top-level elements may use: behind any nest of items, the UIDs of study and series must still find room.
const TOP_LEVEL_BYTES: usize = 1 << 20;

const TYPICAL_RECORDS: usize = 128;
const TYPICAL_BYTES: usize = 4096;

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
