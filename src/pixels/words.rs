use model::syntax::Encoding;
use model::{Tag, Vr, vr};

/// Bytes of the unit whose order depends on the encoding, in the value of an element with Bits Allocated beside it: words of pixels in
/// OW are as wide as the pixels.
///
/// PS3.5 §7.3, §8.1.1.
pub fn pixel_word_bytes(tag: Tag, vr: Vr, bits_allocated: Option<i64>) -> usize {
    match bits_allocated {
        Some(32) if is_pixels(tag) && vr == Vr::OW => 4,
        Some(64) if is_pixels(tag) && vr == Vr::OW => 8,
        Some(_) | None => vr::word_bytes(vr),
    }
}

/// Pixel Data, Float Pixel Data, Double Float Pixel Data.
pub(crate) fn is_pixels(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008 | 0x0009 | 0x0010))
}

pub(crate) fn is_big(encoding: Encoding) -> bool {
    encoding == Encoding::ExplicitBig
}

/// Reverses the bytes of each whole word.
pub(crate) fn swap(bytes: &mut [u8], word_bytes: usize) {
    if word_bytes > 1 {
        bytes.chunks_exact_mut(word_bytes).for_each(<[u8]>::reverse);
    }
}
