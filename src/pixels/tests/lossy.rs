//! What was compressed with losses says so, whatever the object said of it.

use super::*;

const LOSSY: Tag = Tag(0x0028, 0x2110);
const RATIO: Tag = Tag(0x0028, 0x2112);
const METHOD: Tag = Tag(0x0028, 0x2114);

/// Zeros, which near-lossless decoding of what was encoded without loss leaves as they are.
fn near_lossless(shape: &Shape) -> Vec<u8> {
    let zeros = vec![0; usize::from(shape.columns) * usize::from(shape.rows)];
    let mut stream = objects::encoded(JPEG_LS, shape, &zeros);
    let scan = stream.windows(2).position(|marker| marker == [0xFF, 0xDA]).unwrap();
    stream[scan + 7] = 1;
    stream
}

/// A codestream that is said to be of the transformation with losses.
fn irreversible(syntax: &str, shape: &Shape) -> Vec<u8> {
    let mut stream = objects::frame_of(EXPLICIT, syntax, shape);
    let style = stream.windows(2).position(|marker| marker == [0xFF, 0x52]).unwrap();
    assert_eq!(stream[style + 13], 1);
    stream[style + 13] = 0;
    stream
}

/// With elements between those of the image and its pixels.
fn saying(data_set: &[u8], elements: &[(Tag, Vr, &str)]) -> Vec<u8> {
    let at = data_set.windows(4).position(|tag| tag == b"\xE0\x7F\x10\0").unwrap();
    let elements: Vec<u8> =
        elements.iter().flat_map(|(tag, vr, text)| element(*tag, *vr, text.as_bytes())).collect();
    [&data_set[..at], &elements, &data_set[at..]].concat()
}

#[test]
fn streams_that_have_lost_something_are_marked_and_never_compressed_again() {
    let shape = gray(8, 8, false);
    for (syntax, stream, method) in [
        (JPEG, objects::jpeg(&shape), "ISO_10918_1"),
        (JPEG_LS, near_lossless(&shape), "ISO_14495_1"),
        ("1.2.840.10008.1.2.4.81", near_lossless(&shape), "ISO_14495_1"),
        (J2K, irreversible(J2K, &shape), "ISO_15444_1"),
        ("1.2.840.10008.1.2.4.91", irreversible(J2K, &shape), "ISO_15444_1"),
        (HTJ2K, irreversible(HTJ2K, &shape), "ISO_15444_15"),
    ] {
        let lossy = objects::encapsulated(&shape, &[&stream]);
        let native = convert(syntax, EXPLICIT, &lossy).unwrap();
        let seen = header(EXPLICIT, &native);
        assert_eq!(seen.text(LOSSY).as_deref(), Some("01"), "{syntax}");
        assert_eq!(seen.text(METHOD).as_deref(), Some(method), "{syntax}");
        let bytes = stream.len().next_multiple_of(2) as f64;
        let ratio = format!("{:.2}", f64::from(shape.columns) * f64::from(shape.rows) / bytes);
        assert_eq!(seen.text(RATIO), Some(ratio), "{syntax}");
        let tags: Vec<Tag> = seen.elements().map(|element| element.tag).collect();
        assert!(tags.is_sorted(), "{tags:?}");
        for to in [RLE, JPEG_LS, JPEG_LOSSLESS, J2K, HTJ2K] {
            for (from, data_set) in [(syntax, &lossy), (EXPLICIT, &native)] {
                if from != to {
                    let again = convert(from, to, data_set);
                    assert!(matches!(again, Err(Error::Unsupported(_))), "{from} to {to}");
                }
            }
        }
        assert!(convert(EXPLICIT, IMPLICIT, &native).is_ok());
    }
}

#[test]
fn what_has_lost_nothing_is_not_marked() {
    let shape = gray(8, 8, false);
    for syntax in [RLE, JPEG_LOSSLESS, JPEG_LS, J2K, HTJ2K] {
        let lossless = objects::encapsulated(&shape, &[&objects::frame_of(EXPLICIT, syntax, &shape)]);
        let seen = header(EXPLICIT, &convert(syntax, EXPLICIT, &lossless).unwrap());
        assert!([LOSSY, RATIO, METHOD].iter().all(|tag| seen.element(*tag).is_none()), "{syntax}");
    }
}

#[test]
fn what_the_object_says_of_its_losses_is_kept_and_completed() {
    let shape = gray(8, 8, false);
    let jpeg = objects::encapsulated(&shape, &[&objects::jpeg(&shape)]);
    let own = format!("{:.2}", 777.0 / objects::jpeg(&shape).len().next_multiple_of(2) as f64);
    let after = |said: &[(Tag, Vr, &str)]| {
        let seen = header(EXPLICIT, &convert(JPEG, EXPLICIT, &saying(&jpeg, said)).unwrap());
        [LOSSY, RATIO, METHOD].map(|tag| seen.text(tag).unwrap_or_default())
    };
    let mark = (LOSSY, Vr::CS, "01");
    let ratio = (RATIO, Vr::DS, "12.5");
    let (this, other) = ((METHOD, Vr::CS, "ISO_10918_1"), (METHOD, Vr::CS, "ISO_15444_1"));
    assert_eq!(after(&[mark, ratio, this]), ["01", "12.5", "ISO_10918_1"].map(str::to_owned));
    assert_eq!(after(&[(LOSSY, Vr::CS, "00"), ratio]), ["01", "12.5", "ISO_10918_1"].map(str::to_owned));
    assert_eq!(after(&[mark, this]), ["01", &own, "ISO_10918_1"].map(str::to_owned));
    let both = [r"01", &format!(r"12.5\{own}"), r"ISO_15444_1\ISO_10918_1"].map(str::to_owned);
    assert_eq!(after(&[mark, ratio, other]), both);
}

#[test]
fn a_frame_that_has_lost_something_behind_one_that_has_not_is_refused() {
    let shape = gray(8, 8, false);
    let frames = [objects::frame_of(EXPLICIT, J2K, &shape), irreversible(J2K, &shape)];
    let mixed = objects::encapsulated(&Shape { frames: 2, ..shape }, &[&frames[0], &frames[1]]);
    assert!(matches!(convert(J2K, EXPLICIT, &mixed), Err(Error::Damaged(_))));
}
