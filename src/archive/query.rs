//! Query → the SQL of one page.

use std::collections::BTreeSet;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::query::{Matching, Query};
use model::{Tag, limits};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::Error;
use crate::attribute::{ATTRIBUTES, Attribute, Kind, is_stored};
use crate::condition::{Condition, text};
use crate::page::Cursor;
use crate::plan::plan;
use crate::start::{Start, Through, owner, table};

/// One page of a query as a statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
    /// The columns after the keys of [`keys`].
    pub(crate) attributes: Vec<&'static Attribute>,
    /// Rows that the page may have; the statement gives one more when there are more.
    pub(crate) rows: usize,
}

/// Writes the statement for the page after a cursor.
pub(crate) fn statement(
    connection: &Connection,
    query: &Query,
    after: Option<&Cursor>,
) -> Result<Statement, Error> {
    let level = query.level;
    let plan = plan(connection, query, after)?;
    let attributes = returned(query);
    let taken = after.map_or(0, |cursor| cursor.taken);
    let rows =
        query.limit.map_or(limits::PAGE_ROWS, |limit| limit.saturating_sub(taken).min(limits::PAGE_ROWS));
    let offset = if after.is_some() { 0 } else { query.offset };

    let mut columns: Vec<String> = keys(level).iter().map(|&key| key.to_owned()).collect();
    columns.extend(attributes.iter().map(|attribute| expression(attribute, level)));
    let mut conditions = plan.conditions;
    conditions.extend(after.map(|cursor| beyond(level, plan.start, cursor)));
    let (source, mut values) =
        plan.source.map_or_else(Default::default, |source| (source.sql, source.values));
    let mut sql = format!("SELECT {} FROM {}", columns.join(", "), tables(level, plan.start, &source));
    for (at, condition) in conditions.into_iter().enumerate() {
        sql.push_str(if at == 0 { " WHERE " } else { " AND " });
        sql.push_str(&condition.sql);
        values.extend(condition.values);
    }
    sql.push_str(&format!(" ORDER BY {} LIMIT ? OFFSET ?", order(level, plan.start)));
    // One more than wanted tells whether there is another page; past the limit nobody wants to know.
    let is_last = query.limit.is_some_and(|limit| limit.saturating_sub(taken) <= rows);
    values.extend([Value::from(i64::from(rows) + i64::from(!is_last)), i64::from(offset).into()]);
    Ok(Statement { sql, values, attributes, rows: usize::try_from(rows).unwrap_or(usize::MAX) })
}

/// Whether pages of a query are made of stored objects, and so may be long and take their time.
pub fn needs_objects(query: &Query) -> bool {
    asks_for_stored(query) || may_have_requests(query)
}

/// Whether rows have Request Attributes Sequence unasked, where there is one (PS3.18 Table 10.6.3-4).
pub(crate) fn may_have_requests(query: &Query) -> bool {
    query.level == Series && query.include.defaults
}

/// Whether attributes are asked for that the index does not have.
pub(crate) fn asks_for_stored(query: &Query) -> bool {
    query.include.all || query.include.tags.iter().any(|&tag| is_stored(query.level, tag))
}

/// The attributes that rows of a query have from the index.
pub fn returned_tags(query: &Query) -> impl Iterator<Item = Tag> {
    returned(query).into_iter().map(|attribute| attribute.tag)
}

/// The key columns that every row of a level begins with.
pub(crate) fn keys(level: QueryRetrieveLevel) -> &'static [&'static str] {
    match level {
        Patient => &["patient.patient_pk"],
        Study => &["study.study_pk", "study.study_date", "study.study_instance_uid"],
        Series => &["series.series_pk", "study.study_instance_uid", "series.series_instance_uid"],
        Image => &[
            "series.series_pk",
            "instance.instance_pk",
            "study.study_instance_uid",
            "series.series_instance_uid",
            "instance.sop_instance_uid",
        ],
    }
}

/// The attributes of the index that rows of the answer have.
///
/// What QIDO-RS returns unasked depends on whether the study and series are given: PS3.18 §10.6.3.3.
fn returned(query: &Query) -> Vec<&'static Attribute> {
    let level = query.level;
    let is_given =
        |tag: Tag| query.keys.iter().any(|key| key.tag == tag && matches!(key.matching, Matching::Single(_)));
    let mut default_levels = vec![level];
    if level > Study && !is_given(STUDY_INSTANCE_UID) {
        default_levels.push(Study);
    }
    if level > Series && !is_given(SERIES_INSTANCE_UID) {
        default_levels.push(Series);
    }
    let asked: BTreeSet<Tag> =
        query.include.tags.iter().copied().chain(query.keys.iter().map(|key| key.tag)).collect();
    let is_returned = |attribute: &&Attribute| {
        let is_default = || default_levels.iter().any(|level| attribute.default_at.contains(level));
        attribute.level <= level
            && (query.include.all
                || (query.include.defaults && is_default())
                || asked.contains(&attribute.tag))
    };
    ATTRIBUTES.iter().filter(is_returned).collect()
}

