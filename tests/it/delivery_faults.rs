//! Destinations in trouble: the right class, a reason that an operator can read, no other lane held up, nothing lost.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::harness::{Launch, Server, eventually, files_below};
use crate::proxy::{Mode, Proxy};
use crate::routed::{State, dicom, everything_to, folder};
use crate::scu::{Scu, associate_rq};
use crate::sinks::{Scripted, StoreScp};
use crate::synthetic::{CT, IMPLICIT, Object, implicit};

#[test]
fn each_status_of_a_peer_has_its_class() {
    use State::{Dead, Delivered, Retrying};
    // Those that stay come first: what is behind them must get through all the same.
    let table = [
        (json!(0xA700), Retrying, "A700H"),
        (json!(0xA712), Retrying, "A712H"),
        (json!(0x0110), Retrying, "0110H"),
        (json!(0x0213), Retrying, "0213H"),
        (json!(0x1234), Retrying, "1234H"),
        (json!("abort"), Retrying, "abort"),
        (json!(0xA700), Retrying, "A700H"),
        (json!(0xA900), Dead, "A900H"),
        (json!(0xC000), Dead, "C000H"),
        (json!(0xC1FF), Dead, "C1FFH"),
        (json!(0x0117), Dead, "0117H"),
        (json!(0x0122), Dead, "0122H"),
        (json!(0x0124), Dead, "0124H"),
        (json!(0xB000), Delivered, "B000H"),
        (json!(0xB007), Delivered, "B007H"),
        (json!(0x0111), Delivered, "0111H"),
        (json!(0x0000), Delivered, "0000H"),
    ];
    let object = |n: usize| Object::new(1, 1, n as u32 + 1);
    let statuses: serde_json::Map<String, Value> =
        table.iter().enumerate().map(|(n, (status, ..))| (object(n).instance, status.clone())).collect();
    let sink = Scripted::start(json!({"statuses": statuses, "comment": "as the script says"}));
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "PACS", sink.address));
    server.store(&(0..table.len()).map(object).collect::<Vec<_>>());
    let count = |state| table.iter().filter(|(_, expected, _)| *expected == state).count();
    server.wait_for("pacs", Dead, count(Dead));
    server.wait_until_delivered("pacs", count(Delivered));
    eventually("each was tried", || server.ledger().iter().all(|row| row.attempts > 0));
    for row in server.ledger() {
        let n = (0..table.len()).find(|n| object(*n).instance == row.instance).unwrap();
        let (_, state, words) = &table[n];
        // What is retried may just be on its way once more.
        let is_right = row.state == *state || (*state == Retrying && row.state == State::Leased);
        assert!(is_right && row.status.contains(words), "{words}: {row:?}");
        assert!(*state == Retrying || row.attempts == 1, "{row:?}");
        assert!(!row.status.contains("as the script says"), "a comment may name the patient: {row:?}");
    }
    sink.order(json!({}));
    server.wait_until_delivered("pacs", count(Delivered) + count(Retrying));
    assert_eq!(server.command(&["queue", "retry", "--dead"]).code, 0);
    server.wait_until_delivered("pacs", table.len());
}

#[test]
fn peers_that_do_not_answer_as_peers_do_hold_up_nobody() {
    let sinks: Vec<_> = (0..6).map(|_| StoreScp::start()).collect();
    let strict = Scripted::start(json!({"title": "OTHER"}));
    let modes = [
        ("nobody", Mode::Refuse, "nothing listens there"),
        ("stranger", Mode::Nonsense(b"220 mail.example ESMTP\r\n"), "DICOM"),
        ("silent", Mode::Silent, "DICOM"),
        ("closing", Mode::Cut(1), "DICOM"),
        ("breaking", Mode::Cut(20_000), "lost"),
    ];
    let proxies: Vec<_> = modes
        .iter()
        .zip(&sinks)
        .map(|((_, mode, _), sink)| Proxy::start(sink.address, mode.clone()))
        .collect();
    let slow = Proxy::start(sinks[5].address, Mode::Slow(20_000));
    let mut tables = folder("good") + &dicom("title", "PACS", strict.address);
    tables += &dicom("slow", "STORESCP", slow.address);
    let mut names = vec!["good", "title", "slow"];
    for ((name, ..), proxy) in modes.iter().zip(&proxies) {
        tables += &dicom(name, "STORESCP", proxy.address);
        names.push(name);
    }
    let impatient = "artim_timeout = \"2s\"\nmessage_timeout = \"2s\"\nconnect_timeout = \"2s\"";
    let server = Server::routed_so(&everything_to(&names), ["", impatient, &tables], Launch::default());
    let objects: Vec<_> = (1..=6).map(|n| Object { pixel_bytes: 32_768, ..Object::new(1, 1, n) }).collect();
    server.store(&objects);
    server.wait_until_delivered("good", objects.len());
    assert!(server.queue()["slow"]["delivered"].as_u64().unwrap() < objects.len() as u64);
    for (name, words) in
        modes.iter().map(|(name, _, words)| (*name, *words)).chain([("title", "called AE title")])
    {
        let reason = server.reason(name);
        assert!(reason.contains(words) && reason.len() < 400, "{name}: {reason}");
        assert_eq!(server.queue()[name]["dead"], 0, "{name}");
    }
    let text = server.command(&["queue"]).printed;
    assert!(text.contains("nothing listens there"), "{text}");

    assert_eq!(server.queue()["slow"]["last_error"], Value::Null, "slow is not broken");
    proxies.iter().chain([&slow]).for_each(|proxy| proxy.set(Mode::Pass));
    strict.order(json!({}));
    let expected: BTreeSet<_> = objects.iter().map(Object::data_set).collect();
    for name in names {
        server.wait_until_delivered(name, objects.len());
    }
    for sink in &sinks {
        assert!(sink.data_sets().into_iter().collect::<BTreeSet<_>>() == expected);
    }
    assert!(strict.data_sets().into_iter().collect::<BTreeSet<_>>() == expected);
}

