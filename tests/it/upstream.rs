//! Upstream archives: what they have joins the answers to queries.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Server, dcmtk, eventually, free_ports, python, run};
use crate::inquire::{DcmQrScp, ask, fill, json, objects};
use crate::proxy::{Mode, Proxy};
use crate::scu::{Response, Scu, associate_rq, element};
use crate::sinks::Orthanc;
use crate::synthetic::{EXPLICIT, Object};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// An upstream archive in the configuration: name, which is also the peer's, AE title, address, further keys.
pub(crate) type Upstream<'a> = (&'a str, &'a str, SocketAddr, &'a str);

/// Tables for these.
pub(crate) fn tables(upstreams: &[Upstream<'_>]) -> String {
    upstreams.iter().fold(String::new(), |mut text, (name, title, address, keys)| {
        let peer = format!("[peer.{name}]\nae_title = \"{title}\"\naddress = \"{address}\"\n");
        write!(text, "{peer}[upstream.{name}]\npeer = \"{name}\"\n{keys}\n").unwrap();
        text
    })
}

pub(crate) fn server(upstreams: &[Upstream<'_>]) -> Server {
    Server::with("", "", &tables(upstreams))
}

/// The address of a peer that is called by `AET@HOST:PORT`.
pub(crate) fn address(target: &str) -> SocketAddr {
    target.split_once('@').unwrap().1.parse().unwrap()
}

pub(crate) fn store(server: &Server, objects: &[Object]) {
    let files: Vec<_> = objects.iter().map(Object::file).collect();
    let files: Vec<_> = files.iter().map(Vec::as_slice).collect();
    assert_eq!(server.stow("/dicom-web/studies", &files).status, 200);
}

/// The rows of a query through `gantry find`.
fn find(server: &Server, more: &[&str]) -> Vec<Value> {
    let target = format!("GANTRY@{}", server.dimse);
    let (_, printed, said) = ask(&[&["find", &target, "--json"], more].concat());
    json(&printed).as_array().unwrap_or_else(|| panic!("{said}")).clone()
}

fn texts(rows: &[Value], tag: &str) -> Vec<String> {
    rows.iter().map(|row| row[tag]["Value"][0].as_str().unwrap_or_default().to_owned()).collect()
}

fn queries(server: &Server, upstream: &str, outcome: &str) -> u64 {
    server.metric(&format!("gantry_upstream_queries_total{{upstream=\"{upstream}\",outcome=\"{outcome}\"}}"))
}

#[test]
fn rows_of_dcmqrscp_stand_behind_ours_and_none_twice() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let server = server(&[("old", "ARCHIVE", address(&archive.target), "")]);
    // One of three instances of study 21 is ours, and study 30.
    store(&server, &[objects().swap_remove(0), Object::new(30, 1, 1)]);
    let rows = find(&server, &["--return", "StudyInstanceUID,PatientName,InstanceAvailability"]);
    let mut studies: Vec<_> = texts(&rows, "0020000D").into_iter().zip(texts(&rows, "00080056")).collect();
    assert_eq!(studies.pop().unwrap(), ("2.25.22".to_owned(), "NEARLINE".to_owned()));
    studies.sort();
    let ours = |uid: &str| (uid.to_owned(), "ONLINE".to_owned());
    assert_eq!(studies, [ours("2.25.21"), ours("2.25.30")]);
    let places: Vec<_> = rows.iter().map(|row| row["00080054"]["Value"].clone()).collect();
    assert_eq!(places, [json!(["GANTRY"]), json!(["GANTRY"]), json!(["GANTRY", "ARCHIVE"])]);

    let within = ["--level", "instance", "-k", "StudyInstanceUID=2.25.21", "-k"];
    let rows = find(&server, &[&within[..], &["SeriesInstanceUID=2.25.21.1"]].concat());
    assert_eq!(texts(&rows, "00080018"), ["2.25.21.1.1", "2.25.21.1.2"]);
    let rows = find(&server, &["--level", "series", "-k", "StudyInstanceUID=2.25.21"]);
    assert_eq!(texts(&rows, "0020000E"), ["2.25.21.1", "2.25.21.2"]);
    let rows = find(&server, &["--level", "patient", "--return", "PatientID"]);
    let mut patients = texts(&rows, "00100020");
    patients.sort();
    assert_eq!(patients, ["P21", "P22", "P30"]);
    let rows = find(&server, &["-k", "InstanceAvailability=NEARLINE"]);
    assert_eq!(texts(&rows, "0020000D"), ["2.25.22"]);
    let rows = find(&server, &["-k", "InstanceAvailability=ONLINE"]);
    assert_eq!(rows.len(), 2);

    let mut findscu = dcmtk("findscu");
    findscu.args([
        "-v",
        "-S",
        "-aec",
        "GANTRY",
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "PatientName=Test2*",
    ]);
    let port = server.dimse.port().to_string();
    let (ok, printed) = run(findscu.args(["-k", "StudyInstanceUID", "127.0.0.1", &port]));
    assert!(ok && printed.matches("Find Response: ").count() == 2, "{printed}");
    assert!(printed.contains("[GANTRY\\ARCHIVE"), "{printed}");
    let mut findscu = python();
    findscu.args(["-m", "pynetdicom", "findscu", "-v", "-S", "-aec", "GANTRY", "127.0.0.1", &port]);
    let keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.22"];
    let (ok, printed) = run(findscu.args(keys));
    assert!(ok && printed.contains("[GANTRY\\ARCHIVE"), "{printed}");
    assert_eq!(server.metric("gantry_upstream_rows_total{upstream=\"old\"}"), 7);
    assert!(queries(&server, "old", "answered") >= 7);
}

#[test]
fn qido_has_the_rows_of_orthanc_behind_ours() {
    let orthanc = Orthanc::start(free_ports::<1>()[0]);
    let german = Object { patient_name: "Meier^Jorg".to_owned(), ..Object::new(40, 1, 1) };
    let file = {
        let mut file = german.file();
        let at = file.windows(4).position(|window| window == b"Jorg").unwrap();
        file[at + 1] = 0xF6;
        let class = file.windows(6).position(|window| window == [8, 0, 0x16, 0, b'U', b'I']).unwrap();
        [&file[..class], &element(8, 5, "CS", "ISO_IR 100"), &file[class..]].concat()
    };
    orthanc.post("/instances", &file);
    for study in 41..=43 {
        orthanc.post("/instances", &Object::new(study, 1, 1).file());
    }
    let server = server(&[("orthanc", "ORTHANC", orthanc.dicom, "")]);
    store(&server, &[Object::new(50, 1, 1), Object::new(41, 1, 1)]);
    let rows = |query: &str| {
        let answer = server.get(&format!("/dicom-web/studies{query}"));
        assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("warning"), "");
        answer.json().as_array().unwrap().clone()
    };
    let all = rows("");
    let studies = texts(&all, "0020000D");
    assert_eq!(studies.len(), 5, "{studies:?}");
    assert!(studies[..2].contains(&"2.25.50".to_owned()) && studies[..2].contains(&"2.25.41".to_owned()));
    let german = all.iter().find(|row| row["0020000D"]["Value"][0] == "2.25.40").unwrap();
    assert_eq!(german["00100010"]["Value"][0]["Alphabetic"], "Meier^J\u{f6}rg");
    assert_eq!(german["00080056"]["Value"][0], "NEARLINE");
    assert!(german["00081190"]["Value"][0].as_str().unwrap().ends_with("/studies/2.25.40"), "{german}");
    // Pages go through ours first, and then through what is elsewhere.
    let mut paged = Vec::new();
    for offset in 0..6 {
        let page = rows(&format!("?limit=1&offset={offset}"));
        assert_eq!(page.len(), usize::from(offset < 5), "{offset}");
        paged.extend(texts(&page, "0020000D"));
    }
    assert_eq!(paged, studies);
    assert_eq!(texts(&rows("?offset=4"), "0020000D"), studies[4..]);
    assert_eq!(texts(&rows("?PatientName=meier*"), "0020000D").len(), 1);
    assert_eq!(texts(&rows("?PatientID=P50"), "0020000D"), ["2.25.50"]);
    let title = |query: &str| rows(query)[0]["00080054"].clone();
    assert_eq!(title("?PatientID=P42"), Value::Null);
    for all in ["all", "RetrieveAETitle"] {
        let query =
            |patient: &str| title(&format!("?PatientID={patient}&includefield={all}"))["Value"].clone();
        assert_eq!([query("P50"), query("P42")], [json!(["GANTRY"]), json!(["GANTRY", "ORTHANC"])], "{all}");
    }
}

