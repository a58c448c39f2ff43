//! What the index learns of what it has already, when a new version of the schema has room for more: at the start, before anything
//! is asked or stored, in transactions of bounded length, going on where the last start ended.
//!
//! It is done with the schema and the tables of the version that runs, after all migrations. What is there already stays as it is, so
//! that a step may be done again.

use std::time::{Duration, Instant};

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::attributes::{Attributes, to_data_set};
use model::charset::Charset;
use model::syntax::{Encoding, Form};
use model::{SopClassUid, Tag, json, scan};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::Error;
use crate::attribute::{self, Kind, Terms};
use crate::merge::is_of_another_patient;
use crate::retrieve::unpacker_of;
use crate::rows::Values;
use crate::terms::{self, Owner};
use crate::{items, kinds};

/// Does all that is left to do. Some fifty microseconds for each series and structured report; three passes over all instances.
pub(crate) fn resume(connection: &mut Connection) -> Result<(), Error> {
    let started = Instant::now();
    let mut told = started;
    while let Some((step, after)) = chunk(connection, ROWS)? {
        if told == started || told.elapsed() > TELLING {
            told = Instant::now();
            tracing::info!(?step, after, "the index learns from what is stored, before the server starts");
        }
    }
    if told != started {
        tracing::info!(elapsed = ?started.elapsed(), "the index has learnt from what is stored");
    }
    Ok(())
}

/// Goes on for a number of rows, in one transaction. Tells what is left, and how far that has come.
pub(crate) fn chunk(connection: &mut Connection, rows: usize) -> Result<Option<(Step, i64)>, Error> {
    if next_step(connection)?.is_none() {
        return Ok(None);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut left, started) = (rows, Instant::now());
    let goes_on = |left: usize| left > 0 && started.elapsed() < LONGEST;
    while let Some((step, mut after)) = next_step(&transaction)?.filter(|_| goes_on(left)) {
        let mut is_done = false;
        while goes_on(left) && !is_done {
            match step.advance(&transaction, after)? {
                Some(reached) => after = reached,
                None => is_done = true,
            }
            left -= 1;
        }
        match is_done {
            true => transaction.execute("DELETE FROM refill WHERE step = ?1", [step.number()])?,
            false => {
                transaction.execute("UPDATE refill SET after = ?2 WHERE step = ?1", [step.number(), after])?
            }
        };
    }
    transaction.commit()?;
    next_step(connection)
}

fn next_step(connection: &Connection) -> Result<Option<(Step, i64)>, Error> {
    let mut statement = connection.prepare_cached("SELECT step, after FROM refill ORDER BY step LIMIT 1")?;
    let found: Option<(i64, i64)> =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let step = |number| Step::ALL.into_iter().find(|step| step.number() == number);
    found.map(|(number, after)| Ok((step(number).ok_or(Error::Damaged)?, after))).transpose()
}

/// What is done row by row. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The items of sequences, and the columns that came with them, from the first object of each series.
    Objects = 1,
    /// The terms of names in patients.
    NamesOfPatients = 2,
    /// The terms of names in studies.
    NamesOfStudies = 3,
    /// The terms of names in series.
    NamesOfSeries = 4,
    /// The items of sequences from all structured reports.
    Reports = 5,
    /// How many instances there are of each kind.
    Kinds = 6,
    /// The keys that came with version 14 of the schema, from all instances that may have them.
    Others = 7,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Objects,
        Self::NamesOfPatients,
        Self::NamesOfStudies,
        Self::NamesOfSeries,
        Self::Reports,
        Self::Kinds,
        Self::Others,
    ];

    /// What stands for it in the index.
    fn number(self) -> i64 {
        self as i64 // the discriminants above are the stored numbers
    }

    /// Does the row after a key, or some instances, and gives the key of the last; `None` when there is none.
    fn advance(self, connection: &Connection, after: i64) -> Result<Option<i64>, Error> {
        match self {
            Self::Objects => {
                let Some(series) = next_series(connection, after)? else { return Ok(None) };
                learn(connection, &series)?;
                Ok(Some(series.pk))
            }
            Self::NamesOfPatients => names(connection, "patient", "''", &[(Patient, |terms| terms)], after),
            Self::NamesOfStudies => {
                let names_of: [NamesOf; 2] = [(Patient, Terms::of_study), (Study, |terms| terms)];
                names(connection, "study", "study_date", &names_of, after)
            }
            Self::NamesOfSeries => names(connection, "series", "''", &[(Series, |terms| terms)], after),
            Self::Reports => {
                let Some(last) = last_of_next(connection, after)? else { return Ok(None) };
                instances(connection, after, last, "sop_class_uid GLOB '1.2.840.10008.5.1.4.1.1.88.*'")?;
                Ok(Some(last))
            }
            Self::Others => {
                let Some(last) = last_of_next(connection, after)? else { return Ok(None) };
                // Specimens are in images by visible light; general classes are related to those that the standard does not have.
                let may_have = "(sop_class_uid GLOB '1.2.840.10008.5.1.4.1.1.77.*' OR sop_class_uid NOT GLOB '1.2.840.10008.*')";
                instances(connection, after, last, may_have)?;
                Ok(Some(last))
            }
            Self::Kinds => {
                let Some(last) = last_of_next(connection, after)? else { return Ok(None) };
                count_kinds(connection, after, last)?;
                Ok(Some(last))
            }
        }
    }
}

