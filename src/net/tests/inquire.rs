//! C-FIND, C-MOVE and C-GET as SCU, at peers that say exactly what the test wants.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dimse::service::find::CFindRq;
use dimse::service::get::CGetRq;
use dimse::service::move_::CMoveRq;
use dimse::service::retrieve::SubOperations;
use dimse::{Class, Command, Outcome, Status};
use model::attributes::Attributes;
use model::element::put;
use model::header::Header;
use model::query::Root;
use model::syntax::Encoding;
use model::{AeTitle, QueryRetrieveLevel, Tag, Vr, limits};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use ul::Event;

use super::peer::{EXPLICIT, Peer, store};
use super::send::{settings, target};
use super::{CT, MR, Server, image, instance_uid};
use crate::scu::{Found, Question, Retrieved, Step, Target, find, get, move_to};
use crate::{End, Error};

const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const STUDY: Tag = Tag(0x0020, 0x000D);
const FAILED: Tag = Tag(0x0008, 0x0058);

fn studies(name: &str) -> Question {
    let mut keys = Attributes::new();
    keys.insert_text(PATIENT_NAME, Vr::PN, name);
    keys.insert(STUDY, Vr::UI, Vec::new());
    Question { root: Root::Study, level: QueryRetrieveLevel::Study, keys }
}

fn study(uid: &str) -> Question {
    let mut keys = Attributes::new();
    keys.insert_text(STUDY, Vr::UI, uid);
    Question { root: Root::Study, level: QueryRetrieveLevel::Study, keys }
}

/// Takes one connection after the other, each for `serve`, which is told its number.
async fn scp<F: Future<Output = ()> + Send>(
    connections: usize,
    refused: &'static [&'static str],
    serve: impl Fn(usize, Peer) -> F + Send + Sync + 'static,
) -> (Target, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let serving = TaskTracker::new().spawn(async move {
        for number in 0..connections {
            let (stream, _) = listener.accept().await.unwrap();
            serve(number, Peer::accept(stream, refused).await).await;
        }
    });
    (target, serving)
}

async fn asked_to_find(peer: &mut Peer) -> CFindRq {
    match peer.message().await.0 {
        Command::CFindRq(request) => request,
        other => panic!("{other:?}"),
    }
}

async fn asked_to_get(peer: &mut Peer) -> CGetRq {
    match peer.message().await.0 {
        Command::CGetRq(request) => request,
        other => panic!("{other:?}"),
    }
}

/// Answers the release.
async fn released(mut peer: Peer) {
    assert_eq!(peer.event().await, Event::ReleaseRequested);
    peer.association.release_response(std::time::Duration::ZERO).unwrap();
    peer.flush().await;
}

fn row(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, Encoding::ExplicitLittle, PATIENT_NAME, Vr::PN, name.as_bytes());
    out
}

/// Asks, and collects the names of the matches.
async fn names(
    target: &Target,
    question: &Question,
    limit: Option<u64>,
) -> (Result<Found, Error>, Vec<String>) {
    let mut names = Vec::new();
    let limit = limit.and_then(NonZeroU64::new);
    let add = |row: &Header| names.push(row.text(PATIENT_NAME).unwrap_or_default());
    let found = find(target, &settings(), question, limit, add).await;
    (found, names)
}

#[tokio::test]
async fn finds_at_our_own_server_and_stops_at_a_limit() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await;
    for number in 1..=5 {
        peer.send(1, store(CT, &instance_uid(number)), Some(&image(number, 10))).await;
        assert_eq!(peer.status().await, 0);
    }
    peer.release().await;
    let target = target(server.address);
    let (found, mut all) = names(&target, &studies("doe*"), None).await;
    let found = found.unwrap();
    assert_eq!((found.outcome.status, found.rows, found.has_more), (Status::SUCCESS, 5, false));
    all.sort();
    assert_eq!(all, ["DOE^1", "DOE^2", "DOE^3", "DOE^4", "DOE^5"]);
    let (found, some) = names(&target, &studies("doe*"), Some(2)).await;
    let found = found.unwrap();
    assert!(found.has_more && found.rows == 2 && some.len() == 2, "{found:?}");
    let (found, exactly) = names(&target, &studies("doe*"), Some(5)).await;
    assert!(!found.unwrap().has_more && exactly.len() == 5);
    let (found, none) = names(&target, &studies("Müller*"), None).await;
    assert!(found.unwrap().outcome.status == Status::SUCCESS && none.is_empty());
    let (_, unheard) = names(&target, &studies("toe"), None).await;
    let mut fuzzy = target.clone();
    fuzzy.terms.mechanisms.fuzzy_names = true;
    let (_, heard) = names(&fuzzy, &studies("toe"), None).await;
    assert_eq!((unheard.len(), heard.len()), (0, 5), "by sound where that is negotiated");
    let patients = Question { level: QueryRetrieveLevel::Patient, ..studies("") };
    let (refused, _) = names(&target, &patients, None).await;
    assert_eq!(refused.unwrap().outcome.status, Status(0xA900));
}

