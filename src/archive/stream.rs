//! Rows of one term in the order of the answer: however many there are, a page of them is had at once. Pure.

use model::QueryRetrieveLevel::{self, Patient, Study};
use model::Tag;
use model::fold::without_rest;
use model::query::{Key, Matching, Query, days_after};
use rusqlite::types::Value;

use crate::attribute::Terms;
use crate::condition::{Condition, literal_prefix, text};
use crate::names::Alternatives;
use crate::page::Cursor;
use crate::plan::MOST_DAYS_OFF;
use crate::start::{Start, Through};
use crate::terms::beginning;

/// The rows of a table of terms that have one of some values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    table: &'static str,
    kind: i64,
    /// At least one, each once.
    values: Vec<String>,
    /// Whether its rows are studies, which have dates.
    is_dated: bool,
    /// Whether every row of it meets the key that it is for.
    pub(crate) is_exact: bool,
}

impl Stream {
    /// The studies or patients whose name begins as a key does; `None` when an alternative begins with a wildcard, or there are too many.
    pub(crate) fn of_name(terms: Terms, key: &Matching) -> Option<Self> {
        let alternatives = Alternatives::of(key)?;
        let (mut values, mut is_exact) = (Vec::new(), !alternatives.are_by_group());
        for groups in alternatives.iter() {
            let group = groups.iter().find(|group| !group.is_empty())?;
            // Who has no more than `doe` is found by `doe^*`, too.
            let plain = without_rest(group).unwrap_or_else(|| literal_prefix(group));
            let value = beginning(plain);
            is_exact &= value == plain && group.strip_prefix(plain) == Some("*");
            if value.is_empty() || value.contains('\0') {
                return None;
            }
            values.push(value);
        }
        let of_studies = Terms::OF_STUDIES.contains(&terms);
        let stream = Self::of("beginning", terms.code(), values, of_studies)?;
        terms.has_beginnings().then_some(Self { is_exact, ..stream })
    }

    /// The studies that have one value among their terms of a kind.
    pub(crate) fn of_value(kind: i64, value: &str) -> Self {
        Self { table: "term", kind, values: vec![value.to_owned()], is_dated: true, is_exact: true }
    }

    /// The studies that have one of some values among their terms of a kind; `None` when these are too many.
    pub(crate) fn of_values(kind: i64, values: &[String]) -> Option<Self> {
        Self::of("term", kind, values.to_vec(), true)
    }

    fn of(table: &'static str, kind: i64, mut values: Vec<String>, is_dated: bool) -> Option<Self> {
        values.sort_unstable();
        values.dedup();
        (1..=MERGED).contains(&values.len()).then_some(Self { table, kind, values, is_dated, is_exact: true })
    }

    /// Whether it has several values, of which the rows are to be merged.
    pub(crate) fn is_merged(&self) -> bool {
        self.values.len() > 1
    }

    /// Where a query starts that goes through it.
    pub(crate) fn start(&self, level: QueryRetrieveLevel) -> Option<Start> {
        let through = if self.is_merged() { Through::Merged } else { Through::Stream(self.table) };
        match level {
            Patient => Some(Start::Patient(through)),
            Study => Some(Start::Study(through)),
            QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => None,
        }
    }

    /// What its rows must be, as `stream`, when it has one value.
    pub(crate) fn conditions(&self, days: &Days) -> Vec<Condition> {
        self.values.iter().take(1).flat_map(|value| self.conditions_of(value, days)).collect()
    }

    /// What its rows after a cursor are selected from, each once and in the order of the answer.
    ///
    /// The limit is none, and keeps SQLite to that order.
    pub(crate) fn merged(&self, days: &Days, after: Option<&Cursor>) -> Condition {
        let (columns, order) = match self.is_dated {
            true => ("stream.study_date AS study_date, stream.owner AS owner", "1 DESC, 2 DESC"),
            false => ("stream.owner AS owner", "1"),
        };
        let beyond = after.map(|cursor| match self.is_dated {
            true => Condition::new(
                "stream.study_date <= ? AND (stream.study_date, stream.owner) < (?, ?)",
                [text(&cursor.date), text(&cursor.date), cursor.outer.into()],
            ),
            false => Condition::new("stream.owner > ?", [cursor.outer.into()]),
        });
        let Condition { sql, values } = self.union("UNION", columns, days, beyond.as_ref());
        Condition::new(format!("{sql} ORDER BY {order} LIMIT -1"), values)
    }

    /// The statement that counts its rows up to a limit.
    pub(crate) fn count(&self, days: &Days, most: usize) -> (String, Vec<Value>) {
        let Condition { sql, values } = self.union("UNION ALL", "1", days, None);
        (format!("SELECT count(*) FROM ({sql} LIMIT {most})"), values)
    }

    /// What it is worth where it is long: the lower, the fewer rows it may have.
    pub(crate) fn worth(&self) -> u32 {
        if self.table != "beginning" {
            return 1;
        }
        let characters = self.values.iter().map(|value| value.chars().count()).min().unwrap_or(0);
        3_u32.saturating_sub(u32::try_from(characters).unwrap_or(u32::MAX))
    }