#[test]
fn what_two_archives_have_is_there_once() {
    let archives = [(), ()].map(|()| DcmQrScp::start(free_ports::<1>()[0]));
    archives.iter().for_each(|archive| fill(&archive.target));
    let [first, second] = [&archives[0], &archives[1]].map(|archive| address(&archive.target));
    let server = server(&[("first", "ARCHIVE", first, ""), ("second", "ARCHIVE", second, "")]);
    let mut studies = texts(&find(&server, &[]), "0020000D");
    studies.sort();
    assert_eq!(studies, ["2.25.21", "2.25.22"]);
    let answer = server.get("/dicom-web/studies");
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
}

/// All responses to a query for studies by a caller of this AE title.
fn asked_by(server: &Server, title: &str) -> Vec<Response> {
    let mut scu =
        Scu::request(server.dimse, &associate_rq("GANTRY", title, &[(STUDY_ROOT, &[EXPLICIT])])).unwrap();
    let identifier = [element(8, 0x52, "CS", "STUDY"), element(0x20, 0x0D, "UI", "")].concat();
    scu.find(1, STUDY_ROOT, &identifier).unwrap()
}

#[test]
fn an_archive_that_is_dead_or_hangs_costs_no_more_than_its_time() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let proxy = Proxy::start(address(&archive.target), Mode::Silent);
    let [nobody] = free_ports();
    let server = server(&[
        ("hangs", "ARCHIVE", proxy.address, "timeout = \"1s\""),
        ("dead", "DEAD", nobody, ""),
        ("old", "ARCHIVE", address(&archive.target), ""),
    ]);
    store(&server, &[Object::new(30, 1, 1)]);
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let command = scu.command(0x0020, STUDY_ROOT, &[(0x0700, &[0, 0])], true);
    let identifier = [element(8, 0x52, "CS", "STUDY"), element(0x20, 0x0D, "UI", "")].concat();
    let started = Instant::now();
    scu.send(1, true, &command).unwrap();
    scu.send(1, false, &identifier).unwrap();
    assert_eq!(scu.receive().unwrap().status(), 0xFF00);
    assert!(started.elapsed() < Duration::from_millis(900), "ours waits for nobody: {:?}", started.elapsed());
    let statuses: Vec<_> = (0..3).map(|_| scu.receive().unwrap().status()).collect();
    assert_eq!(statuses, [0xFF00, 0xFF00, 0]);
    let took = started.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!((queries(&server, "hangs", "late"), queries(&server, "dead", "failed")), (1, 1));
    let log = server.log();
    assert!(
        log.contains("an upstream archive did not answer") && log.contains("nothing listens there"),
        "{log}"
    );
    // For a while nobody waits for them.
    let started = Instant::now();
    assert_eq!(asked_by(&server, "OTHER").len(), 4);
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    assert_eq!(queries(&server, "hangs", "skipped"), 1);
    let answer = server.get("/dicom-web/studies");
    assert_eq!((answer.status, answer.json().as_array().unwrap().len()), (200, 3));
    let warnings: Vec<_> =
        answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(
        warnings.len() == 2 && warnings[0].contains("upstream archive hangs did not give"),
        "{warnings:?}"
    );
    // And when it is back, it is asked again.
    proxy.set(Mode::Pass);
    eventually("it is asked again", || {
        asked_by(&server, "OTHER");
        queries(&server, "hangs", "answered") > 0
    });
}

