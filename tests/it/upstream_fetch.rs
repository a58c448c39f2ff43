//! Upstream archives: what they have is fetched when it is to be retrieved from us.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Server, dcmtk, files_below, free_ports, gantry, run};
use crate::inquire::{DcmQrScp, ask, data_sets, expected, fill, json, objects};
use crate::proxy::{Mode, Proxy};
use crate::sinks::{Orthanc, StoreScp};
use crate::synthetic::{Object, data_set_of};
use crate::upstream::{address, server, store, tables};

fn fetches(server: &Server, outcome: &str) -> u64 {
    server.metric(&format!("gantry_upstream_fetches_total{{upstream=\"old\",outcome=\"{outcome}\"}}"))
}

fn fetched(server: &Server) -> u64 {
    server.metric("gantry_upstream_fetched_instances_total{upstream=\"old\"}")
}

/// A server whose upstream archive is DCMTK's, which knows it as a move destination.
fn with_dcmqrscp(keys: &str, more: &str) -> (Server, DcmQrScp) {
    let [dimse, web, archive] = free_ports();
    let archive = DcmQrScp::at(archive, "GANTRY", dimse);
    fill(&archive.target);
    let tables = tables(&[("old", "ARCHIVE", address(&archive.target), keys)]);
    (Server::at(dimse, web, "", &format!("{tables}{more}")), archive)
}

pub(crate) fn peer(title: &str, address: SocketAddr) -> String {
    format!("[peer.viewer]\nae_title = \"{title}\"\naddress = \"{address}\"\n")
}

pub(crate) fn movescu(server: &Server, keys: &[&str]) -> (bool, String) {
    let mut movescu = dcmtk("movescu");
    movescu.args(["-v", "-S", "-aec", "GANTRY", "-aem", "STORESCP"]);
    movescu.args(keys.iter().flat_map(|key| ["-k", key]));
    run(movescu.args(["127.0.0.1", &server.dimse.port().to_string()]))
}

pub(crate) fn sorted(mut data_sets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    data_sets.sort();
    data_sets
}

pub(crate) fn of(objects: &[Object]) -> Vec<Vec<u8>> {
    sorted(objects.iter().map(Object::data_set).collect())
}

#[test]
fn what_dcmqrscp_has_is_moved_through_us_and_kept() {
    for keys in ["", "retrieve = \"move\""] {
        let viewer = StoreScp::start();
        let (server, _archive) = with_dcmqrscp(keys, &peer("STORESCP", viewer.address));
        // One of the three is ours already.
        store(&server, &objects()[..1]);
        let (ok, printed) = movescu(&server, &["QueryRetrieveLevel=STUDY", "StudyInstanceUID=2.25.21"]);
        assert!(ok && printed.contains("Received Final Move Response (Success)"), "{keys}: {printed}");
        assert!(sorted(viewer.data_sets()) == of(&objects()[..3]), "{keys}: bit by bit");
        assert_eq!((fetched(&server), fetches(&server, "answered")), (2, 1), "{keys}");
        // Again, and there is nothing to fetch; nor is there for what is asked for by name.
        let (ok, _) = movescu(&server, &["QueryRetrieveLevel=STUDY", "StudyInstanceUID=2.25.21"]);
        let series = ["QueryRetrieveLevel=SERIES", "StudyInstanceUID=2.25.21", "SeriesInstanceUID=2.25.21.2"];
        assert!(ok && movescu(&server, &series).0);
        assert_eq!((fetches(&server, "answered"), viewer.files().len()), (1, 7), "{keys}");
        assert_eq!(server.metric("gantry_conflicts_total"), 0);

        let (exit, printed, said) = explain(&server, "2.25.21.2.1");
        assert!(exit == Some(0) && printed.contains("ARCHIVE") && printed.contains("old"), "{printed}{said}");
    }
}

fn explain(server: &Server, instance: &str) -> (Option<i32>, String, String) {
    let config = server.dir().join("gantry.toml");
    ask(&["explain", "--config", config.to_str().unwrap(), instance])
}

