//! Upstream archives: what an answer is not sure of, or lacks, is told with it.

use serde_json::Value;

use crate::harness::{Server, dcmtk, free_ports, python, run};
use crate::inquire::{DcmQrScp, PyArchive, ask, fill_with, json, objects};
use crate::proxy::{Mode, Proxy};
use crate::scu::{Scu, element};
use crate::sinks::StoreScp;
use crate::synthetic::{EXPLICIT, Object};
use crate::upstream::{address, server, store, tables};
use crate::upstream_fetch::peer;

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// The studies that a search by HTTP finds, and its warnings.
fn search(server: &Server, query: &str) -> (Vec<String>, Vec<String>) {
    let answer = server.get(&format!("/dicom-web/studies?{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let uid = |row: &Value| row["0020000D"]["Value"][0].as_str().unwrap().to_owned();
    let warnings = answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned());
    let mut studies: Vec<_> = answer.json().as_array().unwrap().iter().map(uid).collect();
    studies.sort();
    (studies, warnings.collect())
}

/// The statuses of a query for studies with such a key more, and the comment of the last response.
fn find(server: &Server, key: &[u8]) -> (Vec<u16>, String) {
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let identifier = [&element(8, 0x52, "CS", "STUDY")[..], key, &element(0x20, 0x0D, "UI", "")].concat();
    let responses = scu.find(1, STUDY_ROOT, &identifier).unwrap();
    let comment = responses.last().unwrap().command.get(&0x0902).cloned().unwrap_or_default();
    let statuses = responses.iter().map(crate::scu::Response::status).collect();
    (statuses, String::from_utf8(comment).unwrap().trim_end().to_owned())
}

const UNSURE: &str =
    "299 gantry \"upstream archive old did not match or return all attributes that were asked for\"";

#[test]
fn keys_that_an_archive_does_not_know_are_told_and_looked_at() {
    // It matches nothing but UIDs and the patient ID, and says nothing of that.
    let archive = PyArchive::with(&objects(), free_ports::<1>()[0], &[]);
    let lenient = server(&[("old", "ARCHIVE", address(&archive.target), "")]);
    let found = |query| search(&lenient, query);
    let study = |uid: &str| vec![uid.to_owned()];
    let both = vec!["2.25.21".to_owned(), "2.25.22".to_owned()];
    assert_eq!(found("PatientName=test22*"), (study("2.25.22"), vec![]));
    assert_eq!(found("PatientName=nobody"), (vec![], vec![]));
    assert_eq!(found("StudyInstanceUID=2.25.21"), (study("2.25.21"), vec![]));
    assert_eq!(found("ReferringPhysicianName=Doe"), (both.clone(), vec![UNSURE.to_owned()]));
    assert_eq!(find(&lenient, &element(0x10, 0x10, "PN", "Test22*")), (vec![0xFF00, 0], String::new()));
    let (statuses, _) = find(&lenient, &element(8, 0x90, "PN", "Doe"));
    assert_eq!(statuses, [0xFF01, 0xFF01, 0]);

    // One that says FF01H, and what it does not return.
    let archive = PyArchive::with(&objects(), free_ports::<1>()[0], &["partial"]);
    let frank = server(&[("old", "ARCHIVE", address(&archive.target), "")]);
    assert_eq!(search(&frank, ""), (both.clone(), vec![UNSURE.to_owned()]));
    assert_eq!(search(&frank, "PatientName=nobody"), (both, vec![UNSURE.to_owned()]));
    let (statuses, _) = find(&frank, &[]);
    assert_eq!(statuses, [0xFF01, 0xFF01, 0]);
}

#[test]
fn what_two_archives_do_not_give_is_counted_together() {
    let of = |series, n| Object::new(70, series, n);
    let viewer = StoreScp::start();
    // Neither knows where to send it.
    let archives = [[of(1, 1), of(1, 2)], [of(1, 2), of(2, 1)]].map(|objects| {
        let archive = DcmQrScp::start(free_ports::<1>()[0]);
        fill_with(&archive.target, &objects);
        archive
    });
    let [first, second] = [&archives[0], &archives[1]].map(|archive| address(&archive.target));
    let keys = "retrieve = \"move\"";
    let tables = tables(&[("first", "ARCHIVE", first, keys), ("second", "ARCHIVE", second, keys)]);
    let server = Server::with("", "", &format!("{tables}{}", peer("STORESCP", viewer.address)));
    let target = format!("GANTRY@{}", server.dimse);
    let move_ = || json(&ask(&["move", &target, "--to", "STORESCP", "--study", "2.25.70", "--json"]).1);
    let told = move_();
    assert_eq!((&told["status"], &told["failed"]), (&"A702H".into(), &3.into()), "{told}");
    let mut failed: Vec<_> = told["failed_instances"].as_array().unwrap().iter().collect();
    failed.sort_by_key(|uid| uid.to_string());
    assert_eq!(failed, ["2.25.70.1.1", "2.25.70.1.2", "2.25.70.2.1"]);
    store(&server, &[of(1, 1)]);
    let told = move_();
    assert_eq!(
        (&told["status"], &told["completed"], &told["failed"]),
        (&"B000H".into(), &1.into(), &2.into()),
        "{told}"
    );
    let answer = server.get("/dicom-web/studies/2.25.70");
    assert_eq!((answer.status, answer.headers.get_all("warning").iter().count()), (206, 2));
}

#[test]
fn an_archive_that_is_silent_is_named_beside_success() {
    let proxy = Proxy::start(free_ports::<1>()[0], Mode::Refuse);
    let viewer = StoreScp::start();
    let tables = tables(&[("old", "ARCHIVE", proxy.address, "")]);
    let server = Server::with("", "", &format!("{tables}{}", peer("STORESCP", viewer.address)));
    store(&server, &objects()[..1]);
    let comment = "incomplete: upstream archive old did not give all";
    assert_eq!(find(&server, &[]), (vec![0xFF00, 0], comment.to_owned()));

    // Clients take it, and show it where they show such things.
    let port = server.dimse.port().to_string();
    let mut findscu = dcmtk("findscu");
    findscu.args(["-d", "-S", "-aec", "GANTRY", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]);
    let (ok, printed) = run(findscu.args(["127.0.0.1", &port]));
    assert!(ok && printed.contains(&format!("LO [{comment}")), "{printed}");
    let mut findscu = python();
    findscu.args(["-m", "pynetdicom", "findscu", "-d", "-S", "-aec", "GANTRY", "127.0.0.1", &port]);
    let (ok, printed) = run(findscu.args(["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID="]));
    assert!(ok && printed.contains("Find SCP Result: 0x0000 (Success)"), "{printed}");
    let target = format!("GANTRY@{}", server.dimse);
    let (exit, _, said) = ask(&["find", &target, "--json"]);
    assert!(exit == Some(0) && said == format!("0000H success ({comment})\n"), "{said}");

    let study = ["--study", "2.25.21", "--json"];
    let moved = ask(&[&["move", &target, "--to", "STORESCP"], &study[..]].concat());
    let told = json(&moved.1);
    assert_eq!((moved.0, &told["status"], &told["comment"]), (Some(0), &"0000H".into(), &comment.into()));
    for tool in ["getscu", "movescu"] {
        let folder = tempfile::TempDir::new().unwrap();
        let mut command = dcmtk(tool);
        command.args(["-v", "-S", "-aec", "GANTRY", "-k", "QueryRetrieveLevel=STUDY"]);
        command.args(["-k", "StudyInstanceUID=2.25.21"]).current_dir(folder.path());
        if tool == "movescu" {
            command.args(["-aem", "STORESCP"]);
        }
        let (ok, printed) = run(command.args(["127.0.0.1", &port]));
        assert!(ok && printed.contains("(Success)"), "{tool}: {printed}");
    }
    let log = server.log();
    assert!(log.contains("retrieve over") && log.contains("silent=old"), "{log}");
    // It is left alone for a while, and that is counted.
    let skipped = "gantry_upstream_queries_total{upstream=\"old\",outcome=\"skipped\"}";
    assert!(server.metric(skipped) >= 3, "{}", server.metric(skipped));
}
