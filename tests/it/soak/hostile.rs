//! What peers do wrong over DIMSE.

use std::io::{Read, Write};

use model::part10::{self, Split};
use model::{scan, syntax};

use super::pool::{BOMB, identifier};
use super::valid::{FIND, GET, MOVE, VERIFICATION, ask, get_scu, identified, last_of};
use super::{Held, Hostile, Random, Stage};
use crate::commitment::COMMITMENT;
use crate::scu::{associate_rq, associate_rq_with, command_set, item, padded, pdata, pdu};
use crate::synthetic::{CT, DEFLATED, EXPLICIT, IMPLICIT};

pub(super) const ACTS: &[(&str, Hostile)] = &[
    ("garbage", garbage),
    ("half a request", half_a_request),
    ("strange request", strange_request),
    ("damaged conversation", damaged_conversation),
    ("broken PDU", broken_pdu),
    ("gone in the middle", gone_in_the_middle),
    ("oversized PDU", oversized_pdu),
    ("strange identifier", strange_identifier),
    ("damaged object", damaged_object),
    ("bomb", bomb),
    ("slow C-FIND", slow_find),
    ("slow C-GET", slow_get),
    ("C-CANCEL", cancel),
    ("C-MOVE to nowhere", move_to_nowhere),
    ("strange commitment", strange_commitment),
    ("wrong identity", wrong_identity),
    ("no TLS", no_tls),
];

fn garbage(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut stream = stage.peers.connect(stage.peers.server().dimse);
    let length = random.below(4096);
    let bytes = match random.below(4) {
        0 => b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        1 => pdu(random.below(9) as u8, &random.bytes(length)),
        2 => pdu(1, &random.bytes(length)),
        _ => random.bytes(length),
    };
    drop(stream.write_all(&bytes));
    drop(stream.read(&mut [0; 512]));
    keep(random, stream)
}

fn half_a_request(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut stream = stage.peers.connect(stage.peers.server().dimse);
    let request = associate_rq("GANTRY", "HALF", &[(CT, &[EXPLICIT])]);
    drop(stream.write_all(&request[..random.below(request.len())]));
    keep(random, stream)
}

/// Contexts, roles and items that make no sense.
fn strange_request(stage: &Stage, random: &mut Random) -> Option<Held> {
    let all: Vec<(&str, &[&str])> = vec![(CT, &[EXPLICIT, IMPLICIT, "1.2.3", ""]); 1 + random.below(128)];
    let kind = *random.of(&[0x51_u8, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x77]);
    let length = random.below(200);
    let garbage = item(kind, &random.bytes(length));
    let roles = [&(CT.len() as u16).to_be_bytes()[..], CT.as_bytes(), &[7, 9]].concat();
    let mut request = match random.below(5) {
        0 => associate_rq("GANTRY", "STRANGE", &all),
        1 => associate_rq("GANTRY", "STRANGE", &[]),
        2 => associate_rq_with("GANTRY", "STRANGE", &all, &item(0x54, &roles).repeat(1 + random.below(20))),
        3 => associate_rq_with("GANTRY", "STRANGE", &[(FIND, &[IMPLICIT])], &extended(random)),
        _ => associate_rq_with("GANTRY", "STRANGE", &[(VERIFICATION, &[IMPLICIT])], &garbage),
    };
    if random.is_one_in(2) {
        // An id that is even or already taken, or a result where none belongs.
        let at = 74 + 25 + random.below(12);
        request[at] = random.below(256) as u8;
    }
    let mut scu = stage.peers.dare(&request).ok()?;
    drop(scu.echo(1));
    keep(random, scu)
}

fn extended(random: &mut Random) -> Vec<u8> {
    let length = random.below(40);
    let mut value = (FIND.len() as u16).to_be_bytes().to_vec();
    value.extend(FIND.as_bytes());
    value.extend(random.bytes(length));
    item(0x56, &value)
}

