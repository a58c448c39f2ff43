//! Patient, study and series rows from what their instances say: the first non-empty value wins, disagreement is
//! noted.

use model::QueryRetrieveLevel::{Patient, Series, Study};
use model::fold::fold_person_name;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::attribute::{Attribute, Kind, Terms, from_header};
use crate::items;
use crate::rows::Values;
use crate::store::Store;
use crate::terms::{self, Owner};
use crate::{Error, Prepared};

/// A study row that now says all that the instance had to say.
pub(crate) struct StudyRow {
    pub(crate) pk: i64,
    pub(crate) patient_pk: i64,
    pub(crate) disagrees: bool,
    /// Study Date.
    date: String,
}

impl StudyRow {
    /// As an owner of terms.
    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner::study(self.pk, &self.date)
    }
}

/// A series row that now says all that the instance had to say.
pub(crate) struct SeriesRow {
    pub(crate) pk: i64,
    pub(crate) disagrees: bool,
}

/// Whether what an instance says of its patient cannot be of the patient of a study, so that the study takes none of it.
pub(crate) fn is_of_another_patient(
    connection: &Connection,
    values: &Values,
    study_pk: i64,
) -> Result<bool, Error> {
    Ok(Identity::of(values).contradicts(&Identity::of_study(connection, study_pk)?))
}

