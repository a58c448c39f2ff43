//! Scope → the rows it takes in, series by series in the order of their arrival.

use model::{Scope, SeriesInstanceUid, SopInstanceUid};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Error;
use crate::page::Cursor;

/// A series of a scope, and which of its instances are left.
pub(crate) struct Part {
    pub(crate) series_pk: i64,
    pub(crate) series: SeriesInstanceUid,
    /// Instances with greater keys are left.
    pub(crate) after: i64,
    /// The only instance, when the scope names one.
    pub(crate) only: Option<String>,
}

/// The series of a scope, in order.
pub(crate) struct Parts<'a> {
    connection: &'a Connection,
    study_pk: Option<i64>,
    series: Option<String>,
    instance: Option<String>,
    next_series_pk: i64,
    after: i64,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        scope: &Scope,
        after: Option<&Cursor>,
    ) -> Result<Self, Error> {
        let resolve = |uid: Option<&str>| uid.map(|uid| actual_uid(connection, uid)).transpose();
        let study = actual_uid(connection, scope.study.as_str())?;
        let study_pk = connection
            .prepare_cached("SELECT study_pk FROM study WHERE study_instance_uid = ?1")?
            .query_row([study], |row| row.get(0))
            .optional()?;
        Ok(Self {
            connection,
            study_pk,
            series: resolve(scope.series.as_ref().map(SeriesInstanceUid::as_str))?,
            instance: resolve(scope.instance.as_ref().map(SopInstanceUid::as_str))?,
            next_series_pk: after.map_or(0, |cursor| cursor.outer),
            after: after.map_or(0, |cursor| cursor.inner),
        })
    }

    /// The next series that may have instances of the scope.
    pub(crate) fn next(&mut self) -> Result<Option<Part>, Error> {
        let Some(study_pk) = self.study_pk else { return Ok(None) };
        let found = match &self.series {
            Some(series) => self
                .connection
                .prepare_cached(
                    "SELECT series_pk, series_instance_uid FROM series
                     WHERE series_instance_uid = ?1 AND study_pk = ?2 AND series_pk >= ?3",
                )?
                .query_row(params![series, study_pk, self.next_series_pk], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?,
            None => self
                .connection
                .prepare_cached(
                    "SELECT series_pk, series_instance_uid FROM series INDEXED BY series_by_study
                     WHERE study_pk = ?1 AND series_pk >= ?2 ORDER BY series_pk LIMIT 1",
                )?
                .query_row([study_pk, self.next_series_pk], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?,
        };
        let Some((series_pk, uid)) = found else { return Ok(None) };
        let series = stored_uid::<model::Series>(uid)?;
        self.next_series_pk = series_pk + 1;
        Ok(Some(Part {
            series_pk,
            series,
            after: std::mem::take(&mut self.after),
            only: self.instance.clone(),
        }))
    }
}

/// The UID that a text from outside means: itself, or the odd one whose path component it is.
pub(crate) fn actual_uid(connection: &Connection, text: &str) -> Result<String, Error> {
    let is_component = text.len() == COMPONENT_BYTES && text.starts_with("x-");
    let odd = match is_component {
        true => connection
            .prepare_cached("SELECT uid FROM odd_uid WHERE component = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?,
        false => None,
    };
    Ok(odd.unwrap_or_else(|| text.to_owned()))
}

/// A UID as a column has it.
pub(crate) fn stored_uid<K: model::Kind>(text: String) -> Result<model::Uid<K>, Error> {
    model::Uid::lenient(&text).ok_or(Error::Damaged)
}

/// `x-` and a SHA-256 in hex, see [`model::Uid::path_component`].
const COMPONENT_BYTES: usize = 66;
