//! `gantry doctor PEER` at peers that are well, and at those that are not.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Server, free_ports, gantry};
use crate::inquire::DcmQrScp;
use crate::scu::Scu;
use crate::sinks::{Orthanc, Scripted, StoreScp};
use crate::synthetic::{CT, EXPLICIT, data_set_of};

/// What `gantry doctor --json` found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) code: i32,
    pub(crate) told: Value,
    said: String,
}

/// One step of it.
#[derive(Debug)]
pub(crate) struct Step<'f> {
    pub(crate) result: &'f str,
    /// All its words.
    pub(crate) words: String,
}

impl Found {
    pub(crate) fn by(command: &mut Command) -> Self {
        let output = command.arg("--json").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stdout)));
        Self { code: output.status.code().unwrap(), told, said }
    }

    /// The first step of a name.
    pub(crate) fn step(&self, name: &str) -> Step<'_> {
        self.find(name).unwrap_or_else(|| panic!("no step {name}: {self:#?}"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<Step<'_>> {
        let mut steps =
            self.told["subjects"].as_array()?.iter().flat_map(|it| it["steps"].as_array().unwrap());
        let step = steps.find(|step| step["step"] == name)?;
        let notes = step["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap());
        let next = step["next"].as_str().unwrap_or_default();
        let told = step["told"].as_str().unwrap();
        let words = std::iter::once(told).chain(notes).chain([next]).collect::<Vec<_>>().join("\n");
        Some(Step { result: step["result"].as_str().unwrap(), words })
    }

    /// It failed at this step, and there in these words.
    pub(crate) fn assert_failed(&self, name: &str, words: &[&str]) {
        let step = self.step(name);
        assert_eq!((self.code, step.result), (3, "failed"), "{self:#?}");
        for words in words {
            assert!(step.words.contains(words), "{words:?} is not in {step:#?}");
        }
        assert!(self.told["next"].as_str().is_some_and(|next| !next.is_empty()), "{self:#?}");
        assert_eq!(self.said, "");
    }

    fn assert_well(&self, steps: &[&str]) {
        assert_eq!((self.code, &self.told["failed"]), (0, &Value::from(0)), "{self:#?}");
        for name in steps {
            assert_eq!(self.step(name).result, "ok", "{name}: {self:#?}");
        }
    }
}

pub(crate) fn doctor(peer: &str, options: &[&str]) -> Found {
    Found::by(gantry().arg("doctor").arg(peer).args(options))
}

#[test]
fn dcmqrscp_is_well_and_takes_stores_and_finds() {
    let [nowhere] = free_ports();
    let archive = DcmQrScp::start(nowhere);
    let found = doctor(&archive.target, &["--store", "--query"]);
    found.assert_well(&["connection", "association", "C-ECHO", "services", "store", "query"]);
    assert!(found.step("association").words.contains("OFFIS_DCMTK"), "{found:#?}");
    let services = found.step("services").words;
    for words in
        ["stores ", "offers C-FIND, C-MOVE, C-GET", "no storage commitment", "compressed: ", "would send us "]
    {
        assert!(services.contains(words), "{words} is not in {services}");
    }
    assert!(found.step("store").words.contains("delete it there"), "{found:#?}");
    assert!(found.step("query").words.contains("the study that was stored is found"));
    let without = doctor(&archive.target, &["--query"]);
    without.assert_well(&["query"]);
    assert!(without.step("query").words.contains("nothing, as it should"));

    let (_, address) = archive.target.split_once('@').unwrap();
    let wrong = doctor(&format!("NOBODY@{address}"), &[]);
    wrong.assert_failed(
        "association",
        &[
            "called AE title not recognized (1/1/7)",
            "not configured as NOBODY",
            "ask its administrator for its AE title",
        ],
    );
    assert!(wrong.find("C-ECHO").is_none());
}

#[test]
fn what_is_printed_can_be_read_at_night() {
    let [nowhere] = free_ports();
    let archive = DcmQrScp::start(nowhere);
    let output = gantry().args(["doctor", &archive.target]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for line in [
        "  ok       connection        ",
        "  ok       association       ARCHIVE accepts GANTRY (",
        "\n\nAll well.\n",
    ] {
        assert!(printed.contains(line), "{line:?} is not in\n{printed}");
    }
    assert!(!printed.contains('\u{1b}'), "colours are for terminals");
    let (_, address) = archive.target.split_once('@').unwrap();
    let output = gantry().args(["doctor", &format!("NOBODY@{address}")]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{printed}");
    let end = "\n\nFailed: association.\nNext thing to try: ask its administrator for its AE title, and call it by that.\n";
    assert!(printed.ends_with(end), "{printed}");
}

#[test]
fn storescp_stores_refuses_and_cannot_be_asked() {
    let scp = StoreScp::start();
    let peer = format!("STORESCP@{}", scp.address);
    let found = doctor(&peer, &["--store"]);
    found.assert_well(&["association", "C-ECHO", "services", "store"]);
    assert!(found.step("services").words.contains("no C-FIND, no C-MOVE, no C-GET"), "{found:#?}");
    let files = scp.files();
    assert_eq!(files.len(), 1);
    let text = String::from_utf8_lossy(data_set_of(&fs::read(&files[0]).unwrap())).into_owned();
    assert!(text.contains("TEST^GANTRY DOCTOR") && text.contains("GANTRY-DOCTOR"));
    doctor(&peer, &["--query"])
        .assert_failed("query", &["FIND", "cannot be asked what it has", "whether we may query"]);

    let refusing = StoreScp::with(&["--refuse"]);
    doctor(&format!("STORESCP@{}", refusing.address), &[])
        .assert_failed("association", &["rejected", "does not want this association", "added at the peer"]);
}

#[test]
fn orthanc_knows_us_or_does_not() {
    let [gantry_at] = free_ports();
    let orthanc = Orthanc::start(gantry_at);
    let peer = format!("ORTHANC@{}", orthanc.dicom);
    let known = doctor(&peer, &["--store", "--query"]);
    known.assert_well(&["association", "C-ECHO", "services", "store", "query"]);
    assert_eq!(orthanc.get("/instances").as_array().unwrap().len(), 1);
    let unknown = doctor(&peer, &["--query", "--calling", "STRANGER"]);
    assert_eq!(unknown.step("C-ECHO").result, "ok", "{unknown:#?}");
    unknown.assert_failed("query", &["look at what the peer logs"]);
}

#[test]
fn pynetdicom_rejects_and_answers_as_told() {
    let sink = Scripted::start(serde_json::json!({ "title": "SINK", "status": 0xA700 }));
    doctor(&format!("OTHER@{}", sink.address), &[])
        .assert_failed("association", &["(1/1/7)", "not configured as OTHER"]);
    doctor(&format!("SINK@{}", sink.address), &["--store"])
        .assert_failed("store", &["A700H", "out of resources", "disk is not full"]);
    sink.order(serde_json::json!({ "title": "SINK", "status": 0xB000 }));
    let coerced = doctor(&format!("SINK@{}", sink.address), &["--store"]);
    assert_eq!((coerced.code, coerced.step("store").result), (0, "warning"), "{coerced:#?}");
}

#[test]
fn a_peer_that_answers_with_all_it_has_is_stopped() {
    let sink = Scripted::start(serde_json::json!({ "matches": 1_000_000 }));
    doctor(&format!("SINK@{}", sink.address), &["--query"])
        .assert_failed("query", &["answered 2 matches or more", "Study Instance UID"]);
    let cancelled = sink.events("cancelled");
    assert!(cancelled.len() == 1 && cancelled[0]["after"].as_u64().unwrap() < 10_000, "{cancelled:?}");
}

#[test]
fn a_full_peer_and_one_that_does_not_know_us() {
    let server = Server::with("", "max_associations = 1", "");
    let peer = format!("GANTRY@{}", server.dimse);
    let held = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    doctor(&peer, &[])
        .assert_failed("association", &["(2/3/2)", "as many associations as it allows", "wait a minute"]);
    drop(held);
    let strict = Server::with("", "accept = \"known\"", "");
    doctor(&format!("GANTRY@{}", strict.dimse), &["--calling", "STRANGER"]).assert_failed(
        "association",
        &[
            "(1/1/3)",
            "knows no AE title STRANGER with our address 127.0.0.1",
            "have STRANGER with our address 127.0.0.1 added",
        ],
    );
}

#[test]
fn each_way_of_not_being_there_is_told() {
    let [nobody] = free_ports();
    doctor(&format!("PACS@{nobody}"), &[])
        .assert_failed("connection", &["connection refused", "nothing listens at its port", "service runs"]);
    doctor("PACS@no-such-host.invalid:104", &[])
        .assert_failed("name", &["no-such-host.invalid:104 is not found", "typing error"]);

    // It takes the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gantry.toml");
    fs::write(&config, "[dimse]\nmessage_timeout = \"1s\"\n").unwrap();
    let address = silent.local_addr().unwrap();
    let found = doctor(&format!("PACS@{address}"), &["--config", config.to_str().unwrap()]);
    found
        .assert_failed("association", &["no answer within 1 s", "says nothing", "port of its DICOM service"]);

    // It takes the connection, and closes it.
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closing.local_addr().unwrap();
    let found = std::thread::scope(|scope| {
        let peer = format!("PACS@{address}");
        let asking = scope.spawn(move || doctor(&peer, &[]));
        closing.set_nonblocking(true).unwrap();
        while !asking.is_finished() {
            drop(closing.accept());
            std::thread::yield_now();
        }
        asking.join().unwrap()
    });
    found.assert_failed("association", &["closed it without a word", "added at the peer"]);

    let server = Server::start();
    doctor(&format!("PACS@{}", server.web), &[])
        .assert_failed("association", &["a web server", "HTTP/1.0 200", "11112"]);
}

#[test]
fn peers_are_found_by_their_names() {
    let [nowhere] = free_ports();
    let archive = DcmQrScp::start(nowhere);
    let (_, address) = archive.target.split_once('@').unwrap();
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gantry.toml");
    let peer = |name: &str, title: &str, at: &str| {
        format!("[peer.{name}]\nae_title = \"{title}\"\naddress = \"{at}\"\n")
    };
    let text = [
        "ae_title = \"ROUTER\"\n".to_owned(),
        peer("pacs", "ARCHIVE", address),
        peer("one", "TWIN", "127.0.0.1:1"),
        peer("two", "TWIN", "127.0.0.1:2"),
        "[destination.out]\nkind = \"dicom\"\npeer = \"pacs\"\n".to_owned(),
        "[destination.copies]\nkind = \"folder\"\npath = \"copies\"\n".to_owned(),
    ];
    fs::write(&config, text.concat()).unwrap();
    fs::create_dir(folder.path().join("copies")).unwrap();
    let config = config.to_str().unwrap();
    for name in ["pacs", "out", "ARCHIVE"] {
        let found = doctor(name, &["--config", config]);
        found.assert_well(&["association", "C-ECHO"]);
        assert!(found.step("association").words.contains("ARCHIVE accepts ROUTER"), "{name}: {found:#?}");
    }
    doctor("copies", &["--config", config]).assert_well(&["to copies"]);
    for (name, words) in [
        ("pasc", "did you mean \"pacs\"?"),
        ("TWIN", "several peers have the AE title TWIN: one, two"),
        ("nobody-at-all", "there are pacs, one, two, out, copies"),
    ] {
        let output = gantry().args(["doctor", name, "--config", config]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
    for options in [&["--store"][..], &["--all", "pacs"], &["PACS@127.0.0.1"]] {
        let output = gantry().arg("doctor").args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
    }
    let all = Found::by(gantry().args(["doctor", "--all", "--config", config]).current_dir(folder.path()));
    assert_eq!(all.told["subjects"].as_array().unwrap().len(), 4, "{all:#?}");
    assert_eq!(all.code, 3, "{all:#?}");
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gantry.toml"), crate::routed::folder("copy")).unwrap();
    let doctor = |arguments: &[&str]| {
        let mut command = gantry();
        command.arg("doctor").args(arguments).args(["--config", "gantry.toml"]).current_dir(folder.path());
        crate::routed::ran(&mut command)
    };
    let pin = format!("sha256:{}", "0".repeat(64));
    let tls = ["--tls", "--fingerprint", &pin];
    for options in [&["--store"][..], &["--query"], &["--calling", "ME"], &tls, &["--user", "me"]] {
        let ran = doctor(&[&["copy"], options].concat());
        assert!(ran.code == 2 && ran.printed.contains("copy is no DICOM peer"), "{}", ran.printed);
    }
    for options in [&tls[..], &["--user", "me"], &["--all", "--user", "me"]] {
        let ran = doctor(options);
        assert!(ran.code == 2 && ran.printed.contains("is for one peer: name it"), "{}", ran.printed);
    }
    assert_eq!(doctor(&["copy"]).code, 0);
}

#[test]
fn an_archive_commits_to_what_was_stored_by_either_way() {
    let [listen] = free_ports();
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gantry.toml");
    fs::write(&config, format!("[dimse]\nlisten = \"{listen}\"\n")).unwrap();
    let archive = Scripted::archive();
    let order = |orders: Value| archive.order_for(listen, orders);
    order(serde_json::json!({}));
    let peer = format!("ARCHIVE@{}", archive.address);
    let options = ["--store", "--commitment", "--config", config.to_str().unwrap()];
    for (how, words) in [
        ("same", "told over the same association"),
        ("early", "told over the same association"),
        ("new", "told over an association to our port"),
    ] {
        order(serde_json::json!({ "commit": how }));
        let found = doctor(&peer, &options);
        assert_eq!(found.code, 0, "{found:#?}");
        // That archive takes no Verification.
        assert_eq!(found.step("C-ECHO").result, "warning", "{found:#?}");
        let step = found.step("commitment");
        assert!(step.result == "ok" && step.words.contains(words), "{how}: {step:#?}");
    }
    order(serde_json::json!({ "action": 0x0213 }));
    doctor(&peer, &options).assert_failed("commitment", &["the request was answered 0213H"]);

    let scp = StoreScp::start();
    doctor(&format!("STORESCP@{}", scp.address), &options)
        .assert_failed("commitment", &["offers no storage commitment"]);
}

#[test]
fn gantry_itself_commits_to_what_the_doctor_stored() {
    let [listen] = free_ports();
    let peer = format!("[peer.doctor]\nae_title = \"DOCTOR\"\naddress = \"{listen}\"\n");
    let server = Server::with("", "", &peer);
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gantry.toml");
    fs::write(&config, format!("ae_title = \"DOCTOR\"\n[dimse]\nlisten = \"{listen}\"\n")).unwrap();
    let options = ["--store", "--query", "--commitment", "--config", config.to_str().unwrap()];
    let found = doctor(&format!("GANTRY@{}", server.dimse), &options);
    found.assert_well(&["association", "C-ECHO", "services", "store", "query", "commitment"]);
    let services = found.step("services").words;
    assert!(
        services.contains("stores all 38 kinds") && services.contains("C-GET, storage commitment"),
        "{services}"
    );
    assert!(!server.log().contains("level=error"), "{}", server.log());
}
