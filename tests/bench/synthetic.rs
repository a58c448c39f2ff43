//! Synthetic instances: a data set in Explicit VR Little Endian with the header of an ordinary CT slice (84 elements, two
//! sequences, a private block) and made-up pixels. No value comes from a patient.
//!
//! A template is encoded once; between two sends only fields of fixed width are overwritten, so that the sender costs little.

use std::ops::Range;

/// CT Image Storage.
pub(crate) const CT_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
/// Multi-frame Grayscale Word Secondary Capture Image Storage, for the object that is too large for one frame.
pub(crate) const MULTI_FRAME_WORD_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.7.3";
/// Explicit VR Little Endian.
pub(crate) const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A field that may be overwritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    SopInstanceUid,
    StudyDate,
    AccessionNumber,
    PatientName,
    PatientId,
    StudyInstanceUid,
    SeriesInstanceUid,
    InstanceNumber,
    ImagePosition,
    SliceLocation,
}

/// What a template's UID names.
#[derive(Clone, Copy)]
pub(crate) enum Subject {
    Study = 1,
    Series = 2,
    Instance = 3,
    FrameOfReference = 4,
}

/// An encoded data set whose fields can be overwritten in place.
#[derive(Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    fields: Vec<(Field, Range<usize>)>,
    sop_class: &'static str,
    sop_instance: String,
}

impl Template {
    /// 526 KB: 512 × 512 pixels.
    pub(crate) fn ct() -> Self {
        Self::new(512, 512, 1)
    }

    /// 30 KB: 120 × 120 pixels.
    pub(crate) fn small() -> Self {
        Self::new(120, 120, 1)
    }

    /// Below 3 KB: 8 × 8 pixels, for filling an index.
    pub(crate) fn tiny() -> Self {
        Self::new(8, 8, 1)
    }

    /// 600 MB: 1,144 frames.
    pub(crate) fn huge() -> Self {
        Self::new(512, 512, 1144)
    }

    /// 0.5 MB for each of `count` frames of 512 × 512 pixels; more than one.
    pub(crate) fn frames(count: u32) -> Self {
        Self::new(512, 512, count)
    }

    fn new(rows: u16, columns: u16, frames: u32) -> Self {
        let sop_class = if frames == 1 { CT_IMAGE_STORAGE } else { MULTI_FRAME_WORD_STORAGE };
        let mut template =
            Self { bytes: Vec::new(), fields: Vec::new(), sop_class, sop_instance: String::new() };
        template.identification();
        template.patient_and_acquisition();
        template.relationship();
        template.image(rows, columns, frames);
        template.set(Field::SopInstanceUid, &uid(Subject::Instance, 0, 0));
        template
    }

    /// Overwrites `field`; text is cut or padded to the field's width (UIDs with NUL, the rest with spaces).
    pub(crate) fn set(&mut self, field: Field, text: &str) {
        let pad = if is_uid(field) { 0 } else { b' ' };
        let range = self.fields.iter().find(|(name, _)| *name == field).map(|(_, range)| range.clone());
        let slot = &mut self.bytes[range.expect("every field is put by one of the encoding functions")];
        slot.fill(pad);
        for (to, from) in slot.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        if field == Field::SopInstanceUid {
            text.clone_into(&mut self.sop_instance);
        }
    }

    pub(crate) fn data_set(&self) -> &[u8] {
        &self.bytes
    }

    /// The data set up to Pixel Data's value, for benches of what reads headers.
    pub(crate) fn header(&self) -> &[u8] {
        let start = self.bytes.windows(4).rposition(|window| window == [0xE0, 0x7F, 0x10, 0x00]);
        &self.bytes[..start.unwrap_or(self.bytes.len())]
    }

