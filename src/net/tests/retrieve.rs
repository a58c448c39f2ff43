//! What the tests of C-MOVE and C-GET share, and what both of them refuse.

use dimse::service::get::CGetRq;
use dimse::service::move_::CMoveRq;
use dimse::service::retrieve::SubOperations;
use dimse::{Command, Outcome};
use model::element::put;
use model::header::Header;
use model::syntax::{self, Encoding};
use model::{AeTitle, PeerName, SopClassUid, Tag, Vr, scan, sop};
use tokio::net::TcpListener;

use super::peer::{EXPLICIT, IMPLICIT, Peer, store};
use super::{CT, Server, config, image, image_in, instance_uid};
use crate::config::{Config, Peer as Known};

pub(super) const LEVEL: Tag = Tag(0x0008, 0x0052);
pub(super) const STUDY_UID: Tag = Tag(0x0020, 0x000D);
const FAILED: Tag = Tag(0x0008, 0x0058);

pub(super) type Keys<'a> = &'a [(Tag, Vr, &'a [u8])];

pub(super) fn identifier(encoding: Encoding, keys: Keys<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, vr, value) in keys {
        put(&mut out, encoding, *tag, *vr, value);
    }
    out
}

/// An identifier in Implicit VR that asks for the studies of these images.
pub(super) fn of_images(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let uids: Vec<String> = numbers.into_iter().map(|number| format!("1.2.3.{number}")).collect();
    let uids = uids.join("\\");
    let keys: Keys<'_> = &[(LEVEL, Vr::CS, b"STUDY"), (STUDY_UID, Vr::UI, uids.as_bytes())];
    identifier(Encoding::ImplicitLittle, keys)
}

/// Takes the images from 1 to `count`; every third is kept in Implicit VR.
pub(super) async fn fill(server: &Server, count: u32, pixel_bytes: usize) {
    let mut peer = Peer::associate(server.address, &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])]).await;
    for number in 1..=count {
        let (context_id, data) = kept(number, pixel_bytes);
        peer.send(context_id, store(CT, &instance_uid(number)), Some(&data)).await;
        assert_eq!(peer.status().await, 0);
    }
    peer.release().await;
}

/// How [`fill`] keeps an image: the context, and the data set.
pub(super) fn kept(number: u32, pixel_bytes: usize) -> (u8, Vec<u8>) {
    if is_implicit(number) {
        (3, image_in(Encoding::ImplicitLittle, number, pixel_bytes))
    } else {
        (1, image(number, pixel_bytes))
    }
}

pub(super) fn is_implicit(number: u32) -> bool {
    number.is_multiple_of(3)
}

/// A configuration that knows a listener as `STORE`.
pub(super) async fn with_destination() -> (Config, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.peers.push(known("store", "STORE", &listener.local_addr().unwrap().to_string()));
    (config, listener)
}

pub(super) fn known(name: &str, title: &str, address: &str) -> Known {
    Known {
        name: PeerName::new(name),
        ae_title: AeTitle::parse(title).unwrap(),
        address: address.to_owned(),
        from: Vec::new(),
        as_caller: Default::default(),
        as_called: Default::default(),
    }
}

/// What a response to a C-MOVE or C-GET says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) status: u16,
    /// Remaining, completed, failed, warning.
    pub(super) counts: [Option<u16>; 4],
    pub(super) failed: Vec<String>,
}

pub(super) fn told(command: &Command, data: &[u8]) -> Told {
    let (outcome, sub_operations) = match command {
        Command::CGetRsp(response) => (&response.outcome, response.sub_operations),
        Command::CMoveRsp(response) => (&response.outcome, response.sub_operations),
        other => panic!("{other:?}"),
    };
    let SubOperations { remaining, completed, failed, warning } = sub_operations;
    let failed_uids = command.has_data_set().then(|| {
        let listed: Header = scan::scan(syntax::form(IMPLICIT), data).unwrap();
        assert_eq!(listed.elements().count(), 1);
        listed.text(FAILED).unwrap().split('\\').map(str::to_owned).collect()
    });
    Told {
        status: outcome.status.0,
        counts: [remaining, completed, failed, warning],
        failed: failed_uids.unwrap_or_default(),
    }
}

pub(super) fn final_told(status: u16, counts: [u16; 3], failed: &[u32]) -> Told {
    let [completed, failed_count, warning] = counts.map(Some);
    Told {
        status,
        counts: [None, completed, failed_count, warning],
        failed: failed.iter().map(|number| instance_uid(*number)).collect(),
    }
}

pub(super) fn get_rq(class: &str) -> CGetRq {
    CGetRq { message_id: 3, affected_sop_class_uid: SopClassUid::lenient(class) }
}

