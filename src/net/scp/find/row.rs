use std::collections::BTreeSet;

use model::attributes::{Attributes, to_data_set};
use model::charset::Charset;
use model::query::Include;
use model::syntax::Form;
use model::{AeTitle, QueryRetrieveLevel, Tag, Vr, json, vr};
use pipeline::Row;

use super::{QUERY_RETRIEVE_LEVEL, RETRIEVE_AE_TITLE, deflate};

/// How the rows of one search become identifiers.
pub(super) struct Shape {
    pub(super) level: QueryRetrieveLevel,
    /// What is returned, as far as it is supported.
    pub(super) include: Include,
    /// Of the request's identifier.
    pub(super) charset: Charset,
    pub(super) form: Form,
    pub(super) retrieve_ae_title: AeTitle,
}

impl Shape {
    /// The identifier of a match: what is known of what was asked for, the rest with zero length. It is retrieved from us, and from
    /// the archive that has it, if that is another one.
    ///
    /// PS3.4 §C.4.1.1.3.2.
    pub(super) fn identifier(&self, row: Row, elsewhere: Option<&AeTitle>) -> Vec<u8> {
        let mut attributes = row.attributes;
        let stored = row.json.and_then(|stored| json::read(&stored)).unwrap_or_default();
        for (&tag, attribute) in &stored {
            if attributes.get(tag).is_none() {
                attributes.put(tag, attribute.clone());
            }
        }
        for &tag in &self.include.tags {
            if attributes.get(tag).is_none() {
                attributes.insert(tag, vr::of_tag(tag, false), Vec::new());
            }
        }
        for (&tag, wanted) in &self.include.within {
            attributes.retain_in_items(tag, |inner| wanted.contains(&inner));
        }
        if attributes.first(TIMEZONE_OFFSET).is_none() {
            attributes.remove(TIMEZONE_OFFSET);
        }
        attributes.insert_text(QUERY_RETRIEVE_LEVEL, Vr::CS, self.level.keyword());
        let titles = [&self.retrieve_ae_title].into_iter().chain(elsewhere).map(AeTitle::to_string);
        attributes.insert(RETRIEVE_AE_TITLE, Vr::AE, titles.collect());
        self.encoded(&attributes)
    }

    /// Whether making the identifier of a row may keep a thread busy for longer than others should wait for it.
    pub(super) fn takes_time(&self, row: &Row) -> bool {
        let within: usize = self.include.within.values().map(BTreeSet::len).sum();
        self.include.tags.len() + within > QUICK_KEYS
            || row.json.as_ref().is_some_and(|stored| stored.len() > QUICK_BYTES)
    }

    fn encoded(&self, attributes: &Attributes) -> Vec<u8> {
        let data_set = to_data_set(attributes, self.form.encoding, &self.charset);
        if self.form.deflated { deflate(&data_set) } else { data_set }
    }
}

/// Not there without a value: it says how to read dates and times (PS3.4 §C.4.1.1.3.2).
const TIMEZONE_OFFSET: Tag = Tag(0x0008, 0x0201);

const QUICK_BYTES: usize = 32 << 10;
const QUICK_KEYS: usize = 1000;

#[cfg(test)]
mod tests {
    use model::header::{Header, Value};
    use model::scan;
    use model::syntax::Encoding;

    use super::*;

    const CODES: Tag = Tag(0x0008, 0x1032);
    const VALUE: Tag = Tag(0x0008, 0x0100);
    const MEANING: Tag = Tag(0x0008, 0x0104);

    fn answer(include: Include, json: &str) -> Header {
        let form = Form { encoding: Encoding::ExplicitLittle, deflated: false };
        let shape = Shape {
            level: QueryRetrieveLevel::Study,
            include,
            charset: Charset::default(),
            form,
            retrieve_ae_title: AeTitle::parse("GANTRY").unwrap(),
        };
        let mut attributes = Attributes::new();
        attributes.insert_text(Tag(0x0008, 0x0050), Vr::SH, "indexed");
        let row = Row { attributes, ids: Default::default(), json: Some(json.as_bytes().to_vec()) };
        scan::scan(form, &shape.identifier(row, Some(&AeTitle::parse("OLD").unwrap()))).unwrap()
    }

    #[test]
    fn stored_attributes_join_those_of_the_index_and_what_is_nowhere_is_empty() {
        let mut include = Include::default();
        include.tags.extend([Tag(0x0008, 0x0050), Tag(0x0008, 0x1048), Tag(0x0008, 0x1110)]);
        let json = r#"{"00080050":{"vr":"SH","Value":["stored"]},"00081048":{"vr":"PN","Value":[{"Alphabetic":"Roe"}]}}"#;
        let answer = answer(include, json);
        let text = |tag| answer.text(tag).unwrap();
        assert_eq!([text(Tag(0x0008, 0x0050)), text(Tag(0x0008, 0x1048))], ["indexed", "Roe"]);
        assert_eq!([text(QUERY_RETRIEVE_LEVEL), text(RETRIEVE_AE_TITLE)], ["STUDY", "GANTRY\\OLD"]);
        let nowhere = answer.element(Tag(0x0008, 0x1110)).unwrap();
        assert_eq!((nowhere.vr, nowhere.length), (Vr::SQ, Some(0)));
    }

    #[test]
    fn the_time_zone_is_there_when_it_is_known() {
        let zone = |json: &str| {
            let include = Include { tags: [TIMEZONE_OFFSET].into(), ..Include::default() };
            answer(include, json).text(TIMEZONE_OFFSET)
        };
        assert_eq!(zone("{}"), None);
        assert_eq!(zone(r#"{"00080201":{"vr":"SH","Value":["+0100"]}}"#).as_deref(), Some("+0100"));
    }

    #[test]
    fn items_have_what_was_asked_of_them() {
        let json = r#"{"00081032":{"vr":"SQ","Value":[{"00080100":{"vr":"SH","Value":["1"]},"00080104":{"vr":"LO","Value":["one"]}},{}]}}"#;
        let tags = |within: Option<&[Tag]>| {
            let mut include = Include::default();
            include.tags.insert(CODES);
            include.within.extend(within.map(|wanted| (CODES, wanted.iter().copied().collect())));
            let answer = answer(include, json);
            let Value::Items(items) = answer.element(CODES).unwrap().value() else { panic!("no items") };
            items
                .map(|item| item.elements().map(|element| element.tag).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(tags(None), [vec![VALUE, MEANING], vec![]]);
        assert_eq!(tags(Some(&[MEANING])), [vec![MEANING], vec![]]);
    }
}
