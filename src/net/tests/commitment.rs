use std::time::Duration;

use dimse::service::action::NActionRq;
use dimse::service::echo::CEchoRq;
use dimse::service::event_report::NEventReportRq;
use dimse::{Command, Status};
use model::commitment::{FailureReason, ReceivedReport, Reference, Request};
use model::element::put;
use model::syntax::{self, Encoding};
use model::{AeTitle, PeerName, SopClassUid, SopInstanceUid, Tag, TransactionUid, Vr, limits, scan, sop};
use pipeline::CommitmentState;
use tokio::net::{TcpListener, TcpStream};
use ul::Event;
use ul::pdu::AssociateRq;

use super::peer::{EXPLICIT, IMPLICIT, Peer, store};
use super::{CT, MR, Server, config, image, instance_uid};
use crate::{Accept, Config};

pub(super) const COMMITMENT: &str = sop::STORAGE_COMMITMENT_PUSH_MODEL;

pub(super) fn action() -> NActionRq {
    NActionRq {
        message_id: 3,
        requested_sop_class_uid: SopClassUid::lenient(COMMITMENT),
        requested_sop_instance_uid: SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        action_type_id: Some(1),
    }
}

pub(super) fn request(transaction: &str, references: &[(&str, u32)]) -> Request {
    let reference = |(class, number): &(&str, u32)| Reference {
        sop_class: SopClassUid::lenient(class).unwrap(),
        sop_instance: SopInstanceUid::lenient(&instance_uid(*number)).unwrap(),
    };
    Request {
        transaction: TransactionUid::lenient(transaction).unwrap(),
        references: references.iter().map(reference).collect(),
    }
}

/// A server that has one image.
async fn with_image(config: Config) -> Server {
    let server = Server::with(config, 0).await;
    let mut peer = Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await;
    peer.send(1, store(CT, &instance_uid(1)), Some(&image(1, 10))).await;
    assert_eq!(peer.status().await, 0);
    peer.release().await;
    server
}

/// Asks on context 1, whose transfer syntax is Explicit VR Little Endian; the status.
async fn ask(peer: &mut Peer, request: &Request) -> u16 {
    peer.send(1, action(), Some(&request.to_data_set(Encoding::ExplicitLittle))).await;
    peer.status().await
}

/// The next message, which is a report.
async fn report(peer: &mut Peer, transfer_syntax: &str) -> (NEventReportRq, ReceivedReport) {
    let (command, data) = peer.message().await;
    let Command::NEventReportRq(request) = command else { panic!("{command:?}") };
    let header = scan::scan(syntax::form(transfer_syntax), &data).unwrap();
    assert_eq!(header.text(Tag(0x0008, 0x0054)).as_deref(), Some("GANTRY"));
    (request, ReceivedReport::read(&header).unwrap())
}

fn peer_at(listener: &TcpListener, title: &str) -> crate::Peer {
    crate::Peer {
        name: PeerName::new("modality"),
        ae_title: AeTitle::parse(title).unwrap(),
        address: listener.local_addr().unwrap().to_string(),
        from: Vec::new(),
        as_called: crate::scu::Terms::default(),
        as_caller: Default::default(),
    }
}

/// Waits until no report is owed any more.
async fn settled(server: &Server) {
    let delivered = r#"gantry_commitment_reports_total{outcome="delivered"} 1"#;
    eventually(async || server.counts(delivered) && server.pipeline.commitments(9).await.unwrap().is_empty())
        .await;
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes true");
}