/// All that a sender sends, with some bytes changed, and without waiting for answers.
fn damaged_conversation(stage: &Stage, random: &mut Random) -> Option<Held> {
    let object = stage.pool.fixed(random);
    let command = command_set(&store_command(&object.instance));
    let mut bytes = associate_rq("GANTRY", "DAMAGED", &[(CT, &[EXPLICIT])]);
    bytes.extend(pdata(1, 3, &command));
    bytes.extend(pdata(1, 2, &object.data_set()));
    bytes.extend([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    // Not in the pixels, where it would be another object.
    let end = bytes.len().min(900);
    let mut head = bytes[..end].to_vec();
    random.damage(&mut head);
    let mut stream = stage.peers.connect(stage.peers.server().dimse);
    drop(stream.write_all(&[&head, &bytes[end..]].concat()));
    drop(stream.read(&mut [0; 4096]));
    keep(random, stream)
}

fn store_command(instance: &str) -> std::collections::BTreeMap<u16, Vec<u8>> {
    let elements = [
        (0x0002, padded(CT)),
        (0x0100, vec![1, 0]),
        (0x0110, vec![1, 0]),
        (0x0700, vec![0, 0]),
        (0x0800, vec![0, 0]),
        (0x1000, padded(instance)),
    ];
    elements.into_iter().collect()
}

fn broken_pdu(stage: &Stage, random: &mut Random) -> Option<Held> {
    let breaches = [
        pdu(4, &[0, 0, 1, 0, 1, 3, 0, 0]),
        pdu(4, &[0, 0, 0, 1, 1, 3]),
        pdu(4, &[]),
        pdata(9, 3, &[0; 8]),
        pdata(2, 3, &[0; 8]),
        pdata(1, 2, &[0; 8]),
        pdata(1, 3, &[0xFF; 40]),
        pdata(1, 1, &vec![0; 100_000]).repeat(2),
        pdu(2, &[0; 200]),
        pdu(9, &[0; 20]),
    ];
    let mut scu = stage.peers.associate(&[(VERIFICATION, &[IMPLICIT])]);
    scu.stream().set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    drop(scu.stream().write_all(random.of(&breaches).as_slice()));
    drop(scu.receive());
    keep(random, scu)
}

/// In a command, in a data set, in the header of a PDU: the connection ends, or says nothing more.
fn gone_in_the_middle(stage: &Stage, random: &mut Random) -> Option<Held> {
    let object = stage.pool.fixed(random);
    let data = object.data_set();
    let mut bytes = pdata(1, 3, &command_set(&store_command(&object.instance)));
    for chunk in data.chunks(500 + random.below(5_000)) {
        bytes.extend(pdata(1, 0, chunk));
    }
    let mut scu = stage.peers.associate(&[(CT, &[EXPLICIT])]);
    drop(scu.stream().write_all(&bytes[..random.below(bytes.len())]));
    if random.is_one_in(3) {
        drop(scu.stream().write_all(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]));
    }
    keep(random, scu)
}

fn oversized_pdu(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = stage.peers.associate(&[(CT, &[EXPLICIT])]);
    let length = random.of(&[131_073_u32, 1 << 24, u32::MAX]).to_be_bytes();
    drop(scu.stream().write_all(&[&[4, 0][..], &length, &random.bytes(2_000)].concat()));
    drop(scu.stream().read(&mut [0; 64]));
    keep(random, scu)
}

/// Too large, too deep, or none.
fn strange_identifier(stage: &Stage, random: &mut Random) -> Option<Held> {
    let (class, field) = *random.of(&[(FIND, 0x0020_u16), (GET, 0x0010), (MOVE, 0x0021)]);
    let nested = [&b"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF"[..], b"\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF"].concat();
    let long = "9".repeat(60_000);
    let mut good = identifier("STUDY", &[(0x10, 0x10, "PN", "A*"), (0x20, 0x0D, "UI", "2.25.1")]);
    let bytes = match random.below(6) {
        0 => vec![b'x'; 2 << 20],
        1 => nested.repeat(2_000),
        2 => random.bytes(3_000),
        3 => identifier("STUDY", &[(0x10, 0x20, "LO", &long)]).repeat(18),
        4 => identifier("STUDY", &[(0x10, 0x10, "PN", &"*?".repeat(20_000))]),
        _ => {
            random.damage(&mut good);
            good
        }
    };
    let mut scu = stage.peers.associate(&[(class, &[EXPLICIT])]);
    scu.stream().set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let more: &[(u16, &[u8])] = if field == 0x0021 { &[(0x0600, b"STORESCP")] } else { &[] };
    let command = scu.command(field, class, &[&[(0x0700, &[0, 0][..])], more].concat(), true);
    drop(scu.send(1, true, &command));
    drop(scu.send(1, false, &bytes));
    drop(scu.receive());
    keep(random, scu)
}

fn damaged_object(stage: &Stage, random: &mut Random) -> Option<Held> {
    let file = stage.pool.damaged(random);
    let (syntax, data) = match part10::split(&file, true) {
        Split::Part10(meta) => (meta.transfer_syntax.as_str().to_owned(), file[meta.data_offset..].to_vec()),
        Split::NeedMore | Split::Bare | Split::Unreadable(_) => (EXPLICIT.to_owned(), file),
    };
    let header = scan::scan(syntax::form(&syntax), &data).ok();
    let text = |number, default: &str| {
        let uid = header.as_ref().and_then(|header| header.uid::<model::SopInstance>(model::Tag(8, number)));
        uid.map_or(default.to_owned(), |uid| uid.as_str().to_owned())
    };
    let (class, instance) = (text(0x16, CT), text(0x18, "2.25.1.1.1"));
    let mut scu = stage.peers.dare(&associate_rq("GANTRY", "DAMAGED", &[(&class, &[&syntax])])).ok()?;
    drop(scu.store(1, &class, &instance, &data));
    keep(random, scu)
}

/// A small data set that inflates to some MiB is kept as it came; whoever wants it inflated gets zeros.
fn bomb(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = stage.peers.associate(&[(CT, &[DEFLATED])]);
    let stored = scu.store(1, CT, "2.25.901.1.1", stage.pool.bomb()).unwrap();
    assert_eq!(stored.status(), 0);
    if random.is_one_in(4) {
        let accept = format!("application/dicom; transfer-syntax={EXPLICIT}");
        assert!(matches!(stage.peers.server().get_as(BOMB, &accept).status, 200 | 406));
    }
    let mut scu = stage.peers.associate(&[(FIND, &[DEFLATED, EXPLICIT])]);
    drop(scu.find(1, FIND, stage.pool.bomb()));
    keep(random, scu)
}

/// Asks for all there is, and reads an answer at most.
fn slow_find(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = stage.peers.associate(&[(FIND, &[EXPLICIT])]);
    let command = scu.command(0x0020, FIND, &[(0x0700, &[0, 0])], true);
    scu.send(1, true, &command).unwrap();
    let keys =
        [(0x20, 0x0D, "UI", ""), (0x20, 0x0E, "UI", ""), (0x08, 0x18, "UI", ""), (0x10, 0x10, "PN", "")];
    scu.send(1, false, &identifier(random.of::<&str>(&["IMAGE", "STUDY"]), &keys)).unwrap();
    if random.is_one_in(2) {
        drop(scu.receive());
    }
    keep(random, scu)
}

/// Does not answer C-STORE, or with what it was not asked.
fn slow_get(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = get_scu(stage);
    ask(&mut scu, 0x0010, GET, &[], &stage.pool.fixed(random).study);
    drop(scu.receive());
    if random.is_one_in(2) {
        let answer = [(0x0100, vec![0x01, 0x80]), (0x0120, vec![0x77, 0x77]), (0x0900, vec![0, 0])];
        drop(scu.send(3, true, &command_set(&answer.into_iter().collect())));
    }
    keep(random, scu)
}

fn cancel(stage: &Stage, random: &mut Random) -> Option<Held> {
    let (class, field) = *random.of(&[(FIND, 0x0020_u16), (GET, 0x0010), (MOVE, 0x0021)]);
    let mut scu = if class == GET { get_scu(stage) } else { stage.peers.associate(&[(class, &[EXPLICIT])]) };
    scu.stream().set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let more: &[(u16, &[u8])] = if field == 0x0021 { &[(0x0600, b"STORESCP")] } else { &[] };
    ask(&mut scu, field, class, more, &stage.pool.fixed(random).study);
    let message = scu.message_id() + u16::from(random.is_one_in(4));
    let elements =
        [(0x0100, vec![0xFF, 0x0F]), (0x0120, message.to_le_bytes().to_vec()), (0x0800, vec![1, 1])];
    for _ in 0..=random.below(3) {
        drop(scu.send(1, true, &command_set(&elements.clone().into_iter().collect())));
        drop(scu.receive());
    }
    keep(random, scu)
}

fn move_to_nowhere(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = stage.peers.associate(&[(MOVE, &[EXPLICIT])]);
    let study = stage.pool.fixed(random).study;
    match random.below(3) {
        0 => {
            ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"STRANGER")], &study);
            assert_eq!(last_of(&mut scu).status(), 0xA801);
        }
        1 => {
            ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"GONE")], &study);
            assert_eq!(last_of(&mut scu).status(), 0xA702);
        }
        _ => ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"MUTE")], &study),
    }
    keep(random, scu)
}

