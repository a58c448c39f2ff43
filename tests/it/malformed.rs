//! Damaged files, through both doors: those that the test makes and those of the public corpus beside the project, whose statuses stand
//! in `testdata/malformed.tsv`. Little memory, no crash.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use model::part10::{self, Split};
use model::{Tag, scan, syntax};

use crate::harness::{Server, corpus, say};
use crate::scu::Scu;
use crate::synthetic::{self, CT, DEFLATED, EXPLICIT, Object, deflated, encapsulated, places, without};

/// `file, tab, C-STORE status, tab, STOW-RS status and FailureReason, tab, why`.
const TABLE: &str = include_str!("../../testdata/malformed.tsv");

/// A damaged file and what it must get.
struct Case<'a> {
    name: &'a str,
    file: Vec<u8>,
    dimse: &'a str,
    stow: &'a str,
    why: &'a str,
}

#[test]
fn every_damaged_file_gets_its_status_at_both_doors() {
    assert_statuses("of the project's own", &ours());
    let Some(corpus) = corpus() else { return };
    let expected = table();
    let mut names: Vec<_> =
        fs::read_dir(corpus.join("malformed")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    names.sort();
    assert_eq!(names.len(), expected.len(), "one row a file");
    let cases = names.iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((dimse, stow, why)) = expected.get(name) else { panic!("{name} is not in the table") };
        Case { name, file: fs::read(path).unwrap(), dimse, stow, why }
    });
    assert_statuses("of the public corpus", &cases.collect::<Vec<_>>());
}

/// Each file's status at both doors of one server, which must stay small and go on.
fn assert_statuses(whose: &str, cases: &[Case<'_>]) {
    let server = Server::start();
    store(&server, &Object::new(999, 1, 1));
    let before = server.resident_bytes();
    server.reset_peak();
    let mut found = String::new();
    let mut wrong = Vec::new();
    for Case { name, file, dimse, stow, why } in cases {
        let got = (by_store(&server, file), by_stow(&server, file));
        if (got.0.as_str(), got.1.as_str()) != (*dimse, *stow) {
            wrong.push(format!("{name}: {} {} instead of {dimse} {stow} ({why})", got.0, got.1));
        }
        writeln!(found, "{name}\t{}\t{}\t{why}", got.0, got.1).unwrap();
    }
    let growth = server.peak_resident_bytes().saturating_sub(before);
    say(&format!("malformed: {} files {whose} at two doors, {} KiB of growth", cases.len(), growth >> 10));
    assert!(wrong.is_empty(), "{}\n\n{found}", wrong.join("\n"));
    assert!(growth < 64 << 20, "grew by {growth} bytes");
    store(&server, &Object::new(999, 1, 2));
}

/// A sound object, damaged in each kind of place.
fn ours() -> Vec<Case<'static>> {
    let data = Object::new(998, 1, 1).data_set();
    let file = |data: &[u8]| synthetic::part10(CT, "2.25.998.1.1", EXPLICIT, data);
    let whole = file(&data);
    let meta_end = whole.len() - data.len();
    let places = places(&data);
    let place = |tag| places.iter().find(|place| place.tag == tag).unwrap();
    let (name, study, pixels) = (place((0x0010, 0x0010)), place((0x0020, 0x000D)), place((0x7FE0, 0x0010)));
    let long = |at: usize, length: &[u8]| {
        let mut data = data.clone();
        data[at..at + length.len()].copy_from_slice(length);
        file(&data)
    };
    let cuts = [
        ("cut: nothing left", 0, "no bytes"),
        ("cut: in the preamble", 64, "zeros only"),
        ("cut: in the prefix", 130, "half of DICM"),
        ("cut: in the meta group length", 140, "the File Meta Information ends early"),
        ("cut: in a meta value", meta_end - 3, "the File Meta Information ends early"),
        ("cut: after the meta", meta_end, "a data set without elements has no UIDs"),
        ("cut: in a tag", meta_end + name.start + 3, "bytes that are no element"),
        ("cut: in a length", meta_end + name.value - 1, "bytes that are no element"),
        ("cut: in a value", meta_end + name.value + 4, "a value past the end"),
        ("cut: between elements", meta_end + study.start, "study and series are missing"),
        ("cut: in the pixels", meta_end + pixels.value + 1000, "a value past the end"),
    ];
    let refused = |(name, file, why)| Case { name, file, dimse: "C000", stow: "409 C000", why };
    let mut cases: Vec<_> =
        cuts.map(|(name, at, why)| refused((name, whole[..at].to_vec(), why))).into_iter().collect();
    let sequence = b"\x08\x00\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF";
    let item_end = b"\xFE\xFF\x0D\xE0\0\0\0\0";
    let spliced = |bytes: &[u8]| file(&[&data[..pixels.start], bytes].concat());
    let mut stream = deflated(&data);
    stream.truncate(stream.len() - 100);
    let fragments = encapsulated(&data);
    cases.extend(
        [
            ("length: of a name, past the end", long(name.value - 2, &[0xFE, 0xFF]), "past the end"),
            ("length: of pixels, 2 more", long(pixels.value - 4, &2050_u32.to_le_bytes()), "past the end"),
            ("length: of pixels, 4 GiB", long(pixels.value - 4, &[0xFE, 0xFF, 0xFF, 0xFF]), "past the end"),
            ("length: of pixels, undefined", long(pixels.value - 4, &[0xFF; 4]), "no fragment follows"),
            ("sequence: item and all unclosed", spliced(sequence), "never closed"),
            (
                "sequence: item closed, it is not",
                spliced(&[&sequence[..], item_end].concat()),
                "never closed",
            ),
            ("fragments: unclosed", file(&fragments[..fragments.len() - 8]), "never closed"),
            ("uid: no SOP class", file(&without(&data, (0x0008, 0x0016))), "a UID is missing"),
            ("uid: no SOP instance", file(&without(&data, (0x0008, 0x0018))), "a UID is missing"),
            ("uid: no study", file(&without(&data, (0x0020, 0x000D))), "a UID is missing"),
            ("uid: no series", file(&without(&data, (0x0020, 0x000E))), "a UID is missing"),
            (
                "deflate: cut",
                synthetic::part10(CT, "2.25.998.1.1", DEFLATED, &stream),
                "the stream breaks off",
            ),
            ("deflate: none", synthetic::part10(CT, "2.25.998.1.1", DEFLATED, &data), "no deflate stream"),
        ]
        .map(refused),
    );
    // By C-STORE the padding of the data set stands for the byte.
    let file = whole[..whole.len() - 1].to_vec();
    cases.push(Case {
        name: "cut: the last byte",
        file,
        dimse: "0000",
        stow: "409 C000",
        why: "past the end",
    });
    cases.push(Case { name: "sound", file: whole, dimse: "0000", stow: "200", why: "nothing is wrong" });
    cases
}