    pub(crate) fn sop_class(&self) -> &'static str {
        self.sop_class
    }

    pub(crate) fn sop_instance(&self) -> &str {
        &self.sop_instance
    }

    /// Preamble, prefix and File Meta Information (PS3.10 §7.1); the data set follows it in a file.
    pub(crate) fn file_head(&self) -> Vec<u8> {
        let mut meta = Vec::new();
        put(&mut meta, 0x0002_0001, *b"OB", &[0, 1]);
        put(&mut meta, 0x0002_0002, *b"UI", self.sop_class.as_bytes());
        put(&mut meta, 0x0002_0003, *b"UI", self.sop_instance.as_bytes());
        put(&mut meta, 0x0002_0010, *b"UI", EXPLICIT_VR_LITTLE_ENDIAN.as_bytes());
        put(&mut meta, 0x0002_0012, *b"UI", b"2.25.1");
        let mut head = vec![0; 128];
        head.extend_from_slice(b"DICM");
        put(&mut head, 0x0002_0000, *b"UL", &u32::try_from(meta.len()).unwrap_or(0).to_le_bytes());
        head.extend_from_slice(&meta);
        head
    }

    fn identification(&mut self) {
        self.text(0x0008_0005, *b"CS", "ISO_IR 100");
        self.text(0x0008_0008, *b"CS", r"ORIGINAL\PRIMARY\AXIAL");
        self.text(0x0008_0012, *b"DA", "20260102");
        self.text(0x0008_0013, *b"TM", "101112.123456");
        self.text(0x0008_0016, *b"UI", self.sop_class);
        self.field(Field::SopInstanceUid, 0x0008_0018, *b"UI", &uid(Subject::Instance, 0, 0));
        self.field(Field::StudyDate, 0x0008_0020, *b"DA", "20260102");
        self.text(0x0008_0021, *b"DA", "20260102");
        self.text(0x0008_0022, *b"DA", "20260102");
        self.text(0x0008_0023, *b"DA", "20260102");
        self.text(0x0008_0030, *b"TM", "100000");
        self.text(0x0008_0031, *b"TM", "100500");
        self.text(0x0008_0032, *b"TM", "100512.500000");
        self.text(0x0008_0033, *b"TM", "100513.250000");
        self.field(Field::AccessionNumber, 0x0008_0050, *b"SH", "A000000000");
        self.text(0x0008_0060, *b"CS", if self.sop_class == CT_IMAGE_STORAGE { "CT" } else { "OT" });
        self.text(0x0008_0070, *b"LO", "Synthetic Works");
        self.text(0x0008_0080, *b"LO", "Bench Hospital");
        self.text(0x0008_0090, *b"PN", "REFERRER^RUTH");
        self.text(0x0008_1010, *b"SH", "CTBENCH1");
        self.text(0x0008_1030, *b"LO", "CT thorax with contrast");
        self.text(0x0008_103E, *b"LO", "Thorax 1.0 B31f");
        self.text(0x0008_1070, *b"PN", "OPERATOR^OTTO");
        self.text(0x0008_1090, *b"LO", "Model 64");
        let mut item = Vec::new();
        put(&mut item, 0x0008_1150, *b"UI", CT_IMAGE_STORAGE.as_bytes());
        put(&mut item, 0x0008_1155, *b"UI", uid(Subject::Instance, 0, 1).as_bytes());
        self.sequence(0x0008_1140, &item);
    }

    fn patient_and_acquisition(&mut self) {
        self.field(Field::PatientName, 0x0010_0010, *b"PN", "BENCHMARK^SYNTHETIC ONE ");
        self.field(Field::PatientId, 0x0010_0020, *b"LO", "B000000000");
        self.text(0x0010_0030, *b"DA", "19600229");
        self.text(0x0010_0040, *b"CS", "O");
        self.text(0x0010_1010, *b"AS", "065Y");
        self.text(0x0010_1030, *b"DS", "72.5");
        for (tag, vr, value) in [
            (0x0018_0015, *b"CS", "CHEST"),
            (0x0018_0022, *b"CS", "HELICAL MODE"),
            (0x0018_0050, *b"DS", "1.0"),
            (0x0018_0060, *b"DS", "120"),
            (0x0018_0090, *b"DS", "500"),
            (0x0018_1000, *b"LO", "4711"),
            (0x0018_1020, *b"LO", "bench 1.0"),
            (0x0018_1030, *b"LO", "ThoraxRoutine"),
            (0x0018_1100, *b"DS", "380"),
            (0x0018_1110, *b"DS", "1040"),
            (0x0018_1111, *b"DS", "570"),
            (0x0018_1120, *b"DS", "0"),
            (0x0018_1130, *b"DS", "152.5"),
            (0x0018_1140, *b"CS", "CW"),
            (0x0018_1150, *b"IS", "500"),
            (0x0018_1151, *b"IS", "210"),
            (0x0018_1152, *b"IS", "105"),
            (0x0018_1160, *b"SH", "WEDGE_3"),
            (0x0018_1170, *b"IS", "25"),
            (0x0018_1190, *b"DS", "1.2"),
            (0x0018_1210, *b"SH", "B31f"),
            (0x0018_5100, *b"CS", "FFS"),
            (0x0019_0010, *b"LO", "SYNTHETIC WORKS CT 1"),
            (0x0019_1002, *b"IS", "4"),
            (0x0019_1024, *b"DS", r"0.9765625\1.5"),
            (0x0019_1027, *b"SH", "phase 3"),
        ] {
            self.text(tag, vr, value);
        }
    }

    fn relationship(&mut self) {
        self.field(Field::StudyInstanceUid, 0x0020_000D, *b"UI", &uid(Subject::Study, 0, 0));
        self.field(Field::SeriesInstanceUid, 0x0020_000E, *b"UI", &uid(Subject::Series, 0, 0));
        self.text(0x0020_0010, *b"SH", "1");
        self.text(0x0020_0011, *b"IS", "3");
        self.text(0x0020_0012, *b"IS", "1");
        self.field(Field::InstanceNumber, 0x0020_0013, *b"IS", "1         ");
        self.field(Field::ImagePosition, 0x0020_0032, *b"DS", r"-190.0\-190.0\0         ");
        self.text(0x0020_0037, *b"DS", r"1\0\0\0\1\0");
        self.text(0x0020_0052, *b"UI", &uid(Subject::FrameOfReference, 0, 0));
        self.text(0x0020_1040, *b"LO", "");
        self.field(Field::SliceLocation, 0x0020_1041, *b"DS", "0         ");
    }

    fn image(&mut self, rows: u16, columns: u16, frames: u32) {
        self.short(0x0028_0002, 1);
        self.text(0x0028_0004, *b"CS", "MONOCHROME2");
        if frames > 1 {
            self.text(0x0028_0008, *b"IS", &frames.to_string());
        }
        self.short(0x0028_0010, rows);
        self.short(0x0028_0011, columns);
        self.text(0x0028_0030, *b"DS", r"0.7421875\0.7421875");
        for (tag, value) in [(0x0028_0100, 16), (0x0028_0101, 12), (0x0028_0102, 11), (0x0028_0103, 0)] {
            self.short(tag, value);
        }
        self.text(0x0028_1050, *b"DS", r"40\-600");
        self.text(0x0028_1051, *b"DS", r"400\1200");
        self.text(0x0028_1052, *b"DS", "-1024");
        self.text(0x0028_1053, *b"DS", "1");
        self.text(0x0028_1054, *b"LO", "HU");
        let mut item = Vec::new();
        put(&mut item, 0x0040_0007, *b"LO", b"CT thorax");
        put(&mut item, 0x0040_0009, *b"SH", b"SPS-1");
        self.sequence(0x0040_0275, &item);
        put(&mut self.bytes, 0x7FE0_0010, *b"OW", &pixels(rows, columns, frames));
    }

    fn text(&mut self, tag: u32, vr: [u8; 2], value: &str) {
        put(&mut self.bytes, tag, vr, value.as_bytes());
    }

    fn short(&mut self, tag: u32, value: u16) {
        put(&mut self.bytes, tag, *b"US", &value.to_le_bytes());
    }

    fn field(&mut self, field: Field, tag: u32, vr: [u8; 2], value: &str) {
        self.text(tag, vr, value);
        let end = self.bytes.len();
        self.fields.push((field, end - value.len().next_multiple_of(2)..end));
    }

    fn sequence(&mut self, tag: u32, item: &[u8]) {
        let mut value = vec![0xFE, 0xFF, 0x00, 0xE0];
        value.extend_from_slice(&u32::try_from(item.len()).unwrap_or(0).to_le_bytes());
        value.extend_from_slice(item);
        put(&mut self.bytes, tag, *b"SQ", &value);
    }
}