/// What a series has to say, by the rules of [`merge`](crate::merge): the first value stays, and of another patient none is taken.
fn learn(connection: &Connection, series: &FirstOfSeries) -> Result<(), Error> {
    if let Some(instance_pk) = series.instance_pk
        && let Some(values) = values_of(connection, series.pk, instance_pk)?
    {
        let is_of_another = is_of_another_patient(connection, &values, series.study_pk)?;
        let levels = if is_of_another { &[Study][..] } else { &[Patient, Study] };
        fill_columns(connection, series, &values, levels)?;
        items::add(connection, &values.items, levels, (Study, series.study_pk))?;
        if !is_of_another {
            items::add(connection, &values.items, &[Patient], (Patient, series.patient_pk))?;
        }
        items::add(connection, &values.items, &[Series], (Series, series.pk))?;
    }
    Ok(())
}

/// The last of the next [`INSTANCES`] instances after a key.
fn last_of_next(connection: &Connection, after: i64) -> Result<Option<i64>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT max(instance_pk) FROM
            (SELECT instance_pk FROM instance WHERE instance_pk > ?1 ORDER BY instance_pk LIMIT {INSTANCES})"
    ))?;
    Ok(statement.query_row([after], |row| row.get(0))?)
}

/// What those of some instances that meet a condition have to say themselves.
fn instances(connection: &Connection, after: i64, last: i64, which: &str) -> Result<(), Error> {
    let mut found = connection.prepare_cached(&format!(
        "SELECT instance_pk, series_pk, study_pk FROM instance CROSS JOIN series USING (series_pk)
         WHERE instance_pk > ?1 AND instance_pk <= ?2 AND {which}"
    ))?;
    let mut found = found.query([after, last])?;
    while let Some(row) = found.next()? {
        let (instance_pk, series_pk, study_pk) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if let Some(values) = values_of(connection, series_pk, instance_pk)? {
            items::add(connection, &values.items, &[Image], (Image, instance_pk))?;
            items::add(connection, &values.items, &[Study], (Study, study_pk))?;
            let new = |attribute: &attribute::Attribute| NEW_COLUMNS.contains(&attribute.tag);
            for (place, attribute) in attribute::from_header(Image).filter(|(_, attribute)| new(attribute)) {
                fill(connection, attribute.column, "instance", instance_pk, values.at(place))?;
            }
        }
    }
    Ok(())
}

/// Counts some instances; before the first of all, what was counted before is forgotten.
fn count_kinds(connection: &Connection, after: i64, last: i64) -> Result<(), Error> {
    if after == 0 {
        connection.execute("UPDATE kind SET instances = 0", [])?;
    }
    let mut counts = connection.prepare_cached(
        "SELECT sop_class_uid, transfer_syntax_uid, count(*) FROM instance
         WHERE instance_pk > ?1 AND instance_pk <= ?2 GROUP BY 1, 2",
    )?;
    let mut counts = counts.query([after, last])?;
    while let Some(row) = counts.next()? {
        let (class, syntax): (String, String) = (row.get(0)?, row.get(1)?);
        kinds::write(connection, &class, &syntax, row.get(2)?)?;
    }
    Ok(())
}

