//! C-FIND: levels, matching, character sets, statuses, C-CANCEL.

use std::collections::BTreeMap;

use crate::harness::Server;
use crate::scu::{Response, Scu, element};
use crate::synthetic::{EXPLICIT, IMPLICIT, Object};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";
const PATIENT_ROOT: &str = "1.2.840.10008.5.1.4.1.2.1.1";

#[test]
fn study_root_matches_as_the_standard_says() {
    let server = filled();
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let cases: [(&str, Vec<Vec<u8>>, usize); 12] = [
        ("universal", vec![], 4),
        ("single value", vec![element(0x10, 0x20, "LO", "P2")], 1),
        ("values are compared with case", vec![element(0x10, 0x20, "LO", "p2")], 0),
        ("list of UID", vec![element(0x20, 0x0D, "UI", "2.25.1\\2.25.3\\2.25.99")], 2),
        ("wildcard", vec![element(0x10, 0x20, "LO", "P?")], 4),
        ("wildcard at the end", vec![element(0x10, 0x10, "PN", "m*")], 2),
        ("name without case and accent", vec![element(0x10, 0x10, "PN", "MULLER^JURGEN")], 1),
        ("date", vec![element(8, 0x20, "DA", "20260103")], 1),
        ("date range", vec![element(8, 0x20, "DA", "20260102-20260103")], 2),
        ("open range", vec![element(8, 0x20, "DA", "20260103-")], 2),
        ("modality of any series", vec![element(8, 0x61, "CS", "CT")], 4),
        ("nothing", vec![element(8, 0x61, "CS", "MR")], 0),
    ];
    for (what, keys, expected) in cases {
        let responses = find(&mut scu, STUDY_ROOT, "STUDY", &keys);
        assert_eq!(responses.len() - 1, expected, "{what}");
        assert_eq!(responses.last().unwrap().status(), 0, "{what}");
        assert!(responses[..expected].iter().all(|row| row.status() == 0xFF00), "{what}");
    }
}

#[test]
fn every_level_answers_in_both_roots() {
    let server = filled();
    let mut scu =
        Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT]), (PATIENT_ROOT, &[IMPLICIT, EXPLICIT])])
            .unwrap();
    let study = element(0x20, 0x0D, "UI", "2.25.1");
    let series = element(0x20, 0x0E, "UI", "2.25.1.1");
    let rows = find(&mut scu, STUDY_ROOT, "SERIES", std::slice::from_ref(&study));
    assert_eq!(rows.len() - 1, 2);
    let rows = find(
        &mut scu,
        STUDY_ROOT,
        "IMAGE",
        &[study, series, element(8, 0x18, "UI", ""), element(0x20, 0x13, "IS", "2")],
    );
    assert_eq!(rows.len() - 1, 1);
    assert_eq!(value(&rows[0], 8, 0x18), "2.25.1.1.2");
    assert_eq!(value(&rows[0], 8, 0x52), "IMAGE");
    let rows = find(
        &mut scu,
        STUDY_ROOT,
        "STUDY",
        &[
            element(0x20, 0x1206, "IS", ""),
            element(0x20, 0x1208, "IS", ""),
            element(0x20, 0x0D, "UI", "2.25.1"),
        ],
    );
    assert_eq!(
        (value(&rows[0], 0x20, 0x1206), value(&rows[0], 0x20, 0x1208)),
        ("2".to_owned(), "4".to_owned())
    );
}

#[test]
fn a_level_that_is_missing_or_foreign_is_refused() {
    let server = filled();
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let refused = |responses: Vec<Response>| responses.iter().map(Response::status).collect::<Vec<_>>();
    assert_eq!(refused(scu.find(1, STUDY_ROOT, &element(0x10, 0x20, "LO", "P1")).unwrap()), [0xA900]);
    assert_eq!(refused(find(&mut scu, STUDY_ROOT, "PATIENT", &[])), [0xA900]);
    assert_eq!(refused(find(&mut scu, STUDY_ROOT, "NONSENSE", &[])), [0xA900]);
    assert_eq!(refused(scu.find(1, STUDY_ROOT, b"\xFF\xFF\xFF").unwrap()).len(), 1);
    assert_eq!(find(&mut scu, STUDY_ROOT, "STUDY", &[]).len(), 5, "the association goes on");
    let log = server.log();
    let told =
        log.lines().filter(|line| line.contains("level=info") && line.contains("C-FIND-RSP status=A900H"));
    assert_eq!(told.count(), 1, "each reason is told once:\n{log}");
}

#[test]
fn an_unsupported_optional_key_is_told_by_the_pending_status() {
    let server = filled();
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let rows = find(
        &mut scu,
        STUDY_ROOT,
        "STUDY",
        &[element(0x20, 0x0D, "UI", "2.25.1"), element(0x38, 0x300, "LO", "")],
    );
    assert_eq!(rows.iter().map(Response::status).collect::<Vec<_>>(), [0xFF01, 0]);
}