    fn union(&self, union: &str, columns: &str, days: &Days, beyond: Option<&Condition>) -> Condition {
        let select = |value: &String| {
            let conditions = self.conditions_of(value, days).into_iter().chain(beyond.cloned());
            let Condition { sql, values } = Condition::all(conditions)?;
            Some(Condition::new(
                format!("SELECT {columns} FROM {} AS stream WHERE {sql}", self.table),
                values,
            ))
        };
        let (texts, values): (Vec<_>, Vec<_>) =
            self.values.iter().filter_map(select).map(|select| (select.sql, select.values)).unzip();
        Condition::new(texts.join(&format!(" {union} ")), values.into_iter().flatten())
    }

    fn conditions_of(&self, value: &str, days: &Days) -> Vec<Condition> {
        let mut conditions =
            vec![Condition::new(format!("stream.kind = {} AND stream.value = ?", self.kind), [text(value)])];
        let end = |day: &Option<String>, comparison: &str| {
            let day = day.as_ref()?;
            Some(Condition::new(format!("stream.study_date {comparison} ?"), [text(day)]))
        };
        if self.is_dated {
            conditions.extend(end(&days.from, ">=").into_iter().chain(end(&days.to, "<=")));
        } else {
            conditions.push(Condition::new("stream.study_date = ''", []));
        }
        conditions
    }
}

/// The days that the studies of an answer are of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

impl Days {
    /// What the keys of a query for studies say of their days. Its pages bound them, too: `is_continued` leaves the end to that.
    pub(crate) fn of(query: &Query, is_continued: bool) -> Self {
        let key = query.keys.iter().find(|key| key.tag == STUDY_DATE);
        let Some(Key { matching, .. }) = key.filter(|_| query.level == Study) else { return Self::default() };
        let day = |end: &Option<(String, String)>| end.as_ref().map(|(day, _)| day.clone());
        let (from, to) = match matching {
            Matching::Single(day) => (Some(day.clone()), Some(day.clone())),
            Matching::Range { from, to } => (from.clone(), to.clone()),
            Matching::Moments { from, to, .. } => (day(from), day(to)),
            Matching::UidList(_)
            | Matching::Wildcard(_)
            | Matching::Item(_)
            | Matching::Empty
            | Matching::AnyOf(_) => (None, None),
        };
        let (from, to) = match query.zone {
            Some(_) => (
                from.and_then(|day| days_after(&day, -MOST_DAYS_OFF)),
                to.and_then(|day| days_after(&day, MOST_DAYS_OFF)),
            ),
            None => (from, to),
        };
        Self { from, to: to.filter(|_| !is_continued) }
    }
}

const STUDY_DATE: Tag = Tag(0x0008, 0x0020);

/// Values whose rows are merged; each is looked at for every row.
const MERGED: usize = 16;

#[cfg(test)]
mod tests {
    use model::Vr;
    use model::query::Zone;

    use super::*;

    #[test]
    fn a_name_is_begun_by_up_to_three_letters() {
        let of = |key: &str| {
            let matching = if key.contains(['*', '?']) {
                Matching::Wildcard(key.to_owned())
            } else {
                Matching::Single(key.to_owned())
            };
            Stream::of_name(Terms::PatientNameOfStudy, &matching)
                .map(|stream| (stream.values.join("|"), stream.is_exact))
        };
        let begun = |value: &str, is_exact| Some((value.to_owned(), is_exact));
        assert_eq!(of("M*"), begun("m", true));
        assert_eq!(of("Mül*"), begun("mul", true));
        assert_eq!(of("Müll*"), begun("mul", false));
        assert_eq!(of("Mu?l*"), begun("mu", false));
        assert_eq!(of("doe"), begun("doe", false));
        assert_eq!(of("li^*"), begun("li", false));
        assert_eq!(of("=山*"), begun("山", false));
        for none in ["*", "?oe", "*doe", "="] {
            assert_eq!(of(none), None, "{none}");
        }
        let any = |keys: &[&str]| {
            let parts = keys.iter().map(|&key| Matching::Wildcard(key.to_owned()));
            Stream::of_name(Terms::PatientNameOfStudy, &Matching::AnyOf(parts.collect()))
                .map(|stream| (stream.values.join("|"), stream.is_exact))
        };
        assert_eq!(any(&["b*", "a*", "b*"]), begun("a|b", true));
        assert_eq!(any(&["doe*", "roe^*"]), begun("doe|roe", false));
        assert_eq!(any(&["doe*", "*roe"]), None);
        assert_eq!(Stream::of_name(Terms::Operator, &Matching::Single("a".into())), None, "not kept");
    }

    #[test]
    fn days_are_those_of_the_key() {
        let of = |matching, zone: Option<&str>, is_continued| {
            let keys = vec![Key { tag: STUDY_DATE, vr: Vr::DA, matching }];
            let query = Query { keys, zone: zone.and_then(Zone::parse), ..Query::new(Study) };
            let Days { from, to } = Days::of(&query, is_continued);
            (from.unwrap_or_default(), to.unwrap_or_default())
        };
        let range = || Matching::Range { from: Some("20200102".into()), to: Some("20200103".into()) };
        let days = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(of(Matching::Single("20200102".into()), None, false), days("20200102", "20200102"));
        assert_eq!(of(range(), None, false), days("20200102", "20200103"));
        assert_eq!(of(range(), None, true), days("20200102", ""));
        assert_eq!(of(range(), Some("+0100"), false), days("20191231", "20200105"));
        assert_eq!(of(Matching::Empty, None, false), days("", ""));
    }
}
