//! C-MOVE, between a peer that asks and destinations that do what the test wants.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dimse::service::find::CCancelRq;
use dimse::service::store::{CStoreRq, MoveOriginator};
use dimse::{Command, Status};
use model::{AeTitle, sop};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use ul::pdu::{AssociateRj, OperationsWindow};

use super::peer::{EXPLICIT, IMPLICIT, Peer};
use super::retrieve::{
    Told, fill, final_told, is_implicit, kept, known, move_rq, of_images, told, with_destination,
};
use super::{CT, MR, Server, config, image, instance_uid};

const MOVE: &str = sop::STUDY_ROOT_MOVE;

/// What a destination does with an instance.
enum Deed {
    Answer(u16),
    Close,
    Hang,
}

/// An instance that came: number of the association, request, data set.
type Came = (usize, CStoreRq, Vec<u8>);

/// Serves every connection, refusing these SOP classes and transfer syntaxes, as `deed` says.
fn serve(
    listener: TcpListener,
    refused: &'static [&'static str],
    deed: impl FnMut(u32) -> Deed + Send + 'static,
) -> (mpsc::Receiver<Came>, TaskTracker) {
    let (sender, came) = mpsc::channel(1_000);
    let tracker = TaskTracker::new();
    let (deed, tasks) = (Arc::new(Mutex::new(deed)), tracker.clone());
    tracker.spawn(async move {
        for association in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (sender, deed) = (sender.clone(), Arc::clone(&deed));
            tasks.spawn(async move {
                let mut peer = Peer::accept(stream, refused).await;
                while let Some((request, data)) = next(&mut peer).await {
                    let done = (*deed.lock().unwrap())(number(&request));
                    drop(sender.try_send((association, request.clone(), data)));
                    match done {
                        Deed::Answer(status) => peer.answer(request.answer(Status(status).into())).await,
                        Deed::Close => return,
                        Deed::Hang => {
                            // Until the other end is tired of it.
                            peer.event().await;
                            return;
                        }
                    }
                }
            });
        }
    });
    (came, tracker)
}

/// The next instance; `None` when the association is over.
async fn next(peer: &mut Peer) -> Option<(CStoreRq, Vec<u8>)> {
    match peer.try_message().await? {
        (Command::CStoreRq(request), data) => Some((request, data)),
        (other, _) => panic!("{other:?}"),
    }
}

fn number(request: &CStoreRq) -> u32 {
    let uid = request.affected_sop_instance_uid.as_ref().unwrap().as_str();
    uid.strip_prefix("1.2.3.").unwrap().split('.').next().unwrap().parse().unwrap()
}

/// The responses to a C-MOVE up to the final one.
async fn responses(peer: &mut Peer) -> Vec<Told> {
    let mut responses = Vec::new();
    loop {
        let (command, data) = peer.message().await;
        responses.push(told(&command, &data));
        if responses.last().unwrap().status != 0xFF00 {
            return responses;
        }
    }
}

async fn move_images(server: &Server, destination: &str, count: u32) -> Vec<Told> {
    let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
    peer.send(1, move_rq(MOVE, destination), Some(&of_images(1..=count))).await;
    let responses = responses(&mut peer).await;
    peer.release().await;
    responses
}

