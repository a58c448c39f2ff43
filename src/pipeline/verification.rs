//! Destinations that are asked whether they keep what they took: storage commitment as SCU (PS3.4 Annex J).

use std::sync::Arc;
use std::time::Duration;

use archive::{DestinationId, GiveUp, NotCommitted, Swept, Told, VerificationDue};
use model::commitment::{FailureReason, ReceivedReport, Request};
use model::{AeTitle, DestinationName, PeerName, TransactionUid, limits};
use telemetry::{AskEnd, DeliveryEnd, Event};
use tokio::time::{Instant, sleep};

use crate::lane::gave_up;
use crate::{DestinationFacts, Error, Pipeline, Retry};

/// How a destination is asked to commit to what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitmentTerms {
    /// When what it does not commit to is delivered again, when it is asked again where asking failed, and how long all of it may take.
    pub retry: Retry,
    /// So long after being asked it is asked again about what it has not told.
    pub patience: Duration,
}

/// Who tells.
#[derive(Debug, Clone, Default)]
pub struct Teller {
    /// The configured peer that it is.
    pub peer: Option<PeerName>,
    /// The AE title that it gives itself.
    pub aet: Option<AeTitle>,
}

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportTaken {
    /// It is durable what it tells.
    Taken {
        /// Deliveries that are delivered now.
        committed: usize,
        /// Deliveries that are to be sent again, or were given up.
        failed: usize,
    },
    /// Nobody was asked under its Transaction UID.
    Unknown,
    /// Another peer was asked.
    NotAsked,
}

/// What a destination is to be asked, and how that went: one asks at a time.
pub struct Verification {
    pipeline: Pipeline,
    id: DestinationId,
    name: DestinationName,
    terms: CommitmentTerms,
    /// Nothing dies of its age before.
    grace_ends: Instant,
    /// How often in a row asking has failed.
    failures: u32,
    not_before: Instant,
    /// The index did not take a change: so long it is left alone, also by who asks by hand.
    index_rests: Instant,
}

impl Pipeline {
    /// What the destination of this name is to be asked; `None` when it is not to be asked, or is none of
    /// [`Pipeline::set_destinations`].
    pub fn verification(&self, name: &DestinationName) -> Option<Verification> {
        let (id, facts) = self.router.known().iter().find(|(_, facts)| facts.name == *name)?;
        let terms = facts.commitment.clone()?;
        let now = Instant::now();
        Some(Verification {
            pipeline: self.clone(),
            id: *id,
            name: name.clone(),
            grace_ends: now + terms.retry.grace(),
            terms,
            failures: 0,
            not_before: now,
            index_rests: now,
        })
    }

    /// Takes what a peer tells about what it was asked; durable when this returns.
    ///
    /// Who tells must be a configured peer with the AE title of the destination's: it may be configured twice, with and without TLS.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::NoSpace`]: it is to be told again.
    ///
    /// PS3.4 §J.3.3.
    pub async fn take_report(&self, teller: &Teller, report: ReceivedReport) -> Result<ReportTaken, Error> {
        let Some(id) = self.archive.verification_of(&report.transaction).await? else {
            return Ok(ReportTaken::Unknown);
        };
        let Some((_, facts)) = self.router.known().iter().find(|(known, _)| *known == id) else {
            return Ok(ReportTaken::Unknown);
        };
        if !is_from(facts, teller) {
            return Ok(ReportTaken::NotAsked);
        }
        let transaction = report.transaction.clone();
        let retry = facts.commitment.as_ref().map(|terms| terms.retry.clone());
        let ask_again = retry.as_ref().map_or(limits::LANE_TICK, |retry| retry.first);
        let decide = move |reason, attempts, age| match &retry {
            Some(retry) => decide(reason, attempts, age, retry, fastrand::f64() * 2.0 - 1.0),
            None => NotCommitted::AskAgain(limits::LANE_TICK),
        };
        let told = self.archive.take_report(report, Arc::new(decide), ask_again).await?;
        self.count_told(&facts.name, &told);
        let Told { committed, retried, dead, gave_up, untold } = told;
        let (destination, committed) = (&facts.name, committed.len());
        let failed = retried + dead + gave_up;
        match (failed, untold) {
            (0, 0) => tracing::info!(%destination, %transaction, committed, "storage commitment"),
            (0, _) => tracing::warn!(
                %destination, %transaction, committed, untold,
                "storage commitment: the destination did not tell of everything that it was asked about"
            ),
            (_, _) => tracing::warn!(
                %destination, %transaction, committed, retried, dead, gave_up, untold,
                "storage commitment: the destination does not keep everything that it took"
            ),
        }
        Ok(ReportTaken::Taken { committed, failed })
    }

