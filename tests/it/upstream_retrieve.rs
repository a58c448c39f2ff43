//! Upstream archives: how few requests a retrieve takes, and what does not hold it up.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Server, dcmtk, eventually, files_below, free_ports, run};
use crate::inquire::{DcmQrScp, PyArchive, fill_with};
use crate::proxy::{Mode, Proxy};
use crate::scu::{Scu, element};
use crate::sinks::Orthanc;
use crate::synthetic::{EXPLICIT, Object, data_set_of};
use crate::upstream::{address, server, store, tables};
use crate::upstream_fetch::{of, sorted};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// Study 70: a series of twelve instances, and one of three.
fn study() -> Vec<Object> {
    let of =
        |series, count| (1..=count).map(move |n| Object { pixel_bytes: 2_000, ..Object::new(70, series, n) });
    of(1, 12).chain(of(2, 3)).collect()
}

/// Those of one series, but for the first, by name; what came, and over how many associations with the archive.
fn get_by_name(server: &Server, proxy: &Proxy, series: &str) -> (Vec<Vec<u8>>, usize) {
    let wanted = study().into_iter().filter(|object| object.series == series).skip(1);
    let uids: Vec<_> = wanted.map(|object| object.instance).collect();
    let before = proxy.accepted();
    let folder = TempDir::new().unwrap();
    let mut getscu = dcmtk("getscu");
    getscu.args(["-v", "+B", "+xe", "-S", "-aec", "GANTRY", "-od"]).arg(folder.path());
    getscu.args(["-k", "QueryRetrieveLevel=IMAGE", "-k", "StudyInstanceUID=2.25.70"]);
    getscu.args(["-k", &format!("SeriesInstanceUID={series}")]);
    getscu.args(["-k", &format!("SOPInstanceUID={}", uids.join("\\"))]);
    let (ok, printed) = run(getscu.args(["127.0.0.1", &server.dimse.port().to_string()]));
    assert!(ok, "{printed}");
    let read = |path: &std::path::PathBuf| data_set_of(&fs::read(path).unwrap()).to_vec();
    (sorted(files_below(folder.path()).iter().map(read).collect()), proxy.accepted() - before)
}

fn of_series(series: &str) -> Vec<Vec<u8>> {
    let all = study().into_iter().filter(|object| object.series == series);
    of(&all.skip(1).collect::<Vec<_>>())
}

fn fetched(server: &Server) -> u64 {
    server.metric("gantry_upstream_fetched_instances_total{upstream=\"old\"}")
}

/// Our server, whose upstream archive is behind a proxy that counts, and which the archive knows as a move destination.
fn behind(proxy: &Proxy, title: &str, [dimse, web]: [SocketAddr; 2], keys: &str) -> Server {
    Server::at(dimse, web, "", &tables(&[("old", title, proxy.address, keys)]))
}

#[test]
fn instances_that_are_named_are_fetched_together() {
    for (keys, associations) in [("", 3), ("retrieve = \"move\"", 2)] {
        let [dimse, web, archive] = free_ports();
        let archive = DcmQrScp::at(archive, "GANTRY", dimse);
        fill_with(&archive.target, &study());
        let proxy = Proxy::start(address(&archive.target), Mode::Pass);
        let server = behind(&proxy, "ARCHIVE", [dimse, web], keys);
        let (got, taken) = get_by_name(&server, &proxy, "2.25.70.1");
        assert!(got == of_series("2.25.70.1"), "dcmqrscp {keys}: {}", got.len());
        assert_eq!((fetched(&server), taken), (11, associations), "dcmqrscp {keys}");
        // What is missing of a series that we have in part goes together, too.
        let before = proxy.accepted();
        let answer = server.get("/dicom-web/studies/2.25.70");
        assert_eq!((answer.status, answer.parts().len()), (200, 15), "dcmqrscp {keys}");
        let taken = proxy.accepted() - before;
        assert!(fetched(&server) == 15 && taken < 6, "dcmqrscp {keys}: {taken}");
    }
    for (keys, associations) in [("", 3), ("retrieve = \"move\"", 2)] {
        let [dimse, web, dicom] = free_ports();
        let orthanc = Orthanc::start_at(dimse, dicom);
        for object in study() {
            orthanc.post("/instances", &object.file());
        }
        let proxy = Proxy::start(dicom, Mode::Pass);
        let server = behind(&proxy, "ORTHANC", [dimse, web], keys);
        let (got, taken) = get_by_name(&server, &proxy, "2.25.70.1");
        assert_eq!((got.len(), fetched(&server), taken), (11, 11, associations), "Orthanc {keys}");
    }
}