pub(super) fn move_rq(class: &str, destination: &str) -> CMoveRq {
    CMoveRq {
        message_id: 3,
        affected_sop_class_uid: SopClassUid::lenient(class),
        destination: AeTitle::parse(destination).ok(),
    }
}

#[tokio::test]
async fn refuses_what_names_nothing() {
    let (config, _destination) = with_destination().await;
    let server = Server::with(config, 0).await;
    fill(&server, 1, 10).await;
    let large = vec![b'1'; 2 << 20];
    let study = (LEVEL, Vr::CS, &b"STUDY"[..]);
    let (patient_id, series, instance) = (Tag(0x0010, 0x0020), Tag(0x0020, 0x000E), Tag(0x0008, 0x0018));
    let cases: &[(bool, Keys<'_>, u16, Option<Tag>)] = &[
        (false, &[(STUDY_UID, Vr::UI, b"1.2.3.1")], 0xA900, Some(LEVEL)),
        (false, &[(LEVEL, Vr::CS, b"PATIENT"), (patient_id, Vr::LO, b"ID1")], 0xA900, Some(LEVEL)),
        (true, &[(LEVEL, Vr::CS, b"SLICE"), (STUDY_UID, Vr::UI, b"1.2.3.1")], 0xA900, Some(LEVEL)),
        (true, &[(LEVEL, Vr::CS, b"PATIENT")], 0xA900, Some(patient_id)),
        (false, &[study], 0xA900, Some(STUDY_UID)),
        (false, &[study, (STUDY_UID, Vr::UI, b"1.2.3.*")], 0xA900, Some(STUDY_UID)),
        (
            false,
            &[(instance, Vr::UI, b"1.2.3.1.1.1"), study, (STUDY_UID, Vr::UI, b"1.2.3.1")],
            0xA900,
            Some(instance),
        ),
        (true, &[(LEVEL, Vr::CS, b"SERIES"), (STUDY_UID, Vr::UI, b"1.2.3.1")], 0xA900, Some(series)),
        (true, &[study, (STUDY_UID, Vr::UI, &large)], 0xC000, None),
    ];
    for (is_patient_root, keys, status, offending) in cases {
        let (get, relay) = if *is_patient_root {
            (sop::PATIENT_ROOT_GET, sop::PATIENT_ROOT_MOVE)
        } else {
            (sop::STUDY_ROOT_GET, sop::STUDY_ROOT_MOVE)
        };
        let mut peer = Peer::associate(server.address, &[(get, &[IMPLICIT]), (relay, &[IMPLICIT])]).await;
        let data = identifier(Encoding::ImplicitLittle, keys);
        for is_move in [false, true] {
            if is_move {
                peer.send(3, move_rq(relay, "STORE"), Some(&data)).await;
            } else {
                peer.send(1, get_rq(get), Some(&data)).await;
            }
            let (answer, identifier) = peer.message().await;
            let told = told(&answer, &identifier);
            assert_eq!(told, Told { status: *status, counts: [None; 4], failed: Vec::new() });
            let Outcome { offending_elements, error_comment, .. } = answer.outcome().unwrap();
            assert_eq!(*offending_elements, Vec::from_iter(*offending));
            assert!(error_comment.is_some(), "{answer:?}");
        }
        peer.send(1, get_rq(relay), Some(&of_images([1]))).await;
        assert_eq!(peer.status().await, 0x0122, "the class is that of another context");
        peer.send(3, get_rq(relay), Some(&of_images([1]))).await;
        assert_eq!(peer.status().await, 0x0122, "the context is that of another service");
        peer.send(3, move_rq(relay, "STORE"), Some(&[1, 2, 3])).await;
        assert_eq!(peer.status().await, 0xC000, "an unreadable identifier");
        peer.release().await;
    }
}

#[tokio::test]
async fn what_takes_in_nothing_succeeds_at_once() {
    let (config, _destination) = with_destination().await;
    let server = Server::with(config, 0).await;
    let services = [(sop::STUDY_ROOT_GET, &[IMPLICIT][..]), (sop::STUDY_ROOT_MOVE, &[IMPLICIT])];
    let mut peer = Peer::associate(server.address, &services).await;
    peer.send(1, get_rq(sop::STUDY_ROOT_GET), Some(&of_images([1]))).await;
    let (answer, data) = peer.message().await;
    assert_eq!(told(&answer, &data), final_told(0x0000, [0, 0, 0], &[]));
    peer.send(3, move_rq(sop::STUDY_ROOT_MOVE, "STORE"), Some(&of_images([1]))).await;
    let (answer, data) = peer.message().await;
    assert_eq!(told(&answer, &data), final_told(0x0000, [0, 0, 0], &[]));
    peer.release().await;
}