#[tokio::test]
async fn matches_that_cannot_be_read_are_counted_and_the_others_come() {
    let (target, serving) = scp(1, &[], |_, mut peer| async move {
        let request = asked_to_find(&mut peer).await;
        let large = row(&"A".repeat(60_000)).repeat(limits::IDENTIFIER_BYTES / 60_000 + 1);
        for data in [row("DOE^1"), b"\x10\x00\x10\x00no".to_vec(), large, row("DOE^2")] {
            peer.send(1, request.answer(Status::PENDING_UNSUPPORTED_KEYS.into()), Some(&data)).await;
        }
        let outcome = Outcome::because(Status(0xC001), "index gone");
        peer.send(1, request.answer(outcome), None).await;
        released(peer).await;
    })
    .await;
    let (found, names) = names(&target, &studies(""), None).await;
    let found = found.unwrap();
    assert_eq!(names, ["DOE^1", "DOE^2"]);
    assert_eq!((found.rows, found.unreadable, found.has_unknown_keys), (2, 2, true));
    assert_eq!(found.outcome, Outcome::because(Status(0xC001), "index gone"));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_listen_to_a_cancel_is_left() {
    let (target, serving) = scp(1, &[], |_, mut peer| async move {
        let request = asked_to_find(&mut peer).await;
        for _ in 0..limits::MATCHES_AFTER_CANCEL + 2 {
            peer.send(1, request.answer(Status::PENDING.into()), Some(&row("DOE^1"))).await;
        }
        let Command::CCancelRq(cancel) = peer.message().await.0 else { panic!("no C-CANCEL") };
        assert_eq!(cancel.message_id_being_responded_to, request.message_id);
        let event = peer.event().await;
        assert!(matches!(event, Event::Aborted(_)), "{event:?}");
    })
    .await;
    let (found, names) = names(&target, &studies(""), Some(1)).await;
    let found = found.unwrap();
    assert_eq!((found.outcome.status.class(), found.has_more, names.len()), (Class::Cancel, true, 1));
    serving.await.unwrap();
}

#[tokio::test]
async fn an_answer_to_something_else_ends_the_query() {
    let (target, serving) = scp(1, &[], |_, mut peer| async move {
        let request = asked_to_find(&mut peer).await;
        let other = CFindRq { message_id: request.message_id + 1, ..request };
        peer.send(1, other.answer(Status::SUCCESS.into()), None).await;
        let event = peer.event().await;
        assert!(matches!(event, Event::Aborted(_)), "{event:?}");
    })
    .await;
    let (lost, _) = names(&target, &studies(""), None).await;
    assert!(matches!(lost, Err(Error::Lost(End::OutOfTurn("C-FIND-RSP")))), "{lost:?}");
    serving.await.unwrap();
    let (refused, _) = {
        let (target, _serving) =
            scp(1, &[model::sop::STUDY_ROOT_FIND], |_, peer| async move { released(peer).await }).await;
        names(&target, &studies(""), None).await
    };
    assert!(matches!(refused, Err(Error::NotAccepted { .. })), "{refused:?}");
}

fn count(remaining: Option<u16>, completed: u16, failed: u16) -> SubOperations {
    SubOperations { remaining, completed: Some(completed), failed: Some(failed), warning: Some(0) }
}

fn failed(uids: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, Encoding::ExplicitLittle, FAILED, Vr::UI, uids.as_bytes());
    out
}

