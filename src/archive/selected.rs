//! Selection → the instances it takes in at one moment, and their pages.

use model::query::Selection;
use model::{InstanceIds, QueryRetrieveLevel, limits};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::condition::{json, text};
use crate::files::Files;
use crate::page::{Cursor, Page};
use crate::scope::stored_uid;
use crate::stored::{stored_instance, version};
use crate::{Error, StoredInstance};

/// What a [`Selection`] took in when it was made: instances that come later do not belong to it.
///
/// Holds keys of the index: 8 bytes for each series, or for each instance that was named.
#[derive(Debug)]
pub struct Selected {
    keys: Keys,
    /// Instances with greater keys came later.
    newest: i64,
    instances: u64,
}

/// In the order in which their instances are given.
#[derive(Debug)]
enum Keys {
    Series(Vec<i64>),
    Instances(Vec<i64>),
}

impl Selected {
    /// How many instances there are.
    pub fn instances(&self) -> u64 {
        self.instances
    }
}

/// Finds what a selection takes in.
pub(crate) fn select(connection: &Connection, selection: &Selection) -> Result<Selected, Error> {
    let newest = connection
        .prepare_cached("SELECT coalesce(max(instance_pk), 0) FROM instance")?
        .query_row([], |row| row.get(0))?;
    let (sql, values) = statement(selection);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut keys, mut instances) = (Vec::new(), 0_u64);
    while let Some(row) = rows.next()? {
        if keys.len() >= limits::SELECTED_KEYS {
            return Err(Error::TooManySelected);
        }
        keys.push(row.get(0)?);
        instances += u64::try_from(row.get::<_, i64>(1)?).map_err(|_| Error::Damaged)?;
    }
    keys.sort_unstable();
    let keys = match selection.level {
        QueryRetrieveLevel::Image => Keys::Instances(keys),
        QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study | QueryRetrieveLevel::Series => {
            Keys::Series(keys)
        }
    };
    Ok(Selected { keys, newest, instances })
}

/// The page of a selection's instances after a cursor, series by series in the order of arrival.
pub(crate) fn instances(
    connection: &Connection,
    files: &Files,
    selected: &Selected,
    after: Option<&Cursor>,
) -> Result<Page<StoredInstance>, Error> {
    let (first, mut from) = after.map_or((0, 0), |cursor| (cursor.outer, cursor.inner));
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let (Keys::Series(keys) | Keys::Instances(keys)) = &selected.keys;
    for (at, key) in keys.iter().enumerate().skip(first) {
        if rows.len() >= PAGE_ROWS {
            return Ok(continued(rows, at, 0));
        }
        match &selected.keys {
            Keys::Instances(_) => rows.push(version(connection, files, *key, 1)?),
            Keys::Series(_) => {
                let last = series(connection, files, *key, (from, selected.newest), &mut rows)?;
                if let Some(last) = last {
                    return Ok(continued(rows, at, last));
                }
                from = 0;
            }
        }
    }
    Ok(Page { rows, next: None })
}