    fn count_told(&self, destination: &DestinationName, told: &Told) {
        let count =
            |end| self.telemetry.record(Event::DeliveryEnded { destination: destination.clone(), end });
        for since_queued in &told.committed {
            count(DeliveryEnd::Delivered { since_queued: *since_queued });
        }
        (0..told.retried).for_each(|_| count(DeliveryEnd::Retry));
        (0..told.dead).for_each(|_| count(DeliveryEnd::Refused));
        (0..told.gave_up).for_each(|_| count(DeliveryEnd::GaveUp));
    }
}

impl Verification {
    /// Waits until there is something to ask. Cancel safe.
    pub async fn due(&self) {
        loop {
            let wait = match self.pipeline.archive.verification_due(self.id).await {
                Ok(due) => {
                    let until = |at: Instant| at.saturating_duration_since(Instant::now());
                    wait(due, until(self.not_before), until(self.index_rests))
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "what is to be verified cannot be looked up");
                    limits::LANE_TICK
                }
            };
            match wait {
                Duration::ZERO => return,
                wait => sleep(wait.min(limits::LANE_TICK)).await,
            }
        }
    }

    /// Notes what is over: reports that have not come in time, and deliveries that wait for too long. Goes before each attempt to ask.
    pub async fn sweep(&self) {
        let retry = &self.terms.retry;
        let give_up = (Instant::now() >= self.grace_ends).then(|| GiveUp {
            after: retry.give_up,
            // What is asked about is gathered first, and sweeping goes before asking.
            patience: self.terms.patience + limits::COMMITMENT_GATHERED * 2,
            reason: gave_up(retry.give_up),
        });
        let mut all = Swept::default();
        loop {
            match self.pipeline.archive.sweep_verifications(self.id, give_up.clone()).await {
                Ok(Swept { expired, gave_up }) => {
                    all.expired += expired;
                    all.gave_up += gave_up;
                    if gave_up == 0 {
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "what is to be verified cannot be looked through");
                    break;
                }
            }
        }
        let Swept { expired, gave_up } = all;
        if expired > 0 {
            let after = self.terms.patience;
            tracing::warn!(
                requests = expired,
                ?after,
                "no storage commitment report has come in time: asking again"
            );
        }
        (0..expired).for_each(|_| self.count(AskEnd::Expired));
        if gave_up > 0 {
            tracing::warn!(deliveries = gave_up, "given up: storage was not committed to for too long");
        }
        for _ in 0..gave_up {
            let (destination, end) = (self.name.clone(), DeliveryEnd::GaveUp);
            self.pipeline.telemetry.record(Event::DeliveryEnded { destination, end });
        }
    }

    /// The next request, if there is something to ask now; its report is recognised from now on. How asking went is to be told, by
    /// [`Verification::taken_on`] or [`Verification::failed`].
    ///
    /// Not cancel safe: what nobody asks waits until it is asked again.
    pub async fn request(&mut self) -> Option<Request> {
        let (archive, patience) = (&self.pipeline.archive, self.terms.patience);
        match archive.ask_to_verify(self.id, transaction_uid(), patience).await {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(error = chain(&error), "what is to be verified cannot be asked for");
                self.index_rests = Instant::now() + limits::LANE_TICK;
                None
            }
        }
    }

    /// The destination has taken a request on: its report is waited for.
    pub async fn taken_on(&mut self, transaction: TransactionUid) {
        self.failures = 0;
        self.count(AskEnd::Accepted);
        if let Err(error) = self.pipeline.archive.verification_asked(transaction).await {
            tracing::error!(
                error = chain(&error),
                "that a destination was asked cannot be kept; a restart asks again"
            );
        }
    }

    /// The destination could not be asked, for this reason, or did not take the request on: it is asked again after a while, each time a
    /// longer one.
    pub async fn failed(&mut self, transaction: Option<TransactionUid>, end: AskEnd, reason: String) {
        let wait = self.terms.retry.delay(self.failures, fastrand::f64() * 2.0 - 1.0);
        if self.failures == 0 {
            tracing::warn!(reason, "storage commitment could not be asked for, to be tried again");
        } else {
            tracing::debug!(reason, failures = self.failures, "storage commitment could not be asked for");
        }
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + wait;
        self.count(end);
        // What the request was about is due when asking is.
        let kept = self.pipeline.archive.verification_failed(self.id, transaction, wait, reason).await;
        if let Err(error) = kept {
            // It may still be due because somebody asked for it.
            self.index_rests = Instant::now() + limits::LANE_TICK;
            tracing::error!(error = chain(&error), "that a destination could not be asked cannot be kept");
        }
    }

    fn count(&self, end: AskEnd) {
        let destination = self.name.clone();
        self.pipeline.telemetry.record(Event::CommitmentAsked { destination, end });
    }
}

