//! Small objects and frames for tests.

use model::element::put;
use model::syntax::{Encoding, form};
use model::{Tag, Vr};
use oxiarc_jpeg::{
    DecodeOptions, Decoder, EncodeOptions, InputColor, MarkerPolicy, Subsampling, encode_to_vec_with_options,
};

use crate::ability::{Form, abilities, ability};
use crate::codec;
use crate::image::Image;

/// What an object says of its frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) samples: u16,
    pub(super) bits_allocated: u16,
    pub(super) bits_stored: u16,
    pub(super) is_signed: bool,
    pub(super) is_planar: bool,
    pub(super) photometric: &'static str,
    pub(super) frames: u32,
}

pub(super) fn gray(bits_allocated: u16, bits_stored: u16, is_signed: bool) -> Shape {
    Shape {
        columns: 37,
        rows: 21,
        samples: 1,
        bits_allocated,
        bits_stored,
        is_signed,
        is_planar: false,
        photometric: "MONOCHROME2",
        frames: 1,
    }
}

pub(super) fn rgb(bits: u16) -> Shape {
    Shape { samples: 3, photometric: "RGB", rows: 22, ..gray(bits, bits, false) }
}

/// Little endian pixels that rise, fall and repeat, padded to an even length.
pub(super) fn pixels(shape: &Shape) -> Vec<u8> {
    let per_frame = u32::from(shape.columns) * u32::from(shape.rows) * u32::from(shape.samples);
    let mut bytes = Vec::new();
    for index in 0..per_frame * shape.frames {
        let (x, y) = (index % 111, index / 111);
        let wave =
            if y % 5 == 0 { 7 } else { (x * 3 + y * y).wrapping_mul(if x > 90 { 2_654_435_761 } else { 1 }) };
        let shift = 32 - u32::from(shape.bits_stored);
        let value = if shape.is_signed {
            ((wave << shift).cast_signed() >> shift).cast_unsigned()
        } else {
            (wave << shift) >> shift
        };
        bytes.extend_from_slice(&value.to_le_bytes()[..usize::from(shape.bits_allocated) / 8]);
    }
    if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
    bytes
}

pub(super) fn element(tag: Tag, vr: Vr, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, Encoding::ExplicitLittle, tag, vr, value);
    out
}

pub(super) fn short(encoding: Encoding, number: u16) -> [u8; 2] {
    if encoding == Encoding::ExplicitBig { number.to_be_bytes() } else { number.to_le_bytes() }
}

/// An object in Explicit VR Little Endian, which `syntax` has to be.
pub(super) fn object(syntax: &str, shape: &Shape) -> Vec<u8> {
    with(syntax, shape, &[], &[])
}

/// With elements before those of the image, and before the pixels.
pub(super) fn with(syntax: &str, shape: &Shape, before: &[u8], behind: &[u8]) -> Vec<u8> {
    let vr = if shape.bits_allocated > 8 { Vr::OW } else { Vr::OB };
    let head = [image_elements(syntax, shape, before), behind.to_vec()].concat();
    [head, element(Tag(0x7FE0, 0x0010), vr, &pixels(shape))].concat()
}

pub(super) fn with_pixels(syntax: &str, shape: &Shape, before: &[u8], vr: Vr, value: &[u8]) -> Vec<u8> {
    [image_elements(syntax, shape, before), element(Tag(0x7FE0, 0x0010), vr, value)].concat()
}

pub(super) fn without_pixels() -> Vec<u8> {
    element(Tag(0x0010, 0x0020), Vr::LO, b"12")
}

