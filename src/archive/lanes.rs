//! The lanes at a glance, and what died in them.

use model::{DestinationName, InstanceIds, limits};
use rusqlite::{Connection, OptionalExtension, params};
use time::OffsetDateTime;

use crate::clock::{moment, moment_or_none};
use crate::files::Files;
use crate::overview::unsigned;
use crate::{Error, stored};

/// The deliveries of a destination, counted.
#[derive(Debug, Clone)]
pub struct LaneSummary {
    /// Its name.
    pub destination: DestinationName,
    /// Waiting for their first attempt.
    pub ready: u64,
    /// Waiting to be tried again.
    pub retrying: u64,
    /// Claimed by the lane.
    pub leased: u64,
    /// Given up.
    pub dead: u64,
    /// Delivered, ever.
    pub delivered: u64,
    /// Never to be sent: they came from where they would go.
    pub withheld: u64,
    /// Taken by the destination, which has yet to commit to their storage.
    pub verifying: u64,
    /// When the oldest was queued that is neither delivered nor given up.
    pub oldest: Option<OffsetDateTime>,
    /// The latest failure in words, and when it was.
    pub last_error: Option<(String, OffsetDateTime)>,
    /// The destination cannot be used; that is looked at again then.
    pub circuit_open: Option<OffsetDateTime>,
}

/// A delivery that was given up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Where it was to go.
    pub destination: DestinationName,
    /// What was to go there.
    pub ids: InstanceIds,
    /// Its version, from 1.
    pub version: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up, in words.
    pub reason: String,
    /// When.
    pub died: OffsetDateTime,
}

/// All destinations by name, those too that the configuration no longer has. Takes as long as there are destinations,
/// however much waits.
pub(crate) fn summaries(connection: &Connection) -> Result<Vec<LaneSummary>, Error> {
    let mut statement = connection.prepare_cached(SUMMARIES)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |at: usize| -> Result<u64, Error> { Ok(unsigned(row.get(at)?)) };
        let mut oldest: Option<i64> = None;
        for sql in [OLDEST, OLDEST_VERIFYING] {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([row.get::<_, i64>(0)?], |row| row.get(0)).optional()?;
            oldest = [oldest, found].into_iter().flatten().min();
        }
        let last_error = moment_or_none(row.get(11)?);
        found.push(LaneSummary {
            destination: DestinationName::new(&row.get::<_, String>(1)?),
            ready: count(2)?,
            retrying: count(3)?,
            leased: count(4)?,
            dead: count(5)?,
            delivered: count(6)?,
            withheld: count(7)?,
            verifying: count(12)?,
            oldest: oldest.map(moment),
            last_error: last_error.map(|when| Ok::<_, Error>((row.get(10)?, when))).transpose()?,
            circuit_open: if row.get(8)? { Some(moment(row.get(9)?)) } else { None },
        });
    }
    Ok(found)
}

/// The latest dead letters of all destinations, newest first, at most [`limits::DEAD_LETTERS`].
pub(crate) fn dead_letters(
    connection: &Connection,
    files: &Files,
    limit: u32,
) -> Result<Vec<DeadLetter>, Error> {
    let limit = limit.min(limits::DEAD_LETTERS);
    let mut found = Vec::new();
    let mut destinations = connection.prepare_cached("SELECT destination_pk, name FROM destination")?;
    let mut destinations = destinations.query([])?;
    while let Some(destination) = destinations.next()? {
        let name = DestinationName::new(&destination.get::<_, String>(1)?);
        let mut statement = connection.prepare_cached(DEAD)?;
        let mut rows = statement.query(params![destination.get::<_, i64>(0)?, limit])?;
        while let Some(row) = rows.next()? {
            let version = row.get(1)?;
            // One whose instance cannot be read is counted all the same, in the summary.
            let ids = match stored::version(connection, files, row.get(0)?, version) {
                Ok(instance) => instance.ids,
                Err(Error::Damaged) => continue,
                Err(error) => return Err(error),
            };
            found.push(DeadLetter {
                destination: name.clone(),
                ids,
                version,
                attempts: row.get(2)?,
                reason: row.get(3)?,
                died: moment(row.get(4)?),
            });
        }
    }
    found.sort_by_key(|letter| std::cmp::Reverse(letter.died));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

const SUMMARIES: &str = "SELECT destination_pk, name, ready, retrying, leased, dead, delivered, withheld,
        circuit, probe_at, last_error, last_error_at, verifying
    FROM destination ORDER BY name";

/// The indexes of open deliveries are chosen only where a condition repeats theirs.
pub(crate) const OLDEST: &str = "SELECT queued FROM delivery INDEXED BY delivery_age
    WHERE destination_pk = ?1 AND state < 3 ORDER BY queued LIMIT 1";

pub(crate) const OLDEST_VERIFYING: &str = "SELECT queued FROM delivery INDEXED BY delivery_verifying_age
    WHERE destination_pk = ?1 AND state = 6 ORDER BY queued LIMIT 1";

pub(crate) const DEAD: &str =
    "SELECT instance_pk, version, attempts, status, due FROM delivery INDEXED BY delivery_open
    WHERE destination_pk = ?1 AND state = 3 AND state < 4 ORDER BY due DESC, delivery_pk DESC LIMIT ?2";
