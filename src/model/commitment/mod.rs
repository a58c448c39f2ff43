//! The data sets of Storage Commitment (PS3.4 Annex J): what is asked, and what is told.

mod reason;
mod report;
mod request;
#[cfg(test)]
mod tests;

pub use reason::FailureReason;
pub use report::{ReceivedReport, Report, ReportError};
pub use request::{Request, RequestError};

use crate::element::put;
use crate::header::{Item, Items, Value};
use crate::syntax::{Encoding, Form};
use crate::{SopClassUid, SopInstanceUid, Tag, Uid, Vr, scan};

/// One instance of which storage is asked for or told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Referenced SOP Class UID (0008,1150).
    pub sop_class: SopClassUid,
    /// Referenced SOP Instance UID (0008,1155).
    pub sop_instance: SopInstanceUid,
}

impl Reference {
    /// The instance that an item of a sequence refers to; `None` when one of its UIDs is absent or empty.
    fn read(item: &Item<'_>) -> Option<Self> {
        Some(Self {
            sop_class: uid(item, REFERENCED_SOP_CLASS)?,
            sop_instance: uid(item, REFERENCED_SOP_INSTANCE)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>, encoding: Encoding) {
        put(out, encoding, REFERENCED_SOP_CLASS, Vr::UI, &bytes_of(&self.sop_class));
        put(out, encoding, REFERENCED_SOP_INSTANCE, Vr::UI, &bytes_of(&self.sop_instance));
    }
}

/// The items of an element; `None` when it is absent or no sequence.
fn items(element: Option<crate::header::Element<'_>>) -> Option<Items<'_>> {
    match element?.value() {
        Value::Items(items) => Some(items),
        Value::Bytes(_) | Value::Bulk | Value::Fragments { .. } | Value::Omitted => None,
    }
}

fn uid<K: crate::Kind>(item: &Item<'_>, tag: Tag) -> Option<Uid<K>> {
    Uid::from_bytes(item.element(tag)?.bytes()?)
}

/// As [`Uid::from_bytes`] read it.
fn bytes_of<K>(uid: &Uid<K>) -> Vec<u8> {
    uid.as_str().chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

/// Appends a sequence, of which `put_item` writes each item's elements.
fn put_sequence<T>(
    out: &mut Vec<u8>,
    encoding: Encoding,
    tag: Tag,
    items: &[T],
    put_item: impl Fn(&T, &mut Vec<u8>),
) {
    let mut value = Vec::with_capacity(items.len() * TYPICAL_ITEM_BYTES);
    let mut content = Vec::with_capacity(TYPICAL_ITEM_BYTES);
    for item in items {
        content.clear();
        put_item(item, &mut content);
        // An item has no VR in any encoding, and the length form of Implicit VR in each (PS3.5 §7.5).
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        for half in [ITEM.group(), ITEM.element()] {
            value.extend_from_slice(&match encoding {
                Encoding::ExplicitBig => half.to_be_bytes(),
                Encoding::ImplicitLittle | Encoding::ExplicitLittle => half.to_le_bytes(),
            });
        }
        value.extend_from_slice(&match encoding {
            Encoding::ExplicitBig => length.to_be_bytes(),
            Encoding::ImplicitLittle | Encoding::ExplicitLittle => length.to_le_bytes(),
        });
        value.extend_from_slice(&content);
    }
    put(out, encoding, tag, Vr::SQ, &value);
}

/// Reads anything as what a peer asks and as what a peer tells: it must not panic, and what is read is written and read again the same.
///
/// The first byte chooses the encoding (0 implicit, 1 explicit, else big endian).
pub fn fuzz_commitment(data: &[u8]) {
    let Some((form, data_set)) = data.split_first() else { return };
    let encoding = match form {
        0 => Encoding::ImplicitLittle,
        1 => Encoding::ExplicitLittle,
        _ => Encoding::ExplicitBig,
    };
    let form = Form { encoding, deflated: false };
    let Ok(header) = scan::scan(form, data_set) else { return };
    if let Ok(request) = Request::read(&header) {
        let again = scan::scan(form, &request.to_data_set(encoding)).map(|header| Request::read(&header));
        assert_eq!(again, Ok(Ok(request)));
    }
    if let Ok(report) = ReceivedReport::read(&header) {
        assert!(report.committed.len() <= data_set.len() && report.failed.len() <= data_set.len());
    }
}

const REFERENCED_SOP_CLASS: Tag = Tag(0x0008, 0x1150);
const REFERENCED_SOP_INSTANCE: Tag = Tag(0x0008, 0x1155);
const TRANSACTION_UID: Tag = Tag(0x0008, 0x1195);
const FAILURE_REASON: Tag = Tag(0x0008, 0x1197);
const FAILED_SOP_SEQUENCE: Tag = Tag(0x0008, 0x1198);
const REFERENCED_SOP_SEQUENCE: Tag = Tag(0x0008, 0x1199);
const RETRIEVE_AE_TITLE: Tag = Tag(0x0008, 0x0054);
const ITEM: Tag = Tag(0xFFFE, 0xE000);

const TYPICAL_ITEM_BYTES: usize = 128;
