use std::sync::Arc;
use std::time::{Duration, Instant};

use dimse::OtherRq;
use dimse::service::echo::CEchoRq;
use dimse::service::move_::CMoveRq;
use dimse::service::store::CStoreRsp;
use dimse::{Command, Status};
use model::{AeTitle, PeerName, sop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ul::Event;
use ul::pdu::{Abort, AssociateAc, AssociateRj, ContextOutcome, Implementation};

use super::peer::{EXPLICIT, IMPLICIT, Peer, image_store, request, store};
use super::{CT, Server, config, image};
use crate::acceptor::Acceptor;
use crate::config::Peer as Known;
use crate::drive::Drive;
use crate::listener::Door;
use crate::lobby::Lobby;
use crate::scu::Terms;
use crate::{Accept, CallerTerms, Config};

const JPEG: &str = "1.2.840.10008.1.2.4.70";
const ECHO: (&str, &[&str]) = (sop::VERIFICATION, &[IMPLICIT]);

#[tokio::test]
async fn echoes_and_releases() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[ECHO]).await;
    for message_id in [1, 65_535] {
        peer.send(1, CEchoRq { message_id }, None).await;
        let (command, _) = peer.message().await;
        assert_eq!(command, CEchoRq { message_id }.answer(Status::SUCCESS.into()).into());
    }
    peer.release().await;
    server.shutdown.cancel();
    server.tracker.close();
    server.tracker.wait().await;
    assert!(server.counts(r#"gantry_associations_total{role="acceptor",end="released"} 1"#));
}

#[tokio::test]
async fn negotiates_by_the_table_of_services() {
    let server = Server::start().await;
    let proposals: &[(&str, &[&str])] = &[
        ECHO,
        (CT, &[IMPLICIT, EXPLICIT, JPEG]),
        (CT, &[JPEG, EXPLICIT]),
        (sop::STUDY_ROOT_FIND, &[JPEG]),
        ("1.2.840.10008.5.1.4.31", &[IMPLICIT]),
        ("1.3.12.2.1107.5.9.1", &[IMPLICIT]),
    ];
    let (_peer, event) = Peer::ask(server.address, request("PEER", "ANY", proposals)).await;
    let Event::Associated(ac) = event else { panic!("{event:?}") };
    let accepted = |syntax: &str| ContextOutcome::Accepted { transfer_syntax: syntax.to_owned() };
    let outcomes: Vec<ContextOutcome> = ac.contexts.into_iter().map(|context| context.outcome).collect();
    assert_eq!(
        outcomes,
        [
            accepted(IMPLICIT),
            accepted(EXPLICIT),
            accepted(JPEG),
            ContextOutcome::TransferSyntaxesNotSupported,
            ContextOutcome::AbstractSyntaxNotSupported,
            accepted(IMPLICIT),
        ]
    );
    assert_eq!(ac.max_pdu_bytes, 131_072);
}

#[tokio::test]
async fn refuses_as_the_policy_says() {
    let known = Known {
        name: PeerName::new("known"),
        ae_title: AeTitle::parse("KNOWN").unwrap(),
        address: "127.0.0.1:104".to_owned(),
        from: Vec::new(),
        as_caller: CallerTerms::default(),
        as_called: Terms::default(),
    };
    let config = Config {
        accept: Accept::Known,
        check_called_ae: true,
        max_associations: 1,
        peers: vec![known],
        ..config()
    };
    let server = Server::with(config, 0).await;
    let ask = async |calling, called| Peer::ask(server.address, request(calling, called, &[ECHO])).await.1;
    assert_eq!(ask("OTHER", "GANTRY").await, Event::Rejected(AssociateRj::CALLING_AE_TITLE));
    assert_eq!(ask("KNOWN", "OTHER").await, Event::Rejected(AssociateRj::CALLED_AE_TITLE));
    let mut odd = request("KNOWN", "GANTRY", &[ECHO]);
    odd.application_context = "1.2.3".to_owned();
    let (_, event) = Peer::ask(server.address, odd).await;
    assert_eq!(event, Event::Rejected(AssociateRj::APPLICATION_CONTEXT));
    let mut odd = request("KNOWN", "GANTRY", &[ECHO]);
    odd.protocol_version = 2;
    let (_, event) = Peer::ask(server.address, odd).await;
    assert_eq!(event, Event::Rejected(AssociateRj::PROTOCOL_VERSION));

    let (first, event) = Peer::ask(server.address, request("KNOWN", "GANTRY", &[ECHO])).await;
    assert!(matches!(event, Event::Associated(_)), "{event:?}");
    assert_eq!(ask("KNOWN", "GANTRY").await, Event::Rejected(AssociateRj::LOCAL_LIMIT));
    first.release().await;
    let (_, event) = Peer::ask(server.address, request("KNOWN", "GANTRY", &[ECHO])).await;
    assert!(matches!(event, Event::Associated(_)), "a released association makes room: {event:?}");
    for reason in
        ["calling_ae_title", "called_ae_title", "application_context", "protocol_version", "local_limit"]
    {
        let line = format!("gantry_associations_rejected_total{{reason=\"{reason}\"}} 1");
        assert!(server.counts(&line), "{line}");
    }
}

#[tokio::test]
async fn a_caller_is_identified_whoever_may_call() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let known = Known {
        name: PeerName::new("ct1"),
        ae_title: AeTitle::parse("CT").unwrap(),
        address: "127.0.0.1:104".to_owned(),
        from: Vec::new(),
        as_caller: CallerTerms::default(),
        as_called: Terms::default(),
    };
    let config = Config { accept: Accept::Any, peers: vec![known], ..config() };
    let acceptor = Acceptor::new(config, server.pipeline.clone(), server.telemetry.clone());
    for (calling, name) in [("CT", Some("ct1")), ("OTHER", None)] {
        let accepting = async {
            let (stream, from) = listener.accept().await.unwrap();
            let timeout = Duration::from_secs(10);
            let mut drive = Drive::new(stream, ul::Association::acceptor(timeout), timeout);
            acceptor.accept(&mut drive, from.ip()).await.unwrap().caller
        };
        let (caller, _) = tokio::join!(accepting, Peer::ask(address, request(calling, "ARCHIVE", &[ECHO])));
        assert_eq!(caller.calling, AeTitle::parse(calling).ok());
        assert_eq!(caller.called, AeTitle::parse("ARCHIVE").ok());
        assert_eq!(caller.peer, name.map(PeerName::new));
        assert_eq!(caller.from, address.ip());
    }
}

