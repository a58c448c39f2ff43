//! The steps to a peer, from its name to what it takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::{sop, syntax};
use net::scu::examine::{self, Answer, Line, Opened, Proposal};
use net::scu::{Class, Settings, Target};
use net::tls::{Certificate, TlsError};
use net::{End, Error};

use super::advice::{self, Advice, Call, Speaks, advice};
use super::offers::{self, Taken};
use super::report::{Mark, Report, Step};
use crate::cli::format::count;

/// A peer that is looked at.
pub(super) struct Examined {
    pub(super) target: Target,
    pub(super) settings: Settings,
    pub(super) call: Call,
}

/// A way to a peer that leads as far as an association.
pub(super) struct Way {
    pub(super) at: SocketAddr,
    pub(super) taken: Taken,
    /// In what it takes a Secondary Capture.
    pub(super) capture_syntax: Option<String>,
}

/// How a step that failed ends the others.
type Stop = ();

impl Examined {
    pub(super) fn new(target: Target, settings: &Settings) -> Self {
        let settings = Settings {
            message_timeout: settings.message_timeout.min(LONGEST_ANSWER),
            connect_timeout: settings.connect_timeout.min(LONGEST_CONNECT),
            ..settings.clone()
        };
        let call = Call {
            called: target.ae_title.to_string(),
            calling: settings.calling.to_string(),
            address: target.address.clone(),
            own: None,
            by_tls: target.terms.tls.is_some(),
        };
        Self { target, settings, call }
    }

    /// Goes step by step; `None` where one fails without which there is no other.
    pub(super) async fn look(&mut self, report: &mut Report) -> Option<Way> {
        self.try_to_look(report).await.ok()
    }

    async fn try_to_look(&mut self, report: &mut Report) -> Result<Way, Stop> {
        let found = self.resolve(report).await?;
        let (line, at) = self.connect(&found, report).await?;
        self.call.own = line.own_address();
        let line = self.secure(line, at, report).await?;
        let opened = self.associate(line, at, report).await?;
        self.echo(opened, report).await;
        let mut way = Way { at, taken: Taken::default(), capture_syntax: None };
        self.contexts(&mut way, report).await?;
        Ok(way)
    }

    async fn resolve(&self, report: &mut Report) -> Result<Vec<SocketAddr>, Stop> {
        let address = &self.target.address;
        let begin = Instant::now();
        let found = examine::resolve(address, self.settings.connect_timeout).await;
        let took = begin.elapsed();
        match found {
            Ok(found) if !found.is_empty() => {
                let mut hosts: Vec<String> = found.iter().map(|at| at.ip().to_string()).collect();
                hosts.dedup();
                let asked = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                // An address needs no name server.
                if hosts != [asked.trim_matches(['[', ']'])] {
                    report.step(Step::ok("name", format!("{asked} is {}", hosts.join(", "))).taking(took));
                }
                Ok(found)
            }
            found => {
                let error = found.err().unwrap_or(std::io::ErrorKind::NotFound.into());
                let told = format!("the host of {address} is not found: {error}");
                report.step(Step::failed("name", told, advice::resolution(&error, address)).taking(took));
                Err(())
            }
        }
    }

    async fn connect(&self, found: &[SocketAddr], report: &mut Report) -> Result<(Line, SocketAddr), Stop> {
        let mut failed = Vec::new();
        for at in found {
            let begin = Instant::now();
            match Line::dial(*at, self.settings.connect_timeout).await {
                Ok(line) => {
                    let told = format!("{at} takes the connection");
                    let step = if failed.is_empty() {
                        Step::ok("connection", told)
                    } else {
                        let next = "have the addresses that do not work removed from the DNS";
                        Step::warning("connection", told, next)
                    };
                    report.step(step.taking(begin.elapsed()).noting(failed));
                    return Ok((line, *at));
                }
                Err(error) if failed.len() + 1 == found.len() => {
                    let told = format!("{at}: {}", in_words(&error));
                    let advice = advice::connection(&error, &self.target.address);
                    report.step(
                        Step::failed("connection", told, advice).taking(begin.elapsed()).noting(failed),
                    );
                    return Err(());
                }
                Err(error) => failed.push(format!("{at}: {}", in_words(&error))),
            }
        }
        Err(())
    }

