//! Clients and servers that nobody here wrote do the main path.

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use crate::harness::{Server, dcmtk, eventually, gantry, python, run};
use crate::sinks::{Orthanc, script};
use crate::synthetic::{Object, data_set_of};

#[test]
fn dcmtk_echoes_stores_and_finds() {
    let server = Server::start();
    let port = server.dimse.port().to_string();
    let folder = TempDir::new().unwrap();
    let objects: Vec<_> = (1..=5).map(|n| Object::new(7, 1, n)).collect();
    for object in &objects {
        fs::write(folder.path().join(&object.instance), object.file()).unwrap();
    }
    let (ok, printed) = run(dcmtk("echoscu").args(["-v", "-aec", "GANTRY", "127.0.0.1", &port]));
    assert!(ok && printed.contains("Success"), "{printed}");
    let (ok, printed) =
        run(dcmtk("storescu").args(["-v", "+sd", "-aec", "GANTRY", "127.0.0.1", &port]).arg(folder.path()));
    assert!(ok, "{printed}");
    for (model, level) in [("-S", "STUDY"), ("-S", "SERIES"), ("-P", "PATIENT"), ("-P", "STUDY")] {
        let mut findscu = dcmtk("findscu");
        findscu.args(["-v", model, "-aec", "GANTRY", "-k", &format!("QueryRetrieveLevel={level}")]);
        if model == "-P" && level == "STUDY" {
            findscu.args(["-k", "PatientID=P7"]);
        } else {
            findscu.args(["-k", "PatientID"]);
        }
        if level == "SERIES" {
            findscu.args(["-k", "StudyInstanceUID=2.25.7", "-k", "SeriesInstanceUID"]);
        }
        let (ok, printed) = run(findscu.args(["-k", "PatientName=test7*", "127.0.0.1", &port]));
        assert!(ok && printed.contains("Test7^Person"), "{model} {level}: {printed}");
        assert_eq!(printed.matches("Find Response: ").count(), 1, "{model} {level}: {printed}");
    }
    for object in &objects {
        let path = format!(
            "/dicom-web/studies/{}/series/{}/instances/{}",
            object.study, object.series, object.instance
        );
        let answer = server.get_as(&path, "application/dicom; transfer-syntax=*");
        assert_eq!(answer.status, 200);
        assert!(data_set_of(&answer.body) == object.data_set(), "bit-exact");
    }
}

#[test]
fn pynetdicom_echoes_stores_and_finds() {
    let server = Server::start();
    let object = Object::new(8, 1, 1);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.dcm");
    fs::write(&file, object.file()).unwrap();
    let (ok, printed) = run(python()
        .arg(script("pynetdicom_path.py"))
        .arg(server.dimse.port().to_string())
        .arg(&file)
        .args([&object.study, &object.patient_name]));
    assert!(ok, "{printed}");
}

#[test]
fn dicomweb_client_stores_searches_and_retrieves() {
    let server = Server::start();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.dcm");
    fs::write(&file, Object::new(9, 1, 1).file()).unwrap();
    let base = format!("http://{}/dicom-web", server.web);
    let (ok, printed) = run(python().arg(script("dicomweb_path.py")).arg(base).arg(&file));
    assert!(ok, "{printed}");
}

#[test]
fn orthanc_sends_queries_and_receives() {
    let server = Server::start();
    let orthanc = Orthanc::start(server.dimse);
    let object = Object::new(10, 1, 1);
    let id = orthanc.post("/instances", &object.file())["ID"].as_str().unwrap().to_owned();
    orthanc.post("/modalities/gantry/echo", b"{}");
    orthanc.post("/modalities/gantry/store", id.as_bytes());
    let rows = server.get("/dicom-web/studies?PatientID=P10").json();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");

    let query = orthanc.post(
        "/modalities/gantry/query",
        br#"{"Level": "Study", "Query": {"PatientID": "P10", "StudyInstanceUID": "", "StudyDate": "20260101-20260103"}}"#,
    );
    let answers = orthanc.get(&format!("{}/answers?expand&simplify", query["Path"].as_str().unwrap()));
    assert_eq!(answers[0]["StudyInstanceUID"], "2.25.10", "{answers}");
    assert_eq!(answers.as_array().unwrap().len(), 1, "{answers}");

    let folder = TempDir::new().unwrap();
    for n in 1..=3 {
        fs::write(folder.path().join(n.to_string()), Object::new(11, 1, n).file()).unwrap();
    }
    let target = format!("ORTHANC@{}", orthanc.dicom);
    let (ok, printed) = run(gantry().args(["echo", &target]));
    assert!(ok, "{printed}");
    let (ok, printed) = run(gantry().args(["send", &target]).arg(folder.path()));
    assert!(ok, "{printed}");
    assert_eq!(orthanc.get("/instances").as_array().unwrap().len(), 4);
}

#[test]
fn the_peer_sees_our_calling_title_on_each_association() {
    let server = Server::start();
    let folder = TempDir::new().unwrap();
    for n in 1..=9 {
        fs::write(folder.path().join(n.to_string()), Object::new(12, 1, n).file()).unwrap();
    }
    let target = format!("GANTRY@{}", server.dimse);
    let mut send = gantry();
    send.args(["send", &target, "--calling", "MODALITY_7", "--associations", "3"]).arg(folder.path());
    let (ok, printed) = run(&mut send);
    assert!(ok, "{printed}");
    let associations = || -> BTreeSet<String> {
        let log = server.log();
        let lines = log.lines().filter(|line| line.split(' ').any(|pair| pair == "calling=MODALITY_7"));
        lines
            .map(|line| line.split(' ').find(|pair| pair.starts_with("assoc=")).unwrap().to_owned())
            .collect()
    };
    eventually("all associations are in the log", || associations().len() >= 3);
    assert_eq!(associations().len(), 3, "{}", server.log());
    let rows = server.get("/dicom-web/studies/2.25.12/instances").json();
    assert_eq!(rows.as_array().unwrap().len(), 9, "{rows}");
}