#[tokio::test]
async fn answers_what_a_context_has_no_service_for() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[ECHO, (CT, &[EXPLICIT])]).await;
    let data = image(1, 100);
    peer.send(1, store(CT, "1.2.3"), Some(&data)).await;
    assert_eq!(peer.status().await, 0x0122);
    peer.send(3, CEchoRq { message_id: 1 }, None).await;
    assert_eq!(peer.status().await, 0x0122);
    let unknown = OtherRq { command_field: 0x0140, message_id: 9, affected_sop_class_uid: None };
    peer.send(3, Command::OtherRq(unknown), None).await;
    assert_eq!(peer.status().await, 0x0211);
    let retrieve = CMoveRq { message_id: 10, affected_sop_class_uid: None, destination: None };
    peer.send(3, retrieve, Some(&data)).await;
    assert_eq!(peer.status().await, 0x0122);
    let late = dimse::service::find::CCancelRq { message_id_being_responded_to: 3 };
    peer.send(1, late, None).await;
    peer.send(1, CEchoRq { message_id: 2 }, None).await;
    assert_eq!(peer.status().await, 0x0000, "a late C-CANCEL is not answered");
}

#[tokio::test]
async fn aborts_what_cannot_be_answered() {
    let server = Server::start().await;
    let provider = |reason| Event::Aborted(Abort { source: 2, reason });
    let user = || Event::Aborted(Abort::user());
    let echo = Command::from(CEchoRq { message_id: 1 }).to_bytes();
    let framed = |id, is_command, is_last, data: &[u8]| {
        [&ul::pdata::header(id, is_command, is_last, u32::try_from(data.len()).unwrap()), data].concat()
    };
    let response = Command::from(CStoreRsp {
        message_id_being_responded_to: 1,
        affected_sop_class_uid: None,
        affected_sop_instance_uid: None,
        outcome: Status::SUCCESS.into(),
    });
    for (what, bytes, expected) in [
        ("data without a command", framed(1, false, true, b"data"), user()),
        (
            "data inside a command",
            [framed(1, true, false, &echo), framed(1, false, true, b"")].concat(),
            user(),
        ),
        ("no command set", framed(1, true, true, b"\x01"), user()),
        ("a response", framed(1, true, true, &response.to_bytes()), user()),
        ("a context that was not accepted", framed(7, true, true, &echo), provider(6)),
        ("an unknown PDU", b"\x09\0\0\0\0\0".to_vec(), provider(1)),
        ("a PDU over the limit", b"\x04\0\0\x02\0\x01".to_vec(), provider(6)),
        ("a second request", request_pdu(), provider(2)),
    ] {
        let mut peer = Peer::associate(server.address, &[ECHO]).await;
        peer.write(&bytes).await;
        assert_eq!(peer.event().await, expected, "{what}");
    }
}