/// Keys and numbers of instances. What is named most narrowly is looked up; the rest is compared.
///
/// The index on patients is that of their studies, as for a C-FIND of them.
pub(crate) fn statement(selection: &Selection) -> (String, Vec<Value>) {
    let Selection { level, patient_id, issuer_of_patient_id, studies, series, instances } = selection;
    let uids = |column: &str| format!("{column} IN (SELECT value FROM json_each(?))");
    let mut conditions: Vec<(String, Value)> = Vec::new();
    if !instances.is_empty() {
        conditions.push((uids("instance.sop_instance_uid"), json(instances.iter().map(|uid| uid.as_str()))));
    }
    if !series.is_empty() {
        conditions.push((uids("series.series_instance_uid"), json(series.iter().map(|uid| uid.as_str()))));
    }
    if !studies.is_empty() {
        conditions.push((uids("study.study_instance_uid"), json(studies.iter().map(|uid| uid.as_str()))));
    }
    for (column, value) in
        [("study.patient_id", patient_id), ("study.issuer_of_patient_id", issuer_of_patient_id)]
    {
        conditions.extend(value.as_ref().map(|value| (format!("{column} = ?"), text(value))));
    }
    let (columns, tables) = match level {
        QueryRetrieveLevel::Patient => (SERIES, format!("study INDEXED BY study_by_patient_id{BELOW_STUDY}")),
        QueryRetrieveLevel::Study => (SERIES, format!("study INDEXED BY study_by_uid{BELOW_STUDY}")),
        QueryRetrieveLevel::Series => (SERIES, format!("series INDEXED BY series_by_uid{ABOVE_SERIES}")),
        QueryRetrieveLevel::Image => (
            "instance.instance_pk, 1",
            format!("instance INDEXED BY instance_by_uid CROSS JOIN series USING (series_pk){ABOVE_SERIES}"),
        ),
    };
    let (conditions, values): (Vec<_>, Vec<_>) = conditions.into_iter().unzip();
    let most = limits::SELECTED_KEYS + 1;
    let sql = format!("SELECT {columns} FROM {tables} WHERE {} LIMIT {most}", conditions.join(" AND "));
    (sql, values)
}

/// Adds the instances of a series that are left; the last one when the page is full before them all.
fn series(
    connection: &Connection,
    files: &Files,
    series_pk: i64,
    (after, newest): (i64, i64),
    rows: &mut Vec<StoredInstance>,
) -> Result<Option<i64>, Error> {
    let owner: Option<(String, String)> = connection
        .prepare_cached(
            "SELECT study_instance_uid, series_instance_uid FROM series CROSS JOIN study USING (study_pk)
             WHERE series_pk = ?1",
        )?
        .query_row([series_pk], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (study, series) = owner.ok_or(Error::Damaged)?;
    let (study, series) = (stored_uid::<model::Study>(study)?, stored_uid::<model::Series>(series)?);
    let mut statement = connection.prepare_cached(&of_series())?;
    let mut found = statement.query([series_pk, after, newest])?;
    let mut last = None;
    while let Some(row) = found.next()? {
        if rows.len() >= PAGE_ROWS {
            return Ok(last.or(Some(after)));
        }
        let ids = InstanceIds {
            study: study.clone(),
            series: series.clone(),
            sop_instance: stored_uid(row.get(1)?)?,
            sop_class: stored_uid(row.get(2)?)?,
        };
        rows.push(stored_instance(row, 3, files, ids)?);
        last = Some(row.get(0)?);
    }
    Ok(None)
}

/// The statement for what is left of one series. Parameters: series, instance that came last, newest instance that belongs to it.
pub(crate) fn of_series() -> String {
    format!(
        "SELECT instance_pk, sop_instance_uid, sop_class_uid,
            transfer_syntax_uid, file, data_offset, length, sha256, number_of_frames, crc64
         FROM instance INDEXED BY instance_by_series
         WHERE series_pk = ?1 AND instance_pk > ?2 AND instance_pk <= ?3
         ORDER BY instance_pk LIMIT {}",
        limits::PAGE_ROWS + 1
    )
}

fn continued(rows: Vec<StoredInstance>, at: usize, after: i64) -> Page<StoredInstance> {
    let outer = i64::try_from(at).unwrap_or(i64::MAX);
    Page { rows, next: Some(Cursor { date: String::new(), outer, inner: after, taken: 0 }) }
}

/// A series, and how many instances it has.
const SERIES: &str = "series.series_pk, series.number_of_instances";
const BELOW_STUDY: &str = " CROSS JOIN series INDEXED BY series_by_study ON series.study_pk = study.study_pk";
const ABOVE_SERIES: &str = " CROSS JOIN study ON study.study_pk = series.study_pk";

const PAGE_ROWS: usize = limits::PAGE_ROWS as usize;
