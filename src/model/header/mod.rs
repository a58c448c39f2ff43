//! What a scan saw: the elements of a data set in stream order, short values copied, long ones by their place.

mod element;
mod path;
mod record;

pub use element::{Element, Elements, Item, Items, Value};
pub use path::{AttributePath, InvalidPath};
pub(crate) use record::{Record, State, UNDEFINED};

use crate::Tag;
use std::fmt;

use crate::charset::Charset;
use crate::syntax::Encoding;
use crate::uid::{Kind, Uid};

/// The elements of one data set as [`Scanner`](crate::scan::Scanner) met them.
///
/// Holds at most [`limits::HEADER_BYTES`](crate::limits::HEADER_BYTES); what did not fit is counted by [`Header::omitted`].
/// Repeated and unordered elements are all there, in the order in which they came.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub(crate) records: Vec<Record>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoding: Encoding,
    pub(crate) charset: Charset,
    pub(crate) omitted: u32,
    pub(crate) length: u64,
}

impl Header {
    /// The first top-level element with this tag.
    pub fn element(&self, tag: Tag) -> Option<Element<'_>> {
        self.elements().find(|element| element.tag == tag)
    }

    /// The top-level elements, in stream order.
    pub fn elements(&self) -> Elements<'_> {
        Elements::new(self, 0, self.records.len())
    }

    /// The element at a path, of which each step takes the first of its tag.
    pub fn at(&self, path: &AttributePath) -> Option<Element<'_>> {
        path.containers()
            .iter()
            .try_fold(self.elements(), |mut elements, (tag, number)| {
                let Value::Items(mut items) = elements.find(|element| element.tag == *tag)?.value() else {
                    return None;
                };
                let index = usize::try_from(number.checked_sub(1)?).ok()?;
                Some(items.nth(index)?.elements())
            })?
            .find(|element| element.tag == path.tag())
    }

    /// The value of the first top-level element with this tag, as it came, padding included; `None` when it is absent or was not
    /// copied.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.element(tag)?.bytes()
    }

    /// The decoded text of the first top-level element with this tag, all its values, less trailing padding; `None` when it is
    /// absent, empty, no text, or was not copied.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.element(tag)?.text(&self.charset)
    }

    /// The UID that is the value of the first top-level element with this tag; `None` when it is absent, empty or was not copied.
    pub fn uid<K: Kind>(&self, tag: Tag) -> Option<Uid<K>> {
        Uid::from_bytes(self.bytes(tag)?)
    }

    /// The first number of the first top-level element with this tag, of VR US, SS, UL, SL, UV, SV or IS; `None` when there is none.
    pub fn integer(&self, tag: Tag) -> Option<i64> {
        self.element(tag)?.integer()
    }

    /// How the top-level elements are coded.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The top-level Specific Character Set (0008,0005). Items may state their own.
    pub fn charset(&self) -> &Charset {
        &self.charset
    }

    /// How many elements and items were left out: nested deeper than [`limits::DEPTH`](crate::limits::DEPTH), over
    /// [`limits::HEADER_BYTES`](crate::limits::HEADER_BYTES), or unreadable inside a container of defined length. What stands inside
    /// of one that was left out is not counted again.
    pub fn omitted(&self) -> u32 {
        self.omitted
    }

    /// Bytes of the data set, after inflation.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether the data set has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Counts, and no values: these are a patient's.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, bytes, encoding, charset: _, omitted, length } = self;
        f.debug_struct("Header")
            .field("records", &records.len())
            .field("bytes", &bytes.len())
            .field("encoding", encoding)
            .field("omitted", omitted)
            .field("length", length)
            .finish()
    }
}