fn request_pdu() -> Vec<u8> {
    let association = ul::Association::requestor(request("PEER", "GANTRY", &[ECHO]), Duration::from_secs(1));
    let mut association = association.unwrap();
    association.connected().unwrap();
    association.output().to_vec()
}

#[tokio::test]
async fn what_is_not_dicom_is_aborted_and_closed() {
    let config = Config { artim_timeout: Duration::from_millis(100), ..config() };
    let server = Server::with(config, 0).await;
    let mut http = TcpStream::connect(server.address).await.unwrap();
    http.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    http.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&7), "A-ABORT");
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    answer.clear();
    silent.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "ARTIM closes without a word");
}

#[tokio::test]
async fn silence_between_and_inside_messages_is_aborted() {
    let short = Duration::from_millis(50);
    for (config, sent) in [
        (Config { idle_timeout: short, ..config() }, &b""[..]),
        (Config { message_timeout: short, ..config() }, b"\x04"),
        (Config { message_timeout: short, ..config() }, &ul::pdata::header(1, true, true, 10)),
        (Config { message_timeout: short, ..config() }, &image_store(CT, 1_000)[..200]),
    ] {
        let server = Server::with(config, 0).await;
        let mut peer = Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await;
        peer.write(sent).await;
        assert_eq!(peer.event().await, Event::Aborted(Abort { source: 2, reason: 0 }));
        assert!(server.counts(r#"gantry_associations_total{role="acceptor",end="timeout"} 1"#));
    }
}

#[tokio::test]
async fn shutdown_aborts_the_idle_and_lets_the_busy_finish() {
    let server = Server::start().await;
    let mut idle = Peer::associate(server.address, &[ECHO]).await;
    let mut busy = Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await;
    let mut unassociated = TcpStream::connect(server.address).await.unwrap();
    let message = image_store(CT, 100_000);
    let (first, rest) = message.split_at(50_000);
    busy.write(first).await;
    // What is answered on another association came later than that.
    idle.send(1, CEchoRq { message_id: 1 }, None).await;
    assert_eq!(idle.status().await, 0);
    server.shutdown.cancel();
    assert_eq!(idle.event().await, Event::Aborted(Abort { source: 2, reason: 0 }));
    drop(idle);
    assert_eq!(unassociated.read(&mut [0; 10]).await.unwrap(), 0);
    busy.write(rest).await;
    assert_eq!(busy.status().await, 0x0000);
    assert_eq!(busy.event().await, Event::Aborted(Abort { source: 2, reason: 0 }));
    drop(busy);
    server.tracker.close();
    server.tracker.wait().await;
}

/// A peer that writes a message in pieces with Nagle's algorithm on gets the second piece out when the first is acknowledged.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn pieces_of_a_message_are_acknowledged_at_once() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[ECHO]).await;
    let echo = Command::from(CEchoRq { message_id: 1 }).to_bytes();
    let header = ul::pdata::header(1, true, true, u32::try_from(echo.len()).unwrap());
    let started = Instant::now();
    for _ in 0..ROUNDS {
        peer.write(&header).await;
        peer.write(&echo).await;
        assert_eq!(peer.status().await, 0);
    }
    // A delayed acknowledgement takes 40 ms.
    assert!(started.elapsed() < ROUNDS * Duration::from_millis(20), "{:?}", started.elapsed());
}

#[cfg(target_os = "linux")]
const ROUNDS: u32 = 50;

#[tokio::test]
async fn a_panic_aborts_its_association_and_is_counted() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pipeline, telemetry) = (server.pipeline.clone(), server.telemetry.clone());
    let serving = TaskTracker::new().spawn(async move {
        let acceptor = Acceptor::new(config(), pipeline, telemetry);
        let (stream, _) = listener.accept().await.unwrap();
        let timeout = Duration::from_secs(10);
        let mut drive = Drive::new(stream, ul::Association::acceptor(timeout), timeout);
        let rq = drive.requested().await.unwrap();
        let ac = AssociateAc::answer(&rq, Vec::new(), Vec::new(), 0, Implementation::default());
        drive.accept(&ac).await.unwrap();
        let end = acceptor.guard::<()>(async { panic!("this is the test's") }).await.unwrap_err();
        drive.close(&end, std::future::pending()).await;
    });
    let mut peer = Peer::associate(address, &[ECHO]).await;
    assert_eq!(peer.event().await, Event::Aborted(Abort { source: 2, reason: 0 }));
    drop(peer);
    serving.await.unwrap();
    assert!(server.counts("gantry_panics_total 1"));
}

