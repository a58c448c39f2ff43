use dimse::service::echo::CEchoRq;
use dimse::service::find::{CCancelRq, CFindRq};
use dimse::{Command, Status};
use model::element::{put, put_item};
use model::header::Header;
use model::syntax::{self, Encoding};
use model::{SopClassUid, Tag, Vr, limits, scan, sop};
use ul::Event;
use ul::pdu::ExtendedNegotiation;

use super::peer::{EXPLICIT, IMPLICIT, Peer, request, store};
use super::{CT, Server, image, instance_uid};

const LEVEL: Tag = Tag(0x0008, 0x0052);
const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
const STUDY_UID: Tag = Tag(0x0020, 0x000D);

const CODES: Tag = Tag(0x0008, 0x1032);

type Keys<'a> = &'a [(Tag, Vr, &'a [u8])];

fn identifier(encoding: Encoding, keys: Keys<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, vr, value) in keys {
        put(&mut out, encoding, *tag, *vr, value);
    }
    out
}

fn find(class: &str) -> CFindRq {
    CFindRq { message_id: 3, affected_sop_class_uid: SopClassUid::lenient(class) }
}

async fn with_images(count: u32) -> Server {
    let server = Server::start().await;
    let mut peer = Peer::associate(server.address, &[(CT, &[EXPLICIT])]).await;
    for number in 1..=count {
        peer.send(1, store(CT, &instance_uid(number)), Some(&image(number, 10))).await;
        assert_eq!(peer.status().await, 0);
    }
    peer.release().await;
    server
}

/// All responses to a query on context 1 in `transfer_syntax`: the matches, and the final status.
async fn answers(
    server: &Server,
    class: &str,
    transfer_syntax: &str,
    data: &[u8],
) -> (Vec<(Status, Header)>, Command) {
    let mut peer = Peer::associate(server.address, &[(class, &[transfer_syntax])]).await;
    peer.send(1, find(class), Some(data)).await;
    let mut matches = Vec::new();
    loop {
        let (command, data) = peer.message().await;
        let status = command.outcome().unwrap().status;
        if !command.has_data_set() {
            peer.release().await;
            return (matches, command);
        }
        matches.push((status, scan::scan(syntax::form(transfer_syntax), &data).unwrap()));
    }
}

#[tokio::test]
async fn answers_in_the_syntax_of_the_context() {
    let server = with_images(3).await;
    let keys: Keys<'_> = &[
        (LEVEL, Vr::CS, b"STUDY"),
        (PATIENT_NAME, Vr::PN, b"doe^2"),
        (STUDY_UID, Vr::UI, b""),
        (Tag(0x0008, 0x0054), Vr::AE, b""),
    ];
    let deflated = {
        use std::io::Write;
        let plain = identifier(Encoding::ExplicitLittle, keys);
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    for (transfer_syntax, data) in [
        (IMPLICIT, identifier(Encoding::ImplicitLittle, keys)),
        (EXPLICIT, identifier(Encoding::ExplicitLittle, keys)),
        (syntax::EXPLICIT_VR_BIG_ENDIAN, identifier(Encoding::ExplicitBig, keys)),
        (syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, deflated),
    ] {
        for class in [sop::STUDY_ROOT_FIND, sop::PATIENT_ROOT_FIND] {
            let (matches, last) = answers(&server, class, transfer_syntax, &data).await;
            assert_eq!(last.outcome().unwrap().status, Status::SUCCESS);
            let [(status, row)] = &matches[..] else { panic!("{} matches", matches.len()) };
            assert_eq!(*status, Status::PENDING);
            assert_eq!(row.text(PATIENT_NAME).as_deref(), Some("DOE^2"));
            assert_eq!(row.text(STUDY_UID).as_deref(), Some("1.2.3.2"));
            assert_eq!(row.text(LEVEL).as_deref(), Some("STUDY"));
            assert_eq!(row.text(Tag(0x0008, 0x0054)).as_deref(), Some("GANTRY"));
        }
    }
}

#[tokio::test]
async fn what_comes_behind_a_query_is_served_with_its_data_set() {
    let server = with_images(1).await;
    let proposals: &[(&str, &[&str])] =
        &[(sop::STUDY_ROOT_FIND, &[IMPLICIT]), (sop::VERIFICATION, &[IMPLICIT]), (CT, &[EXPLICIT])];
    let mut peer = Peer::associate(server.address, proposals).await;
    let keys: Keys<'_> = &[(LEVEL, Vr::CS, b"STUDY"), (STUDY_UID, Vr::UI, b"")];
    let query = identifier(Encoding::ImplicitLittle, keys);
    for number in 2..12 {
        let association = &mut peer.association;
        association.send(1, true, &Command::from(find(sop::STUDY_ROOT_FIND)).to_bytes()).unwrap();
        association.send(1, false, &query).unwrap();
        association.send(3, true, &Command::from(CEchoRq { message_id: 4 }).to_bytes()).unwrap();
        association.send(5, true, &Command::from(store(CT, &instance_uid(number))).to_bytes()).unwrap();
        association.send(5, false, &image(number, 10)).unwrap();
        peer.flush().await;
        let mut answered = Vec::new();
        while answered.len() < 3 {
            let outcome = peer.outcome().await;
            if outcome.status != Status::PENDING {
                answered.push(outcome.status);
            }
        }
        assert_eq!(answered, [Status::SUCCESS; 3]);
    }
    peer.release().await;
}

#[tokio::test]
async fn large_identifiers_take_their_turn_and_are_refused_with_too_many_keys() {
    let server = with_images(1).await;
    let class = sop::STUDY_ROOT_FIND;
    let keys = |count: u16, text: &[u8]| {
        let mut data = identifier(Encoding::ImplicitLittle, &[(LEVEL, Vr::CS, b"STUDY")]);
        (0..count).for_each(|n| put(&mut data, Encoding::ImplicitLittle, Tag(0x4001, n), Vr::UN, text));
        data
    };
    let status = |data: Vec<u8>| {
        let server = &server;
        async move {
            let (_, last) = answers(server, class, IMPLICIT, &data).await;
            let outcome = last.outcome().unwrap().clone();
            (outcome.status.0, outcome.error_comment.map(|comment| comment.as_str().to_owned()))
        }
    };
    assert_eq!(status(keys(4_999, b"")).await, (0, None));
    assert_eq!(status(keys(5_000, b"")).await, (0xC000, Some("more than 5000 keys".to_owned())));
    // So many are being read.
    let mut others = Vec::new();
    let large = keys(4_500, &[0; 200]);
    for _ in 0..limits::LARGE_DATA_SETS {
        let mut peer = Peer::associate(server.address, &[(class, &[IMPLICIT])]).await;
        peer.association.send(1, true, &Command::from(find(class)).to_bytes()).unwrap();
        peer.association.send(1, false, &large).unwrap();
        let bytes = peer.association.output().split();
        peer.write(&bytes[..bytes.len() - 2]).await;
        others.push((peer, bytes));
    }
    let busy = (0xA700, Some("too many large identifiers at once".to_owned()));
    let asking = async {
        while status(large.clone()).await != busy {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), asking).await.expect("it is told to come again");
    for (mut peer, bytes) in others {
        peer.write(&bytes[bytes.len() - 2..]).await;
        while peer.outcome().await.status == Status::PENDING_UNSUPPORTED_KEYS {}
        peer.release().await;
    }
    assert_eq!(status(large.clone()).await, (0, None));
}

#[tokio::test]
async fn our_ae_title_is_a_key_and_stored_attributes_are_returned() {
    let server = with_images(1).await;
    let (title, bits) = (Tag(0x0008, 0x0054), Tag(0x0028, 0x0101));
    for (asked, found) in [(&b""[..], 1), (b"GANTRY", 1), (b"GAN*", 1), (b"OTHER", 0), (b"gantry", 0)] {
        let keys: Keys<'_> = &[(LEVEL, Vr::CS, b"IMAGE"), (title, Vr::AE, asked), (bits, Vr::US, b"")];
        let data = identifier(Encoding::ImplicitLittle, keys);
        let (matches, last) = answers(&server, sop::STUDY_ROOT_FIND, IMPLICIT, &data).await;
        assert_eq!(last.outcome().unwrap().status, Status::SUCCESS);
        assert_eq!(matches.len(), found, "{asked:?}");
        for (status, row) in &matches {
            assert_eq!(*status, Status::PENDING);
            assert_eq!(row.text(title).as_deref(), Some("GANTRY"));
            assert_eq!(row.element(bits).unwrap().length, Some(0), "known, and without a value");
        }
    }
}

/// What the acceptor answers to one extended negotiation item of `asked` for the context's class.
async fn negotiated(server: &Server, class: &str, asked: &[u8]) -> (Peer, Vec<Vec<u8>>) {
    let mut rq = request("PEER", "GANTRY", &[(class, &[IMPLICIT])]);
    rq.extended = vec![ExtendedNegotiation { sop_class: class.to_owned(), information: asked.to_vec() }];
    let (peer, event) = Peer::ask(server.address, rq).await;
    let Event::Associated(ac) = event else { panic!("{event:?}") };
    assert!(ac.extended.iter().all(|answer| answer.sop_class == class));
    (peer, ac.extended.into_iter().map(|answer| answer.information).collect())
}

#[tokio::test]
async fn extended_negotiation_is_answered_and_heeded() {
    let server = with_images(2).await;
    for class in [sop::STUDY_ROOT_FIND, sop::PATIENT_ROOT_FIND] {
        let (peer, answer) = negotiated(&server, class, &[1, 0, 0, 0, 1, 1, 1, 1]).await;
        assert_eq!(answer, [[1, 0, 0, 0, 0, 1, 1]]);
        peer.release().await;
    }
    let (peer, answer) = negotiated(&server, CT, &[1]).await;
    assert!(answer.is_empty(), "storage has nothing to negotiate");
    peer.release().await;

    let keys: Keys<'_> = &[(LEVEL, Vr::CS, b"STUDY"), (PATIENT_NAME, Vr::PN, b"DOE^1\\doe^2\\\"\"")];
    let data = identifier(Encoding::ImplicitLittle, keys);
    for (asked, statuses) in
        [(&[0, 0, 0, 0, 0, 1, 1][..], vec![0xFF00, 0xFF00, 0]), (&[1, 1, 1], vec![0xA900])]
    {
        let (mut peer, _) = negotiated(&server, sop::STUDY_ROOT_FIND, asked).await;
        peer.send(1, find(sop::STUDY_ROOT_FIND), Some(&data)).await;
        for status in statuses {
            assert_eq!(peer.status().await, status, "{asked:?}");
        }
        peer.release().await;
    }
}

#[tokio::test]
async fn tells_keys_it_does_not_support() {
    let server = with_images(1).await;
    let keys: Keys<'_> =
        &[(LEVEL, Vr::CS, b"STUDY"), (STUDY_UID, Vr::UI, b""), (Tag(0x0018, 0x0015), Vr::CS, b"HEAD")];
    let data = identifier(Encoding::ImplicitLittle, keys);
    let (matches, last) = answers(&server, sop::STUDY_ROOT_FIND, IMPLICIT, &data).await;
    assert_eq!(last.outcome().unwrap().status, Status::SUCCESS);
    assert_eq!(matches[0].0, Status::PENDING_UNSUPPORTED_KEYS);
    assert!(matches[0].1.element(Tag(0x0018, 0x0015)).is_none());
}

#[tokio::test]
async fn tells_keys_of_items_that_it_does_not_support() {
    let server = with_images(1).await;
    let status_and_count = async |inner: Keys<'_>| {
        let mut item = Vec::new();
        put_item(&mut item, Encoding::ImplicitLittle, &identifier(Encoding::ImplicitLittle, inner));
        let keys: Keys<'_> = &[(LEVEL, Vr::CS, b"STUDY"), (CODES, Vr::SQ, &item), (STUDY_UID, Vr::UI, b"")];
        let data = identifier(Encoding::ImplicitLittle, keys);
        let (matches, last) = answers(&server, sop::STUDY_ROOT_FIND, IMPLICIT, &data).await;
        assert_eq!(last.outcome().unwrap().status, Status::SUCCESS);
        (matches.first().map(|(status, _)| *status), matches.len())
    };
    let (value, extension) = (Tag(0x0008, 0x0100), Tag(0x0008, 0x010B));
    assert_eq!(status_and_count(&[(value, Vr::SH, b"")]).await, (Some(Status::PENDING), 1));
    assert_eq!(status_and_count(&[(value, Vr::SH, b"C1")]).await, (None, 0));
    let unsupported = status_and_count(&[(value, Vr::SH, b""), (extension, Vr::CS, b"N")]).await;
    assert_eq!(unsupported, (Some(Status::PENDING_UNSUPPORTED_KEYS), 1));
}

