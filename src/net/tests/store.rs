use model::element::put;
use model::syntax::Encoding;
use model::{Scope, StudyInstanceUid, Tag, Vr};
use ul::Event;

use super::peer::{EXPLICIT, Peer, store};
use super::{CT, MR, Server, image, instance_uid};

const CONTEXTS: &[(&str, &[&str])] = &[(CT, &[EXPLICIT])];

/// The data set that is stored for `image(number, …)`.
async fn stored(server: &Server, number: u32) -> Option<Vec<u8>> {
    let study = StudyInstanceUid::parse(&format!("1.2.3.{number}")).unwrap();
    let scope = Scope { study, series: None, instance: None };
    let page = server.pipeline.instances(&scope, None).await.ok()?;
    let [instance] = &page.rows[..] else { panic!("{} instances", page.rows.len()) };
    let file = std::fs::read(&instance.path).unwrap();
    Some(file[usize::try_from(instance.data_offset).unwrap()..].to_vec())
}

#[tokio::test]
async fn keeps_the_bytes_whatever_the_fragments() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, CONTEXTS).await;
    for (number, (pixel_bytes, fragment)) in
        (1..).zip([(0, 1), (2_000, 1), (2_000, 7), (30_000, 16_378), (600_000, 131_066), (700_000, 5_000)])
    {
        let data = image(number, pixel_bytes);
        let mut wire = command_pdu(number);
        for part in data.chunks(fragment) {
            wire.extend(ul::pdata::header(1, false, false, u32::try_from(part.len()).unwrap()));
            wire.extend(part);
        }
        // Some peers close a data set with an empty fragment.
        wire.extend(ul::pdata::header(1, false, true, 0));
        peer.write(&wire).await;
        assert_eq!(peer.status().await, 0x0000);
        assert!(stored(&server, number).await.unwrap() == data, "{number}");
    }
    peer.release().await;
}

#[tokio::test]
async fn keeps_the_bytes_of_several_fragments_in_one_pdu() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, CONTEXTS).await;
    let data = image(1, 300_000);
    let mut wire = command_pdu(1);
    let parts: Vec<&[u8]> = data.chunks(30_001).collect();
    for (at, parts_of_pdu) in parts.chunks(3).enumerate() {
        let mut pdu: Vec<u8> = Vec::new();
        for (within, part) in parts_of_pdu.iter().enumerate() {
            let is_last = at * 3 + within + 1 == parts.len();
            // The PDV's own header is the end of what precedes a PDU of one.
            let header = ul::pdata::header(1, false, is_last, u32::try_from(part.len()).unwrap());
            pdu.extend(&header[6..]);
            pdu.extend(*part);
        }
        wire.extend([4, 0]);
        wire.extend(u32::try_from(pdu.len()).unwrap().to_be_bytes());
        wire.extend(pdu);
    }
    peer.write(&wire).await;
    assert_eq!(peer.status().await, 0x0000);
    assert!(stored(&server, 1).await.unwrap() == data);
}

#[tokio::test]
async fn refuses_with_the_status_that_says_why_and_goes_on() {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, CONTEXTS).await;
    let good = image(1, 400_000);
    let cut = &good[..good.len() - 3];
    let without_study = {
        let mut out = Vec::new();
        for (element, value) in [(0x0016, CT), (0x0018, "1.2.3.1.1.1")] {
            put(&mut out, Encoding::ExplicitLittle, Tag(0x0008, element), Vr::UI, value.as_bytes());
        }
        out
    };
    let uid = instance_uid(1);
    for (class, instance, data, expected, comment) in [
        (MR, uid.as_str(), &good[..], 0x0122, "SOP class is not that of the presentation context"),
        ("", &uid, &good, 0x0122, "SOP class is not that of the presentation context"),
        (CT, "", &good, 0xC000, "Affected SOP Instance UID is missing"),
        (CT, "1.2.999", &good, 0xA900, "SOP Instance UID of the command is not that of the data set"),
        (CT, &uid, cut, 0xC000, "element (7FE0,0010) runs past the end of the data set"),
        (CT, &uid, &without_study, 0xC000, "Study Instance UID is missing"),
        (CT, &uid, b"", 0xC000, ""),
    ] {
        peer.send(1, store(class, instance), Some(data)).await;
        let outcome = peer.outcome().await;
        assert_eq!(outcome.status.0, expected);
        let found = outcome.error_comment.map(|comment| comment.to_string()).unwrap_or_default();
        assert!(found.contains(comment) && !found.is_empty(), "{found}");
        assert_eq!(stored(&server, 1).await, None);
    }
    for _ in 0..2 {
        peer.send(1, store(CT, &uid), Some(&good)).await;
        assert_eq!(peer.status().await, 0x0000, "a duplicate is a success");
    }
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 1"#));
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="duplicate"} 1"#));
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="mismatch"} 3"#));
    peer.release().await;
}

#[tokio::test]
async fn without_space_the_data_set_is_drained() {
    let server = Server::with(super::config(), u64::MAX).await;
    let mut peer = Peer::associate(server.address, CONTEXTS).await;
    for _ in 0..2 {
        peer.send(1, store(CT, &instance_uid(1)), Some(&image(1, 3_000_000))).await;
        let outcome = peer.outcome().await;
        assert_eq!(outcome.status.0, 0xA700);
        assert_eq!(outcome.error_comment.unwrap().as_str(), "not enough disk space");
    }
    peer.release().await;
}

#[tokio::test]
async fn a_peer_that_breaks_off_leaves_nothing_behind() {
    let server = Server::start().await;
    let whole = image(1, 900_000);
    for cut in [10, 400_000] {
        let mut peer = Peer::associate(server.address, CONTEXTS).await;
        peer.write(&command_pdu(1)).await;
        for part in whole[..cut].chunks(100_000) {
            peer.write(&ul::pdata::header(1, false, false, u32::try_from(part.len()).unwrap())).await;
            peer.write(part).await;
        }
        // A release in the middle of a message ends the association; the message never was.
        peer.association.release().unwrap();
        peer.flush().await;
        assert_eq!(peer.event().await, Event::Released);
        assert_eq!(stored(&server, 1).await, None);
    }
    let mut peer = Peer::associate(server.address, CONTEXTS).await;
    peer.send(1, store(CT, &instance_uid(1)), Some(&whole)).await;
    assert_eq!(peer.status().await, 0x0000);
}

/// A C-STORE-RQ for `image(number, …)`, ready for the wire.
fn command_pdu(number: u32) -> Vec<u8> {
    let command = dimse::Command::from(store(CT, &instance_uid(number))).to_bytes();
    let header = ul::pdata::header(1, true, true, u32::try_from(command.len()).unwrap());
    [&header[..], &command].concat()
}
