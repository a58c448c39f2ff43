//! The couriers of a peer, against peers that do what the test wants.

mod memory;
mod scp;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dimse::Status;
use model::{
    AeTitle, InstanceIds, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
};
use pipeline::Pipeline;
use sha2::{Digest, Sha256};
use telemetry::Telemetry;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::*;
use scp::{Behaviour, Beyond, Scp};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const EXPLICIT: &str = model::syntax::EXPLICIT_VR_LITTLE_ENDIAN;

type Kind = (SopClassUid, TransferSyntaxUid);

/// What waits in a lane that does not exist.
struct Line(Vec<Kind>);

impl Waiting for Line {
    fn kinds(&self) -> Vec<Kind> {
        self.0.clone()
    }
}

static NOTHING: Line = Line(Vec::new());

fn kind(class: &str) -> Kind {
    (SopClassUid::lenient(class).unwrap(), TransferSyntaxUid::lenient(EXPLICIT).unwrap())
}

#[test]
fn what_cannot_be_transcoded_now_is_tried_again() {
    let refusal = || Outcome::Refused { reason: "not taken".to_owned() };
    let busy = NotTranscoded::Failed(pipeline::Error::NoTurn("no turn"));
    let expected = Outcome::Retry { reason: "cannot transcode now: no turn".to_owned(), after: None };
    assert_eq!(not_transcoded(refusal(), busy), expected);
    let never = NotTranscoded::Cannot("no codec".to_owned());
    let expected = Outcome::Refused { reason: "not taken; not transcoded: no codec".to_owned() };
    assert_eq!(not_transcoded(refusal(), never), expected);
}

/// Instances in files of their own.
struct Shelf(tempfile::TempDir);

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, number: u32, class: &str) -> StoredInstance {
        let path = self.0.path().join(number.to_string());
        std::fs::write(&path, content(number)).unwrap();
        StoredInstance {
            ids: InstanceIds {
                study: StudyInstanceUid::lenient("1.2.3").unwrap(),
                series: SeriesInstanceUid::lenient("1.2.3.1").unwrap(),
                sop_class: SopClassUid::lenient(class).unwrap(),
                sop_instance: SopInstanceUid::lenient(&uid(number)).unwrap(),
            },
            transfer_syntax: TransferSyntaxUid::lenient(EXPLICIT).unwrap(),
            path,
            data_offset: DATA_OFFSET as u64,
            length: 1000,
            sha256: hash(number),
            crc64: None,
            number_of_frames: None,
        }
    }
}

const DATA_OFFSET: usize = 300;

fn content(number: u32) -> [u8; 1000] {
    [number as u8; 1000]
}

fn hash(number: u32) -> [u8; 32] {
    Sha256::digest(&content(number)[DATA_OFFSET..]).into()
}

fn uid(number: u32) -> String {
    format!("1.2.3.1.{number}")
}

fn settings(message_timeout: Duration) -> Settings {
    Settings {
        calling: AeTitle::parse("GANTRY").unwrap(),
        max_pdu_bytes: 131_072,
        connect_timeout: Duration::from_secs(5),
        message_timeout,
        artim_timeout: Duration::from_secs(5),
    }
}

fn destination(target: &Target, associations: usize) -> Dicom {
    let associations = NonZeroUsize::new(associations).unwrap();
    let name = DestinationName::new("pacs");
    let settings = settings(Duration::from_secs(10));
    Dicom::new(name, target.clone(), settings, associations, transcoder(), Telemetry::new())
}

fn transcoder() -> Transcoder {
    pipeline().transcoder().clone()
}

/// That of an archive with nothing in it.
fn pipeline() -> &'static Pipeline {
    static HOME: LazyLock<(tempfile::TempDir, Pipeline)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let config = archive::Config { data_dir: folder.path().to_owned(), min_free_bytes: 0 };
        let archive = archive::Archive::open(config, Telemetry::new()).unwrap();
        (folder, Pipeline::new(archive, Telemetry::new()))
    });
    &HOME.1
}

impl Dicom {
    fn store_courier(&self) -> StoreCourier {
        StoreCourier {
            pool: Arc::clone(&self.pool),
            transcoder: self.transcoder.clone(),
            awake: None,
            is_verified: false,
        }
    }
}

fn success(number: u32) -> Outcome {
    Outcome::Delivered { answer: "0000H success".to_owned(), sent: hash(number) }
}

fn is_retried(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { after: None, .. })
}

