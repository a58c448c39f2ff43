//! What Gantry counts: one [`Event`] becomes the metrics that `/metrics` serves.
//!
//! Read [`Event`] first, then [`Telemetry`]. Labels come from closed sets only (doors, levels, routes, outcomes, configured destinations), so neither the
//! number of series nor their content depends on what a peer sends, and no patient data can get in. Deliberately absent: log
//! lines, which are written with `tracing` where they arise.
//!
//! ```
//! use std::time::Duration;
//! use telemetry::{Door, Event, Telemetry};
//!
//! let telemetry = Telemetry::new();
//! let elapsed = Duration::from_millis(3);
//! telemetry.record(Event::InstanceReceived { door: Door::Dimse, status: "stored", bytes: 526_000, elapsed });
//! let text = telemetry.render();
//! assert!(text.contains(r#"gantry_instances_received_total{door="dimse",status="stored"} 1"#));
//! ```

mod commitments;
mod deliveries;
mod event;
mod memory;
mod metrics;
mod retrieves;
mod upstreams;

use std::fmt;
use std::sync::Arc;

pub use commitments::{AskEnd, ReportEnd, Reports};
pub use deliveries::Queue;
pub use event::{DeliveryEnd, Door, Event, Retrieval};
pub use memory::Memory;
use metrics::Metrics;
use model::{DestinationName, UpstreamName};
pub use retrieves::Retrieved;
pub use upstreams::UpstreamEnd;

/// The media type of [`Telemetry::render`]: OpenMetrics text, which Prometheus reads.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one server. Clones share them.
#[derive(Clone)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
}

impl Telemetry {
    /// Starts with every counter at zero.
    pub fn new() -> Self {
        Self { metrics: Arc::new(Metrics::new()) }
    }

    /// Like [`Telemetry::new`], and has what the process holds of memory, which is asked for whenever metrics are read.
    pub fn measuring(memory: fn() -> Option<Memory>) -> Self {
        let mut metrics = Metrics::new();
        metrics.measure(memory);
        Self { metrics: Arc::new(metrics) }
    }

    /// Counts an event. Never blocks for longer than it takes to find a counter by its labels.
    pub fn record(&self, event: Event) {
        self.metrics.record(event);
    }

    /// Shows the metrics of a configured destination, at zero, before its first event.
    pub fn show_destination(&self, destination: &DestinationName) {
        self.metrics.deliveries.show(destination);
    }

    /// Sets what waits for a destination.
    pub fn set_queue(&self, destination: &DestinationName, queue: Queue) {
        self.metrics.deliveries.set(destination, queue);
    }

    /// Shows the metrics of a destination that is asked for storage commitment, at zero, before it is asked.
    pub fn show_asked(&self, destination: &DestinationName) {
        self.metrics.commitments.show(destination);
    }

    /// Shows the metrics of an upstream archive, at zero, before it is asked.
    pub fn show_upstream(&self, upstream: &UpstreamName) {
        self.metrics.upstreams.show(upstream);
    }

    /// Sets what is owed of storage commitment reports.
    pub fn set_reports(&self, reports: Reports) {
        self.metrics.commitments.set(reports);
    }

    /// Sets how many codecs have run past their time and keep a turn.
    pub fn set_codecs_overdue(&self, count: usize) {
        self.metrics.codecs_overdue.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All metrics as text in the format that [`CONTENT_TYPE`] names.
    pub fn render(&self) -> String {
        self.metrics.render()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}
