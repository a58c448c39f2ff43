//! C-GET, asked by a peer that takes what is sent on the same association.

use dimse::service::find::CCancelRq;
use dimse::service::store::CStoreRq;
use dimse::{Command, Status};
use model::sop;
use model::syntax::Encoding;
use ul::Event;
use ul::pdu::{Abort, RoleSelection};

use super::commitment::{COMMITMENT, action, request as commitment_of};
use super::peer::{EXPLICIT, IMPLICIT, Peer, Proposal, request, store};
use super::retrieve::{Told, fill, final_told, get_rq, is_implicit, kept, of_images, told};
use super::{CT, MR, Server, image, instance_uid};

const GET: &str = sop::STUDY_ROOT_GET;
const MPEG4: &str = "1.2.840.10008.1.2.4.102";

/// Associates with the service as context 1 and these contexts from 3 on, CT in the given roles.
async fn associate(server: &Server, contexts: &[Proposal<'_>], scu: bool, scp: bool) -> Peer {
    let proposals = [&[(GET, &[IMPLICIT][..])], contexts].concat();
    let mut rq = request("PEER", "GANTRY", &proposals);
    rq.roles = vec![RoleSelection { sop_class: CT.to_owned(), scu, scp }];
    let (peer, event) = Peer::ask(server.address, rq).await;
    assert!(matches!(event, Event::Associated(_)), "{event:?}");
    peer
}

/// Answers each C-STORE as `answer` says, until the final response: the pending ones and the final one, and the number and data set
/// of each instance that came.
async fn take(peer: &mut Peer, mut answer: impl FnMut(u32) -> u16) -> (Vec<Told>, Vec<(u32, Vec<u8>)>) {
    let (mut responses, mut taken) = (Vec::new(), Vec::new());
    loop {
        let (command, data) = peer.message().await;
        if let Command::CStoreRq(request) = command {
            let number = number(&request);
            assert_eq!(request.affected_sop_class_uid.as_ref().unwrap().as_str(), CT);
            assert_eq!(request.move_originator, None);
            let status = Status(answer(number));
            taken.push((number, data));
            peer.answer(request.answer(status.into())).await;
        } else {
            let told = told(&command, &data);
            let is_final = told.status != 0xFF00;
            responses.push(told);
            if is_final {
                return (responses, taken);
            }
        }
    }
}

/// Stores an image that is said to be in another transfer syntax.
async fn store_as(server: &Server, number: u32, transfer_syntax: &str) {
    let mut peer = Peer::associate(server.address, &[(CT, &[transfer_syntax])]).await;
    peer.send(1, store(CT, &instance_uid(number)), Some(&image(number, 10))).await;
    assert_eq!(peer.status().await, 0);
    peer.release().await;
}

fn number(request: &CStoreRq) -> u32 {
    let uid = request.affected_sop_instance_uid.as_ref().unwrap().as_str();
    let number = uid.strip_prefix("1.2.3.").unwrap().split('.').next().unwrap().parse().unwrap();
    assert_eq!(uid, instance_uid(number));
    number
}

#[tokio::test]
async fn sends_each_instance_bit_by_bit_on_the_context_that_fits() {
    let server = Server::start().await;
    // Above 1 MiB a data set is read in chunks of 262,144 bytes.
    fill(&server, 7, 1_300_000).await;
    let contexts: &[Proposal<'_>] = &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])];
    for (scu, scp) in [(false, true), (true, true)] {
        let mut peer = associate(&server, contexts, scu, scp).await;
        for _ in 0..2 {
            peer.send(1, get_rq(GET), Some(&of_images(1..=7))).await;
            let (responses, taken) = take(&mut peer, |_| 0).await;
            assert_eq!(taken.len(), 7);
            for (number, data) in taken {
                assert!(data == kept(number, 1_300_000).1, "{number}");
            }
            let (last, pending) = responses.split_last().unwrap();
            assert_eq!(*last, final_told(0x0000, [7, 0, 0], &[]));
            assert_eq!(pending[0].counts, [Some(6), Some(1), Some(0), Some(0)]);
        }
        peer.release().await;
    }
    assert!(server.counts(r#"gantry_retrieve_seconds_count{service="c-get",level="study"} 4"#));
    assert!(server.counts(r#"gantry_retrieved_instances_total{service="c-get",outcome="completed"} 28"#));
}

#[tokio::test]
async fn what_no_context_takes_is_transcoded_and_what_is_not_taken_fails_by_itself() {
    let server = Server::start().await;
    fill(&server, 7, 10).await;
    store_as(&server, 8, MPEG4).await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=8))).await;
    let answer = |number| match number {
        2 => 0xA700,
        4 => 0xB000,
        _ => 0,
    };
    let (responses, taken) = take(&mut peer, answer).await;
    assert_eq!(taken.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(is_implicit(3) && is_implicit(6));
    for (number, data) in taken {
        assert!(data == image(number, 10), "{number}");
    }
    assert_eq!(*responses.last().unwrap(), final_told(0xB000, [5, 2, 1], &[2, 8]));
    peer.release().await;
    assert!(server.has_no_copies());
}

#[tokio::test]
async fn a_file_that_has_changed_fails_by_itself() {
    let server = Server::start().await;
    fill(&server, 4, 1_300_000).await;
    for (number, change) in [(1, File::Cut), (2, File::Flipped)] {
        let study = model::StudyInstanceUid::lenient(&format!("1.2.3.{number}")).unwrap();
        let scope = model::Scope { study, series: None, instance: None };
        let stored = server.pipeline.instances(&scope, None).await.unwrap().rows.remove(0);
        let mut bytes = std::fs::read(&stored.path).unwrap();
        match change {
            File::Cut => bytes.truncate(400_000),
            File::Flipped => *bytes.last_mut().unwrap() ^= 1,
        }
        std::fs::write(&stored.path, bytes).unwrap();
    }
    let mut peer = associate(&server, &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=4))).await;
    let (responses, taken) = take(&mut peer, |_| 0).await;
    assert!(taken.iter().all(|(number, data)| *data == kept(*number, 1_300_000).1) && taken.len() == 2);
    assert_eq!(*responses.last().unwrap(), final_told(0xB000, [2, 2, 0], &[1, 2]));
    peer.release().await;
}

enum File {
    Cut,
    Flipped,
}

#[tokio::test]
async fn without_any_success_it_is_refused() {
    let server = Server::start().await;
    fill(&server, 2, 10).await;
    for (contexts, scu, scp) in [
        (&[(CT, &[EXPLICIT][..])][..], true, false),
        (&[(CT, &[MPEG4])], false, true),
        (&[(MR, &[EXPLICIT])], false, true),
        (&[], true, true),
    ] {
        let mut peer = associate(&server, contexts, scu, scp).await;
        peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
        let (command, data) = peer.message().await;
        assert_eq!(told(&command, &data), final_told(0xA702, [0, 2, 0], &[1, 2]));
        let comment = command.outcome().unwrap().error_comment.as_ref().unwrap().as_str();
        assert!(comment.starts_with("the requestor is SCP of no") || comment.contains("takes no CT Image"));
        peer.release().await;
    }
}

#[tokio::test]
async fn who_is_no_scu_may_not_store() {
    let server = Server::start().await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
    peer.send(3, store(CT, &instance_uid(1)), Some(&image(1, 10))).await;
    assert_eq!(peer.status().await, 0x0122);
    peer.release().await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], true, true).await;
    peer.send(3, store(CT, &instance_uid(1)), Some(&image(1, 10))).await;
    assert_eq!(peer.status().await, 0x0000);
    peer.release().await;
}