#[tokio::test]
async fn one_association_lasts_until_all_couriers_rest() {
    let scp = Scp::start(Behaviour::default()).await;
    let mut target = scp.target.clone();
    target.terms.ahead = 4;
    let (shelf, pacs) = (Shelf::new(), destination(&target, 2));
    let mut couriers = [pacs.store_courier(), pacs.store_courier()];
    for number in 1..=6 {
        let courier = &mut couriers[number as usize % 2];
        assert_eq!(courier.send(&shelf.put(number, CT), &NOTHING).await, success(number));
    }
    // In the transfer syntax in which it is kept, and in the one into which it could be transcoded.
    assert_eq!(scp.notes().proposals, [[CT, CT]]);
    let [first, second] = &mut couriers;
    first.rest().await;
    assert_eq!(second.send(&shelf.put(7, CT), &NOTHING).await, success(7));
    assert_eq!(scp.notes().proposals.len(), 1, "one courier is enough to keep it");
    second.rest().await;
    scp.eventually(|notes| notes.released == 1).await;
    assert_eq!(first.send(&shelf.put(8, CT), &NOTHING).await, success(8));
    let expected: Vec<_> = (1..=8).map(|number| (if number < 8 { 1 } else { 2 }, uid(number))).collect();
    assert_eq!(scp.notes().received, expected);
    assert!(!scp.notes().was_asked_for_operations, "one after the other is sent");
}

#[tokio::test]
async fn couriers_send_at_once() {
    let scp = Scp::start(Behaviour::default()).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 3));
    let mut couriers = [pacs.store_courier(), pacs.store_courier(), pacs.store_courier()];
    let [a, b, c] = &mut couriers;
    let (one, two, three) = (shelf.put(1, CT), shelf.put(2, CT), shelf.put(3, CT));
    let outcomes = tokio::join!(a.send(&one, &NOTHING), b.send(&two, &NOTHING), c.send(&three, &NOTHING));
    assert_eq!(outcomes, (success(1), success(2), success(3)));
    assert_eq!(scp.notes().most_open, 3);
    a.rest().await;
    scp.eventually(|notes| notes.released == 1).await;
    drop(b.awake.take());
    c.rest().await;
    scp.eventually(|notes| notes.released == 3).await;
}

#[tokio::test]
async fn an_association_is_made_anew_for_a_kind_that_came_later() {
    let scp = Scp::start(Behaviour::default()).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
    let mut courier = pacs.store_courier();
    for (number, class) in [(1, CT), (2, MR), (3, CT), (4, MR)] {
        assert_eq!(courier.send(&shelf.put(number, class), &NOTHING).await, success(number));
    }
    // What was sent before may come again.
    assert_eq!(scp.notes().proposals, [&[CT, CT][..], &[MR, MR, CT, CT]]);
    scp.eventually(|notes| notes.released == 1).await;
}

#[tokio::test]
async fn all_kinds_that_wait_are_proposed_and_the_next_one_first() {
    let scp = Scp::start(Behaviour::default()).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
    let mut courier = pacs.store_courier();
    let class = |number: u32| format!("1.2.840.10008.5.1.4.1.1.{number}");
    let line = Line((1..=300).map(|number| kind(&class(number))).collect());
    for number in [200, 1, 126, 200, 127, 1] {
        assert_eq!(courier.send(&shelf.put(number, &class(number)), &line).await, success(number));
    }
    let expected: Vec<String> = [200, 200].into_iter().chain(1..=126).map(class).collect();
    let later: Vec<String> = [127, 127].into_iter().chain(1..=126).map(class).collect();
    assert_eq!(scp.notes().proposals, [expected, later]);
}

