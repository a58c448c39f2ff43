//! What is counted of upstream archives.

use std::fmt::{self, Write};
use std::time::Duration;

use model::UpstreamName;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::metrics::durations;

/// How a query at an upstream archive, or a retrieve from it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamEnd {
    /// It answered all of it.
    Answered,
    /// It could not be asked, refused, or broke off.
    Failed,
    /// It did not answer in time.
    Late,
    /// Nobody wanted the rest of the answer.
    Cancelled,
    /// It had failed a moment ago, and was not asked.
    Skipped,
}

impl UpstreamEnd {
    const ALL: [Self; 5] = [Self::Answered, Self::Failed, Self::Late, Self::Cancelled, Self::Skipped];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// Metrics by upstream archive.
pub(crate) struct Upstreams {
    queries: Family<NameAnd, Counter>,
    query_seconds: Family<ByName, Histogram, fn() -> Histogram>,
    rows: Family<ByName, Counter>,
    fetches: Family<NameAnd, Counter>,
    fetch_seconds: Family<ByName, Histogram, fn() -> Histogram>,
    instances: Family<ByName, Counter>,
}

type ByName = [(&'static str, Name); 1];
type NameAnd = (ByName, [(&'static str, &'static str); 1]);

impl Upstreams {
    pub(crate) fn new() -> Self {
        Self {
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(durations),
            rows: Family::default(),
            fetches: Family::default(),
            fetch_seconds: Family::new_with_constructor(durations),
            instances: Family::default(),
        }
    }

    /// Counters get their `_total` from the encoder.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let queries = self.queries.clone();
        registry.register(
            "gantry_upstream_queries",
            "Queries at upstream archives, by how they ended",
            queries,
        );
        let seconds = self.query_seconds.clone();
        registry.register(
            "gantry_upstream_query_seconds",
            "From a query at an upstream archive to its end",
            seconds,
        );
        let help = "Rows that an upstream archive gave and we did not have";
        registry.register("gantry_upstream_rows", help, self.rows.clone());
        let fetches = self.fetches.clone();
        registry.register(
            "gantry_upstream_fetches",
            "Retrieves from upstream archives, by how they ended",
            fetches,
        );
        let seconds = self.fetch_seconds.clone();
        registry.register(
            "gantry_upstream_fetch_seconds",
            "From a retrieve from an upstream archive to its end",
            seconds,
        );
        let help = "Instances that upstream archives sent in answer to our retrieves";
        registry.register("gantry_upstream_fetched_instances", help, self.instances.clone());
    }

    /// Shows everything about an upstream archive, at zero.
    pub(crate) fn show(&self, upstream: &UpstreamName) {
        for end in UpstreamEnd::ALL {
            drop(self.queries.get_or_create(&(by_name(upstream), [("outcome", end.label())])));
            drop(self.fetches.get_or_create(&(by_name(upstream), [("outcome", end.label())])));
        }
        drop(self.query_seconds.get_or_create(&by_name(upstream)));
        drop(self.fetch_seconds.get_or_create(&by_name(upstream)));
        drop(self.rows.get_or_create(&by_name(upstream)));
        drop(self.instances.get_or_create(&by_name(upstream)));
    }

    pub(crate) fn asked(&self, upstream: &UpstreamName, end: UpstreamEnd, rows: u64, elapsed: Duration) {
        self.queries.get_or_create(&(by_name(upstream), [("outcome", end.label())])).inc();
        if end != UpstreamEnd::Skipped {
            self.query_seconds.get_or_create(&by_name(upstream)).observe(elapsed.as_secs_f64());
        }
        self.rows.get_or_create(&by_name(upstream)).inc_by(rows);
    }

    pub(crate) fn fetched(
        &self,
        upstream: &UpstreamName,
        end: UpstreamEnd,
        instances: u64,
        elapsed: Duration,
    ) {
        self.fetches.get_or_create(&(by_name(upstream), [("outcome", end.label())])).inc();
        self.fetch_seconds.get_or_create(&by_name(upstream)).observe(elapsed.as_secs_f64());
        self.instances.get_or_create(&by_name(upstream)).inc_by(instances);
    }
}

/// The label of an upstream archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name(UpstreamName);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.write_str(self.0.as_str())
    }
}

fn by_name(upstream: &UpstreamName) -> ByName {
    [("upstream", Name(upstream.clone()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::has;
    use crate::{Event, Telemetry};

    #[test]
    fn upstreams_stand_at_zero_and_are_counted_by_name() {
        let telemetry = Telemetry::new();
        let (upstream, elapsed) = (UpstreamName::new("pacs"), Duration::from_millis(3));
        telemetry.show_upstream(&upstream);
        has(&telemetry, r#"gantry_upstream_queries_total{upstream="pacs",outcome="late"} 0"#);
        has(&telemetry, r#"gantry_upstream_fetches_total{upstream="pacs",outcome="answered"} 0"#);
        for (end, rows) in [(UpstreamEnd::Answered, 7), (UpstreamEnd::Late, 2), (UpstreamEnd::Skipped, 0)] {
            telemetry.record(Event::UpstreamQuery { upstream: upstream.clone(), end, rows, elapsed });
        }
        let end = UpstreamEnd::Failed;
        telemetry.record(Event::UpstreamFetch { upstream, end, instances: 5, elapsed });
        has(&telemetry, r#"gantry_upstream_queries_total{upstream="pacs",outcome="late"} 1"#);
        has(&telemetry, r#"gantry_upstream_query_seconds_count{upstream="pacs"} 2"#);
        has(&telemetry, r#"gantry_upstream_rows_total{upstream="pacs"} 9"#);
        has(&telemetry, r#"gantry_upstream_fetches_total{upstream="pacs",outcome="failed"} 1"#);
        has(&telemetry, r#"gantry_upstream_fetched_instances_total{upstream="pacs"} 5"#);
    }
}
