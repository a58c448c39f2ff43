//! curl, which knows nothing of DICOM, with the public files: STOW-RS, QIDO-RS and WADO-RS.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::stand::done;
use crate::corpus::{percent, split};
use crate::corpus_retrieved::Files;
use crate::harness::Server;

/// Stores them by a request each, whose multipart body curl makes; the SOP Instance UIDs of those that were answered with 200 (OK).
pub(super) fn stored(server: &Server, files: &Files, copies: &[PathBuf], folder: &Path) -> BTreeSet<String> {
    let requests = files.keys().zip(copies).map(|(uid, copy)| {
        let form = format!("form = \"file=@{};type=application/dicom\"\n", copy.display());
        let kind = r#"header = "Content-Type: multipart/related; type=\"application/dicom\"""#;
        (uid.as_str(), format!("{}{kind}\n{form}", url(server, "studies")))
    });
    answered(&folder.join("curl-stored"), requests).into_keys().collect()
}

/// The name of the patient in the one answer to a search for each.
pub(super) fn found(server: &Server, files: &Files, folder: &Path) -> BTreeMap<String, String> {
    let requests = files.keys().map(|uid| {
        let query = format!("instances?SOPInstanceUID={}&includefield=PatientName", percent(uid));
        let text = format!("{}header = \"Accept: application/dicom+json\"\n", url(server, &query));
        (uid.as_str(), text)
    });
    let answers = answered(&folder.join("curl-found"), requests);
    answers.into_iter().filter_map(|(uid, answer)| name_in(&uid, &answer).map(|name| (uid, name))).collect()
}

/// The data sets as they come.
pub(super) fn got(server: &Server, files: &Files, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let requests = files.iter().map(|(uid, (row, _))| {
        let [study, series, instance] = [&row.study, &row.series, uid].map(|uid| percent(uid));
        let path = format!("studies/{study}/series/{series}/instances/{instance}");
        let accept = "header = \"Accept: application/dicom; transfer-syntax=*\"\n";
        (uid.as_str(), format!("{}{accept}", url(server, &path)))
    });
    let answers = answered(&folder.join("curl-got"), requests);
    answers.into_iter().filter_map(|(uid, file)| Some((uid, split(&file)?.1.to_vec()))).collect()
}

fn url(server: &Server, path: &str) -> String {
    format!("url = \"http://{}/dicom-web/{path}\"\n", server.web)
}

/// One process makes all requests, each with its lines of a configuration file; the bodies of the answers of 200 (OK) by name.
fn answered<'a>(
    folder: &Path,
    requests: impl Iterator<Item = (&'a str, String)>,
) -> BTreeMap<String, Vec<u8>> {
    fs::create_dir(folder).unwrap();
    let mut text = String::new();
    for (name, lines) in requests {
        let begin = if text.is_empty() { "" } else { "next\n" };
        let body = folder.join(name);
        writeln!(text, "{begin}{lines}output = \"{}\"", body.display()).unwrap();
        writeln!(text, "write-out = \"%{{http_code}} {name}\\n\"").unwrap();
    }
    let configuration = folder.join("configuration");
    fs::write(&configuration, text).unwrap();
    let mut curl = Command::new("curl");
    let printed = done(curl.env("no_proxy", "*").args(["-q", "-sS", "-K"]).arg(&configuration));
    let names = printed.lines().filter_map(|line| line.strip_prefix("200 "));
    names.map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap())).collect()
}

/// The name of the patient in the one row that an answer has, which is of this instance.
fn name_in(uid: &str, answer: &[u8]) -> Option<String> {
    let rows: Vec<Value> = serde_json::from_slice(answer).ok()?;
    let [row] = &rows[..] else { return None };
    let is_meant = row["00080018"]["Value"][0].as_str() == Some(uid);
    is_meant.then(|| joined(row))
}

/// The name of the patient of a data set in the DICOM JSON Model, as it stands in a value of VR PN (PS3.5 §6.2.1).
pub(super) fn joined(data_set: &Value) -> String {
    let name = &data_set["00100010"]["Value"][0];
    let groups = ["Alphabetic", "Ideographic", "Phonetic"].map(|group| name[group].as_str().unwrap_or(""));
    groups.join("=").trim_end_matches('=').trim().to_owned()
}
