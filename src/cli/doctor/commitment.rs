//! Storage commitment of the object that was stored.

use std::time::{Duration, Instant};

use model::commitment::{Reference, Request};
use model::{TransactionUid, sop};
use net::scu::Class;
use net::scu::examine::{Committed, action_meaning};
use tokio::net::TcpListener;

use super::advice::advice;
use super::offers::UNCOMPRESSED;
use super::report::{Report, Step};
use super::steps::{Examined, Way, causes};
use super::synthetic::{Capture, uid};
use crate::config::Config;

impl Examined {
    /// Asks the peer to commit to what it took, and waits for what it tells.
    pub(super) async fn commitment(
        &self,
        way: &Way,
        stored: Option<&Capture>,
        config: &Config,
        report: &mut Report,
    ) {
        let Some(capture) = stored else {
            report.step(Step::skipped(NAME, "nothing was stored that could be committed to"));
            return;
        };
        let begin = Instant::now();
        let step = self.commit(way, capture, config).await;
        report.step(step.taking(begin.elapsed()));
    }

    async fn commit(&self, way: &Way, capture: &Capture, config: &Config) -> Step {
        let class = sop::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
        let proposal = [(class, UNCOMPRESSED.map(str::to_owned).to_vec())];
        let opened = match self.open(way.at, &proposal, &[]).await {
            Ok(opened) => opened,
            Err(end) => {
                let told = format!("no association for it: {}", causes(&end));
                return Step::failed(NAME, told, advice("", "look at what the peer logs"));
            }
        };
        if let Some(Err(reason)) = opened.answer().contexts.first() {
            let told = format!("the peer offers no storage commitment: {reason}");
            self.release(opened).await;
            let next = "ask its administrator whether it can; without, trust its answer to C-STORE";
            return Step::failed(NAME, told, advice("", next));
        }
        let Some(transaction) = TransactionUid::lenient(&uid()) else {
            return Step::skipped(NAME, "no transaction could be named");
        };
        let instance = &capture.instance;
        let reference =
            Reference { sop_class: instance.sop_class.clone(), sop_instance: instance.sop_instance.clone() };
        let request = Request { transaction, references: vec![reference] };
        // Held by a running server, which the peer's call then reaches.
        let own = TcpListener::bind(config.net.listen).await;
        let at = match &own {
            Ok(own) => Port::Ours(own.local_addr().unwrap_or(config.net.listen).to_string()),
            Err(_) => Port::Held(config.net.listen.to_string()),
        };
        match opened.commit(&request, &self.settings, own.as_ref().ok(), PATIENCE).await {
            Ok(committed) => told(&committed, &at, &self.call.calling),
            Err(end) => {
                let why = "It accepted the association, and does not answer the request (N-ACTION) in it.";
                Step::failed(NAME, causes(&end), advice(why, "look at what the peer logs"))
            }
        }
    }
}

/// Our port for DICOM, where the peer's call is expected.
enum Port {
    Ours(String),
    /// Somebody listens there already.
    Held(String),
}

fn told(committed: &Committed, at: &Port, calling: &str) -> Step {
    let status = committed.answer.status;
    if !matches!(status.class(), Class::Success | Class::Warning) {
        let told = format!("the request was answered {status} {}", action_meaning(status));
        return Step::failed(NAME, told, advice("", "look at what the peer logs"));
    }
    let way =
        if committed.was_called { "over an association to our port" } else { "over the same association" };
    let Some(report) = &committed.report else { return silent(at, calling) };
    match report.failed.first() {
        Some((_, reason)) => {
            let told = format!("the peer does not commit to what it took: {reason} (told {way})");
            let why =
                "It answered C-STORE with success all the same: what it says there cannot be relied on.";
            Step::failed(NAME, told, advice(why, "look at what the peer logs about this object"))
        }
        None if report.committed.is_empty() => {
            let told = format!("the report says nothing of what was stored (told {way})");
            Step::failed(NAME, told, advice("", "look at what the peer logs"))
        }
        None => Step::ok(NAME, format!("the peer commits to what was stored, told {way}")),
    }
}

/// The peer took the request, and no report came.
fn silent(at: &Port, calling: &str) -> Step {
    let seconds = PATIENCE.as_secs();
    let told = format!("the peer took the request, and its report did not come within {seconds} s");
    match at {
        Port::Ours(at) => {
            let why = format!(
                "It may report by a call of its own: to the address that it has for {calling}, where we waited at {at}."
            );
            let next = format!(
                "see that the peer has {calling} with this machine's address and that port, and that no firewall is in between"
            );
            Step::failed(NAME, told, advice(why, next))
        }
        Port::Held(at) => {
            let next = format!(
                "see in the log of what listens at {at} whether the report came there: a server of ours says that nobody asked for it; \
                 or stop that and try again"
            );
            Step::warning(NAME, told, next)
        }
    }
}

const NAME: &str = "commitment";
const PATIENCE: Duration = Duration::from_secs(30);
