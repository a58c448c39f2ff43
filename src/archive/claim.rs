//! Deliveries → parcels: what is due becomes a lane's alone.

use std::time::Duration;

use rusqlite::{Row, params};

use crate::clock::{after, moment};
use crate::files::Files;
use crate::turn::Lane;
use crate::{DeliveryId, DeliveryState, Error, Parcel, stored};

/// What came of a claim.
#[derive(Default)]
pub(crate) struct Claimed {
    pub(crate) parcels: Vec<Parcel>,
    /// Deliveries that are dead because their instances cannot be read.
    pub(crate) unreadable: usize,
}

/// A delivery that could be claimed.
struct Candidate {
    pk: i64,
    state: DeliveryState,
    instance_pk: i64,
    version: u32,
    attempts: u32,
    queued: i64,
}

/// Claims up to so many deliveries: by turns one that is to be tried again, or else one whose lease ran out, and one that
/// is ready. So neither waits for the other, and what fails again does so between others. A single one, such as a probe,
/// is a ready one: what has failed may fail for reasons of its own.
pub(crate) fn claim(
    lane: &mut Lane<'_>,
    files: &Files,
    count: usize,
    lease: Duration,
) -> Result<Claimed, Error> {
    let mut claimed = Claimed::default();
    if count == 0 {
        return Ok(claimed);
    }
    let mut again = candidates(lane, DeliveryState::Retrying, lane.now, count)?;
    again.extend(candidates(lane, DeliveryState::Leased, lane.now, count - again.len())?);
    let ready = candidates(lane, DeliveryState::Ready, i64::MAX, count)?;
    again.truncate((count / 2).max(count - ready.len()));
    let left = count - again.len();
    let (mut again, mut ready) = (again.into_iter(), ready.into_iter().take(left));
    loop {
        let pair = [again.next(), ready.next()];
        if pair.iter().all(Option::is_none) {
            break;
        }
        for candidate in pair.into_iter().flatten() {
            match lease_out(lane, files, &candidate, lease)? {
                Some(parcel) => claimed.parcels.push(parcel),
                None => claimed.unreadable += 1,
            }
        }
    }
    if claimed.unreadable > 0 {
        lane.set_last_error(UNREADABLE)?;
    }
    Ok(claimed)
}

fn candidates(
    lane: &Lane<'_>,
    state: DeliveryState,
    due: i64,
    count: usize,
) -> Result<Vec<Candidate>, Error> {
    let read = |row: &Row<'_>| {
        Ok(Candidate {
            pk: row.get(0)?,
            state,
            instance_pk: row.get(1)?,
            version: row.get(2)?,
            attempts: row.get(3)?,
            queued: row.get(4)?,
        })
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut statement = lane.connection.prepare_cached(DUE)?;
    let found = statement.query_map(params![lane.destination, state, due, count], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Makes a delivery the lane's. One whose instance cannot be read is dead instead: it must not hold up the others.
fn lease_out(
    lane: &mut Lane<'_>,
    files: &Files,
    candidate: &Candidate,
    lease: Duration,
) -> Result<Option<Parcel>, Error> {
    let instance = stored::version(lane.connection, files, candidate.instance_pk, candidate.version);
    lane.connection.prepare_cached(LEASE)?.execute([candidate.pk, after(lane.now, lease)])?;
    lane.counters.moved(lane.destination, Some(candidate.state), DeliveryState::Leased);
    let id = DeliveryId(candidate.pk);
    match instance {
        Ok(instance) => Ok(Some(Parcel {
            id,
            instance,
            version: candidate.version,
            attempts: candidate.attempts,
            queued: moment(candidate.queued),
        })),
        Err(Error::Damaged) => {
            lane.failed(id, DeliveryState::Dead, lane.now, UNREADABLE)?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The index of open deliveries is chosen only where a condition repeats its own.
pub(crate) const DUE: &str =
    "SELECT delivery_pk, instance_pk, version, attempts, queued FROM delivery INDEXED BY delivery_open
    WHERE destination_pk = ?1 AND state = ?2 AND state < 4 AND due <= ?3 ORDER BY due, delivery_pk LIMIT ?4";

const LEASE: &str = "UPDATE delivery SET state = 2, due = ?2 WHERE delivery_pk = ?1";

const UNREADABLE: &str = "what the index has of this instance cannot be read";
