//! The turn of a lane: outcomes in, work out, within the writer's transaction.

use std::time::Duration;

use model::limits;
use rusqlite::{Connection, OptionalExtension, params};

use crate::claim::{Claimed, claim};
use crate::clock::{after, before, now_microseconds};
use crate::counters::Counters;
use crate::delivery::words;
use crate::files::Files;
use crate::{DeliveryId, DeliveryState, DestinationId, Error, Parcel, Settlement};

/// What a lane tells the queue, and asks of it.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// How attempts ended.
    pub settled: Vec<(DeliveryId, Settlement)>,
    /// Deliveries that are still under way: their leases begin anew.
    pub renewed: Vec<DeliveryId>,
    /// So many deliveries are wanted, at most [`limits::LANE_WINDOW_MAX`] at once.
    pub claim: usize,
    /// How long what is claimed or renewed is the lane's alone.
    pub lease: Duration,
    /// What was queued so long ago and waits is dead, at most [`limits::GIVEN_UP`] in a turn; the reason begins with this text.
    pub give_up: Option<(Duration, String)>,
    /// The destination is back: what is to be tried again is due now. The [`limits::HASTENED`] that would have been due first; the
    /// others keep their time.
    pub hasten: bool,
    /// Whether the destination can be used, if that has changed.
    pub circuit: Option<Circuit>,
}

/// What a lane has from its turn.
#[derive(Debug, Clone, Default)]
pub struct Turned {
    /// What to deliver, in this order.
    pub parcels: Vec<Parcel>,
    /// Deliveries that died of their age.
    pub gave_up: usize,
    /// Deliveries that died because what the index has of their instances cannot be read.
    pub unreadable: usize,
    /// Until the next delivery is to be tried again; zero when one could be now, `None` when there is none.
    pub next_due: Option<Duration>,
    /// Whether ready deliveries were left for the next turn.
    pub ready_left: bool,
    /// The destination was left alone, and a person asks for deliveries to it to be tried now.
    pub is_asked: bool,
}

/// Whether a destination can be used, for those who look on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Circuit {
    /// It can, as far as is known.
    Closed,
    /// It cannot.
    Open {
        /// Why, in words.
        reason: String,
        /// When that is looked at again, from now.
        probe_after: Duration,
    },
}

/// Takes a turn. All of it happens, or an error is given and the transaction must be rolled back.
pub(crate) fn take(
    connection: &Connection,
    files: &Files,
    counters: &mut Counters,
    destination: DestinationId,
    turn: &Turn,
) -> Result<Turned, Error> {
    let mut lane = Lane { connection, counters, destination: destination.0, now: now_microseconds() };
    lane.settle(&turn.settled)?;
    lane.renew(&turn.renewed, turn.lease)?;
    if turn.hasten {
        lane.hasten()?;
    }
    let gave_up = match &turn.give_up {
        Some((age, prefix)) => lane.give_up(*age, prefix)?,
        None => 0,
    };
    // Before the circuit is written over it.
    let is_asked = lane.take_request()?;
    if let Some(circuit) = &turn.circuit {
        lane.set_circuit(circuit)?;
    }
    let Claimed { parcels, unreadable } =
        claim(&mut lane, files, turn.claim.min(limits::LANE_WINDOW_MAX), turn.lease)?;
    Ok(Turned {
        parcels,
        gave_up,
        unreadable,
        next_due: lane.first_due(DeliveryState::Retrying)?.map(|due| lane.until(due)),
        ready_left: lane.first_due(DeliveryState::Ready)?.is_some(),
        is_asked,
    })
}

/// The deliveries of one destination in the writer's transaction.
pub(crate) struct Lane<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) counters: &'a mut Counters,
    pub(crate) destination: i64,
    pub(crate) now: i64,
}

