use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dimse::{Command, Status};
use model::{AeTitle, SopClassUid, SopInstanceUid, TransferSyntaxUid};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use ul::Event;
use ul::pdu::AssociateRj;

use super::peer::{EXPLICIT, IMPLICIT, Peer};
use super::{CT, MR, Server, config, image, instance_uid};
use crate::scu::{Instance, Outcome, Settings, Target, echo, send_all};
use crate::{Config, End, Error};

pub(super) const OFFSET: usize = 5;

pub(crate) fn settings() -> Settings {
    Settings {
        message_timeout: Duration::from_secs(5),
        ..Settings::new(&config(), AeTitle::parse("SENDER").unwrap())
    }
}

pub(crate) fn target(address: std::net::SocketAddr) -> Target {
    Target::plain(AeTitle::parse("GANTRY").unwrap(), address.to_string())
}

/// A file with a few bytes before the data set.
pub(super) fn file(folder: &Path, number: u32, class: &str, syntax: &str, data: &[u8]) -> Instance {
    let path = folder.join(number.to_string());
    std::fs::write(&path, [&[0xFF; OFFSET][..], data].concat()).unwrap();
    Instance {
        path,
        data_offset: OFFSET as u64,
        sop_class: SopClassUid::lenient(class).unwrap(),
        sop_instance: SopInstanceUid::lenient(&instance_uid(number)).unwrap(),
        transfer_syntax: TransferSyntaxUid::lenient(syntax).unwrap(),
    }
}

/// Sends and returns what was reported, by index.
async fn send(target: &Target, instances: Vec<Instance>) -> Vec<Result<Outcome, Arc<Error>>> {
    send_over(NonZeroUsize::MIN, target, instances).await
}

async fn send_over(
    lanes: NonZeroUsize,
    target: &Target,
    instances: Vec<Instance>,
) -> Vec<Result<Outcome, Arc<Error>>> {
    let count = instances.len();
    let mut reports = Vec::new();
    let report = |index, result| reports.push((index, result));
    send_all(target, &settings(), instances, lanes, report).await;
    reports.sort_by_key(|(index, _)| *index);
    assert_eq!(reports.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
    reports.into_iter().map(|(_, result)| result).collect()
}

#[tokio::test]
async fn echoes() {
    let server = Server::start().await;
    assert_eq!(echo(&target(server.address), &settings()).await.unwrap(), Status::SUCCESS.into());
    server.shutdown.cancel();
    server.tracker.close();
    server.tracker.wait().await;
    let refused = echo(&target(server.address), &settings()).await;
    assert!(matches!(refused, Err(Error::Connect { .. })), "{refused:?}");
}

#[tokio::test]
async fn sends_files_and_reports_each() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let gone = Instance { path: PathBuf::from("/nonexistent"), ..file(folder.path(), 9, CT, EXPLICIT, b"") };
    let instances = vec![
        file(folder.path(), 1, CT, EXPLICIT, &image(1, 10)),
        file(folder.path(), 2, CT, EXPLICIT, &image(2, 1_300_000)),
        gone,
        file(folder.path(), 3, CT, EXPLICIT, b"no data set"),
        file(folder.path(), 4, "1.2.840.10008.5.1.4.31", IMPLICIT, b""),
        file(folder.path(), 5, CT, EXPLICIT, &image(5, 262_143)),
    ];
    let reports = send(&target(server.address), instances).await;
    let statuses: Vec<Option<u16>> =
        reports.iter().map(|report| report.as_ref().ok().map(|outcome| outcome.status.0)).collect();
    assert_eq!(statuses, [Some(0), Some(0), None, Some(0xC000), None, Some(0)]);
    assert!(matches!(**reports[2].as_ref().unwrap_err(), Error::File(_)));
    let error = reports[4].as_ref().unwrap_err().to_string();
    assert!(error.contains("SOP class not supported"), "{error}");
}

/// What a small SCP received: the data sets, in order.
type Inbox = Arc<Mutex<Vec<Vec<u8>>>>;

/// Takes one connection after the other, each with `lives` answers before it is closed without a word.
async fn scp(lives: &'static [usize]) -> (Target, Inbox) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let inbox = Inbox::default();
    let received = Arc::clone(&inbox);
    TaskTracker::new().spawn(async move {
        for answers in lives {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, *answers, &received).await;
        }
    });
    (target, inbox)
}

async fn serve(stream: TcpStream, answers: usize, inbox: &Inbox) {
    let mut peer = Peer::accept(stream, &[MR]).await;
    for _ in 0..answers {
        let (command, data) = peer.message().await;
        let Command::CStoreRq(request) = command else { panic!("{command:?}") };
        inbox.lock().unwrap().push(data);
        peer.answer(request.answer(Status::SUCCESS.into())).await;
    }
    if answers == usize::MAX {
        assert_eq!(peer.event().await, Event::ReleaseRequested);
    }
    peer.message().await;
}

#[tokio::test]
async fn an_odd_data_set_gets_one_nul() {
    let (target, inbox) = scp(&[3]).await;
    let folder = tempfile::tempdir().unwrap();
    let sizes = [1, 262_143, 524_287];
    let data: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0xAB; *size]).collect();
    let instances = (1..).zip(&data).map(|(number, data)| file(folder.path(), number, CT, EXPLICIT, data));
    let reports = send(&target, instances.collect()).await;
    assert!(reports.iter().all(Result::is_ok), "{reports:?}");
    for (received, sent) in inbox.lock().unwrap().iter().zip(&data) {
        assert!(*received == [&sent[..], &[0]].concat(), "{}", sent.len());
    }
}

