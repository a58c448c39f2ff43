//! The whole path: what arrives goes where the rules say, to each kind of destination, bit by bit as it came.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{PATIENCE, Server, eventually, files_below};
use crate::proxy::{Mode, Proxy};
use crate::routed::{State, dicom, everything_to, folder, s3};
use crate::scu::{Scu, associate_rq};
use crate::seaweed::SeaweedFs;
use crate::sinks::{Orthanc, Scripted, StoreScp};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object, data_set_of, implicit};

#[test]
fn peers_of_three_makers_and_a_folder_get_what_the_rules_say() {
    let (storescp, pynetdicom) = (StoreScp::start(), Scripted::start(json!({"title": "PYTHON"})));
    let orthanc = Orthanc::start(storescp.address);
    let rules = r#"
        [[rule]]
        name = "study one"
        when = 'PatientID == "P1" && Modality == "CT"'
        send = ["storescp", "copy"]

        [[rule]]
        name = "odd numbers"
        when = 'InstanceNumber in [1, 3, 5] || InstanceNumber == 7'
        send = ["pynetdicom", "copy"]

        [[rule]]
        name = "the rest"
        otherwise = true
        send = ["orthanc"]
    "#;
    let tables = [
        dicom("storescp", "STORESCP", storescp.address),
        dicom("pynetdicom", "PYTHON", pynetdicom.address),
        dicom("orthanc", "ORTHANC", orthanc.dicom),
        folder("copy"),
    ];
    let server = Server::routed(rules, &tables.concat());
    let objects: Vec<_> = (1..=2).flat_map(|study| (1..=8).map(move |n| Object::new(study, 1, n))).collect();
    let (by_dimse, by_web) = objects.split_at(objects.len() / 2);
    server.store(by_dimse);
    for object in by_web {
        assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    }

    let is_one = |object: &&Object| object.study == "2.25.1";
    let is_odd = |object: &&Object| object.instance.ends_with(['1', '3', '5', '7']);
    let chosen = |is_chosen: &dyn Fn(&&Object) -> bool| -> BTreeSet<Vec<u8>> {
        objects.iter().filter(is_chosen).map(Object::data_set).collect()
    };
    let expected = [
        ("storescp", chosen(&is_one)),
        ("pynetdicom", chosen(&is_odd)),
        ("copy", chosen(&|object| is_one(object) || is_odd(object))),
        ("orthanc", chosen(&|object| !is_one(object) && !is_odd(object))),
    ];
    for (destination, data_sets) in &expected {
        server.wait_until_delivered(destination, data_sets.len());
    }
    let by_orthanc = orthanc.get("/instances");
    let by_orthanc = by_orthanc.as_array().unwrap().iter().map(|id| orthanc.file(id.as_str().unwrap()));
    let copies = files_below(&server.dir().join("copy"));
    let got = [
        storescp.data_sets(),
        pynetdicom.data_sets(),
        copies.iter().map(|file| data_set_of(&fs::read(file).unwrap()).to_vec()).collect(),
        by_orthanc.map(|file| data_set_of(&file).to_vec()).collect(),
    ];
    for ((destination, data_sets), got) in expected.iter().zip(got) {
        assert_eq!(got.len(), data_sets.len(), "each once in {destination}");
        assert!(got.into_iter().collect::<BTreeSet<_>>() == *data_sets, "bit by bit in {destination}");
    }
    for row in server.ledger() {
        assert_eq!((row.state, row.attempts, row.version), (State::Delivered, 1, 1), "{row:?}");
        let object = objects.iter().find(|object| object.instance == row.instance).unwrap();
        let sent = if row.destination == "copy" { stored_file(&server, object) } else { object.data_set() };
        assert_eq!(row.sent, Sha256::digest(sent).to_vec(), "{row:?}");
    }
    let path = server.dir().join("copy/2.25.1/2.25.1.1/2.25.1.1.2.dcm");
    assert!(fs::read(path).unwrap() == stored_file(&server, &objects[1]), "the Part 10 file as it is kept");
}

