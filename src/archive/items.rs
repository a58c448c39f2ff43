//! Which attributes of sequence items the index has (PS3.4 §C.2.2.2.6): one table that drives what is kept, matched and
//! supported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::attributes::Attributes;
use model::charset::Charset;
use model::header::{Element, Header, Item, Value};
use model::query::Matching;
use model::{Tag, Vr, limits};
use rusqlite::{Connection, params};

use crate::Error;
use crate::condition::{Condition, on_texts};
use crate::rows::{bounded, is_padding, longest};

/// An attribute of the items of a sequence.
#[derive(Debug)]
pub(crate) struct ItemAttribute {
    pub(crate) sequence: Tag,
    pub(crate) tag: Tag,
    pub(crate) vr: Vr,
    /// Whose sequence it is.
    pub(crate) level: QueryRetrieveLevel,
    /// What stands for it in the index.
    code: i64,
}

impl ItemAttribute {
    /// The sequence that objects have it in: which regions there are in a study is gathered from what its instances show.
    fn source(&self) -> Tag {
        if self.is_gathered() { ANATOMIC_REGION } else { self.sequence }
    }

    /// Whether its owner has the items of all its instances, and not those of the first that has any.
    fn is_gathered(&self) -> bool {
        self.sequence == ANATOMIC_REGIONS_IN_STUDY
    }

    /// What stands for it in the index where the owners of items are of a level: a study has items of its patient, too.
    pub(crate) fn code(&self, owner: QueryRetrieveLevel) -> i64 {
        if self.level == Patient && owner > Patient { self.code + OF_STUDY } else { self.code }
    }
}

/// The value of an attribute in one item of an instance.
#[derive(Debug, Hash)]
pub(crate) struct ItemValue {
    /// The place of the attribute in [`ITEM_ATTRIBUTES`].
    place: usize,
    /// Of the item, from 0.
    number: i64,
    value: String,
}

impl ItemValue {
    /// Whether it says something of what is above the instance.
    pub(crate) fn is_above_instance(&self) -> bool {
        ITEM_ATTRIBUTES.get(self.place).is_some_and(|attribute| attribute.level < Image)
    }
}

/// The attribute with this tag in items of this sequence that rows of this level can have.
pub(crate) fn find(level: QueryRetrieveLevel, sequence: Tag, tag: Tag) -> Option<&'static ItemAttribute> {
    ITEM_ATTRIBUTES
        .iter()
        .find(|attribute| attribute.sequence == sequence && attribute.tag == tag && attribute.level <= level)
}

/// Whether rows of this level can be matched by items of this sequence.
pub(crate) fn has_sequence(level: QueryRetrieveLevel, sequence: Tag) -> bool {
    ITEM_ATTRIBUTES.iter().any(|attribute| attribute.sequence == sequence && attribute.level <= level)
}

/// Whether the index learns from the items of this sequence of an object.
pub(crate) fn is_source(sequence: Tag) -> bool {
    SOURCES.binary_search(&sequence).is_ok()
}

/// The values of a header for the index, those of the first items of each sequence.
pub(crate) fn values(header: &Header) -> Vec<ItemValue> {
    let mut values = Vec::new();
    let mut taken: Vec<Tag> = Vec::new();
    for element in header.elements().filter(|element| is_source(element.tag)) {
        if !taken.contains(&element.tag) {
            taken.push(element.tag);
            add_values(&element, header.charset(), &mut values);
        }
    }
    values
}

/// What the items of an owner must be, by the codes of their attributes: one item meets all.
///
/// Where only the lack of values is asked for, each for itself.
pub(crate) fn one_item(owner: &str, wanted: &[(i64, &Matching)]) -> Vec<Condition> {
    let first = wanted
        .iter()
        .position(|(_, matching)| matches!(&on_texts("", matching), (found, false) if !found.is_empty()));
    let of_owner = |code: i64| {
        format!("SELECT 1 FROM item INDEXED BY item_by_owner WHERE kind = {code} AND owner = {owner}")
    };
    let Some(first) = first else {
        let each = wanted.iter().filter_map(|(code, matching)| in_items(&of_owner(*code), "value", matching));
        return each.collect();
    };
    let mut sql = String::new();
    let mut values = Vec::new();
    for (at, (code, matching)) in wanted.iter().enumerate() {
        if at == first {
            let Some(condition) = Condition::any(on_texts("it.value", matching).0) else { continue };
            sql.insert_str(
                0,
                &format!(
                    "EXISTS (SELECT 1 FROM item AS it INDEXED BY item_by_owner WHERE it.kind = {code} AND it.owner = {owner} AND {}",
                    condition.sql
                ),
            );
            values.splice(0..0, condition.values);
        } else {
            let same_item = format!(
                "SELECT 1 FROM item AS other INDEXED BY item_by_owner
                 WHERE other.kind = {code} AND other.owner = it.owner AND other.number = it.number"
            );
            let Some(condition) = in_items(&same_item, "other.value", matching) else { continue };
            sql.push_str(&format!(" AND {}", condition.sql));
            values.extend(condition.values);
        }
    }
    sql.push(')');
    vec![Condition::new(sql, values)]
}

