//! Instances that are sent before the first is answered.

use std::num::NonZeroUsize;
use std::sync::Arc;

use dimse::service::store::CStoreRq;
use dimse::{Command, Status};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use ul::Event;
use ul::pdu::OperationsWindow;

use super::peer::{EXPLICIT, Peer};
use super::send::{file, settings, target};
use super::{CT, Server, image};
use crate::Error;
use crate::scu::{Instance, Outcome, Target, send_all};

/// Sends so many instances, so many of them ahead; what was reported, by index.
async fn send(target: &Target, ahead: u16, count: u32) -> Vec<Result<Outcome, Arc<Error>>> {
    let folder = tempfile::tempdir().unwrap();
    let instances: Vec<Instance> =
        (1..=count).map(|number| file(folder.path(), number, CT, EXPLICIT, &image(number, 100))).collect();
    let mut target = target.clone();
    target.terms.ahead = ahead;
    let mut reports = Vec::new();
    send_all(&target, &settings(), instances, NonZeroUsize::MIN, |index, result| {
        reports.push((index, result));
    })
    .await;
    reports.sort_by_key(|(index, _)| *index);
    assert_eq!(reports.len(), count as usize);
    reports.into_iter().map(|(_, result)| result).collect()
}

/// The next so many requests, none of which has been answered.
async fn requests(peer: &mut Peer, count: usize) -> Vec<CStoreRq> {
    let mut requests = Vec::new();
    for _ in 0..count {
        let (Command::CStoreRq(request), _) = peer.message().await else { panic!("no C-STORE") };
        requests.push(request);
    }
    requests
}

async fn answer(peer: &mut Peer, request: &CStoreRq, status: Status) {
    peer.answer(request.clone().answer(status.into())).await;
}

fn statuses(reports: &[Result<Outcome, Arc<Error>>]) -> Vec<Option<u16>> {
    reports.iter().map(|report| report.as_ref().ok().map(|outcome| outcome.status.0)).collect()
}

#[tokio::test]
async fn as_many_go_ahead_as_the_peer_grants_and_answers_may_come_in_any_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let peer = TaskTracker::new().spawn(async move {
        let window = OperationsWindow { invoked: 3, performed: 1 };
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, asked) = Peer::accept_granting(stream, Some(window)).await;
        assert_eq!(asked, Some(OperationsWindow { invoked: 8, performed: 1 }));
        let first = requests(&mut peer, 3).await;
        answer(&mut peer, &first[2], Status(0xA700)).await;
        answer(&mut peer, &first[0], Status::SUCCESS).await;
        let next = requests(&mut peer, 1).await;
        answer(&mut peer, &first[1], Status::SUCCESS).await;
        let last = requests(&mut peer, 1).await;
        answer(&mut peer, &last[0], Status(0xB000)).await;
        answer(&mut peer, &next[0], Status::SUCCESS).await;
        assert_eq!(peer.event().await, Event::ReleaseRequested);
    });
    let reports = send(&target, 8, 5).await;
    assert_eq!(statuses(&reports), [Some(0), Some(0), Some(0xA700), Some(0), Some(0xB000)]);
    peer.await.unwrap();
}

#[tokio::test]
async fn nothing_goes_ahead_unless_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let peer = TaskTracker::new().spawn(async move {
        for ahead in [8, 1] {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut peer, asked) = Peer::accept_granting(stream, None).await;
            assert_eq!(asked.is_some(), ahead > 1);
            for _ in 0..3 {
                let request = requests(&mut peer, 1).await;
                answer(&mut peer, &request[0], Status::SUCCESS).await;
            }
            assert_eq!(peer.event().await, Event::ReleaseRequested);
        }
    });
    for ahead in [8, 1] {
        assert_eq!(statuses(&send(&target, ahead, 3).await), [Some(0); 3]);
    }
    peer.await.unwrap();
}

#[tokio::test]
async fn what_was_not_answered_goes_out_again_and_a_stray_answer_ends_the_association() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let peer = TaskTracker::new().spawn(async move {
        let window = Some(OperationsWindow { invoked: 0, performed: 1 });
        let (mut peer, _) = Peer::accept_granting(listener.accept().await.unwrap().0, window).await;
        let first = requests(&mut peer, 4).await;
        answer(&mut peer, &first[1], Status::SUCCESS).await;
        answer(&mut peer, &first[1], Status::SUCCESS).await;
        let (mut again, _) = Peer::accept_granting(listener.accept().await.unwrap().0, window).await;
        let mut rest = Vec::new();
        for _ in 0..3 {
            rest.extend(requests(&mut again, 1).await);
            answer(&mut again, rest.last().unwrap(), Status::SUCCESS).await;
        }
        let instances = |requests: &[CStoreRq]| -> Vec<String> {
            requests.iter().map(|rq| rq.affected_sop_instance_uid.as_ref().unwrap().to_string()).collect()
        };
        assert_eq!(instances(&rest), [0, 2, 3].map(|at| instances(&first)[at].clone()));
        assert_eq!(again.event().await, Event::ReleaseRequested);
    });
    assert_eq!(statuses(&send(&target, 4, 4).await), [Some(0); 4]);
    peer.await.unwrap();
}

#[tokio::test]
async fn one_instance_that_a_peer_aborts_on_takes_no_other_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(listener.local_addr().unwrap());
    let peer = TaskTracker::new().spawn(async move {
        let window = Some(OperationsWindow { invoked: 0, performed: 1 });
        let (mut peer, _) = Peer::accept_granting(listener.accept().await.unwrap().0, window).await;
        let poison = requests(&mut peer, 4).await.remove(1).affected_sop_instance_uid;
        drop(peer);
        let mut answered = 0;
        while answered < 3 {
            let (mut peer, _) = Peer::accept_granting(listener.accept().await.unwrap().0, window).await;
            while answered < 3 {
                let request = requests(&mut peer, 1).await.remove(0);
                if request.affected_sop_instance_uid == poison {
                    break;
                }
                answer(&mut peer, &request, Status::SUCCESS).await;
                answered += 1;
            }
            if answered == 3 {
                assert_eq!(peer.event().await, Event::ReleaseRequested);
            }
        }
    });
    assert_eq!(statuses(&send(&target, 4, 4).await), [Some(0), None, Some(0), Some(0)]);
    peer.await.unwrap();
}

#[tokio::test]
async fn we_grant_what_we_take() {
    let server = Server::start().await;
    let reports = send(&target(server.address), 16, 40).await;
    assert_eq!(statuses(&reports), [Some(0); 40]);
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 40"#));
    assert!(server.counts(r#"gantry_associations_total{role="acceptor",end="released"} 1"#));
}
