use std::collections::{BTreeMap, BTreeSet};

use super::moment::match_time_of_days;
use super::{Key, Matching, Mechanisms, QueryError};
use crate::{Tag, Vr, limits, sound};

/// The keys of one query as they are read, whichever door they come through: ties together what means something together.
#[derive(Debug)]
pub struct Keys {
    mechanisms: Mechanisms,
    keys: Vec<Key>,
    /// Where among them the keys of sequences are.
    sequences: BTreeMap<Tag, usize>,
    /// Dates and times whose value is written as a range.
    ranges: BTreeSet<Tag>,
    /// Times among them whose end comes before their beginning.
    across_days: BTreeSet<Tag>,
}

impl Keys {
    /// None yet. What the mechanisms say holds for all of them.
    pub fn new(mechanisms: Mechanisms) -> Self {
        let (ranges, across_days) = Default::default();
        Self { mechanisms, keys: Vec::new(), sequences: BTreeMap::new(), ranges, across_days }
    }

    /// Adds the key of an attribute with its value as [`Matching::parse`] takes it; nothing when it is universal.
    ///
    /// # Errors
    /// As [`Matching::parse`], with the tag.
    pub fn add(&mut self, tag: Tag, vr: Vr, value: &str) -> Result<(), QueryError> {
        if vr == Vr::TM
            && self.mechanisms.combined_datetime
            && let Some(matching) = match_time_of_days(value)
        {
            self.across_days.insert(tag);
            self.ranges.insert(tag);
            self.keys.push(Key { tag, vr, matching });
            return Ok(());
        }
        let matching = Matching::parse(vr, value, self.mechanisms).map_err(|error| error.of(tag))?;
        if let Some(matching) = matching {
            if self.mechanisms.fuzzy_names && words_of_one(vr, &matching) > limits::FUZZY_WORDS {
                return Err(QueryError::Alternatives { tag: Some(tag) });
            }
            if matches!(vr, Vr::DA | Vr::TM) && value.contains('-') {
                self.ranges.insert(tag);
            }
            self.keys.push(Key { tag, vr, matching });
        }
        Ok(())
    }

    /// None yet, for an item of a sequence of the same query.
    pub fn of_item(&self) -> Self {
        Self::new(self.mechanisms)
    }