#[tokio::test]
async fn a_lost_association_is_made_anew_once_for_an_instance() {
    // Lost at the third instance, which goes out again; lost again at once: it fails and the fourth is sent.
    let (target, inbox) = scp(&[2, 0, 1]).await;
    let folder = tempfile::tempdir().unwrap();
    let instances: Vec<Instance> =
        (1..=4).map(|number| file(folder.path(), number, CT, EXPLICIT, &[number as u8; 4])).collect();
    let reports = send(&target, instances).await;
    let lost = |report: &Result<Outcome, Arc<Error>>| report.as_ref().err().map(|error| error.to_string());
    let reports: Vec<Option<String>> = reports.iter().map(lost).collect();
    assert_eq!(reports, [None, None, Some("association lost".to_owned()), None]);
    assert_eq!(*inbox.lock().unwrap(), [[1; 4], [2; 4], [4; 4]]);
}

#[tokio::test]
async fn without_an_association_everything_fails_with_the_reason() {
    let (target, _) = scp(&[1]).await;
    let folder = tempfile::tempdir().unwrap();
    let instances = (1..=3).map(|number| file(folder.path(), number, CT, EXPLICIT, &[1; 4]));
    let reports = send(&target, instances.collect()).await;
    assert!(reports[0].is_ok());
    for report in &reports[1..] {
        assert!(matches!(**report.as_ref().unwrap_err(), Error::Connect { .. }), "{report:?}");
    }
}

#[tokio::test]
async fn what_a_full_peer_rejects_the_other_associations_send() {
    let server = Server::with(Config { max_associations: 3, ..config() }, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let instances: Vec<Instance> =
        (1..=60).map(|number| file(folder.path(), number, CT, EXPLICIT, &image(number, 10))).collect();
    let lanes = NonZeroUsize::new(12).unwrap();
    let reports = send_over(lanes, &target(server.address), instances.clone()).await;
    assert!(reports.iter().all(|report| report.as_ref().is_ok_and(|it| it.status == Status::SUCCESS)));
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 60"#));

    let mut full = Vec::new();
    for _ in 0..3 {
        full.push(Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await);
    }
    let reports = send_over(lanes, &target(server.address), instances).await;
    for report in reports {
        let error = report.unwrap_err();
        assert!(matches!(*error, Error::Association(End::Rejected(AssociateRj::LOCAL_LIMIT))), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_dicom_port_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let other = TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example ready\r\n").await.unwrap();
        // It never closes.
        std::future::pending::<()>().await;
    });
    let started = Instant::now();
    let failed = echo(&target, &settings()).await;
    assert!(matches!(failed, Err(Error::Association(End::Violation(_)))), "{failed:?}");
    assert!(started.elapsed() < settings().artim_timeout / 2, "ARTIM is not waited for");
    other.abort();
}

#[tokio::test]
async fn an_answer_counts_even_when_the_release_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    TaskTracker::new().spawn(async move {
        let mut peer = Peer::accept(listener.accept().await.unwrap().0, &[]).await;
        let (Command::CEchoRq(request), _) = peer.message().await else { panic!() };
        peer.answer(request.answer(Status::SUCCESS.into())).await;
    });
    assert_eq!(echo(&target, &settings()).await.unwrap(), Status::SUCCESS.into());
}

#[tokio::test]
async fn a_kind_that_is_not_taken_costs_nothing_else() {
    let (target, inbox) = scp(&[1]).await;
    let folder = tempfile::tempdir().unwrap();
    let instances =
        vec![file(folder.path(), 1, MR, EXPLICIT, &[1; 4]), file(folder.path(), 2, CT, EXPLICIT, &[2; 4])];
    let reports = send(&target, instances).await;
    assert!(matches!(**reports[0].as_ref().unwrap_err(), Error::NotAccepted { .. }));
    assert!(reports[1].is_ok());
    assert_eq!(*inbox.lock().unwrap(), [[2; 4]]);
}

/// As the acceptor, the requestor acknowledges at once, for peers that write a response in two pieces with Nagle's algorithm on.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn pieces_of_a_response_are_acknowledged_at_once() {
    const COUNT: u32 = 50;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let peer = TaskTracker::new().spawn(async move {
        let mut peer = Peer::accept(listener.accept().await.unwrap().0, &[]).await;
        for _ in 0..COUNT {
            let (Command::CStoreRq(request), _) = peer.message().await else { panic!() };
            let response = Command::from(request.answer(Status::SUCCESS.into())).to_bytes();
            let header = ul::pdata::header(1, true, true, u32::try_from(response.len()).unwrap());
            peer.write(&header).await;
            peer.write(&response).await;
        }
        assert_eq!(peer.event().await, Event::ReleaseRequested);
        peer.association.release_response(Duration::ZERO).unwrap();
        peer.flush().await;
    });
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &[1; 4]);
    let started = Instant::now();
    let reports = send(&target, vec![instance; COUNT as usize]).await;
    assert!(reports.iter().all(Result::is_ok));
    // A delayed acknowledgement takes 40 ms.
    assert!(started.elapsed() < COUNT * Duration::from_millis(20), "{:?}", started.elapsed());
    peer.await.unwrap();
}
