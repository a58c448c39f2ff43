//! dcmjs-dimse, by tests/interop/dcmjs.js.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::compare::{Came, compare};
use super::stand::{self, CALLS, Stand, committed, pinned, studies};
use super::table::{Cell, Row};
use crate::harness::{eventually, files_below, free_ports, peer_file, peer_program};
use crate::sinks::script;
use crate::synthetic::CT;

pub(super) fn row() -> Row {
    let stand = Stand::start("");
    let version = pinned("tests/interop/node/package.json", "\"dcmjs-dimse\": \"");
    Row {
        peer: format!("dcmjs-dimse {version}"),
        programs: [""; 2],
        calls: calls(&stand),
        called: called(&stand),
    }
}

fn calls(stand: &Stand) -> [Cell; 7] {
    let server = &stand.secure.server;
    let place = stand.place("got");
    let call = |orders: Value| call(server.dimse, &place, &orders);
    assert_eq!(call(json!({"service": "echo"}))["statuses"], json!([0]));
    let echo = stand.echoed();
    let told = call(json!({"service": "store", "files": files_below(stand.files.path())}));
    assert_eq!(told["statuses"], json!([0, 0, 0, 0]));
    let store = stand.stored();
    let keys = json!({"PatientName": format!("Test{}*", CALLS / 10), "StudyInstanceUID": ""});
    let found = call(json!({"service": "find", "keys": keys}));
    let mut rows: Vec<_> = found["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["StudyInstanceUID"].clone(), row["PatientName"][0]["Alphabetic"].clone()))
        .collect();
    rows.sort_by_key(|(study, _)| study.to_string());
    let expected = [&studies(CALLS)[0], &studies(CALLS)[3]].map(|o| (json!(o.study), json!(o.patient_name)));
    assert_eq!(rows, expected);
    let study_uid = format!("2.25.{CALLS}");
    let moved = call(json!({"service": "move", "study": study_uid, "destination": "STORESCP"}));
    assert_eq!(moved["statuses"].as_array().unwrap().last(), Some(&json!(0)), "{moved}");
    let move_ = stand.moved();
    let got = call(json!({"service": "get", "study": study_uid}));
    assert_eq!(got["statuses"].as_array().unwrap().last(), Some(&json!(0)), "{got}");
    let objects = stand::study(CALLS);
    let get = compare(&Came::below(&place), &objects);
    let instances: Vec<_> = objects.iter().map(|object| [CT, &object.instance]).collect();
    let told = call(json!({"service": "commitment", "instances": instances}));
    let uids: Vec<_> = objects.iter().map(|object| object.instance.as_str()).collect();
    assert_eq!((&told["committed"], &told["failed"]), (&json!(uids), &json!([])), "{told}");
    let commitment = Cell::Did(format!("{} committed", uids.len()));
    let orders = json!({"service": "store", "files": [stand.tls_file()], "tls": tls(stand, "DCMJS")});
    assert_eq!(self::call(stand.secure.tls, &place, &orders)["statuses"], json!([0]));
    [echo, store, Cell::Did(format!("{} rows", rows.len())), move_, get, commitment, stand.stored_by_tls()]
}

fn called(stand: &Stand) -> [Cell; 7] {
    let serve = |name: &str, viewer: SocketAddr, more: Value| Served::start(stand.place(name), viewer, more);
    let archive = serve("archive", stand.secure.server.dimse, Value::Null);
    let target = format!("DCMJS@{}", archive.address);
    let secure = serve("secure", stand.secure.server.dimse, tls(stand, "archive"));
    let commits = serve("commits", stand.secure.server.dimse, Value::Null);
    [
        stand.echo(&target),
        stand.send(&target, || Came::below(&archive.folder)),
        stand.find(&target),
        stand.fetch(&target),
        stand.get(&target),
        committed("DCMJS", commits.address, |_| ()),
        stand.send_by_tls(&format!("DCMJS@{}", secure.address), || Came::below(&secure.folder)),
    ]
}

fn tls(stand: &Stand, name: &str) -> Value {
    let [certificate, key] = stand.certificate(name);
    json!({"key": key, "certificate": certificate, "ca": stand.secure.ca_file})
}

/// What it was answered.
fn call(server: SocketAddr, folder: &Path, orders: &Value) -> Value {
    let child = node("call", server, folder, orders, Stdio::piped());
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{orders}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The archive of the script.
struct Served {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Served {
    fn start(folder: PathBuf, viewer: SocketAddr, tls: Value) -> Self {
        let [address] = free_ports();
        let orders = json!({"viewer": viewer.port(), "tls": tls});
        let child = node("serve", address, &folder, &orders, Stdio::null());
        let served = Self { child, folder, address };
        eventually("the archive listens", || TcpStream::connect(address).is_ok());
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn node(mode: &str, address: SocketAddr, folder: &Path, orders: &Value, out: Stdio) -> Child {
    let mut child = Command::new(peer_program("node"))
        .arg(script("dcmjs.js"))
        .args([mode, &address.port().to_string()])
        .arg(folder)
        .env("NODE_PATH", peer_file("node/node_modules"))
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(orders.to_string().as_bytes()).unwrap();
    child
}