#[test]
fn who_asks_is_not_asked() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let server = server(&[("old", "ARCHIVE", address(&archive.target), "")]);
    assert_eq!(asked_by(&server, "OTHER").len(), 3);
    assert_eq!(asked_by(&server, "ARCHIVE").len(), 1);
    assert_eq!(queries(&server, "old", "answered"), 1);
}

#[test]
fn archives_that_ask_each_other_come_to_an_end() {
    // A ring of three, each of which asks the next one; and the first asks the last one, too.
    let addresses: [SocketAddr; 6] = free_ports();
    let at = |place: usize| (addresses[2 * place], addresses[2 * place + 1]);
    let start = |place: usize, asks: &[usize]| {
        let names = ["one", "two", "three"];
        let upstreams: Vec<_> =
            asks.iter().map(|of| (names[*of], ["G1", "G2", "G3"][*of], at(*of).0, "")).collect();
        let top = format!("ae_title = \"{}\"\n", ["G1", "G2", "G3"][place]);
        let (dimse, web) = at(place);
        Server::at(dimse, web, &top, &tables(&upstreams))
    };
    let servers = [start(0, &[1, 2]), start(1, &[2]), start(2, &[0])];
    for (number, server) in (61..).zip(&servers) {
        store(server, &[Object::new(number, 1, 1)]);
    }
    let asked = || -> u64 {
        let counts = servers.iter().zip([&["two", "three"][..], &["three"], &["one"]]);
        counts.flat_map(|(server, names)| names.iter().map(|name| queries(server, name, "answered"))).sum()
    };
    for server in &servers {
        let mut studies = texts(&find(server, &[]), "0020000D");
        studies.sort();
        assert_eq!(studies, ["2.25.61", "2.25.62", "2.25.63"]);
    }
    eventually("all questions end", || {
        let before = asked();
        std::thread::sleep(Duration::from_millis(300));
        asked() == before
    });
    assert!(asked() < 20, "{}", asked());
    // What nobody has is nowhere, and that is known soon.
    let started = Instant::now();
    assert_eq!(servers[0].get("/dicom-web/studies/2.25.99").status, 404);
    assert!(started.elapsed() < Duration::from_secs(5));
    // What somebody has comes the shortest way, or through another.
    assert_eq!(servers[1].get("/dicom-web/studies/2.25.61").parts().len(), 1);
}