#[tokio::test]
async fn refuses_what_it_cannot_ask() {
    let server = with_images(1).await;
    let large = vec![b'1'; 2 << 20];
    let study = (LEVEL, Vr::CS, &b"STUDY"[..]);
    let (offending, none) = (vec![LEVEL], Vec::new);
    for (class, root, keys, status, elements) in [
        (
            sop::STUDY_ROOT_FIND,
            sop::STUDY_ROOT_FIND,
            &[(STUDY_UID, Vr::UI, &b""[..])][..],
            0xA900,
            offending.clone(),
        ),
        (sop::STUDY_ROOT_FIND, sop::STUDY_ROOT_FIND, &[(LEVEL, Vr::CS, b"PATIENT")], 0xA900, offending),
        (
            sop::PATIENT_ROOT_FIND,
            sop::PATIENT_ROOT_FIND,
            &[study, (Tag(0x0008, 0x0020), Vr::DA, b"soon")],
            0xA900,
            vec![Tag(0x0008, 0x0020)],
        ),
        (sop::STUDY_ROOT_FIND, sop::STUDY_ROOT_FIND, &[study, (STUDY_UID, Vr::UI, &large)], 0xC000, none()),
        (
            sop::STUDY_ROOT_FIND,
            sop::STUDY_ROOT_FIND,
            &[study, (CODES, Vr::SQ, b"\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\0\xE0\0\0\0\0")],
            0xA900,
            vec![CODES],
        ),
        (sop::STUDY_ROOT_FIND, sop::PATIENT_ROOT_FIND, &[study], 0x0122, none()),
    ] {
        let mut peer = Peer::associate(server.address, &[(root, &[IMPLICIT])]).await;
        for _ in 0..2 {
            peer.send(1, find(class), Some(&identifier(Encoding::ImplicitLittle, keys))).await;
            let outcome = peer.outcome().await;
            assert_eq!(outcome.status.0, status, "{:?}", outcome.error_comment);
            assert_eq!(outcome.offending_elements, elements);
        }
        peer.send(1, find(root), Some(&[1, 2, 3])).await;
        assert_eq!(peer.status().await, 0xC000, "an unreadable identifier");
        peer.release().await;
    }
}

