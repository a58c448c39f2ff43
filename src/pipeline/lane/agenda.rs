use std::collections::HashMap;
use std::time::{Duration, Instant};

use archive::{DeliveryId, Parcel, Settlement, Turn, Turned};
use model::limits;
use telemetry::DeliveryEnd;

use super::backoff::Retry;
use super::circuit::{Change, Circuit};
use super::verdict;
use crate::Outcome;

/// What a lane has to do and when: outcomes and turns go in, turns come out. Does nothing itself.
pub(crate) struct Agenda {
    retry: Retry,
    /// Deliveries to hold.
    window: usize,
    circuit: Circuit,
    /// What is claimed and not ended, and when its lease began.
    held: HashMap<DeliveryId, Instant>,
    /// What has ended and is not in the index yet, and when it is to be there.
    settled: Vec<(DeliveryId, Settlement)>,
    settle_by: Option<Instant>,
    /// What the index is to know of the circuit.
    report: Option<archive::Circuit>,
    hasten: bool,
    /// There may be something to claim.
    may_have_more: bool,
    /// When there will be.
    due_at: Option<Instant>,
    tick_at: Instant,
    not_before: Instant,
    /// Nothing is given up before.
    gives_up_from: Instant,
    under_way: Option<UnderWay>,
    is_stopping: bool,
}

/// What of a turn is still needed, in case that it fails.
struct UnderWay {
    settled: Vec<(DeliveryId, Settlement)>,
    report: Option<archive::Circuit>,
    hasten: bool,
    renewed: Vec<DeliveryId>,
    claims: bool,
    is_probe: bool,
}

/// How a delivery ended.
pub(crate) struct End {
    pub(crate) delivery: DeliveryId,
    /// Attempts before this one.
    pub(crate) attempts: u32,
    /// Since it was queued.
    pub(crate) age: Duration,
    pub(crate) outcome: Outcome,
    pub(crate) others_do_well: bool,
}

/// What follows from the end of a delivery.
#[derive(Debug, PartialEq)]
pub(crate) struct Consequence {
    pub(crate) end: DeliveryEnd,
    /// Why it was not delivered.
    pub(crate) reason: Option<String>,
    pub(crate) change: Option<Change>,
}

impl Agenda {
    pub(crate) fn new(retry: Retry, width: usize, now: Instant) -> Self {
        Self {
            gives_up_from: now + retry.grace(),
            retry,
            window: (4 * width).clamp(limits::LANE_WINDOW, limits::LANE_WINDOW_MAX),
            circuit: Circuit::new(),
            held: HashMap::new(),
            settled: Vec::new(),
            settle_by: None,
            // Whatever it was when the lane last ended.
            report: Some(archive::Circuit::Closed),
            hasten: false,
            may_have_more: true,
            due_at: None,
            tick_at: now + limits::LANE_TICK,
            not_before: now,
            under_way: None,
            is_stopping: false,
        }
    }

    /// The turn to take now, if any. [`Agenda::turned`] or [`Agenda::failed`] must follow before the next.
    pub(crate) fn next_turn(&mut self, now: Instant) -> Option<Turn> {
        if self.under_way.is_some() || now < self.not_before {
            return None;
        }
        let ticks = now >= self.tick_at;
        if ticks {
            self.tick_at = now + limits::LANE_TICK;
            self.may_have_more = true;
        }
        let claim = if self.claim_at().is_some_and(|at| at <= now) { self.places() } else { 0 };
        let renewed = if ticks { self.renewals(now) } else { Vec::new() };
        // Also for what a person asks.
        let looks = ticks && self.circuit.is_open() && !self.is_stopping;
        let gives_up = looks && now >= self.gives_up_from;
        let has_cause = claim > 0
            || !renewed.is_empty()
            || looks
            || self.report.is_some()
            || self.settle_at().is_some_and(|at| at <= now);
        has_cause.then(|| self.turn(claim, renewed, gives_up))
    }

