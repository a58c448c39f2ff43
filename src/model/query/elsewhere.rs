#![deny(clippy::indexing_slicing, clippy::string_slice)]

use super::verdict::verdict;
use super::{Key, Matching, Query, date, matches_wildcard, time};
use crate::attributes::{Attribute, Attributes};
use crate::fold::{fold_groups, fold_person_name, without_rest};
use crate::{Tag, Vr, vr};

/// A query as another archive can be asked it, with the matching that every one has (PS3.4 §C.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The identifier but for its level: keys with their values, and return keys without.
    pub keys: Attributes,
    /// What the identifier says, for an archive that does not heed it.
    said: Vec<Key>,
    /// What the identifier cannot say, so that an answer may match and still not meet it.
    rest: Vec<Key>,
}

impl Query {
    /// The query as an identifier, with more return keys than its own.
    ///
    /// What takes an extended mechanism, such as a range of moments or an empty value, is asked for as widely as it takes and is
    /// left to [`Elsewhere::is_met_by`]. Names are asked for as they are written, time zones are not converted.
    ///
    /// PS3.4 §C.4.1.1.3.1.
    pub fn elsewhere(&self, more: impl IntoIterator<Item = Tag>) -> Elsewhere {
        let mut keys = Attributes::new();
        for tag in self.include.tags.iter().copied().chain(more) {
            keys.insert(tag, vr::of_tag(tag, false), Vec::new());
        }
        let (mut said, mut rest) = (Vec::new(), Vec::new());
        for key in &self.keys {
            // These two are the answer's own; several keys may be about one attribute, of which an identifier has one.
            let is_own = OF_THE_ANSWER.contains(&key.tag);
            let is_taken = keys.get(key.tag).is_some_and(has_value);
            match Said::of(key).filter(|_| !is_own && !is_taken) {
                Some(Said { attribute, is_all }) => {
                    keys.put(key.tag, attribute);
                    if is_all { said.push(key.clone()) } else { rest.push(key.clone()) }
                }
                None => rest.push(key.clone()),
            }
        }
        OF_THE_ANSWER.into_iter().for_each(|tag| keys.remove(tag));
        said.retain(|key| self.is_comparable(key));
        Elsewhere { keys, said, rest }
    }

    /// Whether another archive takes for a match what we do: names go by their sound, dates and times by a time zone with us only.
    fn is_comparable(&self, key: &Key) -> bool {
        match key.vr {
            Vr::PN => !self.fuzzy,
            Vr::DA | Vr::TM | Vr::DT => self.zone.is_none(),
            _ => true,
        }
    }
}

impl Elsewhere {
    /// Whether an answer meets what the identifier could not say, and does not gainsay the rest, as that of an archive does which
    /// matches universally what it does not know. What the answer does not have at all is not held against it (PS3.4 §C.2.2.1.3).
    pub fn is_met_by(&self, answer: &Attributes) -> bool {
        let is_met = |key: &Key| answer.get(key.tag).is_none() || is_met(key, answer);
        self.rest.iter().all(is_met) && self.said.iter().all(|key| verdict(key, answer) != Some(false))
    }

    /// Whether an answer does not tell of some key whether it meets it. UIDs aside: of what stands above the level some do not repeat
    /// them.
    pub fn is_left_open_by(&self, answer: &Attributes) -> bool {
        let is_open = |key: &Key| key.vr != Vr::UI && verdict(key, answer).is_none();
        let is_absent = |key: &Key| !OF_THE_ANSWER.contains(&key.tag) && answer.get(key.tag).is_none();
        self.said.iter().any(is_open) || self.rest.iter().any(is_absent)
    }
}

/// A key in an identifier.
struct Said {
    attribute: Attribute,
    /// Whether it asks for just that, and not for more.
    is_all: bool,
}