#[tokio::test]
async fn sends_each_instance_bit_by_bit_and_says_for_whom() {
    const COUNT: u32 = 40;
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, COUNT, 1_300_000).await;
    let (mut came, _tracker) = serve(listener, &[], |_| Deed::Answer(0));
    let responses = move_images(&server, "STORE", COUNT).await;
    let (last, pending) = responses.split_last().unwrap();
    assert_eq!(*last, final_told(0x0000, [40, 0, 0], &[]));
    assert_eq!(pending[0].counts, [Some(40), Some(0), Some(0), Some(0)], "the first one comes at once");
    let (mut numbers, mut associations) = (Vec::new(), Vec::new());
    for _ in 0..COUNT {
        let (association, request, data) = came.recv().await.unwrap();
        let number = number(&request);
        assert!(data == kept(number, 1_300_000).1, "{number}");
        let originator = MoveOriginator { ae_title: AeTitle::parse("PEER").unwrap(), message_id: 3 };
        assert_eq!(request.move_originator, Some(originator));
        numbers.push(number);
        associations.push(association);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
    associations.sort_unstable();
    associations.dedup();
    assert_eq!(associations, [0, 1]);
    assert!(came.try_recv().is_err());
    assert!(server.counts(r#"gantry_retrieve_seconds_count{service="c-move",level="study"} 1"#));
    assert!(server.counts(r#"gantry_associations_total{role="requestor",end="released"} 2"#));
}

#[tokio::test]
async fn a_destination_nobody_knows_is_refused() {
    let mut config = config();
    config.peers.push(known("store", "STORE", "127.0.0.1:9"));
    let server = Server::with(config, 0).await;
    fill(&server, 1, 10).await;
    for destination in ["STRANGER", "store", ""] {
        let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
        peer.send(1, move_rq(MOVE, destination), Some(&of_images([1]))).await;
        let (command, data) = peer.message().await;
        let refused = Told { status: 0xA801, counts: [None; 4], failed: Vec::new() };
        assert_eq!(told(&command, &data), refused);
        let comment = command.outcome().unwrap().error_comment.clone().unwrap();
        let expected = match destination {
            "" => "no move destination, or none that is an AE title".to_owned(),
            title => format!("no peer is known as {title}"),
        };
        assert_eq!(comment.as_str(), expected);
        peer.release().await;
    }
}

#[tokio::test]
async fn of_several_with_one_title_the_first_is_meant() {
    let (mut config, first) = with_destination().await;
    config.peers.push(known("another", "STORE", "127.0.0.1:9"));
    let server = Server::with(config, 0).await;
    fill(&server, 2, 10).await;
    let (_came, _tracker) = serve(first, &[], |_| Deed::Answer(0));
    let responses = move_images(&server, "STORE", 2).await;
    assert_eq!(*responses.last().unwrap(), final_told(0x0000, [2, 0, 0], &[]));
}

#[tokio::test]
async fn each_instance_fails_by_itself() {
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 20, 10).await;
    // Seven of them, one behind the other, make it close.
    let (mut came, _tracker) = serve(listener, &[], |number| match number {
        1 => Deed::Answer(0xA700),
        2 => Deed::Answer(0xB007),
        10..=16 => Deed::Close,
        _ => Deed::Answer(0),
    });
    let responses = move_images(&server, "STORE", 20).await;
    let last = responses.last().unwrap();
    assert_eq!((last.status, last.counts), (0xB000, [None, Some(11), Some(8), Some(1)]));
    let mut failed = last.failed.clone();
    failed.sort();
    let mut expected = Vec::from_iter([1, 10, 11, 12, 13, 14, 15, 16].map(instance_uid));
    expected.sort();
    assert_eq!(failed, expected);
    let mut tries = 0;
    while let Ok((_, request, _)) = came.try_recv() {
        tries += usize::from(number(&request) == 10);
    }
    assert_eq!(tries, 2, "an instance that an association was lost with is tried once more");
}

#[tokio::test]
async fn what_the_destination_does_not_take_is_passed_over() {
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 6, 10).await;
    let (mut came, _tracker) = serve(listener, &[CT], |_| Deed::Answer(0));
    let responses = move_images(&server, "STORE", 6).await;
    let last = responses.last().unwrap();
    assert_eq!((last.status, last.counts), (0xA702, [None, Some(0), Some(6), Some(0)]));
    assert!(came.try_recv().is_err() && last.failed.len() == 6);
    assert!([3, 6].iter().all(|number| is_implicit(*number)), "in two kinds");
    assert_ne!(CT, MR);
}

#[tokio::test]
async fn what_the_destination_does_not_take_as_it_is_stored_goes_as_a_copy() {
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 20, 300_000).await;
    let (mut came, _tracker) = serve(listener, &[IMPLICIT], |number| match number {
        6 => Deed::Close,
        9 => Deed::Answer(0xC000),
        _ => Deed::Answer(0),
    });
    let responses = move_images(&server, "STORE", 20).await;
    let mut last = responses.last().unwrap().clone();
    last.failed.sort_unstable();
    assert_eq!(last, final_told(0xB000, [18, 2, 0], &[6, 9]));
    let mut tries = 0;
    while let Ok((_, request, data)) = came.try_recv() {
        let number = number(&request);
        assert!(data == image(number, 300_000), "{number}");
        tries += usize::from(number == 6);
    }
    assert!(is_implicit(6) && tries == 2, "{tries}");
    assert!(server.has_no_copies());
}

/// A server with so many images, whose one destination gets as many ahead as it grants of 4, over one association at a time.
async fn ahead(count: u32) -> (Server, TcpListener) {
    let (mut config, listener) = with_destination().await;
    config.peers[0].as_called.ahead = 4;
    config.move_associations = NonZeroUsize::MIN;
    let server = Server::with(config, 0).await;
    fill(&server, count, 10).await;
    (server, listener)
}

/// The next so many instances, none of which has been answered.
async fn unanswered(peer: &mut Peer, count: usize) -> Vec<CStoreRq> {
    let mut came = Vec::new();
    for _ in 0..count {
        came.push(next(peer).await.expect("it comes").0);
    }
    came
}

#[tokio::test]
async fn instances_go_ahead_as_far_as_the_destination_grants() {
    let (server, listener) = ahead(6).await;
    let window = |invoked| OperationsWindow { invoked, performed: 1 };
    let serving = TaskTracker::new().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, asked) = Peer::accept_granting(stream, Some(window(3))).await;
        assert_eq!(asked, Some(window(4)));
        for _ in 0..2 {
            let mut came = unanswered(&mut peer, 3).await;
            // The last one first, and one of each three refused.
            for (at, request) in came.drain(..).rev().enumerate() {
                let status = if at == 0 { 0xA700 } else { 0 };
                peer.answer(request.answer(Status(status).into())).await;
            }
        }
        assert!(next(&mut peer).await.is_none());
    });
    let responses = move_images(&server, "STORE", 6).await;
    assert_eq!(responses.last().unwrap().status, 0xB000);
    assert_eq!(responses.last().unwrap().counts, [None, Some(4), Some(2), Some(0)]);
    serving.await.unwrap();
}

