//! Storage commitment asked for once, and its report waited for, over the same association and at a port of our own.

use std::time::Duration;

use dimse::service::action::{self, NActionRq};
use dimse::service::echo::CEchoRsp;
use dimse::service::event_report::NEventReportRq;
use dimse::{Command, Message, Outcome, Status};
use futures_util::StreamExt;
use futures_util::future::select_all;
use futures_util::stream::FuturesUnordered;
use model::commitment::{ReceivedReport, Request};
use model::{SopClassUid, SopInstanceUid, TransactionUid, limits, part10, sop, syntax};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use ul::Association;
use ul::pdu::{AssociateAc, AssociateRq, ContextOutcome, ContextResult, Implementation};

use super::super::Settings;
use super::super::associate;
use super::super::report::SYNTAXES;
use super::Opened;
use crate::data_set;
use crate::drive::Drive;
use crate::end::End;
use crate::socket;
use crate::stream::Stream;
use crate::tls::Server;

/// A port of our own at which the peer may call us with its report.
pub struct Own {
    /// Where we listen.
    pub listener: TcpListener,
    /// The TLS that callers meet there; `None`: without.
    pub tls: Option<Server>,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// What the peer answered to the request.
    pub answer: Outcome,
    /// Its report, where one came.
    pub report: Option<ReceivedReport>,
    /// It came over an association of the peer's own.
    pub was_called: bool,
}

impl Opened {
    /// Asks for storage commitment in the first context, which is to be one for it, and waits up to `patience` for the report: over this
    /// association and, where there are any, at our `own` ports, which answer for this one transaction only. Ends the association.
    ///
    /// Not cancel safe: dropped, connections are closed without a word.
    ///
    /// # Errors
    /// How the association ended before the answer.
    ///
    /// PS3.4 §J.3.2, §J.3.3.
    pub async fn commit(
        self,
        request: &Request,
        settings: &Settings,
        own: &[Own],
        patience: Duration,
    ) -> Result<Committed, End> {
        let mut desk = Desk { transaction: request.transaction.clone(), settings: settings.clone() };
        let mut drive = self.drive;
        let (answer, early) = match desk.ask(&mut drive, request).await {
            Ok(asked) => asked,
            Err(end) => {
                associate::close(drive, &end).await;
                return Err(end);
            }
        };
        if early.is_some() || answer.status != Status::SUCCESS {
            release(drive).await;
            return Ok(Committed { answer, report: early, was_called: false });
        }
        let (report, was_called) = desk.wait(drive, own, patience).await;
        Ok(Committed { answer, report, was_called })
    }
}

/// Who waits for the report of one transaction.
#[derive(Clone)]
struct Desk {
    transaction: TransactionUid,
    settings: Settings,
}

impl Desk {
    /// Sends the request; the answer, and a report that came before it.
    async fn ask(
        &mut self,
        drive: &mut Drive,
        request: &Request,
    ) -> Result<(Outcome, Option<ReceivedReport>), End> {
        let context = drive.association().context(FIRST_CONTEXT).cloned();
        let context = context.ok_or(End::OutOfTurn("presentation context"))?;
        let form = syntax::form(&context.transfer_syntax);
        let bytes = data_set::in_form(form, request.to_data_set(form.encoding));
        drive.queue(context.id, &action().into(), Some(&bytes))?;
        drive.flush().await?;
        let mut early = None;
        loop {
            let message = drive.next_message(self.settings.message_timeout).await?;
            match message.command {
                Command::NActionRsp(response) if response.message_id_being_responded_to == MESSAGE => {
                    drive.drain().await?;
                    return Ok((response.outcome, early));
                }
                _ => early = self.take(drive, message).await?.or(early),
            }
        }
    }

    /// Waits over both ways; many peers report only when the association that they were asked on is over.
    async fn wait(
        &self,
        mut drive: Drive,
        own: &[Own],
        patience: Duration,
    ) -> (Option<ReceivedReport>, bool) {
        let linger = if own.is_empty() { patience } else { LINGER.min(patience) };
        let called = self.called(own);
        tokio::pin!(called);
        let over_same = timeout(linger, self.next_report(&mut drive));
        let told = tokio::select! {
            told = over_same => told,
            report = &mut called => {
                release(drive).await;
                return (Some(report), true);
            }
        };
        match told {
            Ok(Err(end)) => associate::close(drive, &end).await,
            Ok(Ok(report)) => {
                release(drive).await;
                return (Some(report), false);
            }
            Err(_) => release(drive).await,
        }
        if own.is_empty() {
            return (None, false);
        }
        let report = timeout(patience.saturating_sub(linger), called).await.ok();
        let was_called = report.is_some();
        (report, was_called)
    }