#[test]
fn a_bucket_gets_the_files_under_keys_that_tell_what_they_are() {
    let seaweed = SeaweedFs::start();
    let tables = s3("cloud", seaweed.s3) + "prefix = \"hospital/\"\n";
    let server = Server::routed(&everything_to(&["cloud"]), &tables);
    let mut objects: Vec<_> =
        (1..=3).flat_map(|study| (1..=4).map(move |n| Object::new(study, 1, n))).collect();
    // Many parts of an upload in parts.
    objects.push(Object { pixel_bytes: 160 << 20, ..Object::new(4, 1, 1) });
    server.store(&objects[..12]);
    server.wait_until_delivered("cloud", 12);
    server.reset_peak();
    let before = server.resident_bytes();
    server.store(&objects[12..]);
    server.wait_until_delivered("cloud", objects.len());
    let growth = server.peak_resident_bytes().saturating_sub(before);
    assert!(growth < 100 << 20, "an object of 160 MiB grew the process by {growth} bytes");

    let mut keys = Vec::new();
    for object in &objects {
        let spread = hex::encode(&Sha256::digest(&object.study)[..1]);
        let key = format!("hospital/v1/{spread}/{}/{}/{}.dcm", object.study, object.series, object.instance);
        let file = stored_file(&server, object);
        assert!(seaweed.get(&key) == file, "{key} is the Part 10 file as it is kept");
        assert!(data_set_of(&file) == object.data_set());
        assert_eq!(seaweed.header(&key, "content-type"), "application/dicom");
        assert_eq!(seaweed.header(&key, "x-amz-meta-sha256"), hex::encode(Sha256::digest(&file)));
        assert_eq!(seaweed.header(&key, "x-amz-meta-ts-uid"), EXPLICIT);
        let version = format!("gantry/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(seaweed.header(&key, "x-amz-meta-router-version"), version);
        keys.push(key);
    }
    keys.sort();
    let stored: Vec<_> = seaweed.objects("").into_iter().map(|stored| stored.key).collect();
    assert_eq!(stored, keys, "nothing else is there");
    assert_eq!(seaweed.unfinished_uploads(), 0);
}

#[test]
fn rules_know_whom_an_instance_comes_from() {
    let rules = r#"
        [[rule]]
        name = "by title"
        when = 'from.aet == "TESTSCU" && from.via == "dimse"'
        send = ["by_title"]

        [[rule]]
        name = "by address"
        when = 'from.ip in cidr("127.0.0.0/8") && from.called == "GANTRY"'
        send = ["by_address"]

        [[rule]]
        name = "by peer"
        when = 'from.peer == "ct"'
        send = ["by_peer"]

        [[rule]]
        name = "by the web"
        when = 'from.via == "dicomweb" && !has(from.aet) && !has(from.called)'
        send = ["by_web"]
    "#;
    let names = ["by_title", "by_address", "by_peer", "by_web"];
    let tables = names.map(folder).concat() + "[peer.ct]\nae_title = \"CT_1\"\naddress = \"127.0.0.1:104\"\n";
    let server = Server::routed(rules, &tables);
    let of = |n| Object::new(1, 1, n);
    server.store_as("TESTSCU", &[of(1)]);
    server.store_as("CT_1", &[of(2)]);
    let mut other =
        Scu::request(server.dimse, &associate_rq("OTHER", "NOBODY", &[(CT, &[EXPLICIT])])).unwrap();
    assert_eq!(other.store(1, CT, &of(3).instance, &of(3).data_set()).unwrap().status(), 0);
    assert_eq!(server.stow("/dicom-web/studies", &[&of(4).file()]).status, 200);
    let expected =
        [("by_title", vec![1]), ("by_address", vec![1, 2]), ("by_peer", vec![2]), ("by_web", vec![4])];
    for (destination, numbers) in expected {
        let found: Vec<_> = server.ledger_of(destination).into_iter().map(|row| row.instance).collect();
        let expected: Vec<_> = numbers.into_iter().map(|n| of(n).instance).collect();
        assert_eq!(found, expected, "{destination}");
        server.wait_until_delivered(destination, expected.len());
    }
}

#[test]
fn without_rules_everything_is_kept_and_nothing_is_routed() {
    let server = Server::with("", "", &folder("copy"));
    server.store(&[Object::new(1, 1, 1)]);
    // Deliveries are committed with their instance: those that are not there now never come.
    assert_eq!(server.ledger(), []);
    assert_eq!(server.get("/dicom-web/instances").json().as_array().unwrap().len(), 1);
    let row = &server.queue()["copy"];
    assert_eq!((&row["ready"], &row["dead"]), (&json!(0), &json!(0)), "{row}");
}

#[test]
fn what_waits_goes_over_one_association_with_the_contexts_that_fit() {
    let sink = Scripted::start(json!({}));
    let proxy = Proxy::start(sink.address, Mode::Refuse);
    let tables = dicom("pacs", "PACS", proxy.address) + "associations = 1\n";
    let server = Server::routed(&everything_to(&["pacs"]), &tables);
    let mut scu = Scu::request(
        server.dimse,
        &associate_rq("GANTRY", "TESTSCU", &[(CT, &[EXPLICIT]), (CT, &[IMPLICIT])]),
    )
    .unwrap();
    let mut expected = BTreeSet::new();
    for n in 1..=20 {
        let object = Object::new(1, 1, n);
        let data = if n % 2 == 0 { implicit(&object.data_set()) } else { object.data_set() };
        let context = if n % 2 == 0 { 3 } else { 1 };
        assert_eq!(scu.store(context, CT, &object.instance, &data).unwrap().status(), 0);
        expected.insert(data);
    }
    proxy.set(Mode::Pass);
    server.wait_until_delivered("pacs", 20);
    assert!(sink.data_sets().into_iter().collect::<BTreeSet<_>>() == expected);
    let associations = sink.events("association");
    // The first may have been the probe, which knew of one instance only.
    assert!(associations.len() <= 2, "{associations:?}");
    assert_eq!(associations.last().unwrap()["contexts"], 2, "{associations:?}");
    assert_eq!(associations[0]["calling"], "GANTRY");
    assert_eq!(associations[0]["called"], "PACS");
}

#[test]
fn metrics_and_the_page_tell_how_it_goes() {
    let sink = Scripted::start(json!({"statuses": {"2.25.1.1.2": 0xC123}, "comment": "that one not"}));
    let [down] = crate::harness::free_ports();
    let tables = dicom("pacs", "PACS", sink.address) + &dicom("down", "DOWN", down);
    let server = Server::routed(&everything_to(&["pacs", "down"]), &tables);
    let of = |name: &str, labels: &str| server.metric(&format!("gantry_{name}{{{labels}}}"));
    for outcome in ["delivered", "retry", "refused", "poison", "down", "gave_up"] {
        let labels = format!("destination=\"pacs\",outcome=\"{outcome}\"");
        assert_eq!(of("deliveries_total", &labels), 0, "{outcome} is there from the start");
    }
    server.store(&(1..=3).map(|n| Object::new(1, 1, n)).collect::<Vec<_>>());
    server.wait_until_delivered("pacs", 2);
    server.wait_for("pacs", State::Dead, 1);
    let labels = |outcome: &str| format!("destination=\"pacs\",outcome=\"{outcome}\"");
    eventually("counted", || of("deliveries_total", &labels("delivered")) == 2);
    assert_eq!(of("deliveries_total", &labels("refused")), 1);
    assert_eq!(of("delivery_seconds_count", "destination=\"pacs\""), 2);
    assert_eq!(of("queue_depth", "destination=\"pacs\",state=\"dead\""), 1);
    assert_eq!(of("queue_depth", "destination=\"pacs\",state=\"ready\""), 0);
    let down = |state: &str| of("queue_depth", &format!("destination=\"down\",state=\"{state}\""));
    eventually("three wait", || down("ready") + down("retrying") + down("leased") == 3);
    eventually("time passes", || of("queue_oldest_seconds", "destination=\"down\"") > 0);
    assert!(of("deliveries_total", "destination=\"down\",outcome=\"down\"") > 0);

    let page = String::from_utf8(server.get("/").body).unwrap();
    for words in ["pacs", "down", "nothing listens there", "C123H", "2.25.1.1.2"] {
        assert!(page.contains(words), "{words:?} is not on\n{page}");
    }
}

#[test]
fn stopping_does_not_wait_for_a_destination_and_loses_nothing() {
    let sink = StoreScp::start();
    let proxy = Proxy::start(sink.address, Mode::Silent);
    let mut server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", proxy.address));
    let objects: Vec<_> = (1..=5).map(|n| Object::new(1, 1, n)).collect();
    server.store(&objects);
    eventually("a delivery runs", || proxy.accepted() > 0);
    let started = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log());
    assert!(started.elapsed() < PATIENCE / 2, "stopping took {:?}", started.elapsed());
    proxy.set(Mode::Pass);
    server.start_again();
    server.wait_until_delivered("pacs", objects.len());
    let got: BTreeSet<_> = sink.data_sets().into_iter().collect();
    assert!(got == objects.iter().map(Object::data_set).collect());
}

/// The file of an instance as it is kept.
fn stored_file(server: &Server, object: &Object) -> Vec<u8> {
    let path =
        format!("/dicom-web/studies/{}/series/{}/instances/{}", object.study, object.series, object.instance);
    let answer = server.get_as(&path, "application/dicom; transfer-syntax=*");
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}
