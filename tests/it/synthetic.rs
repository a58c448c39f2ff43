//! Objects that the tests make: invented patients, no pixels worth looking at.

use crate::scu::element;

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

/// A CT instance in Explicit VR Little Endian.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) study: String,
    pub(crate) series: String,
    pub(crate) instance: String,
    pub(crate) patient_id: String,
    pub(crate) patient_name: String,
    pub(crate) study_date: String,
    pub(crate) pixel_bytes: usize,
    /// Makes the content differ under the same UIDs.
    pub(crate) fill: u8,
}

impl Object {
    /// Instance `n` of series `series` of study `study`: UIDs below 2.25 made of these numbers.
    pub(crate) fn new(study: u32, series: u32, n: u32) -> Self {
        Self {
            study: format!("2.25.{study}"),
            series: format!("2.25.{study}.{series}"),
            instance: format!("2.25.{study}.{series}.{n}"),
            patient_id: format!("P{study}"),
            patient_name: format!("Test{study}^Person"),
            study_date: "20260102".to_owned(),
            pixel_bytes: 2048,
            fill: 0,
        }
    }

    /// The data set: four UIDs, what queries ask for, and pixels of 16 bits in rows of 32.
    pub(crate) fn data_set(&self) -> Vec<u8> {
        let mut bytes = [
            element(0x0008, 0x0016, "UI", CT),
            element(0x0008, 0x0018, "UI", &self.instance),
            element(0x0008, 0x0020, "DA", &self.study_date),
            element(0x0008, 0x0060, "CS", "CT"),
            element(0x0010, 0x0010, "PN", &self.patient_name),
            element(0x0010, 0x0020, "LO", &self.patient_id),
            element(0x0020, 0x000D, "UI", &self.study),
            element(0x0020, 0x000E, "UI", &self.series),
            element(0x0020, 0x0013, "IS", self.instance.rsplit('.').next().unwrap()),
            short(0x0028, 0x0002, 1),
            element(0x0028, 0x0004, "CS", "MONOCHROME2"),
            short(0x0028, 0x0010, (self.pixel_bytes / 64) as u16),
            short(0x0028, 0x0011, 32),
            short(0x0028, 0x0100, 16),
            short(0x0028, 0x0101, 16),
            short(0x0028, 0x0102, 15),
            short(0x0028, 0x0103, 0),
        ]
        .concat();
        bytes.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0]);
        bytes.extend((self.pixel_bytes as u32).to_le_bytes());
        bytes.extend((0..self.pixel_bytes).map(|n| (n as u8).wrapping_mul(31).wrapping_add(self.fill)));
        bytes
    }

    /// The data set as a file of PS3.10.
    pub(crate) fn file(&self) -> Vec<u8> {
        part10(CT, &self.instance, EXPLICIT, &self.data_set())
    }
}

/// A file of PS3.10: zero preamble, File Meta Information, data set.
pub(crate) fn part10(class: &str, instance: &str, syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let version = [2, 0, 1, 0, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1];
    let meta = [
        version.to_vec(),
        element(0x0002, 0x0002, "UI", class),
        element(0x0002, 0x0003, "UI", instance),
        element(0x0002, 0x0010, "UI", syntax),
        element(0x0002, 0x0012, "UI", "2.25.1"),
    ]
    .concat();
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\x00\x00\x00UL\x04\x00");
    bytes.extend((meta.len() as u32).to_le_bytes());
    bytes.extend(meta);
    bytes.extend(data_set);
    bytes
}

/// Where the data set of a well-made file begins, and its transfer syntax.
pub(crate) fn data_set_of(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    &file[144 + length..]
}

/// An element at the top level of a data set in Explicit VR Little Endian without undefined lengths.
pub(crate) struct Place {
    pub(crate) tag: (u16, u16),
    /// Where it begins, with its tag.
    pub(crate) start: usize,
    /// Where its value begins.
    pub(crate) value: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

/// The elements of such a data set.
pub(crate) fn places(data: &[u8]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let word = |at: usize| u16::from_le_bytes([data[at], data[at + 1]]);
    while let start = places.last().map_or(0, |last| last.end)
        && start < data.len()
    {
        let (value, length) = match &data[start + 4..start + 6] {
            b"OB" | b"OW" | b"UN" | b"SQ" => {
                let length = data[start + 8..start + 12].try_into().unwrap();
                (start + 12, u32::from_le_bytes(length) as usize)
            }
            _ => (start + 8, usize::from(word(start + 6))),
        };
        places.push(Place { tag: (word(start), word(start + 2)), start, value, end: value + length });
    }
    places
}

/// Such a data set without an element that it has.
pub(crate) fn without(data: &[u8], tag: (u16, u16)) -> Vec<u8> {
    let places = places(data);
    let place = places.iter().find(|place| place.tag == tag).expect("the element to leave out");
    [&data[..place.start], &data[place.end..]].concat()
}

/// Such a data set in Implicit VR Little Endian.
pub(crate) fn implicit(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for place in places(data) {
        bytes.extend(&data[place.start..place.start + 4]);
        bytes.extend(((place.end - place.value) as u32).to_le_bytes());
        bytes.extend(&data[place.value..place.end]);
    }
    bytes
}

/// Such a data set with its pixels, which come last, in one fragment.
pub(crate) fn encapsulated(data: &[u8]) -> Vec<u8> {
    let places = places(data);
    let pixels = places.last().unwrap();
    let fragment = &data[pixels.value..];
    [
        &data[..pixels.start],
        b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF",
        b"\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0",
        &(fragment.len() as u32).to_le_bytes(),
        fragment,
        b"\xFE\xFF\xDD\xE0\0\0\0\0",
    ]
    .concat()
}

/// Bytes as a deflate stream of one stored block (RFC 1951 §3.2.4).
pub(crate) fn deflated(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("one block holds it");
    [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), data].concat()
}

fn short(group: u16, number: u16, value: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(group.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(b"US\x02\x00");
    bytes.extend(value.to_le_bytes());
    bytes
}

/// The data set of an object of some hundred bytes in JPEG 2000, whose every sample of `size` by `size` is a precinct of its own.
pub(crate) fn precincts(object: &Object, size: u16) -> Vec<u8> {
    let number = u32::from(size).to_be_bytes();
    let extent = [number, number, [0; 4], [0; 4], number, number, [0; 4], [0; 4]].concat();
    let codestream = [
        &[0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0][..],
        &extent,
        &[0, 1, 15, 1, 1],
        &[0xFF, 0x52, 0, 13, 1, 0, 0, 1, 0, 0, 4, 4, 0, 1, 0],
        &[0xFF, 0x5C, 0, 4, 0x40, 0x40],
        &[0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 16, 0, 1, 0xFF, 0x93, 0, 0, 0xFF, 0xD9],
    ]
    .concat();
    let mut data = object.data_set();
    let pixels = data.windows(4).position(|tag| tag == b"\xE0\x7F\x10\0").unwrap();
    data.truncate(pixels);
    for number in [0x10_u8, 0x11] {
        let head = [&[0x28, 0, number, 0][..], b"US\x02\0"].concat();
        let at = data.windows(8).position(|window| window == head).unwrap();
        data[at + 8..at + 10].copy_from_slice(&size.to_le_bytes());
    }
    data.extend_from_slice(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\0\xE0");
    data.extend((codestream.len() as u32).to_le_bytes());
    data.extend(codestream);
    data.extend_from_slice(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    data
}