#[tokio::test]
async fn the_report_goes_over_the_association_that_stays_open() {
    let server = with_image(config()).await;
    for (transfer_syntax, number) in [
        (IMPLICIT, 1),
        (EXPLICIT, 2),
        (syntax::EXPLICIT_VR_BIG_ENDIAN, 3),
        (syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, 4),
    ] {
        let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[transfer_syntax])]).await;
        let form = syntax::form(transfer_syntax);
        let asked = request(&format!("2.25.{number}"), &[(CT, 1), (MR, 1), (CT, 2)]);
        let data = crate::data_set::in_form(form, asked.to_data_set(form.encoding));
        peer.send(1, action(), Some(&data)).await;
        assert_eq!(peer.status().await, 0);
        let (event, report) = report(&mut peer, transfer_syntax).await;
        assert_eq!(event.event_type_id, Some(2));
        assert_eq!(event.affected_sop_class_uid, SopClassUid::lenient(COMMITMENT));
        let uid = |number| SopInstanceUid::lenient(&instance_uid(number)).unwrap();
        assert_eq!(report.transaction, asked.transaction);
        assert_eq!(report.committed, []);
        let failed = [
            (uid(1), FailureReason::CLASS_INSTANCE_CONFLICT),
            (uid(2), FailureReason::NO_SUCH_OBJECT_INSTANCE),
        ];
        let told: Vec<_> = report.failed.into_iter().collect();
        assert_eq!(told, failed, "an instance that is in both sequences has failed");
        peer.answer(event.answer(Status::SUCCESS.into())).await;
        peer.release().await;
    }
    eventually(async || server.pipeline.commitments(9).await.unwrap().is_empty()).await;
    assert!(server.counts(r#"gantry_commitment_requests_total{outcome="accepted"} 4"#));
    assert!(server.counts(r#"gantry_commitment_reports_total{outcome="delivered"} 4"#));
}

#[tokio::test]
async fn other_messages_go_on_before_and_after_the_report() {
    let server = with_image(config()).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT]), (CT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    assert_eq!(ask(&mut peer, &request("2.25.2", &[(CT, 2)])).await, 0);
    // What comes before the report is made counts in it.
    peer.send(3, store(CT, &instance_uid(2)), Some(&image(2, 10))).await;
    assert_eq!(peer.status().await, 0);
    for transaction in ["2.25.1", "2.25.2"] {
        let (event, report) = report(&mut peer, EXPLICIT).await;
        assert_eq!((event.event_type_id, report.transaction.as_str()), (Some(1), transaction));
        assert_eq!(report.committed.len(), 1);
        // An instance comes between a report and its answer.
        peer.send(3, store(CT, &instance_uid(3)), Some(&image(3, 10))).await;
        assert_eq!(peer.status().await, 0);
        peer.send(1, event.answer(Status::SUCCESS.into()), None).await;
    }
    peer.release().await;
    eventually(async || server.pipeline.commitments(9).await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn the_report_goes_over_an_association_of_our_own_when_the_peer_has_released() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = with_image(Config { peers: vec![peer_at(&listener, "PEER")], ..config() }).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    peer.release().await;
    let (stream, _) = listener.accept().await.unwrap();
    let (mut called, rq) = Peer::accept_with_roles(stream).await;
    let role = rq.roles.iter().find(|role| role.sop_class == COMMITMENT).unwrap();
    assert!(role.scp && !role.scu, "{role:?}");
    assert_eq!(rq.titles.calling().unwrap().as_str(), "GANTRY");
    assert_eq!(rq.titles.called().unwrap().as_str(), "PEER");
    let (event, report) = report(&mut called, EXPLICIT).await;
    assert_eq!((event.event_type_id, report.committed.len()), (Some(1), 1));
    called.answer(event.answer(Status::SUCCESS.into())).await;
    assert_eq!(called.event().await, Event::ReleaseRequested);
    settled(&server).await;
}

#[tokio::test]
async fn a_report_is_tried_again_until_the_peer_takes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = with_image(Config { peers: vec![peer_at(&listener, "PEER")], ..config() }).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    // It does not take the report here, closes the next connection, does not take the context on the third, and aborts the fourth.
    let (event, _) = report(&mut peer, EXPLICIT).await;
    peer.answer(event.answer(Status::PROCESSING_FAILURE.into())).await;
    drop(listener.accept().await.unwrap());
    let (stream, _) = listener.accept().await.unwrap();
    let mut refusing = Peer::accept(stream, &[COMMITMENT]).await;
    assert_eq!(refusing.event().await, Event::ReleaseRequested);
    drop(refusing);
    let (stream, _) = listener.accept().await.unwrap();
    let mut aborting = Peer::accept_silently(stream).await;
    drop(report(&mut aborting, EXPLICIT).await);
    drop(aborting);
    // A peer that has never heard of roles is reported to all the same.
    let (stream, _) = listener.accept().await.unwrap();
    let mut called = Peer::accept_silently(stream).await;
    let waiting = server.pipeline.commitments(9).await.unwrap().remove(0);
    assert_eq!((waiting.state, waiting.attempts, waiting.failed), (CommitmentState::Waiting, 4, 0));
    assert!(!waiting.status.is_empty());
    let (event, report) = report(&mut called, EXPLICIT).await;
    assert_eq!(report.committed.len(), 1);
    called.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    assert!(server.counts(r#"gantry_commitment_reports_total{outcome="retry"} 4"#));
    peer.release().await;
}

#[tokio::test]
async fn a_report_that_nobody_answers_goes_over_another_association() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let message_timeout = Duration::from_millis(300);
    let config = Config { peers: vec![peer_at(&listener, "PEER")], message_timeout, ..config() };
    let server = with_image(config).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    let (late, _) = report(&mut peer, EXPLICIT).await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut called = Peer::accept_silently(stream).await;
    let (event, _) = report(&mut called, EXPLICIT).await;
    called.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    // The answer that comes late ends nothing, and what is asked on goes over another association at once.
    peer.send(1, late.answer(Status::SUCCESS.into()), None).await;
    assert_eq!(ask(&mut peer, &request("2.25.2", &[(CT, 1)])).await, 0);
    let (stream, _) = listener.accept().await.unwrap();
    let mut called = Peer::accept_silently(stream).await;
    assert_eq!(report(&mut called, EXPLICIT).await.1.transaction.as_str(), "2.25.2");
    peer.release().await;
}

#[tokio::test]
async fn a_report_is_missed_within_a_message_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let message_timeout = Duration::from_secs(2);
    let config = Config { peers: vec![peer_at(&listener, "PEER")], message_timeout, ..config() };
    let server = with_image(config).await;
    let mut peer =
        Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT]), (sop::VERIFICATION, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    drop(report(&mut peer, EXPLICIT).await);
    // Half a message stands when the answer is due, and may stand for a while longer.
    tokio::time::sleep(message_timeout / 2).await;
    peer.association.send(3, true, &Command::from(CEchoRq { message_id: 9 }).to_bytes()).unwrap();
    let echo = peer.association.output().split();
    peer.write(&echo[..3]).await;
    let (stream, _) = listener.accept().await.unwrap();
    peer.write(&echo[3..]).await;
    assert_eq!(peer.status().await, 0, "the association goes on");
    let mut called = Peer::accept_silently(stream).await;
    let (event, _) = report(&mut called, EXPLICIT).await;
    called.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    peer.release().await;
}

#[tokio::test]
async fn reports_wait_for_an_index_that_cannot_be_written_and_go_out_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = with_image(Config { peers: vec![peer_at(&listener, "PEER")], ..config() }).await;
    let released = |times: u32| {
        let line = format!(r#"gantry_associations_total{{role="acceptor",end="released"}} {times}"#);
        let server = &server;
        async move { eventually(async || server.counts(&line)).await }
    };
    // It cannot be kept that its association is over.
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    server.refuse_commitments(true);
    peer.release().await;
    released(2).await;
    server.refuse_commitments(false);
    let (stream, _) = listener.accept().await.unwrap();
    let mut called = Peer::accept_silently(stream).await;
    let (event, _) = report(&mut called, EXPLICIT).await;
    // It cannot be kept that it was taken.
    server.refuse_commitments(true);
    called.answer(event.answer(Status::SUCCESS.into())).await;
    assert_eq!(called.event().await, Event::ReleaseRequested);
    drop(called);
    let again = tokio::time::timeout(limits::LANE_TICK * 2, listener.accept()).await;
    assert!(again.is_err(), "it is not sent again");
    server.refuse_commitments(false);
    settled(&server).await;
}

#[tokio::test]
async fn an_association_that_is_never_quiet_gets_its_report() {
    let server = with_image(config()).await;
    let mut peer =
        Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT]), (sop::VERIFICATION, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    let event = loop {
        peer.send(3, CEchoRq { message_id: 9 }, None).await;
        let Command::CEchoRsp(_) = peer.message().await.0 else { panic!("no answer") };
        let soon = tokio::time::timeout(limits::REPORT_DELAY / 4, peer.stream.readable()).await;
        if soon.is_ok() {
            break report(&mut peer, EXPLICIT).await.0;
        }
    };
    peer.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    peer.release().await;
}