#[tokio::test]
async fn pages_come_whole_and_a_cancel_ends_them() {
    const COUNT: u32 = 600;
    let server = with_images(COUNT).await;
    // So many keys that a page is more than what is written at once: after that the server looks for a cancel, whatever the index was
    // quick enough to answer before.
    let keys: Keys<'_> = &[
        (Tag(0x0008, 0x0020), Vr::DA, b""),
        (Tag(0x0008, 0x0030), Vr::TM, b""),
        (Tag(0x0008, 0x0050), Vr::SH, b""),
        (LEVEL, Vr::CS, b"STUDY"),
        (Tag(0x0008, 0x0061), Vr::CS, b""),
        (Tag(0x0008, 0x0062), Vr::UI, b""),
        (PATIENT_NAME, Vr::PN, b""),
        (Tag(0x0010, 0x0020), Vr::LO, b""),
        (Tag(0x0010, 0x0021), Vr::LO, b""),
        (Tag(0x0010, 0x0030), Vr::DA, b""),
        (Tag(0x0010, 0x0032), Vr::TM, b""),
        (Tag(0x0010, 0x0040), Vr::CS, b""),
        (Tag(0x0010, 0x2160), Vr::SH, b""),
        (Tag(0x0010, 0x4000), Vr::LT, b""),
        (STUDY_UID, Vr::UI, b""),
    ];
    let data = identifier(Encoding::ImplicitLittle, keys);
    let (matches, _) = answers(&server, sop::STUDY_ROOT_FIND, IMPLICIT, &data).await;
    let mut uids: Vec<_> = matches.iter().map(|(_, row)| row.text(STUDY_UID).unwrap()).collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), COUNT as usize);

    // The cancel of another message changes nothing; that of this one is there with it.
    let mut peer = Peer::associate(server.address, &[(sop::STUDY_ROOT_FIND, &[IMPLICIT])]).await;
    let class = sop::STUDY_ROOT_FIND;
    for (cancelled, expected) in [(4, Status::SUCCESS), (3, Status::CANCEL)] {
        peer.association.send(1, true, &Command::from(find(class)).to_bytes()).unwrap();
        peer.association.send(1, false, &data).unwrap();
        let cancel = CCancelRq { message_id_being_responded_to: cancelled };
        peer.association.send(1, true, &Command::from(cancel).to_bytes()).unwrap();
        peer.flush().await;
        let mut rows = 0;
        let last = loop {
            let (command, _) = peer.message().await;
            if !command.has_data_set() {
                break command;
            }
            rows += 1;
        };
        assert_eq!((last.outcome().unwrap().status, rows == COUNT), (expected, cancelled == 4));
    }
    // A request before its turn is kept until then.
    for _ in 0..2 {
        peer.association.send(1, true, &Command::from(find(class)).to_bytes()).unwrap();
        peer.association.send(1, false, &data).unwrap();
    }
    peer.flush().await;
    for _ in 0..2 * (COUNT + 1) {
        peer.message().await;
    }
    peer.association.release().unwrap();
    peer.flush().await;
    assert_eq!(peer.event().await, Event::Released);
    assert!(server.counts(r#"gantry_query_seconds_count{door="dimse",level="study"} 5"#));
}
