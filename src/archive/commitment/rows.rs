//! Requests as rows of the index.

use model::commitment::{FailureReason, Reference, Request};
use model::{AeTitle, PeerName, SopClassUid, SopInstanceUid, TransactionUid, limits};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::{counts, peer, title};
use super::{Acceptance, Asker, CommitmentId, CommitmentState, OwedReport, Reported};
use crate::Error;
use crate::clock::{after, before, moment, now_microseconds};
use crate::delivery::words;
use crate::files::Files;
use crate::metadata::pack_plain;
use crate::scope::stored_uid;

/// Start-up: the associations that reports were held for are gone.
pub(crate) fn resume(connection: &Connection) -> Result<(), Error> {
    connection
        .execute("UPDATE commitment SET due = ?2 WHERE state = 0 AND due = ?1", [HELD, now_microseconds()])?;
    Ok(())
}

pub(super) fn accept(
    connection: &Connection,
    asker: &Asker,
    request: &Request,
    packed: &[u8],
) -> Result<Acceptance, Error> {
    let now = now_microseconds();
    connection
        .prepare_cached(PRUNE)?
        .execute(params![before(now, limits::COMMITMENT_KEPT), limits::DESK_BATCH])?;
    let aet = asker.calling_aet.as_ref().map_or("", AeTitle::as_str);
    let known: Option<(i64, Vec<u8>)> = connection
        .prepare_cached(BY_TRANSACTION)?
        .query_row([aet, request.transaction.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((pk, former)) = known {
        if unpack(&former)? != request.references {
            return Ok(Acceptance::InUse);
        }
        connection.prepare_cached(AGAIN)?.execute([pk, now, HELD])?;
        return Ok(Acceptance::Taken(CommitmentId(pk)));
    }
    if is_full(connection, aet)? {
        return Ok(Acceptance::Full);
    }
    connection.prepare_cached(ACCEPT)?.execute(params![
        aet,
        request.transaction.as_str(),
        asker.peer.as_ref().map_or("", PeerName::as_str),
        asker.address.map(|address| address.to_string()).unwrap_or_default(),
        now,
        HELD,
        number(request.references.len()),
        packed
    ])?;
    Ok(Acceptance::Taken(CommitmentId(connection.last_insert_rowid())))
}

/// Whether there is no place for one more of this AE: it has at most half of them, so that others have some whatever it does.
fn is_full(connection: &Connection, aet: &str) -> Result<bool, Error> {
    const HALF: u64 = limits::COMMITMENTS_WAITING / 2;
    match counts(connection)?.waiting {
        ..HALF => Ok(false),
        limits::COMMITMENTS_WAITING.. => Ok(true),
        _ => {
            let own: i64 = connection.prepare_cached(COUNT_WAITING_OF)?.query_row([aet], |row| row.get(0))?;
            Ok(u64::try_from(own).unwrap_or(0) >= HALF)
        }
    }
}

pub(super) fn references(
    connection: &Connection,
    id: CommitmentId,
) -> Result<(TransactionUid, Vec<Reference>), Error> {
    let found: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT transaction_uid, refs FROM commitment WHERE commitment_pk = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (transaction, packed) = found.ok_or(Error::Damaged)?;
    Ok((stored_uid(transaction)?, unpack(&packed)?))
}

/// Each with the reason why it is not committed to, if there is one.
pub(super) fn look_up(
    connection: &Connection,
    files: &Files,
    references: Vec<Reference>,
) -> Result<Vec<(Reference, Option<FailureReason>)>, Error> {
    let mut statement = connection.prepare_cached(LOOK_UP)?;
    let mut found = Vec::with_capacity(references.len());
    for reference in references {
        let row: Option<(String, i64, i64)> = statement
            .query_row([reference.sop_instance.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let failure = match row {
            None => Some(FailureReason::NO_SUCH_OBJECT_INSTANCE),
            Some((class, ..)) if class != reference.sop_class.as_str() => {
                Some(FailureReason::CLASS_INSTANCE_CONFLICT)
            }
            Some((_, file, length)) if !files.is_whole(file, length) => {
                Some(FailureReason::PROCESSING_FAILURE)
            }
            Some(_) => None,
        };
        found.push((reference, failure));
    }
    Ok(found)
}

pub(super) fn due(connection: &Connection, busy: &[Option<AeTitle>]) -> Result<Vec<OwedReport>, Error> {
    let busy: Vec<&str> = busy.iter().map(|title| title.as_ref().map_or("", AeTitle::as_str)).collect();
    let busy = serde_json::json!(busy).to_string();
    let mut statement = connection.prepare_cached(DUE)?;
    let read = |row: &Row<'_>| {
        Ok(OwedReport {
            id: CommitmentId(row.get(0)?),
            aet: title(row.get(1)?),
            peer: peer(row.get(2)?),
            requested: moment(row.get(3)?),
            attempts: row.get(4)?,
        })
    };
    let found = statement.query_map(params![now_microseconds(), busy, limits::REPORTS_DUE], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn settle(
    connection: &Connection,
    id: CommitmentId,
    failed: Option<usize>,
    how: &Reported,
) -> Result<(), Error> {
    let now = now_microseconds();
    let (state, due, status) = match how {
        Reported::Delivered { answer } => (CommitmentState::Reported, now, answer),
        Reported::Retry { after: wait, reason } => (CommitmentState::Waiting, after(now, *wait), reason),
        Reported::GivenUp { reason } => (CommitmentState::GivenUp, now, reason),
    };
    connection.prepare_cached(SETTLE)?.execute(params![
        id.0,
        state.code(),
        due,
        now,
        words(status),
        failed.map(number)
    ])?;
    Ok(())
}

/// What waits for its next attempt, or was given up, is due now and as if it had not been tried; how many there are. What is held for
/// an association stays so.
pub(crate) fn hasten(connection: &Connection) -> Result<u64, Error> {
    let changed = connection.execute(HASTEN, params![now_microseconds(), HELD])?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// So many, as the index keeps it.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Those that were held for an association are due now.
pub(super) fn let_go(connection: &Connection, ids: &[CommitmentId]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(LET_GO)?;
    for id in ids {
        statement.execute([id.0, now_microseconds()])?;
    }
    Ok(())
}

pub(super) fn pack(references: &[Reference]) -> Vec<u8> {
    let pairs: Vec<[&str; 2]> =
        references.iter().map(|one| [one.sop_class.as_str(), one.sop_instance.as_str()]).collect();
    pack_plain(serde_json::json!(pairs).to_string().as_bytes())
}

fn unpack(packed: &[u8]) -> Result<Vec<Reference>, Error> {
    let json = zstd::decode_all(packed).map_err(|_| Error::Damaged)?;
    let pairs: Vec<[String; 2]> = serde_json::from_slice(&json).map_err(|_| Error::Damaged)?;
    let reference = |[class, instance]: [String; 2]| {
        Some(Reference {
            sop_class: SopClassUid::lenient(&class)?,
            sop_instance: SopInstanceUid::lenient(&instance)?,
        })
    };
    pairs.into_iter().map(|pair| reference(pair).ok_or(Error::Damaged)).collect()
}

const COUNT_WAITING_OF: &str =
    "SELECT count(*) FROM commitment INDEXED BY commitment_waiting WHERE state = 0 AND aet = ?1";

/// The `due` of a report that is held for the association that it was asked on.
pub(super) const HELD: i64 = i64::MAX;

const BY_TRANSACTION: &str = "SELECT commitment_pk, refs FROM commitment INDEXED BY commitment_by_transaction
    WHERE aet = ?1 AND transaction_uid = ?2";

const ACCEPT: &str =
    "INSERT INTO commitment (aet, transaction_uid, peer, address, requested, state, due, instances, refs)
    VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)";

const AGAIN: &str = "UPDATE commitment SET state = 0, requested = ?2, due = ?3, attempts = 0, done = 0, status = '', failed = 0
    WHERE commitment_pk = ?1";

const LOOK_UP: &str = "SELECT sop_class_uid, file, length FROM instance INDEXED BY instance_by_uid
    WHERE sop_instance_uid = ?1";

/// The partial indexes are chosen only where a condition repeats theirs.
const DUE: &str =
    "SELECT commitment_pk, aet, peer, requested, attempts FROM commitment INDEXED BY commitment_waiting
    WHERE state = 0 AND due <= ?1 AND aet NOT IN (SELECT value FROM json_each(?2)) ORDER BY due LIMIT ?3";

const LET_GO: &str = "UPDATE commitment SET due = ?2 WHERE commitment_pk = ?1 AND state = 0 AND due > ?2";

const SETTLE: &str =
    "UPDATE commitment SET state = ?2, due = ?3, attempts = attempts + 1, done = ?4, status = ?5,
        failed = coalesce(?6, failed)
    WHERE commitment_pk = ?1 AND state = 0";

/// At most as many rows as are kept.
const HASTEN: &str = "UPDATE commitment SET state = 0, due = ?1, requested = ?1, attempts = 0
    WHERE state = 0 AND due > ?1 AND due < ?2 OR state = 2 AND state > 0";

/// What has ended long ago.
const PRUNE: &str = "DELETE FROM commitment WHERE commitment_pk IN (
        SELECT commitment_pk FROM commitment INDEXED BY commitment_ended
        WHERE state IN (1, 2) AND state > 0 AND done < ?1 LIMIT ?2)";

/// For a look at their plans.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[BY_TRANSACTION, COUNT_WAITING_OF, LOOK_UP, DUE, PRUNE];