impl Said {
    /// `None` where it can only be asked for everything.
    fn of(key: &Key) -> Option<Self> {
        let of = |values| Attribute { vr: key.vr, values, items: Vec::new(), bytes: Vec::new() };
        let exactly = |values| Some(Said { attribute: of(values), is_all: true });
        match &key.matching {
            Matching::Single(value) => exactly(vec![value.clone()]),
            Matching::Wildcard(pattern) => exactly(vec![pattern.clone()]),
            Matching::UidList(values) if matches!(key.vr, Vr::UI) => exactly(values.clone()),
            Matching::Range { from, to } => exactly(vec![range(from.as_deref(), to.as_deref())]),
            Matching::Moments { from, to, .. } => {
                let day = |end: &Option<(String, String)>| end.as_ref().map(|(day, _)| day.clone());
                let days = range(day(from).as_deref(), day(to).as_deref());
                Some(Said { attribute: of(vec![days]), is_all: false })
            }
            Matching::Item(inner) => {
                let mut item = Attributes::new();
                let mut is_all = true;
                for key in inner {
                    let inner = Said::of(key).filter(|_| item.get(key.tag).is_none());
                    is_all &= inner.as_ref().is_some_and(|said| said.is_all);
                    match inner {
                        Some(said) => item.put(key.tag, said.attribute),
                        None if item.get(key.tag).is_none() => item.insert(key.tag, key.vr, Vec::new()),
                        None => {}
                    }
                }
                Some(Said { attribute: Attribute { items: vec![item], ..of(Vec::new()) }, is_all })
            }
            Matching::UidList(_) | Matching::Empty | Matching::AnyOf(_) => None,
        }
    }
}

fn range(from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from == to => from.to_owned(),
        (from, to) => format!("{}-{}", from.unwrap_or_default(), to.unwrap_or_default()),
    }
}

fn has_value(attribute: &Attribute) -> bool {
    !attribute.values.is_empty() || !attribute.items.is_empty()
}

fn is_met(key: &Key, answer: &Attributes) -> bool {
    let found = answer.get(key.tag);
    let values = || found.into_iter().flat_map(|attribute| &attribute.values);
    match &key.matching {
        Matching::Item(inner) => {
            let mut items = found.into_iter().flat_map(|attribute| &attribute.items);
            items.any(|item| inner.iter().all(|key| is_met(key, item)))
        }
        Matching::Empty => !found.is_some_and(has_value) || values().all(String::is_empty),
        Matching::Moments { time: of_time, from, to } => {
            let Some(day) = answer.first(key.tag).and_then(date) else { return false };
            // A day without a time counts as its first moment.
            let first = answer.first(*of_time).and_then(time).map(|(first, _)| first);
            let moment = (day, first.unwrap_or_default());
            from.as_ref().is_none_or(|from| *from <= moment) && to.as_ref().is_none_or(|to| moment <= *to)
        }
        Matching::AnyOf(parts) => {
            parts.iter().any(|part| is_met(&Key { tag: key.tag, vr: key.vr, matching: part.clone() }, answer))
        }
        matching if key.vr == Vr::PN => values().any(|name| is_name(matching, name)),
        matching => values().any(|value| matching.is_met_by(value)),
    }
}

/// Matching of a person name, folded as in our own index: in any of its component groups.
pub(super) fn is_name(matching: &Matching, name: &str) -> bool {
    let meets = |wanted: &str, group: &str| match matching {
        Matching::Wildcard(_) => matches_wildcard(wanted, group) || without_rest(wanted) == Some(group),
        _ => wanted == group,
    };
    let wanted: Vec<String> = match matching {
        Matching::Single(text) | Matching::Wildcard(text) => fold_groups(text).collect(),
        Matching::UidList(_)
        | Matching::Range { .. }
        | Matching::Moments { .. }
        | Matching::Item(_)
        | Matching::Empty
        | Matching::AnyOf(_) => return false,
    };
    match wanted.as_slice() {
        [wanted] => fold_person_name(name).iter().any(|group| meets(wanted, group)),
        several => {
            let groups: Vec<String> = fold_groups(name).collect();
            let group = |at: usize| groups.get(at).map_or("", String::as_str);
            several.iter().enumerate().all(|(at, wanted)| wanted.is_empty() || meets(wanted, group(at)))
        }
    }
}

/// Retrieve AE Title and Instance Availability say how we give what is elsewhere: nobody else is asked for them.
const OF_THE_ANSWER: [Tag; 2] = [Tag(0x0008, 0x0054), Tag(0x0008, 0x0056)];

#[cfg(test)]
mod tests {
    use super::super::{Keys, Mechanisms};
    use super::*;
    use crate::QueryRetrieveLevel::Study;