/// Finds or makes the study of an instance, and its patient.
pub(crate) fn study(store: &mut Store<'_>, instance: &Prepared) -> Result<StudyRow, Error> {
    let found = store
        .connection
        .prepare_cached("SELECT study_pk, patient_pk FROM study WHERE study_instance_uid = ?1")?
        .query_row([instance.ids.study.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((pk, patient_pk)) => merge_study(store, instance, pk, patient_pk),
        None => new_study(store, instance),
    }
}

/// Finds or makes the series of an instance.
pub(crate) fn series(
    store: &mut Store<'_>,
    instance: &Prepared,
    study: &StudyRow,
) -> Result<SeriesRow, Error> {
    let uid = instance.ids.series.as_str();
    let found = store
        .connection
        .prepare_cached("SELECT series_pk FROM series WHERE series_instance_uid = ?1 AND study_pk = ?2")?
        .query_row(params![uid, study.pk], |row| row.get(0))
        .optional()?;
    let said = said(&instance.values, from_header(Series));
    let (pk, filled, disagrees) = match found {
        Some(pk) => {
            let merged = SERIES.merge(store, pk, said)?;
            (pk, merged.filled, merged.disagrees)
        }
        None => {
            let pk = SERIES.insert(store, &[study.pk.into(), uid.to_owned().into()], &said)?;
            store.counters.series(study.patient_pk, study.pk);
            (pk, said, false)
        }
    };
    add_names(store, &filled, Owner::undated(pk), |terms| terms)?;
    items::add(store.connection, &instance.values.items, &[Series], (Series, pk))?;
    for (attribute, value) in filled {
        if attribute.column == "modality" && !value.is_empty() {
            terms::add(store.connection, Terms::Modality.code(), &value, study.owner())?;
        }
    }
    Ok(SeriesRow { pk, disagrees })
}

fn new_study(store: &mut Store<'_>, instance: &Prepared) -> Result<StudyRow, Error> {
    let identity = Identity::of(&instance.values);
    let (patient_pk, disagrees) = match identity.find(store)? {
        Some(pk) => (pk, merge_patient(store, instance, pk)?),
        None => (new_patient(store, &said(&instance.values, from_header(Patient)))?, false),
    };
    let said = said(&instance.values, STUDY.attributes());
    let uid = instance.ids.study.as_str().to_owned();
    let pk = STUDY.insert(store, &[patient_pk.into(), uid.into()], &said)?;
    let date = date_of(&said);
    add_names(store, &said, Owner::study(pk, &date), Terms::of_study)?;
    add_items(store, instance, pk, patient_pk)?;
    store.counters.study(patient_pk);
    Ok(StudyRow { pk, patient_pk, disagrees, date })
}

fn merge_study(
    store: &mut Store<'_>,
    instance: &Prepared,
    pk: i64,
    patient_pk: i64,
) -> Result<StudyRow, Error> {
    let stated = Identity::of(&instance.values);
    let known = Identity::of_study(store.connection, pk)?;
    if stated.contradicts(&known) {
        // Whatever else it says of the patient is about another one.
        let said = said(&instance.values, from_header(Study));
        let merged = STUDY.merge(store, pk, said)?;
        let date = add_names_of_study(store, &merged.filled, pk)?;
        items::add(store.connection, &instance.values.items, &[Study], (Study, pk))?;
        return Ok(StudyRow { pk, patient_pk, disagrees: true, date });
    }
    let merged = STUDY.merge(store, pk, said(&instance.values, STUDY.attributes()))?;
    let date = add_names_of_study(store, &merged.filled, pk)?;
    let identity = Identity::of_study(store.connection, pk)?;
    let patient_pk = match identity == known {
        true => patient_pk,
        false => move_study(store, pk, patient_pk, &identity)?,
    };
    let patient_disagrees = merge_patient(store, instance, patient_pk)?;
    add_items(store, instance, pk, patient_pk)?;
    Ok(StudyRow { pk, patient_pk, disagrees: merged.disagrees || patient_disagrees, date })
}

/// Brings a study to the patient that it turned out to be of.
fn move_study(store: &mut Store<'_>, pk: i64, from: i64, identity: &Identity) -> Result<i64, Error> {
    store.counters.write_rows(store.connection)?;
    // Other series of the study are remembered with the patient that it leaves.
    store.places.clear();
    let connection = store.connection;
    let is_only_study: bool = connection.query_row(
        "SELECT number_of_studies <= 1 FROM patient WHERE patient_pk = ?1",
        [from],
        |row| row.get(0),
    )?;
    let to = match identity.find(store)? {
        Some(to) => to,
        None if is_only_study => {
            connection.execute(
                "UPDATE patient SET patient_id = ?2, issuer_of_patient_id = ?3 WHERE patient_pk = ?1",
                params![from, identity.patient_id, identity.issuer],
            )?;
            return Ok(from);
        }
        None => new_patient(store, &said_of_patient(store, pk)?)?,
    };
    // What the study has of its patient, other instances may have said than the one that tells who it is.
    let mut said = said_of_patient(store, pk)?;
    said.retain(|(attribute, _)| !Identity::has(attribute));
    let merged = PATIENT.merge(store, to, said)?;
    add_names(store, &merged.filled, Owner::undated(to), |terms| terms)?;
    items::copy_to_patient(connection, pk, to)?;
    connection.execute("UPDATE study SET patient_pk = ?2 WHERE study_pk = ?1", [pk, to])?;
    for (patient, sign) in [(from, -1), (to, 1)] {
        connection.execute(
            "UPDATE patient SET number_of_studies = number_of_studies + ?2,
             number_of_series = number_of_series + ?2 * moved.series,
             number_of_instances = number_of_instances + ?2 * moved.instances
             FROM (SELECT number_of_series AS series, number_of_instances AS instances FROM study WHERE study_pk = ?3) AS moved
             WHERE patient_pk = ?1",
            [patient, sign, pk],
        )?;
    }
    if is_only_study {
        let names = names_in(&PATIENT.read(connection, from)?, |terms| terms);
        terms::remove_of_patient(connection, from, &names)?;
        items::remove_of_patient(connection, from)?;
        connection.execute("DELETE FROM patient WHERE patient_pk = ?1", [from])?;
        store.counters.patients(-1);
    }
    Ok(to)
}

/// What a study has of its patient.
fn said_of_patient(store: &Store<'_>, study_pk: i64) -> Result<Vec<Said>, Error> {
    let mut said = STUDY.read(store.connection, study_pk)?;
    said.retain(|(attribute, _)| attribute.level == Patient);
    Ok(said)
}

fn new_patient(store: &mut Store<'_>, said: &[Said]) -> Result<i64, Error> {
    let pk = PATIENT.insert(store, &[], said)?;
    add_names(store, said, Owner::undated(pk), |terms| terms)?;
    store.counters.patients(1);
    Ok(pk)
}

/// Fills in the row of the patient; tells whether the instance says something else.
fn merge_patient(store: &mut Store<'_>, instance: &Prepared, pk: i64) -> Result<bool, Error> {
    let mut said = said(&instance.values, from_header(Patient));
    said.retain(|(attribute, _)| !Identity::has(attribute));
    let merged = PATIENT.merge(store, pk, said)?;
    add_names(store, &merged.filled, Owner::undated(pk), |terms| terms)?;
    Ok(merged.disagrees)
}

/// What makes a patient. Without Patient ID it is nobody's but the study's.
#[derive(PartialEq, Eq)]
struct Identity {
    patient_id: String,
    issuer: String,
}

impl Identity {
    fn of(values: &Values) -> Self {
        let mut identity = Self { patient_id: String::new(), issuer: String::new() };
        for (attribute, value) in said(values, from_header(Patient)) {
            match attribute.column {
                "patient_id" => identity.patient_id = value,
                "issuer_of_patient_id" => identity.issuer = value,
                _ => {}
            }
        }
        identity
    }

    fn of_study(connection: &Connection, study_pk: i64) -> Result<Self, Error> {
        let mut statement = connection
            .prepare_cached("SELECT patient_id, issuer_of_patient_id FROM study WHERE study_pk = ?1")?;
        Ok(statement
            .query_row([study_pk], |row| Ok(Self { patient_id: row.get(0)?, issuer: row.get(1)? }))?)
    }

    fn has(attribute: &Attribute) -> bool {
        matches!(attribute.column, "patient_id" | "issuer_of_patient_id")
    }

    fn find(&self, store: &Store<'_>) -> Result<Option<i64>, Error> {
        if self.patient_id.is_empty() {
            return Ok(None);
        }
        let mut statement = store.connection.prepare_cached(
            "SELECT patient_pk FROM patient WHERE patient_id = ?1 AND patient_id <> '' AND issuer_of_patient_id = ?2",
        )?;
        Ok(statement.query_row([&self.patient_id, &self.issuer], |row| row.get(0)).optional()?)
    }

    /// Whether the two cannot be the same patient; what one leaves open is no contradiction.
    fn contradicts(&self, other: &Self) -> bool {
        let differ = |one: &str, two: &str| !one.is_empty() && !two.is_empty() && one != two;
        differ(&self.patient_id, &other.patient_id) || differ(&self.issuer, &other.issuer)
    }
}

/// An attribute and what an instance says of it.
type Said = (&'static Attribute, String);

fn said(values: &Values, attributes: impl Iterator<Item = (usize, &'static Attribute)>) -> Vec<Said> {
    let mut said: Vec<Said> =
        attributes.map(|(place, attribute)| (attribute, values.at(place).to_owned())).collect();
    // An issuer of no Patient ID says nothing.
    let has_id = said.iter().any(|(attribute, value)| attribute.column == "patient_id" && !value.is_empty());
    for (attribute, value) in &mut said {
        if attribute.column == "issuer_of_patient_id" && !has_id {
            value.clear();
        }
    }
    said
}

/// A table whose rows are merged.
struct Table {
    name: &'static str,
    /// Columns before those of the attributes.
    keys: &'static str,
    levels: &'static [model::QueryRetrieveLevel],
}

struct Merged {
    /// What was empty before.
    filled: Vec<Said>,
    disagrees: bool,
}

impl Table {
    fn attributes(&self) -> impl Iterator<Item = (usize, &'static Attribute)> + Clone {
        self.levels.iter().flat_map(|&level| from_header(level))
    }

    fn insert(&self, store: &Store<'_>, keys: &[Value], said: &[Said]) -> Result<i64, Error> {
        let columns: Vec<&str> = said.iter().map(|(attribute, _)| attribute.column).collect();
        let statement = insert(self.name, &format!("{}{}", self.keys, columns.join(", ")));
        let values = said.iter().map(|(_, value)| Value::Text(value.clone()));
        store
            .connection
            .prepare_cached(&statement)?
            .execute(params_from_iter(keys.iter().cloned().chain(values)))?;
        Ok(store.connection.last_insert_rowid())
    }

    fn read(&self, connection: &Connection, pk: i64) -> Result<Vec<Said>, Error> {
        let statement = format!(
            "SELECT {} FROM {name} WHERE {name}_pk = ?1",
            column_list(self.attributes()),
            name = self.name
        );
        let mut statement = connection.prepare_cached(&statement)?;
        let read = |row: &rusqlite::Row<'_>| {
            self.attributes().enumerate().map(|(at, (_, attribute))| Ok((attribute, row.get(at)?))).collect()
        };
        Ok(statement.query_row([pk], read)?)
    }

    /// Fills the empty columns of a row with what is said.
    fn merge(&self, store: &Store<'_>, pk: i64, said: Vec<Said>) -> Result<Merged, Error> {
        let known = self.read(store.connection, pk)?;
        let mut merged = Merged { filled: Vec::new(), disagrees: false };
        for (attribute, value) in said {
            let known =
                known.iter().find(|(known, _)| known.tag == attribute.tag).map_or("", |(_, value)| value);
            if known.is_empty() && !value.is_empty() {
                merged.filled.push((attribute, value));
            } else if !value.is_empty() && known != value {
                merged.disagrees |= !is_same(attribute, known, &value);
            }
        }
        for (attribute, value) in &merged.filled {
            let statement =
                format!("UPDATE {name} SET {} = ?2 WHERE {name}_pk = ?1", attribute.column, name = self.name);
            store.connection.prepare_cached(&statement)?.execute(params![pk, value])?;
        }
        Ok(merged)
    }
}

/// Names that differ in case, accents or trailing delimiters only are the same name.
fn is_same(attribute: &Attribute, one: &str, two: &str) -> bool {
    match attribute.kind {
        Kind::Name(_) => fold_person_name(one) == fold_person_name(two),
        Kind::Text | Kind::Texts | Kind::Number | Kind::Decimal => false,
        Kind::Date
        | Kind::Time
        | Kind::Uid
        | Kind::Own
        | Kind::Terms(_)
        | Kind::Count
        | Kind::Constant(_) => false,
    }
}

/// Adds the terms of new person names.
fn add_names(
    store: &Store<'_>,
    said: &[Said],
    owner: Owner<'_>,
    terms_of: impl Fn(Terms) -> Terms,
) -> Result<(), Error> {
    for (terms, value) in names_in(said, terms_of) {
        terms::add_names(store.connection, terms, &value, owner)?;
    }
    Ok(())
}

/// Adds the terms of person names that a study has got. Gives its date, to which all its terms are brought when that is new.
fn add_names_of_study(store: &Store<'_>, filled: &[Said], pk: i64) -> Result<String, Error> {
    let known = STUDY.read(store.connection, pk)?;
    let date = date_of(&known);
    let owner = Owner::study(pk, &date);
    if !date_of(filled).is_empty() {
        terms::date(store.connection, owner, &names_in(&known, Terms::of_study))?;
    }
    add_names(store, filled, owner, Terms::of_study)?;
    Ok(date)
}

fn names_in(said: &[Said], terms_of: impl Fn(Terms) -> Terms) -> Vec<(Terms, String)> {
    let names = said.iter().filter_map(|(attribute, value)| match attribute.kind {
        Kind::Name(terms) => Some((terms_of(terms), value.clone())),
        _ => None,
    });
    names.collect()
}

fn date_of(said: &[Said]) -> String {
    let date = said.iter().find(|(attribute, _)| attribute.column == "study_date");
    date.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Adds the items of sequences that an instance of a study has, for the study and its patient.
fn add_items(store: &Store<'_>, instance: &Prepared, study_pk: i64, patient_pk: i64) -> Result<(), Error> {
    let values = &instance.values.items;
    items::add(store.connection, values, &[Patient, Study], (Study, study_pk))?;
    items::add(store.connection, values, &[Patient], (Patient, patient_pk))
}

/// The columns of attributes, with commas.
pub(crate) fn column_list(attributes: impl Iterator<Item = (usize, &'static Attribute)>) -> String {
    attributes.map(|(_, attribute)| attribute.column).collect::<Vec<_>>().join(", ")
}

/// The statement that inserts a row of these columns.
pub(crate) fn insert(table: &str, columns: &str) -> String {
    let marks = vec!["?"; columns.split(',').count()].join(", ");
    format!("INSERT INTO {table} ({columns}) VALUES ({marks})")
}

const PATIENT: Table = Table { name: "patient", keys: "", levels: &[Patient] };
const STUDY: Table =
    Table { name: "study", keys: "patient_pk, study_instance_uid, ", levels: &[Patient, Study] };
const SERIES: Table = Table { name: "series", keys: "study_pk, series_instance_uid, ", levels: &[Series] };