/// Whether there is a value among some items that meets a key.
fn in_items(items: &str, column: &str, matching: &Matching) -> Option<Condition> {
    let (alternatives, or_none) = on_texts(column, matching);
    let exists = Condition::any(alternatives)
        .map(|found| Condition::new(format!("EXISTS ({items} AND {})", found.sql), found.values));
    let none = or_none.then(|| Condition::new(format!("NOT EXISTS ({items})"), []));
    Condition::any(exists.into_iter().chain(none).collect())
}

/// Gives an owner the items that an instance speaks of. A sequence that the owner has stays as it is, unless it is gathered.
pub(crate) fn add(
    connection: &Connection,
    values: &[ItemValue],
    levels: &[QueryRetrieveLevel],
    owner: (QueryRetrieveLevel, i64),
) -> Result<(), Error> {
    let (owner_level, owner) = owner;
    let mut known: Vec<Tag> = Vec::new();
    let mut added: Vec<Tag> = Vec::new();
    for (attribute, value) in of_levels(values, levels).filter(|(attribute, _)| !attribute.is_gathered()) {
        if known.contains(&attribute.sequence) {
            continue;
        }
        if !added.contains(&attribute.sequence) {
            if has_sequence_of(connection, attribute.sequence, owner_level, owner)? {
                known.push(attribute.sequence);
                continue;
            }
            added.push(attribute.sequence);
        }
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO item (kind, value, owner, number) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![attribute.code(owner_level), value.value, owner, value.number])?;
    }
    let gathered: Vec<_> =
        of_levels(values, levels).filter(|(attribute, _)| attribute.is_gathered()).collect();
    for item in gathered.chunk_by(|(_, one), (_, other)| one.number == other.number) {
        gather(connection, item, owner_level, owner)?;
    }
    Ok(())
}

/// The values of attributes of some levels.
fn of_levels<'v>(
    values: &'v [ItemValue],
    levels: &[QueryRetrieveLevel],
) -> impl Iterator<Item = (&'static ItemAttribute, &'v ItemValue)> {
    let with_attribute = values.iter().filter_map(|value| Some((ITEM_ATTRIBUTES.get(value.place)?, value)));
    with_attribute.filter(move |(attribute, _)| levels.contains(&attribute.level))
}

/// Gives an owner one more item, unless it has one that says the same, or many.
fn gather(
    connection: &Connection,
    item: &[(&ItemAttribute, &ItemValue)],
    owner_level: QueryRetrieveLevel,
    owner: i64,
) -> Result<(), Error> {
    let mut same: Option<BTreeSet<i64>> = None;
    for (attribute, value) in item {
        let mut statement = connection
            .prepare_cached("SELECT number FROM item WHERE kind = ?1 AND owner = ?2 AND value = ?3")?;
        let found = statement
            .query_map(params![attribute.code(owner_level), owner, value.value], |row| row.get(0))?;
        let found = found.collect::<Result<BTreeSet<i64>, _>>()?;
        same = Some(match same {
            Some(same) => &same & &found,
            None => found,
        });
    }
    if same.is_some_and(|same| !same.is_empty()) {
        return Ok(());
    }
    let mut next = 0;
    for attribute in ITEM_ATTRIBUTES.iter().filter(|attribute| attribute.is_gathered()) {
        let mut statement = connection.prepare_cached(
            "SELECT coalesce(max(number) + 1, 0) FROM item INDEXED BY item_by_owner WHERE kind = ?1 AND owner = ?2",
        )?;
        next = next.max(statement.query_row([attribute.code(owner_level), owner], |row| row.get(0))?);
    }
    if usize::try_from(next).is_ok_and(|next| next >= limits::INDEXED_ITEMS) {
        return Ok(());
    }
    for (attribute, value) in item {
        connection
            .prepare_cached("INSERT INTO item (kind, value, owner, number) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![attribute.code(owner_level), value.value, owner, next])?;
    }
    Ok(())
}

/// Gives a patient the items that one of its studies has of it. A sequence that the patient has stays as it is.
pub(crate) fn copy_to_patient(connection: &Connection, study_pk: i64, patient_pk: i64) -> Result<(), Error> {
    let of_patients = || ITEM_ATTRIBUTES.iter().filter(|attribute| attribute.level == Patient);
    let mut wanted = Vec::new();
    for attribute in of_patients() {
        if !has_sequence_of(connection, attribute.sequence, Patient, patient_pk)? {
            wanted.push(attribute);
        }
    }
    for attribute in wanted {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO item (kind, value, owner, number)
                 SELECT ?1, value, ?2, number FROM item INDEXED BY item_by_owner WHERE kind = ?3 AND owner = ?4",
            )?
            .execute([attribute.code(Patient), patient_pk, attribute.code(Study), study_pk])?;
    }
    Ok(())
}