/// With one fragment for each frame, and an empty offset table.
pub(super) fn encapsulated(shape: &Shape, frames: &[&[u8]]) -> Vec<u8> {
    let mut out = image_elements("1.2.840.10008.1.2.1", shape, &[]);
    out.extend_from_slice(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0");
    for frame in frames {
        let padded = [frame, &[0][..frame.len() % 2]].concat();
        out.extend_from_slice(b"\xFE\xFF\0\xE0");
        out.extend_from_slice(&(padded.len() as u32).to_le_bytes());
        out.extend_from_slice(&padded);
    }
    out.extend_from_slice(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    out
}

/// The first frame of a shape, encoded.
pub(super) fn frame_of(_: &str, to: &str, shape: &Shape) -> Vec<u8> {
    frame_of_any(to, shape).unwrap()
}

/// A frame of these bytes, encoded.
pub(super) fn encoded(to: &str, shape: &Shape, frame: &[u8]) -> Vec<u8> {
    let Form::Encapsulated(codec) = ability(to).unwrap().form else { panic!("{to} is native") };
    codec::encode(codec, frame, &image(shape)).unwrap()
}

/// The same; `None` where there is no encoder.
pub(super) fn frame_of_any(to: &str, shape: &Shape) -> Option<Vec<u8>> {
    let Form::Encapsulated(codec) = ability(to)?.form else { return None };
    let image = image(shape);
    let bytes = image.frame_bytes().unwrap();
    codec::encode(codec, &pixels(shape)[..bytes], &image).ok()
}

/// The number by which the fuzzer knows a codec.
pub(super) fn codec_number(uid: &str) -> u8 {
    let encapsulated = abilities().iter().filter(|ability| matches!(ability.form, Form::Encapsulated(_)));
    encapsulated.take_while(|ability| ability.uid != uid).count() as u8
}

/// How the fuzzer knows a shape.
pub(super) fn shape_byte(shape: &Shape) -> u8 {
    let bits = if shape.bits_allocated == 16 { 1 << 4 } else { 0 };
    bits | u8::from(shape.samples == 3)
}

/// A baseline stream of gray.
pub(super) fn jpeg(shape: &Shape) -> Vec<u8> {
    let count = usize::from(shape.columns) * usize::from(shape.rows);
    let pixels = pixels(shape);
    let options = EncodeOptions::default();
    encode_to_vec_with_options(&pixels[..count], shape.columns, shape.rows, InputColor::Luma, &options)
        .unwrap()
}

/// A baseline stream of three components that are coded as they are, with or without the JFIF marker.
pub(super) fn jpeg_of_rgb(shape: &Shape, has_jfif: bool) -> Vec<u8> {
    let options = EncodeOptions {
        subsampling: Subsampling::S444,
        write_jfif: if has_jfif { MarkerPolicy::Always } else { MarkerPolicy::Never },
        write_adobe: MarkerPolicy::Never,
        ..EncodeOptions::default()
    };
    encode_to_vec_with_options(&pixels(shape), shape.columns, shape.rows, InputColor::Ycbcr, &options)
        .unwrap()
}

/// The components of a stream, whatever they mean.
pub(super) fn raw_components(stream: &[u8]) -> Vec<u8> {
    Decoder::with_options(stream, DecodeOptions::raw()).decode().unwrap()
}

fn image(shape: &Shape) -> Image {
    Image {
        columns: shape.columns.into(),
        rows: shape.rows.into(),
        samples: shape.samples.into(),
        bits_allocated: shape.bits_allocated.into(),
        bits_stored: shape.bits_stored.into(),
        is_low: true,
        is_signed: shape.is_signed,
        photometric: shape.photometric.to_owned(),
        is_planar: shape.is_planar,
        frames: shape.frames.into(),
    }
}

fn image_elements(syntax: &str, shape: &Shape, before: &[u8]) -> Vec<u8> {
    assert_eq!(form(syntax).encoding, Encoding::ExplicitLittle);
    let mut out = before.to_vec();
    let mut number = |element: u16, value: u16| {
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0028, element), Vr::US, &value.to_le_bytes());
    };
    number(0x0002, shape.samples);
    put(&mut out, Encoding::ExplicitLittle, Tag(0x0028, 0x0004), Vr::CS, shape.photometric.as_bytes());
    let mut number = |element: u16, value: u16| {
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0028, element), Vr::US, &value.to_le_bytes());
    };
    if shape.samples > 1 {
        number(0x0006, u16::from(shape.is_planar));
    }
    put(&mut out, Encoding::ExplicitLittle, Tag(0x0028, 0x0008), Vr::IS, shape.frames.to_string().as_bytes());
    for (element, value) in [
        (0x0010, shape.rows),
        (0x0011, shape.columns),
        (0x0100, shape.bits_allocated),
        (0x0101, shape.bits_stored),
        (0x0102, shape.bits_stored - 1),
        (0x0103, u16::from(shape.is_signed)),
    ] {
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0028, element), Vr::US, &value.to_le_bytes());
    }
    out
}