#[tokio::test]
async fn on_an_association_that_is_never_quiet_a_peer_that_can_be_called_gets_answers_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = with_image(Config { peers: vec![peer_at(&listener, "PEER")], ..config() }).await;
    let mut peer =
        Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT]), (sop::VERIFICATION, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    let stream = loop {
        peer.send(3, CEchoRq { message_id: 9 }, None).await;
        let Command::CEchoRsp(_) = peer.message().await.0 else { panic!("not an answer") };
        let called = tokio::time::timeout(limits::REPORT_DELAY / 4, listener.accept()).await;
        if let Ok(called) = called {
            break called.unwrap().0;
        }
    };
    let mut called = Peer::accept_silently(stream).await;
    let (event, _) = report(&mut called, EXPLICIT).await;
    called.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    peer.release().await;
}

#[tokio::test]
async fn a_report_that_is_owed_for_too_long_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config { peers: vec![peer_at(&listener, "PEER")], ..config() };
    config.report_retry.give_up = Duration::ZERO;
    drop(listener);
    let server = with_image(config).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    peer.release().await;
    eventually(async || server.counts(r#"gantry_commitment_reports_total{outcome="gave_up"} 1"#)).await;
    eventually(async || server.pipeline.commitments(9).await.unwrap()[0].state == CommitmentState::GivenUp)
        .await;
    let given_up = server.pipeline.commitments(9).await.unwrap().remove(0);
    assert!(given_up.status.starts_with("gave up after 0 ms: cannot connect to"), "{}", given_up.status);
    assert!(given_up.status.ends_with("nothing listens there"), "{}", given_up.status);
}

#[tokio::test]
async fn without_a_peer_the_report_goes_over_its_own_association_or_waits_for_one() {
    let server = with_image(config()).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0);
    let (event, _) = report(&mut peer, EXPLICIT).await;
    peer.answer(event.answer(Status::SUCCESS.into())).await;
    settled(&server).await;
    assert_eq!(ask(&mut peer, &request("2.25.2", &[(CT, 1)])).await, 0);
    peer.release().await;
    eventually(async || server.pipeline.commitments(9).await.unwrap()[0].attempts > 0).await;
    let waiting = server.pipeline.commitments(9).await.unwrap().remove(0);
    let expected = "no [peer] has this AE title, and the association that it was asked on is over";
    assert_eq!((waiting.state, waiting.status.as_str()), (CommitmentState::Waiting, expected));
}

