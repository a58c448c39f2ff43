//! The identifiers of a peer's responses.

use model::element::put;
use model::header::{Header, Value};
use model::syntax::{Encoding, Form};
use model::{SopInstanceUid, Tag, Vr, limits, scan};

use crate::drive::Drive;
use crate::end::End;

/// An identifier that was received.
pub(super) struct Identifier {
    pub(super) header: Header,
    bytes: Vec<u8>,
}

impl Identifier {
    /// Reads the data set of the message; `None` when it is larger than [`limits::IDENTIFIER_BYTES`] or cannot be read.
    pub(super) async fn receive(drive: &mut Drive, form: Form) -> Result<Option<Self>, End> {
        let mut bytes = Vec::with_capacity(FIRST_BYTES);
        while !drive.read_data(&mut bytes).await? {
            if bytes.len() > limits::IDENTIFIER_BYTES {
                drive.drain().await?;
                return Ok(None);
            }
            bytes.reserve(bytes.len());
        }
        if bytes.len() > limits::IDENTIFIER_BYTES {
            return Ok(None);
        }
        if bytes.len() <= SMALL_BYTES {
            return Ok(Self::scan(form, bytes));
        }
        // A large one may keep a thread busy for longer than others should wait for it.
        Ok(tokio::task::spawn_blocking(move || Self::scan(form, bytes)).await.unwrap_or(None))
    }

    fn scan(form: Form, bytes: Vec<u8>) -> Option<Self> {
        let header = scan::scan_within(form, &bytes, limits::IDENTIFIER_BYTES as u64).ok()?; // lossless
        Some(Self { header, bytes })
    }

    /// Failed SOP Instance UID List (0008,0058), however long.
    ///
    /// PS3.4 §C.4.2.1.4.2.
    pub(super) fn failed_instances(&self) -> Vec<SopInstanceUid> {
        let Some(element) = self.header.element(FAILED_SOP_INSTANCE_UID_LIST) else { return Vec::new() };
        let place = || {
            let begin = usize::try_from(element.offset).ok()?;
            let length = usize::try_from(element.length?).ok()?;
            self.bytes.get(begin..begin.checked_add(length)?)
        };
        let bytes = match element.value() {
            Value::Bytes(bytes) => bytes,
            Value::Bulk => place().unwrap_or_default(),
            Value::Items(_) | Value::Fragments { .. } | Value::Omitted => &[],
        };
        bytes.split(|byte| *byte == b'\\').filter_map(SopInstanceUid::from_bytes).collect()
    }
}

/// Reads anything as an identifier, and gives it as far as that is one. For fuzzing and for tests.
///
/// # Panics
/// When its list of what failed is not the same once we have written it.
pub(crate) fn fuzz_failures(form: Form, bytes: &[u8]) -> Option<Header> {
    let identifier = Identifier::scan(form, bytes.to_vec())?;
    let failed = identifier.failed_instances();
    let texts: Vec<&str> = failed.iter().map(SopInstanceUid::as_str).collect();
    assert!(texts.iter().all(|text| !text.is_empty() && !text.contains('\\')));
    if texts.iter().all(|text| text.is_ascii()) {
        let mut again = Vec::new();
        let (encoding, value) = (Encoding::ImplicitLittle, texts.join("\\"));
        put(&mut again, encoding, FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, value.as_bytes());
        let again = Identifier::scan(Form { encoding, deflated: false }, again);
        assert_eq!(again.map(|again| again.failed_instances()), Some(failed));
    }
    Some(identifier.header)
}

const FAILED_SOP_INSTANCE_UID_LIST: Tag = Tag(0x0008, 0x0058);
const FIRST_BYTES: usize = 4 << 10;
const SMALL_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use model::syntax;

    use super::*;

    #[test]
    fn a_list_of_failures_is_read_however_long() {
        for count in [0, 1, 3, 2_000] {
            let uids: Vec<String> =
                (0..count).map(|number| format!("1.2.826.0.1.3680043.{number}")).collect();
            let mut bytes = Vec::new();
            let value = uids.join("\\");
            put(&mut bytes, Encoding::ImplicitLittle, FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, value.as_bytes());
            let identifier =
                Identifier::scan(syntax::form(syntax::IMPLICIT_VR_LITTLE_ENDIAN), bytes).unwrap();
            let failed = identifier.failed_instances();
            assert!(failed.iter().map(SopInstanceUid::as_str).eq(uids.iter().map(String::as_str)), "{count}");
        }
    }
}
