//! Runs a query and makes rows of what it finds.

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::attributes::Attributes;
use model::query::Query;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as IndexRow, params_from_iter};

use crate::objects::Objects;
use crate::page::{Cursor, Page, Row, RowIds};
use crate::query::{Statement, keys, statement};
use crate::scope::stored_uid;
use crate::{Error, attribute::Attribute};

/// The page of a query's answer after a cursor.
pub(crate) fn find(
    connection: &Connection,
    query: &Query,
    after: Option<&Cursor>,
) -> Result<Page<Row>, Error> {
    let Statement { sql, values, attributes, rows: wanted } = statement(connection, query, after)?;
    let mut objects = Objects::of_query(connection, query);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    let mut last = None;
    while let Some(row) = found.next()? {
        let is_full = rows.len() >= wanted || objects.as_ref().is_some_and(Objects::are_enough);
        if is_full {
            let taken = after
                .map_or(0, |cursor| cursor.taken)
                .saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            let next = last.map(|cursor| Cursor { taken, ..cursor });
            return Ok(Page { rows, next });
        }
        last = Some(cursor_at(query.level, row)?);
        let (mut attributes, ids) =
            (attributes_of(row, query.level, &attributes)?, ids_of(row, query.level)?);
        let json = match &mut objects {
            Some(objects) => objects.of(row, &mut attributes)?,
            None => None,
        };
        rows.push(Row { attributes, ids, json });
    }
    Ok(Page { rows, next: None })
}

fn attributes_of(
    row: &IndexRow<'_>,
    level: QueryRetrieveLevel,
    columns: &[&'static Attribute],
) -> Result<Attributes, Error> {
    let mut attributes = Attributes::new();
    for (at, attribute) in (keys(level).len()..).zip(columns) {
        let values = match row.get_ref(at)? {
            ValueRef::Text(text) => {
                let text = str::from_utf8(text).map_err(|_| Error::Damaged)?;
                attribute.split(text).into_iter().map(str::to_owned).collect()
            }
            ValueRef::Integer(count) => vec![count.to_string()],
            ValueRef::Null => Vec::new(),
            ValueRef::Real(_) | ValueRef::Blob(_) => return Err(Error::Damaged),
        };
        attributes.insert(attribute.tag, attribute.vr, values);
    }
    Ok(attributes)
}

fn ids_of(row: &IndexRow<'_>, level: QueryRetrieveLevel) -> Result<RowIds, Error> {
    let study_at = match level {
        Patient => return Ok(RowIds::default()),
        Study | Image => 2,
        Series => 1,
    };
    let study = Some(stored_uid(row.get(study_at)?)?);
    let series = if level > Study { Some(stored_uid(row.get(study_at + 1)?)?) } else { None };
    let instance = if level > Series { Some(stored_uid(row.get(study_at + 2)?)?) } else { None };
    Ok(RowIds { study, series, instance })
}

fn cursor_at(level: QueryRetrieveLevel, row: &IndexRow<'_>) -> Result<Cursor, Error> {
    Ok(Cursor {
        date: if level == Study { row.get(1)? } else { String::new() },
        outer: row.get(0)?,
        inner: if level == Image { row.get(1)? } else { 0 },
        taken: 0,
    })
}