/// How long to wait before there is something to ask: `pause` stands between failures, but for who asks by hand, and `rest` in any case.
fn wait(due: VerificationDue, pause: Duration, rest: Duration) -> Duration {
    let wait = match due {
        VerificationDue::ByRequest => Duration::ZERO,
        VerificationDue::In(wait) => wait.max(pause),
        VerificationDue::Never => limits::LANE_TICK,
    };
    wait.max(rest)
}

/// Whether a destination leads to who tells.
fn is_from(destination: &DestinationFacts, teller: &Teller) -> bool {
    let title = destination.peer.as_ref().map(|(_, title)| title);
    teller.peer.is_some() && title.is_some() && teller.aet.as_ref() == title
}

/// What becomes of a delivery that its destination does not commit to, which is `age` old and was tried `attempts` times.
fn decide(reason: FailureReason, attempts: u32, age: Duration, retry: &Retry, jitter: f64) -> NotCommitted {
    let words = format!("stored, and storage not committed to: {reason}");
    match reason {
        // About the request, not about the instance.
        FailureReason::DUPLICATE_TRANSACTION_UID => NotCommitted::AskAgain(retry.first),
        // It will be the same next time.
        FailureReason::CLASS_INSTANCE_CONFLICT | FailureReason::SOP_CLASS_NOT_SUPPORTED => {
            NotCommitted::Dead { reason: words }
        }
        _ if age >= retry.give_up => {
            NotCommitted::GaveUp { reason: format!("{}: {words}", gave_up(retry.give_up)) }
        }
        _ => NotCommitted::Retry { after: retry.delay(attempts.saturating_sub(1), jitter), reason: words },
    }
}

/// A new UID below 2.25: a random UUID in decimal (PS3.5 §B.2).
fn transaction_uid() -> TransactionUid {
    // That nobody can guess it keeps others from telling.
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    // Version 4, variant 1 (RFC 9562 §5.4).
    let random = u128::from_ne_bytes(bytes);
    let uuid = random & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    TransactionUid::lenient(&format!("2.25.{uuid}")).expect("it is not empty")
}

