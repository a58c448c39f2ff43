use model::syntax::{self, Encoding};
use model::{SopClassUid, SopInstanceUid, Tag, TransferSyntaxUid, Vr, element, part10};

/// A synthetic object, as a file.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) study: &'static str,
    pub(super) series: &'static str,
    pub(super) instance: &'static str,
    syntax: &'static str,
    name: &'static str,
    elements: Vec<(Tag, Vr, Vec<u8>)>,
    /// Pixel data behind all else, with its header.
    pixels: Vec<u8>,
}

impl Object {
    pub(super) fn new(study: &'static str, series: &'static str, instance: &'static str) -> Self {
        Self {
            study,
            series,
            instance,
            syntax: syntax::EXPLICIT_VR_LITTLE_ENDIAN,
            name: "Mustermann^Max",
            elements: Vec::new(),
            pixels: Vec::new(),
        }
    }

    pub(super) fn name(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(super) fn text(mut self, tag: Tag, vr: Vr, value: &str) -> Self {
        self.elements.push((tag, vr, value.as_bytes().to_vec()));
        self
    }

    /// Two frames of 2 x 3 pixels of 16 bits.
    pub(super) fn native(mut self, syntax: &'static str) -> Self {
        self.syntax = syntax;
        let big = self.encoding() == Encoding::ExplicitBig;
        let words = |numbers: &[u16]| -> Vec<u8> {
            numbers.iter().flat_map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() }).collect()
        };
        for (tag, value) in [(ROWS, 2), (COLUMNS, 3), (SAMPLES, 1), (BITS_ALLOCATED, 16)] {
            self.elements.push((tag, Vr::US, words(&[value])));
        }
        self.elements.push((NUMBER_OF_FRAMES, Vr::IS, b"2".to_vec()));
        let mut pixels = Vec::new();
        element::put(
            &mut pixels,
            self.encoding(),
            PIXEL_DATA,
            Vr::OW,
            &words(&(0..12).collect::<Vec<u16>>()),
        );
        self.pixels = pixels;
        self
    }

    /// One fragment for each frame.
    pub(super) fn encapsulated(mut self, syntax: &'static str, frames: &[&[u8]]) -> Self {
        self.syntax = syntax;
        self.elements.push((NUMBER_OF_FRAMES, Vr::IS, frames.len().to_string().into_bytes()));
        let item = |value: &[u8]| {
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            [&[0xFE, 0xFF, 0x00, 0xE0], &length[..], value].concat()
        };
        let mut pixels = b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF".to_vec();
        pixels.extend(item(b""));
        pixels.extend(frames.iter().flat_map(|frame| item(frame)));
        pixels.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
        self.pixels = pixels;
        self
    }

    /// The whole file.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut elements = self.elements.clone();
        for (tag, vr, value) in [
            (Tag(0x0008, 0x0005), Vr::CS, "ISO_IR 192"),
            (Tag(0x0008, 0x0016), Vr::UI, SOP_CLASS),
            (Tag(0x0008, 0x0018), Vr::UI, self.instance),
            (Tag(0x0010, 0x0010), Vr::PN, self.name),
            (Tag(0x0020, 0x000D), Vr::UI, self.study),
            (Tag(0x0020, 0x000E), Vr::UI, self.series),
        ] {
            if !value.is_empty() && !elements.iter().any(|(known, _, _)| *known == tag) {
                elements.push((tag, vr, value.as_bytes().to_vec()));
            }
        }
        elements.sort_by_key(|(tag, _, _)| *tag);
        let ids = (
            SopClassUid::lenient(SOP_CLASS).unwrap(),
            SopInstanceUid::lenient(self.instance).unwrap_or_else(|| SopInstanceUid::lenient("0").unwrap()),
        );
        let syntax = TransferSyntaxUid::lenient(self.syntax).unwrap();
        let mut file = part10::write((&ids.0, &ids.1), &syntax, None);
        for (tag, vr, value) in elements {
            element::put(&mut file, self.encoding(), tag, vr, &value);
        }
        file.extend(&self.pixels);
        file
    }

    pub(super) fn url(&self) -> String {
        format!("/dicom-web/studies/{}/series/{}/instances/{}", self.study, self.series, self.instance)
    }

    fn encoding(&self) -> Encoding {
        syntax::form(self.syntax).encoding
    }
}

/// Secondary Capture Image Storage.
pub(super) const SOP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.7";
pub(super) const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
pub(super) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const SAMPLES: Tag = Tag(0x0028, 0x0002);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