    /// Adds keys that one item of a sequence must meet, together with those that were added for it before.
    pub fn add_within(&mut self, sequence: Tag, inner: Vec<Key>) {
        if inner.is_empty() {
            return;
        }
        let known = self.sequences.get(&sequence).and_then(|&at| self.keys.get_mut(at));
        match known.map(|key| &mut key.matching) {
            Some(Matching::Item(keys)) => keys.extend(inner),
            Some(_) | None => {
                self.sequences.insert(sequence, self.keys.len());
                self.keys.push(Key { tag: sequence, vr: Vr::SQ, matching: Matching::Item(inner) });
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let of = |key: &Key| match &key.matching {
            Matching::Item(inner) => inner.len(),
            _ => 1,
        };
        self.keys.iter().map(of).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys. Where it was agreed, a date and its time with ranges of the same form have become one range of moments.
    ///
    /// # Errors
    /// [`QueryError::Value`] for a range of times that goes beyond midnight without a range of dates, or for moments of which
    /// the last comes before the first. [`QueryError::Alternatives`] when all keys together give more patterns and ranges to choose
    /// from than [`limits::QUERY_ALTERNATIVES`], or ask for more words of names by their sound.
    ///
    /// PS3.4 §C.2.2.2.5.
    pub fn finish(mut self) -> Result<Vec<Key>, QueryError> {
        if self.keys.iter().map(alternatives).sum::<usize>() > limits::QUERY_ALTERNATIVES {
            return Err(QueryError::Alternatives { tag: None });
        }
        let words = self.keys.iter().map(|key| words(key.vr, &key.matching)).sum::<usize>();
        if self.mechanisms.fuzzy_names && words > limits::QUERY_ALTERNATIVES {
            return Err(QueryError::Alternatives { tag: None });
        }
        if self.mechanisms.combined_datetime {
            for (date, time) in DATES_AND_TIMES {
                self.combine(date, time);
            }
        }
        for Key { tag, vr, matching } in &self.keys {
            let is_wrong = match matching {
                Matching::Moments { from: Some(from), to: Some(to), .. } => from > to,
                _ => self.across_days.contains(tag),
            };
            if is_wrong {
                return Err(QueryError::Value { tag: Some(*tag), vr: *vr });
            }
        }
        Ok(self.keys)
    }

    fn combine(&mut self, date: Tag, time: Tag) {
        let range = |tag: Tag| {
            let found = self.keys.iter().find(|key| key.tag == tag && self.ranges.contains(&tag))?;
            match &found.matching {
                Matching::Range { from, to } => Some((from.clone(), to.clone())),
                _ => None,
            }
        };
        let (Some((first_day, last_day)), Some((from, to))) = (range(date), range(time)) else { return };
        if (first_day.is_some(), last_day.is_some()) != (from.is_some(), to.is_some()) {
            return;
        }
        let moments = Matching::Moments { time, from: first_day.zip(from), to: last_day.zip(to) };
        self.keys.retain(|key| key.tag != time || !matches!(key.matching, Matching::Range { .. }));
        if let Some(key) = self.keys.iter_mut().find(|key| key.tag == date) {
            key.matching = moments;
        }
    }
}

/// Patterns and ranges that a key gives to choose from.
fn alternatives(key: &Key) -> usize {
    match &key.matching {
        Matching::AnyOf(parts) => parts.len(),
        Matching::Item(inner) => inner.iter().map(alternatives).sum(),
        Matching::Single(_) | Matching::UidList(_) | Matching::Wildcard(_) | Matching::Empty => 0,
        Matching::Range { .. } | Matching::Moments { .. } => 0,
    }
}

/// Words that a key on names asks for by their sound, in all its alternatives.
fn words(vr: Vr, matching: &Matching) -> usize {
    match matching {
        Matching::Single(name) | Matching::Wildcard(name) if vr == Vr::PN => {
            sound::of_key(name).map_or(0, |words| words.len())
        }
        Matching::AnyOf(parts) => parts.iter().map(|part| words(vr, part)).sum(),
        Matching::Single(_) | Matching::Wildcard(_) | Matching::UidList(_) | Matching::Empty => 0,
        Matching::Range { .. } | Matching::Moments { .. } | Matching::Item(_) => 0,
    }
}

/// The most that one alternative of a key asks for so.
fn words_of_one(vr: Vr, matching: &Matching) -> usize {
    match matching {
        Matching::AnyOf(parts) => parts.iter().map(|part| words(vr, part)).max().unwrap_or(0),
        matching => words(vr, matching),
    }
}

/// Dates with the times that belong to them.
const DATES_AND_TIMES: [(Tag, Tag); 5] = [
    (Tag(0x0008, 0x0020), Tag(0x0008, 0x0030)), // Study
    (Tag(0x0008, 0x0021), Tag(0x0008, 0x0031)), // Series
    (Tag(0x0008, 0x0023), Tag(0x0008, 0x0033)), // Content
    (Tag(0x0010, 0x0030), Tag(0x0010, 0x0032)), // Patient's Birth
    (Tag(0x0040, 0x0244), Tag(0x0040, 0x0245)), // Performed Procedure Step Start
];

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Tag = Tag(0x0008, 0x0020);
    const TIME: Tag = Tag(0x0008, 0x0030);

    fn read(combined_datetime: bool, keys: &[(Tag, Vr, &str)]) -> Vec<Key> {
        let mut read = Keys::new(Mechanisms { combined_datetime, ..Mechanisms::default() });
        for (tag, vr, value) in keys {
            read.add(*tag, *vr, value).unwrap();
        }
        read.finish().unwrap()
    }

    fn moments(date: &str, time: &str) -> Option<Matching> {
        let keys = read(true, &[(TIME, Vr::TM, time), (DATE, Vr::DA, date)]);
        match &keys[..] {
            [Key { tag: DATE, vr: Vr::DA, matching: matching @ Matching::Moments { .. } }] => {
                Some(matching.clone())
            }
            [_, _] => None,
            _ => panic!("{keys:?}"),
        }
    }

    #[test]
    fn ranges_of_the_same_form_are_one_range_of_moments() {
        let end = |date: &str, time: &str| Some((date.to_owned(), time.to_owned()));
        let (from, to) = (end("20060705", "100000.000000"), end("20060707", "180059.999999"));
        let of = |from, to| Some(Matching::Moments { time: TIME, from, to });
        assert_eq!(moments("20060705-20060707", "1000-1800"), of(from.clone(), to.clone()));
        assert_eq!(moments("20060705-", "1000-"), of(from, None));
        assert_eq!(moments("-20060707", "-1800"), of(None, to));
        for (date, time) in [
            ("20060705-20060707", "1000-"),
            ("20060705", "1000-1800"),
            ("20060705-20060707", "1000"),
            ("20060705-", "-1800"),
        ] {
            assert_eq!(moments(date, time), None, "{date} {time}");
        }
        let nights = moments("20060705-20060707", "2200-0600");
        assert!(
            matches!(nights, Some(Matching::Moments { .. })),
            "from the first evening to the last morning"
        );
        for (date, time) in
            [("20060705", "2200-0600"), ("20060705-20060705", "2200-0600"), ("20060705-", "2200-0600")]
        {
            let mut keys = Keys::new(Mechanisms { combined_datetime: true, ..Mechanisms::default() });
            keys.add(DATE, Vr::DA, date).unwrap();
            keys.add(TIME, Vr::TM, time).unwrap();
            assert!(keys.finish().is_err(), "{date} {time}");
        }
        assert!(Keys::new(Mechanisms::default()).add(TIME, Vr::TM, "2200-0600").is_err());
        assert_eq!(read(false, &[(DATE, Vr::DA, "20060705-"), (TIME, Vr::TM, "10-")]).len(), 2);
        assert_eq!(read(true, &[(DATE, Vr::DA, "20060705-"), (Tag(0x0008, 0x0031), Vr::TM, "10-")]).len(), 2);
    }

    #[test]
    fn all_keys_together_give_no_more_to_choose_from_than_one_query_may() {
        let finish = |keys: u16| {
            let mechanisms = Mechanisms { multiple_values: true, ..Mechanisms::default() };
            let (mut read, value) = (Keys::new(mechanisms), "a*\\".repeat(limits::KEY_ALTERNATIVES));
            read.add(Tag(0x0010, 0x0010), Vr::PN, &value).unwrap();
            let mut inner = read.of_item();
            for element in 1..keys {
                inner.add(Tag(0x0008, element), Vr::SH, &value).unwrap();
            }
            read.add_within(Tag(0x0008, 0x1032), inner.finish()?);
            read.finish()
        };
        assert!(finish(4).is_ok());
        assert_eq!(finish(5), Err(QueryError::Alternatives { tag: None }));
    }

    #[test]
    fn a_name_is_asked_for_by_the_sound_of_so_many_words() {
        let fuzzy = Mechanisms { fuzzy_names: true, multiple_values: true, ..Mechanisms::default() };
        let add = |mechanisms, name: &str| {
            let mut keys = Keys::new(mechanisms);
            keys.add(Tag(0x0010, 0x0010), Vr::PN, name).map(|()| keys)
        };
        let words = |count: usize| "meyer ".repeat(count);
        assert!(add(fuzzy, &words(limits::FUZZY_WORDS)).is_ok());
        let refused = Err(QueryError::Alternatives { tag: Some(Tag(0x0010, 0x0010)) });
        for name in [words(limits::FUZZY_WORDS + 1), format!("roe\\{}", words(10_000))] {
            assert_eq!(add(fuzzy, &name).map(|_| ()), refused);
            assert!(add(Mechanisms { fuzzy_names: false, ..fuzzy }, &name).is_ok());
        }
        let names = |count: usize| add(fuzzy, &format!("{}\\", words(8)).repeat(count)).unwrap().finish();
        assert!(names(32).is_ok());
        assert_eq!(names(33), Err(QueryError::Alternatives { tag: None }));
    }

    #[test]
    fn keys_of_one_sequence_are_for_one_item() {
        let key = |element, value: &str| Key {
            tag: Tag(0x0008, element),
            vr: Vr::SH,
            matching: Matching::Single(value.to_owned()),
        };
        let sequence = Tag(0x0008, 0x1032);
        let mut keys = Keys::new(Mechanisms::default());
        assert!(keys.is_empty());
        keys.add_within(sequence, vec![key(0x0100, "1")]);
        keys.add_within(sequence, vec![]);
        keys.add_within(sequence, vec![key(0x0102, "DCM")]);
        assert_eq!(keys.len(), 2);
        let item = Matching::Item(vec![key(0x0100, "1"), key(0x0102, "DCM")]);
        assert_eq!(keys.finish().unwrap(), [Key { tag: sequence, vr: Vr::SQ, matching: item }]);
    }
}
