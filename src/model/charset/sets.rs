use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK};

/// What bytes 21H–7EH mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum G0 {
    /// ISO-IR 6.
    Ascii,
    /// ISO-IR 14: the Latin half of JIS X 0201.
    JisRoman,
    /// ISO-IR 87, two bytes.
    JisX0208,
    /// ISO-IR 159, two bytes.
    JisX0212,
}

/// What bytes A0H–FFH mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum G1 {
    /// ISO-IR 100.
    Latin1,
    /// The upper half of a single-byte encoding. Those of our dependency that are more than the ISO set differ only below A0H.
    Single(&'static Encoding),
    /// ISO-IR 13: the katakana half of JIS X 0201.
    Katakana,
    /// ISO-IR 149, two bytes.
    KsX1001,
    /// ISO-IR 58, two bytes.
    Gb2312,
}

/// Appends the character of two bytes 21H–7EH in a Japanese set.
pub(super) fn push_japanese(supplementary: bool, lead: u8, trail: u8, out: &mut String) {
    if !supplementary && let Some(character) = jis_x_0208_as_registered(lead, trail) {
        out.push(character);
        return;
    }
    let (lead, trail) = (lead | 0x80, trail | 0x80);
    if supplementary {
        push(EUC_JP, &[0x8F, lead, trail], out);
    } else {
        push(EUC_JP, &[lead, trail], out);
    }
}

/// Appends the character of two bytes A1H–FEH of KS X 1001.
pub(super) fn push_korean(lead: u8, trail: u8, out: &mut String) {
    push(EUC_KR, &[lead, trail], out);
}

/// Appends the character of two bytes A1H–FEH of GB 2312.
pub(super) fn push_chinese(lead: u8, trail: u8, out: &mut String) {
    push(GBK, &[lead, trail], out);
}

/// Appends bytes A0H–FFH of a single-byte encoding.
pub(super) fn push_single(encoding: &'static Encoding, byte: u8, out: &mut String) {
    push(encoding, &[byte], out);
}

/// Appends one byte A0H–FFH of JIS X 0201.
pub(super) fn push_katakana(byte: u8, out: &mut String) {
    out.push(match byte {
        0xA1..=0xDF => char::from_u32(HALFWIDTH + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::REPLACEMENT_CHARACTER,
    });
}

/// Distance from a byte of JIS X 0201 to its character: A1H is U+FF61.
pub(super) const HALFWIDTH: u32 = 0xFF61 - 0xA1;

/// Punctuation for which the web's table, unlike ISO-IR 87 as other DICOM software reads it, has the characters of a code page.
fn jis_x_0208_as_registered(lead: u8, trail: u8) -> Option<char> {
    Some(match (lead, trail) {
        (0x21, 0x41) => '\u{301C}',
        (0x21, 0x42) => '\u{2016}',
        (0x21, 0x5D) => '\u{2212}',
        (0x21, 0x71) => '\u{A2}',
        (0x21, 0x72) => '\u{A3}',
        (0x22, 0x4C) => '\u{AC}',
        _ => return None,
    })
}

/// An undefined pair becomes one U+FFFD, whatever the decoder makes of its halves.
fn push(encoding: &'static Encoding, bytes: &[u8], out: &mut String) {
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => out.push_str(&text),
        None => out.push(char::REPLACEMENT_CHARACTER),
    }
}
