//! pynetdicom: its applications, and scripts where they have no such service.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::json;

use super::compare::{Came, compare};
use super::stand::{self, CALLS, Stand, committed, done, pinned, rows};
use super::table::{Cell, Row};
use crate::commitment::ask;
use crate::harness::{eventually, free_ports, python};
use crate::sinks::{Scripted, script};
use crate::synthetic::CT;

pub(super) fn row() -> Row {
    let stand = Stand::start("");
    let version = pinned("tests/interop/requirements.txt", "pynetdicom==");
    Row {
        peer: format!("pynetdicom {version}"),
        programs: ["echoscu, storescu, findscu, movescu, getscu", "qrscp"],
        calls: calls(&stand),
        called: called(&stand),
    }
}

const BY_SCRIPT: &str = "By a script on the library: the applications have no such service.";

fn calls(stand: &Stand) -> [Cell; 7] {
    let call = |tool: &str, arguments: &[&str]| {
        let mut command = python();
        command.args(["-m", "pynetdicom", tool, "-v", "-aec", "GANTRY", "127.0.0.1", &stand.port()]);
        done(command.args(arguments))
    };
    let study_key = format!("StudyInstanceUID=2.25.{CALLS}");
    let study_of = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &study_key];
    call("echoscu", &[]);
    let echo = stand.echoed();
    call("storescu", &["-cx", stand.files.path().to_str().unwrap()]);
    let store = stand.stored();
    let name = format!("PatientName=Test{}*", CALLS / 10);
    let keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &name, "-k", "StudyInstanceUID="];
    let find = rows(&call("findscu", &keys), "(Pending)");
    call("movescu", &[&study_of[..], &["-aem", "STORESCP"]].concat());
    let move_ = stand.moved();
    let place = stand.place("got");
    call("getscu", &[&study_of[..], &["-od", place.to_str().unwrap()]].concat());
    let get = compare(&Came::below(&place), &stand::study(CALLS));
    let objects = stand::study(CALLS);
    let references: Vec<(&str, &str)> = objects.iter().map(|object| (CT, object.instance.as_str())).collect();
    let said = ask(&stand.secure.server, "CT1", "2.25.100", "yes", &references);
    assert_eq!(said[1]["committed"].as_array().unwrap().len(), objects.len(), "{said:?}");
    let commitment = Cell::Did(format!("{} committed", objects.len())).noted(BY_SCRIPT);
    let [certificate, key] = stand.certificate("CT1");
    done(python().arg(script("tls_client.py")).arg(stand.secure.tls.port().to_string()).args([
        stand.tls_file(),
        stand.secure.ca_file.clone(),
        certificate,
        key,
    ]));
    [echo, store, find, move_, get, commitment, stand.stored_by_tls().noted(BY_SCRIPT)]
}

fn called(stand: &Stand) -> [Cell; 7] {
    let archive = QrScp::start(stand);
    let target = archive.target.as_str();
    let commits = Scripted::archive();
    let [certificate, key] = stand.certificate("sink");
    let sink = Scripted::start(json!({"tls": [certificate, key, stand.secure.ca_file]}));
    let by_tls = || sink.data_sets().into_iter().map(Came::explicit).collect();
    [
        stand.echo(target),
        stand.send(target, || Came::below(&archive.folder)),
        stand.find(target).noted("At study level qrscp answers a row for each instance."),
        stand.fetch(target),
        stand.get(target),
        committed("ARCHIVE", commits.address, |server| {
            commits.order_for(server.dimse, json!({"commit": "same"}))
        })
        .noted(BY_SCRIPT),
        stand.send_by_tls(&format!("SINK@{}", sink.address), by_tls).noted(BY_SCRIPT),
    ]
}

/// The archive among the applications.
struct QrScp {
    child: Child,
    folder: PathBuf,
    target: String,
}

impl QrScp {
    fn start(stand: &Stand) -> Self {
        let place = stand.place("qrscp");
        let [address] = free_ports();
        let config = format!(
            "[DEFAULT]\nae_title: QRSCP\nport: {}\nmax_pdu: 16382\nacse_timeout: 30\ndimse_timeout: 30\nnetwork_timeout: 30\n\
             bind_address: 127.0.0.1\nlog_identifier: False\ninstance_location: {}\ndatabase_location: {}\n\
             [GANTRY]\naddress: 127.0.0.1\nport: {}\n",
            address.port(),
            // Where these are not absolute, they are below the application itself.
            place.join("instances").display(),
            place.join("index.sqlite").display(),
            stand.port(),
        );
        fs::write(place.join("qrscp.ini"), config).unwrap();
        let child = python()
            .args(["-m", "pynetdicom", "qrscp", "-c", "qrscp.ini"])
            .current_dir(&place)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let archive = Self { child, folder: place.join("instances"), target: format!("QRSCP@{address}") };
        eventually("qrscp listens", || TcpStream::connect(address).is_ok());
        archive
    }
}

impl Drop for QrScp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
