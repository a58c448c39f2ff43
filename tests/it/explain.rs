//! `gantry explain` and `gantry rules test`: why an instance went where it went, or would go.

use std::fs;

use serde_json::json;

use crate::harness::Server;
use crate::routed::{dicom, everything_to, folder};
use crate::scu::element;
use crate::sinks::Scripted;
use crate::synthetic::{CT, EXPLICIT, Object, part10};

const RULES: &str = r#"
[[rule]]
name = "ER chest CT"
when = '''
  from.aet in ["ER_CT1", "ER_CT2"]
  && Modality == "CT" && contains(PatientName, "test1")
'''
send = ["pacs", "copy"]

[[rule]]
name = "large ones"
when = 'Rows > 100 || BitsAllocated == 32'
send = ["copy"]

[[rule]]
name = "everything else"
otherwise = true
send = ["copy"]

[[test]]
name = "chest goes to both"
given = { Modality = "CT", PatientName = "Test1", "from.aet" = "ER_CT1" }
expect = ["pacs", "copy"]
"#;

/// Fails unless each of these stands in the text, in this order.
fn expect_in_order(text: &str, expected: &[&str]) {
    let mut rest = text;
    for words in expected {
        let at =
            rest.find(words).unwrap_or_else(|| panic!("{words:?} does not come in its place in\n{text}"));
        rest = &rest[at + words.len()..];
    }
}

