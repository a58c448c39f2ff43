//! Whole objects from one transfer syntax into another.

mod lossy;
mod objects;

use model::header::{Header, Value};
use model::scan::scan;
use model::syntax::{
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN as DEFLATED, EXPLICIT_VR_BIG_ENDIAN as BIG,
    EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, Encoding, IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT, form,
};
use model::{Tag, TransferSyntaxUid, Vr};

use crate::{
    Error, FrameReader, Object, abilities, can, fuzz_codec, fuzz_fragments, fuzz_transcode, transcode,
};
use objects::{Shape, element, gray, object, pixels, rgb, short};

const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const J2K: &str = "1.2.840.10008.1.2.4.90";
const HTJ2K: &str = "1.2.840.10008.1.2.4.201";

fn convert(from: &str, to: &str, data_set: &[u8]) -> Result<Vec<u8>, Error> {
    convert_while(from, to, data_set, &|| true)
}

fn convert_while(
    from: &str,
    to: &str,
    data_set: &[u8],
    goes_on: &dyn Fn() -> bool,
) -> Result<Vec<u8>, Error> {
    let header = scan(form(from), data_set).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    let length = data_set.len() as u64;
    let object = Object { bytes: &data_set, data_offset: 0, length, transfer_syntax: from, header: &header };
    transcode(&object, &TransferSyntaxUid::lenient(to).unwrap(), &mut out, goes_on)?;
    Ok(out.into_inner())
}

fn header(syntax: &str, data_set: &[u8]) -> Header {
    scan(form(syntax), data_set).unwrap()
}

const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);

#[test]
fn every_encoder_gives_back_what_it_took() {
    for shape in [
        gray(16, 12, false),
        gray(16, 16, true),
        gray(16, 12, true),
        gray(8, 8, false),
        gray(32, 32, false),
        rgb(8),
        rgb(16),
        Shape { frames: 3, ..gray(16, 12, false) },
        Shape { frames: 2, columns: 7, rows: 5, ..gray(8, 8, false) },
        Shape { columns: 1, rows: 1, ..gray(8, 8, false) },
    ] {
        let original = object(EXPLICIT, &shape);
        for to in abilities().iter().filter(|ability| ability.encoder.is_some() && !ability.is_lossy) {
            let converted = match convert(EXPLICIT, to.uid, &original) {
                Ok(converted) => converted,
                Err(Error::Unsupported(_)) if shape.bits_allocated == 32 => continue,
                Err(Error::Unsupported("colours are not compressed so")) if shape.samples == 3 => continue,
                Err(error) => panic!("{shape:?} to {}: {error}", to.uid),
            };
            assert!(converted.len().is_multiple_of(2), "{}", to.uid);
            let back =
                convert(to.uid, EXPLICIT, &converted).unwrap_or_else(|e| panic!("{} {shape:?}: {e}", to.uid));
            let header = header(EXPLICIT, &back);
            let element = header.element(PIXELS).unwrap();
            let start = element.offset as usize;
            let bytes = &back[start..start + element.length.unwrap() as usize];
            assert!(bytes == pixels(&shape), "{} {shape:?}", to.uid);
            assert_eq!(header.text(PHOTOMETRIC).as_deref(), Some(shape.photometric), "{}", to.uid);
        }
    }
}

#[test]
fn what_is_not_pixels_stays_byte_for_byte_where_the_encoding_stays() {
    let shape = gray(16, 12, false);
    let odd = [element(Tag(0x0009, 0x0010), Vr::LO, b"ACME"), b"\x09\0\x01\x10ZZ\0\0\x03\0\0\0abc".to_vec()]
        .concat();
    let original = objects::with(EXPLICIT, &shape, &odd, &[]);
    for to in [RLE, JPEG_LS, J2K] {
        let converted = convert(EXPLICIT, to, &original).unwrap();
        let until = original.windows(4).position(|w| w == b"\xE0\x7F\x10\0").unwrap();
        assert_eq!(converted[..until], original[..until], "{to}");
        let back = convert(to, EXPLICIT, &converted).unwrap();
        assert_eq!(back, original, "{to}");
    }
}

