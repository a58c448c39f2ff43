use std::time::Duration;

use archive::{Config, Desk};
use model::AeTitle;
use telemetry::Telemetry;

use super::*;

type Kind = (SopClassUid, TransferSyntaxUid);

const DAY: Duration = limits::REFUSAL_REMEMBERED;

fn kind(class: &str, syntax: &str) -> Kind {
    (SopClassUid::lenient(class).unwrap(), TransferSyntaxUid::lenient(syntax).unwrap())
}

fn manner(address: &str) -> Manner {
    let title = |text| AeTitle::parse(text).unwrap();
    Manner { aet: title("PACS"), address: address.to_owned(), calling: title("GANTRY"), identity: None }
}

fn accepted(version: &str, at: OffsetDateTime) -> Accepted {
    Accepted {
        at,
        tls: None,
        implementation: Implementation { class_uid: None, version_name: Some(version.to_owned()) },
        max_pdu_bytes: 16_384,
        operations: 1,
        knows_user: false,
    }
}

fn refusal() -> Option<String> {
    Some("transfer syntax not supported".to_owned())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A memory over an archive of its own, whose folder comes last.
fn memory() -> (PeerMemory, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder), folder)
}

fn open(folder: &tempfile::TempDir) -> PeerMemory {
    let config = Config { data_dir: folder.path().to_owned(), min_free_bytes: 0 };
    PeerMemory::new(Archive::open(config, Telemetry::new()).unwrap())
}

#[test]
fn a_refusal_holds_for_a_day_and_what_is_taken_for_good() {
    let (takes, refuses) = (kind("1.1", "1.2"), kind("1.1", "1.3"));
    let mut called = called::unknown(manner("pacs:104"));
    let then = now();
    called::learn(&mut called, accepted("V1", then), [(takes.clone(), None), (refuses.clone(), refusal())]);
    let said = |called: &Called, kind: &Kind, at| called::said(called, &manner("pacs:104"), kind, at);
    let second = Duration::from_secs(1);
    assert_eq!(said(&called, &refuses, then + DAY - second), Some(Said::Refuses));
    assert_eq!(said(&called, &refuses, then + DAY), None);
    assert_eq!(said(&called, &takes, then + DAY * 100), Some(Said::Takes));
    // A clock that was put back says nothing about how old it is.
    assert_eq!(said(&called, &refuses, then - second), None);
    assert_eq!(said(&called, &kind("1.1", "1.4"), then), None);
    // At another address it may be another.
    assert_eq!(called::said(&called, &manner("pacs:105"), &takes, then), None);
    // It could not be reached since.
    called.failed = Some((then + second, "nothing listens there".to_owned()));
    assert_eq!(said(&called, &refuses, then + second * 2), None);
    assert_eq!(said(&called, &takes, then + second * 2), Some(Said::Takes));
    called::learn(&mut called, accepted("V1", then + second * 2), [(refuses.clone(), refusal())]);
    assert_eq!(said(&called, &refuses, then + second * 3), Some(Said::Refuses));
}

#[test]
fn other_software_is_asked_anew() {
    let (one, other) = (kind("1.1", "1.2"), kind("1.1", "1.3"));
    let mut called = called::unknown(manner("pacs:104"));
    called::learn(&mut called, accepted("V1", now()), [(one.clone(), refusal())]);
    called::learn(&mut called, accepted("V1", now()), [(other.clone(), refusal())]);
    assert_eq!(called.contexts.len(), 2);
    called::learn(&mut called, accepted("V2", now()), [(other.clone(), None)]);
    assert_eq!(called::said(&called, &manner("pacs:104"), &one, now()), None);
    assert_eq!(called::said(&called, &manner("pacs:104"), &other, now()), Some(Said::Takes));
}

#[test]
fn what_was_learned_first_makes_way() {
    let mut called = called::unknown(manner("pacs:104"));
    let then = now();
    for n in 0..=limits::CONTEXTS_REMEMBERED {
        let at = then + Duration::from_millis(n as u64);
        called::learn(&mut called, accepted("V1", at), [(kind("1.1", &format!("1.{n}")), None)]);
    }
    assert_eq!(called.contexts.len(), limits::CONTEXTS_REMEMBERED);
    assert!(!called.contexts.contains_key(&kind("1.1", "1.0")));
}

