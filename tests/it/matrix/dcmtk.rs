//! DCMTK: its clients and storescp, and its archive dcmqrscp.

use std::fs;
use std::process::Command;

use super::compare::{Came, compare};
use super::stand::{self, CALLS, Stand, done, rows};
use super::table::{Cell, Row};
use crate::harness::{dcmtk, files_below};
use crate::inquire::DcmQrScp;
use crate::sinks::StoreScp;

pub(super) fn tools() -> Row {
    let stand = Stand::start("");
    Row {
        peer: format!("DCMTK {}", version()),
        programs: ["echoscu, storescu, findscu, movescu, getscu", "storescp"],
        calls: calls(&stand),
        called: called(&stand),
    }
}

fn calls(stand: &Stand) -> [Cell; 7] {
    let call = |tool: &str, arguments: &[&str]| {
        let mut command = dcmtk(tool);
        command.args(["-v", "-aec", "GANTRY"]).args(arguments);
        done(end(&mut command, stand))
    };
    let study_key = format!("StudyInstanceUID=2.25.{CALLS}");
    let study_of = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &study_key];
    call("echoscu", &[]);
    let echo = stand.echoed();
    done(
        dcmtk("storescu").args(["+sd", "-aec", "GANTRY", "127.0.0.1", &stand.port()]).arg(stand.files.path()),
    );
    let store = stand.stored();
    let name = format!("PatientName=Test{}*", CALLS / 10);
    let keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &name, "-k", "StudyInstanceUID"];
    let find = rows(&call("findscu", &keys), "Find Response: ");
    call("movescu", &[&study_of[..], &["-aem", "STORESCP"]].concat());
    let move_ = stand.moved();
    let place = stand.place("got");
    call("getscu", &[&study_of[..], &["+B", "-od", place.to_str().unwrap()]].concat());
    let get = compare(&Came::below(&place), &stand::study(CALLS));
    let mut by_tls = stand.secure.dcmtk("storescu", &stand.secure.ca.local("CT1"));
    let at = stand.secure.tls.port().to_string();
    done(by_tls.args(["127.0.0.1", &at]).arg(stand.tls_file()));
    [echo, store, find, move_, get, Cell::Absent, stand.stored_by_tls()]
}

fn called(stand: &Stand) -> [Cell; 7] {
    let scp = StoreScp::start();
    let target = format!("STORESCP@{}", scp.address);
    let came = |scp: &StoreScp| scp.data_sets().into_iter().map(Came::explicit).collect();
    let (echo, store) = (stand.echo(&target), stand.send(&target, || came(&scp)));
    let [certificate, key] = stand.certificate("storescp");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let secure =
        StoreScp::with(&["+tls", &path(&key), &path(&certificate), "+cf", &path(&stand.secure.ca_file)]);
    let tls = stand.send_by_tls(&format!("STORESCP@{}", secure.address), || came(&secure));
    [echo, store, Cell::Absent, Cell::Absent, Cell::Absent, Cell::Absent, tls]
}

pub(super) fn archive() -> Row {
    let stand = Stand::start("");
    let archive = DcmQrScp::knowing("GANTRY", stand.secure.server.dimse);
    let target = archive.target.as_str();
    let came = || {
        let files = files_below(&archive.database()).into_iter().map(|path| fs::read(path).unwrap());
        // Its index is there as well.
        files.filter(|file| file.get(128..132) == Some(b"DICM")).map(|file| Came::file(&file)).collect()
    };
    let called = [
        stand.echo(target),
        stand.send(target, came),
        stand.find(target),
        stand.fetch(target),
        stand.get(target),
        Cell::Absent,
        Cell::Absent,
    ];
    let calls = std::array::from_fn(|_| Cell::Absent);
    Row { peer: format!("DCMTK {}", version()), programs: ["", "dcmqrscp"], calls, called }
}

fn end<'a>(command: &'a mut Command, stand: &Stand) -> &'a mut Command {
    command.args(["127.0.0.1", &stand.port()])
}

/// Without its patch level, which differs between systems.
fn version() -> String {
    let printed = done(dcmtk("echoscu").arg("--version"));
    let number = printed.split(" v").nth(1).expect("a version");
    number.split('.').take(2).collect::<Vec<_>>().join(".")
}
