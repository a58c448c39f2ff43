use crate::syntax::Encoding;

/// An open container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Where it ends; [`NO_END`] when a delimiter or the end of the data set ends it.
    pub(super) end: u64,
    /// The nearest defined end of this frame and those around it.
    pub(super) bound: u64,
    /// How its content is coded.
    pub(super) encoding: Encoding,
    /// Its record; none for the data set itself.
    pub(super) record: Option<u32>,
}

/// What a container holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Elements, up to the end of the data set.
    DataSet,
    /// Elements.
    Item,
    /// Items.
    Sequence,
    /// Items of bytes (PS3.5 §A.4).
    Fragments,
}

impl Frame {
    pub(super) fn data_set(encoding: Encoding) -> Self {
        Self { kind: Kind::DataSet, end: NO_END, bound: NO_END, encoding, record: None }
    }
}

/// No defined end.
pub(super) const NO_END: u64 = u64::MAX;