#[tokio::test]
async fn a_cancel_ends_it_between_instances() {
    let server = Server::start().await;
    fill(&server, 5, 10).await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])], false, true).await;
    // A cancel of something else changes nothing; one may come before the answer to an instance, or behind it.
    for (cancelled, before, expected) in [(4, true, 5), (3, true, 1), (3, false, 1)] {
        peer.send(1, get_rq(GET), Some(&of_images(1..=5))).await;
        let (command, _) = peer.message().await;
        let Command::CStoreRq(request) = command else { panic!("{command:?}") };
        let cancel = Command::from(CCancelRq { message_id_being_responded_to: cancelled }).to_bytes();
        let answer = Command::from(request.answer(Status::SUCCESS.into())).to_bytes();
        let messages = if before { [(1, cancel), (3, answer)] } else { [(3, answer), (1, cancel)] };
        for (context_id, message) in messages {
            peer.association.send(context_id, true, &message).unwrap();
        }
        peer.flush().await;
        let (responses, _) = take(&mut peer, |_| 0).await;
        let last = responses.last().unwrap();
        if expected == 5 {
            assert_eq!(*last, final_told(0x0000, [5, 0, 0], &[]));
        } else {
            assert_eq!(last.status, 0xFE00);
            assert_eq!(last.counts, [Some(4), Some(1), Some(0), Some(0)]);
        }
    }
    peer.release().await;
    assert!(server.counts(r#"gantry_retrieved_instances_total{service="c-get",outcome="remaining"} 8"#));
}

#[tokio::test]
async fn an_answer_that_is_none_ends_the_association() {
    let server = Server::start().await;
    fill(&server, 2, 10).await;
    for wrong in [true, false] {
        let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
        peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
        let (command, _) = peer.message().await;
        let Command::CStoreRq(mut request) = command else { panic!("{command:?}") };
        if wrong {
            request.message_id += 1;
            peer.answer(request.answer(Status::SUCCESS.into())).await;
        } else {
            peer.send(1, get_rq(GET), Some(&of_images([1]))).await;
        }
        assert_eq!(peer.event().await, Event::Aborted(Abort::user()));
    }
    // One that vanishes leaves the server as it was.
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
    peer.message().await;
    drop(peer);
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
    let (responses, _) = take(&mut peer, |_| 0).await;
    assert_eq!(*responses.last().unwrap(), final_told(0x0000, [2, 0, 0], &[]));
}

#[tokio::test]
async fn takes_page_after_page() {
    const COUNT: u32 = 300;
    let server = Server::start().await;
    fill(&server, COUNT, 10).await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=COUNT))).await;
    let (responses, taken) = take(&mut peer, |_| 0).await;
    let mut numbers: Vec<u32> = taken.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
    assert_eq!(*responses.last().unwrap(), final_told(0x0000, [300, 0, 0], &[]));
    peer.release().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let server = Server::start().await;
    fill(&server, 2, 10).await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT])], false, true).await;
    peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
    let (command, _) = peer.message().await;
    server.shutdown.cancel();
    let Command::CStoreRq(request) = command else { panic!("{command:?}") };
    peer.answer(request.answer(Status::SUCCESS.into())).await;
    let (responses, _) = take(&mut peer, |_| 0).await;
    assert_eq!(*responses.last().unwrap(), final_told(0xB000, [1, 1, 0], &[2]));
}

