use proptest::prelude::*;

use super::*;

fn decode(terms: &str, bytes: &[u8], vr: Vr) -> String {
    Charset::parse(terms.as_bytes()).decode(bytes, vr)
}

/// The examples of PS3.5 Annexes H, I, J and K.
#[test]
fn reads_the_names_that_the_standard_prints() {
    for (terms, bytes, name) in [
        (
            "\\ISO 2022 IR 87",
            &b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"[..],
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东=".as_bytes(), "Wang^XiaoDong=王^小东="),
        ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
    ] {
        assert_eq!(decode(terms, bytes, Vr::PN), name, "{terms}");
    }
}

#[test]
fn reads_every_single_byte_set() {
    for (ir, byte, character) in [
        ("100", 0xE9, 'é'),
        ("101", 0xB1, 'ą'),
        ("109", 0xA1, 'Ħ'),
        ("110", 0xA2, 'ĸ'),
        ("126", 0xE1, 'α'),
        ("127", 0xC8, 'ب'),
        ("138", 0xE0, 'א'),
        ("144", 0xBB, 'Л'),
        ("148", 0xFE, 'ş'),
        ("166", 0xA1, 'ก'),
        ("203", 0xA4, '€'),
        ("13", 0xB1, 'ｱ'),
    ] {
        for terms in [format!("ISO_IR {ir}"), format!("ISO 2022 IR {ir}\\ISO 2022 IR 87")] {
            assert_eq!(decode(&terms, &[b'x', byte], Vr::LO), format!("x{character}"), "{terms}");
        }
    }
}

#[test]
fn switches_between_single_byte_sets_by_escape() {
    let bytes = b"Dionysios=\x1b-F\xc4\xe9=\x1b-L\xbb";
    assert_eq!(decode("ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144", bytes, Vr::PN), "Dionysios=Δι=Л");
    assert_eq!(decode("ISO_IR 100", b"\x1b-F\xc4", Vr::LO), "Δ", "announced or not");
}

#[test]
fn reads_the_supplementary_japanese_set() {
    assert_eq!(decode("\\ISO 2022 IR 159", b"\x1b$(D\x22\x70\x30\x21\x1b(B", Vr::LO), "¤丂");
}

#[test]
fn a_delimiter_restores_the_first_set() {
    let terms = "ISO 2022 IR 100\\ISO 2022 IR 144";
    assert_eq!(decode(terms, b"\x1b-L\xbb\\\xe9", Vr::LO), "Л\\é");
    assert_eq!(decode(terms, b"\x1b-L\xbb\\\xbb", Vr::LT), "Л\\Л", "in text, a backslash delimits nothing");
    assert_eq!(decode(terms, b"\x1b-L\xbb\r\n\xe9", Vr::LT), "Л\r\né");
    assert_eq!(decode(terms, b"\x1b-L\xbb^\xe9", Vr::PN), "Л^é");
    assert_eq!(decode(terms, b"\x1b-L\xbb^\xbb", Vr::LO), "Л^Л", "^ delimits in names only");
}

#[test]
fn a_delimiter_byte_inside_a_character_is_none() {
    assert_eq!(decode("GB18030", b"\x81\x5c\\A", Vr::LO), "乗\\A");
    assert_eq!(decode("\\ISO 2022 IR 87", b"\x1b$B\x30\x5c\x1b(B\\A", Vr::LO), "移\\A");
}

#[test]
fn a_forgotten_return_before_a_delimiter_is_forgiven() {
    assert_eq!(decode("\\ISO 2022 IR 87", b"=\x1b$B;3ED^\x1b$BB@O:", Vr::PN), "=山田^太郎");
}

#[test]
fn the_yen_sign_delimits_values_and_is_a_character_of_text() {
    assert_eq!(decode("ISO_IR 13", b"\xb1\\\xb2", Vr::LO), "ｱ\\ｲ");
    assert_eq!(decode("ISO_IR 13", b"\\100~", Vr::LT), "¥100‾");
}

#[test]
fn what_no_set_defines_becomes_the_replacement_character() {
    assert_eq!(decode("ISO_IR 192", b"a\xffb", Vr::LO), "a\u{FFFD}b");
    assert_eq!(decode("ISO_IR 13", b"\xe0", Vr::LO), "\u{FFFD}");
    assert_eq!(decode("\\ISO 2022 IR 149", b"\x1b$)C\xfb", Vr::LO), "\u{FFFD}");
    assert_eq!(decode("\\ISO 2022 IR 87", b"\x1b$B\x7e\x7e\x1b(B.", Vr::LO), "\u{FFFD}.");
    assert_eq!(decode("", b"a\x1b[0mb", Vr::LO), "a\u{FFFD}[0mb", "an escape sequence of something else");
}

#[test]
fn other_representations_keep_to_the_default_repertoire() {
    assert_eq!(decode("ISO_IR 192", "é".as_bytes(), Vr::CS), "Ã©");
    assert_eq!(decode("", b"\xe9", Vr::PN), "é");
}

#[test]
fn takes_misspelt_terms_and_reads_unknown_ones_as_the_default() {
    for terms in ["ISO-IR 144", "ISO IR 144", "iso_ir_144 ", "ISO 2022 IR 144", "ISO_2022_IR_144\0"] {
        assert_eq!(decode(terms, b"\xbb", Vr::LO), "Л", "{terms}");
    }
    for terms in ["ISO_IR 999", "\\KOI8-R", "KOI8-R"] {
        assert_eq!(decode(terms, b"\xe9", Vr::LO), "é", "{terms}");
    }
    assert_eq!(decode("ISO_IR 192\\ISO 2022 IR 87", "é".as_bytes(), Vr::LO), "é");
}

#[test]
fn encodes_what_fits_and_refuses_the_rest() {
    let encode = |terms: &str, text: &str| Charset::parse(terms.as_bytes()).encode(text);
    assert_eq!(encode("ISO_IR 100", "Bué"), Some(b"Bu\xe9".to_vec()));
    assert_eq!(encode("ISO_IR 100", "€"), None);
    assert_eq!(encode("ISO_IR 148", "€"), None, "in the code page, not in the ISO set");
    assert_eq!(encode("ISO_IR 144", "Люк"), Some(b"\xbb\xee\xda".to_vec()));
    assert_eq!(encode("ISO_IR 13", "ｱ~"), None);
    assert_eq!(encode("ISO_IR 13", "ｱa"), Some(b"\xb1a".to_vec()));
    assert_eq!(encode("GB18030", "王"), Some(b"\xcd\xf5".to_vec()));
    assert_eq!(encode("\\ISO 2022 IR 87", "山"), None);
}

#[test]
fn decoding_holds_for_pseudorandom_bytes() {
    let mut state = 1u64;
    for length in 0..600usize {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Every other byte from the repertoire of escape sequences and delimiters.
            if state & 1 << 40 == 0 {
                (state >> 56) as u8
            } else {
                b"\x1b$()-BJIDACFT\\^=\r\n"[(state >> 50) as usize % 18]
            }
        })
        .take(length)
        .collect();
        fuzz_charset(&bytes);
    }
}

proptest! {
    #[test]
    fn what_a_single_byte_set_decodes_it_encodes(
        ir in prop::sample::select(&[6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203][..]),
        bytes in prop::collection::vec((0x20u8..=0x7D).prop_union(0xA1..=0xFF), 0..40),
    ) {
        let charset = Charset::parse(format!("ISO_IR {ir}").as_bytes());
        let text = charset.decode(&bytes, Vr::LO);
        if !text.contains(char::REPLACEMENT_CHARACTER) && !bytes.contains(&b'\\') {
            prop_assert_eq!(charset.encode(&text), Some(bytes));
        }
    }

    #[test]
    fn decoding_takes_anything(terms in "[ -~]{0,24}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let charset = Charset::parse(terms.as_bytes());
        for vr in [Vr::PN, Vr::LO, Vr::LT] {
            prop_assert!(charset.decode(&bytes, vr).chars().count() <= bytes.len());
        }
    }
}
