//! Files of our own and public ones that nobody here wrote: in by `gantry send`, back by WADO-RS, the same data set bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use model::part10::{self, Split};
use model::{scan, syntax};

use tempfile::TempDir;

use crate::harness::{Server, corpus, gantry, run, say};
use crate::synthetic::{self, CT, DEFLATED, EXPLICIT, IMPLICIT, Object, deflated, encapsulated, implicit};

/// Files of the manifest that go in and come back.
const TAKEN: usize = 326;
/// Files left out, each for a reason that the test prints.
const LEFT_OUT: usize = 114;

#[test]
fn every_sound_file_comes_back_bit_exact() {
    let (folder, ours) = ours();
    let server = Server::start();
    send(&server, ours.iter().map(|(row, _)| folder.path().join(&row.path)));
    ours.iter().for_each(|(row, file)| assert_back(&server, row, file));
    say(&format!("corpus: {} files of the project's own came back", ours.len()));
    if let Some(corpus) = corpus() {
        public_files_come_back(&corpus);
    }
}

fn public_files_come_back(corpus: &Path) {
    let manifest = manifest(&corpus.join("MANIFEST.csv"));
    let mut taken = BTreeMap::new();
    let mut shared = Vec::new();
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in &manifest {
        let file = fs::read(corpus.join(&row.path)).unwrap();
        match reason_against(row, &file) {
            Some(reason) => reasons.entry(reason).or_default().push(&row.path),
            None if taken.contains_key(&row.sop_instance) => shared.push(row),
            None => {
                taken.insert(row.sop_instance.clone(), (row, file));
            }
        }
    }
    let server = Server::start();
    send(&server, taken.values().map(|(row, _)| corpus.join(&row.path)));
    taken.values().for_each(|(row, file)| assert_back(&server, row, file));
    say(&format!("corpus: {} public files came back", taken.len()));
    send(&server, shared.iter().map(|row| corpus.join(&row.path)));
    reasons.insert(
        "a later file of a SOP Instance UID: kept as a conflict".to_owned(),
        shared.iter().map(|row| row.path.as_str()).collect(),
    );
    let left_out: usize = reasons.values().map(Vec::len).sum();
    eprintln!("{} taken, {left_out} left out", taken.len());
    for (reason, paths) in &reasons {
        eprintln!("{reason}: {}\n  {}", paths.len(), paths.join("\n  "));
    }
    assert_eq!((taken.len(), left_out), (TAKEN, LEFT_OUT));
    let conflicts = server.get("/metrics");
    let conflicts = String::from_utf8(conflicts.body).unwrap();
    let counted = conflicts.lines().find_map(|line| line.strip_prefix("gantry_conflicts_total ")).unwrap();
    let distinct = distinct_contents(corpus, &shared, &taken);
    assert_eq!(counted.trim(), distinct.to_string(), "conflicts counted");
}

/// `gantry send` of these files: all are taken.
pub(crate) fn send(server: &Server, paths: impl Iterator<Item = PathBuf>) {
    let target = format!("GANTRY@{}", server.dimse);
    let (sent, printed) = run(gantry().arg("send").arg(target).args(paths));
    assert!(sent, "{printed}");
}

/// The data set that WADO-RS returns is the one of this file, padded to an even length.
fn assert_back(server: &Server, row: &Row, file: &[u8]) {
    let path = format!(
        "/dicom-web/studies/{}/series/{}/instances/{}",
        percent(&row.study),
        percent(&row.series),
        percent(&row.sop_instance)
    );
    let answer = server.get_as(&path, "application/dicom; transfer-syntax=*");
    assert_eq!(answer.status, 200, "{}: {}", row.path, String::from_utf8_lossy(&answer.body));
    let (stated, sent) = split(file).unwrap();
    let (syntax, returned) = split(&answer.body).unwrap();
    let padded = [sent, &[0][..sent.len() % 2]].concat();
    assert!(returned == padded, "{}: {} bytes sent, {} back", row.path, sent.len(), returned.len());
    assert_eq!(syntax, stated, "{}", row.path);
}