#[tokio::test]
async fn the_answer_to_a_report_may_come_in_the_middle() {
    let server = Server::start().await;
    fill(&server, 2, 10).await;
    let mut peer = associate(&server, &[(CT, &[EXPLICIT]), (COMMITMENT, &[EXPLICIT])], true, true).await;
    let asked = commitment_of("2.25.1", &[(CT, 1)]).to_data_set(Encoding::ExplicitLittle);
    peer.send(5, action(), Some(&asked)).await;
    assert_eq!(peer.status().await, 0);
    let (command, _) = peer.message().await;
    let Command::NEventReportRq(report) = command else { panic!("{command:?}") };
    peer.send(1, get_rq(GET), Some(&of_images(1..=2))).await;
    let (command, _) = peer.message().await;
    let Command::CStoreRq(request) = command else { panic!("{command:?}") };
    peer.send(5, report.answer(Status::SUCCESS.into()), None).await;
    peer.send(3, request.answer(Status::SUCCESS.into()), None).await;
    let (responses, _) = take(&mut peer, |_| 0).await;
    assert_eq!(*responses.last().unwrap(), final_told(0x0000, [2, 0, 0], &[]));
    peer.release().await;
    assert!(server.counts(r#"gantry_commitment_reports_total{outcome="delivered"} 1"#));
}