#[test]
fn a_stored_instance_is_explained_by_the_rules_it_was_routed_by() {
    let sink = Scripted::start(json!({"status": 0xB007, "comment": "never mind"}));
    let server = Server::routed(RULES, &(dicom("pacs", "PACS", sink.address) + &folder("copy")));
    let (chest, other) = (Object::new(1, 1, 1), Object::new(2, 1, 2));
    server.store_as("ER_CT1", [&chest]);
    server.store_as("NOBODY", [&other]);
    server.wait_until_delivered("pacs", 1);
    server.wait_until_delivered("copy", 2);

    let ran = server.command(&["explain", &chest.instance]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    let text = &ran.printed;
    expect_in_order(
        text,
        &["ER chest CT", "from.aet in [\"ER_CT1\", \"ER_CT2\"]", "large ones", "everything else"],
    );
    for words in [
        "ER_CT1",
        "Modality == \"CT\"",
        "contains(PatientName, \"test1\")",
        "Test1^Person",
        "Rows > 100",
        "BitsAllocated == 32",
        "delivered",
        "B007H",
        "127.0.0.1",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let ran = server.command(&["explain", &other.instance]);
    expect_in_order(&ran.printed, &["ER chest CT", "NOBODY", "everything else"]);
    assert!(!ran.printed.contains("B007H"), "{}", ran.printed);

    // Other rules now: it is still told by those of then, unless asked otherwise.
    fs::write(server.dir().join("rules/rules.toml"), everything_to(&["copy"])).unwrap();
    assert_eq!(server.command(&["reload"]).code, 0);
    let then = server.command(&["explain", &chest.instance]).printed;
    assert!(then.contains("ER chest CT") && then.contains("--current"), "{then}");
    let now = server.command(&["explain", &chest.instance, "--current"]).printed;
    assert!(now.contains("everything") && !now.contains("ER chest CT"), "{now}");

    let mut server = server;
    assert!(server.terminate().success());
    let ran = server.command(&["explain", &chest.instance]);
    assert!(ran.code == 0 && ran.printed.contains("ER chest CT"), "without a server, too: {ran:?}");
}

#[test]
fn failures_and_versions_are_explained() {
    let sink = Scripted::start(json!({"status": 0xC123, "comment": "not that one"}));
    let server = Server::routed(RULES, &(dicom("pacs", "PACS", sink.address) + &folder("copy")));
    let first = Object::new(1, 1, 1);
    server.store_as("ER_CT1", &[first.clone(), Object { fill: 1, ..first.clone() }]);
    server.wait_for("pacs", crate::routed::State::Dead, 2);
    server.wait_until_delivered("copy", 2);
    let text = server.command(&["explain", &first.instance]).printed;
    for words in ["dead", "C123H", "version 2"] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let ran = server.command(&["explain", "2.25.99"]);
    assert!(ran.code == 1 && ran.printed.contains("2.25.99"), "{ran:?}");
}

#[test]
fn a_file_is_explained_by_the_configured_rules() {
    let server = Server::routed(RULES, &["pacs", "copy"].map(folder).concat());
    let file = server.dir().join("image.dcm");
    fs::write(&file, Object::new(1, 1, 1).file()).unwrap();
    let explain = |more: &[&str]| {
        let ran = server.command(&[&["explain", "image.dcm"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.printed);
        ran.printed
    };
    let text = explain(&["--from", "aet=ER_CT2", "--from", "ip=10.1.2.3"]);
    expect_in_order(
        &text,
        &["ER chest CT", "from.aet in [\"ER_CT1\", \"ER_CT2\"]", "ER_CT2", "Modality == \"CT\""],
    );
    assert!(text.contains("pacs") && text.contains("copy"), "{text}");
    let text = explain(&[]);
    expect_in_order(&text, &["ER chest CT", "absent", "everything else"]);
    assert_eq!(server.ledger(), [], "explaining sends nothing");

    fs::write(&file, "no DICOM at all").unwrap();
    let ran = server.command(&["explain", "image.dcm"]);
    assert!(ran.code == 1 && ran.printed.contains("image.dcm"), "{ran:?}");
    let ran = server.command(&["explain", "image.dcm", "--from", "aet"]);
    assert_ne!(ran.code, 0, "{ran:?}");
}

#[test]
fn rules_test_tells_each_case_and_fails_with_one() {
    let server = Server::routed(RULES, &["pacs", "copy"].map(folder).concat());
    let ran = server.command(&["rules", "test"]);
    assert!(ran.code == 0 && ran.printed.contains("chest goes to both"), "{ran:?}");
    assert!(ran.printed.contains("1 test passed"), "{ran:?}");
    let failing = RULES.replace("expect = [\"pacs\", \"copy\"]", "expect = [\"copy\"]");
    fs::write(server.dir().join("rules/rules.toml"), failing).unwrap();
    for command in [&["rules", "test"][..], &["check"]] {
        let ran = server.command(command);
        assert_eq!(ran.code, 64, "{ran:?}");
        expect_in_order(&ran.printed, &["chest goes to both", "pacs"]);
    }
}

#[test]
fn a_rule_that_is_given_up_is_named() {
    const DEAR: &str = "[[rule]]\nname = \"all with all\"\n\
        when = 'has(ImageType) && !any(ImageType, any(ImageType, it == \"SECRET\"))'\nsend = [\"pacs\"]\nstop = true\n";
    let server = Server::routed(&(DEAR.to_owned() + RULES), &["pacs", "copy"].map(folder).concat());
    let object = Object::new(1, 1, 1);
    let many = element(0x0008, 0x0008, "CS", &"PRIMARY\\".repeat(8_000));
    let file = part10(CT, &object.instance, EXPLICIT, &[many, object.data_set()].concat());
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    server.wait_until_delivered("copy", 1);
    assert_eq!(server.ledger_of("pacs"), [], "the rule counts as not matching");
    let log = server.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("all with all")).collect();
    assert!(
        matches!(told.as_slice(), [one] if one.contains("level=warn") && !one.contains("PRIMARY")),
        "{log}"
    );
    let ran = server.command(&["explain", &object.instance]);
    assert_eq!(ran.code, 0, "{}", ran.printed);
    expect_in_order(&ran.printed, &["no match", "all with all: given up", "everything else"]);
    let ran = server.command(&["explain", &object.instance, "--json"]);
    assert!(ran.printed.contains("\"given_up\""), "{}", ran.printed);
}
