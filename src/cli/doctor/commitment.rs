//! Storage commitment of the object that was stored.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::commitment::{Reference, Request};
use model::{TransactionUid, sop};
use net::scu::Class;
use net::scu::examine::{Committed, Own, action_meaning};
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
        let (own, ports) = Ports::open(config).await;
        match opened.commit(&request, &self.settings, &own, PATIENCE).await {
            Ok(committed) => told(&committed, &ports, &self.call.calling),
            Err(end) => {
                let why = "It accepted the association, and does not answer the request (N-ACTION) in it.";
                Step::failed(NAME, causes(&end), advice(why, "look at what the peer logs"))
            }
        }
    }
}

/// Our ports for DICOM, where the peer's call is expected.
#[derive(Debug, Default)]
struct Ports {
    /// Where we wait.
    ours: Vec<String>,
    /// Where somebody listens already: a running server, which the peer's call then reaches.
    held: Vec<String>,
    /// Where nobody can be reached, and why, in words.
    closed: Vec<String>,
}

impl Ports {
    /// Listens where no server does.
    async fn open(config: &Config) -> (Vec<Own>, Self) {
        let tls = config.net.tls.as_ref();
        let doors =
            [(config.net.listen, None)].into_iter().chain(tls.map(|tls| (tls.settings().listen, Some(tls))));
        let (mut own, mut ports) = (Vec::new(), Self::default());
        for (listen, tls) in doors {
            let by = if tls.is_some() { " by TLS" } else { "" };
            let has_certificate = tls.map(|tls| tls.certificate().map(drop)).transpose();
            match (TcpListener::bind(listen).await, has_certificate) {
                (Ok(_), Err(error)) => ports.closed.push(format!("{listen}{by}: {error}")),
                (Ok(listener), Ok(_)) => {
                    let at = listener.local_addr().unwrap_or(listen);
                    ports.ours.push(format!("{at}{by}"));
                    own.push(Own { listener, tls: tls.cloned() });
                }
                (Err(error), _) => ports.not_bound(listen, by, &error),
            }
        }
        (own, ports)
    }

    fn not_bound(&mut self, listen: SocketAddr, by: &str, error: &io::Error) {
        let reason = match error.kind() {
            ErrorKind::AddrInUse => return self.held.push(format!("{listen}{by}")),
            ErrorKind::PermissionDenied => "this user may not listen at that port".to_owned(),
            ErrorKind::AddrNotAvailable => "that is no address of this machine".to_owned(),
            _ => error.to_string(),
        };
        self.closed.push(format!("{listen}{by}: {reason}"));
    }
}

fn told(committed: &Committed, ports: &Ports, calling: &str) -> Step {
    let status = committed.answer.status;
    if !matches!(status.class(), Class::Success | Class::Warning) {
        let told = format!("the request was answered {status} {}", action_meaning(status));
        return Step::failed(NAME, told, advice("", "look at what the peer logs"));
    }
    let way =
        if committed.was_called { "over an association to our port" } else { "over the same association" };
    let Some(report) = &committed.report else { return silent(ports, calling) };
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
fn silent(ports: &Ports, calling: &str) -> Step {
    let seconds = PATIENCE.as_secs();
    let told = format!("the peer took the request, and its report did not come within {seconds} s");
    let closed = ports.closed.iter().map(|port| format!("not listened at {port}"));
    let step = match (ports.ours.as_slice(), ports.held.as_slice()) {
        (_, held @ [_, ..]) => {
            let next = format!(
                "see in the log of what listens at {} whether the report came there: a server of ours says that nobody asked for it; \
                 or stop that and try again",
                held.join(", ")
            );
            Step::warning(NAME, told, next)
        }
        (ours @ [_, ..], []) => {
            let why = format!(
                "It may report by a call of its own: to the address that it has for {calling}, where we waited at {}.",
                ours.join(", ")
            );
            let next = format!(
                "see that the peer has {calling} with this machine's address and that port, and that no firewall is in between"
            );
            Step::failed(NAME, told, advice(why, next))
        }
        ([], []) => {
            let next =
                "mend what keeps us from listening, as it may report by a call of its own; then try again";
            Step::warning(NAME, told, next)
        }
    };
    step.noting(closed)
}

const NAME: &str = "commitment";
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::super::report::Mark;
    use super::*;

    #[test]
    fn a_port_that_is_not_ours_is_told_by_its_reason() {
        let listen = "127.0.0.1:104".parse().unwrap();
        for (kind, mark, words) in [
            (ErrorKind::AddrInUse, Mark::Warning, "what listens at 127.0.0.1:104"),
            (ErrorKind::PermissionDenied, Mark::Warning, "this user may not listen"),
            (ErrorKind::AddrNotAvailable, Mark::Warning, "no address of this machine"),
        ] {
            let mut ports = Ports::default();
            ports.not_bound(listen, "", &kind.into());
            let step = silent(&ports, "GANTRY");
            assert!(step.mark == mark && format!("{step:?}").contains(words), "{step:?}");
        }
        let ports = Ports { ours: vec!["127.0.0.1:104".to_owned()], ..Ports::default() };
        assert_eq!(silent(&ports, "GANTRY").mark, Mark::Failed);
    }

    #[tokio::test]
    async fn what_another_process_holds_is_told_so() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ports = Ports::default();
        let listen = holder.local_addr().unwrap();
        let error = TcpListener::bind(listen).await.unwrap_err();
        ports.not_bound(listen, " by TLS", &error);
        assert_eq!(ports.held, [format!("{listen} by TLS")]);
    }
}
