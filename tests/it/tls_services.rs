//! Queries, retrieves, upstream archives and storage commitment by mutual TLS, with whoever calls and is called.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commitment::{self, Modality};
use crate::harness::{Launch, Server, eventually, free_ports, gantry, run};
use crate::inquire::{ask, data_sets, expected, objects};
use crate::pki::{Ca, Files};
use crate::retrieving::{JPEG, Retrieved, Retrieving, assert_last, ct_in, fill, study};
use crate::sinks::Orthanc;
use crate::synthetic::{CT, DEFLATED, EXPLICIT, IMPLICIT, Object};
use crate::tls_called::Receiver;
use crate::tls_callers::Secure;
use crate::upstream::store;
use crate::upstream_fetch::{of, sorted};

/// A peer that is called by TLS.
fn peer(name: &str, title: &str, address: SocketAddr) -> String {
    format!("[peer.{name}]\nae_title = \"{title}\"\naddress = \"{address}\"\ntls = true\n")
}

/// Whoever called a server has done so by TLS: so many associations, none without.
fn assert_called_by_tls(server: &Server, count: u64) {
    let released = || server.metric(r#"gantry_associations_total{role="acceptor",end="released"}"#);
    eventually(&format!("{count} associations are released"), || released() >= count);
    let handshakes = server.metric(r#"gantry_tls_handshakes_total{outcome="ok"}"#);
    assert_eq!((released(), handshakes), (count, count), "{}", server.log());
}

/// A server NEAR with a port for TLS, and tables.
fn near(ca: &Ca, tls: SocketAddr, tables: &str) -> Server {
    let own = ca.local("near");
    let ca = ca.pem();
    let files = [("near.pem", own.certificate.as_str()), ("near.key", &own.key), ("ca.pem", &ca)];
    let keys = "certificate = \"near.pem\"\nkey = \"near.key\"\nca = \"ca.pem\"";
    let dimse = format!("[dimse.tls]\nlisten = \"{tls}\"\n{keys}\n");
    Server::furnished(&files, ["ae_title = \"NEAR\"", &dimse, tables], Launch::default())
}

/// Orthanc, which speaks TLS only and demands a certificate, and knows this address for `gantry`, by this AE title.
fn orthanc(ca: &Ca, files: &Files, dicom: SocketAddr, title: &str, ours: SocketAddr) -> Orthanc {
    let [certificate, key] = files.keep("orthanc", &ca.local("orthanc"));
    let known = json!({"AET": title, "Host": "127.0.0.1", "Port": ours.port(), "UseDicomTls": true});
    let tls = json!({
        "DicomTlsEnabled": true, "DicomTlsCertificate": certificate, "DicomTlsPrivateKey": key,
        "DicomTlsTrustedCertificates": files.write("orthanc-ca.pem", &ca.pem()),
        "DicomTlsRemoteCertificateRequired": true, "DicomModalities": {"gantry": known},
    });
    let orthanc = Orthanc::start_with(ours, dicom, tls);
    let (ok, printed) = run(gantry().args(["echo", &format!("ORTHANC@{dicom}")]));
    assert!(!ok, "it speaks without TLS: {printed}");
    orthanc
}

/// tests/interop/retrieve.py by TLS.
fn retrieve(secure: &Secure, mut orders: Value) -> Retrieved {
    let [certificate, key] = secure.files.keep("pynetdicom", &secure.ca.local("PYNETDICOM"));
    orders["tls"] = json!([certificate, key, &secure.ca_file]);
    Retrieving::start_at(secure.tls, &orders).finish()
}

#[test]
fn findscu_is_answered_by_tls() {
    let secure = Secure::start();
    store(&secure.server, &objects());
    let find = |ca: &Ca| {
        let mut findscu = secure.dcmtk("findscu", &ca.local("CT1"));
        findscu.args(["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]);
        secure.run(findscu.args(["-k", "PatientName=Test22*"]))
    };
    let (ok, printed) = find(&secure.ca);
    assert!(ok && printed.matches("Find Response: ").count() == 1, "{printed}");
    assert!(printed.contains("[2.25.22") && !printed.contains("[2.25.21"), "{printed}");
    assert_called_by_tls(&secure.server, 1);
    let (ok, printed) = find(&Ca::new("Another CA"));
    assert!(!ok && !printed.contains("Find Response: "), "{printed}");
}

#[test]
fn pynetdicom_gets_by_tls_bit_by_bit() {
    let secure = Secure::start();
    let kept = fill(&secure.server, 1, 40);
    let contexts = ct_in(&[EXPLICIT, IMPLICIT, DEFLATED, JPEG]);
    let got = retrieve(&secure, json!({"service": "get", "keys": study(1), "contexts": contexts}));
    assert_last(got.last(), 0x0000, [44, 0, 0]);
    let expected = kept.iter().map(|kept| (kept.instance.clone(), kept.sent())).collect();
    assert!(got.data_sets == expected, "{:?}", got.data_sets.keys());
    assert_called_by_tls(&secure.server, 1);
}

#[test]
fn pynetdicom_has_instances_moved_to_storescp_by_tls() {
    let ca = Ca::new("Hospital CA");
    let receiver = Receiver::start(&ca, &ca.local("storescp"));
    let address = receiver.scp.address;
    let plain = format!("[peer.plain]\nae_title = \"PLAIN\"\naddress = \"{address}\"\n");
    let tables = format!("{}{plain}", peer("storescp", "STORESCP", address));
    let secure = Secure::with("", "", &ca, &tables);
    store(&secure.server, &objects());
    let keys = json!({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.21"});
    let move_ = |to| retrieve(&secure, json!({"service": "move", "keys": keys, "destination": to}));
    // What takes them takes nobody's without TLS.
    assert_last(move_("PLAIN").last(), 0xA702, [0, 3, 0]);
    assert!(receiver.scp.files().is_empty());
    assert_last(move_("STORESCP").last(), 0x0000, [3, 0, 0]);
    assert!(sorted(receiver.scp.data_sets()) == of(&objects()[..3]), "bit by bit");
    assert_called_by_tls(&secure.server, 2);
}

#[test]
fn orthanc_asks_and_takes_what_is_moved_by_tls() {
    let (ca, files, [dicom]) = (Ca::new("Hospital CA"), Files::new(), free_ports());
    let secure = Secure::with("", "", &ca, &peer("orthanc", "ORTHANC", dicom));
    store(&secure.server, &objects());
    let orthanc = orthanc(&ca, &files, dicom, "GANTRY", secure.tls);
    let query = orthanc.post(
        "/modalities/gantry/query",
        br#"{"Level": "Study", "Query": {"PatientID": "P22", "StudyInstanceUID": ""}}"#,
    );
    let path = query["Path"].as_str().unwrap();
    let answers = orthanc.get(&format!("{path}/answers?expand&simplify"));
    assert_eq!(answers.as_array().unwrap().len(), 1, "{answers}");
    assert_eq!(answers[0]["StudyInstanceUID"], "2.25.22", "{answers}");
    orthanc.post(&format!("{path}/retrieve"), b"ORTHANC");
    let kept = orthanc.get("/instances");
    assert_eq!(kept.as_array().unwrap().len(), 1, "{kept}");
    let file = orthanc.file(kept[0].as_str().unwrap());
    let data = objects()[3].data_set();
    assert!(file.ends_with(&data[data.len() - 200_000..]), "its pixels");
    assert_called_by_tls(&secure.server, 2);
}

#[test]
fn gantry_finds_moves_and_gets_by_tls() {
    let ca = Ca::new("Hospital CA");
    let receiver = Receiver::start(&ca, &ca.local("storescp"));
    let secure = Secure::with("", "", &ca, &peer("storescp", "STORESCP", receiver.scp.address));
    store(&secure.server, &objects());
    let [certificate, key] = secure.files.keep("gantry", &ca.local("gantry"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let [ca_file, certificate, key] = [&secure.ca_file, &certificate, &key].map(|file| path(file));
    let tls = ["--tls", "--ca", &ca_file, "--certificate", &certificate, "--key", &key];
    let target = format!("GANTRY@{}", secure.tls);
    let out = TempDir::new().unwrap();
    let folder = path(out.path());
    let find = ["find", &target, "-k", "PatientName=Test22*", "--return", "StudyInstanceUID"];
    let move_ = ["move", &target, "--to", "STORESCP", "--study", "2.25.21"];
    let get = ["get", &target, "--study", "2.25.21", "--out", &folder];
    for (arguments, words) in [
        (&find[..], "StudyInstanceUID\n2.25.22\n"),
        (&move_, "0000H success, 3 completed"),
        (&get, "3 instances kept"),
    ] {
        // Without TLS, and without a certificate, there is nothing to be had there.
        for less in [&[][..], &tls[..3]] {
            let (exit, printed, said) = ask(&[arguments, less].concat());
            assert!(exit == Some(1) && !printed.contains(words), "{arguments:?} {less:?} {printed}{said}");
        }
        let (exit, printed, said) = ask(&[arguments, &tls].concat());
        assert!(exit == Some(0) && printed.contains(words), "{arguments:?} {printed}{said}");
    }
    assert!(sorted(receiver.scp.data_sets()) == of(&objects()[..3]), "bit by bit");
    assert!(data_sets(out.path()) == expected(&objects()[..3]), "bit by bit");
    // To get, it asks first what there is.
    assert_called_by_tls(&secure.server, 4);
}

#[test]
fn the_peers_of_a_configuration_are_asked_by_tls() {
    let ca = Ca::new("Hospital CA");
    let far = Secure::with("", "", &ca, "");
    store(&far.server, &objects());
    let near = near(&ca, free_ports::<1>()[0], &peer("far", "GANTRY", far.tls));
    let found = near.command(&["find", "far", "-k", "PatientID=P22", "--return", "StudyInstanceUID"]);
    assert_eq!((found.code, found.printed.as_str()), (0, "StudyInstanceUID\n2.25.22\n"));
    let got = near.command(&["get", "far", "--study", "2.25.21", "--out", "got"]);
    assert_eq!(got.code, 0, "{}", got.printed);
    assert!(data_sets(&near.dir().join("got")) == expected(&objects()[..3]), "bit by bit");
    assert_called_by_tls(&far.server, 3);
}

/// What an upstream archive has of studies 21 and 22 is found and fetched.
fn assert_found_and_fetched(near: &Server, keys: &str) {
    let target = format!("NEAR@{}", near.dimse);
    // Under our own title we would be taken for the archive, which is not asked for itself.
    let call = [&target, "--calling", "VIEWER"];
    let keys_of_study = ["-k", "PatientID=P22", "--return", "StudyInstanceUID,InstanceAvailability"];
    let (exit, printed, said) = ask(&[&["find"], &call[..], &keys_of_study].concat());
    assert_eq!(exit, Some(0), "{keys}: {printed}{said}");
    assert!(printed.contains("2.25.22") && printed.contains("NEARLINE"), "{keys}: {printed}");
    let out = TempDir::new().unwrap();
    let (ok, printed) =
        run(gantry().arg("get").args(call).args(["--study", "2.25.21", "--out"]).arg(out.path()));
    assert!(ok && printed.contains("3 instances kept"), "{keys}: {printed}");
    let (got, sent) = (data_sets(out.path()), expected(&objects()[..3]));
    assert!(got.keys().eq(sent.keys()), "{keys}: {:?}", got.keys());
    for (path, data) in sent {
        assert!(got[&path].ends_with(&data[data.len() - 200_000..]), "{keys}: {path}");
    }
    let fetched = near.metric("gantry_upstream_fetched_instances_total{upstream=\"far\"}");
    assert_eq!(fetched, 3, "{keys}");
}

#[test]
fn an_upstream_gantry_is_asked_and_fetched_from_by_tls() {
    let ca = Ca::new("Hospital CA");
    for (keys, associations_here) in [("", 0), ("retrieve = \"move\"", 1)] {
        let [near_tls] = free_ports();
        let far = Secure::with("move_associations = 1", "", &ca, &peer("near", "NEAR", near_tls));
        store(&far.server, &objects());
        let upstream = format!("[upstream.far]\npeer = \"far\"\n{keys}\n");
        let near = near(&ca, near_tls, &format!("{}{upstream}", peer("far", "GANTRY", far.tls)));
        assert_found_and_fetched(&near, keys);
        // As it is kept here, bit by bit.
        for object in &objects()[..3] {
            assert!(crate::tls_callers::kept(&near, object) == object.data_set(), "{keys}: {object:?}");
        }
        let handshakes = |server: &Server| server.metric("gantry_tls_handshakes_total{outcome=\"ok\"}");
        assert_eq!(handshakes(&near), associations_here, "{keys}: what it moves comes by TLS");
        let count = handshakes(&far.server);
        assert!(count >= 2, "{keys}: {count}");
        assert_called_by_tls(&far.server, count);
    }
}

#[test]
fn an_upstream_orthanc_is_asked_and_fetched_from_by_tls() {
    let (ca, files) = (Ca::new("Hospital CA"), Files::new());
    for (keys, associations_here) in [("", 0), ("retrieve = \"move\"", 1)] {
        let [near_tls, dicom] = free_ports();
        let orthanc = orthanc(&ca, &files, dicom, "NEAR", near_tls);
        for object in objects() {
            orthanc.post("/instances", &object.file());
        }
        let upstream = format!("[upstream.far]\npeer = \"far\"\n{keys}\n");
        let near = near(&ca, near_tls, &format!("{}{upstream}", peer("far", "ORTHANC", dicom)));
        assert_found_and_fetched(&near, keys);
        let handshakes = near.metric("gantry_tls_handshakes_total{outcome=\"ok\"}");
        assert_eq!(handshakes, associations_here, "{keys}: what it moves comes by TLS");
    }
}

#[test]
fn a_commitment_report_goes_to_a_modality_by_tls() {
    let (ca, files, [address]) = (Ca::new("Hospital CA"), Files::new(), free_ports());
    let [certificate, key] = files.keep("modality", &ca.local("modality"));
    let modality = Modality::listen_by(address, &[&certificate, &key, &files.write("ca.pem", &ca.pem())]);
    let Secure { server, .. } = Secure::with("", "", &ca, &peer("modality", "MODALITY", address));
    let object = Object::new(1, 1, 1);
    store(&server, std::slice::from_ref(&object));
    let (ok, printed) = run(gantry().args(["echo", &format!("MODALITY@{address}")]));
    assert!(!ok, "it speaks without TLS: {printed}");
    // It releases at once, so that the report goes over an association of ours.
    let said = commitment::ask(&server, "MODALITY", "2.25.100", "no", &[(CT, &object.instance)]);
    assert_eq!(said, [json!({"event": "answer", "status": 0})]);
    let report = modality.report("2.25.100");
    assert_eq!((&report["type"], &report["committed"]), (&json!(1), &json!([object.instance])));
    assert_eq!(report["over"], "association of GANTRY");
    eventually("nothing is owed", || server.commitments().is_empty());
}