#[tokio::test]
async fn a_move_tells_its_progress_and_what_failed() {
    let (target, serving) = scp(1, &[], |_, mut peer| async move {
        let (Command::CMoveRq(request), identifier) = peer.message().await else { panic!("no C-MOVE") };
        assert_eq!(request.destination, AeTitle::parse("VIEWER").ok());
        let form = model::syntax::form(EXPLICIT);
        let asked = model::scan::scan(form, &identifier).unwrap();
        assert_eq!(asked.text(STUDY).as_deref(), Some("1.2.3"));
        assert_eq!(asked.text(Tag(0x0008, 0x0052)).as_deref(), Some("STUDY"));
        for (remaining, completed, failed) in [(2, 1, 0), (1, 1, 1)] {
            let so_far = count(Some(remaining), completed, failed);
            peer.send(1, request.answer(Status::PENDING.into(), so_far), None).await;
        }
        let mut last = request.answer(Status(0xB000).into(), count(None, 1, 2));
        last.has_identifier = true;
        peer.send(1, last, Some(&failed("1.2.3.4\\1.2.3.5"))).await;
        released(peer).await;
    })
    .await;
    let mut seen = Vec::new();
    let to = AeTitle::parse("VIEWER").unwrap();
    let moved = move_to(&target, &settings(), &study("1.2.3"), &to, |count| seen.push(count)).await.unwrap();
    assert_eq!(seen, [count(Some(2), 1, 0), count(Some(1), 1, 1)]);
    assert_eq!((moved.outcome.status, moved.sub_operations), (Status(0xB000), count(None, 1, 2)));
    assert_eq!(moved.failed.iter().map(|uid| uid.as_str()).collect::<Vec<_>>(), ["1.2.3.4", "1.2.3.5"]);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_move_to_nowhere_is_told_as_the_peer_says() {
    let (target, serving) = scp(1, &[], |_, mut peer| async move {
        let Command::CMoveRq(request) = peer.message().await.0 else { panic!("no C-MOVE") };
        let request: CMoveRq = request;
        peer.send(1, request.answer(Status(0xA801).into(), SubOperations::default()), None).await;
        released(peer).await;
    })
    .await;
    let to = AeTitle::parse("NOWHERE").unwrap();
    let moved = move_to(&target, &settings(), &study("1.2.3"), &to, |_| ()).await.unwrap();
    let expected = Retrieved {
        outcome: Status(0xA801).into(),
        sub_operations: SubOperations::default(),
        failed: Vec::new(),
    };
    assert_eq!(moved, expected);
    serving.await.unwrap();
}

/// Refuses to tell SOP classes: those of the study, and then the series of it.
async fn tell_nothing(mut peer: Peer) {
    for _ in 0..2 {
        let request = asked_to_find(&mut peer).await;
        peer.send(1, request.answer(Status(0xA700).into()), None).await;
    }
    released(peer).await;
}

/// The first context for a SOP class that was accepted.
fn context_of(peer: &Peer, class: &str) -> u8 {
    let contexts = peer.association.contexts();
    contexts.iter().find(|context| context.abstract_syntax == class).unwrap().id
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_get_keeps_what_is_right_and_answers_each() {
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&statuses);
    let (target, serving) = scp(2, &[], move |number, mut peer| {
        let told = Arc::clone(&told);
        async move {
            if number == 0 {
                return tell_nothing(peer).await;
            }
            let request = asked_to_get(&mut peer).await;
            let (ct, mr) = (context_of(&peer, CT), context_of(&peer, MR));
            for (context, class, instance, data) in [
                (ct, CT, 1, image(1, 600_000)),
                (ct, CT, 2, image(3, 10)),
                (mr, CT, 4, image(4, 10)),
                (ct, CT, 5, b"\x08\x00\x05\x00junk".to_vec()),
                (ct, CT, 6, image(6, 10)),
            ] {
                peer.send(context, store(class, &instance_uid(instance)), Some(&data)).await;
                let status = peer.status().await;
                told.lock().unwrap().push(status);
                let so_far = count(Some(1), 1, 0);
                peer.send(1, request.answer(Status::PENDING.into(), so_far), None).await;
            }
            peer.send(1, request.answer(Status(0xB000).into(), count(None, 2, 3)), None).await;
            released(peer).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (mut kept, mut refused, mut counts) = (Vec::new(), Vec::new(), 0);
    let report = |step: Step<'_>| match step {
        Step::Count(_) => counts += 1,
        Step::Kept(one) => kept.push(one.path.clone()),
        Step::NotKept { instance, reason } => refused.push((instance.cloned(), reason.explain())),
    };
    let got = get(&target, &settings(), &study("1.2.3"), folder.path(), report).await.unwrap();
    assert_eq!((got.outcome.status, got.sub_operations), (Status(0xB000), count(None, 2, 3)));
    assert_eq!(*statuses.lock().unwrap(), [0, 0xA900, 0x0122, 0xC000, 0]);
    assert_eq!((kept.len(), refused.len(), counts), (2, 3, 5));
    assert_eq!(files(folder.path()), kept);
    assert!(std::fs::read(&kept[0]).unwrap().ends_with(&image(1, 600_000)), "bit by bit");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_vanishes_leaves_no_half_instance() {
    let (target, serving) = scp(2, &[], |number, mut peer| async move {
        if number == 0 {
            return tell_nothing(peer).await;
        }
        asked_to_get(&mut peer).await;
        let context = context_of(&peer, CT);
        let command = Command::from(store(CT, &instance_uid(1)));
        peer.association.send(context, true, &command.to_bytes()).unwrap();
        peer.flush().await;
        let part = image(1, 300_000);
        peer.association.send(context, false, &part).unwrap();
        let bytes = peer.association.output().split();
        peer.write(&bytes[..200_000]).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let lost = get(&target, &settings(), &study("1.2.3"), folder.path(), |_| ()).await;
    assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
    assert!(files(folder.path()).is_empty());
    serving.await.unwrap();
}

#[tokio::test]
async fn a_get_from_a_peer_without_storage_says_so() {
    const REFUSED: &[&str] = &[CT];
    let (target, serving) = scp(2, REFUSED, |number, mut peer| async move {
        if number == 0 {
            let request = asked_to_find(&mut peer).await;
            let mut classes = Vec::new();
            put(&mut classes, Encoding::ExplicitLittle, Tag(0x0008, 0x0062), Vr::UI, CT.as_bytes());
            peer.send(1, request.answer(Status::PENDING.into()), Some(&classes)).await;
            peer.send(1, request.answer(Status::SUCCESS.into()), None).await;
        }
        released(peer).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let refused = get(&target, &settings(), &study("1.2.3"), folder.path(), |_| ()).await.unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("CT Image Storage") && told.contains("no context"), "{told}");
    serving.await.unwrap();
}