#[tokio::test]
async fn the_report_goes_to_the_peer_that_asked_or_else_to_one_of_its_title() {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let elsewhere = |mut peer: crate::Peer| {
        peer.name = PeerName::new("elsewhere");
        peer.address = peer.address.replace("127.0.0.1", "127.0.0.2");
        peer
    };
    let peers = vec![elsewhere(peer_at(&first, "PEER")), peer_at(&second, "PEER")];
    let config = Config { peers, accept: Accept::Known, ..config() };
    let find = |peer: Option<&str>, title: &str| {
        let (peer, title) = (peer.map(PeerName::new), AeTitle::parse(title).ok());
        crate::reporter::target(&config, peer.as_ref(), title.as_ref()).map(|peer| peer.name.to_string())
    };
    assert_eq!(find(Some("modality"), "PEER").as_deref(), Some("modality"));
    assert_eq!(find(None, "PEER").as_deref(), Some("elsewhere"));
    assert_eq!(find(Some("gone"), "PEER").as_deref(), Some("elsewhere"));
    assert_eq!(find(None, "OTHER"), None);
}

/// The status of each request that cannot be taken on, and the words that go with it.
#[tokio::test]
async fn what_cannot_be_taken_on_has_its_status() {
    let server = with_image(config()).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    let good = request("2.25.1", &[(CT, 1)]).to_data_set(Encoding::ExplicitLittle);
    let transaction_only = {
        let mut out = Vec::new();
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0008, 0x1195), Vr::UI, b"2.25.3");
        out
    };
    let references: Vec<(&str, u32)> = (0..=20_000).map(|n| (CT, n)).collect();
    let too_many = request("2.25.4", &references).to_data_set(Encoding::ExplicitLittle);
    let too_large = [good.clone(), vec![0; limits::COMMITMENT_BYTES]].concat();
    let class = |uid| NActionRq { requested_sop_class_uid: SopClassUid::lenient(uid), ..action() };
    let instance = |uid| NActionRq { requested_sop_instance_uid: SopInstanceUid::lenient(uid), ..action() };
    let mut refused = 0;
    for (request, data, status, words) in [
        (action(), &[][..], 0x0115, "Transaction UID is missing or too long"),
        (action(), &transaction_only, 0x0115, "Referenced SOP Sequence is missing or empty"),
        (action(), &too_many, 0x0213, "more than 20000 instances are referenced"),
        (action(), &too_large, 0x0213, "data set is too large"),
        (action(), &good[..good.len() - 1], 0x0110, "element (0008,1199) runs past the end of the data set"),
        (class(CT), &good, 0x0118, "SOP class is not that of the presentation context"),
        (instance("1.2.3"), &good, 0x0112, "the one instance is 1.2.840.10008.1.20.1.1"),
        (NActionRq { action_type_id: Some(2), ..action() }, &good, 0x0123, "the one Action Type ID is 1"),
    ] {
        peer.send(1, request, Some(data)).await;
        let outcome = peer.outcome().await;
        let said = outcome.error_comment.as_ref().map(dimse::ErrorComment::as_str);
        assert_eq!((outcome.status, said), (Status(status), Some(words)));
        refused += 1;
        assert!(server.counts(&format!("gantry_commitment_requests_total{{outcome=\"refused\"}} {refused}")));
    }
    peer.send(1, action(), Some(&good)).await;
    assert_eq!(peer.status().await, 0, "the association goes on");
    let (event, _) = report(&mut peer, EXPLICIT).await;
    peer.answer(event.answer(Status::SUCCESS.into())).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 2)])).await, 0x0115, "of another request");
    let bare = NActionRq {
        requested_sop_class_uid: None,
        requested_sop_instance_uid: None,
        action_type_id: None,
        ..action()
    };
    peer.send(1, bare, Some(&request("2.25.5", &[(CT, 1)]).to_data_set(Encoding::ExplicitLittle))).await;
    assert_eq!(peer.status().await, 0, "what is left out is taken to be right");
    peer.release().await;
}

