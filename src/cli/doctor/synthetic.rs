//! One small Secondary Capture of nobody, to be stored at a peer.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use model::element::put;
use model::syntax::{Encoding, form};
use model::{SopClassUid, SopInstanceUid, Tag, TransferSyntaxUid, Vr, part10};
use net::scu::Instance;
use time::OffsetDateTime;
use time::macros::format_description;

use super::offers::SECONDARY_CAPTURE;

/// The file of such an object, removed when dropped.
pub(super) struct Capture {
    pub(super) instance: Instance,
    pub(super) study: String,
}

/// Whose it says to be.
pub(in crate::cli) const PATIENT_ID: &str = "GANTRY-DOCTOR";
const PATIENT_NAME: &str = "TEST^GANTRY DOCTOR";

impl Capture {
    /// Makes one, with UIDs that no other has, in one of the two uncompressed little endian syntaxes.
    pub(super) fn make(transfer_syntax: &str) -> io::Result<Self> {
        let instance_uid = uid();
        let study = uid();
        let path = std::env::temp_dir().join(format!("gantry-doctor-{:032x}.dcm", fastrand::u128(..)));
        let sop_class = SopClassUid::lenient(SECONDARY_CAPTURE).ok_or(io::ErrorKind::InvalidInput)?;
        let sop_instance = SopInstanceUid::lenient(&instance_uid).ok_or(io::ErrorKind::InvalidInput)?;
        let transfer_syntax =
            TransferSyntaxUid::lenient(transfer_syntax).ok_or(io::ErrorKind::InvalidInput)?;
        let head = part10::write((&sop_class, &sop_instance), &transfer_syntax, None);
        let encoding = form(transfer_syntax.as_str()).encoding;
        let data_set = data_set(encoding, &instance_uid, &study, OffsetDateTime::now_utc());
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let data_offset = head.len() as u64;
        let instance = Instance { path, data_offset, sop_class, sop_instance, transfer_syntax };
        let capture = Self { instance, study };
        file.write_all(&head)?;
        file.write_all(&data_set)?;
        Ok(capture)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nobody's data: where it stays, it harms nobody.
        drop(fs::remove_file(&self.instance.path));
    }
}

/// A UID of a random number (PS3.5 §B.2).
pub(super) fn uid() -> String {
    format!("2.25.{}", fastrand::u128(..))
}

/// What PS3.3 §A.8.1.3 requires of a Secondary Capture, and that it is a test.
fn data_set(encoding: Encoding, instance: &str, study: &str, now: OffsetDateTime) -> Vec<u8> {
    let (day, hour) =
        (format_description!("[year][month][day]"), format_description!("[hour][minute][second]"));
    let date = now.format(day).unwrap_or_default();
    let time = now.format(hour).unwrap_or_default();
    let series = uid();
    let mut out = Vec::with_capacity(1024);
    let mut text = |tag, vr, value: &str| put(&mut out, encoding, tag, vr, value.as_bytes());
    text(Tag(0x0008, 0x0008), Vr::CS, "DERIVED\\SECONDARY");
    text(Tag(0x0008, 0x0012), Vr::DA, &date);
    text(Tag(0x0008, 0x0013), Vr::TM, &time);
    text(Tag(0x0008, 0x0016), Vr::UI, SECONDARY_CAPTURE);
    text(Tag(0x0008, 0x0018), Vr::UI, instance);
    text(Tag(0x0008, 0x0020), Vr::DA, &date);
    text(Tag(0x0008, 0x0030), Vr::TM, &time);
    text(Tag(0x0008, 0x0050), Vr::SH, "");
    text(Tag(0x0008, 0x0060), Vr::CS, "OT");
    text(Tag(0x0008, 0x0064), Vr::CS, "SYN");
    text(Tag(0x0008, 0x0070), Vr::LO, "Gantry");
    text(Tag(0x0008, 0x0090), Vr::PN, "");
    text(Tag(0x0008, 0x1030), Vr::LO, "TEST, may be deleted");
    text(Tag(0x0010, 0x0010), Vr::PN, PATIENT_NAME);
    text(Tag(0x0010, 0x0020), Vr::LO, PATIENT_ID);
    text(Tag(0x0010, 0x0030), Vr::DA, "");
    text(Tag(0x0010, 0x0040), Vr::CS, "O");
    text(Tag(0x0020, 0x000D), Vr::UI, study);
    text(Tag(0x0020, 0x000E), Vr::UI, &series);
    text(Tag(0x0020, 0x0010), Vr::SH, "DOCTOR");
    text(Tag(0x0020, 0x0011), Vr::IS, "1");
    text(Tag(0x0020, 0x0013), Vr::IS, "1");
    text(Tag(0x0020, 0x0020), Vr::CS, "");
    put(&mut out, encoding, Tag(0x0028, 0x0002), Vr::US, &u16::to_le_bytes(1));
    put(&mut out, encoding, Tag(0x0028, 0x0004), Vr::CS, b"MONOCHROME2");
    for (element, value) in
        [(0x0010, SIDE), (0x0011, SIDE), (0x0100, 8), (0x0101, 8), (0x0102, 7), (0x0103, 0)]
    {
        put(&mut out, encoding, Tag(0x0028, element), Vr::US, &u16::to_le_bytes(value));
    }
    let ramp: Vec<u8> = (0..SIDE * SIDE).map(|at| u8::try_from(at % SIDE * 16).unwrap_or(u8::MAX)).collect();
    put(&mut out, encoding, Tag(0x7FE0, 0x0010), Vr::OW, &ramp);
    out
}

/// Rows and columns.
const SIDE: u16 = 16;

#[cfg(test)]
mod tests {
    use model::syntax;

    use super::*;

    #[test]
    fn it_is_a_file_of_a_test_patient_and_goes_away() {
        for syntax in [syntax::EXPLICIT_VR_LITTLE_ENDIAN, syntax::IMPLICIT_VR_LITTLE_ENDIAN] {
            let capture = Capture::make(syntax).unwrap();
            let path = capture.instance.path.clone();
            let bytes = fs::read(&path).unwrap();
            let part10::Split::Part10(meta) = part10::split(&bytes, true) else { panic!("no file") };
            assert_eq!(meta.data_offset as u64, capture.instance.data_offset);
            let header =
                model::scan::scan_within(form(syntax), &bytes[meta.data_offset..], bytes.len() as u64)
                    .unwrap();
            assert!(!header.is_empty());
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.contains("TEST^GANTRY DOCTOR") && text.contains(&capture.study));
            drop(capture);
            assert!(!path.exists());
        }
    }
}
