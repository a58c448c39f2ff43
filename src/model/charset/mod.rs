//! Specific Character Set (0008,0005): bytes of text values to Unicode (PS3.5 §6.1.2, PS3.3 §C.12.1.1.2).
//!
//! Decoding never fails: what a set does not define becomes U+FFFD. Values come back whole, and their delimiters
//! (`\`, and `^` and `=` of person names) are looked for afterwards, because in most multi-byte sets a byte 5CH may
//! be half of a character.

mod encode;
mod iso2022;
mod sets;
mod term;

use std::borrow::Cow;

use crate::Vr;
use iso2022::Delimiters;
use sets::{G0, G1};

/// The Specific Character Set in force for a data set or an item. The default is ISO-IR 6.
///
/// Bytes above 7FH under ISO-IR 6, where the standard defines none, are read as ISO-IR 100.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charset {
    coding: Coding,
    /// How an answer in the same set names it; `None` where answers take another set.
    term: Option<&'static str>,
}

/// The defined terms of Specific Character Set that are understood (PS3.3 §C.12.1.1.2).
pub fn terms() -> &'static [&'static str] {
    term::TERMS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Utf8,
    /// GB18030, of which GBK is a part.
    Gb18030,
    /// Everything else: what is designated before the first escape sequence and after each delimiter.
    Iso2022(G0, G1),
}

impl Charset {
    /// Reads the value of Specific Character Set (0008,0005).
    ///
    /// The first value says what is designated initially (PS3.5 §6.1.2.5.1). Escape sequences are understood whether
    /// or not a further value announces them. Common misspellings (`ISO-IR 100`) are taken; an unknown term counts as
    /// ISO-IR 6.
    pub fn parse(value: &[u8]) -> Self {
        term::parse(value)
    }

    /// Decodes a whole value, delimiters and padding included.
    ///
    /// Values of representations that Specific Character Set does not affect (all but SH, LO, ST, LT, UC, UT, PN) are read as
    /// ISO-IR 6. In multi-valued representations a byte 5CH of ISO-IR 14 (¥) is the delimiter, and comes back as `\`.
    pub fn decode(&self, bytes: &[u8], vr: Vr) -> String {
        self.to_text(bytes, vr).into_owned()
    }

    /// [`Charset::decode`] that copies only where the text differs from the bytes.
    pub fn to_text<'a>(&self, bytes: &'a [u8], vr: Vr) -> Cow<'a, str> {
        let coding = if is_affected(vr) { self.coding } else { Self::default().coding };
        match coding {
            Coding::Utf8 => String::from_utf8_lossy(bytes),
            Coding::Gb18030 => encoding_rs::GB18030.decode_without_bom_handling(bytes).0,
            Coding::Iso2022(g0, g1) => match plain(g0, bytes) {
                Some(text) => Cow::Borrowed(text),
                None => Cow::Owned(iso2022::decode(bytes, (g0, g1), Delimiters::of(vr))),
            },
        }
    }
}

impl Default for Charset {
    fn default() -> Self {
        Self { coding: Coding::Iso2022(G0::Ascii, G1::Latin1), term: None }
    }
}

/// Whether Specific Character Set governs values of this representation (PS3.5 §6.1.2.3).
pub fn is_affected(vr: Vr) -> bool {
    matches!(vr, Vr::SH | Vr::LO | Vr::ST | Vr::LT | Vr::UC | Vr::UT | Vr::PN)
}

/// The bytes as they are, when they are ASCII without escape sequences and mean the same in the set.
fn plain(g0: G0, bytes: &[u8]) -> Option<&str> {
    let same = g0 == G0::Ascii && bytes.is_ascii() && memchr::memchr(iso2022::ESC, bytes).is_none();
    if same { std::str::from_utf8(bytes).ok() } else { None }
}

/// Decodes the data after the first byte under terms and representations that the first byte picks. For fuzzing.
///
/// # Panics
/// When decoding changes plain ASCII or makes more characters than there are bytes, or what is encoded does not read back.
pub fn fuzz_charset(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let terms: [&[u8]; 12] = [
        b"",
        b"ISO_IR 100",
        b"ISO_IR 13",
        b"ISO_IR 192",
        b"GB18030",
        b"ISO_IR 166",
        b"\\ISO 2022 IR 87",
        b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
        b"\\ISO 2022 IR 149",
        b"\\ISO 2022 IR 58",
        b"ISO 2022 IR 144",
        bytes,
    ];
    let charset =
        Charset::parse(terms.iter().cycle().nth(usize::from(selector)).copied().unwrap_or_default());
    for vr in [Vr::PN, Vr::LO, Vr::UT, Vr::CS] {
        let text = charset.decode(bytes, vr);
        assert!(text == charset.to_text(bytes, vr), "both forms agree");
        assert!(text.chars().count() <= bytes.len(), "a byte is at most one character");
        if bytes.iter().all(|b| b.is_ascii_alphanumeric()) {
            assert!(text.as_bytes() == bytes, "ASCII is ASCII");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    if let Some(encoded) = charset.encode(&text) {
        assert!(charset.decode(&encoded, Vr::UT) == text, "what is encoded reads back");
    }
}

#[cfg(test)]
mod tests;
