use model::{SopInstanceUid, StudyInstanceUid};
use rusqlite::{Connection, Row};
use time::OffsetDateTime;

use crate::Error;
use crate::attribute::Terms;
use crate::clock::moment;
use crate::scope::stored_uid;
use crate::space::Space;

/// The archive at a glance, without patient data.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Patients; each study without a Patient ID counts as one.
    pub patients: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances that are served: version 1 of each SOP Instance UID.
    pub instances: u64,
    /// Bytes of all kept files, later versions included.
    pub bytes: u64,
    /// Kept versions beyond the first.
    pub conflicts: u64,
    /// Instances that said something else of their patient, study or series than is kept.
    pub disagreements: u64,
    /// Files that were missing or short when the archive was opened.
    pub damaged_files: u64,
    /// Missing or damaged files that were replaced because the same content came again.
    pub repaired_files: u64,
    /// The latest versions beyond the first, newest first, at most 20.
    pub latest_conflicts: Vec<ConflictSummary>,
    /// The studies whose first instance came last, newest first, at most 20.
    pub recent_studies: Vec<StudySummary>,
    /// Bytes free for us on the file system.
    pub free_bytes: u64,
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// Bytes of the index, its log not counted.
    pub index_bytes: u64,
}

/// A version beyond the first.
#[derive(Debug, Clone)]
pub struct ConflictSummary {
    /// The study that this version says it is of.
    pub study: StudyInstanceUid,
    /// The SOP Instance UID that came more than once.
    pub sop_instance: SopInstanceUid,
    /// The number of this version, from 2.
    pub version: u32,
    /// When it came.
    pub received: OffsetDateTime,
}

/// A study without patient data.
#[derive(Debug, Clone)]
pub struct StudySummary {
    /// Its UID.
    pub study: StudyInstanceUid,
    /// Study Date (0008,0020), empty when unknown.
    pub date: String,
    /// Modalities in Study (0008,0061).
    pub modalities: Vec<String>,
    /// Number of its series.
    pub series: u64,
    /// Number of its instances.
    pub instances: u64,
    /// Instances of it that said something else of patient, study or series than is kept.
    pub disagreements: u64,
    /// When its latest instance came.
    pub received: OffsetDateTime,
}

pub(crate) fn overview(connection: &Connection, space: Space) -> Result<Overview, Error> {
    let count =
        |sql: &str| -> Result<u64, Error> { Ok(unsigned(connection.query_row(sql, [], |row| row.get(0))?)) };
    let totals: Vec<u64> = connection.query_row(
        "SELECT patients, studies, series, instances, bytes, conflicts, disagreements, repairs FROM total",
        [],
        |row| (0..8).map(|at| row.get(at).map(unsigned)).collect(),
    )?;
    let total = |at: usize| totals.get(at).copied().unwrap_or_default();
    Ok(Overview {
        patients: total(0),
        studies: total(1),
        series: total(2),
        instances: total(3),
        bytes: total(4),
        conflicts: total(5),
        disagreements: total(6),
        damaged_files: count("SELECT count(*) FROM damaged_file")?,
        repaired_files: total(7),
        latest_conflicts: rows(connection, LATEST_CONFLICTS, conflict)?,
        recent_studies: rows(connection, &recent_studies(), study)?,
        free_bytes: space.free_bytes,
        total_bytes: space.total_bytes,
        index_bytes: count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
    })
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn conflict(row: &Row<'_>) -> Result<ConflictSummary, Error> {
    Ok(ConflictSummary {
        study: stored_uid(row.get(0)?)?,
        sop_instance: stored_uid(row.get(1)?)?,
        version: row.get(2)?,
        received: moment(row.get(3)?),
    })
}

fn study(row: &Row<'_>) -> Result<StudySummary, Error> {
    let modalities: Option<String> = row.get(2)?;
    Ok(StudySummary {
        study: stored_uid(row.get(0)?)?,
        date: row.get(1)?,
        modalities: modalities.map(|all| all.split('\\').map(str::to_owned).collect()).unwrap_or_default(),
        series: unsigned(row.get(3)?),
        instances: unsigned(row.get(4)?),
        disagreements: unsigned(row.get(5)?),
        received: moment(row.get(6)?),
    })
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Modalities are terms of the study.
fn recent_studies() -> String {
    format!(
        "SELECT study_instance_uid, study_date,
            (SELECT group_concat(value, '\\') FROM term WHERE kind = {} AND owner = study_pk),
            number_of_series, number_of_instances, disagreements, received
         FROM study ORDER BY study_pk DESC LIMIT 20",
        Terms::Modality.code()
    )
}

const LATEST_CONFLICTS: &str = "
    SELECT conflict.study_instance_uid, sop_instance_uid, version, conflict.received
    FROM conflict JOIN instance USING (instance_pk) ORDER BY conflict_pk DESC LIMIT 20";