/// Neither the peer's close nor ARTIM is waited for where too many do not close.
#[tokio::test]
async fn connections_that_are_never_closed_make_way() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config { artim_timeout: Duration::from_secs(3600), max_associations: 1, ..config() };
    let acceptor = Arc::new(Acceptor::new(config, server.pipeline.clone(), server.telemetry.clone()));
    let tracker = TaskTracker::new();
    let serving = tracker.clone();
    let accepting = TaskTracker::new().spawn(async move {
        let lobby = Lobby::new(2);
        while let Ok((stream, from)) = listener.accept().await {
            let (acceptor, shutdown) = (Arc::clone(&acceptor), CancellationToken::new());
            let place = lobby.enter(&shutdown);
            serving.spawn(async move { acceptor.serve(stream, Door::Plain, from, place, shutdown).await });
        }
    });
    let mut released = Vec::new();
    for _ in 0..5 {
        let mut peer = Peer::associate(address, &[ECHO]).await;
        peer.association.release().unwrap();
        peer.flush().await;
        assert_eq!(peer.event().await, Event::Released, "before anything is closed");
        released.push(peer);
    }
    for peer in &mut released[..3] {
        assert_eq!(peer.event().await, Event::Closed);
    }
    assert_eq!(tracker.len(), 2);
    // A living association needs no place.
    let mut living = Peer::associate(address, &[ECHO]).await;
    let _silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    for peer in &mut released[3..] {
        assert_eq!(peer.event().await, Event::Closed);
    }
    living.send(1, CEchoRq { message_id: 1 }, None).await;
    assert_eq!(living.status().await, 0);
    accepting.abort();
}

#[tokio::test]
async fn a_peer_that_aborts_behind_its_release_is_not_kept_waiting() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[ECHO]).await;
    let (release, abort) = ([5, 0, 0, 0, 0, 4, 0, 0, 0, 0], [7, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    let started = Instant::now();
    peer.write(&release).await;
    let mut answer = [0; 10];
    peer.stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[0], 6);
    peer.write(&abort).await;
    assert_eq!(peer.stream.read(&mut answer).await.unwrap_or(0), 0);
    assert!(started.elapsed() < config().artim_timeout / 2);
}
