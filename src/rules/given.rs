//! `given` of a test: built into a real data set and scanned, so that a test goes the whole way of an instance.

mod arrival;
mod key;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;

use model::header::Header;
use model::syntax::{self, Encoding};
use model::{Tag, Vr, element, scan, vr};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::Arrival;
use crate::finding::Finder;
use key::{Key, Private};

/// An instance that a test makes up.
pub(crate) struct Given {
    pub(crate) header: Header,
    pub(crate) arrival: Arrival,
}

/// Makes the instance of a test; `None` when that is not possible, which is noted.
///
/// The data set is in Explicit VR Little Endian and ISO_IR 192; private elements are in blocks that their creators reserve
/// (PS3.5 §7.8.1).
pub(crate) fn read(entries: &DeTable<'_>, at: &Range<usize>, finder: &mut Finder<'_>) -> Option<Given> {
    let arrival = arrival::read(entries, finder);
    let elements = entries.iter().filter(|(name, _)| !arrival::is_fact(name.get_ref()));
    let data_set = DataSet::read(elements, finder);
    let mut data_set = data_set?;
    data_set.elements.insert(SPECIFIC_CHARACTER_SET, (Vr::CS, b"ISO_IR 192".to_vec()));
    let form = syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    match scan::scan(form, &data_set.into_bytes()) {
        Ok(header) if header.omitted() == 0 => Some(Given { header, arrival: arrival? }),
        Ok(_) => {
            finder.error(at, "sequences are nested deeper than an instance is looked into", None);
            None
        }
        Err(error) => {
            finder.error(at, format!("makes no data set: {error}"), None);
            None
        }
    }
}

/// The elements of a data set or item.
#[derive(Default)]
struct DataSet {
    elements: BTreeMap<Tag, (Vr, Vec<u8>)>,
}

type Entry<'d, 'i> = (&'d Spanned<DeString<'i>>, &'d Spanned<DeValue<'i>>);

impl DataSet {
    fn read<'d, 'i: 'd>(
        entries: impl Iterator<Item = Entry<'d, 'i>>,
        finder: &mut Finder<'_>,
    ) -> Option<Self> {
        let mut data_set = Self::default();
        let mut is_whole = true;
        let mut private = Vec::new();
        for (name, given) in entries {
            let at = name.span();
            let key = key::read(name.get_ref(), &at, finder);
            let value = key.as_ref().and_then(|key| value::read(key, name.get_ref(), given, finder));
            match key.zip(value) {
                Some((Key::Tag(tag), (vr, bytes))) => {
                    is_whole &= data_set.insert(tag, vr, bytes, &at, finder);
                }
                Some((Key::Private(key), (vr, bytes))) => private.push((key, vr, bytes, at)),
                None => is_whole = false,
            }
        }
        // Behind those with a tag of their own, so that blocks that are taken already are known.
        for (key, vr, bytes, at) in private {
            let Some(tag) = data_set.reserve(&key) else {
                finder.error(&at, "no block is left for a private element", None);
                return None;
            };
            is_whole &= data_set.insert(tag, vr, bytes, &at, finder);
        }
        is_whole.then_some(data_set)
    }

    /// Whether there was no such element yet.
    fn insert(
        &mut self,
        tag: Tag,
        vr: Vr,
        bytes: Vec<u8>,
        at: &Range<usize>,
        finder: &mut Finder<'_>,
    ) -> bool {
        let before = self.elements.insert(tag, (vr, bytes));
        if before.is_some() {
            let message = format!("({:04X},{:04X}) is given twice", tag.group(), tag.element());
            finder.error(at, message, None);
        }
        before.is_none()
    }

    /// The tag of a private element in the block of its creator, which is reserved where it is not yet (PS3.5 §7.8.1).
    fn reserve(&mut self, key: &Private) -> Option<Tag> {
        let creator = |block: u8| Tag(key.group, u16::from(block));
        let tag = |block: u8, element: u8| Tag(key.group, u16::from_be_bytes([block, element]));
        let is_own = |block: &u8| {
            let found = self.elements.get(&creator(*block));
            found.is_some_and(|(_, bytes)| vr::trim(Vr::LO, bytes) == key.creator.as_bytes())
        };
        let is_free = |block: &u8| {
            let mut content = self.elements.range(tag(*block, 0)..=tag(*block, 0xFF));
            !self.elements.contains_key(&creator(*block)) && content.next().is_none()
        };
        let block = (0x10..=0xFF).find(is_own).or_else(|| (0x10..=0xFF).find(is_free))?;
        self.elements.insert(creator(block), (Vr::LO, key.creator.as_bytes().to_vec()));
        Some(tag(block, key.element))
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, (vr, value)) in self.elements {
            element::put(&mut bytes, Encoding::ExplicitLittle, tag, vr, &value);
        }
        bytes
    }
}

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const ITEM: Tag = Tag(0xFFFE, 0xE000);

#[cfg(test)]
mod tests;