    async fn secure(&self, line: Line, at: SocketAddr, report: &mut Report) -> Result<Line, Stop> {
        let Some(tls) = &self.target.terms.tls else { return Ok(line) };
        let begin = Instant::now();
        match line.secure(tls, &self.target.address, self.settings.connect_timeout).await {
            Ok(line) => {
                report.step(secured(&line).taking(begin.elapsed()));
                Ok(line)
            }
            Err(error) => {
                let took = begin.elapsed();
                let speaks = self.in_place_of_tls(at, &error).await;
                report.step(self.no_tls("TLS", &error, &speaks).taking(took));
                Err(())
            }
        }
    }

    fn no_tls(&self, name: &str, error: &TlsError, speaks: &Speaks) -> Step {
        Step::failed(name, error.to_string(), advice::tls(error, speaks, &self.call))
    }

    async fn associate(&self, line: Line, at: SocketAddr, report: &mut Report) -> Result<Opened, Stop> {
        let verification: [Proposal; 1] =
            [(sop::VERIFICATION.to_owned(), vec![syntax::IMPLICIT_VR_LITTLE_ENDIAN.to_owned()])];
        let begin = Instant::now();
        let asked = line.associate(&self.target, &self.settings, &verification, &[]).await;
        let took = begin.elapsed();
        match asked {
            Ok(opened) => {
                let Call { called, calling, .. } = &self.call;
                let told = format!("{called} accepts {calling}");
                report.step(Step::ok("association", told).taking(took).noting([software(opened.answer())]));
                Ok(opened)
            }
            Err(Error::Association(end)) => {
                report.step(self.no_association(&end, at).await.taking(took));
                Err(())
            }
            Err(error) => {
                report
                    .step(Step::failed("association", causes(&error), advice::identity(&error)).taking(took));
                Err(())
            }
        }
    }

    async fn no_association(&self, end: &End, at: SocketAddr) -> Step {
        // A peer of TLS 1.3 says after the handshake that it does not like our certificate.
        if let Some(error) = end.tls() {
            return self.no_tls("association", error, &Speaks::Unknown);
        }
        let speaks = match end {
            End::Rejected(_) => Speaks::Unknown,
            _ => self.in_place_of_dicom(at).await,
        };
        let told = match end {
            End::TimedOut(_) => {
                format!("no answer within {} s", self.settings.message_timeout.as_secs())
            }
            end => causes(end),
        };
        Step::failed("association", told, advice::association(end, &speaks, &self.call))
    }

    /// What speaks at a port that gave no association.
    async fn in_place_of_dicom(&self, at: SocketAddr) -> Speaks {
        if self.call.by_tls {
            return Speaks::Unknown;
        }
        if let Some(certificate) = examine::speaks_tls(at, PROBE).await {
            return Speaks::Tls(certificate);
        }
        http(at).await
    }

    /// What speaks at a port that made no TLS.
    async fn in_place_of_tls(&self, at: SocketAddr, error: &TlsError) -> Speaks {
        // Where it showed a certificate or talked of ours, that is TLS.
        if error.presented.is_some() || !error.problem.may_be_no_tls() {
            return Speaks::Unknown;
        }
        if examine::speaks_dicom(at, &self.target, &self.settings, PROBE).await {
            return Speaks::Dicom;
        }
        http(at).await
    }

    async fn echo(&self, mut opened: Opened, report: &mut Report) {
        if let Some(Err(reason)) = opened.answer().contexts.first() {
            let told = format!("the peer takes no Verification: {reason}");
            report.step(Step::warning(
                "C-ECHO",
                told,
                "ask its administrator to allow Verification: it serves such tests",
            ));
            self.release(opened).await;
            return;
        }
        let begin = Instant::now();
        let asked = opened.echo(&self.settings).await;
        let took = begin.elapsed();
        let step = match asked {
            Ok(outcome) if outcome.status.class() == Class::Success => {
                self.release(opened).await;
                Step::ok("C-ECHO", "answered: success")
            }
            Ok(outcome) => {
                let told = format!("answered: {} {}", outcome.status, outcome.status.meaning());
                self.release(opened).await;
                Step::failed("C-ECHO", told, advice("", "look at what the peer logs"))
            }
            Err(end) => {
                let told = causes(&end);
                opened.close(&end).await;
                let why = "It accepted the association, and does not answer in it.";
                Step::failed("C-ECHO", told, advice(why, "look at what the peer logs, and have it restarted"))
            }
        };
        report.step(step.taking(took));
    }

