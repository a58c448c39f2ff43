//! What rows have beyond the index: from the stored JSON of an instance that stands for each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::attributes::Attributes;
use model::query::Query;
use model::{Tag, json};
use rusqlite::{Connection, OptionalExtension, Row as IndexRow};
use serde_json::value::RawValue;

use crate::Error;
use crate::attribute::is_stored;
use crate::items;
use crate::metadata::Unpacker;
use crate::query::{asks_for_stored, may_have_requests, needs_objects};
use crate::retrieve::{PAGE_BYTES, unpacker_of};

/// Fetches the objects of the rows of one page.
pub(crate) struct Objects<'a> {
    connection: &'a Connection,
    query: &'a Query,
    /// Of the series of the last row: instances come series by series.
    unpacker: Option<(i64, Unpacker)>,
    /// Of JSON, so far.
    bytes: usize,
    /// Of the JSON of whole objects.
    unpacked_bytes: usize,
}

impl<'a> Objects<'a> {
    /// Those that a query needs, if any.
    pub(crate) fn of_query(connection: &'a Connection, query: &'a Query) -> Option<Self> {
        needs_objects(query).then_some(Self {
            connection,
            query,
            unpacker: None,
            bytes: 0,
            unpacked_bytes: 0,
        })
    }

    /// Whether the page has as much of objects as it may.
    pub(crate) fn are_enough(&self) -> bool {
        self.bytes >= self.query.include.most_stored_bytes.unwrap_or(PAGE_BYTES).min(PAGE_BYTES)
            || self.unpacked_bytes >= UNPACKED_BYTES
    }

    /// What a row has of what is asked for; `None` when nothing stands for it. Sequences that its object does not have, but another one
    /// of the same patient, study or series, are added to its attributes as far as the index has them: they are what it was found by.
    pub(crate) fn of(
        &mut self,
        row: &IndexRow<'_>,
        attributes: &mut Attributes,
    ) -> Result<Option<Vec<u8>>, Error> {
        let key: i64 = row.get(0)?;
        let found = match self.query.level {
            Image => Some((key, row.get(1)?)),
            level => first_instance(self.connection, level, key)?,
        };
        let Some((series_pk, instance_pk)) = found else { return Ok(None) };
        if !asks_for_stored(self.query) && !items::has_sequence_of(self.connection, REQUESTS, Series, key)? {
            return Ok(None);
        }
        let whole = self.unpacked(series_pk, instance_pk)?;
        let members = self.asked_of(&whole)?;
        for (sequence, owner_level) in items::sequences(self.query.level) {
            let is_there =
                members.get(&*key_of(sequence)).is_some_and(|member| member.get().contains("\"Value\""));
            if self.is_asked(sequence) && !is_there {
                let owner =
                    owner_of(self.connection, owner_level, (key, series_pk, instance_pk), self.query.level)?;
                let items = items::of_owner(self.connection, sequence, owner_level, owner)?;
                if !items.is_empty() {
                    attributes.insert_items(sequence, items);
                }
            }
        }
        let json = serde_json::to_vec(&members).map_err(|_| Error::Damaged)?;
        self.bytes += json.len();
        self.unpacked_bytes += whole.len();
        Ok(Some(json))
    }

    fn unpacked(&mut self, series_pk: i64, instance_pk: i64) -> Result<Vec<u8>, Error> {
        let unpacker = match &mut self.unpacker {
            Some((of, unpacker)) if *of == series_pk => unpacker,
            other => &mut other.insert((series_pk, unpacker_of(self.connection, series_pk)?)).1,
        };
        let mut statement =
            self.connection.prepare_cached("SELECT dictionary, json FROM metadata WHERE instance_pk = ?1")?;
        let (needs_dictionary, packed): (bool, Vec<u8>) =
            statement.query_row([instance_pk], |row| Ok((row.get(0)?, row.get(1)?)))?;
        unpacker.unpack(&packed, needs_dictionary)
    }

    fn asked_of<'j>(&self, json: &'j [u8]) -> Result<BTreeMap<&'j str, Cow<'j, RawValue>>, Error> {
        let asked = json::select(json, |tag| self.is_asked(tag)).ok_or(Error::Damaged)?;
        let mut left = self.query.include.most_stored_bytes.unwrap_or(usize::MAX);
        let members = asked.into_iter().map(|(key, member)| {
            let bytes = member.get().len();
            if bytes <= left {
                left -= bytes;
                return Ok((key, Cow::Borrowed(member)));
            }
            Ok((key, Cow::Owned(json::without_value(member).ok_or(Error::Damaged)?)))
        });
        members.collect()
    }

    /// Whether a row has an attribute that the index has no column for.
    fn is_asked(&self, tag: Tag) -> bool {
        let include = &self.query.include;
        let is_default = || tag == REQUESTS && may_have_requests(self.query);
        is_stored(self.query.level, tag) && (include.all || include.tags.contains(&tag) || is_default())
    }
}

/// The name of an attribute in DICOM JSON (PS3.18 §F.2.2).
fn key_of(Tag(group, element): Tag) -> String {
    format!("{group:04X}{element:04X}")
}

/// The key of the patient, study, series or instance that a row of a level is of; `keys` are its own, of its series and of its instance.
fn owner_of(
    connection: &Connection,
    owner_level: QueryRetrieveLevel,
    keys: (i64, i64, i64),
    level: QueryRetrieveLevel,
) -> Result<i64, Error> {
    let (own, series_pk, instance_pk) = keys;
    Ok(match owner_level {
        Image => instance_pk,
        Series => series_pk,
        Study if level > Study => connection
            .prepare_cached("SELECT study_pk FROM series WHERE series_pk = ?1")?
            .query_row([series_pk], |row| row.get(0))?,
        Patient | Study => own,
    })
}

const REQUESTS: Tag = Tag(0x0040, 0x0275);

/// Of whole objects, of which little may be asked for: a page ends there, so that it does not take seconds.
const UNPACKED_BYTES: usize = 64 << 20;

/// The series and the instance that came first of a patient, study or series.
fn first_instance(
    connection: &Connection,
    level: QueryRetrieveLevel,
    key: i64,
) -> Result<Option<(i64, i64)>, Error> {
    let statement = match level {
        Patient => FIRST_OF_PATIENT,
        Study => FIRST_OF_STUDY,
        Series | Image => FIRST_OF_SERIES,
    };
    let mut statement = connection.prepare_cached(statement)?;
    Ok(statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub(crate) const FIRST_OF_PATIENT: &str = "
    SELECT series_pk, instance_pk FROM study INDEXED BY study_by_patient
    CROSS JOIN series INDEXED BY series_by_study USING (study_pk)
    CROSS JOIN instance INDEXED BY instance_by_series USING (series_pk)
    WHERE patient_pk = ?1 ORDER BY study_pk, series_pk, instance_pk LIMIT 1";

pub(crate) const FIRST_OF_STUDY: &str = "
    SELECT series_pk, instance_pk FROM series INDEXED BY series_by_study
    CROSS JOIN instance INDEXED BY instance_by_series USING (series_pk)
    WHERE study_pk = ?1 ORDER BY series_pk, instance_pk LIMIT 1";

pub(crate) const FIRST_OF_SERIES: &str = "
    SELECT series_pk, instance_pk FROM instance INDEXED BY instance_by_series
    WHERE series_pk = ?1 ORDER BY instance_pk LIMIT 1";