/// A UID of 44 characters, unique for (`subject`, `group`, `number`) within a run and unlike those of other runs.
pub(crate) fn uid(subject: Subject, group: u64, number: u64) -> String {
    // The process stands for the run: servers start empty, so only UIDs of one run ever meet.
    let run = std::process::id();
    format!("2.25.1{run:010}{}{group:013}{number:014}", subject as u8)
}

fn is_uid(field: Field) -> bool {
    matches!(field, Field::SopInstanceUid | Field::StudyInstanceUid | Field::SeriesInstanceUid)
}

/// Appends one element in Explicit VR Little Endian (PS3.5 §7.1.2).
fn put(out: &mut Vec<u8>, tag: u32, vr: [u8; 2], value: &[u8]) {
    let padded = value.len().next_multiple_of(2);
    out.extend_from_slice(&u16::try_from(tag >> 16).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag & 0xFFFF).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&vr);
    if matches!(&vr, b"OB" | b"OW" | b"SQ") {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u32::try_from(padded).unwrap_or(0).to_le_bytes());
    } else {
        out.extend_from_slice(&u16::try_from(padded).unwrap_or(0).to_le_bytes());
    }
    out.extend_from_slice(value);
    if padded > value.len() {
        out.push(if matches!(&vr, b"UI" | b"OB") { 0 } else { b' ' });
    }
}

/// A noisy disc of 12-bit values, the same in every frame.
fn pixels(rows: u16, columns: u16, frames: u32) -> Vec<u8> {
    let (height, width) = (i64::from(rows), i64::from(columns));
    let mut noise = 0x9E37_79B9_u32;
    let mut frame = Vec::new();
    for y in 0..height {
        for x in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (dy, dx) = (2 * y - height, 2 * x - width);
            let inside = dy * dy + dx * dx < width * width * 3 / 4;
            let value = if inside { 1000 + (noise >> 25) } else { noise >> 29 };
            frame.extend_from_slice(&u16::try_from(value).unwrap_or(0).to_le_bytes());
        }
    }
    frame.repeat(usize::try_from(frames).unwrap_or(1))
}
