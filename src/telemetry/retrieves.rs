//! What is counted of C-MOVE and C-GET.

use std::time::Duration;

use model::QueryRetrieveLevel;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::Retrieval;
use crate::metrics::{Label, Seconds, durations, level_label};

/// Metrics by kind of retrieve.
pub(crate) struct Retrieves {
    seconds: Seconds<2>,
    instances: Family<[Label; 2], Counter>,
    bytes: Family<[Label; 1], Counter>,
}

/// How the sub-operations of one retrieve went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retrieved {
    /// Sub-operations that ended in Success.
    pub completed: u64,
    /// Sub-operations that ended in Warning.
    pub warning: u64,
    /// Sub-operations that failed.
    pub failed: u64,
    /// Sub-operations that were still to be done when it was ended early.
    pub remaining: u64,
    /// Bytes of the files whose instances were taken.
    pub bytes: u64,
}

impl Retrieves {
    pub(crate) fn new() -> Self {
        Self {
            seconds: Family::new_with_constructor(durations),
            instances: Family::default(),
            bytes: Family::default(),
        }
    }

    /// Makes them known, at zero: a counter that appears only with its first event hides that event from `rate()`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "gantry_retrieve_seconds",
            "From a C-MOVE or C-GET to its end",
            self.seconds.clone(),
        );
        let help = "Instances that C-MOVE and C-GET asked for, by what became of them";
        registry.register("gantry_retrieved_instances", help, self.instances.clone());
        let help = "Bytes of the instances that were taken by whom C-MOVE and C-GET sent them to";
        registry.register("gantry_retrieved_bytes", help, self.bytes.clone());
        for retrieval in [Retrieval::Get, Retrieval::Move] {
            self.ended(retrieval, Retrieved::default());
        }
    }

    pub(crate) fn record(
        &self,
        retrieval: Retrieval,
        level: QueryRetrieveLevel,
        retrieved: Retrieved,
        elapsed: Duration,
    ) {
        let labels = [("service", retrieval.label()), ("level", level_label(level))];
        self.seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
        self.ended(retrieval, retrieved);
    }

    fn ended(&self, retrieval: Retrieval, retrieved: Retrieved) {
        let Retrieved { completed, warning, failed, remaining, bytes } = retrieved;
        let service = ("service", retrieval.label());
        for (outcome, instances) in
            [("completed", completed), ("warning", warning), ("failed", failed), ("remaining", remaining)]
        {
            self.instances.get_or_create(&[service, ("outcome", outcome)]).inc_by(instances);
        }
        self.bytes.get_or_create(&[service]).inc_by(bytes);
    }
}
