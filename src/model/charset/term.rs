use encoding_rs::{
    ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15,
    WINDOWS_874, WINDOWS_1254,
};

use super::sets::{G0, G1};
use super::{Charset, Coding};

pub(super) fn parse(value: &[u8]) -> Charset {
    let text: String = value.iter().copied().map(char::from).collect();
    let first = text.split('\\').next().unwrap_or_default();
    term_of(&spelling(first)).unwrap_or_default()
}

/// A term without case, padding and the differences between space, underscore and hyphen.
fn spelling(term: &str) -> String {
    let words: Vec<&str> = term.split([' ', '_', '-', '\0']).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_ascii_uppercase()
}

/// Defined terms of PS3.3 Tables C.12-2 to C.12-5; the empty one stands for ISO-IR 6.
fn term_of(spelling: &str) -> Option<Charset> {
    let of = |coding, term| Charset { coding, term };
    match spelling {
        "" => return Some(Charset::default()),
        "UTF 8" | "UTF8" => return term_of("ISO IR 192"),
        "GB18030" => return Some(of(Coding::Gb18030, Some("GB18030"))),
        "GBK" | "ISO 2022 GBK" => return Some(of(Coding::Gb18030, Some("GBK"))),
        "ISO 2022 58" => return term_of("ISO 2022 IR 58"),
        _ => {}
    }
    let ir = spelling.strip_prefix("ISO IR ").or_else(|| spelling.strip_prefix("ISO 2022 IR "))?;
    if ir == "192" {
        return Some(of(Coding::Utf8, Some("ISO_IR 192")));
    }
    let (g0, g1, term) = sets(ir)?;
    Some(of(Coding::Iso2022(g0, g1), term))
}

/// The defined terms that are read as a first value, with and without code extensions, as PS3.3 Tables C.12-2 to C.12-5 write them.
pub(super) const TERMS: &[&str] = &[
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 109",
    "ISO_IR 110",
    "ISO_IR 126",
    "ISO_IR 127",
    "ISO_IR 138",
    "ISO_IR 144",
    "ISO_IR 148",
    "ISO_IR 13",
    "ISO_IR 166",
    "ISO_IR 192",
    "ISO_IR 203",
    "GB18030",
    "GBK",
    "ISO 2022 IR 6",
    "ISO 2022 IR 100",
    "ISO 2022 IR 101",
    "ISO 2022 IR 109",
    "ISO 2022 IR 110",
    "ISO 2022 IR 126",
    "ISO 2022 IR 127",
    "ISO 2022 IR 138",
    "ISO 2022 IR 144",
    "ISO 2022 IR 148",
    "ISO 2022 IR 13",
    "ISO 2022 IR 166",
    "ISO 2022 IR 203",
    "ISO 2022 IR 87",
    "ISO 2022 IR 159",
    "ISO 2022 IR 149",
    "ISO 2022 IR 58",
];

/// What a registration number designates when it is the first value.
///
/// 149 and 58 may only be further values. As first value, which some devices send, they are in G1 from the start.
fn sets(ir: &str) -> Option<(G0, G1, Option<&'static str>)> {
    let single = |encoding, term| (G0::Ascii, G1::Single(encoding), Some(term));
    Some(match ir {
        "6" => (G0::Ascii, G1::Latin1, None),
        "13" => (G0::JisRoman, G1::Katakana, Some("ISO_IR 13")),
        "58" => (G0::Ascii, G1::Gb2312, None),
        "87" | "159" => (G0::Ascii, G1::Latin1, None),
        "100" => (G0::Ascii, G1::Latin1, Some("ISO_IR 100")),
        "101" => single(ISO_8859_2, "ISO_IR 101"),
        "109" => single(ISO_8859_3, "ISO_IR 109"),
        "110" => single(ISO_8859_4, "ISO_IR 110"),
        "126" => single(ISO_8859_7, "ISO_IR 126"),
        "127" => single(ISO_8859_6, "ISO_IR 127"),
        "138" => single(ISO_8859_8, "ISO_IR 138"),
        "144" => single(ISO_8859_5, "ISO_IR 144"),
        "148" => single(WINDOWS_1254, "ISO_IR 148"),
        "149" => (G0::Ascii, G1::KsX1001, None),
        "166" => single(WINDOWS_874, "ISO_IR 166"),
        "203" => single(ISO_8859_15, "ISO_IR 203"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_term_is_read() {
        for term in TERMS {
            assert!(term_of(&spelling(term)).is_some(), "{term}");
        }
    }
}
