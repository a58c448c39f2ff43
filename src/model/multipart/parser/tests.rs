use proptest::prelude::*;

use super::*;
use crate::multipart::{close, part_head};

/// Every cut of the body into equal pieces gives these parts and this end.
fn check(body: &[u8], parts: &[(&str, &[u8])], end: Result<(), Error>) {
    for piece in 1..=body.len().max(1) {
        let (found, found_end) = collect("b", body, piece);
        let found: Vec<_> = found
            .iter()
            .map(|(fields, data, _)| (fields.get("x").unwrap_or_default(), data.as_slice()))
            .collect();
        assert_eq!((found.as_slice(), found_end), (parts, end), "pieces of {piece}");
    }
}

#[test]
fn takes_parts_with_and_without_fields() {
    check(b"--b\r\nX: 1\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", &[("1", b"one"), ("", b"two")], Ok(()));
}

#[test]
fn drops_preamble_and_epilogue() {
    check(b"pre\r\namble--b\r\n--b\r\n\r\n1\r\n--b--epilogue\r\n--b\r\n\r\nno", &[("", b"1")], Ok(()));
    check(b"--b--", &[], Ok(()));
}

#[test]
fn takes_empty_parts() {
    check(b"--b\r\nX: 1\r\n\r\n--b\r\n\r\n\r\n--b--", &[("1", b""), ("", b"")], Ok(()));
}

#[test]
fn what_only_begins_like_a_delimiter_is_data() {
    check(
        b"--b\r\n\r\n\r\r\n--\r\n-b\r\n--bc\r\n--b-c\r\n--b \rx--b\r\n--b--",
        &[("", b"\r\r\n--\r\n-b\r\n--bc\r\n--b-c\r\n--b \rx--b")],
        Ok(()),
    );
    check(b"--b\r\n\r\n--bc\r\n--b--", &[("", b"--bc")], Ok(()));
}

#[test]
fn takes_white_space_behind_a_delimiter_within_reason() {
    check(b"--b \t\r\n\r\n1\r\n--b  \r\n\r\n2\r\n--b--", &[("", b"1"), ("", b"2")], Ok(()));
    let padded = [b"\r\n--b".as_slice(), &[b' '; PADDING + 1], b"\r\n"].concat();
    check(
        &[b"--b\r\n\r\n1", padded.as_slice(), b"\r\n--b--"].concat(),
        &[("", &[b"1", &*padded].concat())],
        Ok(()),
    );
}

#[test]
fn reads_folded_and_odd_fields() {
    check(b"--b\r\nnonsense\r\nx : a\r\n\tb\r\n\r\n\r\n--b--", &[("a b", b"")], Ok(()));
}

#[test]
fn tells_a_truncated_body() {
    check(b"", &[], Err(Error::Truncated));
    check(b"nothing", &[], Err(Error::Truncated));
    check(b"--b\r\n\r\none", &[("", b"one")], Err(Error::Truncated));
    check(b"--b\r\n\r\none\r\n--b", &[("", b"one")], Err(Error::Truncated));
    let (parts, _) = collect("b", b"--b\r\n\r\none\r\n--b\r\n\r\ntwo", 3);
    assert_eq!(parts.iter().map(|(.., complete)| *complete).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn bounds_the_fields_of_a_part() {
    let fields =
        |length: usize| [b"--b\r\nx: ".as_slice(), &vec![b'y'; length], b"\r\n\r\n1\r\n--b--"].concat();
    assert_eq!(collect("b", &fields(limits::PART_HEADER_BYTES + 1), 999).1, Err(Error::LongFields));
    assert_eq!(collect("b", &fields(limits::PART_HEADER_BYTES - 10), 999).1, Ok(()));
}

#[test]
fn holds_for_bodies_of_pseudorandom_pieces() {
    let pieces: [&[u8]; 12] = [
        b"\r\n",
        b"--",
        b"b",
        b"--b",
        b"\r\n--b\r\n",
        b"\r",
        b"\n",
        b"x: y",
        b" ",
        b"\r\n\r\n",
        b"--b--",
        b"\0z",
    ];
    let mut state = 7u64;
    for round in 0..=u8::MAX {
        let body = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *pieces.iter().cycle().nth((state >> 40) as usize % 240).unwrap()
        });
        let body: Vec<u8> = body.take(usize::from(round % 60)).flatten().copied().collect();
        fuzz_multipart(&[&[round.wrapping_mul(37)], body.as_slice()].concat());
    }
}

proptest! {
    #[test]
    fn reads_back_what_the_writer_writes(
        parts in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n-ab".to_vec()), 0..40), 0..5),
        piece in 1usize..50,
    ) {
        // The data never holds the boundary, which has a character that they do not have.
        let mut body = Vec::new();
        for part in &parts {
            body.extend(part_head("a-z", &[("Content-Type", "application/dicom")]));
            body.extend(part);
        }
        body.extend(close("a-z"));
        let (found, end) = collect("a-z", &body, piece);
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(found.len(), parts.len());
        for ((fields, data, complete), part) in found.iter().zip(&parts) {
            prop_assert_eq!(fields.get("content-type"), Some("application/dicom"));
            prop_assert!(data == part && *complete);
        }
    }
}