/// The items of a sequence that an owner has, with the attributes that the index has of them.
pub(crate) fn of_owner(
    connection: &Connection,
    sequence: Tag,
    owner_level: QueryRetrieveLevel,
    owner: i64,
) -> Result<Vec<Attributes>, Error> {
    let mut items: BTreeMap<i64, Attributes> = BTreeMap::new();
    for attribute in ITEM_ATTRIBUTES.iter().filter(|attribute| attribute.sequence == sequence) {
        let mut statement = connection.prepare_cached(
            "SELECT number, value FROM item INDEXED BY item_by_owner WHERE kind = ?1 AND owner = ?2",
        )?;
        let mut found = statement.query([attribute.code(owner_level), owner])?;
        while let Some(row) = found.next()? {
            let value: String = row.get(1)?;
            items.entry(row.get(0)?).or_default().insert_text(attribute.tag, attribute.vr, &value);
        }
    }
    Ok(items.into_values().collect())
}

/// The sequences that rows of a level have items of, with the level of their owners: a study has those of its patient, too.
pub(crate) fn sequences(level: QueryRetrieveLevel) -> impl Iterator<Item = (Tag, QueryRetrieveLevel)> {
    SEQUENCES.iter().filter_map(move |&sequence| {
        let of = ITEM_ATTRIBUTES.iter().find(|attribute| attribute.sequence == sequence)?.level;
        (of <= level).then_some((sequence, if of == Patient && level > Patient { Study } else { of }))
    })
}

/// Removes the items of a patient that is no more.
pub(crate) fn remove_of_patient(connection: &Connection, patient_pk: i64) -> Result<(), Error> {
    for attribute in ITEM_ATTRIBUTES.iter().filter(|attribute| attribute.level == Patient) {
        connection
            .prepare_cached("DELETE FROM item WHERE kind = ?1 AND owner = ?2")?
            .execute([attribute.code, patient_pk])?;
    }
    Ok(())
}