/// The study in `testdata/`, and objects in each way of writing one, as files in a folder.
fn ours() -> (TempDir, Vec<(Row, Vec<u8>)>) {
    let folder = TempDir::new().unwrap();
    let mut all = Vec::new();
    let study = "2.25.7412960331";
    for (series, count) in [(1, 1), (2, 3)] {
        for n in 1..=count {
            let from = format!("{}/testdata/study/series-{series}/{n}.dcm", env!("CARGO_MANIFEST_DIR"));
            let uids = [study.to_owned(), format!("{study}.{series}"), format!("{study}.{series}.{n}")];
            all.push((from.clone(), EXPLICIT, uids, fs::read(from).unwrap()));
        }
    }
    for (n, (syntax, what)) in (1..).zip([
        (EXPLICIT, "explicit"),
        (IMPLICIT, "implicit"),
        (EXPLICIT, "of odd length"),
        (IMPLICIT, "implicit of odd length"),
        (DEFLATED, "deflated"),
        (DEFLATED, "deflated, of odd length"),
        ("1.2.840.10008.1.2.4.50", "encapsulated"),
        ("1.3.6.1.4.1.99999.2", "in a private syntax"),
    ]) {
        let mut object = Object::new(41, 1, n);
        object.pixel_bytes += usize::from(what.contains("odd length"));
        let data = object.data_set();
        let data = match syntax {
            IMPLICIT => implicit(&data),
            DEFLATED => deflated(&data),
            "1.2.840.10008.1.2.4.50" => encapsulated(&data),
            _ => data,
        };
        let file = synthetic::part10(CT, &object.instance, syntax, &data);
        all.push((what.to_owned(), syntax, [object.study, object.series, object.instance], file));
    }
    let files =
        all.into_iter().enumerate().map(|(n, (what, syntax, [study, series, sop_instance], file))| {
            fs::write(folder.path().join(n.to_string()), &file).unwrap();
            assert_eq!(split(&file).map(|(stated, _)| stated).as_deref(), Some(syntax), "{what}");
            let (path, sop_class, transfer_syntax) = (n.to_string(), CT.to_owned(), syntax.to_owned());
            let charset = String::new();
            (Row { path, sop_class, transfer_syntax, study, series, sop_instance, charset }, file)
        });
    let files = files.collect();
    (folder, files)
}

/// Why a file cannot be held to the promise; `None` when it can.
pub(crate) fn reason_against(row: &Row, file: &[u8]) -> Option<String> {
    if [&row.study, &row.series, &row.sop_class, &row.sop_instance].iter().any(|uid| uid.is_empty()) {
        return Some("one of the four UIDs is missing".to_owned());
    }
    if row.transfer_syntax.is_empty() {
        return Some("no transfer syntax is stated".to_owned());
    }
    let Some((syntax, data_set)) = split(file) else {
        return Some("the File Meta Information cannot be read".to_owned());
    };
    scan::scan(syntax::form(&syntax), data_set).err().map(|error| format!("the data set is damaged: {error}"))
}

/// Versions that the shared files must add: contents under one UID, beyond the first.
fn distinct_contents(corpus: &Path, shared: &[&Row], taken: &BTreeMap<String, (&Row, Vec<u8>)>) -> usize {
    let content =
        |file: &[u8]| split(file).map(|(syntax, data)| (syntax, [data, &[0][..data.len() % 2]].concat()));
    let mut seen: BTreeSet<_> =
        taken.values().map(|(row, file)| (&row.sop_instance, content(file))).collect();
    shared
        .iter()
        .filter(|row| seen.insert((&row.sop_instance, content(&fs::read(corpus.join(&row.path)).unwrap()))))
        .count()
}

pub(crate) fn split(file: &[u8]) -> Option<(String, &[u8])> {
    match part10::split(file, true) {
        Split::Part10(meta) => Some((meta.transfer_syntax.as_str().to_owned(), &file[meta.data_offset..])),
        Split::NeedMore | Split::Bare | Split::Unreadable(_) => None,
    }
}

pub(crate) fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'.' {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) sop_class: String,
    pub(crate) transfer_syntax: String,
    pub(crate) study: String,
    pub(crate) series: String,
    pub(crate) sop_instance: String,
    pub(crate) charset: String,
}

pub(crate) fn manifest(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = fields(lines.next().unwrap());
    let column = |name: &str| names.iter().position(|known| known == name).unwrap();
    let columns =
        ["path", "sop_class_uid", "transfer_syntax_uid", "study_uid", "series_uid", "sop_uid", "charset"]
            .map(column);
    lines
        .map(|line| {
            let fields = fields(line);
            let [path, sop_class, transfer_syntax, study, series, sop_instance, charset] =
                columns.map(|n| fields[n].clone());
            Row { path, sop_class, transfer_syntax, study, series, sop_instance, charset }
        })
        .collect()
}

/// The fields of a line of CSV; none of the manifest's spans lines.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}