    /// Takes calls, several at once, until one brings the report. Never ends without a port.
    async fn called(&self, own: &[Own]) -> ReceivedReport {
        if own.is_empty() {
            return std::future::pending().await;
        }
        let mut calls = FuturesUnordered::new();
        loop {
            let next = select_all(own.iter().map(|own| Box::pin(own.accept())));
            tokio::select! {
                ((stream, tls), _, _) = next, if calls.len() < MOST_CALLS => {
                    calls.push(timeout(LONGEST_CALL, self.answer(stream, tls)));
                }
                Some(answered) = calls.next(), if !calls.is_empty() => {
                    if let Ok(Some(report)) = answered {
                        return report;
                    }
                }
            }
        }
    }

    /// Answers one caller, who may be anybody.
    async fn answer(&self, stream: TcpStream, tls: Option<&Server>) -> Option<ReceivedReport> {
        socket::send_at_once(&stream);
        let stream: Stream = match tls {
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => stream.into(),
                Err((error, _)) => {
                    tracing::warn!(reason = %error, "a caller at our port for TLS makes none");
                    return None;
                }
            },
            None => stream.into(),
        };
        let association = Association::acceptor(self.settings.artim_timeout);
        let mut drive = Drive::new(stream, association, self.settings.message_timeout);
        let (report, end) = match self.serve(&mut drive).await {
            Ok((report, end)) => (Some(report), end),
            Err(end) => (None, end),
        };
        associate::close(drive, &end).await;
        report
    }

    /// Until the report has come, and the caller has had time to take its leave.
    async fn serve(&self, drive: &mut Drive) -> Result<(ReceivedReport, End), End> {
        let rq = drive.requested().await?;
        drive.accept(&accepted(&rq, self.settings.max_pdu_bytes)).await?;
        let report = self.next_report(drive).await?;
        let end = match drive.next_message(LINGER).await {
            Ok(message) => End::OutOfTurn(message.command.name()),
            Err(end) => end,
        };
        Ok((report, end))
    }

    async fn next_report(&self, drive: &mut Drive) -> Result<ReceivedReport, End> {
        loop {
            let message = drive.next_message(limits::REPORT_PATIENCE).await?;
            if let Some(report) = self.take(drive, message).await? {
                return Ok(report);
            }
        }
    }

    /// Answers a message of the peer's; the report, where it is the one that is waited for.
    async fn take(&self, drive: &mut Drive, message: Message) -> Result<Option<ReceivedReport>, End> {
        let Message { context_id, command, .. } = message;
        match command {
            Command::NEventReportRq(request) => self.report(drive, context_id, request).await,
            Command::CEchoRq(request) => {
                let outcome = Status::SUCCESS.into();
                let response = CEchoRsp { message_id_being_responded_to: request.message_id, outcome };
                drive.queue(context_id, &response.into(), None)?;
                drive.flush().await?;
                Ok(None)
            }
            other => Err(End::OutOfTurn(other.name())),
        }
    }

    async fn report(
        &self,
        drive: &mut Drive,
        context_id: u8,
        request: NEventReportRq,
    ) -> Result<Option<ReceivedReport>, End> {
        let context = drive.association().context(context_id).cloned();
        let form = syntax::form(&context.ok_or(End::OutOfTurn("presentation context"))?.transfer_syntax);
        let large = Semaphore::new(1);
        let read = match data_set::read(drive, limits::COMMITMENT_BYTES, &large).await? {
            Ok(whole) => data_set::scan(form, whole.bytes, limits::COMMITMENT_BYTES).await.ok(),
            Err(_) => None,
        };
        let report = read.and_then(|header| ReceivedReport::read(&header).ok());
        let report = report.filter(|report| report.transaction == self.transaction);
        let outcome = match &report {
            Some(_) => Status::SUCCESS.into(),
            None => Outcome::because(Status::INVALID_ARGUMENT_VALUE, "Transaction UID is not one of ours"),
        };
        drive.queue(context_id, &request.answer(outcome).into(), None)?;
        drive.flush().await?;
        Ok(report)
    }
}

impl Own {
    /// The next caller. Cancel safe.
    async fn accept(&self) -> (TcpStream, Option<&Server>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, self.tls.as_ref()),
                Err(_) => tokio::time::sleep(BETWEEN_ACCEPTS).await,
            }
        }
    }
}

