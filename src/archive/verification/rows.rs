//! What destinations are asked, as rows of the index.

use std::collections::HashSet;
use std::time::Duration;

use model::commitment::{Reference, Request};
use model::{TransactionUid, limits};
use rusqlite::{Connection, OptionalExtension, params};

use super::{GiveUp, Swept, VerificationDue};
use crate::clock::{after, before, now_microseconds};
use crate::counters::Counters;
use crate::delivery::words;
use crate::scope::stored_uid;
use crate::{DeliveryState, DestinationId, Error, turn};

/// Start-up: who was being asked when the server ended may not have heard it, and is asked again.
pub(crate) fn resume(connection: &Connection) -> Result<(), Error> {
    let open: Vec<(i64, i64)> = connection
        .prepare("SELECT destination_pk, deadline FROM verification WHERE state = 0 AND state < 2")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let now = now_microseconds();
    for (destination, deadline) in open {
        connection.execute(PUT_OFF, [destination, deadline, now])?;
    }
    connection.execute("UPDATE verification SET state = 1 WHERE state = 0 AND state < 2", [])?;
    Ok(())
}

pub(super) fn due(connection: &Connection, destination: DestinationId) -> Result<VerificationDue, Error> {
    let due: Option<i64> =
        connection.prepare_cached(FIRST_DUE)?.query_row([destination.0], |row| row.get(0)).optional()?;
    Ok(match due {
        None => VerificationDue::Never,
        Some(BY_REQUEST) => VerificationDue::ByRequest,
        Some(due) => {
            let until = due.saturating_sub(now_microseconds());
            VerificationDue::In(Duration::from_micros(u64::try_from(until).unwrap_or(0)))
        }
    })
}

pub(super) fn sweep(
    connection: &Connection,
    destination: DestinationId,
    terms: Option<&GiveUp>,
) -> Result<Swept, Error> {
    let now = now_microseconds();
    connection
        .prepare_cached(PRUNE)?
        .execute(params![before(now, limits::COMMITMENT_KEPT), limits::DESK_BATCH])?;
    let expired = connection.prepare_cached(EXPIRE)?.execute([destination.0, now])?;
    let gave_up = match terms {
        Some(terms) => give_up(connection, destination, now, terms)?,
        None => 0,
    };
    Ok(Swept { expired, gave_up })
}