impl Lane<'_> {
    /// Writes how attempts ended. A delivery that is no longer leased was settled before, or a person or the end of
    /// its lease has set it to be sent again: only that it was delivered is news about it then.
    fn settle(&mut self, settled: &[(DeliveryId, Settlement)]) -> Result<(), Error> {
        let mut error = None;
        for (delivery, settlement) in settled {
            match settlement {
                Settlement::Delivered { answer, sent } => self.delivered(*delivery, answer, sent)?,
                Settlement::Stored { answer, sent, ask_after } => {
                    self.stored(*delivery, answer, sent, after(self.now, *ask_after))?;
                }
                Settlement::Retry { after: wait, reason } => {
                    self.failed(*delivery, DeliveryState::Retrying, after(self.now, *wait), reason)?;
                    error = Some(reason);
                }
                Settlement::Dead { reason } => {
                    self.failed(*delivery, DeliveryState::Dead, self.now, reason)?;
                    error = Some(reason);
                }
                Settlement::Released => self.release(*delivery)?,
            }
        }
        match error {
            Some(reason) => self.set_last_error(reason),
            None => Ok(()),
        }
    }

    fn delivered(&mut self, delivery: DeliveryId, answer: &str, sent: &[u8; 32]) -> Result<(), Error> {
        let former: Option<DeliveryState> = self
            .connection
            .prepare_cached(STATE)?
            .query_row([delivery.0, self.destination], |row| row.get(0))
            .optional()?;
        let Some(former) = former.filter(|former| *former != DeliveryState::Delivered) else { return Ok(()) };
        self.connection.prepare_cached(DELIVERED)?.execute(params![
            delivery.0,
            self.now,
            words(answer),
            sent
        ])?;
        self.counters.moved(self.destination, Some(former), DeliveryState::Delivered);
        Ok(())
    }

    /// As [`Lane::delivered`], and the destination is asked at this time whether it keeps it.
    fn stored(&mut self, delivery: DeliveryId, answer: &str, sent: &[u8; 32], ask: i64) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(STATE)?;
        let former: Option<DeliveryState> =
            statement.query_row([delivery.0, self.destination], |row| row.get(0)).optional()?;
        let is_new =
            |former: &DeliveryState| !matches!(former, DeliveryState::Delivered | DeliveryState::Verifying);
        let Some(former) = former.filter(is_new) else { return Ok(()) };
        let values = params![delivery.0, self.now, words(answer), sent, ask];
        self.connection.prepare_cached(STORED)?.execute(values)?;
        self.counters.moved(self.destination, Some(former), DeliveryState::Verifying);
        Ok(())
    }

    pub(crate) fn failed(
        &mut self,
        delivery: DeliveryId,
        state: DeliveryState,
        due: i64,
        reason: &str,
    ) -> Result<(), Error> {
        let changed = self.connection.prepare_cached(FAILED)?.execute(params![
            delivery.0,
            self.destination,
            state,
            due,
            self.now,
            words(reason)
        ])?;
        if changed > 0 {
            self.counters.moved(self.destination, Some(DeliveryState::Leased), state);
        }
        Ok(())
    }

    fn release(&mut self, delivery: DeliveryId) -> Result<(), Error> {
        let state: Option<DeliveryState> = self
            .connection
            .prepare_cached(RELEASE)?
            .query_row([delivery.0, self.destination, self.now], |row| row.get(0))
            .optional()?;
        if let Some(state) = state {
            self.counters.moved(self.destination, Some(DeliveryState::Leased), state);
        }
        Ok(())
    }

    fn renew(&self, renewed: &[DeliveryId], lease: Duration) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(RENEW)?;
        for delivery in renewed {
            statement.execute([delivery.0, self.destination, after(self.now, lease)])?;
        }
        Ok(())
    }

    fn hasten(&self) -> Result<(), Error> {
        self.connection.prepare_cached(HASTEN)?.execute(params![
            self.destination,
            self.now,
            limits::HASTENED
        ])?;
        Ok(())
    }

    fn give_up(&mut self, age: Duration, prefix: &str) -> Result<usize, Error> {
        let old: Vec<(i64, DeliveryState, String)> = self
            .connection
            .prepare_cached(OLD)?
            .query_map(params![self.destination, before(self.now, age), limits::GIVEN_UP], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let last_error = self.last_error()?;
        for (delivery, former, status) in &old {
            // What was never tried has waited for what made the destination fail.
            let why = if status.is_empty() { &last_error } else { status };
            let reason = if why.is_empty() { prefix.to_owned() } else { format!("{prefix}: {why}") };
            self.connection.prepare_cached(GIVE_UP)?.execute(params![delivery, self.now, words(&reason)])?;
            self.counters.moved(self.destination, Some(*former), DeliveryState::Dead);
        }
        Ok(old.len())
    }

    fn set_circuit(&self, circuit: &Circuit) -> Result<(), Error> {
        let (is_open, probe_at) = match circuit {
            Circuit::Closed => (false, 0),
            Circuit::Open { reason, probe_after } => {
                self.set_last_error(reason)?;
                (true, after(self.now, *probe_after))
            }
        };
        self.connection.prepare_cached(SET_CIRCUIT)?.execute(params![self.destination, is_open, probe_at])?;
        Ok(())
    }

    /// Whether a person has asked for the destination to be tried, since this was last asked.
    fn take_request(&self) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(IS_ASKED)?;
        if !statement.exists([self.destination])? {
            return Ok(false);
        }
        self.connection.prepare_cached(SET_CIRCUIT)?.execute(params![self.destination, true, self.now])?;
        Ok(true)
    }

    fn last_error(&self) -> Result<String, Error> {
        let mut statement = self.connection.prepare_cached(LAST_ERROR)?;
        Ok(statement.query_row([self.destination], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    pub(crate) fn set_last_error(&self, reason: &str) -> Result<(), Error> {
        self.connection.prepare_cached(SET_LAST_ERROR)?.execute(params![
            self.destination,
            words(reason),
            self.now
        ])?;
        Ok(())
    }

    fn first_due(&self, state: DeliveryState) -> Result<Option<i64>, Error> {
        let mut statement = self.connection.prepare_cached(FIRST_DUE)?;
        Ok(statement.query_row(params![self.destination, state], |row| row.get(0)).optional()?)
    }

    fn until(&self, due: i64) -> Duration {
        Duration::from_micros(u64::try_from(due.saturating_sub(self.now)).unwrap_or(0))
    }
}

const STATE: &str = "SELECT state FROM delivery WHERE delivery_pk = ?1 AND destination_pk = ?2";

const DELIVERED: &str =
    "UPDATE delivery SET state = 4, attempts = attempts + 1, done = ?2, status = ?3, sent = ?4
    WHERE delivery_pk = ?1";

const STORED: &str =
    "UPDATE delivery SET state = 6, attempts = attempts + 1, done = ?2, status = ?3, sent = ?4, due = ?5
    WHERE delivery_pk = ?1";

const FAILED: &str =
    "UPDATE delivery SET state = ?3, attempts = attempts + 1, due = ?4, done = ?5, status = ?6
    WHERE delivery_pk = ?1 AND destination_pk = ?2 AND state = 2";

/// What was never tried goes back to its place in the queue.
const RELEASE: &str = "UPDATE delivery SET state = attempts > 0, due = iif(attempts > 0, ?3, queued)
    WHERE delivery_pk = ?1 AND destination_pk = ?2 AND state = 2 RETURNING state";

const RENEW: &str =
    "UPDATE delivery SET due = ?3 WHERE delivery_pk = ?1 AND destination_pk = ?2 AND state = 2";

/// The indexes of open deliveries are chosen only where a condition repeats theirs.
pub(crate) const HASTEN: &str = "UPDATE delivery SET due = ?2 WHERE delivery_pk IN (
        SELECT delivery_pk FROM delivery INDEXED BY delivery_open
        WHERE destination_pk = ?1 AND state = 1 AND state < 4 AND due > ?2 ORDER BY due, delivery_pk LIMIT ?3)";

pub(crate) const OLD: &str = "SELECT delivery_pk, state, status FROM delivery INDEXED BY delivery_age
    WHERE destination_pk = ?1 AND queued < ?2 AND state < 3 AND state <> 2 ORDER BY queued LIMIT ?3";

const GIVE_UP: &str = "UPDATE delivery SET state = 3, due = ?2, status = ?3 WHERE delivery_pk = ?1";

const SET_CIRCUIT: &str = "UPDATE destination SET circuit = ?2, probe_at = ?3 WHERE destination_pk = ?1";

const IS_ASKED: &str = "SELECT 1 FROM destination WHERE destination_pk = ?1 AND circuit = 1 AND probe_at = 0";

/// The next turn of the lane finds it, see [`Turned::is_asked`].
pub(crate) const ASK: &str = "UPDATE destination SET probe_at = 0 WHERE destination_pk = ?1 AND circuit = 1";

pub(crate) const LAST_ERROR: &str = "SELECT last_error FROM destination WHERE destination_pk = ?1";

pub(crate) const SET_LAST_ERROR: &str =
    "UPDATE destination SET last_error = ?2, last_error_at = ?3 WHERE destination_pk = ?1";

pub(crate) const FIRST_DUE: &str = "SELECT due FROM delivery INDEXED BY delivery_open
    WHERE destination_pk = ?1 AND state = ?2 AND state < 4 ORDER BY due LIMIT 1";
