use std::time::Duration;

use model::QueryRetrieveLevel;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use crate::commitments::Commitments;
use crate::deliveries::Deliveries;
use crate::memory::{Gauges, Memory};
use crate::retrieves::Retrieves;
use crate::upstreams::Upstreams;
use crate::{Door, Event};

/// A label: name and value.
pub(crate) type Label = (&'static str, &'static str);
/// The labels of an answered HTTP request.
type RouteAndStatus = ([Label; 1], [(&'static str, u16); 1]);
/// Histograms of durations by labels.
pub(crate) type Seconds<const N: usize> = Family<[Label; N], Histogram, fn() -> Histogram>;

/// Every metric, and the registry that renders them.
pub(crate) struct Metrics {
    registry: Registry,
    instances_received: Family<[Label; 2], Counter>,
    received_bytes: Family<[Label; 1], Counter>,
    receive_seconds: Seconds<1>,
    associations_open: Gauge,
    associations: Family<[Label; 2], Counter>,
    associations_rejected: Family<[Label; 1], Counter>,
    tls_handshakes: Family<[Label; 1], Counter>,
    query_seconds: Seconds<2>,
    query_rows: Family<[Label; 2], Counter>,
    http_requests: Family<RouteAndStatus, Counter>,
    http_request_seconds: Seconds<1>,
    http_response_bytes: Family<[Label; 1], Counter>,
    conflicts: Counter,
    attribute_disagreements: Counter,
    elements_omitted: Counter,
    commit_batch_instances: Histogram,
    commit_seconds: Histogram,
    panics: Counter,
    pub(crate) codecs_overdue: Gauge,
    pub(crate) deliveries: Deliveries,
    pub(crate) commitments: Commitments,
    retrieves: Retrieves,
    pub(crate) upstreams: Upstreams,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut made = Self::unregistered();
        made.register_intake();
        made.register_doors();
        made.register_archive();
        made.deliveries.register(&mut made.registry);
        made.commitments.register(&mut made.registry);
        made.retrieves.register(&mut made.registry);
        made.upstreams.register(&mut made.registry);
        made.start_at_zero();
        made
    }

    pub(crate) fn measure(&mut self, memory: fn() -> Option<Memory>) {
        self.registry.register_collector(Box::new(Gauges(memory)));
    }

    pub(crate) fn record(&self, event: Event) {
        match event {
            Event::InstanceReceived { door, status, bytes, elapsed } => {
                self.instances_received.get_or_create(&received(door, status)).inc();
                self.received_bytes.get_or_create(&by_door(door)).inc_by(bytes);
                self.receive_seconds.get_or_create(&by_door(door)).observe(elapsed.as_secs_f64());
            }
            Event::AssociationOpened { .. } => {
                self.associations_open.inc();
            }
            Event::AssociationClosed { requestor, end } => {
                self.associations_open.dec();
                self.associations.get_or_create(&[("role", role(requestor)), ("end", end)]).inc();
            }
            Event::AssociationRejected { reason } => {
                self.associations_rejected.get_or_create(&[("reason", reason)]).inc();
            }
            Event::TlsHandshake { outcome } => {
                self.tls_handshakes.get_or_create(&[("outcome", outcome)]).inc();
            }
            Event::Query { door, level, rows, elapsed } => {
                let labels = query(door, level);
                self.query_seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
                self.query_rows.get_or_create(&labels).inc_by(rows);
            }
            Event::Retrieve { retrieval, level, retrieved, elapsed } => {
                self.retrieves.record(retrieval, level, retrieved, elapsed);
            }
            Event::HttpRequest { route, status, elapsed, bytes } => {
                let by_route = [("route", route)];
                self.http_requests.get_or_create(&(by_route, [("status", status)])).inc();
                self.http_request_seconds.get_or_create(&by_route).observe(elapsed.as_secs_f64());
                self.http_response_bytes.get_or_create(&by_route).inc_by(bytes);
            }
            Event::Conflict => {
                self.conflicts.inc();
            }
            Event::AttributeDisagreement => {
                self.attribute_disagreements.inc();
            }
            Event::ElementsOmitted(count) => {
                self.elements_omitted.inc_by(u64::from(count));
            }
            Event::CommitBatch { instances, elapsed } => self.record_commit(instances, elapsed),
            Event::DeliveryEnded { destination, end } => self.deliveries.ended(&destination, end),
            Event::CameBack => self.deliveries.came_back(),
            Event::RulesLoaded => self.deliveries.rules_loaded(),
            Event::RulesReloaded { is_accepted } => self.deliveries.rules_reloaded(is_accepted),
            Event::CommitmentRequest { is_accepted } => self.commitments.requested(is_accepted),
            Event::CommitmentReport(end) => self.commitments.reported(end),
            Event::CommitmentAsked { destination, end } => self.commitments.asked(&destination, end),
            Event::UpstreamQuery { upstream, end, rows, elapsed } => {
                self.upstreams.asked(&upstream, end, rows, elapsed);
            }
            Event::UpstreamFetch { upstream, end, instances, elapsed } => {
                self.upstreams.fetched(&upstream, end, instances, elapsed);
            }
            Event::Panicked => {
                self.panics.inc();
            }
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }

    fn record_commit(&self, instances: u64, elapsed: Duration) {
        // Exact below 2^53, which no batch reaches.
        self.commit_batch_instances.observe(instances as f64);
        self.commit_seconds.observe(elapsed.as_secs_f64());
    }

    fn unregistered() -> Self {
        Self {
            registry: Registry::default(),
            instances_received: Family::default(),
            received_bytes: Family::default(),
            receive_seconds: Family::new_with_constructor(durations),
            associations_open: Gauge::default(),
            associations: Family::default(),
            associations_rejected: Family::default(),
            tls_handshakes: Family::default(),
            query_seconds: Family::new_with_constructor(durations),
            query_rows: Family::default(),
            http_requests: Family::default(),
            http_request_seconds: Family::new_with_constructor(durations),
            http_response_bytes: Family::default(),
            conflicts: Counter::default(),
            attribute_disagreements: Counter::default(),
            elements_omitted: Counter::default(),
            commit_batch_instances: Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            commit_seconds: durations(),
            panics: Counter::default(),
            codecs_overdue: Gauge::default(),
            deliveries: Deliveries::new(),
            commitments: Commitments::new(),
            retrieves: Retrieves::new(),
            upstreams: Upstreams::new(),
        }
    }

    /// Counters get their `_total` from the encoder.
    fn register_intake(&mut self) {
        let received = self.instances_received.clone();
        self.add("gantry_instances_received", "Instances whose receipt ended, by outcome", received);
        let bytes = self.received_bytes.clone();
        self.add("gantry_received_bytes", "Data set bytes received", bytes);
        let seconds = self.receive_seconds.clone();
        self.add("gantry_receive_seconds", "From an instance's first byte to the answer", seconds);
        let open = self.associations_open.clone();
        self.add("gantry_associations_open", "Associations that are established now", open);
        let associations = self.associations.clone();
        self.add("gantry_associations", "Associations that were established and have ended", associations);
        let rejected = self.associations_rejected.clone();
        self.add("gantry_associations_rejected", "Associations that we refused", rejected);
        let handshakes = self.tls_handshakes.clone();
        self.add("gantry_tls_handshakes", "TLS handshakes of callers", handshakes);
    }

    fn register_doors(&mut self) {
        let seconds = self.query_seconds.clone();
        self.add("gantry_query_seconds", "From a query to its last row", seconds);
        let rows = self.query_rows.clone();
        self.add("gantry_query_rows", "Rows sent in answer to queries", rows);
        let requests = self.http_requests.clone();
        self.add("gantry_http_requests", "HTTP requests answered", requests);
        let seconds = self.http_request_seconds.clone();
        self.add("gantry_http_request_seconds", "From an HTTP request to the end of its answer", seconds);
        let bytes = self.http_response_bytes.clone();
        self.add("gantry_http_response_bytes", "Body bytes sent in answer to HTTP requests", bytes);
    }

    fn register_archive(&mut self) {
        let conflicts = self.conflicts.clone();
        self.add("gantry_conflicts", "Instances that came again with other content", conflicts);
        let disagreements = self.attribute_disagreements.clone();
        let help = "Instances that disagree with the index on their patient, study or series";
        self.add("gantry_attribute_disagreements", help, disagreements);
        let omitted = self.elements_omitted.clone();
        self.add("gantry_elements_omitted", "Elements left out of stored metadata", omitted);
        let batch = self.commit_batch_instances.clone();
        self.add("gantry_commit_batch_instances", "Instances in one index transaction", batch);
        let seconds = self.commit_seconds.clone();
        self.add("gantry_commit_seconds", "Time of one index transaction with its syncs", seconds);
        let overdue = self.codecs_overdue.clone();
        let help = "Codecs that have run past their time on a frame, each of which keeps a turn to transcode";
        self.add("gantry_codecs_overdue", help, overdue);
        let panics = self.panics.clone();
        self.add("gantry_panics", "Tasks that panicked", panics);
    }

    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.registry.register(name, help, metric);
    }

    /// A counter that appears only with its first event hides that event from `rate()`.
    fn start_at_zero(&self) {
        for outcome in HANDSHAKES {
            drop(self.tls_handshakes.get_or_create(&[("outcome", outcome)]));
        }
        for door in [Door::Dimse, Door::Web] {
            for status in RECEIVED {
                drop(self.instances_received.get_or_create(&received(door, status)));
            }
            drop(self.received_bytes.get_or_create(&by_door(door)));
            drop(self.receive_seconds.get_or_create(&by_door(door)));
        }
    }
}

fn received(door: Door, status: &'static str) -> [Label; 2] {
    [("door", door.label()), ("status", status)]
}

fn by_door(door: Door) -> [Label; 1] {
    [("door", door.label())]
}

fn query(door: Door, level: QueryRetrieveLevel) -> [Label; 2] {
    [("door", door.label()), ("level", level_label(level))]
}

pub(crate) fn level_label(level: QueryRetrieveLevel) -> &'static str {
    match level {
        QueryRetrieveLevel::Patient => "patient",
        QueryRetrieveLevel::Study => "study",
        QueryRetrieveLevel::Series => "series",
        QueryRetrieveLevel::Image => "instance",
    }
}

fn role(requestor: bool) -> &'static str {
    if requestor { "requestor" } else { "acceptor" }
}

