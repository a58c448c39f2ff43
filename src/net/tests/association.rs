//! The association that is kept from one instance to the next, against peers that do what the test wants.

use std::time::{Duration, Instant};

use dimse::{Command, Outcome, Status};
use model::check::Crc64;
use model::{SopClassUid, TransferSyntaxUid};
use sha2::{Digest, Sha256};
use telemetry::Telemetry;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use ul::Event;
use ul::pdu::Abort;

use super::peer::{EXPLICIT, IMPLICIT, Peer};
use super::send::{OFFSET, file, settings, target};
use super::{CT, MR, Server, image};
use crate::scu::{Instance, MAX_KINDS, Settings, StoreAssociation, Target, Whole};
use crate::{End, Error, Wait};

type Kind = (SopClassUid, TransferSyntaxUid);

fn kind(class: &str, syntax: &str) -> Kind {
    (SopClassUid::lenient(class).unwrap(), TransferSyntaxUid::lenient(syntax).unwrap())
}

/// Serves one association, that does not take MR, as `script` says.
async fn acceptor<F>(script: impl FnOnce(Peer) -> F + Send + 'static) -> (Target, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let serving = TaskTracker::new().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(Peer::accept(stream, &[MR]).await).await;
    });
    (target, serving)
}

async fn open(target: &Target, telemetry: &Telemetry) -> StoreAssociation {
    let kinds = [kind(CT, EXPLICIT), kind(MR, IMPLICIT)];
    StoreAssociation::open(target, &settings(), telemetry, &kinds).await.unwrap()
}

async fn send(association: &mut StoreAssociation, instance: &Instance) -> Result<Outcome, Error> {
    association.send(instance, whole(instance)).await
}

/// As its file is now.
fn whole(instance: &Instance) -> Whole {
    let content = std::fs::read(&instance.path).unwrap_or_default();
    let data_set = content.get(OFFSET..).unwrap_or_default();
    let mut crc64 = Crc64::default();
    crc64.update(data_set);
    let (sha256, crc64) = (Sha256::digest(data_set).into(), Some(crc64.value()));
    Whole { file_bytes: content.len() as u64, sha256, crc64 }
}

fn ended(telemetry: &Telemetry, end: &str) -> bool {
    let text = telemetry.render();
    let closed = format!("gantry_associations_total{{role=\"requestor\",end=\"{end}\"}} 1");
    text.contains(&closed) && text.contains("gantry_associations_open 0")
}

