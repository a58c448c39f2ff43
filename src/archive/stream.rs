//! Rows of one term in the order of the answer: however many there are, a page of them is had at once. Pure.

use model::QueryRetrieveLevel::{self, Patient, Study};
use model::Tag;
use model::query::{Key, Matching, Query, days_after};
use rusqlite::types::Value;

use crate::attribute::Terms;
use crate::condition::{Condition, literal_prefix, text};
use crate::names::{Alternatives, without_rest};
use crate::plan::MOST_DAYS_OFF;
use crate::start::{Start, Through};
use crate::terms::beginning;

/// The rows of a table of terms that have one value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    table: &'static str,
    kind: i64,
    value: String,
    /// Whether its rows are studies, which have dates.
    is_dated: bool,
    /// Whether every row of it meets the key that it is for.
    pub(crate) is_exact: bool,
}

impl Stream {
    /// The studies or patients whose name begins as a key does; `None` when it begins with a wildcard, or gives alternatives.
    pub(crate) fn of_name(terms: Terms, key: &Matching) -> Option<Self> {
        let alternatives = Alternatives::of(key)?;
        let mut each = alternatives.iter();
        let (Some(groups), None) = (each.next(), each.next()) else { return None };
        let group = groups.iter().find(|group| !group.is_empty())?;
        // Who has no more than `doe` is found by `doe^*`, too.
        let plain = without_rest(group).unwrap_or_else(|| literal_prefix(group));
        let value = beginning(plain);
        let is_exact =
            value == plain && group.strip_prefix(plain) == Some("*") && !alternatives.are_by_group();
        (terms.has_beginnings() && !value.is_empty() && !value.contains('\0')).then(|| Self {
            table: "beginning",
            kind: terms.code(),
            value,
            is_dated: Terms::OF_STUDIES.contains(&terms),
            is_exact,
        })
    }

    /// The studies that have one value among their terms of a kind.
    pub(crate) fn of_value(kind: i64, value: &str) -> Self {
        Self { table: "term", kind, value: value.to_owned(), is_dated: true, is_exact: true }
    }

    /// Where a query starts that goes through it.
    pub(crate) fn start(&self, level: QueryRetrieveLevel) -> Option<Start> {
        match level {
            Patient => Some(Start::Patient(Through::Stream(self.table))),
            Study => Some(Start::Study(Through::Stream(self.table))),
            QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => None,
        }
    }

    /// What its rows must be, as `stream`.
    pub(crate) fn conditions(&self, days: &Days) -> Vec<Condition> {
        let mut conditions = vec![Condition::new(
            format!("stream.kind = {} AND stream.value = ?", self.kind),
            [text(&self.value)],
        )];
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

    /// The statement that counts its rows up to a limit.
    pub(crate) fn count(&self, days: &Days, most: usize) -> (String, Vec<Value>) {
        let conditions = self.conditions(days);
        let texts: Vec<&str> = conditions.iter().map(|condition| condition.sql.as_str()).collect();
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} AS stream WHERE {} LIMIT {most})",
            self.table,
            texts.join(" AND ")
        );
        (sql, conditions.into_iter().flat_map(|condition| condition.values).collect())
    }

    /// What it is worth where it is long: the lower, the fewer rows it may have.
    pub(crate) fn worth(&self) -> u32 {
        let characters = u32::try_from(self.value.chars().count()).unwrap_or(u32::MAX);
        if self.table == "beginning" { 3_u32.saturating_sub(characters) } else { 1 }
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
                .map(|stream| (stream.value, stream.is_exact))
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
        let either = Matching::AnyOf(vec![Matching::Single("a".into()), Matching::Single("b".into())]);
        assert_eq!(Stream::of_name(Terms::PatientNameOfStudy, &either), None);
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