/// Whether an owner has items of a sequence.
pub(crate) fn has_sequence_of(
    connection: &Connection,
    sequence: Tag,
    owner_level: QueryRetrieveLevel,
    owner: i64,
) -> Result<bool, Error> {
    for attribute in ITEM_ATTRIBUTES.iter().filter(|attribute| attribute.sequence == sequence) {
        let mut statement = connection
            .prepare_cached("SELECT 1 FROM item INDEXED BY item_by_owner WHERE kind = ?1 AND owner = ?2")?;
        if statement.exists([attribute.code(owner_level), owner])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_values(sequence: &Element<'_>, charset: &Charset, values: &mut Vec<ItemValue>) {
    let Value::Items(items) = sequence.value() else { return };
    for (number, item) in (0..).zip(items.take(limits::INDEXED_ITEMS)) {
        let own =
            item.element(SPECIFIC_CHARACTER_SET).and_then(|element| element.bytes()).map(Charset::parse);
        let charset = own.as_ref().unwrap_or(charset);
        for (place, attribute) in ITEM_ATTRIBUTES.iter().enumerate() {
            if attribute.source() == sequence.tag
                && let Some(value) = text_of(item, attribute, charset)
            {
                values.push(ItemValue { place, number, value });
            }
        }
    }
}

fn text_of(item: Item<'_>, attribute: &ItemAttribute, charset: &Charset) -> Option<String> {
    let text = item.element(attribute.tag)?.text(charset)?;
    let text = bounded(text.trim_matches(is_padding).to_owned(), longest(attribute.vr));
    (!text.is_empty()).then_some(text)
}

/// The sequences, by tag.
static SEQUENCES: LazyLock<Vec<Tag>> = LazyLock::new(|| by_tag(|attribute| attribute.sequence));

/// Those of objects, by tag.
static SOURCES: LazyLock<Vec<Tag>> = LazyLock::new(|| by_tag(ItemAttribute::source));

fn by_tag(of: impl Fn(&ItemAttribute) -> Tag) -> Vec<Tag> {
    ITEM_ATTRIBUTES.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect()
}

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// What is added to the code of an attribute of a patient where a study has it.
const OF_STUDY: i64 = 1000;

const fn row(
    sequence: (u16, u16),
    attribute: (u16, u16),
    vr: Vr,
    level: QueryRetrieveLevel,
    code: i64,
) -> ItemAttribute {
    ItemAttribute {
        sequence: Tag(sequence.0, sequence.1),
        tag: Tag(attribute.0, attribute.1),
        vr,
        level,
        code,
    }
}

const OTHER_PATIENT_IDS: (u16, u16) = (0x0010, 0x1002);
const REFERENCED_PATIENT: (u16, u16) = (0x0008, 0x1120);
const PROCEDURE_CODE: (u16, u16) = (0x0008, 0x1032);
const REQUESTED_PROCEDURE_CODE: (u16, u16) = (0x0032, 0x1064);
const ADMITTING_DIAGNOSES_CODE: (u16, u16) = (0x0008, 0x1084);
const REFERENCED_STUDY: (u16, u16) = (0x0008, 0x1110);
const REQUEST_ATTRIBUTES: (u16, u16) = (0x0040, 0x0275);
const REFERENCED_STEP: (u16, u16) = (0x0008, 0x1111);
const PERFORMED_PROTOCOL_CODE: (u16, u16) = (0x0040, 0x0260);
const CONCEPT_NAME_CODE: (u16, u16) = (0x0040, 0xA043);
const CONTENT_TEMPLATE: (u16, u16) = (0x0040, 0xA504);

const SPECIMEN_DESCRIPTION: (u16, u16) = (0x0040, 0x0560);
const ANATOMIC_REGION: Tag = Tag(0x0008, 0x2218);
const REGIONS: (u16, u16) = (0x0008, 0x0063);
const ANATOMIC_REGIONS_IN_STUDY: Tag = Tag(REGIONS.0, REGIONS.1);

const CODE_VALUE: (u16, u16) = (0x0008, 0x0100);
const SCHEME: (u16, u16) = (0x0008, 0x0102);
const SCHEME_VERSION: (u16, u16) = (0x0008, 0x0103);
const CODE_MEANING: (u16, u16) = (0x0008, 0x0104);
const REFERENCED_CLASS: (u16, u16) = (0x0008, 0x1150);
const REFERENCED_INSTANCE: (u16, u16) = (0x0008, 0x1155);

/// All attributes of items that the index has. The last column is stored: it is never given to another one.
#[rustfmt::skip]
pub(crate) const ITEM_ATTRIBUTES: &[ItemAttribute] = &[
    row(OTHER_PATIENT_IDS, (0x0010, 0x0020), Vr::LO, Patient, 1), // Patient ID
    row(OTHER_PATIENT_IDS, (0x0010, 0x0021), Vr::LO, Patient, 2), // Issuer of Patient ID
    row(OTHER_PATIENT_IDS, (0x0010, 0x0022), Vr::CS, Patient, 3), // Type of Patient ID
    row(REFERENCED_PATIENT, REFERENCED_CLASS, Vr::UI, Patient, 4),
    row(REFERENCED_PATIENT, REFERENCED_INSTANCE, Vr::UI, Patient, 5),

    row(PROCEDURE_CODE, CODE_VALUE, Vr::SH, Study, 11),
    row(PROCEDURE_CODE, SCHEME, Vr::SH, Study, 12),
    row(PROCEDURE_CODE, SCHEME_VERSION, Vr::SH, Study, 13),
    row(PROCEDURE_CODE, CODE_MEANING, Vr::LO, Study, 14),
    row(REQUESTED_PROCEDURE_CODE, CODE_VALUE, Vr::SH, Study, 21),
    row(REQUESTED_PROCEDURE_CODE, SCHEME, Vr::SH, Study, 22),
    row(REQUESTED_PROCEDURE_CODE, SCHEME_VERSION, Vr::SH, Study, 23),
    row(REQUESTED_PROCEDURE_CODE, CODE_MEANING, Vr::LO, Study, 24),
    row(ADMITTING_DIAGNOSES_CODE, CODE_VALUE, Vr::SH, Study, 31),
    row(ADMITTING_DIAGNOSES_CODE, SCHEME, Vr::SH, Study, 32),
    row(ADMITTING_DIAGNOSES_CODE, SCHEME_VERSION, Vr::SH, Study, 33),
    row(ADMITTING_DIAGNOSES_CODE, CODE_MEANING, Vr::LO, Study, 34),
    row(REFERENCED_STUDY, REFERENCED_CLASS, Vr::UI, Study, 41),
    row(REFERENCED_STUDY, REFERENCED_INSTANCE, Vr::UI, Study, 42),

    row(REGIONS, CODE_VALUE, Vr::SH, Study, 111),
    row(REGIONS, SCHEME, Vr::SH, Study, 112),
    row(REGIONS, SCHEME_VERSION, Vr::SH, Study, 113),
    row(REGIONS, CODE_MEANING, Vr::LO, Study, 114),

    row(REQUEST_ATTRIBUTES, (0x0040, 0x0009), Vr::SH, Series, 51), // Scheduled Procedure Step ID
    row(REQUEST_ATTRIBUTES, (0x0040, 0x1001), Vr::SH, Series, 52), // Requested Procedure ID
    row(REQUEST_ATTRIBUTES, (0x0008, 0x0050), Vr::SH, Series, 53), // Accession Number
    row(REQUEST_ATTRIBUTES, (0x0020, 0x000D), Vr::UI, Series, 54), // Study Instance UID
    row(REQUEST_ATTRIBUTES, (0x0040, 0x0007), Vr::LO, Series, 55), // Scheduled Procedure Step Description
    row(REQUEST_ATTRIBUTES, (0x0032, 0x1060), Vr::LO, Series, 56), // Requested Procedure Description
    row(REFERENCED_STEP, REFERENCED_CLASS, Vr::UI, Series, 61),
    row(REFERENCED_STEP, REFERENCED_INSTANCE, Vr::UI, Series, 62),
    row(PERFORMED_PROTOCOL_CODE, CODE_VALUE, Vr::SH, Series, 71),
    row(PERFORMED_PROTOCOL_CODE, SCHEME, Vr::SH, Series, 72),
    row(PERFORMED_PROTOCOL_CODE, SCHEME_VERSION, Vr::SH, Series, 73),
    row(PERFORMED_PROTOCOL_CODE, CODE_MEANING, Vr::LO, Series, 74),

    row(CONCEPT_NAME_CODE, CODE_VALUE, Vr::SH, Image, 81),
    row(CONCEPT_NAME_CODE, SCHEME, Vr::SH, Image, 82),
    row(CONCEPT_NAME_CODE, SCHEME_VERSION, Vr::SH, Image, 83),
    row(CONCEPT_NAME_CODE, CODE_MEANING, Vr::LO, Image, 84),
    row(CONTENT_TEMPLATE, (0x0040, 0xDB00), Vr::CS, Image, 91), // Template Identifier
    row(CONTENT_TEMPLATE, (0x0008, 0x0105), Vr::CS, Image, 92), // Mapping Resource
    row(SPECIMEN_DESCRIPTION, (0x0040, 0x0551), Vr::LO, Image, 101), // Specimen Identifier
    row(SPECIMEN_DESCRIPTION, (0x0040, 0x0554), Vr::UI, Image, 102), // Specimen UID
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::vr;

    use super::*;

    #[test]
    fn the_table_is_true_and_its_codes_are_unique() {
        let mut codes = BTreeSet::new();
        for attribute in ITEM_ATTRIBUTES {
            assert!(attribute.code < OF_STUDY && codes.insert(attribute.code), "{}", attribute.code);
            assert_eq!(vr::of_tag(attribute.tag, false), attribute.vr, "{}", attribute.tag);
            assert_eq!(vr::of_tag(attribute.sequence, false), Vr::SQ, "{}", attribute.sequence);
            assert_eq!(
                QueryRetrieveLevel::of_attribute(attribute.sequence),
                attribute.level,
                "{}",
                attribute.sequence
            );
        }
    }
}