fn expression(attribute: &Attribute, level: QueryRetrieveLevel) -> String {
    let table = table(attribute, level);
    match attribute.kind {
        Kind::Constant(value) => format!("'{value}'"),
        Kind::Terms(terms) => format!(
            "(SELECT group_concat(value, '\\') FROM term INDEXED BY term_by_owner WHERE kind = {} AND owner = {})",
            terms.code(),
            owner(terms)
        ),
        Kind::Count if attribute.level == Patient && level > Patient => {
            format!("(SELECT {} FROM patient WHERE patient.patient_pk = study.patient_pk)", attribute.column)
        }
        Kind::Text | Kind::Texts | Kind::Number | Kind::Decimal | Kind::Date | Kind::Time => {
            format!("{table}.{}", attribute.column)
        }
        Kind::Uid | Kind::Own | Kind::Name(_) | Kind::Count => format!("{table}.{}", attribute.column),
    }
}

/// The tables of a level in the order of the loops: CROSS JOIN keeps SQLite from another one. `source` is [`Plan::source`](crate::plan::Plan::source).
fn tables(level: QueryRetrieveLevel, start: Start, source: &str) -> String {
    const STUDY: &str = " CROSS JOIN study ON study.study_pk = series.study_pk";
    const SERIES: &str = " CROSS JOIN series ON series.series_pk = instance.series_pk";
    const SERIES_OF_STUDY: &str =
        " CROSS JOIN series INDEXED BY series_by_study ON series.study_pk = study.study_pk";
    const INSTANCES: &str =
        " CROSS JOIN instance INDEXED BY instance_by_series ON instance.series_pk = series.series_pk";
    let (outermost, upper, lower) = match start {
        Start::Patient(through) => (outermost("patient", through, source), "", [""; 2]),
        Start::Study(through) => (outermost("study", through, source), "", [SERIES_OF_STUDY, INSTANCES]),
        Start::Series(through) => (outermost("series", through, source), STUDY, ["", INSTANCES]),
        Start::Instance(through) => {
            return format!("{}{SERIES}{STUDY}", outermost("instance", through, source));
        }
    };
    match level {
        Patient | Study => outermost,
        Series => format!("{outermost}{upper}{}", lower[0]),
        Image => format!("{outermost}{upper}{}", lower.concat()),
    }
}

fn outermost(table: &str, through: Through, source: &str) -> String {
    match through {
        Through::Index(index) => format!("{table} INDEXED BY {index}"),
        Through::All => format!("{table} NOT INDEXED"),
        Through::Chosen => {
            format!("{source} AS chosen CROSS JOIN {table} ON {table}.{table}_pk = chosen.value")
        }
        Through::Stream(terms) => {
            format!("{terms} AS stream CROSS JOIN {table} ON {table}.{table}_pk = stream.owner")
        }
        Through::Merged => {
            format!("({source}) AS stream CROSS JOIN {table} ON {table}.{table}_pk = stream.owner")
        }
    }
}

fn order(level: QueryRetrieveLevel, start: Start) -> String {
    match (level, start) {
        (Patient, Start::Patient(Through::Stream(_) | Through::Merged)) => "stream.owner".to_owned(),
        (Patient, _) => "patient.patient_pk".to_owned(),
        (Study, Start::Study(Through::Stream(_) | Through::Merged)) => {
            "stream.study_date DESC, stream.owner DESC".to_owned()
        }
        (Study, _) => "study.study_date DESC, study.study_pk DESC".to_owned(),
        (Series, _) => "series.series_pk".to_owned(),
        (Image, _) => format!("{}, instance.instance_pk", series_pk(start)),
    }
}

/// The rows after those that were given already. The first term of each pair is for the index.
fn beyond(level: QueryRetrieveLevel, start: Start, cursor: &Cursor) -> Condition {
    let (outer, inner) = (Value::from(cursor.outer), Value::from(cursor.inner));
    match level {
        Patient => Condition::new(format!("{} > ?", order(level, start)), [outer]),
        Study => {
            let (date, key) = match start {
                Start::Study(Through::Stream(_) | Through::Merged) => ("stream.study_date", "stream.owner"),
                _ => ("study.study_date", "study.study_pk"),
            };
            Condition::new(
                format!("{date} <= ? AND ({date}, {key}) < (?, ?)"),
                [text(&cursor.date), text(&cursor.date), outer],
            )
        }
        Series => Condition::new("series.series_pk > ?", [outer]),
        Image => {
            let series_pk = series_pk(start);
            Condition::new(
                format!("{series_pk} >= ? AND ({series_pk}, instance.instance_pk) > (?, ?)"),
                [outer.clone(), outer, inner],
            )
        }
    }
}

/// The column by which instances are ordered, in the table whose index has the order.
fn series_pk(start: Start) -> &'static str {
    match start {
        Start::Instance(_) => "instance.series_pk",
        Start::Patient(_) | Start::Study(_) | Start::Series(_) => "series.series_pk",
    }
}

const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
