use model::attributes::Attributes;
use model::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// Some rows, and where the next ones begin.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most [`limits::PAGE_ROWS`](model::limits::PAGE_ROWS), fewer when they are long.
    pub rows: Vec<T>,
    /// `None`: that was all.
    pub next: Option<Cursor>,
}

/// Where a page ended, for the call that gave it.
///
/// Holds keys, not positions: rows that come in between do not shift the next page.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// At study level: Study Date of the last row.
    pub(crate) date: String,
    /// Key of the last row; at instance level of its series.
    pub(crate) outer: i64,
    /// At instance level: key of the last row.
    pub(crate) inner: i64,
    /// Rows given so far.
    pub(crate) taken: u32,
}

/// One answer to a query.
#[derive(Debug, Clone)]
pub struct Row {
    /// The attributes that were asked for, as far as the index has them at this level.
    pub attributes: Attributes,
    /// The UIDs of the row and of what it belongs to.
    pub ids: RowIds,
    /// What else was asked for, when it was: as DICOM JSON, from the stored object of the instance, or of the instance of the
    /// patient, study or series that came first. Has attributes of the level of the row and above only.
    pub json: Option<Vec<u8>>,
}

/// The UIDs of a row, as far as its level has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowIds {
    /// From study level down.
    pub study: Option<StudyInstanceUid>,
    /// From series level down.
    pub series: Option<SeriesInstanceUid>,
    /// At instance level.
    pub instance: Option<SopInstanceUid>,
}