#[test]
fn every_level_is_fetched_for_getscu() {
    let (server, _archive) = with_dcmqrscp("", "");
    let get = |keys: &[&str]| {
        let folder = TempDir::new().unwrap();
        let mut getscu = dcmtk("getscu");
        getscu.args(["-v", "+B", "+xe", "-aec", "GANTRY", "-od"]).arg(folder.path());
        let (ok, printed) = run(getscu.args(keys).args(["127.0.0.1", &server.dimse.port().to_string()]));
        assert!(ok, "{printed}");
        let read = |path: &std::path::PathBuf| data_set_of(&fs::read(path).unwrap()).to_vec();
        sorted(files_below(folder.path()).iter().map(read).collect())
    };
    let all = objects();
    let instance = [
        "-S",
        "-k",
        "QueryRetrieveLevel=IMAGE",
        "-k",
        "StudyInstanceUID=2.25.21",
        "-k",
        "SeriesInstanceUID=2.25.21.1",
        "-k",
        "SOPInstanceUID=2.25.21.1.2",
    ];
    assert!(get(&instance) == of(&all[1..2]));
    assert_eq!(fetched(&server), 1);
    let series = ["-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "SeriesInstanceUID=2.25.21.1"];
    assert!(get(&[&series[..], &["-k", "StudyInstanceUID=2.25.21"]].concat()) == of(&all[..2]));
    assert_eq!(fetched(&server), 2);
    assert!(get(&["-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P21"]) == of(&all[..3]));
    assert_eq!(fetched(&server), 3);
    assert!(
        get(&["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.22"]) == of(&all[3..])
    );
    assert_eq!(fetched(&server), 4);
}

#[test]
fn what_orthanc_has_is_retrieved_by_http() {
    for keys in ["", "retrieve = \"move\""] {
        let [dimse, web, dicom] = free_ports();
        let orthanc = Orthanc::start_at(dimse, dicom);
        for object in objects() {
            orthanc.post("/instances", &object.file());
        }
        let server = Server::at(dimse, web, "", &tables(&[("old", "ORTHANC", dicom, keys)]));
        let metadata = server.get("/dicom-web/studies/2.25.21/series/2.25.21.1/metadata");
        assert_eq!((metadata.status, metadata.json().as_array().unwrap().len()), (200, 2), "{keys}");
        assert_eq!(fetched(&server), 2, "{keys}");
        let frame = server.get("/dicom-web/studies/2.25.21/series/2.25.21.2/instances/2.25.21.2.1/frames/1");
        assert_eq!(frame.status, 200, "{keys}");
        assert_eq!(fetched(&server), 3, "{keys}");
        let study = server.get("/dicom-web/studies/2.25.21");
        assert_eq!((study.status, study.parts().len(), study.header("warning")), (200, 3, ""), "{keys}");
        let one = "/dicom-web/studies/2.25.22/series/2.25.22.1/instances/2.25.22.1.1";
        let object = server.get_as(one, "application/dicom; transfer-syntax=*");
        let pixels = &objects()[3].data_set()[..];
        let pixels = &pixels[pixels.len() - 200_000..];
        assert!(object.status == 200 && object.body.ends_with(pixels), "{keys}");
        assert_eq!((fetched(&server), server.metric("gantry_conflicts_total")), (4, 0), "{keys}");
        for nothing in ["2.25.99", "*", "2.25.*", "DOE"] {
            assert_eq!(server.get(&format!("/dicom-web/studies/{nothing}")).status, 404, "{nothing}");
        }
        assert_eq!(fetched(&server), 4, "{keys}");
    }
}

#[test]
fn who_comes_at_the_same_time_shares_what_is_fetched() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    // It takes a while: what we say to it, C-STORE answers among it, is slow.
    let proxy = Proxy::start(address(&archive.target), Mode::Slow(4_000));
    let server = server(&[("old", "ARCHIVE", proxy.address, "timeout = \"60s\"")]);
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| server.get("/dicom-web/studies/2.25.21"))).collect();
        for one in all {
            let answer = one.join().unwrap();
            assert_eq!((answer.status, answer.parts().len()), (200, 3));
        }
    });
    assert_eq!((fetches(&server, "answered"), fetched(&server)), (1, 3));
}

