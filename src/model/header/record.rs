use crate::syntax::Encoding;
use crate::{Tag, Vr};

/// One element or item as the header stores it. Records stand in stream order, a container before its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Of the value in the inflated data set.
    pub(crate) offset: u64,
    /// Captured: where the value stands in the header's bytes. Fragments: their length. Else 0.
    pub(crate) extra: u64,
    pub(crate) tag: Tag,
    /// As it came; [`UNDEFINED`] when undefined.
    pub(crate) length: u32,
    /// Index of the record behind this one and all its content.
    pub(crate) next: u32,
    pub(crate) vr: Vr,
    pub(crate) state: State,
    pub(crate) encoding: Encoding,
    /// Bytes of tag, VR and length before `offset`.
    pub(crate) head_bytes: u8,
}

/// What the header has of a record's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Captured,
    Bulk,
    /// The records up to `next` are items.
    Sequence,
    Fragments,
    /// The records up to `next` are elements.
    Item,
    /// A sequence that was not entered.
    Omitted,
}

/// The length that says that a delimiter ends the value (PS3.5 §7.1.1).
pub(crate) const UNDEFINED: u32 = 0xFFFF_FFFF;