#[test]
fn answers_name_the_character_set_they_are_in() {
    let server = filled();
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let name = element(0x10, 0x10, "PN", "");
    let ask = |scu: &mut Scu, set: Option<&str>, patient: &str| {
        let mut keys = vec![name.clone(), element(0x10, 0x20, "LO", patient)];
        keys.extend(set.map(|set| element(8, 5, "CS", set)));
        find(scu, STUDY_ROOT, "STUDY", &keys).swap_remove(0)
    };
    let utf8 = ask(&mut scu, None, "P3");
    assert_eq!(value(&utf8, 8, 5), "ISO_IR 192");
    assert_eq!(value(&utf8, 0x10, 0x10), "Müller^Jürgen");
    let latin = ask(&mut scu, Some("ISO_IR 100"), "P3");
    assert_eq!(value(&latin, 8, 5), "ISO_IR 100");
    assert_eq!(attributes(&latin)[&(0x10, 0x10)], b"M\xFCller^J\xFCrgen ");
    assert_eq!(attributes(&ask(&mut scu, None, "P1"))[&(0x10, 0x10)], b"Test1^Person");
}

#[test]
fn a_query_can_be_cancelled() {
    let server = Server::start();
    let files: Vec<_> =
        (1..=2_000).map(|n| Object { pixel_bytes: 64, ..Object::new(n, 1, 1) }.file()).collect();
    for files in files.chunks(500) {
        let files: Vec<_> = files.iter().map(Vec::as_slice).collect();
        assert_eq!(server.stow("/dicom-web/studies", &files).status, 200);
    }
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let command = scu.command(0x0020, STUDY_ROOT, &[(0x0700, &[0, 0])], true);
    scu.send(1, true, &command).unwrap();
    let id = scu.message_id();
    scu.send(1, false, &identifier("STUDY", &[])).unwrap();
    let mut cancel = scu.command(0x0FFF, STUDY_ROOT, &[(0x0120, &id.to_le_bytes())], false);
    let at = cancel.windows(4).position(|window| window == [0, 0, 2, 0]).unwrap();
    cancel.drain(at..at + 8 + cancel[at + 4] as usize);
    let at = cancel.windows(4).position(|window| window == [0, 0, 0x10, 0x01]).unwrap();
    cancel.drain(at..at + 10);
    let length = (cancel.len() - 12) as u32;
    cancel[8..12].copy_from_slice(&length.to_le_bytes());
    scu.send(1, true, &cancel).unwrap();
    let mut pending = 0;
    let last = loop {
        match scu.receive().unwrap().status() {
            0xFF00 | 0xFF01 => pending += 1,
            status => break status,
        }
    };
    assert!(last == 0xFE00 && pending < 2_000, "{last:04X} after {pending}");
}

/// Four studies; the first has two series of two instances.
fn filled() -> Server {
    let server = Server::start();
    let named = |study: u32, name: &str, date: &str| Object {
        patient_name: name.to_owned(),
        study_date: date.to_owned(),
        ..Object::new(study, 1, 1)
    };
    let latin = {
        let mut file = named(3, "M_ller^J_rgen", "20260103").file();
        let at = file.windows(6).position(|window| window == b"M_ller").unwrap();
        file[at + 1] = 0xFC;
        file[at + 8] = 0xFC;
        let class = file.windows(6).position(|window| window == [8, 0, 0x16, 0, b'U', b'I']).unwrap();
        [&file[..class], &element(8, 5, "CS", "ISO_IR 100"), &file[class..]].concat()
    };
    let files = [
        Object { study_date: "20260101".to_owned(), ..Object::new(1, 1, 1) }.file(),
        Object { study_date: "20260101".to_owned(), ..Object::new(1, 1, 2) }.file(),
        Object { study_date: "20260101".to_owned(), ..Object::new(1, 2, 1) }.file(),
        Object { study_date: "20260101".to_owned(), ..Object::new(1, 2, 2) }.file(),
        named(2, "Mueller^Anna", "20260102").file(),
        latin,
        named(4, "Zorn^Otto", "20260110").file(),
    ];
    assert_eq!(server.stow("/dicom-web/studies", &files.each_ref().map(Vec::as_slice)).status, 200);
    server
}

fn find(scu: &mut Scu, model: &str, level: &str, keys: &[Vec<u8>]) -> Vec<Response> {
    scu.find(1, model, &identifier(level, keys)).unwrap()
}

/// Keys in the order of their tags, and the level.
fn identifier(level: &str, keys: &[Vec<u8>]) -> Vec<u8> {
    let mut keys: Vec<_> = keys.iter().cloned().chain([element(8, 0x52, "CS", level)]).collect();
    keys.sort_by_key(|key| [key[1], key[0], key[3], key[2]]);
    keys.concat()
}

fn value(response: &Response, group: u16, number: u16) -> String {
    let attributes = attributes(response);
    let bytes = attributes
        .get(&(group, number))
        .unwrap_or_else(|| panic!("({group:04X},{number:04X}) in {attributes:?}"));
    String::from_utf8_lossy(bytes).trim_end_matches([' ', '\0']).to_owned()
}

/// The elements of an identifier in Explicit VR Little Endian, all of short length.
fn attributes(response: &Response) -> BTreeMap<(u16, u16), Vec<u8>> {
    let mut rest = response.data.as_deref().expect("an identifier");
    let mut found = BTreeMap::new();
    while let [a, b, c, d, _, _, l0, l1, ..] = *rest {
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        found.insert((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])), rest[8..8 + length].to_vec());
        rest = &rest[8 + length..];
    }
    found
}