#[test]
fn every_element_is_encoded_anew() {
    let item = [
        element(Tag(0x0008, 0x1150), Vr::UI, b"1.2.3\0"),
        element(Tag(0x0028, 0x0010), Vr::US, &[1, 2]),
        b"\x40\0\x10\0UN\0\0\x02\0\0\0\x01\x02".to_vec(),
    ]
    .concat();
    let sequence = [
        b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF".to_vec(),
        b"\xFE\xFF\0\xE0".to_vec(),
        (item.len() as u32).to_le_bytes().to_vec(),
        item,
        b"\xFE\xFF\xDD\xE0\0\0\0\0".to_vec(),
    ]
    .concat();
    let values = [
        element(Tag(0x0018, 0x9087), Vr::FD, &1.5_f64.to_le_bytes()),
        element(Tag(0x0020, 0x9057), Vr::UL, &7_u32.to_le_bytes()),
        element(Tag(0x0028, 0x0009), Vr::AT, &[0x18, 0, 0x63, 0x10]),
    ]
    .concat();
    let private = b"\x41\0\x01\x10UN\0\0\x04\0\0\0\x01\x02\x03\x04".to_vec();
    let shape = gray(16, 16, false);
    let original = objects::with(EXPLICIT, &shape, &[sequence, values].concat(), &private);
    for between in [IMPLICIT, BIG, DEFLATED] {
        let there = convert(EXPLICIT, between, &original).unwrap();
        let seen = header(between, &there);
        assert_eq!(seen.omitted(), 0, "{between}");
        assert_eq!(seen.integer(Tag(0x0020, 0x9057)), Some(7), "{between}");
        assert_eq!(seen.bytes(Tag(0x0041, 0x1001)), Some(&[1, 2, 3, 4][..]), "private bytes have no order");
        let Value::Items(mut items) = seen.element(Tag(0x0008, 0x1140)).unwrap().value() else { panic!() };
        let inner = items.next().unwrap();
        assert_eq!(inner.element(Tag(0x0028, 0x0010)).unwrap().integer(), Some(0x0201), "{between}");
        let back = convert(between, EXPLICIT, &there).unwrap();
        let (was, is) = (header(EXPLICIT, &original), header(EXPLICIT, &back));
        assert_eq!(was.elements().count(), is.elements().count());
        for (was, is) in was.elements().zip(is.elements()) {
            assert_eq!(was.tag, is.tag, "{between}");
            assert_eq!(was.bytes(), is.bytes(), "{between} {}", was.tag);
        }
        assert!(back.ends_with(&pixels(&shape)), "{between}");
    }
}

#[test]
fn big_endian_words_are_as_wide_as_the_pixels() {
    for (bits, word) in [(8, 2), (16, 2), (32, 4)] {
        let shape = gray(bits, bits, false);
        let big = convert(EXPLICIT, BIG, &object(EXPLICIT, &shape)).unwrap();
        let mut swapped = pixels(&shape);
        let is_words = bits > 8;
        if is_words {
            swapped.chunks_exact_mut(word).for_each(<[u8]>::reverse);
        }
        assert!(big.ends_with(&swapped), "{bits} bits are OB or OW as they were");
        let native = convert(BIG, EXPLICIT, &big).unwrap();
        assert!(native.ends_with(&pixels(&shape)));
        // Bytes in OW are pairs in words.
        if bits == 8 {
            let words = objects::with_pixels(EXPLICIT, &shape, &[], Vr::OW, &pixels(&shape));
            let big = convert(EXPLICIT, BIG, &words).unwrap();
            let mut pairs = pixels(&shape);
            pairs.chunks_exact_mut(2).for_each(<[u8]>::reverse);
            assert!(big.ends_with(&pairs));
            let rle = convert(BIG, RLE, &big).unwrap();
            assert!(convert(RLE, IMPLICIT, &rle).unwrap().ends_with(&pixels(&shape)));
        }
    }
}