/// The file's data set as C-STORE brings it; a file whose header cannot be read goes whole, as Explicit VR Little Endian.
fn by_store(server: &Server, file: &[u8]) -> String {
    let (syntax, data) = match part10::split(file, true) {
        Split::Part10(meta) => (meta.transfer_syntax.as_str().to_owned(), &file[meta.data_offset..]),
        Split::NeedMore | Split::Bare | Split::Unreadable(_) => (EXPLICIT.to_owned(), file),
    };
    let data = [data, &[0][..data.len() % 2]].concat();
    let (class, instance) = named(&syntax, &data);
    let mut scu =
        Scu::associate(server.dimse, &[(&class, &[&syntax])]).expect("the context is proposed alone");
    assert!(scu.accepted.contains_key(&1), "{class} in {syntax}");
    match scu.store(1, &class, &instance, &data) {
        Ok(response) => {
            scu.release().expect("the association goes on");
            format!("{:04X}", response.status())
        }
        Err(error) => error.kind().to_string(),
    }
}

/// SOP class and instance for the command: the data set's where it has them.
fn named(syntax: &str, data: &[u8]) -> (String, String) {
    let header = scan::scan(syntax::form(syntax), data).ok();
    let text = |tag, default: &str| {
        let uid = header.as_ref().and_then(|header| header.uid::<model::SopInstance>(tag));
        uid.map_or(default.to_owned(), |uid| uid.as_str().to_owned())
    };
    let class = text(Tag(0x0008, 0x0016), CT);
    (class, text(Tag(0x0008, 0x0018), "2.25.1"))
}

fn by_stow(server: &Server, file: &[u8]) -> String {
    let answer = server.stow("/dicom-web/studies", &[file]);
    if answer.body.is_empty() || answer.header("content-type") != "application/dicom+json" {
        return answer.status.to_string();
    }
    let reason = answer.json()["00081198"]["Value"][0]["00081197"]["Value"][0].as_u64();
    reason.map_or(answer.status.to_string(), |reason| format!("{} {reason:04X}", answer.status))
}

fn store(server: &Server, object: &Object) {
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
}

fn table() -> BTreeMap<&'static str, (&'static str, &'static str, &'static str)> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let [name, dimse, stow, why] = line.splitn(4, '\t').collect::<Vec<_>>()[..] else {
                panic!("four columns: {line}")
            };
            (name, (dimse, stow, why))
        })
        .collect()
}

#[test]
fn the_table_gives_a_reason_for_each_row() {
    assert_eq!(table().len(), 113);
    for (name, (dimse, stow, why)) in table() {
        assert!(dimse.len() == 4 && stow.len() >= 3 && !why.is_empty(), "{name}");
    }
}
