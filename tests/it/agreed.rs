//! What is agreed with a peer about its associations: titles, SOP classes, transfer syntaxes, limits, windows.

use std::io::Write;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, dcmtk, eventually, gantry, python, run};
use crate::pki::Ca;
use crate::scu::{Refusal, Scu, associate_rq, pdata};
use crate::sinks::{Scripted, StoreScp, script};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object};
use crate::tls_callers::{Secure, file};

const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
const ECHO: &str = "1.2.840.10008.1.1";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

/// A server that knows CT1 at loopback, on these terms.
fn server(terms: &str) -> Server {
    Server::with("", "", &format!("[peer.ct1]\nae_title = \"CT1\"\naddress = \"127.0.0.1:104\"\n{terms}\n"))
}

fn call(server: &Server, calling: &str, contexts: &[(&str, &[&str])]) -> Result<Scu, Refusal> {
    Scu::request(server.dimse, &associate_rq("GANTRY", calling, contexts))
}

/// What pynetdicom is answered.
pub(crate) fn negotiate(server: &Server, asked: &Value) -> Value {
    let mut client = python();
    client.arg(script("negotiate.py")).arg(server.dimse.port().to_string()).arg(asked.to_string());
    let output = client.output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn we_answer_to_aliases() {
    let server = Server::with("", "check_called_ae = true\naliases = [\"OLD_PACS\"]", "");
    let port = server.dimse.port().to_string();
    for (called, expected) in [("GANTRY", true), ("OLD_PACS", true), ("OTHER", false)] {
        let (ok, printed) = run(dcmtk("echoscu").args(["-v", "-aec", called, "127.0.0.1", &port]));
        assert_eq!(ok, expected, "{called}: {printed}");
    }
}

#[test]
fn a_peer_gets_the_services_and_transfer_syntaxes_that_are_agreed() {
    let server = server(
        "sop_classes = [\"CTImageStorage\", \"1.2.840.10008.5.1.4.1.2.2.1\"]\ntransfer_syntaxes = [\"JPEG-LS Lossless Image Compression\", \"1.2.840.10008.1.2\"]",
    );
    let contexts: &[(&str, &[&str])] = &[
        (ECHO, &[IMPLICIT]),
        (CT, &[EXPLICIT, IMPLICIT, JPEG_LS]),
        (CT, &[EXPLICIT, IMPLICIT]),
        (CT, &[EXPLICIT]),
        (MR, &[IMPLICIT]),
        (FIND, &[EXPLICIT]),
    ];
    let ours = call(&server, "CT1", contexts).unwrap();
    let accepted: Vec<_> = ours.accepted.iter().map(|(id, syntax)| (*id, syntax.as_str())).collect();
    assert_eq!(accepted, [(1, IMPLICIT), (3, JPEG_LS), (5, IMPLICIT), (11, EXPLICIT)]);
    let refused: Vec<_> = ours.refused.iter().map(|(id, result)| (*id, *result)).collect();
    assert_eq!(refused, [(7, 4), (9, 3)]);
    let others = call(&server, "OTHER", contexts).unwrap();
    assert_eq!(others.accepted.len(), contexts.len(), "others get everything");
}

#[test]
fn a_peer_has_limits_of_its_own() {
    let server = server("max_associations = 1\nmax_pdu_bytes = 16384");
    let contexts: &[(&str, &[&str])] = &[(ECHO, &[IMPLICIT]), (CT, &[EXPLICIT])];
    let first = call(&server, "CT1", contexts).unwrap();
    assert_eq!(first.peer_max_pdu, 16_384);
    assert_eq!(call(&server, "CT1", contexts).err(), Some(Refusal::Rejected(2, 3, 2)));
    eventually("it is told whose limit it is", || {
        server.log().contains("max_associations of [peer.ct1], 1, are open")
    });
    let other = call(&server, "OTHER", contexts).unwrap();
    assert_eq!(other.peer_max_pdu, 131_072);
    first.release().unwrap();
    eventually("there is a place again", || call(&server, "CT1", contexts).is_ok());
}

#[test]
fn pdus_are_no_longer_than_agreed_where_we_call() {
    let sink = Scripted::start(json!({}));
    let object = Object { pixel_bytes: 200_000, ..Object::new(1, 1, 1) };
    let server = Server::routed(
        &crate::routed::everything_to(&["sink"]),
        &crate::routed::dicom("sink", "SINK", sink.address)
            .replace("[destination", "max_pdu_bytes = 8192\n[destination"),
    );
    server.store(&[object]);
    server.wait_until_delivered("sink", 1);
    assert_eq!(sink.events("association")[0]["max_pdu"], 8_192);
    assert_eq!(sink.data_sets().len(), 1);
}

#[test]
fn operations_may_be_sent_ahead() {
    let server = server("");
    for (asked, granted) in [([5, 5], [5, 1]), ([0, 0], [16, 1]), ([1, 1], [1, 1])] {
        let told = negotiate(&server, &json!({"window": asked}));
        assert_eq!(told["window"], json!(granted), "{told}");
    }
    assert!(negotiate(&server, &json!({})).get("window").is_none());
    // More than the window, for what it is worth: they are taken one after the other.
    let mut scu = call(&server, "CT1", &[(CT, &[EXPLICIT])]).unwrap();
    let objects: Vec<Object> =
        (1..=20).map(|n| Object { pixel_bytes: 50_000, ..Object::new(2, 1, n) }).collect();
    let mut wire = Vec::new();
    for object in &objects {
        let mut uid = object.instance.clone().into_bytes();
        uid.resize(uid.len().next_multiple_of(2), 0);
        let command = scu.command(0x0001, CT, &[(0x0700, &[0, 0]), (0x1000, &uid)], true);
        wire.extend(pdata(1, 3, &command));
        wire.extend(pdata(1, 2, &object.data_set()));
    }
    scu.stream().write_all(&wire).unwrap();
    for number in 1..=20_u16 {
        let response = scu.receive().unwrap();
        assert_eq!((response.status(), &response.command[&0x0120]), (0, &number.to_le_bytes().to_vec()));
    }
    scu.release().unwrap();
}

#[test]
fn send_sends_ahead_where_that_is_granted() {
    let server = server("");
    let folder = TempDir::new().unwrap();
    for n in 1..=30 {
        file(folder.path(), &Object::new(4, 1, n));
    }
    let plain = StoreScp::start();
    for (target, calling) in
        [(format!("GANTRY@{}", server.dimse), "CT1"), (format!("STORESCP@{}", plain.address), "CT2")]
    {
        let mut send = gantry();
        send.args(["send", &target, "--ahead", "16", "--calling", calling]).arg(folder.path());
        let (ok, printed) = run(&mut send);
        assert!(ok && printed.contains("30 of 30"), "{printed}");
    }
    assert_eq!(plain.files().len(), 30, "DCMTK grants nothing, and gets one after the other");
    assert_eq!(server.metric("gantry_instances_received_total{door=\"dimse\",status=\"stored\"}"), 30);
}

#[test]
fn a_private_class_may_be_told_to_be_none_of_storage() {
    let server = server("");
    let private = "1.3.12.2.1107.5.9.1";
    for (asked, expected) in [
        (json!({}), vec![ECHO, private]),
        (json!({"service": "1.2.840.10008.4.2"}), vec![ECHO, private]),
        (json!({"service": "1.2.840.10008.4.3"}), vec![ECHO]),
    ] {
        let told = negotiate(&server, &asked);
        assert_eq!(told["accepted"], json!(expected), "{asked}: {told}");
    }
}

#[test]
fn all_of_it_holds_under_tls() {
    let ca = Ca::new("Hospital CA");
    let terms = "[peer.ct1]\nae_title = \"CT1\"\naddress = \"127.0.0.1:104\"\ncertificate = [\"cn:CT1\"]\nmax_pdu_bytes = 4096\nidentity = { user = \"ct1\", password = { file = \"secret\" } }\n";
    let secure = Secure::furnished(&[("secret", "hunter2\n")], "", "", &ca, terms);
    let folder = TempDir::new().unwrap();
    let object = Object { pixel_bytes: 100_000, ..Object::new(3, 1, 1) };
    let path = file(folder.path(), &object);
    let ct1 = secure.ca.local("CT1");
    for (password, expected) in [("hunter2", true), ("hunter3", false)] {
        let mut storescu = secure.dcmtk("storescu", &ct1);
        storescu.args(["-usr", "ct1", "-pwd", password, "-rsp"]);
        let (ok, printed) = run(storescu.arg("127.0.0.1").arg(secure.tls.port().to_string()).arg(&path));
        assert_eq!(ok, expected, "{printed}");
    }
    assert!(crate::tls_callers::kept(&secure.server, &object) == object.data_set());
    secure.logs("user name or passcode are wrong");
    let log = secure.server.log();
    assert!(log.contains("user=ct1") && !log.contains("hunter"), "{log}");
}
