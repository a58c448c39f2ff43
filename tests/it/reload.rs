//! New rules without a restart: SIGHUP and `gantry reload`.

use std::fs;

use crate::harness::{Server, eventually};
use crate::routed::{State, everything_to, folder};
use crate::synthetic::Object;

fn object(n: u32) -> Object {
    Object::new(1, 1, n)
}

fn write(server: &Server, rules: &str) {
    fs::write(server.dir().join("rules/rules.toml"), rules).unwrap();
}

/// Which instances have a delivery to a destination, by number.
fn routed_to(server: &Server, destination: &str) -> Vec<u32> {
    let rows = server.ledger_of(destination).into_iter();
    rows.map(|row| row.instance.rsplit('.').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn rules_are_swapped_by_signal_and_by_command() {
    let server = Server::routed(&everything_to(&["a"]), &["a", "b", "c"].map(folder).concat());
    server.store(&[object(1)]);
    write(&server, &everything_to(&["b"]));
    server.signal("HUP");
    eventually("it is in the log", || server.log().contains("SIGHUP"));
    eventually("the new rules hold", || {
        let n = server.ledger().len() as u32 + 1;
        server.store(&[object(n)]);
        !routed_to(&server, "b").is_empty()
    });
    let before = server.ledger().len() as u32;
    write(&server, &everything_to(&["c"]));
    let ran = server.command(&["reload"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    // Once the command has returned, no instance is routed by what was before.
    server.store(&[object(before + 1)]);
    assert_eq!(routed_to(&server, "c"), [before + 1]);
    assert_eq!(server.metric("gantry_rules_reloads_total{outcome=\"accepted\"}"), 2);
    assert!(server.ledger().iter().all(|row| row.state != State::Dead));
}

#[test]
fn bad_rules_are_refused_and_the_old_ones_go_on() {
    let server = Server::routed(&everything_to(&["a"]), &folder("a"));
    let bad = [
        ("[[rule]]\nname = \"x\"\nwhen = 'Modalty == \"CT\"'\nsend = [\"a\"]\n", "Modality"),
        ("[[rule]]\nname = \"x\"\nwhen = \"true\"\nsend = [\"nowhere\"]\n", "nowhere"),
        ("[[rule]]\nname = \n", "rules.toml:2"),
        (
            "[[rule]]\nname = \"x\"\nwhen = \"true\"\nsend = [\"a\"]\n[[test]]\nname = \"fails\"\ngiven = {}\nexpect = []\n",
            "fails",
        ),
    ];
    for (n, (rules, words)) in bad.iter().enumerate() {
        write(&server, rules);
        let ran = server.command(&["reload"]);
        assert!(ran.code == 64 && ran.printed.contains(words), "{rules}\n{ran:?}");
        server.store(&[object(n as u32 + 1)]);
        assert_eq!(routed_to(&server, "a").len(), n + 1, "after\n{rules}");
    }
    fs::remove_file(server.dir().join("rules/rules.toml")).unwrap();
    assert_eq!(server.command(&["reload"]).code, 64, "a pattern that matches nothing");
    assert_eq!(server.metric("gantry_rules_reloads_total{outcome=\"refused\"}"), bad.len() as u64 + 1);
    let log = server.log();
    assert!(log.contains("Modalty"), "what is wrong stands in the log, too:\n{log}");

    write(&server, &everything_to(&["a"]));
    assert_eq!(server.command(&["reload"]).code, 0);
}

#[test]
fn warnings_come_with_the_answer() {
    let server = Server::routed(&everything_to(&["a"]), &["a", "b"].map(folder).concat());
    write(&server, &everything_to(&["a"]).replace("true", "PixelSpacing < 1"));
    let ran = server.command(&["reload"]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    for words in [
        "warning: `PixelSpacing` may have several values",
        "no rule sends to the destination \"b\"",
        "1 rule in force",
    ] {
        assert!(ran.printed.contains(words), "{words:?} is not in\n{}", ran.printed);
    }
    eventually("they are in the log, too", || server.log().contains("PixelSpacing"));
}

#[test]
fn what_needs_a_restart_is_told() {
    let server = Server::routed(&everything_to(&["a"]), &folder("a"));
    let config = server.dir().join("gantry.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}{}", folder("b"))).unwrap();
    write(&server, &everything_to(&["b"]));
    let ran = server.command(&["reload"]);
    assert!(ran.code == 64 && ran.printed.contains('b') && ran.printed.contains("restart"), "{ran:?}");
    server.store(&[object(1)]);
    assert_eq!(routed_to(&server, "a"), [1]);
    write(&server, &everything_to(&[]).replace("send = []", "send = []\nstop = true"));
    let ran = server.command(&["reload"]);
    assert!(ran.code == 0 && ran.printed.contains("restart"), "{ran:?}");
    server.store(&[object(2)]);
    assert_eq!(routed_to(&server, "a"), [1]);
}

#[test]
fn without_a_server_there_is_nothing_to_reload() {
    let mut server = Server::routed(&everything_to(&["a"]), &folder("a"));
    assert!(server.terminate().success());
    let ran = server.command(&["reload"]);
    assert!(ran.code == 1 && ran.printed.contains("no server runs"), "{ran:?}");
    server.start_again();
    server.kill();
    let ran = server.command(&["reload"]);
    assert!(ran.code == 1 && ran.printed.contains("no server runs"), "after a kill: {ran:?}");
    server.start_again();
    assert_eq!(server.command(&["reload"]).code, 0);
}
