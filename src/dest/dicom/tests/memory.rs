//! What the peer said last time is in what it is asked next.

use model::element::put;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, Encoding, IMPLICIT_VR_LITTLE_ENDIAN};
use model::{PeerName, Tag, Vr};

use super::*;

const IMPLICIT: &str = IMPLICIT_VR_LITTLE_ENDIAN;

impl Shelf {
    /// An instance that can be transcoded.
    fn put_whole(&self, number: u32) -> StoredInstance {
        let mut bytes = Vec::new();
        for (tag, value) in [
            (Tag(0x0008, 0x0016), CT),
            (Tag(0x0008, 0x0018), &uid(number)),
            (Tag(0x0020, 0x000D), "1.2.3"),
            (Tag(0x0020, 0x000E), "1.2.3.1"),
        ] {
            put(&mut bytes, Encoding::ExplicitLittle, tag, Vr::UI, value.as_bytes());
        }
        let instance = self.put(number, CT);
        std::fs::write(&instance.path, &bytes).unwrap();
        let sha256 = Sha256::digest(&bytes).into();
        StoredInstance { data_offset: 0, length: bytes.len() as u64, sha256, ..instance }
    }
}

/// In what else Explicit VR Little Endian is proposed to a peer that takes nothing native.
const COMPRESSED: [&str; 5] = [
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.201",
];

/// The peer, remembered under this name.
fn remembered(scp: &Scp, name: &str) -> Target {
    let settings = settings(Duration::from_secs(10));
    scp.target.clone().remembered(&PeerName::new(name), &settings, pipeline().peers())
}

/// Sends an instance on an association of its own; how that ended, and what the associations for it were proposed for.
async fn send(scp: &Scp, name: &str, number: u32) -> (String, Vec<Vec<String>>) {
    let before = scp.notes().syntaxes.len();
    let pacs = destination(&remembered(scp, name), 1);
    let mut courier = pacs.store_courier();
    let outcome = courier.send(&Shelf::new().put_whole(number), &NOTHING).await;
    courier.rest().await;
    (format!("{outcome:?}"), scp.notes().syntaxes[before..].to_vec())
}

#[tokio::test]
async fn a_refused_syntax_is_not_proposed_again_while_another_is_taken() {
    let scp = Scp::start(Behaviour::default()).await;
    let transcoded = "transcoded from Explicit VR Little Endian to Implicit VR Little Endian";
    scp.refuse(&[EXPLICIT_VR_LITTLE_ENDIAN]);
    let (outcome, proposed) = send(&scp, "one", 1).await;
    assert!(outcome.starts_with("Delivered") && outcome.contains(transcoded), "{outcome}");
    assert_eq!(proposed, [[EXPLICIT, IMPLICIT]]);
    let (outcome, proposed) = send(&scp, "one", 2).await;
    assert!(outcome.starts_with("Delivered") && outcome.contains(transcoded), "{outcome}");
    assert_eq!(proposed, [[IMPLICIT]]);
    // Another peer has not been asked.
    assert_eq!(send(&scp, "other", 3).await.1, [[EXPLICIT, IMPLICIT]]);
}

#[tokio::test]
async fn a_peer_that_changed_its_mind_is_asked_for_all_before_anything_is_given_up() {
    let scp = Scp::start(Behaviour::default()).await;
    scp.refuse(&[EXPLICIT_VR_LITTLE_ENDIAN]);
    send(&scp, "fickle", 1).await;
    // What it took it takes no more, and takes what it refused.
    scp.refuse(&[IMPLICIT]);
    let (outcome, proposed) = send(&scp, "fickle", 2).await;
    assert!(outcome.starts_with("Delivered") && !outcome.contains("transcoded"), "{outcome}");
    let all = [&[EXPLICIT, IMPLICIT][..], &COMPRESSED].concat();
    assert_eq!(proposed, [&[IMPLICIT][..], &all]);
    // And now it takes nothing.
    scp.refuse(&all);
    let (outcome, proposed) = send(&scp, "fickle", 3).await;
    assert!(outcome.starts_with("Refused") && outcome.contains("transfer syntax not supported"), "{outcome}");
    assert_eq!(proposed, [&[EXPLICIT][..], &all]);
    // Then everything.
    scp.refuse(&[]);
    let (outcome, proposed) = send(&scp, "fickle", 4).await;
    assert!(outcome.starts_with("Delivered") && !outcome.contains("transcoded"), "{outcome}");
    assert_eq!(proposed, [all]);
}