/// Until the peer's last word has come.
async fn until_over(association: &mut StoreAssociation) {
    let started = Instant::now();
    while association.is_open().await {
        assert!(started.elapsed() < Duration::from_secs(20), "it never ends");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stores_instance_after_instance_and_releases() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::new();
    let mut association = open(&target(server.address), &telemetry).await;
    assert!(telemetry.render().contains("gantry_associations_open 1"));
    for number in 1..=5 {
        let data = image(number, 500_000 * number as usize);
        let sent = send(&mut association, &file(folder.path(), number, CT, EXPLICIT, &data)).await;
        assert_eq!(sent.unwrap(), Status::SUCCESS.into());
        assert!(association.is_open().await);
    }
    association.close().await;
    assert!(ended(&telemetry, "released"), "{}", telemetry.render());
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 5"#));
    server.shutdown.cancel();
    server.tracker.close();
    server.tracker.wait().await;
    assert!(server.counts(r#"gantry_associations_total{role="acceptor",end="released"} 1"#));
}

#[tokio::test]
async fn sends_the_bytes_of_the_file_and_at_most_one_nul() {
    let data: Vec<Vec<u8>> =
        [0, 1, 2, 262_142, 262_143, 524_287].iter().map(|size| vec![0xAB; *size]).collect();
    let expected = data.clone();
    let (target, serving) = acceptor(async move |mut peer: Peer| {
        for sent in expected {
            let (Command::CStoreRq(request), received) = peer.message().await else { panic!() };
            let padding = vec![0; sent.len() % 2];
            assert!(received == [&sent[..], &padding].concat(), "{}", sent.len());
            peer.answer(request.answer(Status::SUCCESS.into())).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut association = open(&target, &Telemetry::new()).await;
    for (number, data) in (1..).zip(&data) {
        assert!(send(&mut association, &file(folder.path(), number, CT, EXPLICIT, data)).await.is_ok());
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn knows_what_the_peer_takes_and_what_it_was_not_asked() {
    let (target, serving) = acceptor(async |mut peer: Peer| {
        let (Command::CStoreRq(request), _) = peer.message().await else { panic!() };
        peer.answer(request.answer(Status::SUCCESS.into())).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut association = open(&target, &Telemetry::new()).await;
    assert_eq!(association.serves(&kind(CT, EXPLICIT)), Some(Ok(())));
    assert_eq!(association.serves(&kind(MR, IMPLICIT)), Some(Err("SOP class not supported")));
    assert_eq!(association.serves(&kind(CT, IMPLICIT)), None);
    for (class, syntax, reason) in [
        (
            MR,
            IMPLICIT,
            "the peer takes no MR Image Storage in Implicit VR Little Endian: SOP class not supported",
        ),
        (CT, "1.2.3", "the peer takes no CT Image Storage in 1.2.3: not proposed"),
    ] {
        let refused = send(&mut association, &file(folder.path(), 1, class, syntax, &[1; 4])).await;
        assert_eq!(refused.unwrap_err().explain(), reason);
    }
    assert!(send(&mut association, &file(folder.path(), 2, CT, EXPLICIT, &[1; 4])).await.is_ok());
    serving.await.unwrap();
}

#[tokio::test]
async fn proposes_as_many_kinds_as_there_are_contexts() {
    let (target, serving) = acceptor(async |_| {}).await;
    let mut kinds: Vec<Kind> = (1..=MAX_KINDS).map(|n| kind(CT, &format!("1.2.3.{n}"))).collect();
    let telemetry = Telemetry::new();
    let association = StoreAssociation::open(&target, &settings(), &telemetry, &kinds).await.unwrap();
    assert!(kinds.iter().all(|kind| association.serves(kind) == Some(Ok(()))));
    serving.await.unwrap();
    // What is no UID is not even proposed; one more of the others there is no number for.
    kinds.push(kind(CT, "é"));
    let (target, _serving) = acceptor(async |_| {}).await;
    let association = StoreAssociation::open(&target, &settings(), &telemetry, &kinds).await.unwrap();
    assert!(matches!(association.serves(&kinds[MAX_KINDS]), Some(Err(_))));
    kinds.push(kind(CT, EXPLICIT));
    let refused = StoreAssociation::open(&target, &settings(), &telemetry, &kinds).await;
    assert!(matches!(refused.err(), Some(Error::Association(End::Refused(_)))));
}

#[tokio::test]
async fn every_answer_is_handed_on_and_the_association_goes_on() {
    let answers = [0x0000, 0xA700, 0xB007, 0xC123, 0x0122, 0x4321, 0xFF00];
    let (target, serving) = acceptor(async move |mut peer: Peer| {
        for status in answers {
            let (Command::CStoreRq(request), _) = peer.message().await else { panic!() };
            peer.answer(request.answer(Outcome::because(Status(status), "this is why"))).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &[1; 4]);
    let mut association = open(&target, &Telemetry::new()).await;
    for status in answers {
        let outcome = send(&mut association, &instance).await.unwrap();
        let comment = outcome.error_comment.as_ref().map(|comment| comment.as_str());
        assert_eq!((outcome.status.0, comment), (status, Some("this is why")));
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_ends_an_idle_association_is_noticed() {
    for (end, expected) in
        [("closed", Event::Closed), ("aborted", Event::Closed), ("released", Event::Released)]
    {
        let (target, serving) = acceptor(async move |mut peer: Peer| {
            let (Command::CStoreRq(request), _) = peer.message().await else { panic!() };
            peer.answer(request.answer(Status::SUCCESS.into())).await;
            match end {
                "aborted" => peer.association.abort(Abort::user(), Duration::ZERO),
                "released" => peer.association.release().unwrap(),
                _ => return,
            }
            peer.flush().await;
            assert_eq!(peer.event().await, expected);
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let instance = file(folder.path(), 1, CT, EXPLICIT, &[1; 4]);
        let telemetry = Telemetry::new();
        let mut association = open(&target, &telemetry).await;
        assert!(send(&mut association, &instance).await.is_ok());
        until_over(&mut association).await;
        assert_eq!(association.serves(&kind(CT, EXPLICIT)), None);
        assert!(matches!(send(&mut association, &instance).await, Err(Error::Lost(_))));
        association.close().await;
        serving.await.unwrap();
        assert!(ended(&telemetry, end), "{end}: {}", telemetry.render());
    }
}

#[tokio::test]
async fn an_association_that_is_lost_in_the_middle_is_over() {
    let (target, serving) = acceptor(async |mut peer: Peer| {
        // The command comes, and the beginning of the data set.
        let Event::Data(_) = peer.event().await else { panic!() };
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &vec![1; 40 << 20]);
    let telemetry = Telemetry::new();
    let mut association = open(&target, &telemetry).await;
    let lost = send(&mut association, &instance).await;
    assert!(matches!(lost, Err(Error::Lost(End::Lost(_) | End::Closed))), "{lost:?}");
    assert!(!association.is_open().await);
    serving.await.unwrap();
    assert!(ended(&telemetry, "closed"));
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_costs_no_association_before_it_begins() {
    let (target, serving) = acceptor(async |mut peer: Peer| {
        let (Command::CStoreRq(request), _) = peer.message().await else { panic!() };
        peer.answer(request.answer(Status::SUCCESS.into())).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &[1; 4]);
    let as_it_is = whole(&instance);
    let longer = Whole { file_bytes: as_it_is.file_bytes + 1, ..as_it_is };
    let other = Whole { crc64: Some(1), ..as_it_is };
    let older = Whole { sha256: [1; 32], crc64: None, ..as_it_is };
    let gone = Instance { path: folder.path().join("gone"), ..instance.clone() };
    let mut association = open(&target, &Telemetry::new()).await;
    for (instance, whole, reason) in [
        (&gone, as_it_is, "cannot read the file: No such file or directory (os error 2)"),
        (&instance, longer, "cannot read the file: it has 9 bytes instead of 10"),
        (&instance, other, "cannot read the file: it has changed on disk since it was received"),
        (&instance, older, "cannot read the file: it has changed on disk since it was received"),
        (
            &Instance { data_offset: 99, ..instance.clone() },
            as_it_is,
            "cannot read the file: unexpected end of file",
        ),
    ] {
        let failed = association.send(instance, whole).await.unwrap_err();
        assert!(matches!(failed, Error::File(_)));
        assert_eq!(failed.explain(), reason);
        assert!(association.is_open().await);
    }
    assert!(association.send(&instance, as_it_is).await.is_ok());
    serving.await.unwrap();
}

#[tokio::test]
async fn a_file_that_breaks_off_aborts_the_association() {
    /// More than all buffers between the two ends take.
    const BYTES: u64 = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &[]);
    let grown = std::fs::File::options().write(true).open(&instance.path).unwrap();
    grown.set_len(BYTES).unwrap();
    let (target, serving) = acceptor(async move |mut peer: Peer| {
        peer.stream.readable().await.unwrap();
        grown.set_len(1000).unwrap();
        let mut read = Vec::new();
        peer.stream.read_to_end(&mut read).await.unwrap();
        assert!((read.len() as u64) < BYTES);
    })
    .await;
    let telemetry = Telemetry::new();
    let mut association = open(&target, &telemetry).await;
    let failed = association.send(&instance, Whole { file_bytes: BYTES, sha256: [0; 32], crc64: None }).await;
    assert!(matches!(failed, Err(Error::File(_))), "{failed:?}");
    assert!(!association.is_open().await);
    serving.await.unwrap();
    assert!(ended(&telemetry, "aborted"));
}

#[tokio::test]
async fn of_a_file_that_has_changed_the_peer_gets_no_instance() {
    let (target, serving) = acceptor(async |mut peer: Peer| {
        let mut read = Vec::new();
        peer.stream.read_to_end(&mut read).await.unwrap();
        assert!(read.len() > 256 << 10, "it began to come");
        assert_eq!(read.windows(4).filter(|window| *window == [7; 4]).count(), 0, "its end did not");
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let content = [vec![1; 2 << 20], vec![7; 1000]].concat();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &content);
    let expected = Whole { crc64: Some(0), ..whole(&instance) };
    let mut association = open(&target, &Telemetry::new()).await;
    let failed = association.send(&instance, expected).await.unwrap_err();
    assert_eq!(failed.explain(), "cannot read the file: it has changed on disk since it was received");
    assert!(!association.is_open().await);
    serving.await.unwrap();
}

#[tokio::test]
async fn silence_is_waited_for_in_bounded_time() {
    let short = Duration::from_millis(100);
    let settings = Settings { message_timeout: short, artim_timeout: short, ..settings() };
    let folder = tempfile::tempdir().unwrap();
    let instance = file(folder.path(), 1, CT, EXPLICIT, &[1; 4]);
    let kinds = [kind(CT, EXPLICIT)];
    for is_sent in [true, false] {
        let (target, serving) = acceptor(async |peer: Peer| {
            std::future::pending::<()>().await;
            drop(peer);
        })
        .await;
        let telemetry = Telemetry::new();
        let mut association = StoreAssociation::open(&target, &settings, &telemetry, &kinds).await.unwrap();
        let started = Instant::now();
        if is_sent {
            let failed = send(&mut association, &instance).await;
            assert!(matches!(failed, Err(Error::Lost(End::TimedOut(Wait::Message)))), "{failed:?}");
        }
        association.close().await;
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(ended(&telemetry, "timeout"), "{}", telemetry.render());
        serving.abort();
    }
}

#[tokio::test]
async fn an_association_that_is_dropped_is_counted() {
    let (target, serving) =
        acceptor(async |mut peer: Peer| assert_eq!(peer.event().await, Event::Closed)).await;
    let telemetry = Telemetry::new();
    drop(open(&target, &telemetry).await);
    serving.await.unwrap();
    assert!(ended(&telemetry, "shutdown"));
}