fn strange_commitment(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = stage.peers.associate(&[(COMMITMENT, &[EXPLICIT])]);
    scu.stream().set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    let uid = padded("1.2.840.10008.1.20.1.1");
    let class = padded(COMMITMENT);
    // N-ACTION of another type, or a report that nobody asked for.
    let (field, kind) = *random.of(&[(0x0130_u16, 0x1008_u16), (0x0100, 0x1002)]);
    let names: [(u16, &[u8]); 2] =
        if field == 0x0130 { [(0x0003, &class), (0x1001, &uid)] } else { [(0x0002, &class), (0x1000, &uid)] };
    let of_kind = [random.below(4) as u8, 0];
    let command = scu.command(field, COMMITMENT, &[&names[..], &[(kind, &of_kind[..])]].concat(), true);
    drop(scu.send(1, true, &command));
    let length = random.below(600);
    drop(scu.send(1, false, &random.bytes(length)));
    drop(scu.receive());
    keep(random, scu)
}

fn wrong_identity(stage: &Stage, random: &mut Random) -> Option<Held> {
    let length = random.below(60);
    let password: String = random.bytes(length).iter().map(|byte| char::from(byte % 64 + 32)).collect();
    let answer = stage.peers.dare(&identified("ct1", &password));
    assert!(answer.is_err(), "it is let in with a wrong password");
    None
}

/// What is no TLS, at the port for it; and TLS at the port without.
fn no_tls(stage: &Stage, random: &mut Random) -> Option<Held> {
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &random.bytes(505)].concat();
    let request = associate_rq("GANTRY", "PLAIN", &[(VERIFICATION, &[IMPLICIT])]);
    let (address, bytes) = match random.below(3) {
        0 => (stage.peers.tls, hello),
        1 => (stage.peers.tls, request),
        _ => (stage.peers.server().dimse, hello),
    };
    let mut stream = stage.peers.connect(address);
    drop(stream.write_all(&bytes));
    drop(stream.read(&mut [0; 512]));
    keep(random, stream)
}

/// Ends the connection, or leaves it open.
pub(super) fn keep(random: &mut Random, left: impl Send + 'static) -> Option<Held> {
    random.is_one_in(3).then(|| Box::new(left) as Held)
}