    const DATE: Tag = Tag(0x0008, 0x0020);
    const TIME: Tag = Tag(0x0008, 0x0030);
    const ACCESSION: Tag = Tag(0x0008, 0x0050);
    const AVAILABILITY: Tag = Tag(0x0008, 0x0056);
    const NAME: Tag = Tag(0x0010, 0x0010);
    const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
    const STUDY: Tag = Tag(0x0020, 0x000D);
    const CODES: Tag = Tag(0x0008, 0x1032);
    const VALUE: Tag = Tag(0x0008, 0x0100);

    fn query(keys: &[(Tag, Vr, &str)]) -> Query {
        let all = Mechanisms {
            combined_datetime: true,
            empty_values: true,
            multiple_values: true,
            ..Mechanisms::default()
        };
        let mut read = Keys::new(all);
        for (tag, vr, value) in keys {
            read.add(*tag, *vr, value).unwrap();
        }
        Query { keys: read.finish().unwrap(), ..Query::new(Study) }
    }

    fn answer(values: &[(Tag, Vr, &str)]) -> Attributes {
        let mut answer = Attributes::new();
        values.iter().for_each(|(tag, vr, value)| answer.insert_text(*tag, *vr, value));
        answer
    }

    /// The value of the one key as it is asked for, and whether that says all.
    fn asked(tag: Tag, vr: Vr, value: &str) -> (String, bool) {
        let elsewhere = query(&[(tag, vr, value)]).elsewhere([]);
        let values = elsewhere.keys.get(tag).map(|attribute| attribute.values.join("\\"));
        (values.unwrap_or_default(), elsewhere.rest.is_empty())
    }

    #[test]
    fn every_kind_of_matching_is_said_as_far_as_it_can_be() {
        for (tag, vr, value, expected, is_all) in [
            (PATIENT_ID, Vr::LO, "P 1", "P 1", true),
            (NAME, Vr::PN, "Do?^J*", "Do?^J*", true),
            (STUDY, Vr::UI, "1.2\\1.3", "1.2\\1.3", true),
            (DATE, Vr::DA, "20260101", "20260101", true),
            (DATE, Vr::DA, "20260101-", "20260101-", true),
            (DATE, Vr::DA, "-20260101", "-20260101", true),
            (DATE, Vr::DA, "20260101-20260101", "20260101", true),
            (TIME, Vr::TM, "10", "100000.000000-105959.999999", true),
            (PATIENT_ID, Vr::LO, "P1\\P2", "", false),
            (ACCESSION, Vr::SH, "\"\"", "", false),
            (NAME, Vr::PN, "Doe\\Roe", "", false),
            (AVAILABILITY, Vr::CS, "ONLINE", "", false),
        ] {
            assert_eq!(asked(tag, vr, value), (expected.to_owned(), is_all), "{value}");
        }
    }

    #[test]
    fn return_keys_have_no_value_and_those_of_the_answer_are_not_asked_for() {
        let mut query = query(&[(PATIENT_ID, Vr::LO, "P1")]);
        query.include.tags.extend([NAME, PATIENT_ID, AVAILABILITY, Tag(0x0008, 0x0054)]);
        let keys = query.elsewhere([STUDY]).keys;
        let tags: Vec<Tag> = keys.iter().map(|(tag, _)| *tag).collect();
        assert_eq!(tags, [NAME, PATIENT_ID, STUDY]);
        assert_eq!((keys.first(PATIENT_ID), keys.first(NAME)), (Some("P1"), None));
    }

    #[test]
    fn what_could_not_be_said_is_asked_of_the_answer() {
        let moments =
            query(&[(DATE, Vr::DA, "20260102-20260103"), (TIME, Vr::TM, "10-12")]).elsewhere([TIME]);
        assert_eq!(moments.keys.first(DATE), Some("20260102-20260103"));
        assert_eq!(moments.keys.first(TIME), None);
        for (day, time, expected) in [
            ("20260102", "0959", false),
            ("20260102", "10", true),
            ("20260102", "2300", true),
            ("20260103", "12:59:59", true),
            ("20260103", "13", false),
            ("20260103", "", true),
            ("20260102", "", false),
        ] {
            let answer = answer(&[(DATE, Vr::DA, day), (TIME, Vr::TM, time)]);
            assert_eq!(moments.is_met_by(&answer), expected, "{day} {time}");
        }
        let some = query(&[(PATIENT_ID, Vr::LO, "P1\\P*9"), (ACCESSION, Vr::SH, "\"\"")]).elsewhere([]);
        for (id, accession, expected) in
            [("P1", "", true), ("P29", "", true), ("P2", "", false), ("P1", "A1", false)]
        {
            let answer = answer(&[(PATIENT_ID, Vr::LO, id), (ACCESSION, Vr::SH, accession)]);
            assert_eq!(some.is_met_by(&answer), expected, "{id} {accession}");
        }
        assert!(some.is_met_by(&answer(&[])), "keys that it does not know are not held against it");
    }