#[test]
fn fragments_have_an_offset_table_and_none_of_the_old_tables() {
    let shape = Shape { frames: 3, ..gray(16, 12, false) };
    let tables =
        [element(Tag(0x7FE0, 0x0001), Vr::OV, &[0; 24]), element(Tag(0x7FE0, 0x0002), Vr::OV, &[0; 24])]
            .concat();
    let rle = convert(EXPLICIT, RLE, &objects::with(EXPLICIT, &shape, &[], &tables)).unwrap();
    let seen = header(RLE, &rle);
    assert!(seen.element(Tag(0x7FE0, 0x0001)).is_none() && seen.element(Tag(0x7FE0, 0x0002)).is_none());
    let element = seen.element(PIXELS).unwrap();
    let Value::Fragments { length } = element.value() else { panic!() };
    assert_eq!(element.vr, Vr::OB);
    let value = &rle[element.offset as usize..][..length as usize];
    assert_eq!(value[..8], *b"\xFE\xFF\0\xE0\x0C\0\0\0");
    for entry in value[8..20].as_chunks::<4>().0 {
        let at = 20 + u32::from_le_bytes(*entry) as usize;
        assert_eq!(value[at..at + 4], *b"\xFE\xFF\0\xE0", "an entry is the place of a fragment");
    }
}

#[test]
fn planes_become_pixels_side_by_side() {
    let shape = rgb(8);
    let side_by_side = pixels(&shape);
    let planes: Vec<u8> =
        (0..3).flat_map(|sample| side_by_side.iter().skip(sample).step_by(3).copied()).collect();
    let planar = Shape { is_planar: true, ..shape };
    let original = objects::with_pixels(EXPLICIT, &planar, &[], Vr::OB, &planes);
    for to in [RLE, JPEG_LS, J2K] {
        let converted = convert(EXPLICIT, to, &original).unwrap();
        let back = convert(to, EXPLICIT, &converted).unwrap();
        assert!(back.ends_with(&side_by_side), "{to}");
        assert_eq!(header(EXPLICIT, &back).integer(Tag(0x0028, 0x0006)), Some(0), "{to}");
    }
    // A native value goes on as it is.
    let big = convert(EXPLICIT, IMPLICIT, &original).unwrap();
    assert!(big.ends_with(&planes));
    assert_eq!(header(IMPLICIT, &big).integer(Tag(0x0028, 0x0006)), Some(1));
}

#[test]
fn full_samples_are_not_called_subsampled() {
    let shape = rgb(8);
    let named = |photometric, syntax| {
        objects::encapsulated(
            &Shape { photometric, ..shape },
            &[&objects::frame_of(EXPLICIT, syntax, &shape)],
        )
    };
    for syntax in [RLE, JPEG_LS, J2K, HTJ2K] {
        let native = convert(syntax, EXPLICIT, &named("YBR_FULL_422", syntax)).unwrap();
        assert!(native.ends_with(&pixels(&shape)), "{syntax}");
        assert_eq!(header(EXPLICIT, &native).text(PHOTOMETRIC).as_deref(), Some("YBR_FULL"), "{syntax}");
        let unnamed = convert(syntax, EXPLICIT, &named("YBR_PARTIAL_422", syntax));
        assert!(matches!(unnamed, Err(Error::Unsupported(_))), "{syntax}");
    }
}

#[test]
fn colours_are_those_that_the_stream_has() {
    let shape = rgb(8);
    let (plain, jfif) = (objects::jpeg_of_rgb(&shape, false), objects::jpeg_of_rgb(&shape, true));
    // Without a marker, a stream is what the object says; a JFIF stream is luminance and chrominance whatever the object says.
    for (photometric, stream, is_converted) in [
        ("RGB", &plain, false),
        ("YBR_FULL_422", &plain, true),
        ("RGB", &jfif, true),
        ("YBR_FULL_422", &jfif, true),
    ] {
        let lossy = objects::encapsulated(&Shape { photometric, ..shape }, &[stream]);
        let native = convert(JPEG, EXPLICIT, &lossy).unwrap();
        assert_eq!(header(EXPLICIT, &native).text(PHOTOMETRIC).as_deref(), Some("RGB"));
        let raw = objects::raw_components(stream);
        assert_eq!(native.ends_with(&raw), !is_converted, "{photometric}");
    }
}

