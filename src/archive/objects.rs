//! What rows have beyond the index: from the stored JSON of an instance that stands for each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::query::Query;
use model::{Tag, json};
use rusqlite::{Connection, OptionalExtension, Row as IndexRow};

use crate::Error;
use crate::attribute::is_stored;
use crate::items;
use crate::metadata::Unpacker;
use crate::query::needs_objects;
use crate::retrieve::{PAGE_BYTES, unpacker_of};

/// Fetches the objects of the rows of one page.
pub(crate) struct Objects<'a> {
    connection: &'a Connection,
    query: &'a Query,
    /// Of the series of the last row: instances come series by series.
    unpacker: Option<(i64, Unpacker)>,
    /// Of JSON, so far.
    bytes: usize,
}

impl<'a> Objects<'a> {
    /// Those that a query needs, if any.
    pub(crate) fn of_query(connection: &'a Connection, query: &'a Query) -> Option<Self> {
        (needs_objects(query) || may_have_requests(query)).then_some(Self {
            connection,
            query,
            unpacker: None,
            bytes: 0,
        })
    }

    /// Whether the page has as much of objects as it may.
    pub(crate) fn are_enough(&self) -> bool {
        self.bytes >= self.query.include.most_stored_bytes.unwrap_or(PAGE_BYTES).min(PAGE_BYTES)
    }

    /// What a row has of what is asked for; `None` when nothing stands for it.
    pub(crate) fn of(&mut self, row: &IndexRow<'_>) -> Result<Option<Vec<u8>>, Error> {
        let key: i64 = row.get(0)?;
        let found = match self.query.level {
            Image => Some((key, row.get(1)?)),
            level => first_instance(self.connection, level, key)?,
        };
        let Some((series_pk, instance_pk)) = found else { return Ok(None) };
        if !needs_objects(self.query) && !items::has_sequence_of(self.connection, REQUESTS, Series, key)? {
            return Ok(None);
        }
        let whole = self.unpacked(series_pk, instance_pk)?;
        let json = self.asked_of(&whole)?;
        self.bytes += json.len();
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

    fn asked_of(&self, json: &[u8]) -> Result<Vec<u8>, Error> {
        let (level, include) = (self.query.level, &self.query.include);
        let asked = json::select(json, |tag| {
            let is_default = || tag == REQUESTS && may_have_requests(self.query);
            is_stored(level, tag) && (include.all || include.tags.contains(&tag) || is_default())
        });
        let mut left = include.most_stored_bytes.unwrap_or(usize::MAX);
        let members = asked.ok_or(Error::Damaged)?.into_iter().map(|(key, member)| {
            let bytes = member.get().len();
            if bytes <= left {
                left -= bytes;
                return Ok((key, Cow::Borrowed(member)));
            }
            Ok((key, Cow::Owned(json::without_value(member).ok_or(Error::Damaged)?)))
        });
        let members: BTreeMap<_, _> = members.collect::<Result<_, Error>>()?;
        serde_json::to_vec(&members).map_err(|_| Error::Damaged)
    }
}

/// Whether rows have Request Attributes Sequence unasked, where there is one (PS3.18 Table 10.6.3-4).
fn may_have_requests(query: &Query) -> bool {
    query.level == Series && query.include.defaults
}

const REQUESTS: Tag = Tag(0x0040, 0x0275);

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
