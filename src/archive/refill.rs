//! What the index learns from objects that it has already, when a new version of the schema has room for more.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};
use model::attributes::{Attributes, to_data_set};
use model::charset::Charset;
use model::syntax::{Encoding, Form};
use model::{SopClassUid, Tag, json, scan};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;
use crate::attribute::{self, Kind, Terms};
use crate::items;
use crate::retrieve::unpacker_of;
use crate::rows::Values;
use crate::terms::{self, Owner};

/// Fills what queries are answered from: the items of sequences, the columns that came with them, and the terms of names. Reads the
/// first object of each series and each structured report, some fifty microseconds for each of these.
pub(crate) fn query(connection: &Connection) -> Result<(), Error> {
    let mut after = 0;
    while let Some(series) = next_series(connection, after)? {
        after = series.pk;
        let Some(instance_pk) = series.instance_pk else { continue };
        let Some(values) = values_of(connection, series.pk, instance_pk)? else { continue };
        fill_columns(connection, &series, &values)?;
        items::add(connection, &values.items, &[Patient, Study], (Study, series.study_pk))?;
        items::add(connection, &values.items, &[Patient], (Patient, series.patient_pk))?;
        items::add(connection, &values.items, &[Series], (Series, series.pk))?;
    }
    let mut reports = connection.prepare(
        "SELECT series_pk, instance_pk FROM instance WHERE sop_class_uid GLOB '1.2.840.10008.5.1.4.1.1.88.*'",
    )?;
    let mut reports = reports.query([])?;
    while let Some(row) = reports.next()? {
        let (series_pk, instance_pk) = (row.get(0)?, row.get(1)?);
        let Some(values) = values_of(connection, series_pk, instance_pk)? else { continue };
        items::add(connection, &values.items, &[Image], (Image, instance_pk))?;
    }
    names(connection)
}

/// Adds the terms of all person names that are not there: their beginnings and sounds, and all of a column that was filled.
fn names(connection: &Connection) -> Result<(), Error> {
    for (table, level, date, terms_of) in [
        ("patient", Patient, "''", (|terms| terms) as fn(Terms) -> Terms),
        ("study", Patient, "study_date", Terms::of_study),
        ("study", Study, "study_date", |terms| terms),
        ("series", Series, "''", |terms| terms),
    ] {
        for (_, attribute) in attribute::from_header(level) {
            let Kind::Name(of_names) = attribute.kind else { continue };
            let column = attribute.column;
            let mut names = connection
                .prepare(&format!("SELECT {table}_pk, {column}, {date} FROM {table} WHERE {column} <> ''"))?;
            let mut names = names.query([])?;
            while let Some(row) = names.next()? {
                let (pk, name, study_date): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let owner = Owner { pk, study_date: &study_date };
                terms::add_names(connection, terms_of(of_names), &name, owner)?;
            }
        }
    }
    Ok(())
}

/// A series, and the instance of it that came first.
struct FirstOfSeries {
    pk: i64,
    study_pk: i64,
    patient_pk: i64,
    instance_pk: Option<i64>,
}

fn next_series(connection: &Connection, after: i64) -> Result<Option<FirstOfSeries>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT series_pk, study_pk, patient_pk,
            (SELECT min(instance_pk) FROM instance INDEXED BY instance_by_series WHERE instance.series_pk = series.series_pk)
         FROM series CROSS JOIN study USING (study_pk) WHERE series_pk > ?1 ORDER BY series_pk LIMIT 1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(FirstOfSeries {
            pk: row.get(0)?,
            study_pk: row.get(1)?,
            patient_pk: row.get(2)?,
            instance_pk: row.get(3)?,
        })
    };
    Ok(statement.query_row([after], read).optional()?)
}

/// What the index would have of an instance if it came now, as far as its stored JSON tells; `None` where that is damaged, which must
/// not keep the archive from starting.
fn values_of(connection: &Connection, series_pk: i64, instance_pk: i64) -> Result<Option<Values>, Error> {
    match read(connection, series_pk, instance_pk) {
        Ok(values) => Ok(Some(values)),
        Err(Error::Damaged) => {
            tracing::warn!(
                instance_pk,
                "the stored JSON of an instance is damaged, its sequences are not indexed"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(connection: &Connection, series_pk: i64, instance_pk: i64) -> Result<Values, Error> {
    let mut statement =
        connection.prepare_cached("SELECT dictionary, json FROM metadata WHERE instance_pk = ?1")?;
    let found = statement.query_row([instance_pk], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (needs_dictionary, packed): (bool, Vec<u8>) = found.ok_or(Error::Damaged)?;
    let stored = unpacker_of(connection, series_pk)?.unpack(&packed, needs_dictionary)?;
    let wanted = |tag: Tag| items::has_sequence(Image, tag) || NEW_COLUMNS.contains(&tag);
    let members = json::select(&stored, wanted).ok_or(Error::Damaged)?;
    let attributes: Attributes =
        serde_json::to_vec(&members).ok().and_then(|members| json::read(&members)).ok_or(Error::Damaged)?;
    let data_set = to_data_set(&attributes, Encoding::ExplicitLittle, &Charset::default());
    let form = Form { encoding: Encoding::ExplicitLittle, deflated: false };
    let header = scan::scan(form, &data_set).map_err(|_| Error::Damaged)?;
    Ok(Values::from_header(&header, &SopClassUid::lenient("0").ok_or(Error::Damaged)?))
}

fn fill_columns(connection: &Connection, series: &FirstOfSeries, values: &Values) -> Result<(), Error> {
    for (place, attribute) in [Patient, Study].into_iter().flat_map(attribute::from_header) {
        let value = values.at(place);
        if value.is_empty() || !NEW_COLUMNS.contains(&attribute.tag) {
            continue;
        }
        let fill = |table: &str, pk: i64| {
            let column = attribute.column;
            connection
                .prepare_cached(&format!(
                    "UPDATE {table} SET {column} = ?2 WHERE {table}_pk = ?1 AND {column} = ''"
                ))?
                .execute(params![pk, value])
        };
        fill("study", series.study_pk)?;
        if attribute.level == Patient {
            fill("patient", series.patient_pk)?;
        }
    }
    Ok(())
}

/// Other Patient IDs, Other Patient Names, Other Study Numbers.
const NEW_COLUMNS: [Tag; 3] = [Tag(0x0010, 0x1000), Tag(0x0010, 0x1001), Tag(0x0020, 0x1070)];
