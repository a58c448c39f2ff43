//! C-MOVE: requestors and destinations that nobody here wrote.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Server, dcmtk, eventually, files_below, free_ports, run};
use crate::retrieving::{Kept, Retrieving, assert_last, fill, retrieve, study};
use crate::sinks::{Orthanc, Scripted, StoreScp};
use crate::synthetic::data_set_of;

/// A server that knows these addresses by AE title.
fn server(peers: &[(&str, std::net::SocketAddr)]) -> Server {
    let tables = peers.iter().map(|(title, address)| {
        format!("[peer.{}]\nae_title = \"{title}\"\naddress = \"{address}\"\n", title.to_lowercase())
    });
    Server::with("", "message_timeout = \"3s\"", &tables.collect::<String>())
}

/// The data sets came as they are kept, each once.
fn assert_came(mut found: Vec<Vec<u8>>, kept: &[Kept]) {
    let mut expected: Vec<Vec<u8>> = kept.iter().map(Kept::sent).collect();
    found.sort();
    expected.sort();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "bit by bit");
}

#[test]
fn movescu_has_instances_moved_to_storescp() {
    let destination = StoreScp::with(&["+xa"]);
    let server = server(&[("STORESCP", destination.address)]);
    let kept = fill(&server, 1, 300);
    let port = server.dimse.port().to_string();
    let (ok, printed) = run(dcmtk("movescu")
        .args(["-v", "-S", "-aec", "GANTRY", "-aem", "STORESCP"])
        .args(["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.1", "127.0.0.1", &port]));
    assert!(ok && printed.contains("Received Final Move Response (Success)"), "{printed}");
    assert_came(destination.data_sets(), &kept);
    assert_eq!(
        server.metric(r#"gantry_retrieved_instances_total{service="c-move",outcome="completed"}"#),
        304
    );
    assert!(server.metric(r#"gantry_associations_total{role="requestor",end="released"}"#) >= 2);

    let (_, printed) = run(dcmtk("movescu").args(["-v", "-S", "-aec", "GANTRY", "-aem", "NOWHERE"]).args([
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "StudyInstanceUID=2.25.1",
        "127.0.0.1",
        &port,
    ]));
    assert!(printed.contains("MoveDestinationUnknown"), "{printed}");
    assert!(server.log().contains("no [peer] has this AE title"), "{}", server.log());
}

#[test]
fn movescu_takes_the_instances_itself_one_association_after_the_other() {
    let [own] = free_ports();
    let server = server(&[("MOVESCU", own)]);
    let kept = fill(&server, 1, 40);
    let folder = TempDir::new().unwrap();
    let (ok, printed) = run(dcmtk("movescu")
        .args(["-v", "-P", "+B", "+xa", "-aec", "GANTRY", "-aet", "MOVESCU", "-aem", "MOVESCU"])
        .current_dir(folder.path())
        .args(["+P", &own.port().to_string(), "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P1"])
        .args(["127.0.0.1", &server.dimse.port().to_string()]));
    assert!(ok && printed.contains("(Success)"), "{printed}");
    let found = files_below(folder.path())
        .iter()
        .map(|path| data_set_of(&fs::read(path).unwrap()).to_vec())
        .collect();
    assert_came(found, &kept);
}

#[test]
fn of_several_peers_with_one_title_the_first_in_the_file_is_meant() {
    let destination = StoreScp::start();
    let [nobody] = free_ports();
    let peer = |name, address| format!("[peer.{name}]\nae_title = \"STORESCP\"\naddress = \"{address}\"\n");
    let server = Server::with("", "", &(peer("zz", destination.address) + &peer("aa", nobody)));
    fill(&server, 1, 1);
    let keys = json!({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "2.25.1.1"});
    let moved = retrieve(&server, &json!({"service": "move", "keys": keys, "destination": "STORESCP"}));
    assert_last(moved.last(), 0x0000, [1, 0, 0]);
}

#[test]
fn orthanc_asks_and_orthanc_takes() {
    let destination = StoreScp::with(&["+xa"]);
    // Orthanc wants to be told of a modality when it starts, and the server of Orthanc.
    let [orthanc_dicom] = free_ports();
    let server = server(&[("ORTHANC", orthanc_dicom), ("STORESCP", destination.address)]);
    let kept = fill(&server, 1, 6);
    let orthanc = Orthanc::start_at(server.dimse, orthanc_dicom);
    let query = orthanc.post(
        "/modalities/gantry/query",
        br#"{"Level": "Study", "Query": {"PatientID": "P1", "StudyInstanceUID": ""}}"#,
    );
    orthanc.post(&format!("{}/retrieve", query["Path"].as_str().unwrap()), b"ORTHANC");
    assert_eq!(orthanc.get("/instances").as_array().unwrap().len(), kept.len());
    let moved =
        br#"{"Level": "Study", "TargetAet": "STORESCP", "Resources": [{"StudyInstanceUID": "2.25.1"}]}"#;
    orthanc.post("/modalities/gantry/move", moved);
    assert_came(destination.data_sets(), &kept);
}

#[test]
fn each_instance_that_a_destination_refuses_is_listed_and_the_rest_arrives() {
    let destination = Scripted::start(json!({
        "statuses": {"2.25.1.1.2": 0xA700, "2.25.1.1.3": 0xC123, "2.25.1.1.4": 0xB000, "2.25.1.1.5": "abort"},
        "comment": "DOE^JOHN",
    }));
    let server = server(&[("SINK", destination.address)]);
    let kept = fill(&server, 1, 20);
    let orders = json!({"service": "move", "keys": study(1), "destination": "SINK"});
    let moved = retrieve(&server, &orders);
    assert_last(moved.last(), 0xB000, [kept.len() as u64 - 4, 3, 1]);
    let mut failed: Vec<&str> =
        moved.last()["failed_uids"].as_array().unwrap().iter().map(|uid| uid.as_str().unwrap()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["2.25.1.1.2", "2.25.1.1.3", "2.25.1.1.5"]);
    assert_eq!(destination.data_sets().len(), kept.len() - 3);
    assert!(!server.log().contains("DOE"), "{}", server.log());
    assert!(!moved.last()["comment"].as_str().unwrap().contains("DOE"));
}

#[test]
fn a_destination_that_refuses_associations_or_is_not_there_fails_everything() {
    let destination = Scripted::start(json!({"title": "ANOTHER"}));
    let [nobody] = free_ports();
    let server = server(&[("SINK", destination.address), ("GONE", nobody)]);
    fill(&server, 1, 300);
    for (title, comment) in [("SINK", "no association: "), ("GONE", "cannot connect to ")] {
        let orders = json!({"service": "move", "keys": study(1), "destination": title});
        let moved = retrieve(&server, &orders);
        assert_last(moved.last(), 0xA702, [0, 304, 0]);
        assert_eq!(moved.last()["failed_uids"].as_array().unwrap().len(), 304);
        let found = moved.last()["comment"].as_str().unwrap();
        assert!(found.starts_with(comment), "{found}");
    }
    let unknown = retrieve(&server, &json!({"service": "move", "keys": study(1), "destination": "STRANGER"}));
    assert_eq!(unknown.last()["status"].as_u64(), Some(0xA801));
    assert_eq!(unknown.last()["comment"], "no peer is known as STRANGER");
    assert!(server.log().contains("no peer is known as STRANGER"), "{}", server.log());
    let wrong = retrieve(
        &server,
        &json!({"service": "move", "keys": {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "2.25.1"}, "destination": "GONE"}),
    );
    assert_eq!(wrong.last()["status"].as_u64(), Some(0xA900), "{}", wrong.last());
}

#[test]
fn a_destination_that_vanishes_fails_what_is_left() {
    let destination = StoreScp::start();
    let server = server(&[("STORESCP", destination.address)]);
    fill(&server, 1, 2_000);
    let orders = json!({"service": "move", "keys": study(1), "destination": "STORESCP"});
    let moving = Retrieving::start(&server, &orders);
    eventually("some have arrived", || destination.files().len() > 20);
    drop(destination);
    let moved = moving.finish();
    let last = moved.last();
    assert_eq!(last["status"].as_u64(), Some(0xB000), "{last}");
    let [completed, failed] = ["completed", "failed"].map(|key| last[key].as_u64().unwrap());
    assert!(completed > 0 && failed > 0 && completed + failed == 2_004, "{last}");
    assert_eq!(last["failed_uids"].as_array().unwrap().len() as u64, failed);
}

#[test]
fn a_cancel_ends_it_at_once_also_while_the_destination_hangs() {
    let destination = Scripted::start(json!({"hang_after": 5}));
    let server = Server::with(
        "",
        "message_timeout = \"60s\"",
        &format!("[peer.sink]\nae_title = \"SINK\"\naddress = \"{}\"\n", destination.address),
    );
    fill(&server, 1, 50);
    let orders = json!({"service": "move", "keys": study(1), "destination": "SINK", "cancel_after": 3});
    let started = Instant::now();
    let moved = retrieve(&server, &orders);
    let last = moved.last();
    assert_eq!(last["status"].as_u64(), Some(0xFE00), "{last}");
    assert_eq!((last["completed"].as_u64(), last["remaining"].as_u64()), (Some(5), Some(49)), "{last}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(moved.responses.len() >= 4);
    eventually("the associations with the destination are over", || {
        server.metric("gantry_associations_open") == 0
    });
}

#[test]
fn a_requestor_that_is_killed_ends_it() {
    let destination = Scripted::start(json!({"hang_after": 3}));
    let server = Server::with(
        "",
        "message_timeout = \"60s\"",
        &format!("[peer.sink]\nae_title = \"SINK\"\naddress = \"{}\"\n", destination.address),
    );
    fill(&server, 1, 10);
    let orders = json!({"service": "move", "keys": study(1), "destination": "SINK"});
    let moving = Retrieving::start(&server, &orders);
    eventually("it hangs", || destination.events("hang").len() == 2);
    moving.kill();
    eventually("all associations are over", || server.metric("gantry_associations_open") == 0);
    assert_eq!(
        server.metric(r#"gantry_retrieved_instances_total{service="c-move",outcome="remaining"}"#),
        11
    );
}

#[test]
fn two_thousand_instances_cost_no_memory() {
    let destination = StoreScp::with(&["+xa"]);
    let server = server(&[("STORESCP", destination.address)]);
    fill(&server, 1, 200);
    let to = |number| json!({"service": "move", "keys": study(number), "destination": "STORESCP"});
    retrieve(&server, &to(1));
    let kept = fill(&server, 2, 2_200);
    server.reset_peak();
    let before = server.resident_bytes();
    let moved = retrieve(&server, &to(2));
    assert_last(moved.last(), 0x0000, [kept.len() as u64, 0, 0]);
    let growth = server.peak_resident_bytes().saturating_sub(before);
    assert!(growth < 8 << 20, "it grew by {growth} bytes");
    assert_eq!(destination.files().len(), 204 + kept.len());
}