/// An error with its causes, for a log line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use archive::{Settlement, Turn};

    use super::*;
    use crate::tests::{CT, Home};

    const HOUR: Duration = Duration::from_secs(3600);
    const FIRST: Duration = Duration::from_secs(10);
    const RETRY: Retry = Retry { first: FIRST, factor: 2.0, max: HOUR, give_up: HOUR.saturating_mul(72) };

    #[test]
    fn every_reason_has_its_consequence() {
        let again = |after, words: &str| NotCommitted::Retry { after, reason: words.to_owned() };
        let dead = |words: &str| NotCommitted::Dead { reason: words.to_owned() };
        for (code, attempts, age, expected) in [
            (0x0110, 1, HOUR, again(FIRST, "stored, and storage not committed to: 0110H processing failure")),
            (
                0x0112,
                2,
                HOUR,
                again(FIRST * 2, "stored, and storage not committed to: 0112H no such object instance"),
            ),
            (
                0x0213,
                3,
                HOUR,
                again(FIRST * 4, "stored, and storage not committed to: 0213H resource limitation"),
            ),
            (0x0119, 1, HOUR, dead("stored, and storage not committed to: 0119H class/instance conflict")),
            (
                0x0122,
                1,
                HOUR,
                dead("stored, and storage not committed to: 0122H referenced SOP class not supported"),
            ),
            (0x0131, 1, HOUR * 99, NotCommitted::AskAgain(FIRST)),
            (
                0xC001,
                1,
                HOUR,
                again(
                    FIRST,
                    "stored, and storage not committed to: C001H a reason that the standard does not know",
                ),
            ),
            (
                0x0112,
                9,
                HOUR * 72,
                NotCommitted::GaveUp {
                    reason: "gave up after 72 h: stored, and storage not committed to: 0112H no such object instance"
                        .to_owned(),
                },
            ),
        ] {
            assert_eq!(decide(FailureReason(code), attempts, age, &RETRY, 0.0), expected, "{code:04X}");
        }
    }

    #[test]
    fn who_asks_by_hand_waits_for_the_index_only() {
        let [none, tick, long] = [Duration::ZERO, limits::LANE_TICK, HOUR];
        for (due, pause, rest, expected) in [
            (VerificationDue::ByRequest, long, none, none),
            (VerificationDue::ByRequest, none, tick, tick),
            (VerificationDue::In(none), long, tick, long),
            (VerificationDue::In(none), none, tick, tick),
            (VerificationDue::In(FIRST), none, none, FIRST),
            (VerificationDue::Never, none, none, tick),
        ] {
            assert_eq!(wait(due, pause, rest), expected, "{due:?} {pause:?} {rest:?}");
        }
    }

    #[tokio::test]
    async fn what_is_given_up_soon_is_asked_about_all_the_same() {
        let give_up = Duration::from_millis(10);
        let terms = CommitmentTerms { retry: Retry { give_up, ..RETRY }, patience: give_up };
        let name = DestinationName::new("pacs");
        let facts = DestinationFacts { name: name.clone(), peer: None, commitment: Some(terms) };
        let home = Home::without_rules(vec![facts]).await;
        home.route("[[rule]]\nname = 'all'\nwhen = 'true'\nsend = ['pacs']\n").await;
        home.store(1, CT).await;
        let id = home.pipeline.router.id(&name).unwrap();
        let claim = Turn { claim: 1, lease: HOUR, ..Turn::default() };
        let parcel = home.archive.turn(id, claim).await.unwrap().parcels.remove(0);
        let ask_after = limits::COMMITMENT_GATHERED;
        let stored = Settlement::Stored { answer: "0000H".into(), sent: [7; 32], ask_after };
        let settle = Turn { settled: vec![(parcel.id, stored)], ..Turn::default() };
        home.archive.turn(id, settle).await.unwrap();
        let mut verification = home.pipeline.verification(&name).unwrap();
        verification.due().await;
        verification.sweep().await;
        assert_eq!(verification.request().await.unwrap().references.len(), 1);
    }

    #[test]
    fn transaction_uids_are_valid_and_differ() {
        let uids: std::collections::HashSet<_> = (0..100).map(|_| transaction_uid()).collect();
        assert_eq!(uids.len(), 100);
        for uid in uids {
            assert!(uid.is_valid(), "{uid}");
            let uuid: u128 = uid.as_str().strip_prefix("2.25.").unwrap().parse().unwrap();
            assert_eq!((uuid >> 76 & 0xF, uuid >> 62 & 0x3), (4, 2));
        }
    }
}