    /// When [`Agenda::next_turn`] is to be asked again if nothing happens before: `None` while a turn is under way.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let at_once = self.report.is_some().then_some(self.not_before);
        let earliest = [at_once, self.settle_at(), self.claim_at()].into_iter().flatten().min();
        Some(earliest.unwrap_or(self.tick_at).min(self.tick_at).max(self.not_before))
    }

    /// Takes in what a turn brought. Gives what is to be delivered.
    pub(crate) fn turned(&mut self, turned: Turned, now: Instant) -> Vec<Parcel> {
        let Some(turn) = self.under_way.take() else { return Vec::new() };
        self.not_before = now + limits::LANE_PAUSE;
        for delivery in &turn.renewed {
            self.held.entry(*delivery).and_modify(|since| *since = now);
        }
        let Turned { parcels, gave_up, unreadable: _, next_due, ready_left, is_asked } = turned;
        self.may_have_more |= ready_left;
        self.due_at = next_due.and_then(|after| now.checked_add(after));
        if u32::try_from(gave_up) == Ok(limits::GIVEN_UP) {
            self.tick_at = now;
        }
        if is_asked {
            self.circuit.probe_now(now);
            self.may_have_more = true;
        }
        let is_open = self.circuit.is_open();
        if self.circuit.is_down() && turn.is_probe && parcels.is_empty() && next_due.is_some() && !turn.hasten
        {
            // All that is there waits for its next attempt; one of it serves as a probe all the same.
            self.hasten = true;
            self.may_have_more = true;
        }
        if self.is_stopping || is_open && !turn.is_probe {
            self.release(parcels.iter().map(|parcel| parcel.id), now);
            return Vec::new();
        }
        if let Some(probe) = parcels.first() {
            self.circuit.begin_probe(probe.id);
        }
        self.held.extend(parcels.iter().map(|parcel| (parcel.id, now)));
        parcels
    }

    /// The turn has failed: what it was to do is done by the next.
    pub(crate) fn failed(&mut self, now: Instant) {
        let Some(turn) = self.under_way.take() else { return };
        self.not_before = now + limits::LANE_TICK;
        if !turn.settled.is_empty() {
            self.settled.splice(..0, turn.settled);
            self.settle_by = Some(now);
        }
        self.report = self.report.take().or(turn.report);
        self.hasten |= turn.hasten;
        self.may_have_more |= turn.claims;
    }

    /// Takes in how a delivery ended. `jitter` is from -1 to 1.
    pub(crate) fn ended(&mut self, end: End, now: Instant, jitter: f64) -> Consequence {
        let End { delivery, attempts, age, outcome, others_do_well } = end;
        self.held.remove(&delivery);
        let sign = verdict::sign(&outcome, attempts, others_do_well);
        let until_probe = |probes| self.retry.until_probe(probes, jitter);
        let was_down = self.circuit.is_down();
        let change = self.circuit.note(delivery, sign, now, until_probe);
        let wait = self.retry.delay(attempts, jitter);
        let give_up = (now >= self.gives_up_from).then_some(self.retry.give_up);
        let (settlement, end) = verdict::settle(outcome, age, give_up, wait);
        let reason = match &settlement {
            Settlement::Retry { reason, .. } | Settlement::Dead { reason } => Some(reason.clone()),
            Settlement::Delivered { .. } | Settlement::Stored { .. } | Settlement::Released => None,
        };
        self.settle(delivery, settlement, now);
        self.take_note(change, was_down, reason.clone().unwrap_or_default(), now);
        Consequence { end, reason, change }
    }

    /// Gives deliveries back that were not tried.
    pub(crate) fn release(&mut self, deliveries: impl IntoIterator<Item = DeliveryId>, now: Instant) {
        for delivery in deliveries {
            self.held.remove(&delivery);
            self.settle(delivery, Settlement::Released, now);
        }
    }

    /// Something may have become ready.
    pub(crate) fn has_more(&mut self) {
        self.may_have_more = true;
    }

    /// Claims nothing any more.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Nothing more is to be written.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.is_empty() && self.under_way.is_none()
    }

    /// What has ended is to be in the index without delay.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.settle_by = Some(now).filter(|_| !self.settled.is_empty());
        self.not_before = self.not_before.min(now);
    }

    fn settle(&mut self, delivery: DeliveryId, settlement: Settlement, now: Instant) {
        self.settled.push((delivery, settlement));
        self.settle_by.get_or_insert(now + limits::SETTLE_DELAY);
    }

    fn take_note(&mut self, change: Option<Change>, was_down: bool, reason: String, now: Instant) {
        match change {
            Some(Change::Opened | Change::StaysOpen) => {
                let probe_after = self.circuit.probe_at().map(|at| at.saturating_duration_since(now));
                let probe_after = probe_after.unwrap_or_default();
                self.report = Some(archive::Circuit::Open { reason, probe_after });
                self.may_have_more = true;
            }
            Some(Change::Closed) => {
                self.report = Some(archive::Circuit::Closed);
                // What failed while the destination answered others keeps its own wait.
                self.hasten |= was_down;
                self.may_have_more = true;
            }
            None => {}
        }
    }

    fn turn(&mut self, claim: usize, renewed: Vec<DeliveryId>, gives_up: bool) -> Turn {
        if claim > 0 {
            self.may_have_more = false;
        }
        self.settle_by = None;
        let turn = Turn {
            settled: std::mem::take(&mut self.settled),
            renewed,
            claim,
            lease: limits::LEASE,
            give_up: gives_up.then(|| (self.retry.give_up, verdict::gave_up(self.retry.give_up))),
            hasten: std::mem::take(&mut self.hasten),
            circuit: self.report.take(),
        };
        self.under_way = Some(UnderWay {
            settled: turn.settled.clone(),
            report: turn.circuit.clone(),
            hasten: turn.hasten,
            renewed: turn.renewed.clone(),
            claims: claim > 0,
            is_probe: claim > 0 && self.circuit.is_open(),
        });
        turn
    }

    /// When to claim next, of what is known to be there.
    fn claim_at(&self) -> Option<Instant> {
        if self.is_stopping {
            return None;
        }
        let wanted = if self.may_have_more { Some(self.not_before) } else { self.due_at }?;
        match &self.circuit {
            Circuit::Closed { .. } => (self.held.len() * 2 <= self.window).then_some(wanted),
            Circuit::Open { .. } => Some(wanted.max(self.circuit.probe_at()?)),
        }
    }

    fn places(&self) -> usize {
        if self.circuit.is_open() { 1 } else { self.window - self.held.len().min(self.window) }
    }

    fn settle_at(&self) -> Option<Instant> {
        let is_much = self.settled.len() * 2 >= self.window;
        if is_much { Some(self.not_before) } else { self.settle_by }
    }

    fn renewals(&self, now: Instant) -> Vec<DeliveryId> {
        let is_old = |since: &Instant| now.saturating_duration_since(*since) >= limits::LEASE_RENEWAL;
        self.held.iter().filter(|(_, since)| is_old(since)).map(|(delivery, _)| *delivery).collect()
    }
}