#[tokio::test]
async fn a_kind_that_the_peer_does_not_take_is_refused_and_asked_for_again_later() {
    let scp = Scp::start(Behaviour { refused: &[MR], ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
    let mut courier = pacs.store_courier();
    let words = "the peer takes no MR Image Storage in Explicit VR Little Endian: SOP class not supported";
    let refused = Outcome::Refused { reason: words.to_owned() };
    let line = Line(vec![kind(CT)]);
    assert_eq!(courier.send(&shelf.put(1, MR), &line).await, refused);
    assert_eq!(courier.send(&shelf.put(2, CT), &line).await, success(2));
    assert_eq!(courier.send(&shelf.put(3, MR), &line).await, refused);
    assert_eq!(scp.notes().proposals.len(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(courier.send(&shelf.put(4, CT), &line).await, success(4));
    assert_eq!(scp.notes().proposals.len(), 1);
    assert_eq!(courier.send(&shelf.put(5, MR), &line).await, refused);
    assert_eq!(scp.notes().proposals.len(), 2);
}

#[tokio::test]
async fn an_association_that_the_peer_closed_meanwhile_costs_nothing() {
    for closes_at_once in [true, false] {
        let scp = Scp::start(Behaviour { lives: 1, closes_at_once, ..Behaviour::default() }).await;
        let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
        let mut courier = pacs.store_courier();
        for number in 1..=5 {
            assert_eq!(courier.send(&shelf.put(number, CT), &NOTHING).await, success(number));
        }
        assert_eq!(scp.notes().proposals.len(), 5);
    }
}

#[tokio::test]
async fn an_association_that_is_lost_in_the_middle_is_a_failure_for_now() {
    let scp = Scp::start(Behaviour { lives: 0, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
    let outcome = pacs.store_courier().send(&shelf.put(1, CT), &NOTHING).await;
    let reason = "association lost: connection closed by the peer".to_owned();
    assert_eq!(outcome, Outcome::Retry { reason, after: None });
    assert_eq!(scp.notes().received.len(), 1);
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_not_waited_for_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let silent = TaskTracker::new().spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let target = Target::plain(AeTitle::parse("SCP").unwrap(), address);
    let short = settings(Duration::from_millis(200));
    let name = DestinationName::new("pacs");
    let pacs = Dicom::new(name, target, short, NonZeroUsize::MIN, transcoder(), Telemetry::new());
    let shelf = Shelf::new();
    let started = Instant::now();
    let outcome = pacs.store_courier().send(&shelf.put(1, CT), &NOTHING).await;
    let Outcome::Down { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.ends_with("is this a DICOM port, and one without TLS?"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(5));
    silent.abort();
}

#[tokio::test]
async fn a_destination_without_association_is_down() {
    let shelf = Shelf::new();
    let instance = shelf.put(1, CT);
    let full = Scp::start(Behaviour { most: 0, ..Behaviour::default() }).await;
    let gone = Scp::start(Behaviour::default()).await.target.clone();
    let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mail.local_addr().unwrap().to_string();
    let greeting = TaskTracker::new().spawn(async move {
        let (mut stream, _) = mail.accept().await.unwrap();
        stream.write_all(b"220 mail.example ready\r\n").await.unwrap();
    });
    let mail = Target { address, ..gone.clone() };
    let nowhere = Target { address: "host.invalid:104".to_owned(), ..gone.clone() };
    for (target, words) in [
        (&full.target, "rejected: local limit exceeded (2/3/2); the peer is full"),
        (&gone, "nothing listens there"),
        (&mail, "is this a DICOM port"),
        (&nowhere, "cannot connect to host.invalid:104: "),
    ] {
        let outcome = destination(target, 2).store_courier().send(&instance, &NOTHING).await;
        let Outcome::Down { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(words), "{reason}");
    }
    greeting.await.unwrap();
}

/// Sends with all couriers at once, and never fails.
async fn send_all(pacs: &Dicom, shelf: &Shelf, couriers: u32, each: u32) {
    let sending = (0..couriers).map(|courier| {
        let mut carrier = pacs.store_courier();
        async move {
            for number in courier * each..(courier + 1) * each {
                assert_eq!(carrier.send(&shelf.put(number, CT), &NOTHING).await, success(number));
            }
            carrier.rest().await;
        }
    });
    futures_util::future::join_all(sending).await;
}

#[tokio::test]
async fn a_peer_that_takes_few_associations_gets_few() {
    for beyond in [Beyond::Rejected, Beyond::Unanswered] {
        let scp = Scp::start(Behaviour { most: 2, beyond, ..Behaviour::default() }).await;
        let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 6));
        send_all(&pacs, &shelf, 6, 30).await;
        assert_eq!(scp.notes().most_open, 2);
        assert_eq!(scp.notes().received.len(), 180);
        scp.eventually(|notes| notes.open == 0).await;
    }
}

/// Such a peer counts an association for a while after its end.
#[tokio::test]
async fn a_full_peer_takes_an_association_in_place_of_another() {
    let lingers = Duration::from_millis(500);
    let scp = Scp::start(Behaviour { most: 1, lingers, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 2));
    let mut courier = pacs.store_courier();
    for (number, class) in [(1, CT), (2, MR)] {
        assert_eq!(courier.send(&shelf.put(number, class), &NOTHING).await, success(number));
    }
    assert_eq!(scp.notes().proposals.len(), 2);
}

#[tokio::test]
async fn couriers_that_wait_for_an_association_share_its_failure() {
    let short = Duration::from_millis(500);
    let scp = Scp::start(Behaviour { most: 0, beyond: Beyond::Unanswered, ..Behaviour::default() }).await;
    let (shelf, name) = (Shelf::new(), DestinationName::new("pacs"));
    let many = NonZeroUsize::new(20).unwrap();
    let pacs = Dicom::new(name, scp.target.clone(), settings(short), many, transcoder(), Telemetry::new());
    let started = Instant::now();
    let sending = (0..20).map(|number| {
        let (mut courier, instance) = (pacs.store_courier(), shelf.put(number, CT));
        async move { courier.send(&instance, &NOTHING).await }
    });
    for outcome in futures_util::future::join_all(sending).await {
        assert!(matches!(outcome, Outcome::Down { .. }), "{outcome:?}");
    }
    assert!(started.elapsed() < 10 * short, "not one after the other: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_peer_that_serves_one_after_the_other_is_not_down() {
    let scp = Scp::start(Behaviour { most: 1, beyond: Beyond::Unanswered, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 2));
    let (mut first, mut second) = (pacs.store_courier(), pacs.store_courier());
    assert_eq!(first.send(&shelf.put(1, CT), &NOTHING).await, success(1));
    // The only association is in use until the other one has given up.
    let held = pacs.pool.association(&kind(CT), &NOTHING).await.ok().unwrap();
    let started = Instant::now();
    let instance = shelf.put(2, CT);
    let sending = second.send(&instance, &NOTHING);
    let giving_back = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        held.keep();
    };
    let (outcome, ()) = tokio::join!(sending, giving_back);
    assert_eq!(outcome, success(2));
    assert!(started.elapsed() < Duration::from_secs(8), "less than the message timeout");
    assert_eq!(scp.notes().proposals.len(), 1);
}

#[tokio::test]
async fn further_associations_are_tried_again_after_a_while() {
    let scp = Scp::start(Behaviour { most: 1, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 2));
    let _awake = pacs.pool.wake();
    send_all(&pacs, &shelf, 2, 10).await;
    assert_eq!(pacs.pool.places_left(), 1);
    tokio::time::pause();
    for (seconds, places) in [(59, 1), (2, 2)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        drop(pacs.pool.place().await);
        assert_eq!(pacs.pool.places_left(), places);
    }
}

#[tokio::test]
async fn after_a_rest_a_peer_is_asked_for_all_associations() {
    let scp = Scp::start(Behaviour { most: 1, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 2));
    let awake = pacs.pool.wake();
    send_all(&pacs, &shelf, 2, 10).await;
    assert_eq!(pacs.pool.places_left(), 1);
    drop(awake);
    pacs.store_courier().rest().await;
    assert_eq!(pacs.pool.places_left(), 2);
}

#[tokio::test]
async fn a_peer_that_went_away_is_asked_for_all_associations_when_it_is_back() {
    let scp = Scp::start(Behaviour { most: 1, ..Behaviour::default() }).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 2));
    let _awake = pacs.pool.wake();
    send_all(&pacs, &shelf, 2, 10).await;
    assert_eq!(pacs.pool.places_left(), 1);
    pacs.pool.clear().await;
    drop(scp);
    let outcome = pacs.store_courier().send(&shelf.put(1, CT), &NOTHING).await;
    assert!(matches!(outcome, Outcome::Down { .. }), "{outcome:?}");
    assert_eq!(pacs.pool.places_left(), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_poison() {
    let scp = Scp::start(Behaviour::default()).await;
    let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
    let mut courier = pacs.store_courier();
    let whole = shelf.put(1, CT);
    let gone = StoredInstance { path: shelf.0.path().join("gone"), ..whole.clone() };
    let cut = StoredInstance { length: 1001, ..whole.clone() };
    let changed = StoredInstance { sha256: hash(2), ..whole.clone() };
    for (instance, words) in [
        (&gone, "No such file or directory"),
        (&cut, "it has 1000 bytes instead of 1001"),
        (&changed, "it has changed on disk since it was received"),
    ] {
        let outcome = courier.send(instance, &NOTHING).await;
        let Outcome::Poison { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(words) && reason.contains(&instance.path.display().to_string()), "{reason}");
    }
    assert_eq!(courier.send(&whole, &NOTHING).await, success(1));
    assert_eq!(scp.notes().proposals.len(), 1);
    let no_more_files = unreadable("x", &io::Error::from(Errno::MFILE));
    assert!(is_retried(&no_more_files), "that is not the fault of the file: {no_more_files:?}");
}

#[tokio::test]
async fn a_failure_that_the_peer_tells_costs_no_association() {
    for (status, expected) in
        [(0xB007, "Delivered"), (0xA700, "Retry"), (0xA900, "Refused"), (0x4321, "Retry")]
    {
        let answer = dimse::Outcome::because(Status(status), "as it says");
        let scp = Scp::start(Behaviour { answer, ..Behaviour::default() }).await;
        let (shelf, pacs) = (Shelf::new(), destination(&scp.target, 1));
        let mut courier = pacs.store_courier();
        for number in 1..=2 {
            let outcome = format!("{:?}", courier.send(&shelf.put(number, CT), &NOTHING).await);
            assert!(outcome.starts_with(expected) && !outcome.contains("as it says"), "{outcome}");
        }
        assert_eq!(scp.notes().proposals.len(), 1);
    }
}
