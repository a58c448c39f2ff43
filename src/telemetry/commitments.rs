use model::DestinationName;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::deliveries::{NameAnd, by_name};

/// Storage commitment reports that we owe, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reports {
    /// To be sent.
    pub waiting: u64,
    /// Given up.
    pub given_up: u64,
}

/// How an attempt to send a storage commitment report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportEnd {
    /// The peer took it.
    Delivered,
    /// It will be tried again.
    Retry,
    /// It has failed for too long.
    GaveUp,
}

impl ReportEnd {
    const LABELS: [&str; 3] = ["delivered", "retry", "gave_up"];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry => "retry",
            Self::GaveUp => "gave_up",
        }
    }
}

/// How asking a destination for storage commitment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskEnd {
    /// It took the request on.
    Accepted,
    /// It refused the request, or does not offer storage commitment.
    Refused,
    /// It could not be reached, or broke off.
    Failed,
    /// Its report did not come in time.
    Expired,
}

impl AskEnd {
    const LABELS: [&str; 4] = ["accepted", "refused", "failed", "expired"];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

type ByLabel<M> = Family<[(&'static str, &'static str); 1], M>;

/// What is counted of storage commitment.
pub(crate) struct Commitments {
    requests: ByLabel<Counter>,
    reports: ByLabel<Counter>,
    owed: ByLabel<Gauge>,
    asked: Family<NameAnd, Counter>,
}

impl Commitments {
    /// With everything at zero.
    pub(crate) fn new() -> Self {
        let made = Self {
            requests: Family::default(),
            reports: Family::default(),
            owed: Family::default(),
            asked: Family::default(),
        };
        for is_accepted in [true, false] {
            drop(made.requests.get_or_create(&[("outcome", request(is_accepted))]));
        }
        for label in ReportEnd::LABELS {
            drop(made.reports.get_or_create(&[("outcome", label)]));
        }
        made.set(Reports::default());
        made
    }

    /// Counters get their `_total` from the encoder.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Requests of peers for storage commitment";
        registry.register("gantry_commitment_requests", help, self.requests.clone());
        let help = "Attempts to send a storage commitment report, by how they ended";
        registry.register("gantry_commitment_reports", help, self.reports.clone());
        let help = "Storage commitment reports that are not sent, by state";
        registry.register("gantry_commitment_reports_owed", help, self.owed.clone());
        let help = "Requests for storage commitment to destinations, by how they ended";
        registry.register("gantry_commitment_asked", help, self.asked.clone());
    }

    pub(crate) fn requested(&self, is_accepted: bool) {
        self.requests.get_or_create(&[("outcome", request(is_accepted))]).inc();
    }

    pub(crate) fn reported(&self, end: ReportEnd) {
        self.reports.get_or_create(&[("outcome", end.label())]).inc();
    }

    /// Shows a destination that is asked, at zero.
    pub(crate) fn show(&self, destination: &DestinationName) {
        for label in AskEnd::LABELS {
            drop(self.asked.get_or_create(&(by_name(destination), [("outcome", label)])));
        }
    }

    pub(crate) fn asked(&self, destination: &DestinationName, end: AskEnd) {
        self.asked.get_or_create(&(by_name(destination), [("outcome", end.label())])).inc();
    }

    pub(crate) fn set(&self, Reports { waiting, given_up }: Reports) {
        for (state, count) in [("waiting", waiting), ("given_up", given_up)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.owed.get_or_create(&[("state", state)]).set(count);
        }
    }
}

fn request(is_accepted: bool) -> &'static str {
    if is_accepted { "accepted" } else { "refused" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::has;
    use crate::{Event, Telemetry};

    #[test]
    fn everything_stands_at_zero_and_is_counted_from_there() {
        let telemetry = Telemetry::new();
        has(&telemetry, r#"gantry_commitment_requests_total{outcome="refused"} 0"#);
        has(&telemetry, r#"gantry_commitment_reports_total{outcome="gave_up"} 0"#);
        has(&telemetry, r#"gantry_commitment_reports_owed{state="waiting"} 0"#);
        telemetry.record(Event::CommitmentRequest { is_accepted: true });
        telemetry.record(Event::CommitmentReport(ReportEnd::Retry));
        telemetry.record(Event::CommitmentReport(ReportEnd::Delivered));
        telemetry.set_reports(Reports { waiting: 3, given_up: 1 });
        has(&telemetry, r#"gantry_commitment_requests_total{outcome="accepted"} 1"#);
        has(&telemetry, r#"gantry_commitment_reports_total{outcome="retry"} 1"#);
        has(&telemetry, r#"gantry_commitment_reports_total{outcome="delivered"} 1"#);
        has(&telemetry, r#"gantry_commitment_reports_owed{state="waiting"} 3"#);
        has(&telemetry, r#"gantry_commitment_reports_owed{state="given_up"} 1"#);
    }

    #[test]
    fn asking_is_told_by_destination() {
        let telemetry = Telemetry::new();
        let destination = DestinationName::new("pacs");
        telemetry.show_asked(&destination);
        for label in AskEnd::LABELS {
            has(
                &telemetry,
                &format!(r#"gantry_commitment_asked_total{{destination="pacs",outcome="{label}"}} 0"#),
            );
        }
        telemetry.record(Event::CommitmentAsked { destination, end: AskEnd::Expired });
        has(&telemetry, r#"gantry_commitment_asked_total{destination="pacs",outcome="expired"} 1"#);
    }
}