/// A level whose names a table has, and what their terms are there.
type NamesOf = (QueryRetrieveLevel, fn(Terms) -> Terms);

/// Adds the terms of all person names of the row after a key: their beginnings and sounds, and all of a column that was filled.
fn names(
    connection: &Connection,
    table: &str,
    date: &str,
    levels: &[NamesOf],
    after: i64,
) -> Result<Option<i64>, Error> {
    let of_level = |&(level, terms_of): &NamesOf| {
        attribute::from_header(level).filter_map(move |(_, attribute)| match attribute.kind {
            Kind::Name(terms) => Some((terms_of(terms), attribute.column)),
            _ => None,
        })
    };
    let names: Vec<(Terms, &str)> = levels.iter().flat_map(of_level).collect();
    let columns: Vec<&str> = names.iter().map(|(_, column)| *column).collect();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {table}_pk, {date}, {} FROM {table} WHERE {table}_pk > ?1 ORDER BY {table}_pk LIMIT 1",
        columns.join(", ")
    ))?;
    let mut found = statement.query([after])?;
    let Some(row) = found.next()? else { return Ok(None) };
    let (pk, study_date): (i64, String) = (row.get(0)?, row.get(1)?);
    let owner = Owner { pk, study_date: &study_date };
    for (at, (terms, _)) in (2..).zip(&names) {
        let name: String = row.get(at)?;
        if !name.is_empty() {
            terms::add_names(connection, *terms, &name, owner)?;
        }
    }
    Ok(Some(pk))
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
    let wanted = |tag: Tag| items::is_source(tag) || NEW_COLUMNS.contains(&tag) || IDENTITY.contains(&tag);
    let members = json::select(&stored, wanted).ok_or(Error::Damaged)?;
    let attributes: Attributes =
        serde_json::to_vec(&members).ok().and_then(|members| json::read(&members)).ok_or(Error::Damaged)?;
    let data_set = to_data_set(&attributes, Encoding::ExplicitLittle, &Charset::default());
    let form = Form { encoding: Encoding::ExplicitLittle, deflated: false };
    let header = scan::scan(form, &data_set).map_err(|_| Error::Damaged)?;
    Ok(Values::from_header(&header, &SopClassUid::lenient("0").ok_or(Error::Damaged)?))
}

fn fill_columns(
    connection: &Connection,
    series: &FirstOfSeries,
    values: &Values,
    levels: &[QueryRetrieveLevel],
) -> Result<(), Error> {
    for (place, attribute) in levels.iter().copied().flat_map(attribute::from_header) {
        let value = values.at(place);
        if !NEW_COLUMNS.contains(&attribute.tag) {
            continue;
        }
        fill(connection, attribute.column, "study", series.study_pk, value)?;
        if attribute.level == Patient {
            fill(connection, attribute.column, "patient", series.patient_pk, value)?;
        }
    }
    Ok(())
}

/// Gives a row a value that it lacks.
fn fill(connection: &Connection, column: &str, table: &str, pk: i64, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached(&format!("UPDATE {table} SET {column} = ?2 WHERE {table}_pk = ?1 AND {column} = ''"))?
        .execute(params![pk, value])?;
    Ok(())
}

/// Other Patient IDs, Other Patient Names, Other Study Numbers; Related General SOP Class UID, Container Identifier.
const NEW_COLUMNS: [Tag; 5] =
    [Tag(0x0010, 0x1000), Tag(0x0010, 0x1001), Tag(0x0020, 0x1070), Tag(0x0008, 0x001A), Tag(0x0040, 0x0512)];

/// Patient ID and its issuer: whose the new values are.
const IDENTITY: [Tag; 2] = [Tag(0x0010, 0x0020), Tag(0x0010, 0x0021)];

/// Rows of one transaction: some fifty milliseconds.
const ROWS: usize = 1000;

/// No transaction is longer than this and a row.
const LONGEST: Duration = Duration::from_secs(1);

/// Instances that are done as one row.
const INSTANCES: usize = 10;

/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(10);