#[test]
fn an_archive_that_knows_no_lists_gives_one_by_one() {
    let archive = PyArchive::with(&study(), free_ports::<1>()[0], &[]);
    let proxy = Proxy::start(address(&archive.target), Mode::Pass);
    let server = behind(&proxy, "ARCHIVE", free_ports(), "");
    let (got, _) = get_by_name(&server, &proxy, "2.25.70.2");
    assert!(got == of_series("2.25.70.2"), "{}", got.len());
    assert_eq!(fetched(&server), 2);
    // What nobody has costs it no more than one question more.
    let before = proxy.accepted();
    let nothing = "/dicom-web/studies/2.25.70/series/2.25.70.2/instances/2.25.70.2.9";
    assert_eq!((server.get(nothing).status, proxy.accepted() - before), (404, 1));
    // That it lacks the first says nothing of the others.
    let lacks = |object: &Object| object.instance != "2.25.70.2.2";
    let archive =
        PyArchive::with(&study().into_iter().filter(lacks).collect::<Vec<_>>(), free_ports::<1>()[0], &[]);
    let proxy = Proxy::start(address(&archive.target), Mode::Pass);
    let server = behind(&proxy, "ARCHIVE", free_ports(), "");
    let (got, _) = get_by_name(&server, &proxy, "2.25.70.2");
    assert_eq!((got.len(), fetched(&server)), (1, 1));
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_from_retrieving() {
    let archive = PyArchive::with(&study(), free_ports::<1>()[0], &["endless"]);
    let server =
        server(&[("old", "ARCHIVE", address(&archive.target), "associations = 1\ntimeout = \"3s\"")]);
    store(&server, &[Object::new(30, 1, 1)]);
    let mut slow = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let command = slow.command(0x0020, STUDY_ROOT, &[(0x0700, &[0, 0])], true);
    let identifier =
        [element(8, 0x52, "CS", "STUDY"), element(0x10, 0x4000, "LT", ""), element(0x20, 0x0D, "UI", "")];
    slow.send(1, true, &command).unwrap();
    slow.send(1, false, &identifier.concat()).unwrap();
    let held = || server.get("/dicom-web/studies?limit=10").header("warning").contains("old did not give");
    eventually("it holds the place for queries", held);
    let answer = server.get("/dicom-web/studies/2.25.70");
    assert_eq!((answer.status, answer.parts().len()), (200, 15));
    assert!(held(), "it still does");
    drop(slow);
}

#[test]
fn a_retrieve_that_is_pending_for_ever_has_an_end() {
    let archive = PyArchive::with(&study(), free_ports::<1>()[0], &["pending"]);
    let server = server(&[("old", "ARCHIVE", address(&archive.target), "fetch_timeout = \"1s\"")]);
    let started = Instant::now();
    let answer = server.get("/dicom-web/studies/2.25.70");
    let took = started.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(25), "{took:?}");
    assert_eq!(answer.status, 502, "{answer:?}");
    let log = server.log();
    assert!(log.contains("nothing came of the retrieve in time"), "{log}");
    assert_eq!(server.metric("gantry_upstream_fetches_total{upstream=\"old\",outcome=\"late\"}"), 1);
}

#[test]
fn what_cannot_be_listed_keeps_nothing_else_from_being_fetched() {
    let archive = PyArchive::with(&study(), free_ports::<1>()[0], &["coarse"]);
    let server = server(&[("old", "ARCHIVE", address(&archive.target), "")]);
    store(&server, &study()[..1]);
    let answer = server.get("/dicom-web/studies/2.25.70");
    assert_eq!((answer.status, answer.parts().len(), fetched(&server)), (206, 4, 3), "{answer:?}");
    assert!(answer.header("warning").contains("old did not give all"), "{answer:?}");
}