#[tokio::test]
async fn it_outlives_the_process_and_is_forgotten_on_request() {
    let (memory, folder) = memory();
    let peer = PeerName::new("pacs");
    let taken = kind("1.1", "1.2");
    let refused = kind("1.1", "1.3");
    let known = memory.of(&peer, manner("pacs:104"));
    known.accepted(accepted("V1", now()), [(taken.clone(), None), (refused.clone(), refusal())]);
    known.rejected("rejected: local limit exceeded (2/3/2)");
    let address = "10.1.2.3".parse().unwrap();
    let implementation = Implementation { class_uid: Some("9".repeat(99)), version_name: None };
    let caller = Caller { aet: None, address, at: now(), implementation, proposed: 3, accepted: 2 };
    memory.called_by(None, caller.clone());
    memory.called_by(Some(&peer), caller);
    memory.keep().await.unwrap();
    memory.archive.close().await.unwrap();
    drop((known, memory));

    let memory = open(&folder);
    memory.recall().await.unwrap();
    let known = memory.of(&peer, manner("pacs:104"));
    assert_eq!(known.said(&taken), Some(Said::Takes));
    assert_eq!(known.said(&refused), Some(Said::Refuses));
    let mut desk = Desk::open(folder.path()).unwrap();
    let records = desk.peers().unwrap();
    let names: Vec<&str> = records.iter().map(|record| record.peer.as_str()).collect();
    assert_eq!(names, ["@10.1.2.3", "pacs"]);
    let called = records[1].called.as_ref().unwrap();
    assert_eq!(called.manner, manner("pacs:104"));
    assert_eq!(called.accepted.as_ref().unwrap().max_pdu_bytes, 16_384);
    assert_eq!(called.rejected.as_ref().unwrap().1, "rejected: local limit exceeded (2/3/2)");
    assert_eq!(called.failed, None);
    assert_eq!(called.contexts[&refused].refusal, refusal());
    let caller = records[0].caller.as_ref().unwrap();
    assert_eq!((caller.proposed, caller.accepted), (3, 2));
    assert_eq!(caller.implementation.class_uid.as_ref().unwrap().len(), limits::PEER_TEXT_CHARS);
    assert!(records[1].caller.is_some());

    // What is learned before the server has noticed is forgotten with the rest.
    assert!(desk.forget("pacs").unwrap() && !desk.forget("pacs").unwrap());
    known.accepted(accepted("V1", now()), [(refused.clone(), refusal())]);
    memory.keep().await.unwrap();
    assert_eq!(known.said(&refused), None);
    assert_eq!(desk.peers().unwrap().len(), 1);
    // And what is learned then is remembered.
    known.accepted(accepted("V1", now()), [(refused.clone(), refusal())]);
    memory.keep().await.unwrap();
    assert_eq!(known.said(&refused), Some(Said::Refuses));
    assert_eq!(desk.peers().unwrap().len(), 2);
    known.ask_again(&refused);
    assert_eq!(known.said(&refused), None);
}

#[tokio::test]
async fn called_otherwise_it_is_another() {
    let (memory, _folder) = memory();
    let peer = PeerName::new("pacs");
    let taken = kind("1.1", "1.2");
    let here = memory.of(&peer, manner("pacs:104"));
    let there = memory.of(&peer, manner("pacs:11112"));
    here.accepted(accepted("V1", now()), [(taken.clone(), None)]);
    assert_eq!((here.said(&taken), there.said(&taken)), (Some(Said::Takes), None));
    there.failed("cannot connect to pacs:11112");
    assert_eq!((here.said(&taken), there.said(&taken)), (None, None));
}

#[tokio::test]
async fn to_another_user_it_may_say_something_else() {
    let (memory, folder) = memory();
    let peer = PeerName::new("pacs");
    let refused = kind("1.1", "1.2");
    let shown =
        |identity: Option<&str>| Manner { identity: identity.map(str::to_owned), ..manner("pacs:104") };
    let of = |memory: &PeerMemory, identity| memory.of(&peer, shown(identity));
    of(&memory, Some("user one")).accepted(accepted("V1", now()), [(refused.clone(), refusal())]);
    memory.keep().await.unwrap();
    memory.archive.close().await.unwrap();
    drop(memory);
    let memory = open(&folder);
    memory.recall().await.unwrap();
    assert_eq!(of(&memory, Some("user one")).said(&refused), Some(Said::Refuses));
    for other in [None, Some("user two")] {
        assert_eq!(of(&memory, other).said(&refused), None, "{other:?}");
    }
}

#[tokio::test]
async fn strangers_are_bounded() {
    let (memory, folder) = memory();
    let surplus = 7;
    for round in 0..2 {
        for n in 0..limits::STRANGERS {
            let address = std::net::Ipv4Addr::from(round * (limits::STRANGERS - surplus) + n).into();
            let implementation = Implementation::default();
            let at = now();
            memory
                .called_by(None, Caller { aet: None, address, at, implementation, proposed: 1, accepted: 1 });
        }
        memory.keep().await.unwrap();
    }
    let records = Desk::open(folder.path()).unwrap().peers().unwrap();
    assert_eq!(records.len(), limits::STRANGERS as usize);
    assert!(!records.iter().any(|record| record.peer.as_str() == "@0.0.0.0"));
}

#[tokio::test]
async fn strangers_leave_room_for_peers() {
    let (memory, folder) = memory();
    let called_by = |peer: Option<&PeerName>, n: u32| {
        let (address, implementation) = (std::net::Ipv4Addr::from(n).into(), Implementation::default());
        let caller = Caller { aet: None, address, at: now(), implementation, proposed: 1, accepted: 1 };
        memory.called_by(peer, caller);
    };
    // More than are kept, before any of them is.
    let first = PeerName::new("first");
    called_by(Some(&first), 0);
    (0..limits::STRANGERS + 7).for_each(|n| called_by(None, n));
    let last = PeerName::new("last");
    called_by(Some(&last), 0);
    memory.keep().await.unwrap();
    let records = Desk::open(folder.path()).unwrap().peers().unwrap();
    assert_eq!(records.len(), limits::STRANGERS as usize + 2);
    for peer in [first, last] {
        assert!(records.iter().any(|record| record.peer == PeerKey::named(&peer)), "{peer}");
    }
}
