#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use encoding_rs::{
    ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15,
    WINDOWS_874, WINDOWS_1254,
};

use super::sets::{G0, G1, push_chinese, push_japanese, push_katakana, push_korean, push_single};
use crate::Vr;

pub(super) const ESC: u8 = 0x1B;

/// Decodes a value that starts with `initial` designated to G0 and G1.
///
/// Both return to `initial` at each delimiter of the value representation and at each TAB, LF, FF and CR (PS3.5 §6.1.2.5.3).
pub(super) fn decode(bytes: &[u8], initial: (G0, G1), delimiters: Delimiters) -> String {
    let mut decoder = Decoder {
        initial,
        g0: initial.0,
        g1: initial.1,
        delimiters,
        out: String::with_capacity(bytes.len()),
    };
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = decoder.step(byte, after);
    }
    decoder.out
}

/// Which graphic characters separate values or parts of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delimiters {
    /// `\`
    values: bool,
    /// `^` and `=`
    name: bool,
}

impl Delimiters {
    pub(super) fn of(vr: Vr) -> Self {
        Self { values: !matches!(vr, Vr::ST | Vr::LT | Vr::UT | Vr::UR), name: vr == Vr::PN }
    }

    fn contain(self, byte: u8) -> bool {
        match byte {
            b'\t' | b'\n' | b'\x0C' | b'\r' => true,
            b'\\' => self.values,
            b'^' | b'=' => self.name,
            _ => false,
        }
    }
}

struct Decoder {
    initial: (G0, G1),
    g0: G0,
    g1: G1,
    delimiters: Delimiters,
    out: String,
}

impl Decoder {
    /// Decodes what starts with `byte`, and returns what is left.
    fn step<'a>(&mut self, byte: u8, after: &'a [u8]) -> &'a [u8] {
        match byte {
            ESC => self.escape(after),
            0x21..=0x7E => self.left(byte, after),
            0xA0..=0xFF => self.right(byte, after),
            // C0 and C1 are the same whatever is designated, and so is SPACE.
            _ => {
                self.single(byte, char::from(byte));
                after
            }
        }
    }

    fn escape<'a>(&mut self, after: &'a [u8]) -> &'a [u8] {
        match designation(after) {
            Some((Designation::G0(set), rest)) => {
                self.g0 = set;
                rest
            }
            Some((Designation::G1(set), rest)) => {
                self.g1 = set;
                rest
            }
            None => {
                self.out.push(char::REPLACEMENT_CHARACTER);
                after
            }
        }
    }

    fn left<'a>(&mut self, byte: u8, after: &'a [u8]) -> &'a [u8] {
        let supplementary = match self.g0 {
            G0::Ascii => return self.left_single(byte, char::from(byte), after),
            G0::JisRoman => return self.left_single(byte, jis_roman(byte, self.delimiters), after),
            G0::JisX0208 => false,
            G0::JisX0212 => true,
        };
        match after.split_first() {
            Some((&trail @ 0x21..=0x7E, rest)) => {
                push_japanese(supplementary, byte, trail, &mut self.out);
                rest
            }
            // Half a character: a delimiter before which the return to the initial set was forgotten, or damage.
            _ if self.delimiters.contain(byte) => self.left_single(byte, char::from(byte), after),
            _ => self.left_single(byte, char::REPLACEMENT_CHARACTER, after),
        }
    }

    fn left_single<'a>(&mut self, byte: u8, character: char, after: &'a [u8]) -> &'a [u8] {
        self.single(byte, character);
        after
    }

    fn right<'a>(&mut self, byte: u8, after: &'a [u8]) -> &'a [u8] {
        let push_pair = match self.g1 {
            G1::Latin1 => {
                self.out.push(char::from(byte));
                return after;
            }
            G1::Single(encoding) => {
                push_single(encoding, byte, &mut self.out);
                return after;
            }
            G1::Katakana => {
                push_katakana(byte, &mut self.out);
                return after;
            }
            G1::KsX1001 => push_korean,
            G1::Gb2312 => push_chinese,
        };
        match (byte, after.split_first()) {
            (0xA1..=0xFE, Some((&trail @ 0xA1..=0xFE, rest))) => {
                push_pair(byte, trail, &mut self.out);
                rest
            }
            _ => {
                self.out.push(char::REPLACEMENT_CHARACTER);
                after
            }
        }
    }

    fn single(&mut self, byte: u8, character: char) {
        self.out.push(character);
        if self.delimiters.contain(byte) {
            (self.g0, self.g1) = self.initial;
        }
    }
}

/// ISO-IR 14 is ISO-IR 6 but for two characters, one of which is the delimiter of values all the same (PS3.5 §6.1.2.5.3).
fn jis_roman(byte: u8, delimiters: Delimiters) -> char {
    match byte {
        b'\\' if !delimiters.values => '\u{A5}',
        b'~' => '\u{203E}',
        _ => char::from(byte),
    }
}

enum Designation {
    G0(G0),
    G1(G1),
}

/// What the bytes behind an ESC designate, and what follows them (PS3.3 Tables C.12-3 and C.12-4).
fn designation(after: &[u8]) -> Option<(Designation, &[u8])> {
    Some(match after {
        [b'(', b'B', rest @ ..] => (Designation::G0(G0::Ascii), rest),
        [b'(', b'J', rest @ ..] => (Designation::G0(G0::JisRoman), rest),
        [b'$', b'B', rest @ ..] => (Designation::G0(G0::JisX0208), rest),
        [b'$', b'(', b'D', rest @ ..] => (Designation::G0(G0::JisX0212), rest),
        [b')', b'I', rest @ ..] => (Designation::G1(G1::Katakana), rest),
        [b'$', b')', b'C', rest @ ..] => (Designation::G1(G1::KsX1001), rest),
        [b'$', b')', b'A', rest @ ..] => (Designation::G1(G1::Gb2312), rest),
        [b'-', last, rest @ ..] => {
            let set = match last {
                b'A' => G1::Latin1,
                b'B' => G1::Single(ISO_8859_2),
                b'C' => G1::Single(ISO_8859_3),
                b'D' => G1::Single(ISO_8859_4),
                b'F' => G1::Single(ISO_8859_7),
                b'G' => G1::Single(ISO_8859_6),
                b'H' => G1::Single(ISO_8859_8),
                b'L' => G1::Single(ISO_8859_5),
                b'M' => G1::Single(WINDOWS_1254),
                b'T' => G1::Single(WINDOWS_874),
                b'b' => G1::Single(ISO_8859_15),
                _ => return None,
            };
            (Designation::G1(set), rest)
        }
        _ => return None,
    })
}
