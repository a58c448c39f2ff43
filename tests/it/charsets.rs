//! Names and texts as pydicom decodes them, value by value.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model::charset::Charset;
use model::header::{Elements, Value};
use model::part10::{self, Split};
use model::{Tag, Vr, scan, syntax};

use crate::harness::{corpus, python};

/// The values of PN, LO and SH by attribute path. Absent and empty are the same.
type Texts = BTreeMap<String, Vec<String>>;

/// Files whose values are compared, and the values.
const COMPARED: (usize, usize) = (211, 10_320);

/// Where we differ from pydicom, or one of both does not read the file: file, attribute path (none: the whole file), reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "chrGB2312.dcm",
        "00100010",
        "pydicom leaves the escape sequences of ISO-IR 58 in the text (PS3.5 Annex K)",
    ),
    ("3gb-bulk-data-truncated", "", "cut: an element runs past the end, so no door takes it"),
    ("GH179B.dcm", "", "cut: an element runs past the end, so no door takes it"),
    ("GH626.dcm", "", "a damaged length runs past the end, so no door takes it"),
    (
        "GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm",
        "",
        "pydicom loses its way inside of UN (PS3.5 §6.2.2)",
    ),
];

#[test]
fn names_and_texts_are_decoded_as_pydicom_does() {
    let corpus = corpus();
    let folders =
        ["files", "sets", "generated"].iter().filter_map(|folder| Some(corpus.as_ref()?.join(folder)));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/charsets.py");
    let output = python().arg(script).args(folders).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut compared = (0, 0);
    let mut differences = BTreeMap::new();
    for (file, theirs) in by_file(&String::from_utf8(output.stdout).unwrap()) {
        let name = Path::new(&file).file_name().unwrap().to_string_lossy().into_owned();
        let ours = read(&fs::read(&file).unwrap());
        let (Some(theirs), Some(ours)) = (&theirs, &ours) else {
            let who = if ours.is_none() { "we do not read it" } else { "pydicom does not read it" };
            differences.insert((name, String::new()), who.to_owned());
            continue;
        };
        compared.0 += 1;
        compared.1 += theirs.values().map(Vec::len).sum::<usize>();
        for path in theirs.keys().chain(ours.keys()) {
            let (their, our) = (theirs.get(path), ours.get(path));
            if their != our {
                differences.insert((name.clone(), path.clone()), format!("pydicom {their:?}, we {our:?}"));
            }
        }
    }
    println!("{} values in {} files compared", compared.1, compared.0);
    for (file, path, reason) in EXCEPTIONS {
        let found = differences.remove(&((*file).to_owned(), (*path).to_owned()));
        println!("{file} {path}: {reason}");
        assert!(found.is_some() || corpus.is_none(), "{file} {path} is no exception any more");
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(compared.0 > 0 && (corpus.is_none() || compared == COMPARED), "{compared:?}");
}

/// What pydicom printed, by file; `None` for one that it could not read.
fn by_file(printed: &str) -> BTreeMap<String, Option<Texts>> {
    let mut files: BTreeMap<String, Option<Texts>> = BTreeMap::new();
    for line in printed.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let file = line["file"].as_str().unwrap().to_owned();
        let texts = files.entry(file).or_insert_with(|| Some(Texts::new()));
        match (line["path"].as_str(), line["values"].as_array()) {
            (Some(path), Some(values)) => {
                let values = values.iter().map(|value| value.as_str().unwrap());
                put(texts.as_mut().unwrap(), path.to_owned(), values);
            }
            _ => *texts = None,
        }
    }
    files
}

/// What we make of a file; `None` when its data set is unreadable, so that no door takes it.
fn read(file: &[u8]) -> Option<Texts> {
    let (form, data_set) = match part10::split(file, true) {
        Split::Part10(meta) => (syntax::form(meta.transfer_syntax.as_str()), &file[meta.data_offset..]),
        Split::Bare => (part10::guess_form(file), file),
        Split::NeedMore | Split::Unreadable(_) => return None,
    };
    let header = scan::scan(form, data_set).ok()?;
    let mut texts = Texts::new();
    collect(header.elements(), header.charset(), "", &mut texts);
    Some(texts)
}

fn collect(elements: Elements<'_>, charset: &Charset, prefix: &str, texts: &mut Texts) {
    for element in elements {
        let Tag(group, number) = element.tag;
        let path = format!("{prefix}{group:04X}{number:04X}");
        match element.value() {
            Value::Items(items) => {
                for (index, item) in items.enumerate() {
                    let stated = item.element(SPECIFIC_CHARACTER_SET).and_then(|element| element.bytes());
                    let stated = stated.map(Charset::parse);
                    let prefix = format!("{path}/{}/", index + 1);
                    collect(item.elements(), stated.as_ref().unwrap_or(charset), &prefix, texts);
                }
            }
            Value::Bytes(bytes) if matches!(element.vr, Vr::PN | Vr::LO | Vr::SH) => {
                put(texts, path, charset.decode(bytes, element.vr).split('\\'));
            }
            Value::Bytes(_) | Value::Bulk | Value::Fragments { .. } | Value::Omitted => {}
        }
    }
}

/// Adds values less their padding, and less the `=` before component groups that are not there. Of repeated elements
/// the last counts, as with pydicom.
fn put<'a>(texts: &mut Texts, path: String, values: impl Iterator<Item = &'a str>) {
    let trim = |value: &str| value.trim_matches([' ', '\0']).trim_end_matches('=').to_owned();
    let values: Vec<_> = values.map(trim).collect();
    if values.iter().any(|value| !value.is_empty()) {
        texts.insert(path, values);
    }
}

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
