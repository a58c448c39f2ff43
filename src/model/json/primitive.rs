#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::borrow::Cow;
use std::io::Write;

/// Appends a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Appends the inside of a JSON string (RFC 8259 §7).
pub(super) fn escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = from.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u");
                hex(u16::from(byte), out);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Appends four hexadecimal digits.
pub(super) fn hex(number: u16, out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    for shift in [12, 8, 4, 0] {
        let digit = DIGITS.get(usize::from(number >> shift & 15)).copied().unwrap_or_default();
        out.push(digit);
    }
}

/// Appends an integer, as a string where readers that take numbers for doubles would lose digits (PS3.18 §F.2.3).
pub(super) fn integer(number: i128, out: &mut Vec<u8>) {
    let exact = number.unsigned_abs() <= 1 << 53;
    let quote = if exact { "" } else { "\"" };
    write!(out, "{quote}{number}{quote}").expect("memory takes every write");
}

/// Appends a floating point number; those that JSON does not know are strings.
pub(super) fn float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        write!(out, "{number:?}").expect("memory takes every write");
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if number > 0.0 { b"\"Infinity\"".as_slice() } else { b"\"-Infinity\"" });
    }
}

/// An integer or decimal string as the JSON number of the same digits; `None` when it is none, or too large for a double.
///
/// PS3.5 §6.2 allows what RFC 8259 §6 does not: a plus sign, leading zeros, nothing before or behind the point.
pub(super) fn number(text: &str) -> Option<Cow<'_, str>> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.map(|part| part.strip_prefix(['+', '-']).unwrap_or(part));
    let valid = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_digits.is_none_or(|part| !part.is_empty() && digits(part));
    if !valid || !text.parse::<f64>().is_ok_and(f64::is_finite) {
        return None;
    }
    let significant = whole.trim_start_matches('0');
    let canonical = !text.starts_with('+')
        && (significant.len() == whole.len() || whole == "0")
        && !whole.is_empty()
        && mantissa.contains('.') != fraction.is_empty();
    if canonical {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::from(if negative { "-" } else { "" });
    out.push_str(if significant.is_empty() { "0" } else { significant });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    if let Some(exponent) = exponent {
        out.push('e');
        out.push_str(exponent);
    }
    Some(Cow::Owned(out))
}

/// Appends base64 (RFC 4648 §4), padded.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| ALPHABET.get((bits & 63) as usize).copied().unwrap_or_default();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        let digits = [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)];
        let (significant, _) = digits.split_at(chunk.len() + 1);
        out.extend_from_slice(significant);
        out.extend_from_slice(match chunk.len() {
            1 => b"==",
            2 => b"=",
            _ => b"",
        });
    }
}

/// The bytes of padded base64; `None` when it is none.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (quads, rest) = text.as_bytes().as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    for (at, quad) in quads.iter().enumerate() {
        let padding = quad.iter().rev().take_while(|&&byte| byte == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 < quads.len()) {
            return None;
        }
        let mut bits = 0_u32;
        for &byte in quad.iter().take(4 - padding) {
            bits = bits << 6 | u32::from(sextet(byte)?);
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        out.extend(bytes.into_iter().take(3 - padding));
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, json) in [
            ("1", "1"),
            ("-1.50", "-1.50"),
            ("+1.5", "1.5"),
            ("007", "7"),
            ("-00.5", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0", "0"),
            ("000", "0"),
            ("0.0", "0.0"),
            ("1E+02", "1E+02"),
            ("1.E-2", "1e-2"),
            ("1e05", "1e05"),
        ] {
            assert_eq!(number(text).unwrap(), json, "{text}");
            assert_eq!(serde_json::from_str::<f64>(json).unwrap(), text.parse::<f64>().unwrap());
        }
        for text in [
            "", ".", "-", "+", "e5", "1e", "1e+", "1,5", "NaN", "inf", "1 2", "0x10", "1e999", "--1", "+-1",
            "½",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn integers_beyond_a_double_are_strings() {
        assert_eq!(written(|out| integer(1 << 53, out)), "9007199254740992");
        assert_eq!(written(|out| integer(-(1 << 53) - 1, out)), "\"-9007199254740993\"");
        assert_eq!(written(|out| integer(i128::from(u64::MAX), out)), "\"18446744073709551615\"");
    }

    #[test]
    fn floats_are_exact_and_the_others_strings() {
        assert_eq!(written(|out| float(f64::from(0.1f32), out)), "0.10000000149011612");
        assert_eq!(written(|out| float(1e300, out)), "1e300");
        assert_eq!(written(|out| float(f64::NAN, out)), "\"NaN\"");
        assert_eq!(written(|out| float(f64::NEG_INFINITY, out)), "\"-Infinity\"");
    }

    #[test]
    fn base64_is_as_rfc_4648_prints_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(written(|out| base64(bytes.as_bytes(), out)), text);
            assert_eq!(from_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(written(|out| base64(&[0xFB, 0xFF, 0xBF], out)), "+/+/");
        assert_eq!(from_base64("+/+/").unwrap(), [0xFB, 0xFF, 0xBF]);
        for text in ["Z", "Zg=", "Z===", "Zg==Zg==", "Zm9v Zg==", "Zm9*", "=g=="] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_as_a_string(text in any::<String>()) {
            let json = written(|out| string(&text, out));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_finite_float_survives(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(written(|out| float(number, out)).parse::<f64>().unwrap().to_bits(), number.to_bits());
        }

        #[test]
        fn whatever_is_called_a_number_is_one_of_the_same_value(text in "[-+0-9.eE]{0,16}") {
            if let Some(json) = number(&text) {
                let value: f64 = serde_json::from_str(&json).unwrap();
                let expected: f64 = text.parse().unwrap();
                prop_assert!((value - expected).abs() <= expected.abs() * 1e-15, "{} {}", value, expected);
            }
        }
    }
}
