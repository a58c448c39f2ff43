//! Storage commitment as SCP: peers that nobody here wrote ask, and get their reports whatever happens in between.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Launch, Server, eventually, files_below, free_ports, python};
use crate::routed::ran;
use crate::scu::{Scu, associate_rq, element};
use crate::sinks::{Orthanc, script};
use crate::synthetic::{CT, EXPLICIT, Object};

pub(crate) const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

/// A peer of this title at this address, and reports that are tried again soon.
fn tables(title: &str, address: SocketAddr) -> String {
    format!("[peer.modality]\nae_title = \"{title}\"\naddress = \"{address}\"\n")
}

fn server(peers: &str) -> Server {
    let soon = "report_retry = { first = \"100ms\", factor = 1.5, max = \"300ms\", give_up = \"1h\" }";
    let server = Server::furnished(&[], ["", soon, peers], Launch::default());
    server.store(&[Object::new(1, 1, 1), Object::new(1, 1, 2)]);
    server
}

/// tests/interop/commitment_scu.py asks; what it printed.
pub(crate) fn ask(
    server: &Server,
    calling: &str,
    transaction: &str,
    wait: &str,
    references: &[(&str, &str)],
) -> Vec<Value> {
    let mut command = python();
    command.arg(script("commitment_scu.py")).args(["ask", &server.dimse.port().to_string()]);
    command.args([calling, transaction, wait]);
    command.args(references.iter().flat_map(|(class, instance)| [class, instance]));
    let ran = ran(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    ran.printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A modality that takes reports over associations of others.
pub(crate) struct Modality {
    child: Child,
    folder: TempDir,
}

impl Modality {
    fn listen(address: SocketAddr) -> Self {
        Self::listen_by(address, &[])
    }

    /// The same by TLS with these files: certificate, key and CA.
    pub(crate) fn listen_by(address: SocketAddr, tls: &[&Path]) -> Self {
        let folder = TempDir::new().unwrap();
        let child = python()
            .arg(script("commitment_scu.py"))
            .args(["listen", &address.port().to_string()])
            .arg(folder.path())
            .args(tls)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the modality listens", || TcpStream::connect(address).is_ok());
        Self { child, folder }
    }

    fn answer(&self, status: u16) {
        fs::write(self.folder.path().join("new"), status.to_string()).unwrap();
        fs::rename(self.folder.path().join("new"), self.folder.path().join("status")).unwrap();
    }

    fn reports(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a report of this transaction.
    pub(crate) fn report(&self, transaction: &str) -> Value {
        let find = || self.reports().into_iter().find(|report| report["transaction"] == transaction);
        eventually(&format!("the report of {transaction} comes"), || find().is_some());
        find().unwrap()
    }
}

impl Drop for Modality {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// `gantry queue commitments --json`.
    pub(crate) fn commitments(&self) -> Vec<Value> {
        let ran = self.command(&["queue", "commitments", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        serde_json::from_str(&ran.printed).unwrap_or_else(|error| panic!("{error}: {}", ran.printed))
    }
}

#[test]
fn pynetdicom_gets_its_report_over_the_association_that_it_keeps() {
    let [nobody] = free_ports();
    let server = server(&tables("OTHER", nobody));
    let all = ask(&server, "CT1", "2.25.100", "yes", &[(CT, "2.25.1.1.1"), (CT, "2.25.1.1.2")]);
    assert_eq!(all[0], json!({"event": "answer", "status": 0}));
    assert_eq!((&all[1]["type"], &all[1]["transaction"]), (&json!(1), &json!("2.25.100")));
    assert_eq!(all[1]["committed"], json!(["2.25.1.1.1", "2.25.1.1.2"]));
    assert_eq!((&all[1]["failed"], &all[1]["retrieve"]), (&json!({}), &json!("GANTRY")));
    assert_eq!(all[1]["over"], "association of CT1");

    let name = "SELECT file FROM instance WHERE sop_instance_uid = '2.25.1.1.2'";
    let file: i64 = server.index().query_row(name, [], |row| row.get(0)).unwrap();
    let files = files_below(&server.data_dir().join("instances"));
    let lost = files.iter().find(|path| path.ends_with(format!("{file:016x}.dcm"))).unwrap();
    fs::remove_file(lost).unwrap();
    let some = ask(
        &server,
        "CT1",
        "2.25.101",
        "yes",
        &[(CT, "2.25.1.1.1"), (CT, "2.25.1.1.2"), (CT, "2.25.1.1.3"), (MR, "2.25.1.1.1")],
    );
    assert_eq!(some[1]["type"], 2);
    assert_eq!(some[1]["committed"], json!(["2.25.1.1.1"]));
    let failed = json!({"2.25.1.1.2": 0x0110, "2.25.1.1.3": 0x0112, "2.25.1.1.1": 0x0119});
    assert_eq!(some[1]["failed"], failed);
    eventually("nothing is owed", || server.commitments().is_empty());
    assert_eq!(server.metric(r#"gantry_commitment_reports_total{outcome="delivered"}"#), 2);
    assert!(
        server.log().contains("no [peer] has this AE title: the report can only go over this association")
    );
}

#[test]
fn pynetdicom_gets_its_report_over_an_association_of_ours_when_it_releases_at_once() {
    let [address] = free_ports();
    let modality = Modality::listen(address);
    let server = server(&tables("MODALITY", address));
    let said = ask(&server, "MODALITY", "2.25.100", "no", &[(CT, "2.25.1.1.1"), (CT, "2.25.9")]);
    assert_eq!(said, [json!({"event": "answer", "status": 0})]);
    let report = modality.report("2.25.100");
    assert_eq!((&report["type"], &report["committed"]), (&json!(2), &json!(["2.25.1.1.1"])));
    assert_eq!(report["failed"], json!({"2.25.9": 0x0112}));
    assert_eq!(report["over"], "association of GANTRY");
    assert_eq!(report["roles"], json!([[COMMITMENT, false, true]]), "we say that we are SCP");
    eventually("nothing is owed", || server.commitments().is_empty());
}

#[test]
fn a_peer_that_is_down_gets_its_report_when_it_is_back() {
    let [address] = free_ports();
    let server = server(&tables("MODALITY", address));
    ask(&server, "MODALITY", "2.25.100", "no", &[(CT, "2.25.1.1.1")]);
    eventually("it was tried twice", || {
        server.commitments().first().is_some_and(|owed| owed["attempts"].as_u64() >= Some(2))
    });
    let owed = server.commitments().remove(0);
    assert_eq!(
        (&owed["state"], &owed["aet"], &owed["peer"]),
        (&json!("waiting"), &json!("MODALITY"), &json!("modality"))
    );
    assert!(owed["reason"].as_str().unwrap().contains("nothing listens there"), "{owed}");
    let shown = server.command(&["queue", "commitments"]).printed;
    assert!(
        shown.contains("MODALITY") && shown.contains("2.25.100") && shown.contains("next try"),
        "{shown}"
    );
    let noted = server.command(&["queue"]).printed;
    assert!(noted.contains("1 storage commitment report waits, 0 given up"), "{noted}");
    let page = String::from_utf8(server.get("/").body).unwrap();
    assert!(page.contains("Storage commitment reports") && page.contains("nothing listens there"), "{page}");
    server.get("/metrics");
    assert_eq!(server.metric(r#"gantry_commitment_reports_owed{state="waiting"}"#), 1);

    let modality = Modality::listen(address);
    // It does not take the first ones either.
    modality.answer(0x0110);
    eventually("it has refused two", || modality.reports().len() >= 2);
    modality.answer(0);
    eventually("nothing is owed", || server.commitments().is_empty());
    assert_eq!(server.metric(r#"gantry_commitment_reports_owed{state="waiting"}"#), 0);
    assert_eq!(server.command(&["queue", "commitments"]).printed, "no storage commitment report is owed\n");
}

#[test]
fn what_was_answered_is_reported_after_a_kill() {
    let [address] = free_ports();
    let mut server = server(&tables("MODALITY", address));
    // Killed while the report is held for the association that is still open, and once more while it waits for its peer.
    let request = associate_rq("GANTRY", "MODALITY", &[(COMMITMENT, &[EXPLICIT])]);
    let mut scu = Scu::request(server.dimse, &request).unwrap();
    assert_eq!(n_action(&mut scu, "2.25.100", &["2.25.1.1.1", "2.25.1.1.2"]), 0);
    server.kill();
    server.start_again();
    eventually("it was tried", || server.commitments().first().is_some_and(|owed| owed["attempts"] != 0));
    server.kill();
    let modality = Modality::listen(address);
    server.start_again();
    let report = modality.report("2.25.100");
    assert_eq!((&report["type"], report["committed"].as_array().unwrap().len()), (&json!(1), 2));
    eventually("nothing is owed", || server.commitments().is_empty());
    assert_eq!(modality.reports().len(), 1);
}

#[test]
fn a_report_that_was_given_up_is_sent_when_a_person_says_so() {
    let [address] = free_ports();
    let give_up = "report_retry = { first = \"50ms\", max = \"50ms\", give_up = \"300ms\" }";
    let server = Server::furnished(&[], ["", give_up, &tables("MODALITY", address)], Launch::default());
    ask(&server, "MODALITY", "2.25.100", "no", &[(CT, "2.25.1.1.1")]);
    let is_given_up = || server.commitments().first().is_some_and(|owed| owed["state"] == "given_up");
    eventually("it is given up", is_given_up);
    let reason = server.commitments().remove(0)["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("gave up after 300 ms: cannot connect"), "{reason}");
    assert_eq!(server.metric(r#"gantry_commitment_reports_owed{state="given_up"}"#), 1);
    let modality = Modality::listen(address);
    assert_eq!(server.command(&["queue", "commitments", "--retry"]).printed, "1 report is due now\n");
    assert_eq!(modality.report("2.25.100")["type"], 2);
    eventually("nothing is owed", || server.commitments().is_empty());
    assert_eq!(server.command(&["queue", "commitments", "--retry"]).printed, "nothing to retry\n");
}

#[test]
fn orthanc_asks_and_is_told() {
    let [orthanc_at] = free_ports();
    let server = server(&tables("ORTHANC", orthanc_at));
    let orthanc = Orthanc::start_at(server.dimse, orthanc_at);
    let known: Vec<String> = [1, 2]
        .map(|n| {
            let id =
                orthanc.post("/instances", &Object::new(1, 1, n).file())["ID"].as_str().unwrap().to_owned();
            orthanc.post("/modalities/gantry/store", id.as_bytes());
            id
        })
        .to_vec();
    let stranger =
        orthanc.post("/instances", &Object::new(2, 1, 1).file())["ID"].as_str().unwrap().to_owned();
    let outcome = |resources: &[String]| {
        let asked = orthanc.post(
            "/modalities/gantry/storage-commitment",
            json!({"Resources": resources}).to_string().as_bytes(),
        );
        let path = asked["Path"].as_str().unwrap().to_owned();
        eventually("the report comes", || orthanc.get(&path)["Status"] != "Pending");
        orthanc.get(&path)
    };
    let all = outcome(&known);
    assert_eq!((&all["Status"], all["Success"].as_array().unwrap().len()), (&json!("Success"), 2), "{all}");
    let some = outcome(&[known[0].clone(), stranger]);
    assert_eq!(
        (&some["Status"], some["Success"].as_array().unwrap().len()),
        (&json!("Failure"), 1),
        "{some}"
    );
    let failure = &some["Failures"][0];
    assert_eq!(
        (&failure["SOPInstanceUID"], &failure["FailureReason"]),
        (&json!("2.25.2.1.1"), &json!(0x0112)),
        "{some}"
    );
    eventually("nothing is owed", || server.commitments().is_empty());
}

/// N-ACTION on context 1; its status.
pub(crate) fn n_action(scu: &mut Scu, transaction: &str, instances: &[&str]) -> u16 {
    let class = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let extra: &[(u16, &[u8])] =
        &[(0x0003, &class(COMMITMENT)), (0x1001, &class("1.2.840.10008.1.20.1.1")), (0x1008, &[1, 0])];
    let command = scu.command(0x0130, COMMITMENT, extra, true);
    scu.send(1, true, &command).unwrap();
    scu.send(1, false, &action(transaction, instances)).unwrap();
    scu.receive().unwrap().status()
}

/// The data set of a request to commit to these.
pub(crate) fn action(transaction: &str, instances: &[&str]) -> Vec<u8> {
    let mut items = Vec::new();
    for instance in instances {
        let item = [element(0x0008, 0x1150, "UI", CT), element(0x0008, 0x1155, "UI", instance)].concat();
        items.extend([0xFE, 0xFF, 0x00, 0xE0]);
        items.extend(u32::try_from(item.len()).unwrap().to_le_bytes());
        items.extend(item);
    }
    let mut data = element(0x0008, 0x1195, "UI", transaction);
    data.extend([0x08, 0x00, 0x99, 0x11, b'S', b'Q', 0, 0]);
    data.extend(u32::try_from(items.len()).unwrap().to_le_bytes());
    data.extend(items);
    data
}
