//! The damaged files beside the project, through both doors: the status that `testdata/malformed.tsv` says, little memory, no crash.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use model::part10::{self, Split};
use model::{Tag, scan, syntax};

use crate::harness::{Server, corpus};
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object};

/// `file, tab, C-STORE status, tab, STOW-RS status and FailureReason, tab, why`.
const TABLE: &str = include_str!("../../testdata/malformed.tsv");

#[test]
fn every_damaged_file_gets_its_status_at_both_doors() {
    let Some(corpus) = corpus() else { return };
    let server = Server::start();
    let expected = table();
    let mut names: Vec<_> =
        fs::read_dir(corpus.join("malformed")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    names.sort();
    assert_eq!(names.len(), expected.len(), "one row a file");
    store(&server, &Object::new(999, 1, 1));
    let before = server.resident_bytes();
    server.reset_peak();
    let mut found = String::new();
    let mut wrong = Vec::new();
    for path in &names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = fs::read(path).unwrap();
        let got = (by_store(&server, &file), by_stow(&server, &file));
        let Some((dimse, stow, why)) = expected.get(name) else { panic!("{name} is not in the table") };
        if (got.0.as_str(), got.1.as_str()) != (*dimse, *stow) {
            wrong.push(format!("{name}: {} {} instead of {dimse} {stow} ({why})", got.0, got.1));
        }
        writeln!(found, "{name}\t{}\t{}\t{why}", got.0, got.1).unwrap();
    }
    let growth = server.peak_resident_bytes().saturating_sub(before);
    println!("{} files at two doors, {} KiB of growth", names.len(), growth >> 10);
    assert!(wrong.is_empty(), "{}\n\n{found}", wrong.join("\n"));
    assert!(growth < 64 << 20, "grew by {growth} bytes");
    store(&server, &Object::new(999, 1, 2));
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