#[test]
fn what_lies_or_is_damaged_is_refused() {
    let shape = gray(16, 12, false);
    for to in [RLE, JPEG_LS, JPEG_LOSSLESS, J2K, HTJ2K] {
        let good = objects::frame_of(EXPLICIT, to, &shape);
        for (what, wrong) in [
            ("rows", Shape { rows: shape.rows + 1, ..shape }),
            ("columns", Shape { columns: shape.columns - 1, ..shape }),
            ("samples", Shape { samples: 3, photometric: "RGB", ..shape }),
            ("bits", Shape { bits_allocated: 8, bits_stored: 8, ..shape }),
        ] {
            let lying = objects::encapsulated(&wrong, &[&good]);
            let result = convert(to, EXPLICIT, &lying);
            assert!(result.is_err(), "{to}: {what}");
        }
        let cut = objects::encapsulated(&shape, &[&good[..good.len() / 2]]);
        assert!(convert(to, EXPLICIT, &cut).is_err(), "{to}: cut");
    }
    let huge = Shape { rows: 65_535, columns: 65_535, ..shape };
    let bomb = objects::encapsulated(&huge, &[&objects::frame_of(EXPLICIT, J2K, &shape)]);
    assert!(matches!(convert(J2K, EXPLICIT, &bomb), Err(Error::TooLarge(_))));
    let many = Shape { frames: 100_000, rows: 512, columns: 512, ..shape };
    let bomb = objects::encapsulated(&many, &[b"\0\0"]);
    assert!(matches!(convert(J2K, EXPLICIT, &bomb), Err(Error::TooLarge(_))));
    let short = objects::with_pixels(EXPLICIT, &shape, &[], Vr::OW, &[0; 10]);
    assert!(matches!(convert(EXPLICIT, RLE, &short), Err(Error::Damaged(_))));
    assert!(matches!(convert(EXPLICIT, J2K, &objects::without_pixels()), Err(Error::Unsupported(_))));
    assert!(convert(EXPLICIT, IMPLICIT, &objects::without_pixels()).is_ok());
}

#[test]
fn a_stream_of_too_many_layers_is_refused() {
    let shape = Shape { rows: 64, columns: 64, ..gray(8, 8, false) };
    let layers = |count| objects::encapsulated(&shape, &[&[JXL_HEAD, &JXL_LAYER.repeat(count)].concat()]);
    assert!(convert(JXL, EXPLICIT, &layers(4)).unwrap().ends_with(&[0; 64 * 64]));
    for count in [40, 65, 100_000] {
        assert!(matches!(convert(JXL, EXPLICIT, &layers(count)), Err(Error::TooLarge(_))), "{count}");
    }
}

