//! `gantry queue`, `queue retry` and `resend`, beside a running server and without one.

use serde_json::json;

use crate::harness::{Server, eventually};
use crate::proxy::{Mode, Proxy};
use crate::routed::{State, dicom, everything_to, folder};
use crate::sinks::{Scripted, StoreScp};
use crate::synthetic::Object;

#[test]
fn queue_tells_what_waits_where_since_when_and_why() {
    let [down] = crate::harness::free_ports();
    let sink = Scripted::start(json!({"statuses": {"2.25.1.1.2": 0xC000}}));
    let tables = folder("copy") + &dicom("pacs", "PACS", sink.address) + &dicom("down", "DOWN", down);
    let mut server = Server::routed(&everything_to(&["copy", "pacs", "down"]), &tables);
    for row in server.queue().values() {
        let none = json!(0);
        assert_eq!([&row["ready"], &row["leased"], &row["retrying"], &row["dead"]], [&none; 4], "{row}");
        assert!(row["oldest"].is_null() && row["last_error"].is_null(), "{row}");
    }
    server.store(&(1..=3).map(|n| Object::new(1, 1, n)).collect::<Vec<_>>());
    server.wait_until_delivered("copy", 3);
    server.wait_until_delivered("pacs", 2);
    server.wait_for("pacs", State::Dead, 1);
    server.reason("down");
    let check = |server: &Server| {
        let rows = server.queue();
        assert_eq!(rows.keys().collect::<Vec<_>>(), ["copy", "down", "pacs"]);
        let open = |name: &str| {
            ["ready", "leased", "retrying"]
                .map(|state| rows[name][state].as_u64().unwrap())
                .iter()
                .sum::<u64>()
        };
        assert_eq!((open("copy"), open("pacs"), open("down")), (0, 0, 3), "{rows:?}");
        assert_eq!((&rows["pacs"]["dead"], &rows["down"]["dead"]), (&json!(1), &json!(0)));
        let oldest = rows["down"]["oldest"].as_str().unwrap();
        assert!(oldest.starts_with("20") && oldest.contains('T') && oldest.ends_with('Z'), "{oldest}");
        assert!(rows["pacs"]["last_error"]["reason"].as_str().unwrap().contains("C000H"), "{rows:?}");
        let text = server.command(&["queue"]).printed;
        for words in ["copy", "pacs", "down", "ready", "leased", "retrying", "dead", "nothing listens there"]
        {
            assert!(text.contains(words), "{words:?} is not in\n{text}");
        }
    };
    check(&server);
    assert!(server.terminate().success());
    check(&server);
}

#[test]
fn retry_takes_what_it_is_told_to_take() {
    let sink = Scripted::start(json!({"status": 0xC000}));
    let proxy = Proxy::start(sink.address, Mode::Refuse);
    let slow = "retry = { first = \"1h\", factor = 1.0, max = \"1h\", give_up = \"72h\" }";
    let patient = |table: String| {
        let at = table.find("retry = ").unwrap();
        format!("{}{slow}\n", &table[..at])
    };
    let tables = dicom("one", "A", sink.address) + &patient(dicom("two", "B", proxy.address));
    let mut server = Server::routed(&everything_to(&["one", "two"]), &tables);
    let retry = |server: &Server, arguments: &[&str]| {
        let ran = server.command(&[&["queue", "retry"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.printed);
        ran.printed
    };
    server.store(&(1..=2).map(|n| Object::new(1, 1, n)).collect::<Vec<_>>());
    server.wait_for("one", State::Dead, 2);
    server.reason("two");
    // Nothing that waits there is due within the hour unless it is told to be.
    proxy.set(Mode::Pass);
    sink.order(json!({}));
    assert!(retry(&server, &["--destination", "two", "--dead"]).contains("nothing to retry"));
    retry(&server, &["--destination", "two"]);
    server.wait_until_delivered("two", 2);
    assert_eq!(server.ledger_of("one").iter().filter(|row| row.state == State::Dead).count(), 2);
    assert!(retry(&server, &["--dead"]).contains('2'));
    server.wait_until_delivered("one", 2);

    // Without a server it is there for the next.
    sink.order(json!({"status": 0xA900}));
    server.store(&[Object::new(1, 1, 3)]);
    server.wait_for("one", State::Dead, 1);
    server.wait_for("two", State::Dead, 1);
    assert!(server.terminate().success());
    sink.order(json!({}));
    assert!(retry(&server, &["--all"]).contains('2'));
    server.wait_for("one", State::Ready, 1);
    server.start_again();
    server.wait_until_delivered("one", 3);
    server.wait_until_delivered("two", 3);
}

#[test]
fn resend_takes_a_study_a_series_or_an_instance() {
    let sink = StoreScp::start();
    let rules = "[[rule]]\nname = \"one\"\nwhen = 'PatientID == \"P1\"'\nsend = [\"pacs\"]\n";
    let server = Server::routed(rules, &dicom("pacs", "STORESCP", sink.address));
    let objects = [Object::new(1, 1, 1), Object::new(1, 2, 2), Object::new(2, 1, 3), Object::new(2, 1, 4)];
    server.store(&objects);
    server.wait_until_delivered("pacs", 2);
    let mut expected = 2;
    for (uid, count) in [("2.25.1", 2), ("2.25.1.2", 1), ("2.25.2", 2), ("2.25.2.1.4", 1)] {
        let ran = server.command(&["resend", uid, "--to", "pacs"]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        assert!(ran.printed.contains(&count.to_string()), "{uid}: {}", ran.printed);
        expected += count;
        eventually("they arrive once more", || sink.data_sets().len() == expected);
        server.wait_until_delivered("pacs", if uid.starts_with("2.25.1") { 2 } else { 4 });
    }
    for (uid, to, words) in [("2.25.99", "pacs", "2.25.99"), ("2.25.1", "pasc", "did you mean \"pacs\"")] {
        let ran = server.command(&["resend", uid, "--to", to]);
        assert!(ran.code == 1 && ran.printed.contains(words), "{ran:?}");
    }
    assert_eq!(sink.data_sets().len(), expected);
}

#[test]
fn commands_without_an_index_or_with_a_wrong_configuration_say_so() {
    let folder = tempfile::TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        crate::routed::ran(crate::harness::gantry().args(arguments).current_dir(folder.path()))
    };
    std::fs::write(folder.path().join("good.toml"), "data_dir = \"nothing\"\n").unwrap();
    std::fs::write(folder.path().join("bad.toml"), "data_dri = \"nothing\"\n").unwrap();
    let commands: [&[&str]; 5] = [
        &["queue"],
        &["queue", "retry"],
        &["resend", "2.25.1", "--to", "pacs"],
        &["explain", "2.25.1"],
        &["reload"],
    ];
    for command in commands {
        let ran = run(&[command, &["--config", "good.toml"]].concat());
        assert!(ran.code == 1 && ran.printed.starts_with("gantry: "), "{command:?}: {ran:?}");
        let ran = run(&[command, &["--config", "bad.toml"]].concat());
        assert!(ran.code == 64 && ran.printed.contains("data_dri"), "{command:?}: {ran:?}");
    }
    assert!(!folder.path().join("nothing").exists(), "asking makes nothing");
}