/// Accepts Verification and storage commitment, the latter in the roles that the caller proposes, and nothing else.
fn accepted(rq: &AssociateRq, max_pdu_bytes: u32) -> AssociateAc {
    let is_ours = |uid: &str| matches!(uid, sop::VERIFICATION | sop::STORAGE_COMMITMENT_PUSH_MODEL);
    let contexts = rq.contexts.iter().map(|context| {
        let syntax = SYNTAXES.iter().find(|syntax| context.transfer_syntaxes.iter().any(|it| it == *syntax));
        let outcome = match syntax {
            _ if !is_ours(&context.abstract_syntax) => ContextOutcome::AbstractSyntaxNotSupported,
            Some(syntax) => ContextOutcome::Accepted { transfer_syntax: (*syntax).to_owned() },
            None => ContextOutcome::TransferSyntaxesNotSupported,
        };
        ContextResult { id: context.id, outcome }
    });
    let roles = rq.roles.iter().filter(|role| is_ours(&role.sop_class)).cloned().collect();
    let implementation = Implementation {
        class_uid: Some(part10::IMPLEMENTATION_CLASS_UID.to_owned()),
        version_name: Some(part10::IMPLEMENTATION_VERSION_NAME.to_owned()),
    };
    AssociateAc::answer(rq, contexts.collect(), roles, max_pdu_bytes, implementation)
}

/// What was to be known is known: that the peer does not release well is only noted.
async fn release(drive: Drive) {
    if let Err(error) = associate::release(drive).await {
        tracing::debug!(error = crate::chain(&error), "not released");
    }
}

fn action() -> NActionRq {
    NActionRq {
        message_id: MESSAGE,
        requested_sop_class_uid: SopClassUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL),
        requested_sop_instance_uid: SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        action_type_id: Some(action::REQUEST_STORAGE_COMMITMENT),
    }
}

const FIRST_CONTEXT: u8 = 1;
const MESSAGE: u16 = 1;
/// How long a peer that reports over the same association may take, before it is left so that it reports over another.
const LINGER: Duration = Duration::from_secs(3);
/// Callers that are answered at once, and for how long each.
const MOST_CALLS: usize = 16;
const LONGEST_CALL: Duration = Duration::from_secs(10);
const BETWEEN_ACCEPTS: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use model::AeTitle;
    use model::commitment::{Reference, Report};
    use sha2::{Digest, Sha256};
    use telemetry::Telemetry;

    use super::*;
    use crate::scu::{ReportAssociation, Target, Terms};
    use crate::tests::config;
    use crate::tls::{CertificateName, Client, ClientAuth, ClientSettings, KeyFiles, ServerSettings};

    /// A port with TLS, and what a caller has to know of it.
    async fn by_tls(folder: &std::path::Path) -> (Own, Client) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let own = KeyFiles { certificate: folder.join("certificate"), key: folder.join("key") };
        std::fs::write(&own.certificate, certificate.pem()).unwrap();
        std::fs::write(&own.key, key.serialize_pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let client_auth = ClientAuth::None;
        let tls = Server::new(ServerSettings { listen, own, ca: None, client_auth, pins: Vec::new() });
        let hash: String =
            Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        let names = vec![CertificateName::parse(&format!("sha256:{hash}")).unwrap()];
        (Own { listener, tls: Some(tls) }, Client::new(ClientSettings { names, ..ClientSettings::default() }))
    }

    #[tokio::test]
    async fn a_report_comes_by_tls_while_others_hold_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let (tls, client) = by_tls(folder.path()).await;
        let plain = Own { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: None };
        let at = |own: &Own| own.listener.local_addr().unwrap().to_string();
        let (plain_at, tls_at) = (at(&plain), at(&tls));
        let transaction = TransactionUid::lenient("1.2.3").unwrap();
        let title = AeTitle::parse("GANTRY").unwrap();
        let settings = Settings::new(&config(), title.clone());
        let desk = Desk { transaction: transaction.clone(), settings: settings.clone() };
        let own = [plain, tls];
        // They call first, and say nothing.
        let mute = (TcpStream::connect(&plain_at).await.unwrap(), TcpStream::connect(&tls_at).await.unwrap());
        let target = Target {
            terms: Terms { tls: Some(client), ..Terms::default() },
            ..Target::plain(title.clone(), tls_at)
        };
        let reference = Reference {
            sop_class: SopClassUid::lenient("1.2").unwrap(),
            sop_instance: SopInstanceUid::lenient("1.2.4").unwrap(),
        };
        let committed = vec![reference];
        let report = Report { transaction, retrieve_ae_title: title, committed, failed: Vec::new() };
        let reporting = async {
            let telemetry = Telemetry::new();
            let mut association = ReportAssociation::open(&target, &settings, &telemetry).await.unwrap();
            let outcome = association.send(&report).await.unwrap();
            association.close().await;
            outcome
        };
        let called = async { timeout(LONGEST_CALL, desk.called(&own)).await.unwrap() };
        let (outcome, received) = tokio::join!(reporting, called);
        assert_eq!(outcome.status, Status::SUCCESS);
        assert_eq!(received.committed, [SopInstanceUid::lenient("1.2.4").unwrap()]);
        drop(mute);
    }
}
