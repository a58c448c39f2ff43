use dimse::service::event_report::NEventReportRq;
use dimse::{ErrorComment, Status};
use model::commitment::{Reference, Report};
use model::element::put;
use model::syntax::Encoding;
use model::{AeTitle, SopClassUid, SopInstanceUid, Tag, TransactionUid, Vr, limits, sop};
use ul::pdu::RoleSelection;
use ul::{Event, negotiate};

use super::Server;
use super::peer::{EXPLICIT, Peer, request};

const COMMITMENT: &str = sop::STORAGE_COMMITMENT_PUSH_MODEL;

fn event_report() -> NEventReportRq {
    NEventReportRq {
        message_id: 3,
        affected_sop_class_uid: SopClassUid::lenient(COMMITMENT),
        affected_sop_instance_uid: SopInstanceUid::lenient(sop::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        event_type_id: Some(1),
    }
}

fn report(instances: usize) -> Vec<u8> {
    let reference = |number: usize| Reference {
        sop_class: SopClassUid::lenient("1.2").unwrap(),
        sop_instance: SopInstanceUid::lenient(&format!("1.2.{number}")).unwrap(),
    };
    let report = Report {
        transaction: TransactionUid::lenient("2.25.1").unwrap(),
        retrieve_ae_title: AeTitle::parse("PACS").unwrap(),
        committed: (0..instances).map(reference).collect(),
        failed: Vec::new(),
    };
    report.to_data_set(Encoding::ExplicitLittle)
}

/// The status of each report that cannot be taken, and the words that go with it.
#[tokio::test]
async fn what_tells_nothing_that_was_asked_has_its_status() {
    let server = Server::start().await;
    let mut rq = request("PEER", "GANTRY", &[(COMMITMENT, &[EXPLICIT])]);
    rq.roles = vec![RoleSelection { sop_class: COMMITMENT.to_owned(), scu: false, scp: true }];
    let (mut peer, event) = Peer::ask(server.address, rq.clone()).await;
    let Event::Associated(ac) = event else { panic!("{event:?}") };
    assert_eq!(ac.roles, rq.roles, "who reports is SCP");
    let good = report(1);
    let nameless = {
        let mut out = Vec::new();
        put(&mut out, Encoding::ExplicitLittle, Tag(0x0008, 0x0054), Vr::AE, b"PACS");
        out
    };
    let class = |uid| NEventReportRq { affected_sop_class_uid: SopClassUid::lenient(uid), ..event_report() };
    let instance =
        |uid| NEventReportRq { affected_sop_instance_uid: SopInstanceUid::lenient(uid), ..event_report() };
    for (request, data, status, words) in [
        (event_report(), &good[..], 0x0115, "Transaction UID is not one of ours"),
        (event_report(), &nameless, 0x0115, "Transaction UID is missing"),
        (event_report(), &report(20_001), 0x0213, "more than 20000 instances are told of"),
        (event_report(), &vec![0; limits::COMMITMENT_BYTES + 1], 0x0213, "data set is too large"),
        (
            event_report(),
            &good[..good.len() - 1],
            0x0110,
            "element (0008,1199) runs past the end of the data set",
        ),
        (class("1.2"), &good, 0x0118, "SOP class is not that of the presentation context"),
        (instance("1.2"), &good, 0x0112, "the one instance is 1.2.840.10008.1.20.1.1"),
        (
            NEventReportRq { event_type_id: Some(3), ..event_report() },
            &good,
            0x0113,
            "Event Type ID is 1 or 2",
        ),
    ] {
        peer.send(1, request, Some(data)).await;
        let outcome = peer.outcome().await;
        let said = outcome.error_comment.as_ref().map(ErrorComment::as_str);
        assert_eq!((outcome.status, said), (Status(status), Some(words)));
    }
    peer.release().await;
}

#[tokio::test]
async fn who_says_nothing_of_roles_may_report_too() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[(COMMITMENT, &[EXPLICIT])]).await;
    peer.send(1, event_report(), Some(&report(1))).await;
    assert_eq!(peer.status().await, 0x0115);
    peer.release().await;
}

#[tokio::test]
async fn nobody_else_may_be_scp_of_what_we_provide() {
    let server = Server::start().await;
    let mut rq = request("PEER", "GANTRY", &[(sop::VERIFICATION, &[EXPLICIT])]);
    rq.roles = vec![RoleSelection { sop_class: sop::VERIFICATION.to_owned(), scu: false, scp: true }];
    let (_, event) = Peer::ask(server.address, rq).await;
    let Event::Associated(ac) = event else { panic!("{event:?}") };
    assert!(ac.roles.is_empty(), "{:?}", ac.roles);
    assert_ne!(
        crate::scp::service(COMMITMENT).map(|service| service.negotiated_as()),
        Some(negotiate::Service::Reads)
    );
}
