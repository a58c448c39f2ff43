//! The tools of dicom-rs.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::compare::{Came, compare};
use super::stand::{self, CALLS, Stand, done, peer, pinned, rows};
use super::table::{Cell, Row};
use crate::harness::{eventually, files_below, free_ports, peer_file};

pub(super) fn row() -> Row {
    let [own] = free_ports();
    let stand = Stand::start(&peer("STORE-SCP", own));
    let version = pinned("tests/interop/dicom-rs.txt", "dicom-echoscu ");
    Row {
        peer: format!("dicom-rs {version}"),
        programs: ["echoscu, storescu, findscu, movescu", "storescp"],
        calls: calls(&stand, own),
        called: called(&stand),
    }
}

fn calls(stand: &Stand, own: SocketAddr) -> [Cell; 7] {
    let target = format!("GANTRY@{}", stand.secure.server.dimse);
    let query = |name: &str, key: &str| {
        let mut command = tool(name);
        command.args(["-S", "--called-ae-title", "GANTRY", "-q", "QueryRetrieveLevel=STUDY", "-q", key]);
        command.arg(stand.secure.server.dimse.to_string());
        command
    };
    done(tool("echoscu").arg(&target));
    let echo = stand.echoed();
    done(tool("storescu").args(["--fail-first", &target]).args(files_below(stand.files.path())));
    let store = stand.stored();
    let mut find = query("findscu", &format!("PatientName=Test{}*", CALLS / 10));
    let find = rows(&done(find.args(["-q", "StudyInstanceUID"])), "- Match #");
    let place = stand.place("moved");
    let mut move_ = query("movescu", &format!("StudyInstanceUID=2.25.{CALLS}"));
    move_.args(["--move-destination", "STORE-SCP", "-p", &own.port().to_string(), "-o"]).arg(&place);
    done(&mut move_);
    let move_ = compare(&Came::below(&place), &stand::study(CALLS));
    let target = format!("GANTRY@{}", stand.secure.tls);
    done(secured(stand, "STORE-SCU", tool("storescu").args(["--fail-first", &target])).arg(stand.tls_file()));
    [echo, store, find, move_, Cell::Absent, Cell::Absent, stand.stored_by_tls()]
}

fn called(stand: &Stand) -> [Cell; 7] {
    let plain = Served::start(stand.place("plain"), &mut tool("storescp"));
    let secure = Served::start(stand.place("secure"), secured(stand, "STORE-SCP", &mut tool("storescp")));
    let target = format!("STORE-SCP@{}", plain.address);
    let store = stand.send(&target, || Came::below(&plain.folder));
    let tls = stand.send_by_tls(&format!("STORE-SCP@{}", secure.address), || Came::below(&secure.folder));
    [stand.echo(&target), store, Cell::Absent, Cell::Absent, Cell::Absent, Cell::Absent, tls]
}

/// storescp of these tools.
struct Served {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Served {
    fn start(folder: PathBuf, command: &mut Command) -> Self {
        let [address] = free_ports();
        command.args(["--non-blocking", "-p", &address.port().to_string(), "-o"]).arg(&folder);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let served = Self { child, folder, address };
        eventually("storescp listens", || TcpStream::connect(address).is_ok());
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// With a certificate for this name, and demanding one.
fn secured<'a>(stand: &Stand, name: &str, command: &'a mut Command) -> &'a mut Command {
    let [certificate, key] = stand.certificate(name);
    command.arg("--tls").arg("--key").arg(key).arg("--cert").arg(certificate);
    command.arg("--add-certs").arg(&stand.secure.ca_file)
}

pub(super) fn tool(name: &str) -> Command {
    Command::new(peer_file(&format!("dicom-rs/bin/dicom-{name}")))
}