pub(super) fn ask(
    connection: &Connection,
    destination: DestinationId,
    transaction: TransactionUid,
    patience: Duration,
) -> Result<Option<Request>, Error> {
    let now = now_microseconds();
    let found: Vec<(i64, i64, u32)> = connection
        .prepare_cached(TO_ASK)?
        .query_map(
            params![destination.0, after(now, limits::COMMITMENT_GATHERED), limits::COMMITMENT_BATCH],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(None);
    }
    let deadline = after(now, patience);
    let (mut references, mut seen) = (Vec::with_capacity(found.len()), HashSet::new());
    for (delivery, instance, version) in found {
        connection.prepare_cached(SET_DUE)?.execute([delivery, deadline])?;
        let ids: Option<(String, String)> = connection
            .prepare_cached(REFERENCE)?
            .query_row(params![instance, version], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (class, instance) = ids.ok_or(Error::Damaged)?;
        let reference = Reference { sop_class: stored_uid(class)?, sop_instance: stored_uid(instance)? };
        // Several versions of an instance are one to whoever is asked.
        if seen.insert(reference.clone()) {
            references.push(reference);
        }
    }
    connection.prepare_cached(BEGIN)?.execute(params![destination.0, transaction.as_str(), now, deadline])?;
    Ok(Some(Request { transaction, references }))
}

pub(super) fn asked(connection: &Connection, transaction: &TransactionUid) -> Result<(), Error> {
    connection.prepare_cached(ASKED)?.execute([transaction.as_str()])?;
    Ok(())
}

pub(super) fn failed(
    connection: &Connection,
    destination: DestinationId,
    transaction: Option<&TransactionUid>,
    wait: Duration,
    reason: &str,
) -> Result<(), Error> {
    let now = now_microseconds();
    if let Some(transaction) = transaction {
        let deadline: Option<i64> = connection
            .prepare_cached(DEADLINE)?
            .query_row([transaction.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(deadline) = deadline {
            connection.prepare_cached(PUT_OFF)?.execute([destination.0, deadline, after(now, wait)])?;
        }
        asked(connection, transaction)?;
    }
    // Who was asked for by hand has had the try.
    connection.prepare_cached(PUT_OFF)?.execute([destination.0, BY_REQUEST, now])?;
    connection.prepare_cached(turn::SET_LAST_ERROR)?.execute(params![destination.0, words(reason), now])?;
    Ok(())
}

pub(super) fn destination_of(
    connection: &Connection,
    transaction: &TransactionUid,
) -> Result<Option<DestinationId>, Error> {
    let mut statement = connection.prepare_cached(DESTINATION)?;
    Ok(statement.query_row([transaction.as_str()], |row| Ok(DestinationId(row.get(0)?))).optional()?)
}

/// Some of them; how many.
pub(super) fn verify_no_more(connection: &Connection, destination: DestinationId) -> Result<u64, Error> {
    let settled = connection.prepare_cached(NO_MORE)?.execute(params![
        destination.0,
        NO_LONGER_ASKED,
        limits::DESK_BATCH
    ])?;
    let mut counters = Counters::default();
    for _ in 0..settled {
        counters.moved(destination.0, Some(DeliveryState::Verifying), DeliveryState::Delivered);
    }
    counters.write(connection)?;
    Ok(u64::try_from(settled).unwrap_or(u64::MAX))
}

/// What is to be asked about, and is as old as this, dies instead.
fn give_up(
    connection: &Connection,
    destination: DestinationId,
    now: i64,
    terms: &GiveUp,
) -> Result<usize, Error> {
    let last_error: String = connection
        .prepare_cached(turn::LAST_ERROR)?
        .query_row([destination.0], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    let why = if last_error.is_empty() { String::new() } else { format!(" ({last_error})") };
    let reason = words(&format!("{}: it was stored, and storage was not committed to{why}", terms.reason));
    let old = connection.prepare_cached(GIVE_UP)?.execute(params![
        destination.0,
        before(now, terms.after),
        now,
        reason,
        limits::GIVEN_UP,
        before(now, terms.patience)
    ])?;
    let mut counters = Counters::default();
    for _ in 0..old {
        counters.moved(destination.0, Some(DeliveryState::Verifying), DeliveryState::Dead);
    }
    counters.write(connection)?;
    Ok(old)
}

/// When it is due what somebody asked for by hand.
pub(crate) const BY_REQUEST: i64 = 0;

/// The partial indexes are chosen only where a condition repeats theirs.
const FIRST_DUE: &str = "SELECT due FROM delivery INDEXED BY delivery_verifying
    WHERE destination_pk = ?1 AND state = 6 ORDER BY due LIMIT 1";

const TO_ASK: &str = "SELECT delivery_pk, instance_pk, version FROM delivery INDEXED BY delivery_verifying
    WHERE destination_pk = ?1 AND state = 6 AND due <= ?2 ORDER BY due, delivery_pk LIMIT ?3";

const SET_DUE: &str = "UPDATE delivery SET due = ?2 WHERE delivery_pk = ?1 AND state = 6";

/// The class of a version beyond the first is its own.
const REFERENCE: &str = "SELECT coalesce(
        (SELECT conflict.sop_class_uid FROM conflict INDEXED BY conflict_by_version
            WHERE conflict.instance_pk = ?1 AND conflict.version = ?2), sop_class_uid), sop_instance_uid
    FROM instance WHERE instance_pk = ?1";

const BEGIN: &str = "INSERT INTO verification (destination_pk, transaction_uid, state, asked, deadline)
    VALUES (?1, ?2, 0, ?3, ?4)";

const ASKED: &str = "UPDATE verification SET state = 1 WHERE transaction_uid = ?1 AND state = 0";

const DEADLINE: &str =
    "SELECT deadline FROM verification INDEXED BY verification_by_transaction WHERE transaction_uid = ?1";

const DESTINATION: &str = "SELECT destination_pk FROM verification INDEXED BY verification_by_transaction WHERE transaction_uid = ?1";

/// Another time for all that wait for the report of one request.
pub(super) const PUT_OFF: &str = "UPDATE delivery INDEXED BY delivery_verifying SET due = ?3
    WHERE destination_pk = ?1 AND state = 6 AND due = ?2";

/// Their reports are taken all the same.
const EXPIRE: &str = "UPDATE verification INDEXED BY verification_open SET state = 2
    WHERE destination_pk = ?1 AND state < 2 AND deadline <= ?2";

const GIVE_UP: &str = "UPDATE delivery SET state = 3, due = ?3, status = ?4 WHERE delivery_pk IN (
        SELECT delivery_pk FROM delivery INDEXED BY delivery_verifying_age
        WHERE destination_pk = ?1 AND state = 6 AND queued < ?2 AND due <= ?3 AND done < ?6
        ORDER BY queued LIMIT ?5)";

const NO_MORE: &str = "UPDATE delivery SET state = 4, status = status || ?2 WHERE delivery_pk IN (
        SELECT delivery_pk FROM delivery INDEXED BY delivery_verifying
        WHERE destination_pk = ?1 AND state = 6 LIMIT ?3)";

const NO_LONGER_ASKED: &str = "; storage commitment is no longer asked for";

const PRUNE: &str = "DELETE FROM verification WHERE verification_pk IN (
        SELECT verification_pk FROM verification INDEXED BY verification_by_time WHERE asked < ?1 LIMIT ?2)";

/// For a look at their plans.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    FIRST_DUE,
    TO_ASK,
    REFERENCE,
    DEADLINE,
    DESTINATION,
    PUT_OFF,
    EXPIRE,
    GIVE_UP,
    NO_MORE,
    PRUNE,
    super::told::TOLD,
];