#[test]
fn a_container_is_read_wherever_its_boxes_begin() {
    let shape = Shape { rows: 64, columns: 64, ..gray(8, 8, false) };
    let boxed =
        |kind: &[u8], content: &[u8]| [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat();
    let codestream = boxed(b"jxlc", &[JXL_HEAD, &JXL_LAYER.repeat(4)].concat());
    let start = [boxed(b"JXL ", b"\r\n\x87\n"), boxed(b"ftyp", b"jxl \0\0\0\0jxl ")].concat();
    for before in 960..1030 {
        let stream = [start.as_slice(), &boxed(b"Exif", &vec![0; before]), &codestream].concat();
        let read = convert(JXL, EXPLICIT, &objects::encapsulated(&shape, &[&stream]));
        assert!(read.unwrap().ends_with(&[0; 64 * 64]), "{before}");
    }
    let cut = [start.as_slice(), &codestream[..5]].concat();
    assert!(convert(JXL, EXPLICIT, &objects::encapsulated(&shape, &[&cut])).is_err());
}

#[test]
fn it_stops_when_nobody_waits() {
    let shape = Shape { frames: 3, ..gray(8, 8, false) };
    for to in [RLE, IMPLICIT, BIG] {
        let asked = std::cell::Cell::new(0);
        let goes_on = || {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        let stopped = convert_while(EXPLICIT, to, &object(EXPLICIT, &shape), &goes_on);
        assert!(matches!(stopped, Err(Error::Stopped)), "{to}");
        assert_eq!(asked.get(), 3, "{to}");
    }
}

#[test]
fn single_frames_are_read_in_any_order() {
    let shape = Shape { frames: 3, ..gray(16, 12, false) };
    let native = object(EXPLICIT, &shape);
    let frame_bytes = pixels(&shape).len() / 3;
    for (syntax, data_set) in [
        (EXPLICIT, native.clone()),
        (RLE, convert(EXPLICIT, RLE, &native).unwrap()),
        (DEFLATED, convert(EXPLICIT, DEFLATED, &native).unwrap()),
        (BIG, convert(EXPLICIT, BIG, &native).unwrap()),
    ] {
        let header = header(syntax, &data_set);
        let bytes = data_set.as_slice();
        let length = bytes.len() as u64;
        let object =
            Object { bytes: &bytes, data_offset: 0, length, transfer_syntax: syntax, header: &header };
        let mut frames = FrameReader::open(&object).unwrap();
        assert_eq!(frames.count(), 3);
        for index in [2, 0, 1] {
            let expected = &pixels(&shape)[index * frame_bytes..][..frame_bytes];
            assert_eq!(frames.frame(index as u64, EXPLICIT).unwrap(), expected, "{syntax}");
            assert!(frames.frame(index as u64, JPEG_LS).unwrap().starts_with(b"\xFF\xD8\xFF\xF7"));
        }
    }
}

#[test]
fn mutated_fragments_do_no_harm() {
    let mut random = 3_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below.max(1)
    };
    let shape = Shape { frames: 5, ..gray(8, 8, false) };
    let rle = convert(EXPLICIT, RLE, &object(EXPLICIT, &shape)).unwrap();
    let start = header(RLE, &rle).element(PIXELS).unwrap().offset as usize;
    let jpeg = [0; 5].map(|_| objects::jpeg(&shape));
    let jpeg = objects::encapsulated(&shape, &jpeg.each_ref().map(Vec::as_slice));
    let jpeg = &jpeg[header(JPEG, &jpeg).element(PIXELS).unwrap().offset as usize..];
    for round in 0..20_000 {
        let mut value = if round % 2 == 0 { rle[start..].to_vec() } else { jpeg.to_vec() };
        for _ in 0..next(5) {
            let at = next(value.len());
            value[at] = next(256) as u8;
        }
        fuzz_fragments(&[&[0, [5, 1, 4, 0][next(4)]], value.as_slice()].concat());
    }
}

#[test]
fn mutated_objects_and_frames_do_no_harm() {
    let mut random = 1_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below.max(1)
    };
    let started = std::time::Instant::now();
    let shapes = [gray(16, 12, false), rgb(8), Shape { frames: 2, ..gray(8, 8, false) }];
    for (round, to) in (0..).zip(abilities().iter().cycle()) {
        if started.elapsed().as_secs() >= 10 || round > 4000 {
            break;
        }
        let shape = &shapes[next(shapes.len())];
        let Ok(mut data_set) = convert(EXPLICIT, to.uid, &object(EXPLICIT, shape)) else { continue };
        for _ in 0..1 + next(4) {
            let at = data_set.len() - 1 - next(data_set.len().min(600));
            data_set[at] = next(256) as u8;
        }
        let from = abilities().iter().position(|ability| ability.uid == to.uid).unwrap() as u8;
        fuzz_transcode(&[&[from, 1], data_set.as_slice()].concat());
        let frame = objects::frame_of_any(to.uid, shape);
        if let Some(mut frame) = frame {
            let at = next(frame.len());
            frame[at] = next(256) as u8;
            let choice = objects::codec_number(to.uid);
            let head = [
                choice,
                (shape.columns / 4) as u8,
                (shape.rows / 4) as u8,
                objects::shape_byte(shape),
                11,
                1,
            ];
            fuzz_codec(&[&head, frame.as_slice()].concat());
        }
    }
    assert!(can(EXPLICIT, RLE).is_ok() && short(Encoding::ExplicitLittle, 1) == [1, 0]);
}

const JXL: &str = "1.2.840.10008.1.2.4.110";
/// A codestream of 64 by 64 samples of 8 bits, as libjxl begins it; and a frame of zeros in it.
const JXL_HEAD: &[u8] = b"\xFF\x0A\x4F\x04\x4D\0\x20\x28\x6E\x09";
const JXL_LAYER: &[u8] = b"\x08\x04\x01\0\x28\0\x4B\x12\x47\x09\xA5\x13\x04\x49\xC2\0";