    async fn contexts(&self, way: &mut Way, report: &mut Report) -> Result<(), Stop> {
        let begin = Instant::now();
        let asked = self.ask(way).await;
        let took = begin.elapsed();
        let taken = &way.taken;
        let step = match asked {
            Ok(associations) if taken.stored.is_empty() && taken.services.is_empty() => {
                let next = "ask its administrator what this AE title may store and query";
                Step::warning("services", format!("{}, in {associations}", taken.told()), next)
            }
            Ok(_) => Step::ok("services", taken.told()),
            Err((number, error)) => self.no_further(number, &error),
        };
        let has_failed = step.mark == Mark::Failed;
        report.step(step.taking(took).noting(taken.notes()));
        if has_failed { Err(()) } else { Ok(()) }
    }

    /// A further association was not made: the first with many contexts, or one after it, counted from 0.
    fn no_further(&self, number: u64, error: &Error) -> Step {
        let told = format!("a further association was not made: {}", causes(error));
        match error {
            Error::Connect { source, .. } => {
                let why =
                    "It took the connections before: it, or a firewall, may take only so many in a while.";
                let next = advice::connection(source, &self.target.address).next;
                Step::failed("services", told, advice(why, next))
            }
            Error::Tls { source, .. } => {
                Step::failed("services", told, advice::tls(source, &Speaks::Unknown, &self.call))
            }
            Error::Association(end @ End::Rejected(_)) => {
                let advice = advice::association(end, &Speaks::Unknown, &self.call);
                let why = format!("With Verification alone it accepted one. {}", advice.why);
                Step::failed("services", told, Advice { why, ..advice })
            }
            Error::Association(_) if number == 0 => {
                let told =
                    format!("the peer does not accept an association with many contexts: {}", causes(error));
                let why = "With Verification alone it did.";
                Step::failed("services", told, advice(why, "try again; then look at what the peer logs"))
            }
            _ => {
                let why = format!("It accepted {} before.", count(number + 1, "association", "associations"));
                Step::failed("services", told, advice(why, "try again; then look at what the peer logs"))
            }
        }
    }

    /// Asks what it takes; over how many associations. Where one fails, how many there were before it, and why.
    async fn ask(&self, way: &mut Way) -> Result<String, (u64, Error)> {
        let plain = offers::plain();
        let answer = self.propose(way.at, &plain, &[]).await.map_err(|error| (0, error))?;
        way.taken = offers::read_plain(&answer);
        let capture = plain.iter().position(|(class, _)| class == offers::SECONDARY_CAPTURE);
        way.capture_syntax = capture.and_then(|at| answer.contexts.get(at)?.clone().ok());
        let mut associations = 1_u64;
        way.taken.asked_compressed = offers::pixel_classes(&way.taken);
        for proposals in offers::compressed(&way.taken) {
            let answer =
                self.propose(way.at, &proposals, &[]).await.map_err(|error| (associations, error))?;
            offers::add_compressed(&mut way.taken, &proposals, &answer);
            associations += 1;
        }
        if way.taken.services.contains(&"C-GET (study)") {
            let (proposals, classes) = offers::sent();
            let answer =
                self.propose(way.at, &proposals, &classes).await.map_err(|error| (associations, error))?;
            way.taken.sent = Some(offers::read_sent(&answer));
            associations += 1;
        }
        Ok(count(associations, "association", "associations"))
    }

    /// What the peer says to these contexts, over an association of their own.
    async fn propose(
        &self,
        at: SocketAddr,
        proposals: &[Proposal],
        scp_of: &[&str],
    ) -> Result<Answer, Error> {
        let opened = self.open(at, proposals, scp_of).await?;
        let answer = opened.answer().clone();
        self.release(opened).await;
        Ok(answer)
    }

