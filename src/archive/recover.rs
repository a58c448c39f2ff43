//! Start-up: files and rows that a crash left without each other.
//!
//! Only the folders of the hours that were open are looked at, so a start takes the same time however much is kept. A
//! file without a row is most likely one that was never acknowledged; but the index may be an old copy or have lost
//! its log, so no file is ever removed here: it is set aside in `data_dir/unindexed`. A row without its file is a loss
//! that the disk has to answer for: it is reported, and goes on being reported until the file is back or its content
//! comes again.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use rusqlite::{Connection, params};

use crate::Error;
use crate::files::{Files, hour_of, number_of, numbers_of};

/// Brings files and rows of the open hours into line, and forgets that those hours were open. Also those of hours that
/// are later than all that the index knows, and, when it is known to be an older copy, of the hour of its latest row.
pub(crate) fn recover(connection: &Connection, files: &Files, is_index_current: bool) -> Result<(), Error> {
    let mut hours: BTreeSet<i64> = connection
        .prepare("SELECT hour FROM open_hour")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let latest_row = connection.query_row(LATEST_ROW, [], |row| row.get::<_, Option<i64>>(0))?.map(hour_of);
    let first = match is_index_current {
        true => latest_row.max(hours.last().copied()).map(|known| known.saturating_add(1)),
        false => {
            tracing::error!("the index is an older copy: instances that came after it are not served");
            latest_row
        }
    };
    hours.extend(files.hours_from(first.unwrap_or(i64::MIN))?);
    let mut orphans = 0;
    for &hour in &hours {
        orphans += look_at(connection, files, hour)?;
        connection.execute("DELETE FROM open_hour WHERE hour = ?1", [hour])?;
    }
    if !hours.is_empty() {
        tracing::info!(hours = hours.len(), "latest folders compared with the index");
    }
    if orphans > 0 {
        let folder = files.unindexed();
        tracing::warn!(files = orphans, folder = %folder.display(), "files that the index does not know were set aside");
    }
    let damaged = recheck_damaged(connection, files)?;
    if damaged > 0 {
        tracing::error!(files = damaged, "files that the index speaks of are missing or short");
    }
    Ok(())
}

/// Sets the files of an hour aside that have no row, and notes the rows that have no file. Gives the number of such
/// files.
fn look_at(connection: &Connection, files: &Files, hour: i64) -> Result<usize, Error> {
    let mut present = files_of(files, hour)?;
    let mut newest = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT file, length FROM instance WHERE file BETWEEN ?1 AND ?2
         UNION ALL SELECT file, length FROM conflict WHERE file BETWEEN ?1 AND ?2 ORDER BY file DESC",
    )?;
    let numbers = numbers_of(hour);
    let mut rows = statement.query([numbers.start(), numbers.end()])?;
    while let Some(row) = rows.next()? {
        let (file, length): (i64, i64) = (row.get(0)?, row.get(1)?);
        if !present.remove(&file) {
            note_damage(connection, file, MISSING)?;
        } else if newest.len() < LENGTHS_CHECKED {
            newest.push((file, length));
        }
    }
    for (file, length) in newest {
        if let Some(damage) = damage_of(files, file, length)? {
            note_damage(connection, file, damage)?;
        }
    }
    let orphans = present.len();
    if orphans > 0 {
        files.set_aside(present)?;
        files.sync_folder(hour)?;
    }
    Ok(orphans)
}

/// The files of ours in the folder of an hour. What else lies there is none of our business.
fn files_of(files: &Files, hour: i64) -> Result<BTreeSet<i64>, Error> {
    let entries = match fs::read_dir(files.folder(hour)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Error::io("read a folder")(error)),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(Error::io("read a folder"))?.file_name();
        let number = name.to_str().and_then(number_of);
        found.extend(number.filter(|number| numbers_of(hour).contains(number)));
    }
    Ok(found)
}

/// Looks again at what was damaged, forgets what is whole again, and reports the rest.
fn recheck_damaged(connection: &Connection, files: &Files) -> Result<u64, Error> {
    let damaged: Vec<(i64, Option<i64>)> = connection
        .prepare(
            "SELECT file, coalesce((SELECT length FROM instance WHERE instance.file = damaged_file.file),
                                   (SELECT length FROM conflict WHERE conflict.file = damaged_file.file))
             FROM damaged_file",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for (file, length) in damaged {
        let damage = match length {
            Some(length) => damage_of(files, file, length)?,
            None => None,
        };
        match damage {
            Some(damage) => {
                if count < REPORTED {
                    tracing::error!(path = %files.path(file).display(), damage, "a file that the index speaks of is damaged");
                }
                count += 1;
            }
            None => {
                connection.execute("DELETE FROM damaged_file WHERE file = ?1", [file])?;
            }
        }
    }
    Ok(count)
}

fn damage_of(files: &Files, file: i64, length: i64) -> Result<Option<&'static str>, Error> {
    match fs::metadata(files.path(file)) {
        Ok(found) if i64::try_from(found.len()) == Ok(length) => Ok(None),
        Ok(_) => Ok(Some("wrong length")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(MISSING)),
        Err(error) => Err(Error::io("look at a file")(error)),
    }
}

fn note_damage(connection: &Connection, file: i64, damage: &str) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO damaged_file (file, reason) VALUES (?1, ?2)")?
        .execute(params![file, damage])?;
    Ok(())
}

const LATEST_ROW: &str =
    "SELECT max(file) FROM (SELECT max(file) AS file FROM instance UNION ALL SELECT max(file) FROM conflict)";

const MISSING: &str = "missing";

/// Files of an hour whose length is compared, newest first: those that a disk which lied about a sync would have cut.
const LENGTHS_CHECKED: usize = 10_000;

/// Damaged files that are named in the log.
const REPORTED: u64 = 20;
