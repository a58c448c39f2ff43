//! Further versions of an instance, and instances that come back from where they were sent.

use std::collections::BTreeSet;
use std::fs;

use sha2::{Digest, Sha256};

use crate::harness::{Server, eventually, files_below};
use crate::proxy::{Mode, Proxy};
use crate::routed::{Delivery, State, dicom, everything_to, folder};
use crate::sinks::StoreScp;
use crate::synthetic::Object;

#[test]
fn a_version_goes_where_the_rules_say_but_never_back_to_where_it_comes_from() {
    let sink = StoreScp::start();
    let tables = dicom("pacs", "PACS", sink.address) + &folder("copy");
    let server = Server::routed(&everything_to(&["pacs", "copy"]), &tables);
    let versions = [0, 1, 2].map(|fill| Object { fill, ..Object::new(1, 1, 1) });
    let [first, second, third] = &versions;
    let states = || -> Vec<_> {
        server
            .ledger()
            .into_iter()
            .map(|Delivery { destination, version, state, .. }| (destination, version, state))
            .collect()
    };
    let row = |destination: &str, version, state| (destination.to_owned(), version, state);

    server.store_as("TESTSCU", [first]);
    server.wait_until_delivered("pacs", 1);
    server.wait_until_delivered("copy", 1);
    // It comes back from where it was sent, twice.
    server.store_as("PACS", [first]);
    server.store_as("PACS", [first]);
    let delivered = State::Delivered;
    assert_eq!(states(), [row("copy", 1, delivered), row("pacs", 1, delivered)]);
    assert_eq!(server.metric("gantry_instances_came_back_total"), 2);
    // The peer changed it: everybody else gets that.
    server.store_as("PACS", [second]);
    server.wait_until_delivered("copy", 2);
    // Somebody else changed it.
    server.store_as("TESTSCU", [third]);
    server.wait_until_delivered("copy", 3);
    server.wait_until_delivered("pacs", 2);
    let expected = [
        row("copy", 1, delivered),
        row("copy", 2, delivered),
        row("copy", 3, delivered),
        row("pacs", 1, delivered),
        row("pacs", 2, State::Withheld),
        row("pacs", 3, delivered),
    ];
    assert_eq!(states(), expected);

    let at_pacs: BTreeSet<_> = sink.data_sets().into_iter().collect();
    assert!(at_pacs == [first, third].map(Object::data_set).into(), "{} at the peer", at_pacs.len());
    let folder = server.dir().join("copy/2.25.1/2.25.1.1");
    let kept = files_below(&server.data_dir().join("instances"));
    let kept = kept.iter().map(|file| fs::read(file).unwrap());
    let mut copies: Vec<_> = files_below(&folder).iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(copies.len(), 3);
    copies.sort();
    let mut names = Vec::new();
    let mut files: Vec<_> = kept.collect();
    files.sort();
    assert!(copies == files, "the Part 10 files as they are kept");
    for file in files {
        let is_first = file.ends_with(&first.data_set());
        let hash = hex::encode(Sha256::digest(&file));
        let name =
            if is_first { "2.25.1.1.1.dcm".to_owned() } else { format!("2.25.1.1.1~{}.dcm", &hash[..12]) };
        assert!(fs::read(folder.join(&name)).unwrap() == file, "{name}");
        names.push(name);
    }
}

#[test]
fn what_was_received_before_its_rule_goes_out_when_it_comes_again() {
    let server = Server::routed(
        "[[rule]]\nname = \"none\"\nwhen = \"true\"\nsend = []\nstop = true\n",
        &folder("copy"),
    );
    let object = Object::new(1, 1, 1);
    server.store([&object]);
    assert_eq!(server.ledger(), []);
    fs::write(server.dir().join("rules/rules.toml"), everything_to(&["copy"])).unwrap();
    assert_eq!(server.command(&["reload"]).code, 0);
    for _ in 0..3 {
        server.store([&object]);
    }
    server.wait_until_delivered("copy", 1);
    assert_eq!(server.ledger().len(), 1, "and nowhere twice");
}

#[test]
fn two_that_send_each_other_everything_come_to_rest() {
    let [nobody] = crate::harness::free_ports();
    let (to_a, to_b) = (Proxy::start(nobody, Mode::Refuse), Proxy::start(nobody, Mode::Refuse));
    let start = |title: &str, other: &str, proxy: &Proxy| {
        let tables = dicom("other", other, proxy.address) + &folder("copy");
        let title = format!("ae_title = \"{title}\"");
        Server::routed_so(
            &everything_to(&["other", "copy"]),
            [&title, "", &tables],
            crate::harness::Launch::default(),
        )
    };
    let (a, b) = (start("GANTRY_A", "GANTRY_B", &to_b), start("GANTRY_B", "GANTRY_A", &to_a));
    to_a.lead_to(a.dimse);
    to_b.lead_to(b.dimse);
    let of = |study: u32| (1..=10).map(move |n| Object::new(study, 1, n)).collect::<Vec<_>>();
    a.store(&of(1));
    b.store(&of(2));
    let changed: Vec<_> = of(1).into_iter().map(|object| Object { fill: 1, ..object }).collect();
    a.wait_until_delivered("copy", 20);
    b.wait_until_delivered("copy", 20);
    b.store(&changed);
    for server in [&a, &b] {
        server.wait_until_delivered("copy", 30);
    }
    // What was new went to the other and, as the rules say, back; there it was known. The changed ones were not sent back. Work of the
    // one makes work for the other: only the numbers tell that all of it is done.
    let is_settled = |row: &Delivery| matches!(row.state, State::Delivered | State::Withheld);
    let withheld =
        |server: &Server| server.ledger().iter().filter(|row| row.state == State::Withheld).count();
    let came_back = |server: &Server| server.metric("gantry_instances_came_back_total");
    let counts = || [&a, &b].map(|server| (delivered_to_other(server), withheld(server), came_back(server)));
    eventually("everything is where it goes", || counts() == [(20, 10, 10), (30, 0, 10)]);
    assert!([&a, &b].iter().all(|server| server.ledger().iter().all(is_settled)));
    assert_eq!(counts(), [(20, 10, 10), (30, 0, 10)], "and at rest");
}

fn delivered_to_other(server: &Server) -> usize {
    server.ledger_of("other").iter().filter(|row| row.state == State::Delivered).count()
}
