//! An instance in one of its versions, as its row tells it.

use std::path::PathBuf;

use model::InstanceIds;
use rusqlite::{Connection, Row};

use crate::files::Files;
use crate::scope::stored_uid;
use crate::{Error, StoredInstance};

/// One version of an instance. Of a version beyond the first the index does not know the number of frames.
///
/// # Errors
/// [`Error::Damaged`] when the row is missing or says what cannot be.
pub(crate) fn version(
    connection: &Connection,
    files: &Files,
    instance_pk: i64,
    version: u32,
) -> Result<StoredInstance, Error> {
    read(connection, files, instance_pk, version).map_err(Error::of_row)
}

fn read(
    connection: &Connection,
    files: &Files,
    instance_pk: i64,
    version: u32,
) -> Result<StoredInstance, Error> {
    let mut statement = connection.prepare_cached(if version == 1 { FIRST } else { LATER })?;
    // Version 1 has no use for its number, but takes it all the same.
    let mut rows = statement.query([instance_pk, version.into()])?;
    let row = rows.next()?.ok_or(Error::Damaged)?;
    let ids = InstanceIds {
        study: stored_uid(row.get(0)?)?,
        series: stored_uid(row.get(1)?)?,
        sop_instance: stored_uid(row.get(2)?)?,
        sop_class: stored_uid(row.get(3)?)?,
    };
    stored_instance(row, 4, files, ids)
}

/// Reads the columns `transfer_syntax_uid, file, data_offset, length, sha256, number_of_frames, crc64` from one of them on.
pub(crate) fn stored_instance(
    row: &Row<'_>,
    first: usize,
    files: &Files,
    ids: InstanceIds,
) -> Result<StoredInstance, Error> {
    let unsigned = |at: usize| -> Result<u64, Error> {
        u64::try_from(row.get::<_, i64>(first + at)?).map_err(|_| Error::Damaged)
    };
    let path: PathBuf = files.path(row.get(first + 1)?);
    Ok(StoredInstance {
        ids,
        transfer_syntax: stored_uid(row.get(first)?)?,
        path,
        data_offset: unsigned(2)?,
        length: unsigned(3)?,
        sha256: row.get(first + 4)?,
        number_of_frames: row.get_ref(first + 5)?.as_str().map_err(|_| Error::Damaged)?.parse().ok(),
        crc64: row.get::<_, Option<i64>>(first + 6)?.map(i64::cast_unsigned),
    })
}

pub(crate) const FIRST: &str = "
    SELECT study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
        transfer_syntax_uid, file, data_offset, length, sha256, number_of_frames, instance.crc64
    FROM instance CROSS JOIN series USING (series_pk) CROSS JOIN study USING (study_pk)
    WHERE instance_pk = ?1 AND ?2 = 1";

pub(crate) const LATER: &str = "
    SELECT study_instance_uid, series_instance_uid, sop_instance_uid, conflict.sop_class_uid,
        conflict.transfer_syntax_uid, conflict.file, conflict.data_offset, conflict.length, conflict.sha256, '',
        conflict.crc64
    FROM conflict INDEXED BY conflict_by_version CROSS JOIN instance USING (instance_pk)
    WHERE conflict.instance_pk = ?1 AND version = ?2";