    /// A further association.
    pub(super) async fn open(
        &self,
        at: SocketAddr,
        proposals: &[Proposal],
        scp_of: &[&str],
    ) -> Result<Opened, Error> {
        let (address, patience) = (at.to_string(), self.settings.connect_timeout);
        let dialled = Line::dial(at, patience).await;
        let mut line = dialled.map_err(|source| Error::Connect { address: address.clone(), source })?;
        if let Some(tls) = &self.target.terms.tls {
            let secured = line.secure(tls, &self.target.address, patience).await;
            line = secured.map_err(|source| Error::Tls { address, source })?;
        }
        line.associate(&self.target, &self.settings, proposals, scp_of).await
    }

    /// What was to be known is known: that the peer does not release well is only noted.
    pub(super) async fn release(&self, opened: Opened) {
        if let Err(error) = opened.release().await {
            tracing::debug!(error = error.explain(), "not released");
        }
    }
}

async fn http(at: SocketAddr) -> Speaks {
    examine::speaks_http(at, "/", PROBE).await.map_or(Speaks::Unknown, Speaks::Http)
}

/// What TLS says of a peer that was verified.
fn secured(line: &Line) -> Step {
    let Some(secured) = line.secured() else { return Step::skipped("TLS", "none") };
    let told = format!("{}, {}", secured.version.replace('_', "."), secured.cipher_suite);
    match secured.certificate {
        Some(certificate) => with_expiry("TLS", told, &certificate, "its administrator"),
        None => Step::ok("TLS", told),
    }
}

/// A step about a certificate that is good today, with a warning where it will not be so for long.
pub(super) fn with_expiry(name: &str, told: String, certificate: &Certificate, who: &str) -> Step {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let left = certificate.not_after.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    let note = [format!("certificate: {certificate}")];
    match left {
        ..0 => {
            let next = format!("have {who} put a new certificate in place");
            Step::failed(name, told, advice("The certificate has expired.", next)).noting(note)
        }
        0..SOON_SECONDS => {
            let days = count(u64::try_from(left / DAY_SECONDS).unwrap_or(0) + 1, "day", "days");
            let told = format!("{told}; the certificate expires within {days}");
            Step::warning(name, told, format!("have {who} renew the certificate")).noting(note)
        }
        _ => Step::ok(name, told).noting(note),
    }
}

fn software(answer: &Answer) -> String {
    let version = answer.implementation_version_name.as_deref().unwrap_or("no version name");
    let class = answer.implementation_class_uid.as_deref().unwrap_or("no implementation UID");
    let pdu = match answer.max_pdu_bytes {
        0 => "PDUs of any length".to_owned(),
        bytes => format!("PDUs up to {bytes} bytes"),
    };
    format!("software: {version} ({class}); takes {pdu}")
}

/// A refused or silent connection as operators say it.
fn in_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => "connection refused".to_owned(),
        K::TimedOut => "no answer in time".to_owned(),
        K::HostUnreachable => "host unreachable".to_owned(),
        K::NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// An error with its causes.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Time enough to get a new certificate, even from a vendor.
const SOON_SECONDS: i64 = 30 * DAY_SECONDS;
/// A peer that needs longer for A-ASSOCIATE-AC is as good as silent for a person who waits.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// What else speaks at a port answers at once, or is not it.
const PROBE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_warned_of() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        for (days, mark, words) in [
            (400, Mark::Ok, "TLSv1.3"),
            (10, Mark::Warning, "expires within 10 days"),
            (-1, Mark::Failed, "TLSv1.3"),
        ] {
            let certificate = Certificate {
                sha256: [0; 32],
                subject: "CN=PACS".to_owned(),
                issuer: "CN=CA".to_owned(),
                common_names: Vec::new(),
                names: Vec::new(),
                not_before: 0,
                // A little less, for the test to take its time.
                not_after: now + days * DAY_SECONDS - 60,
            };
            let step = with_expiry("TLS", "TLSv1.3".to_owned(), &certificate, "its administrator");
            assert!(step.mark == mark && step.told.contains(words), "{step:?}");
        }
    }
}