#[tokio::test]
async fn nothing_is_taken_on_without_space() {
    let server = Server::with(config(), u64::MAX).await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    assert_eq!(ask(&mut peer, &request("2.25.1", &[(CT, 1)])).await, 0x0213);
    peer.release().await;
}

#[tokio::test]
async fn operations_of_other_services_are_refused_on_its_context_and_it_on_theirs() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT]), (CT, &[EXPLICIT])]).await;
    peer.send(1, store(CT, &instance_uid(1)), Some(&image(1, 10))).await;
    assert_eq!(peer.status().await, 0x0122);
    peer.send(3, action(), Some(&request("2.25.1", &[(CT, 1)]).to_data_set(Encoding::ExplicitLittle))).await;
    assert_eq!(peer.status().await, 0x0122);
    peer.release().await;
}

impl Peer {
    /// The called end of a connection, which takes every context and has never heard of roles.
    async fn accept_silently(stream: TcpStream) -> Self {
        Self::accept_so(stream, false).await.0
    }

    /// The same, which grants the roles that are asked for; with the request.
    async fn accept_with_roles(stream: TcpStream) -> (Self, Box<AssociateRq>) {
        Self::accept_so(stream, true).await
    }

    async fn accept_so(stream: TcpStream, grants_roles: bool) -> (Self, Box<AssociateRq>) {
        let mut peer = Self::on(stream, ul::Association::acceptor(Duration::from_secs(10)));
        let Event::AssociateRequested(rq) = peer.event().await else { panic!("no request") };
        let negotiated = ul::negotiate::negotiate(&rq, |_| Some(ul::negotiate::Service::Reports));
        let implementation = ul::pdu::Implementation::default();
        let roles = if grants_roles { negotiated.roles } else { Vec::new() };
        let ac = ul::pdu::AssociateAc::answer(&rq, negotiated.contexts, roles, 16_384, implementation);
        peer.association.accept(&ac).unwrap();
        peer.flush().await;
        (peer, rq)
    }
}