#[tokio::test]
async fn what_an_association_was_lost_with_goes_again_alone() {
    let (server, listener) = ahead(4).await;
    let serving = TaskTracker::new().spawn(async move {
        let granted = Some(OperationsWindow { invoked: 4, performed: 1 });
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer::accept_granting(stream, granted).await.0;
        let mut came = unanswered(&mut peer, 4).await;
        let first = came.remove(0);
        peer.answer(first.answer(Status::SUCCESS.into())).await;
        drop(peer);
        let mut again = Vec::new();
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer::accept_granting(stream, granted).await.0;
        while let Some((request, _)) = next(&mut peer).await {
            let more = tokio::time::timeout(Duration::from_millis(100), peer.stream.readable()).await;
            assert!(more.is_err(), "each goes alone");
            again.push(request.affected_sop_instance_uid.clone());
            peer.answer(request.answer(Status::SUCCESS.into())).await;
        }
        let expected: Vec<_> = came.into_iter().map(|request| request.affected_sop_instance_uid).collect();
        assert_eq!(again, expected);
    });
    let responses = move_images(&server, "STORE", 4).await;
    assert_eq!(responses.last().unwrap(), &final_told(0, [4, 0, 0], &[]));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_destination_that_frees_its_one_place_late_gets_what_it_takes() {
    let (mut config, listener) = with_destination().await;
    config.move_associations = NonZeroUsize::MIN;
    let server = Server::with(config, 0).await;
    fill(&server, 4, 10).await;
    let serving = TaskTracker::new().spawn(async move {
        // It refuses what it is asked for first, is full for a moment, and takes everything then.
        for (refused, is_full) in [(&[IMPLICIT, EXPLICIT][..], false), (&[], true), (&[], false)] {
            let (stream, _) = listener.accept().await.unwrap();
            if is_full {
                Peer::reject(stream, AssociateRj::LOCAL_LIMIT).await;
                continue;
            }
            let mut peer = Peer::accept(stream, refused).await;
            while let Some((request, _)) = next(&mut peer).await {
                peer.answer(request.answer(Status::SUCCESS.into())).await;
            }
        }
    });
    let responses = move_images(&server, "STORE", 4).await;
    assert_eq!(responses.last().unwrap(), &final_told(0, [4, 0, 0], &[]));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_destination_that_is_not_there_fails_everything() {
    let (config, listener) = with_destination().await;
    drop(listener);
    let server = Server::with(config, 0).await;
    fill(&server, 300, 10).await;
    let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
    peer.send(1, move_rq(MOVE, "STORE"), Some(&of_images(1..=300))).await;
    let (command, data) = loop {
        let (command, data) = peer.message().await;
        if command.outcome().unwrap().status != Status::PENDING {
            break (command, data);
        }
    };
    let told = told(&command, &data);
    assert_eq!((told.status, told.counts), (0xA702, [None, Some(0), Some(300), Some(0)]));
    assert_eq!(told.failed.len(), 300);
    let comment = command.outcome().unwrap().error_comment.clone().unwrap();
    assert!(comment.as_str().starts_with("cannot connect to 127.0.0.1:"), "{comment}");
    peer.release().await;
}

#[tokio::test]
async fn a_cancel_ends_what_hangs_at_once() {
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 8, 10).await;
    let (mut came, tracker) =
        serve(listener, &[], |number| if number <= 2 { Deed::Answer(0) } else { Deed::Hang });
    let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
    peer.send(1, move_rq(MOVE, "STORE"), Some(&of_images(1..=8))).await;
    for _ in 0..4 {
        came.recv().await.unwrap();
    }
    // Meanwhile it goes on to say how far it is, about once a second.
    let mut pending = Vec::new();
    while pending.len() < 3 {
        let (command, data) = peer.message().await;
        pending.push(told(&command, &data));
    }
    assert_eq!(pending[2].counts, [Some(6), Some(2), Some(0), Some(0)]);
    let started = Instant::now();
    for cancelled in [4, 3] {
        peer.send(1, CCancelRq { message_id_being_responded_to: cancelled }, None).await;
    }
    let responses = responses(&mut peer).await;
    let last = responses.last().unwrap();
    assert_eq!((last.status, last.counts), (0xFE00, [Some(6), Some(2), Some(0), Some(0)]));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    peer.release().await;
    // The destination's associations are over: those that hang have seen it.
    drop(came);
    eventually(|| server.telemetry.render().contains("gantry_associations_open 0")).await;
    drop(tracker);
}

#[tokio::test]
async fn what_is_left_when_the_server_stops_is_listed() {
    const COUNT: u32 = 700;
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, COUNT, 10).await;
    // Two are answered, two hang.
    let (mut came, _tracker) =
        serve(listener, &[], |number| if number <= 2 { Deed::Answer(0) } else { Deed::Hang });
    let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
    peer.send(1, move_rq(MOVE, "STORE"), Some(&of_images(1..=COUNT))).await;
    for _ in 0..4 {
        came.recv().await.unwrap();
    }
    let (command, data) = loop {
        let (command, data) = peer.message().await;
        if told(&command, &data).counts[1] == Some(2) {
            server.shutdown.cancel();
        }
        if command.outcome().unwrap().status != Status::PENDING {
            break (command, data);
        }
    };
    let told = told(&command, &data);
    assert_eq!((told.status, told.counts), (0xB000, [None, Some(2), Some(698), Some(0)]));
    let listed: BTreeSet<_> = told.failed.iter().collect();
    assert_eq!((told.failed.len(), listed.len()), (698, 698), "each once");
    assert!(told.failed.iter().all(|uid| *uid != instance_uid(1) && *uid != instance_uid(2)));
}

