//! Clients that retrieve by C-GET and C-MOVE, and what their tests share.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, python};
use crate::sinks::script;
use crate::synthetic::{CT, DEFLATED, EXPLICIT, IMPLICIT, Object, deflated, encapsulated, implicit, part10};

pub(crate) const JPEG: &str = "1.2.840.10008.1.2.4.50";

/// tests/interop/retrieve.py, running.
pub(crate) struct Retrieving {
    child: Child,
    folder: TempDir,
}

/// What a client printed and got.
pub(crate) struct Retrieved {
    /// The responses, the final one last.
    pub(crate) responses: Vec<Value>,
    /// The data sets that a C-GET brought, by SOP Instance UID.
    pub(crate) data_sets: BTreeMap<String, Vec<u8>>,
}

impl Retrieving {
    /// Starts with these orders; their keys stand at the top of the script.
    pub(crate) fn start(server: &Server, orders: &Value) -> Self {
        Self::start_at(server.dimse, orders)
    }

    /// The same with the port at this address.
    pub(crate) fn start_at(address: SocketAddr, orders: &Value) -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = python()
            .arg(script("retrieve.py"))
            .arg(address.port().to_string())
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(orders.to_string().as_bytes()).unwrap();
        Self { child, folder }
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Retrieved {
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let Value::Array(responses) = serde_json::from_slice(&output.stdout).unwrap() else { panic!() };
        Retrieved { responses, data_sets: data_sets(self.folder.path()) }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Retrieved {
    pub(crate) fn last(&self) -> &Value {
        self.responses.last().unwrap()
    }
}

/// Runs the script to its end.
pub(crate) fn retrieve(server: &Server, orders: &Value) -> Retrieved {
    Retrieving::start(server, orders).finish()
}

/// What the final response must say, beside a comment.
pub(crate) fn assert_last(last: &Value, status: u16, [completed, failed, warning]: [u64; 3]) {
    let found = ["status", "completed", "failed", "warning", "remaining"].map(|key| last[key].as_u64());
    let expected = [Some(status.into()), Some(completed), Some(failed), Some(warning), None];
    assert_eq!(found, expected, "{last}");
}

/// The files of a folder by name.
fn data_sets(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// An instance as it is kept.
pub(crate) struct Kept {
    pub(crate) instance: String,
    pub(crate) syntax: &'static str,
    pub(crate) data_set: Vec<u8>,
}

/// Stores a study of two series: `count` instances in Explicit VR, one in each of three other transfer syntaxes, and one of odd length.
pub(crate) fn fill(server: &Server, study: u32, count: u32) -> Vec<Kept> {
    let mut kept = Vec::new();
    for n in 1..=count {
        kept.push((Object::new(study, 1, n), EXPLICIT));
    }
    for (n, syntax) in (1..).zip([IMPLICIT, DEFLATED, JPEG, EXPLICIT]) {
        let mut object = Object::new(study, 2, n);
        object.pixel_bytes += usize::from(n == 4);
        kept.push((object, syntax));
    }
    let encoded = |object: &Object, syntax| {
        let plain = object.data_set();
        match syntax {
            IMPLICIT => implicit(&plain),
            DEFLATED => deflated(&plain),
            JPEG => encapsulated(&plain),
            _ => plain,
        }
    };
    let kept: Vec<Kept> = kept
        .into_iter()
        .map(|(object, syntax)| Kept {
            data_set: encoded(&object, syntax),
            instance: object.instance,
            syntax,
        })
        .collect();
    for chunk in kept.chunks(500) {
        let files: Vec<Vec<u8>> =
            chunk.iter().map(|kept| part10(CT, &kept.instance, kept.syntax, &kept.data_set)).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        assert_eq!(server.stow("/dicom-web/studies", &files).status, 200);
    }
    kept
}

impl Kept {
    /// As it goes out: a NUL makes an odd length even.
    pub(crate) fn sent(&self) -> Vec<u8> {
        let padding = [0];
        [&self.data_set[..], &padding[..self.data_set.len() % 2]].concat()
    }
}

/// Contexts for CT in these transfer syntaxes.
pub(crate) fn ct_in(syntaxes: &[&str]) -> Value {
    syntaxes.iter().map(|syntax| json!([CT, syntax])).collect()
}

/// The identifier for a study.
pub(crate) fn study(study: u32) -> Value {
    json!({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": format!("2.25.{study}")})
}
