//! Orthanc.

use serde_json::{Value, json};

use super::compare::Came;
use super::stand::{self, CALLS, Stand, committed, peer, studies};
use super::table::{Cell, Row};
use crate::harness::{eventually, free_ports};
use crate::sinks::Orthanc;
use crate::synthetic::Object;

pub(super) fn row() -> Row {
    let [own] = free_ports();
    let stand = Stand::start(&peer("ORTHANC", own));
    let orthanc = Orthanc::start_at(stand.secure.server.dimse, own);
    let version = orthanc.get("/system")["Version"].as_str().unwrap().to_owned();
    // It has no TLS port beside a plain one.
    let [by_tls] = free_ports();
    let secure = Orthanc::start_with(stand.secure.tls, by_tls, tls(&stand));
    Row {
        // Without its minor version, which differs between systems.
        peer: format!("Orthanc {}", version.split('.').next().unwrap()),
        programs: [""; 2],
        calls: calls(&stand, &orthanc, &secure),
        called: called(&stand, &orthanc, &secure),
    }
}

fn calls(stand: &Stand, orthanc: &Orthanc, secure: &Orthanc) -> [Cell; 7] {
    orthanc.post("/modalities/gantry/echo", b"{}");
    let echo = stand.echoed();
    let ids: Vec<String> = studies(CALLS).iter().map(|object| upload(orthanc, object)).collect();
    orthanc.post("/modalities/gantry/store", json!(ids).to_string().as_bytes());
    let store = stand.stored();
    let query = json!({"PatientName": format!("Test{}*", CALLS / 10), "StudyInstanceUID": ""});
    let query = json!({"Level": "Study", "Query": query}).to_string();
    let query = orthanc.post("/modalities/gantry/query", query.as_bytes());
    let path = format!("{}/answers?expand&simplify", query["Path"].as_str().unwrap());
    let find = stand::rows(&orthanc.get(&path).to_string(), "\"StudyInstanceUID\"");
    let study_uid = format!("2.25.{CALLS}");
    let moved =
        json!({"Level": "Study", "TargetAet": "STORESCP", "Resources": [{"StudyInstanceUID": study_uid}]});
    orthanc.post("/modalities/gantry/move", moved.to_string().as_bytes());
    let move_ = stand.moved();
    let asked = json!({"Resources": ids[..3]}).to_string();
    let asked = orthanc.post("/modalities/gantry/storage-commitment", asked.as_bytes());
    let path = asked["Path"].as_str().unwrap();
    eventually("the report comes", || orthanc.get(path)["Status"] != "Pending");
    let told = orthanc.get(path);
    assert_eq!(
        (&told["Status"], told["Success"].as_array().unwrap().len()),
        (&json!("Success"), 3),
        "{told}"
    );
    let uploaded = upload(secure, &stand::by_tls());
    secure.post("/modalities/gantry/store", uploaded.as_bytes());
    // What comes back later is Gantry's.
    secure.delete(&format!("/instances/{uploaded}"));
    let get = Cell::Without("Orthanc asks by C-GET only from 1.12.7 on.");
    [echo, store, find, move_, get, Cell::Did("3 committed".to_owned()), stand.stored_by_tls()]
}

fn called(stand: &Stand, orthanc: &Orthanc, secure: &Orthanc) -> [Cell; 7] {
    let target = format!("ORTHANC@{}", orthanc.dicom);
    let others: Vec<String> = studies(CALLS).iter().map(|object| object.instance.clone()).collect();
    let mut commits = None;
    let [address] = free_ports();
    let begin = |server: &crate::harness::Server| commits = Some(Orthanc::start_at(server.dimse, address));
    let commitment = committed("ORTHANC", address, begin);
    drop(commits);
    [
        stand.echo(&target),
        stand.send(&target, || files(orthanc, &others)),
        stand.find(&target),
        stand.fetch(&target),
        stand.get(&target),
        commitment,
        stand.send_by_tls(&format!("ORTHANC@{}", secure.dicom), || files(secure, &[])),
    ]
}

/// What it has, but for these instances.
fn files(orthanc: &Orthanc, others: &[String]) -> Vec<Came> {
    let instances = orthanc.get("/instances?expand");
    let of = |instance: &&Value| {
        let uid = instance["MainDicomTags"]["SOPInstanceUID"].as_str().unwrap();
        !others.iter().any(|other| other == uid)
    };
    let ids =
        instances.as_array().unwrap().iter().filter(of).map(|instance| instance["ID"].as_str().unwrap());
    ids.map(|id| Came::file(&orthanc.file(id))).collect()
}

fn upload(orthanc: &Orthanc, object: &Object) -> String {
    orthanc.post("/instances", &object.file())["ID"].as_str().unwrap().to_owned()
}

fn tls(stand: &Stand) -> Value {
    let [certificate, key] = stand.certificate("ORTHANC");
    let port = stand.secure.tls.port();
    json!({
        "DicomTlsEnabled": true, "DicomTlsCertificate": certificate, "DicomTlsPrivateKey": key,
        "DicomTlsTrustedCertificates": stand.secure.ca_file, "DicomTlsRemoteCertificateRequired": true,
        "DicomModalities": {"gantry": {"AET": "GANTRY", "Host": "127.0.0.1", "Port": port, "UseDicomTls": true}},
    })
}