#[test]
fn a_syntax_that_the_peer_does_not_take_is_a_dead_letter_and_the_rest_goes_on() {
    let sink = Scripted::start(json!({"syntaxes": [IMPLICIT]}));
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "PACS", sink.address));
    // Which nothing else is made of.
    const MPEG2: &str = "1.2.840.10008.1.2.4.100";
    let contexts: &[(&str, &[&str])] = &[(CT, &[MPEG2]), (CT, &[IMPLICIT])];
    let mut scu = Scu::request(server.dimse, &associate_rq("GANTRY", "TESTSCU", contexts)).unwrap();
    for n in 1..=6 {
        let object = Object::new(1, 1, n);
        let (context, data) =
            if n % 2 == 0 { (3, implicit(&object.data_set())) } else { (1, object.data_set()) };
        assert_eq!(scu.store(context, CT, &object.instance, &data).unwrap().status(), 0);
    }
    server.wait_until_delivered("pacs", 3);
    server.wait_for("pacs", State::Dead, 3);
    assert_eq!(sink.data_sets().len(), 3);
    for row in server.ledger().iter().filter(|row| row.state == State::Dead) {
        for words in ["CT Image Storage", "MPEG2", "transfer syntax"] {
            assert!(row.status.contains(words), "{words:?} is not in {row:?}");
        }
    }
}

#[test]
fn a_full_disk_holds_up_its_lane_only_and_keeps_no_scraps() {
    let launch = Launch { small_disk: Some("small"), ..Launch::default() };
    let tables = folder("copy") + &folder("full").replace("path = \"full\"", "path = \"small/full\"");
    let server = Server::routed_so(&everything_to(&["copy", "full"]), ["", "", &tables], launch);
    let objects: Vec<_> = (1..=4).map(|n| Object { pixel_bytes: 32_768, ..Object::new(1, 1, n) }).collect();
    server.store(&objects[..1]);
    server.wait_until_delivered("full", 1);
    let filler = server.seen("small/filler");
    // It ends when nothing more fits.
    assert!(fs::write(&filler, vec![0; 2 << 20]).is_err());
    server.store(&objects[1..]);
    server.wait_until_delivered("copy", objects.len());
    let reason = server.reason("full");
    assert!(reason.contains("small/full") && reason.contains("No space left on device"), "{reason}");
    assert_eq!(server.queue()["full"]["dead"], 0);
    fs::remove_file(&filler).unwrap();
    server.wait_until_delivered("full", objects.len());
    let files = files_below(&server.seen("small/full"));
    assert_eq!(files.len(), objects.len(), "{files:?}");
    for object in &objects {
        let name = format!("{}/{}/{}.dcm", object.study, object.series, object.instance);
        let copies = [server.seen("small/full"), server.dir().join("copy")]
            .map(|at| fs::read(at.join(&name)).unwrap());
        assert!(copies[0] == copies[1], "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_used_once_it_can() {
    let server =
        Server::routed(&everything_to(&["copy"]), &folder("copy").replace("\"copy\"", "\"in/the/way\""));
    fs::write(server.dir().join("in"), "a file").unwrap();
    server.store(&[Object::new(1, 1, 1)]);
    let reason = server.reason("copy");
    assert!(reason.contains("in/the"), "{reason}");
    fs::remove_file(server.dir().join("in")).unwrap();
    server.wait_until_delivered("copy", 1);
    assert_eq!(files_below(&server.dir().join("in/the/way")).len(), 1);
}

#[test]
fn what_is_given_up_is_a_dead_letter_with_the_last_reason() {
    let sink = StoreScp::start();
    let proxy = Proxy::start(sink.address, Mode::Refuse);
    let tables = dicom("pacs", "STORESCP", proxy.address).replace("give_up = \"1h\"", "give_up = \"2s\"");
    let server = Server::routed(&everything_to(&["pacs"]), &tables);
    server.store(&(1..=8).map(|n| Object::new(1, 1, n)).collect::<Vec<_>>());
    server.wait_for("pacs", State::Dead, 8);
    for row in server.ledger() {
        for words in ["gave up after", "nothing listens there"] {
            assert!(row.status.contains(words), "{words:?} is not in {row:?}");
        }
    }
    assert_eq!(server.metric("gantry_deliveries_total{destination=\"pacs\",outcome=\"gave_up\"}"), 8);
    proxy.set(Mode::Pass);
    assert_eq!(server.command(&["queue", "retry", "--dead", "--destination", "pacs"]).code, 0);
    server.wait_until_delivered("pacs", 8);
}

#[test]
fn a_file_of_ours_that_is_gone_is_a_dead_letter_and_no_fault_of_the_peer() {
    let sink = StoreScp::start();
    let proxy = Proxy::start(sink.address, Mode::Refuse);
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", proxy.address));
    server.store(&[Object::new(1, 1, 1)]);
    let [file] = &files_below(&server.data_dir().join("instances"))[..] else { panic!("one file") };
    fs::remove_file(file).unwrap();
    server.store(&(2..=4).map(|n| Object::new(1, 1, n)).collect::<Vec<_>>());
    proxy.set(Mode::Pass);
    server.wait_until_delivered("pacs", 3);
    server.wait_for("pacs", State::Dead, 1);
    let rows = server.ledger();
    assert!(rows[0].state == State::Dead && rows[0].instance == "2.25.1.1.1", "{rows:?}");
    assert_eq!(server.metric("gantry_deliveries_total{destination=\"pacs\",outcome=\"poison\"}"), 1);
}
