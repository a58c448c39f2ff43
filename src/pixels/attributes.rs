use model::element::put;
use model::header::Header;
use model::syntax::Encoding;
use model::{Tag, Vr};

use crate::image::{self, Image};

/// Top-level elements that are written in place of those that are stored, or beside them.
pub(crate) struct Edits {
    /// In ascending order.
    elements: Vec<(Tag, Vr, Vec<u8>)>,
    /// Whether the pixel data changes, so that what describes its fragments goes.
    is_for_pixels: bool,
}

impl Edits {
    /// Nothing is changed but the encoding.
    pub(crate) fn none() -> Self {
        Self { elements: Vec::new(), is_for_pixels: false }
    }

    /// What changes with the frames: `photometric` is what they become, from what a transfer syntax made of them that was lossy or not.
    pub(crate) fn of_frames(
        header: &Header,
        image: &Image,
        encoding: Encoding,
        photometric: &str,
        was_lossy: bool,
    ) -> Self {
        let mut elements = Vec::new();
        if photometric != image.photometric {
            elements.push((image::PHOTOMETRIC_INTERPRETATION, Vr::CS, photometric.as_bytes().to_vec()));
        }
        let is_stated = header.element(image::PLANAR_CONFIGURATION).is_some();
        if image.samples > 1 && (image.is_planar || !is_stated) {
            let zero = 0_u16;
            let bytes =
                if encoding == Encoding::ExplicitBig { zero.to_be_bytes() } else { zero.to_le_bytes() };
            elements.push((image::PLANAR_CONFIGURATION, Vr::US, bytes.to_vec()));
        }
        // PS3.3 §C.7.6.1.1.5: once lossy, always lossy.
        if was_lossy && header.text(image::LOSSY_IMAGE_COMPRESSION).as_deref() != Some("01") {
            elements.push((image::LOSSY_IMAGE_COMPRESSION, Vr::CS, b"01".to_vec()));
        }
        Self { elements, is_for_pixels: true }
    }

    /// What is written in place of an element.
    pub(crate) fn replacement(&self, tag: Tag, encoding: Encoding) -> Option<Vec<u8>> {
        let (tag, vr, value) = self.elements.iter().find(|(edited, ..)| *edited == tag)?;
        Some(encoded(*tag, *vr, value, encoding))
    }

    /// The elements that the data set does not have, in ascending order.
    pub(crate) fn added(&self, header: &Header, encoding: Encoding) -> Vec<(Tag, Vec<u8>)> {
        let absent = self.elements.iter().filter(|(tag, ..)| header.element(*tag).is_none());
        absent.map(|(tag, vr, value)| (*tag, encoded(*tag, *vr, value, encoding))).collect()
    }

    /// Whether an element is left out: lengths of groups that change, and what describes fragments (PS3.5 §7.2, §A.4).
    pub(crate) fn drops(&self, tag: Tag) -> bool {
        tag.element() == 0 || (self.is_for_pixels && FRAGMENT_TABLES.contains(&tag))
    }
}

fn encoded(tag: Tag, vr: Vr, value: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, encoding, tag, vr, value);
    out
}

/// Extended Offset Table, its lengths, and Encapsulated Pixel Data Value Total Length.
const FRAGMENT_TABLES: [Tag; 3] = [Tag(0x7FE0, 0x0001), Tag(0x7FE0, 0x0002), Tag(0x7FE0, 0x0003)];
