//! What a retrieve needs of the instances of a scope: where their files are, and their metadata.

use model::{InstanceIds, Scope, limits};
use rusqlite::{Connection, OptionalExtension, params};

use crate::files::Files;
use crate::metadata::Unpacker;
use crate::page::{Cursor, Page};
use crate::scope::{Part, Parts, actual_uid, stored_uid};
use crate::stored::stored_instance;
use crate::{Error, StoredInstance};

/// The instances of a scope, series by series, each in the order of arrival.
pub(crate) fn instances(
    connection: &Connection,
    files: &Files,
    scope: &Scope,
    after: Option<&Cursor>,
) -> Result<Page<StoredInstance>, Error> {
    let study = stored_uid::<model::Study>(actual_uid(connection, scope.study.as_str())?)?;
    let mut page = Filling::new();
    let mut parts = Parts::new(connection, scope, after)?;
    while let Some(part) = parts.next()? {
        let mut statement = connection.prepare_cached(&of_part(INSTANCES, &part))?;
        let mut rows = statement.query(params![part.series_pk, part.after, part.only])?;
        while let Some(row) = rows.next()? {
            if page.is_full() {
                return Ok(page.into_continued());
            }
            let ids = InstanceIds {
                study: study.clone(),
                series: part.series.clone(),
                sop_class: stored_uid(row.get(2)?)?,
                sop_instance: stored_uid(row.get(1)?)?,
            };
            page.push(stored_instance(row, 3, files, ids)?, 0, (part.series_pk, row.get(0)?));
        }
    }
    Ok(page.into_complete())
}

/// The DICOM JSON of the instances of a scope, in the same order.
pub(crate) fn metadata(
    connection: &Connection,
    scope: &Scope,
    after: Option<&Cursor>,
) -> Result<Page<Vec<u8>>, Error> {
    let mut page = Filling::new();
    let mut parts = Parts::new(connection, scope, after)?;
    while let Some(part) = parts.next()? {
        let mut unpacker = unpacker_of(connection, part.series_pk)?;
        let mut statement = connection.prepare_cached(&of_part(METADATA, &part))?;
        let mut rows = statement.query(params![part.series_pk, part.after, part.only])?;
        while let Some(row) = rows.next()? {
            if page.is_full() {
                return Ok(page.into_continued());
            }
            let packed = row.get_ref(2)?.as_blob().map_err(|_| Error::Damaged)?;
            let json = unpacker.unpack(packed, row.get(1)?)?;
            let bytes = json.len();
            page.push(json, bytes, (part.series_pk, row.get(0)?));
        }
    }
    Ok(page.into_complete())
}

/// Unpacks the JSON of the instances of a series.
pub(crate) fn unpacker_of(connection: &Connection, series_pk: i64) -> Result<Unpacker, Error> {
    let dictionary: Option<Vec<u8>> = connection
        .prepare_cached("SELECT json FROM dictionary WHERE series_pk = ?1")?
        .query_row([series_pk], |row| row.get(0))
        .optional()?;
    Unpacker::new(dictionary.as_deref())
}

/// The unpacked JSON that a page may hold besides its last one.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// The statement for what is left of one series. Parameters: series, instance that came last, the only instance or
/// NULL.
fn of_part((columns, join): (&str, &str), part: &Part) -> String {
    match &part.only {
        Some(_) => format!(
            "SELECT {columns} FROM instance INDEXED BY instance_by_uid {join} WHERE sop_instance_uid = ?3 AND series_pk = ?1
             AND instance_pk > ?2"
        ),
        None => format!(
            "SELECT {columns} FROM instance INDEXED BY instance_by_series {join} WHERE series_pk = ?1 AND instance_pk > ?2
             AND ?3 IS NULL ORDER BY instance_pk LIMIT {}",
            limits::PAGE_ROWS + 1
        ),
    }
}

/// Columns, and the table besides that of instances that has them.
const INSTANCES: (&str, &str) = (
    "instance_pk, sop_instance_uid, sop_class_uid, transfer_syntax_uid, file, data_offset, length, sha256, number_of_frames, crc64",
    "",
);
const METADATA: (&str, &str) = ("instance_pk, dictionary, json", "CROSS JOIN metadata USING (instance_pk)");

/// A page that is being filled.
struct Filling<T> {
    rows: Vec<T>,
    bytes: usize,
    /// Series and instance of the last row.
    last: (i64, i64),
}

impl<T> Filling<T> {
    fn new() -> Self {
        Self { rows: Vec::new(), bytes: 0, last: (0, 0) }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= PAGE_ROWS || self.bytes >= PAGE_BYTES
    }

    fn push(&mut self, row: T, bytes: usize, keys: (i64, i64)) {
        self.rows.push(row);
        self.bytes += bytes;
        self.last = keys;
    }

    fn into_complete(self) -> Page<T> {
        Page { rows: self.rows, next: None }
    }

    fn into_continued(self) -> Page<T> {
        let (outer, inner) = self.last;
        Page { rows: self.rows, next: Some(Cursor { date: String::new(), outer, inner, taken: 0 }) }
    }
}

const PAGE_ROWS: usize = limits::PAGE_ROWS as usize;