/// Half a millisecond to half a minute.
pub(crate) fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 17))
}

/// Every outcome of [`Event::InstanceReceived`].
const RECEIVED: [&str; 8] =
    ["stored", "duplicate", "conflict", "no_space", "unreadable", "mismatch", "aborted", "error"];

/// Every outcome of [`Event::TlsHandshake`].
const HANDSHAKES: [&str; 14] = [
    "ok",
    "plain",
    "protocol",
    "nothing_in_common",
    "expired",
    "not_yet_valid",
    "unknown_ca",
    "wrong_name",
    "bad_certificate",
    "no_certificate",
    "refused",
    "closed",
    "timeout",
    "internal",
];

/// Holds the metrics to have this line.
#[cfg(test)]
pub(crate) fn has(telemetry: &crate::Telemetry, expected: &str) {
    let text = telemetry.render();
    assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Retrieval, Retrieved};

    fn line(metrics: &Metrics, start: &str) -> Option<String> {
        metrics.render().lines().find(|line| line.starts_with(start)).map(str::to_owned)
    }

    #[test]
    fn outcomes_of_receiving_stand_at_zero_from_the_start() {
        let metrics = Metrics::new();
        for status in RECEIVED {
            let series = format!(r#"gantry_instances_received_total{{door="web",status="{status}"}}"#);
            assert_eq!(line(&metrics, &series), Some(format!("{series} 0")));
        }
    }

    #[test]
    fn every_event_moves_its_metrics() {
        let metrics = Metrics::new();
        let elapsed = Duration::from_millis(3);
        let level = QueryRetrieveLevel::Image;
        for event in [
            Event::InstanceReceived { door: Door::Dimse, status: "stored", bytes: 10, elapsed },
            Event::AssociationOpened { requestor: false },
            Event::AssociationOpened { requestor: true },
            Event::AssociationClosed { requestor: true, end: "released" },
            Event::AssociationRejected { reason: "calling_ae" },
            Event::TlsHandshake { outcome: "unknown_ca" },
            Event::Query { door: Door::Web, level, rows: 7, elapsed },
            Event::Retrieve {
                retrieval: Retrieval::Move,
                level,
                retrieved: Retrieved { completed: 5, warning: 1, failed: 2, remaining: 3, bytes: 50 },
                elapsed,
            },
            Event::HttpRequest { route: "/livez", status: 200, elapsed, bytes: 4 },
            Event::Conflict,
            Event::AttributeDisagreement,
            Event::ElementsOmitted(5),
            Event::CommitBatch { instances: 3, elapsed },
            Event::Panicked,
        ] {
            metrics.record(event);
        }
        let text = metrics.render();
        for expected in [
            r#"gantry_instances_received_total{door="dimse",status="stored"} 1"#,
            r#"gantry_received_bytes_total{door="dimse"} 10"#,
            r#"gantry_receive_seconds_count{door="dimse"} 1"#,
            r#"gantry_receive_seconds_bucket{le="0.004",door="dimse"} 1"#,
            r#"gantry_receive_seconds_bucket{le="0.002",door="dimse"} 0"#,
            "gantry_associations_open 1",
            r#"gantry_associations_total{role="requestor",end="released"} 1"#,
            r#"gantry_associations_rejected_total{reason="calling_ae"} 1"#,
            r#"gantry_tls_handshakes_total{outcome="unknown_ca"} 1"#,
            r#"gantry_query_seconds_count{door="web",level="instance"} 1"#,
            r#"gantry_query_rows_total{door="web",level="instance"} 7"#,
            r#"gantry_retrieve_seconds_count{service="c-move",level="instance"} 1"#,
            r#"gantry_retrieved_instances_total{service="c-move",outcome="completed"} 5"#,
            r#"gantry_retrieved_instances_total{service="c-move",outcome="failed"} 2"#,
            r#"gantry_retrieved_instances_total{service="c-move",outcome="remaining"} 3"#,
            r#"gantry_retrieved_instances_total{service="c-get",outcome="warning"} 0"#,
            r#"gantry_retrieved_bytes_total{service="c-move"} 50"#,
            r#"gantry_http_requests_total{route="/livez",status="200"} 1"#,
            r#"gantry_http_request_seconds_count{route="/livez"} 1"#,
            r#"gantry_http_response_bytes_total{route="/livez"} 4"#,
            "gantry_conflicts_total 1",
            "gantry_attribute_disagreements_total 1",
            "gantry_elements_omitted_total 5",
            "gantry_commit_batch_instances_sum 3.0",
            "gantry_commit_seconds_count 1",
            "gantry_panics_total 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
        }
    }
}
