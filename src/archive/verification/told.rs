//! What destinations tell, to deliveries.

use std::time::Duration;

use model::commitment::FailureReason;
use model::{SopInstanceUid, TransactionUid};
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::PUT_OFF;
use super::{NotCommitted, Told};
use crate::clock::{after, now_microseconds};
use crate::counters::Counters;
use crate::delivery::words;
use crate::{DeliveryState, Error, turn};

/// What is told of one instance.
type Failure = (SopInstanceUid, FailureReason);

/// A report in pieces of at most so many instances.
pub(super) fn pieces(
    committed: Vec<SopInstanceUid>,
    failed: Vec<Failure>,
    most: usize,
) -> Vec<(Vec<SopInstanceUid>, Vec<Failure>)> {
    let committed = committed.chunks(most).map(|some| (some.to_vec(), Vec::new()));
    let failed = failed.chunks(most).map(|some| (Vec::new(), some.to_vec()));
    committed.chain(failed).collect()
}

/// Settles what is told of these instances. Nothing of a request that was told about before, or is not known.
pub(super) fn take(
    connection: &Connection,
    transaction: &TransactionUid,
    committed: &[SopInstanceUid],
    failed: &[Failure],
    decide: &dyn Fn(FailureReason, u32, Duration) -> NotCommitted,
) -> Result<Told, Error> {
    let Some(request) = Asked::find(connection, transaction)? else { return Ok(Told::default()) };
    let mut teller = Teller {
        connection,
        request,
        now: now_microseconds(),
        counters: Counters::default(),
        told: Told::default(),
    };
    for instance in committed {
        teller.committed(instance)?;
    }
    for (instance, reason) in failed {
        teller.failed(instance, *reason, decide)?;
    }
    teller.counters.write(connection)?;
    Ok(teller.told)
}

/// Expects no further report of a request; how many deliveries it was about and nothing was told of, to be asked about again.
pub(super) fn close(
    connection: &Connection,
    transaction: &TransactionUid,
    ask_again: Duration,
) -> Result<usize, Error> {
    let Some(request) = Asked::find(connection, transaction)? else { return Ok(0) };
    connection.prepare_cached(CLOSE)?.execute([transaction.as_str()])?;
    let due = after(now_microseconds(), ask_again);
    Ok(connection.prepare_cached(PUT_OFF)?.execute([request.destination, request.deadline, due])?)
}

/// A request that was made, and whose report has not come.
struct Asked {
    destination: i64,
    asked: i64,
    deadline: i64,
}

impl Asked {
    fn find(connection: &Connection, transaction: &TransactionUid) -> Result<Option<Self>, Error> {
        let mut statement = connection.prepare_cached(FIND)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self { destination: row.get(0)?, asked: row.get(1)?, deadline: row.get(2)? })
        };
        Ok(statement.query_row([transaction.as_str()], read).optional()?)
    }
}

struct Teller<'a> {
    connection: &'a Connection,
    request: Asked,
    now: i64,
    counters: Counters,
    told: Told,
}

impl Teller<'_> {
    fn committed(&mut self, instance: &SopInstanceUid) -> Result<(), Error> {
        for (delivery, _, queued) in self.deliveries_of(instance)? {
            self.connection.prepare_cached(COMMITTED)?.execute(params![delivery, self.now])?;
            self.moved(DeliveryState::Delivered);
            self.told.committed.push(self.since(queued));
        }
        Ok(())
    }

    fn failed(
        &mut self,
        instance: &SopInstanceUid,
        reason: FailureReason,
        decide: &dyn Fn(FailureReason, u32, Duration) -> NotCommitted,
    ) -> Result<(), Error> {
        for (delivery, attempts, queued) in self.deliveries_of(instance)? {
            let (state, due, reason) = match decide(reason, attempts, self.since(queued)) {
                NotCommitted::AskAgain(wait) => {
                    self.connection.prepare_cached(ASK_AGAIN)?.execute([delivery, after(self.now, wait)])?;
                    self.told.untold += 1;
                    continue;
                }
                NotCommitted::Retry { after: wait, reason } => {
                    self.told.retried += 1;
                    (DeliveryState::Retrying, after(self.now, wait), reason)
                }
                NotCommitted::Dead { reason } => {
                    self.told.dead += 1;
                    (DeliveryState::Dead, self.now, reason)
                }
                NotCommitted::GaveUp { reason } => {
                    self.told.gave_up += 1;
                    (DeliveryState::Dead, self.now, reason)
                }
            };
            let reason = words(&reason);
            self.connection
                .prepare_cached(NOT_COMMITTED)?
                .execute(params![delivery, state, due, self.now, reason])?;
            self.connection.prepare_cached(turn::SET_LAST_ERROR)?.execute(params![
                self.request.destination,
                reason,
                self.now
            ])?;
            self.moved(state);
        }
        Ok(())
    }

    /// Key, attempts and `queued` of the deliveries, one for each version, that wait for what is told of an instance. What was sent
    /// again since it was asked about is not told of yet.
    fn deliveries_of(&self, instance: &SopInstanceUid) -> Result<Vec<(i64, u32, i64)>, Error> {
        let mut statement = self.connection.prepare_cached(TOLD)?;
        let found = statement
            .query_map(params![self.request.destination, instance.as_str(), self.request.asked], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn moved(&mut self, to: DeliveryState) {
        self.counters.moved(self.request.destination, Some(DeliveryState::Verifying), to);
    }

    fn since(&self, queued: i64) -> Duration {
        Duration::from_micros(u64::try_from(self.now.saturating_sub(queued)).unwrap_or(0))
    }
}

/// A request whose time is over is told about late.
const FIND: &str =
    "SELECT destination_pk, asked, deadline FROM verification INDEXED BY verification_by_transaction
    WHERE transaction_uid = ?1 AND state < 3";

const CLOSE: &str = "UPDATE verification SET state = 3 WHERE transaction_uid = ?1";

pub(super) const TOLD: &str = "SELECT delivery_pk, attempts, queued
    FROM instance INDEXED BY instance_by_uid CROSS JOIN delivery INDEXED BY delivery_by_version USING (instance_pk)
    WHERE destination_pk = ?1 AND sop_instance_uid = ?2 AND state = 6 AND done <= ?3";

const COMMITTED: &str =
    "UPDATE delivery SET state = 4, done = ?2, status = status || '; committed' WHERE delivery_pk = ?1";

const ASK_AGAIN: &str = "UPDATE delivery SET due = ?2 WHERE delivery_pk = ?1";

const NOT_COMMITTED: &str =
    "UPDATE delivery SET state = ?2, due = ?3, done = ?4, status = ?5 WHERE delivery_pk = ?1";
