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

    /// What changes with the frames: `photometric` is what they become, `loss` what their compression took away.
    pub(crate) fn of_frames(
        header: &Header,
        image: &Image,
        encoding: Encoding,
        photometric: &str,
        loss: Option<&Loss>,
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
        elements.extend(loss.into_iter().flat_map(|loss| loss.elements(header)));
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

/// What a way of compressing took away.
pub(crate) struct Loss {
    /// Lossy Image Compression Method.
    pub(crate) method: &'static str,
    /// Lossy Image Compression Ratio.
    pub(crate) ratio: String,
}

impl Loss {
    /// What the object does not yet say of it: once lossy, always lossy. There is one ratio for each method.
    ///
    /// PS3.3 §C.7.6.1.1.5.
    fn elements(&self, header: &Header) -> Vec<(Tag, Vr, Vec<u8>)> {
        let values = |tag| {
            let text = header.text(tag).unwrap_or_default();
            text.split('\\')
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
                .collect::<Vec<_>>()
        };
        let mut elements = Vec::new();
        if !image::is_marked_lossy(header) {
            elements.push((image::LOSSY_IMAGE_COMPRESSION, Vr::CS, b"01".to_vec()));
        }
        let mut methods = values(image::LOSSY_IMAGE_COMPRESSION_METHOD);
        let mut ratios = values(image::LOSSY_IMAGE_COMPRESSION_RATIO);
        let (method_count, ratio_count) = (methods.len(), ratios.len());
        let may_add = ratio_count == method_count || ratio_count == method_count + 1;
        if may_add && !methods.iter().any(|method| method == self.method) {
            methods.push(self.method.to_owned());
        }
        if ratio_count + 1 == methods.len() {
            ratios.push(self.ratio.clone());
            let value = ratios.join("\\").into_bytes();
            elements.push((image::LOSSY_IMAGE_COMPRESSION_RATIO, Vr::DS, value));
        }
        if methods.len() > method_count {
            let value = methods.join("\\").into_bytes();
            elements.push((image::LOSSY_IMAGE_COMPRESSION_METHOD, Vr::CS, value));
        }
        elements
    }
}

fn encoded(tag: Tag, vr: Vr, value: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, encoding, tag, vr, value);
    out
}

/// Extended Offset Table, its lengths, and Encapsulated Pixel Data Value Total Length.
const FRAGMENT_TABLES: [Tag; 3] = [Tag(0x7FE0, 0x0001), Tag(0x7FE0, 0x0002), Tag(0x7FE0, 0x0003)];