#[tokio::test]
async fn what_is_refused_native_is_asked_for_compressed_unless_the_class_is_unknown() {
    let scp = Scp::start(Behaviour::default()).await;
    let all = [&[EXPLICIT, IMPLICIT][..], &COMPRESSED].concat();
    scp.refuse(&all);
    assert_eq!(send(&scp, "strict", 1).await.1, [&[EXPLICIT, IMPLICIT][..], &all]);
    assert_eq!(send(&scp, "strict", 2).await.1, [all]);
    let scp = Scp::start(Behaviour { refused: &[CT], ..Behaviour::default() }).await;
    let (outcome, proposed) = send(&scp, "without CT", 3).await;
    assert!(outcome.starts_with("Refused") && outcome.contains("SOP class not supported"), "{outcome}");
    assert_eq!(proposed, [[EXPLICIT, IMPLICIT]]);
}

#[tokio::test]
async fn a_peer_that_was_away_is_asked_again() {
    let scp = Scp::start(Behaviour::default()).await;
    scp.refuse(&[EXPLICIT_VR_LITTLE_ENDIAN]);
    send(&scp, "away", 1).await;
    assert_eq!(send(&scp, "away", 2).await.1, [[IMPLICIT]]);
    let known = remembered(&scp, "away");
    known.memory.as_ref().unwrap().failed("cannot connect: connection refused");
    let (_, proposed) = send(&scp, "away", 3).await;
    assert_eq!(proposed, [[EXPLICIT, IMPLICIT]]);
}

#[tokio::test]
async fn what_was_refused_is_asked_for_compressed_also_where_nothing_is_remembered() {
    let scp = Scp::start(Behaviour::default()).await;
    scp.refuse(&[EXPLICIT, IMPLICIT]);
    let pacs = destination(&scp.target, 1);
    let outcome = pacs.store_courier().send(&Shelf::new().put_whole(1), &NOTHING).await;
    assert!(format!("{outcome:?}").contains("not transcoded: "), "it has no pixels: {outcome:?}");
    assert_eq!(
        scp.notes().syntaxes,
        [&[EXPLICIT, IMPLICIT][..], &[&[EXPLICIT, IMPLICIT][..], &COMPRESSED].concat()]
    );
}

#[tokio::test]
async fn a_peer_that_frees_its_one_place_late_is_no_peer_that_is_down() {
    let lingers = Duration::from_millis(300);
    let scp = Scp::start(Behaviour { most: 1, lingers, ..Behaviour::default() }).await;
    let all = [&[EXPLICIT, IMPLICIT][..], &COMPRESSED].concat();
    scp.refuse(&all);
    let (outcome, proposed) = send(&scp, "slow", 1).await;
    assert!(outcome.starts_with("Refused"), "{outcome}");
    assert_eq!(proposed, [&[EXPLICIT, IMPLICIT][..], &all]);
}

#[tokio::test]
async fn two_kinds_that_are_refused_in_every_form_share_an_association() {
    let scp = Scp::start(Behaviour::default()).await;
    scp.refuse(&[&[EXPLICIT, IMPLICIT][..], &COMPRESSED].concat());
    let (shelf, pacs) = (Shelf::new(), destination(&remembered(&scp, "neither"), 1));
    let mut courier = pacs.store_courier();
    for (number, expected) in [(1, 2), (2, 4), (3, 4), (4, 4)] {
        let class = if number % 2 == 1 { CT } else { MR };
        let outcome = courier.send(&shelf.put(number, class), &NOTHING).await;
        assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
        assert_eq!(scp.notes().proposals.len(), expected, "{number}");
    }
}

#[tokio::test]
async fn a_copy_that_an_association_did_not_wait_for_goes_over_the_next() {
    let scp = Scp::start(Behaviour { stillborn: 1, ..Behaviour::default() }).await;
    scp.refuse(&[EXPLICIT]);
    let (outcome, proposed) = send(&scp, "impatient", 1).await;
    assert!(outcome.starts_with("Delivered") && outcome.contains("transcoded"), "{outcome}");
    assert_eq!(proposed.len(), 2);
}