#[test]
fn a_failing_archive_is_told_of_and_what_is_ours_is_given() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let proxy = Proxy::start(address(&archive.target), Mode::Refuse);
    let viewer = StoreScp::start();
    let tables = tables(&[("old", "ARCHIVE", proxy.address, "timeout = \"1s\"\nfetch_timeout = \"1s\"")]);
    let server = Server::with("", "", &format!("{tables}{}", peer("STORESCP", viewer.address)));
    let target = format!("GANTRY@{}", server.dimse);
    let move_ = || json(&ask(&["move", &target, "--to", "STORESCP", "--study", "2.25.21", "--json"]).1);

    // Nobody knows whether there is something.
    let told = move_();
    assert!(told["status"] == "A701H" && told.to_string().contains("upstream archive old"), "{told}");
    let answer = server.get("/dicom-web/studies/2.25.21");
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (502, Some(502)));
    assert!(String::from_utf8_lossy(&answer.body).contains("upstream archive old"), "{answer:?}");

    // What is ours is given, and nobody says that it is not all.
    store(&server, &objects()[..1]);
    let told = move_();
    assert!(told["status"] == "0000H" && told["completed"] == 1, "{told}");
    let answer = server.get("/dicom-web/studies/2.25.21");
    assert_eq!((answer.status, answer.parts().len()), (200, 1));
    assert!(answer.header("warning").contains("upstream archive old"), "{:?}", answer.headers);

    // It says that there is more, and breaks off when it is to give it: after as much as finding that takes.
    thread::sleep(Duration::from_secs(10));
    proxy.set(Mode::Cut(1_400));
    let told = move_();
    assert_eq!(
        (&told["status"], &told["completed"], &told["failed"]),
        (&"B000H".into(), &1.into(), &2.into()),
        "{told}"
    );
    assert!(told.to_string().contains("not fetched from upstream archive old"), "{told}");
    assert!(server.log().contains("instances could not be fetched from an upstream archive"));

    // And when it is well again, all comes.
    proxy.set(Mode::Pass);
    let started = Instant::now();
    loop {
        let answer = server.get("/dicom-web/studies/2.25.21");
        if answer.status == 200 && answer.parts().len() == 3 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{answer:?}");
        thread::sleep(Duration::from_millis(500));
    }
    let answer = server.get("/dicom-web/studies/2.25.21");
    assert_eq!((answer.status, answer.header("warning")), (200, ""));
}

#[test]
fn gantry_gets_through_gantry_and_routes_what_it_fetched() {
    let far = Server::with("ae_title = \"FAR\"\n", "", "");
    store(&far, &objects());
    let tables = tables(&[("old", "FAR", far.dimse, "")]);
    let routed = "[destination.copy]\nkind = \"folder\"\npath = \"copy\"\n[destination.back]\nkind = \"dicom\"\n\
                  peer = \"old\"\n[rules]\nfiles = [\"all.toml\"]\n";
    let rule = "[[rule]]\nname = \"all\"\nwhen = 'from.peer == \"old\"'\nsend = [\"copy\", \"back\"]\n";
    let near =
        Server::furnished(&[("all.toml", rule)], ["", "", &format!("{tables}{routed}")], Default::default());
    let out = TempDir::new().unwrap();
    let mut get = gantry();
    get.args(["get", &format!("GANTRY@{}", near.dimse), "--study", "2.25.21", "--out"]).arg(out.path());
    let (ok, printed) = run(&mut get);
    assert!(ok && printed.contains("3 instances kept"), "{printed}");
    assert!(data_sets(out.path()) == expected(&objects()[..3]), "bit by bit");
    let copy = near.dir().join("copy");
    crate::harness::eventually("it is routed", || {
        files_below(&copy).iter().filter(|path| path.extension().is_some()).count() == 3
    });
    // But not back to where it is from.
    assert_eq!(near.metric("gantry_deliveries_total{destination=\"back\",outcome=\"delivered\"}"), 0);
    assert_eq!(near.metric("gantry_queue_depth{destination=\"back\",state=\"ready\"}"), 0);
}