    #[test]
    fn what_was_said_is_asked_of_the_answer_as_far_as_it_tells() {
        let elsewhere = query(&[(PATIENT_ID, Vr::LO, "P1"), (NAME, Vr::PN, "Doe*"), (STUDY, Vr::UI, "1.2")])
            .elsewhere([]);
        for (id, name, is_met, is_open) in [
            (Some("P1"), Some("DOE^J"), true, false),
            (Some("P2"), Some("DOE^J"), false, false),
            (Some("P1"), Some("Roe"), false, false),
            (Some("P1"), None, true, true),
            (Some("P1"), Some(""), true, true),
            (None, Some("Roe"), false, true),
        ] {
            let mut answer = Attributes::new();
            id.into_iter().for_each(|id| answer.insert_text(PATIENT_ID, Vr::LO, id));
            name.into_iter().for_each(|name| answer.insert_text(NAME, Vr::PN, name));
            let told = (elsewhere.is_met_by(&answer), elsewhere.is_left_open_by(&answer));
            assert_eq!(told, (is_met, is_open), "{id:?} {name:?}");
        }
        assert!(!elsewhere.is_met_by(&answer(&[(STUDY, Vr::UI, "1.3")])));
        let by_sound = Query { fuzzy: true, ..query(&[(NAME, Vr::PN, "Meier")]) }.elsewhere([]);
        assert!(by_sound.is_met_by(&answer(&[(NAME, Vr::PN, "Meyer")])));
        let several = query(&[(PATIENT_ID, Vr::LO, "P1\\P2")]).elsewhere([]);
        assert!(
            several.is_left_open_by(&answer(&[]))
                && !several.is_left_open_by(&answer(&[(PATIENT_ID, Vr::LO, "")]))
        );
        let availability = query(&[(AVAILABILITY, Vr::CS, "ONLINE")]).elsewhere([]);
        assert!(!availability.is_left_open_by(&answer(&[])));
    }

    #[test]
    fn names_are_compared_as_in_our_index() {
        let names = query(&[(NAME, Vr::PN, "muller*\\Yamada^T*=山田*")]).elsewhere([]);
        for (name, expected) in [
            ("Müller^Zoë", true),
            ("=Muller", true),
            ("Yamada^Tarou=山田^太郎", true),
            ("Yamada^Tarou", false),
            ("Mueller", false),
        ] {
            assert_eq!(names.is_met_by(&answer(&[(NAME, Vr::PN, name)])), expected, "{name}");
        }
    }

    #[test]
    fn a_sequence_is_asked_for_by_one_item() {
        let mut query = query(&[]);
        let code = |matching| Key { tag: VALUE, vr: Vr::SH, matching };
        let plain = code(Matching::Single("C1".to_owned()));
        let either = code(Matching::UidList(vec!["C1".to_owned(), "C2".to_owned()]));
        let item = |codes: &[&str]| {
            let mut answer = Attributes::new();
            answer.insert_items(
                CODES,
                codes.iter().map(|code| self::answer(&[(VALUE, Vr::SH, code)])).collect(),
            );
            answer
        };
        query.keys = vec![Key { tag: CODES, vr: Vr::SQ, matching: Matching::Item(vec![plain]) }];
        let said = query.elsewhere([]);
        let asked = said.keys.get(CODES).and_then(|codes| codes.items.first()).unwrap();
        assert_eq!((asked.first(VALUE), said.rest.len()), (Some("C1"), 0));
        query.keys = vec![Key { tag: CODES, vr: Vr::SQ, matching: Matching::Item(vec![either]) }];
        let wider = query.elsewhere([]);
        assert!(wider.is_met_by(&item(&["C9", "C2"])) && !wider.is_met_by(&item(&["C9"])));
    }
}
