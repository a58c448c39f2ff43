//! What came against what was sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::table::Cell;
use crate::harness::files_below;
use crate::synthetic::{EXPLICIT, IMPLICIT, Object, data_set_of, places};

/// A data set as it came.
pub(super) struct Came {
    syntax: String,
    data_set: Vec<u8>,
}

impl Came {
    /// From a file of PS3.10.
    pub(super) fn file(file: &[u8]) -> Self {
        let data_set = data_set_of(file);
        let meta = &file[144..file.len() - data_set.len()];
        let syntax = places(meta).into_iter().find(|place| place.tag == (0x0002, 0x0010)).unwrap();
        let syntax = String::from_utf8_lossy(&meta[syntax.value..syntax.end]);
        Self { syntax: syntax.trim_end_matches('\0').to_owned(), data_set: data_set.to_vec() }
    }

    /// As the server keeps what was stored in Explicit VR Little Endian.
    pub(super) fn explicit(data_set: Vec<u8>) -> Self {
        Self { syntax: EXPLICIT.to_owned(), data_set }
    }

    /// From all files below a folder, but for hidden ones.
    pub(super) fn below(folder: &Path) -> Vec<Self> {
        let is_shown =
            |path: &&std::path::PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
        files_below(folder).iter().filter(is_shown).map(|path| Self::file(&fs::read(path).unwrap())).collect()
    }

    /// Values by tag without their padding, and without group lengths.
    fn elements(&self) -> BTreeMap<(u16, u16), &[u8]> {
        let data = self.data_set.as_slice();
        let found: Vec<_> = match self.syntax.as_str() {
            EXPLICIT => {
                places(data).into_iter().map(|place| (place.tag, &data[place.value..place.end])).collect()
            }
            IMPLICIT => implicit(data),
            other => panic!("nothing was sent in {other}"),
        };
        let value =
            |value: &'_ [u8]| value.len() - value.iter().rev().take_while(|b| matches!(b, 0 | b' ')).count();
        let elements = found.into_iter().filter(|(tag, _)| tag.1 != 0);
        elements
            .map(|(tag, bytes)| (tag, if tag.0 == 0x7FE0 { bytes } else { &bytes[..value(bytes)] }))
            .collect()
    }
}

/// What is to be said of these that should be those objects.
pub(super) fn compare(came: &[Came], objects: &[Object]) -> Cell {
    assert_eq!(came.len(), objects.len(), "instances");
    let sent: Vec<Came> = objects.iter().map(|object| Came::explicit(object.data_set())).collect();
    let bytes = |came: &[Came]| {
        let mut bytes: Vec<Vec<u8>> = came.iter().map(|came| came.data_set.clone()).collect();
        bytes.sort();
        bytes
    };
    if bytes(came) == bytes(&sent) {
        return Cell::Did(format!("{} exact", sent.len()));
    }
    for sent in &sent {
        let expected = sent.elements();
        let instance = (0x0008, 0x0018);
        let found =
            came.iter().map(Came::elements).find(|found| found.get(&instance) == expected.get(&instance));
        let found = found.expect("each instance came");
        let tags = |elements: &BTreeMap<_, _>| elements.keys().copied().collect::<Vec<(u16, u16)>>();
        assert_eq!(tags(&found), tags(&expected));
        assert!(found == expected, "values differ");
    }
    Cell::Did(format!("{} alike", sent.len()))
}

/// The elements of a data set in Implicit VR Little Endian without undefined lengths.
fn implicit(mut data: &[u8]) -> Vec<((u16, u16), &[u8])> {
    let mut found = Vec::new();
    while let [a, b, c, d, l0, l1, l2, l3, rest @ ..] = data {
        let tag = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        found.push((tag, &rest[..length]));
        data = &rest[length..];
    }
    found
}