#[tokio::test]
async fn one_that_hangs_is_waited_for_in_bounded_time() {
    let (mut config, listener) = with_destination().await;
    config.message_timeout = Duration::from_millis(300);
    let server = Server::with(config, 0).await;
    fill(&server, 30, 10).await;
    let (_came, _tracker) = serve(listener, &[], |_| Deed::Hang);
    let started = Instant::now();
    let responses = move_images(&server, "STORE", 30).await;
    let last = responses.last().unwrap();
    assert_eq!((last.status, last.counts), (0xA702, [None, Some(0), Some(30), Some(0)]));
    assert_eq!(last.failed.len(), 30);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_requestor_that_vanishes_ends_it() {
    let (config, listener) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 4, 10).await;
    let (mut came, _tracker) = serve(listener, &[], |_| Deed::Hang);
    let mut peer = Peer::associate(server.address, &[(MOVE, &[IMPLICIT])]).await;
    peer.send(1, move_rq(MOVE, "STORE"), Some(&of_images(1..=4))).await;
    came.recv().await.unwrap();
    drop(peer);
    eventually(|| server.telemetry.render().contains("gantry_associations_open 0")).await;
    assert!(server.counts(r#"gantry_retrieved_instances_total{service="c-move",outcome="remaining"} 4"#));
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "never came true");
        tokio::task::yield_now().await;
    }
}
