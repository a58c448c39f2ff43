//! The deliveries that come with an instance, in its own transaction.

use rusqlite::params;

use crate::clock::now_microseconds;
use crate::store::{Keeper, Store};
use crate::{DeliveryState, DestinationId, Error, Routing};

/// What the routing of a transaction's instances leaves to do once it is committed.
#[derive(Default)]
pub(crate) struct Fanout {
    /// Destinations that have new ready deliveries, each once.
    pub(crate) woken: Vec<DestinationId>,
    /// Instances that came back from where they had been sent.
    pub(crate) came_back: u64,
}

impl Store<'_> {
    /// Queues a version that is kept from now on. A version beyond the first, and what we asked for, never goes back to where it came from.
    pub(crate) fn queue(
        &mut self,
        routing: Option<&Routing>,
        instance_pk: i64,
        version: u32,
    ) -> Result<(), Error> {
        if let Some(routing) = routing {
            self.fan_out(routing, instance_pk, version)?;
        }
        Ok(())
    }

    /// Queues a version that was there, for where it was never sent. One that comes back from where it was sent goes
    /// nowhere.
    pub(crate) fn queue_again(&mut self, routing: Option<&Routing>, keeper: &Keeper) -> Result<(), Error> {
        let Some(routing) = routing else { return Ok(()) };
        for from in &routing.came_from {
            let mut sent = self.connection.prepare_cached(WAS_SENT)?;
            if sent.exists([keeper.instance_pk, keeper.version.into(), from.0])? {
                self.fanout.came_back += 1;
                return Ok(());
            }
        }
        if self.fan_out(routing, keeper.instance_pk, keeper.version)? > 0 {
            let first_decision = format!(
                "UPDATE {table} SET rule_set_pk = ?2 WHERE {table}_pk = ?1 AND rule_set_pk IS NULL",
                table = keeper.table
            );
            self.connection.prepare_cached(&first_decision)?.execute([keeper.pk, routing.rule_set.0])?;
        }
        Ok(())
    }

    /// Gives the number of deliveries that were not there before.
    fn fan_out(&mut self, routing: &Routing, instance_pk: i64, version: u32) -> Result<usize, Error> {
        let now = now_microseconds();
        let mut added = 0;
        for (destination, rule) in &routing.deliveries {
            let may_be_withheld = version > 1 || routing.is_asked_for;
            let is_withheld = may_be_withheld && routing.came_from.contains(destination);
            let (state, status) = match is_withheld {
                true => (DeliveryState::Withheld, IT_CAME_FROM_THERE),
                false => (DeliveryState::Ready, ""),
            };
            let is_new = self.connection.prepare_cached(QUEUE)?.execute(params![
                destination.0,
                instance_pk,
                version,
                rule.0,
                state,
                now,
                status
            ])? > 0;
            if is_new {
                added += 1;
                self.counters.moved(destination.0, None, state);
                if !is_withheld && !self.fanout.woken.contains(destination) {
                    self.fanout.woken.push(*destination);
                }
            }
        }
        Ok(added)
    }
}

/// A delivery that is there stays as it is.
const QUEUE: &str =
    "INSERT INTO delivery (destination_pk, instance_pk, version, rule_pk, state, queued, due, status)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7) ON CONFLICT (instance_pk, version, destination_pk) DO NOTHING";

/// It was delivered once, whatever a person made of it since; or it is under way, or was tried, or was claimed when a
/// server ended, since it was last queued.
pub(crate) const WAS_SENT: &str = "SELECT 1 FROM delivery INDEXED BY delivery_by_version
    WHERE instance_pk = ?1 AND version = ?2 AND destination_pk = ?3
    AND (length(sent) > 0 OR state IN (1, 2, 4) OR state = 0 AND (attempts > 0 OR status <> ''))";

const IT_CAME_FROM_THERE: &str = "it came from there";
