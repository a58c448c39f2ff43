//! Header → the values of the index columns: decoded, trimmed, of bounded length.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use model::header::Header;
use model::{QueryRetrieveLevel, SopClassUid, Tag, Vr};

use crate::attribute::{ATTRIBUTES, Attribute, Kind};
use crate::items::{self, ItemValue};

/// The values of one instance for the columns of all tables, by their place in [`ATTRIBUTES`]; '' where there is
/// none.
#[derive(Debug)]
pub(crate) struct Values {
    values: Vec<String>,
    /// What the items of sequences say.
    pub(crate) items: Vec<ItemValue>,
    /// Equal for two instances that say the same of patient, study, series and SOP class. Of this process only.
    pub(crate) fingerprint: u64,
}

impl Values {
    pub(crate) fn from_header(header: &Header, sop_class: &SopClassUid) -> Self {
        let mut values = vec![String::new(); ATTRIBUTES.len()];
        let mut is_taken = vec![false; ATTRIBUTES.len()];
        for element in header.elements() {
            let Ok(found) = BY_TAG.binary_search_by_key(&element.tag, |(tag, _)| *tag) else { continue };
            let Some(&(_, place)) = BY_TAG.get(found) else { continue };
            let (Some(attribute), Some(value), Some(is_taken)) =
                (ATTRIBUTES.get(place), values.get_mut(place), is_taken.get_mut(place))
            else {
                continue;
            };
            if !std::mem::replace(is_taken, true) {
                let text = match element.integer() {
                    Some(number) if attribute.kind == Kind::Number => Some(number.to_string()),
                    Some(_) | None => element.text(header.charset()),
                };
                *value = text.map(|text| column_value(attribute, &text)).unwrap_or_default();
            }
        }
        let items = items::values(header);
        let fingerprint = fingerprint(&values, &items, sop_class);
        Self { values, items, fingerprint }
    }

    /// The value of the attribute at a place of [`ATTRIBUTES`].
    pub(crate) fn at(&self, place: usize) -> &str {
        self.values.get(place).map_or("", String::as_str)
    }
}

/// The text that a column holds of an attribute's decoded value.
pub(crate) fn column_value(attribute: &Attribute, text: &str) -> String {
    let text = text.trim_matches(is_padding);
    let value = match attribute.kind {
        Kind::Date => text.replace('.', ""),
        Kind::Time => text.replace(':', ""),
        Kind::Number => number(text),
        Kind::Texts if attribute.vr == Vr::IS => {
            let values =
                attribute.split(text).into_iter().map(|value| number(value.trim_matches(is_padding)));
            values.collect::<Vec<_>>().join("\\")
        }
        Kind::Text | Kind::Texts | Kind::Name(_) if text.contains('\\') => {
            let values = attribute.split(text).into_iter().map(|value| value.trim_matches(is_padding));
            values.collect::<Vec<_>>().join("\\")
        }
        Kind::Text | Kind::Texts | Kind::Decimal | Kind::Name(_) | Kind::Uid | Kind::Own => text.to_owned(),
        Kind::Terms(_) | Kind::Count | Kind::Constant(_) => text.to_owned(),
    };
    bounded(value, longest(attribute.vr))
}

/// An integer without sign and zeros that say nothing; other text as it is.
fn number(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |number: i64| number.to_string())
}

/// Cuts a text at a number of characters.
pub(crate) fn bounded(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
    }
    text
}

pub(crate) fn is_padding(character: char) -> bool {
    character == ' ' || character == '\0'
}

/// Characters of a value that the index keeps: what the VR allows with room for several values (PS3.5 §6.2).
pub(crate) fn longest(vr: Vr) -> usize {
    match vr {
        Vr::LT | Vr::ST | Vr::UT => 10_240,
        _ => 1_024,
    }
}

fn fingerprint(values: &[String], items: &[ItemValue], sop_class: &SopClassUid) -> u64 {
    let above_instance =
        ATTRIBUTES.iter().zip(values).filter(|(attribute, _)| attribute.level < QueryRetrieveLevel::Image);
    let items: Vec<_> = items.iter().filter(|item| item.is_above_instance()).collect();
    KEYS.hash_one((sop_class, above_instance.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), items))
}

/// The places of the attributes that come from the header, by tag.
static BY_TAG: LazyLock<Vec<(Tag, usize)>> = LazyLock::new(|| {
    let from_header = ATTRIBUTES.iter().enumerate().filter(|(_, attribute)| attribute.is_from_header());
    let mut by_tag: Vec<_> = from_header.map(|(place, attribute)| (attribute.tag, place)).collect();
    by_tag.sort_unstable_by_key(|(tag, _)| *tag);
    by_tag
});

/// Keyed, so that no sender can make two different instances look alike.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::find;

    fn check(tag: Tag, text: &str, expected: &str) {
        let attribute = find(QueryRetrieveLevel::Image, tag).unwrap();
        assert_eq!(column_value(attribute, text), expected, "{}", attribute.column);
    }

    #[test]
    fn columns_hold_values_without_padding_and_in_one_form() {
        check(Tag(0x0010, 0x0020), " P 1 ", "P 1");
        check(Tag(0x0008, 0x0020), "2020.01.31", "20200131");
        check(Tag(0x0008, 0x0030), "10:15:30.5 ", "101530.5");
        check(Tag(0x0020, 0x0011), "+007", "7");
        check(Tag(0x0020, 0x0011), "seven", "seven");
        check(Tag(0x0020, 0x1070), "012\\ +3 \\x\\", "12\\3\\x\\");
        check(Tag(0x0008, 0x0008), "ORIGINAL \\ PRIMARY\\", "ORIGINAL\\PRIMARY\\");
        check(Tag(0x0010, 0x4000), "one\\two ", "one\\two");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(bounded("é".repeat(10), 3), "ééé");
        assert_eq!(bounded("ab".to_owned(), 2), "ab");
        check(Tag(0x0010, 0x0020), &"é".repeat(2000), &"é".repeat(1024));
    }
}
