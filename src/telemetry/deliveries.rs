use std::fmt::{self, Write};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::DestinationName;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::event::DeliveryEnd;

/// How much waits for one destination, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Deliveries that were not tried yet, or are to be tried as if not.
    pub ready: u64,
    /// Those that failed and will be tried again.
    pub retrying: u64,
    /// Those that a lane has taken.
    pub leased: u64,
    /// Those that were given up.
    pub dead: u64,
    /// Those that the destination has taken and has yet to commit to.
    pub verifying: u64,
    /// For how long the oldest has waited that is neither delivered nor given up.
    pub oldest: Option<Duration>,
}

/// What is counted of deliveries and of the rules that order them.
pub(crate) struct Deliveries {
    ends: Family<NameAnd, Counter>,
    seconds: Family<ByName, Histogram, fn() -> Histogram>,
    depth: Family<NameAnd, Gauge>,
    oldest_seconds: Family<ByName, Gauge<f64, AtomicU64>>,
    came_back: Counter,
    rules_loaded: Gauge<f64, AtomicU64>,
    rules_reloads: Family<[(&'static str, &'static str); 1], Counter>,
}

pub(crate) type ByName = [(&'static str, Name); 1];
pub(crate) type NameAnd = (ByName, [(&'static str, &'static str); 1]);

impl Deliveries {
    pub(crate) fn new() -> Self {
        let made = Self {
            ends: Family::default(),
            seconds: Family::new_with_constructor(waits),
            depth: Family::default(),
            oldest_seconds: Family::default(),
            came_back: Counter::default(),
            rules_loaded: Gauge::default(),
            rules_reloads: Family::default(),
        };
        for is_accepted in [true, false] {
            drop(made.rules_reloads.get_or_create(&[("outcome", reload(is_accepted))]));
        }
        made
    }

    /// Counters get their `_total` from the encoder.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("gantry_deliveries", "Attempts to deliver, by how they ended", self.ends.clone());
        registry.register(
            "gantry_delivery_seconds",
            "From an instance's being queued for a destination to its delivery",
            self.seconds.clone(),
        );
        registry.register("gantry_queue_depth", "Deliveries that are not done, by state", self.depth.clone());
        registry.register(
            "gantry_queue_oldest_seconds",
            "How long the oldest delivery has waited that is neither done nor given up",
            self.oldest_seconds.clone(),
        );
        registry.register(
            "gantry_instances_came_back",
            "Instances that came back from where they had been sent, and were not routed again",
            self.came_back.clone(),
        );
        registry.register(
            "gantry_rules_loaded_timestamp_seconds",
            "When the present rules were loaded, in seconds since 1970; 0 without rules",
            self.rules_loaded.clone(),
        );
        registry.register("gantry_rules_reloads", "Reloads of the rules", self.rules_reloads.clone());
    }

    /// Shows everything about a destination, at zero.
    pub(crate) fn show(&self, destination: &DestinationName) {
        for label in DeliveryEnd::LABELS {
            drop(self.ends.get_or_create(&(by_name(destination), [("outcome", label)])));
        }
        drop(self.seconds.get_or_create(&by_name(destination)));
        self.set(destination, Queue::default());
    }

    pub(crate) fn ended(&self, destination: &DestinationName, end: DeliveryEnd) {
        self.ends.get_or_create(&(by_name(destination), [("outcome", end.label())])).inc();
        if let DeliveryEnd::Delivered { since_queued } = end {
            self.seconds.get_or_create(&by_name(destination)).observe(since_queued.as_secs_f64());
        }
    }

    pub(crate) fn set(&self, destination: &DestinationName, queue: Queue) {
        let Queue { ready, retrying, leased, dead, verifying, oldest } = queue;
        let not_done = [("ready", ready), ("retrying", retrying), ("leased", leased), ("dead", dead)];
        for (state, count) in not_done.into_iter().chain([("verifying", verifying)]) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.depth.get_or_create(&(by_name(destination), [("state", state)])).set(count);
        }
        let oldest = oldest.unwrap_or_default().as_secs_f64();
        self.oldest_seconds.get_or_create(&by_name(destination)).set(oldest);
    }

    pub(crate) fn came_back(&self) {
        self.came_back.inc();
    }

    pub(crate) fn rules_loaded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.rules_loaded.set(now.as_secs_f64());
    }

    pub(crate) fn rules_reloaded(&self, is_accepted: bool) {
        self.rules_reloads.get_or_create(&[("outcome", reload(is_accepted))]).inc();
    }
}

/// The label of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name(DestinationName);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.0.as_str())
    }
}

pub(crate) fn by_name(destination: &DestinationName) -> ByName {
    [("destination", Name(destination.clone()))]
}

fn reload(is_accepted: bool) -> &'static str {
    if is_accepted { "accepted" } else { "refused" }
}

/// A millisecond to half an hour: a destination may be away for long.
fn waits() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 22))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::has;
    use crate::{Event, Telemetry};

    #[test]
    fn a_destination_stands_at_zero_once_it_is_known() {
        let telemetry = Telemetry::new();
        assert!(!telemetry.render().contains("pacs"));
        telemetry.show_destination(&DestinationName::new("pacs"));
        for label in DeliveryEnd::LABELS {
            has(&telemetry, &format!(r#"gantry_deliveries_total{{destination="pacs",outcome="{label}"}} 0"#));
        }
        has(&telemetry, r#"gantry_queue_depth{destination="pacs",state="ready"} 0"#);
        has(&telemetry, r#"gantry_delivery_seconds_count{destination="pacs"} 0"#);
        has(&telemetry, r#"gantry_rules_reloads_total{outcome="refused"} 0"#);
        has(&telemetry, "gantry_rules_loaded_timestamp_seconds 0.0");
    }

    #[test]
    fn deliveries_and_queues_are_told_by_destination() {
        let telemetry = Telemetry::new();
        let destination = DestinationName::new("pacs");
        for end in [
            DeliveryEnd::Delivered { since_queued: Duration::from_millis(3) },
            DeliveryEnd::Down,
            DeliveryEnd::Down,
        ] {
            telemetry.record(Event::DeliveryEnded { destination: destination.clone(), end });
        }
        let oldest = Some(Duration::from_secs(90));
        let queue = Queue { ready: 4, retrying: 3, leased: 2, dead: 1, verifying: 5, oldest };
        telemetry.set_queue(&destination, queue);
        telemetry.record(Event::CameBack);
        telemetry.record(Event::RulesReloaded { is_accepted: false });
        telemetry.record(Event::RulesLoaded);
        has(&telemetry, r#"gantry_deliveries_total{destination="pacs",outcome="delivered"} 1"#);
        has(&telemetry, r#"gantry_deliveries_total{destination="pacs",outcome="down"} 2"#);
        has(&telemetry, r#"gantry_delivery_seconds_bucket{le="0.004",destination="pacs"} 1"#);
        has(&telemetry, r#"gantry_delivery_seconds_bucket{le="0.002",destination="pacs"} 0"#);
        for (state, count) in [("ready", 4), ("retrying", 3), ("leased", 2), ("dead", 1), ("verifying", 5)] {
            has(&telemetry, &format!(r#"gantry_queue_depth{{destination="pacs",state="{state}"}} {count}"#));
        }
        has(&telemetry, r#"gantry_queue_oldest_seconds{destination="pacs"} 90.0"#);
        has(&telemetry, "gantry_instances_came_back_total 1");
        has(&telemetry, r#"gantry_rules_reloads_total{outcome="refused"} 1"#);
        assert!(!telemetry.render().contains("gantry_rules_loaded_timestamp_seconds 0.0"));
    }
}
