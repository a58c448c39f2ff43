//! Faulty configurations: every fault at once, each with its line and the way out.

mod faulty;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::gantry;
use faulty::FAULTY;

/// What `gantry check` prints about a file of this text, and its exit code.
pub(crate) fn check(text: &str) -> (String, i32) {
    run_with(text, "check")
}

fn run_with(text: &str, command: &str) -> (String, i32) {
    run_in(&[("gantry.toml", text)], command)
}

/// What a command prints where there are these files, one of them `gantry.toml`, and its exit code.
fn run_in(files: &[(&str, &str)], command: &str) -> (String, i32) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let arguments = command.split(' ').chain(["--config", "gantry.toml"]);
    let output = gantry().args(arguments).current_dir(folder.path()).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (String::from_utf8(printed).unwrap(), output.status.code().unwrap())
}

#[test]
fn each_fault_is_told_with_its_line_and_the_way_out() {
    tell_each(FAULTY);
}

/// Each of these texts has one fault, of which these words are printed.
pub(crate) fn tell_each(faulty: &[(&str, &[&str])]) {
    for (text, expected) in faulty {
        let (printed, code) = check(text);
        assert_eq!(code, 64, "{text}\n{printed}");
        for words in *expected {
            assert!(printed.contains(words), "{words:?} is not said of\n{text}\n--\n{printed}");
        }
        assert!(!printed.contains("s3cret") && !printed.contains("XUtn"), "{printed}");
        assert!(printed.ends_with("1 fault in gantry.toml\n"), "{text}\n--\n{printed}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = "ae_titel = \"A\"\n[dimse]\nlisten = 104\nartim_timeout = 10s\n[web]\nopen = \"no\"\n[peer.a]\nadress = \"h:1\"\n";
    let (printed, code) = check(text);
    assert_eq!(code, 64);
    let lines: Vec<&str> =
        printed.lines().filter_map(|line| line.strip_prefix("gantry.toml:")?.split(':').next()).collect();
    assert_eq!(lines, ["1", "3", "4", "6", "7", "7", "8"], "{printed}");
    assert!(printed.ends_with("7 faults in gantry.toml\n"), "{printed}");
}

#[test]
fn serve_refuses_what_check_refuses_in_the_same_words() {
    for text in ["[dimse]\nlisten = \":104\"\n[web]\nopen = 3\n", "[web]\nlisten = \"0.0.0.0:0\"\n"] {
        let (of_check, code) = check(text);
        assert_eq!((run_with(text, "serve"), code), ((of_check, code), 64));
    }
}

/// A configuration with two folders and rule files.
const ROUTED: &str = "[rules]\nfiles = [\"rules/*.toml\"]\n\
    [destination.a]\nkind = \"folder\"\npath = \"a\"\n[destination.b]\nkind = \"folder\"\npath = \"b\"\n";

/// A rule, and a test that holds as long as everything goes where the rule sends it.
fn rule(name: &str, send: &str) -> String {
    format!(
        "[[rule]]\nname = {name:?}\nwhen = \"true\"\nsend = [{send:?}]\n\n[[test]]\nname = \"{name} is tested\"\ngiven = {{}}\nexpect = [{send:?}]\n"
    )
}

#[test]
fn faults_of_rules_are_told_with_those_of_the_configuration() {
    let faulty = rule("one", "c").replace("true", "Modalty == 'CT'");
    let files = [
        ("gantry.toml", &*format!("ae_titel = \"A\"\n{ROUTED}")),
        ("rules/1.toml", &*faulty),
        ("rules/2.toml", "[[rule]]\nname = \n"),
    ];
    for command in ["check", "serve", "rules test"] {
        let (printed, code) = run_in(&files, command);
        assert_eq!(code, 64, "{printed}");
        for words in [
            "gantry.toml:1:1: unknown key `ae_titel`",
            "rules/1.toml:3:9: ",
            "did you mean Modality?",
            "rules/1.toml:4:9: there is no destination \"c\"",
            "rules/2.toml:2:",
            "faults in gantry.toml, rules/1.toml and rules/2.toml\n",
        ] {
            assert!(printed.contains(words), "{words:?} is not in\n{printed}");
        }
    }
    // Whoever asks for the queue at night is not kept from it by half a rule.
    let (printed, code) = run_in(&[("gantry.toml", ROUTED), ("rules/1.toml", &faulty)], "queue");
    assert_eq!(code, 1, "{printed}");
    assert!(printed.starts_with("gantry: cannot use the index in "), "{printed}");
}

#[test]
fn a_test_that_fails_is_a_fault() {
    let failing = rule("one", "a").replace("expect = [\"a\"]", "expect = [\"b\"]");
    let files = [("gantry.toml", ROUTED), ("rules/1.toml", &*failing), ("rules/2.toml", &*rule("two", "b"))];
    for command in ["check", "serve"] {
        let (printed, code) = run_in(&files, command);
        assert_eq!(code, 64, "{printed}");
        assert!(printed.starts_with("rules/1.toml:9:10: the test \"one is tested\" fails: "), "{printed}");
    }
    let (printed, code) = run_in(&files, "rules test");
    assert_eq!(code, 64, "{printed}");
    assert!(printed.starts_with("FAILED  one is tested  (rules/1.toml:7)\n"), "{printed}");
}

#[test]
fn rules_are_read_in_byte_order_of_their_paths() {
    let files = [
        ("gantry.toml", ROUTED),
        ("rules/10.toml", &*rule("same", "a")),
        ("rules/9.toml", &*rule("same", "b")),
        ("rules/.9.toml", "a hidden file is none of them"),
        ("rules/a.toml/b.toml", "nor is what stands in a folder"),
    ];
    let (printed, code) = run_in(&files, "check");
    assert_eq!(code, 64, "{printed}");
    assert!(
        printed.contains("rules/9.toml:2:8: the rule \"same\" is there already, at rules/10.toml:2"),
        "{printed}"
    );
    assert!(printed.ends_with("1 fault in rules/9.toml\n"), "{printed}");
}

#[test]
fn warnings_are_told_and_are_no_faults() {
    let files = [("gantry.toml", ROUTED), ("rules/1.toml", &*rule("one", "a"))];
    let (printed, code) = run_in(&files, "check");
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.starts_with("gantry.toml:6:14: warning: no rule sends to the destination \"b\"\n"),
        "{printed}"
    );
    assert!(printed.ends_with("no fault in gantry.toml; 1 rule, 1 test passes; 1 warning\n"), "{printed}");
    let (printed, code) = check("[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\nprefix = \"ct\"\n");
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("gantry.toml:1:14: warning: there are no rules"), "{printed}");
    assert!(printed.contains("gantry.toml:4:10: warning: keys will begin with ctv1/"), "{printed}");
}

#[test]
fn warnings_are_told_beside_faults() {
    let doubtful = rule("one", "a").replace("\"true\"", "'ImageType == \"ORIGINAL\"'");
    let files = [("gantry.toml", &*format!("ae_titel = \"A\"\n{ROUTED}")), ("rules/1.toml", &*doubtful)];
    let (printed, code) = run_in(&files, "check");
    assert_eq!(code, 64, "{printed}");
    for words in [
        "gantry.toml:7:14: warning: no rule sends to the destination \"b\"",
        "rules/1.toml:3:9: warning: `ImageType` may have several values",
        "gantry.toml:1:1: unknown key `ae_titel`",
        "rules/1.toml:9:10: the test \"one is tested\" fails",
        "2 faults in gantry.toml and rules/1.toml\n",
    ] {
        assert!(printed.contains(words), "{words:?} is not in\n{printed}");
    }
}

#[test]
fn two_prefixes_of_a_bucket_are_two_destinations() {
    let s3 = |name: &str, prefix: &str| {
        format!("[destination.{name}]\nkind = \"s3\"\nbucket = \"bbb\"\nprefix = \"{prefix}\"\n")
    };
    let (printed, code) = check(&(s3("a", "a/") + &s3("b", "b/") + &s3("c", "")));
    assert_eq!(code, 0, "{printed}");
    let (printed, code) = check(&(s3("a", "a/") + &s3("b", "a/")));
    assert_eq!(code, 64, "{printed}");
}

#[cfg(unix)]
#[test]
fn rule_files_that_cannot_be_read_are_faults() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir_all(rules.join("folder.toml")).unwrap();
    fs::write(folder.path().join("gantry.toml"), ROUTED).unwrap();
    fs::write(rules.join("1.toml"), rule("one", "a") + &rule("two", "a")).unwrap();
    fs::write(folder.path().join("elsewhere"), rule("three", "a")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", rules.join("2.toml")).unwrap();
    let run = || {
        let output = gantry().args(["check", "--config", "gantry.toml"]).current_dir(folder.path()).output();
        let output = output.unwrap();
        (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code().unwrap())
    };
    let (printed, code) = run();
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("3 rules"), "links are followed: {printed}");
    std::os::unix::fs::symlink("nowhere", rules.join("3.toml")).unwrap();
    std::os::unix::net::UnixListener::bind(rules.join("4.toml")).unwrap();
    fs::write(rules.join(OsStr::from_bytes(b"5\xFF.toml")), rule("five", "a")).unwrap();
    let (printed, code) = run();
    assert_eq!(code, 64, "{printed}");
    for words in [
        "rules/3.toml: cannot be read: No such file",
        "rules/4.toml: is no file",
        "rules/5\u{FFFD}.toml: has a name that is not UTF-8",
    ] {
        assert!(printed.contains(words), "{words:?} is not in\n{printed}");
    }
}

#[test]
fn a_secret_that_is_not_at_hand_is_a_warning_where_no_server_starts() {
    let keys =
        "access_key_id = { env = \"GANTRY_NO_SUCH_KEY\" }\nsecret_access_key = { file = \"secret\" }\n";
    let text = format!("[destination.a]\nkind = \"s3\"\nbucket = \"bbb\"\n{keys}");
    let (printed, code) = check(&text);
    assert_eq!(code, 0, "{printed}");
    for words in [
        "gantry.toml:4:17: warning: `access_key_id`: the environment variable GANTRY_NO_SUCH_KEY is not set",
        "gantry.toml:5:21: warning: `secret_access_key`: the file secret cannot be read",
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    let (printed, code) = run_with(&text, "serve");
    assert_eq!(code, 64, "{printed}");
    assert!(printed.contains("gantry.toml:4:17: `access_key_id`: the environment variable"), "{printed}");
    assert!(printed.ends_with("2 faults in gantry.toml\n"), "{printed}");
}

#[test]
fn rules_test_tells_how_each_test_ended() {
    let files = [("gantry.toml", ROUTED), ("rules/1.toml", &*(rule("one", "a") + &rule("two", "a")))];
    let (printed, code) = run_in(&files, "rules test");
    assert_eq!(code, 0, "{printed}");
    assert_eq!(
        printed,
        "ok      one is tested  (rules/1.toml:7)\nok      two is tested  (rules/1.toml:16)\n2 tests passed\n"
    );
    assert_eq!(run_with("", "rules test"), ("no rules are named in [rules]\n".to_owned(), 0));
}

#[test]
fn what_is_right_is_told_so() {
    for text in [
        "",
        "ae_title = \" STORE SCP \"\n",
        "[dimse]\nlisten = \"0.0.0.0:11112\"\naccept = \"any\"\n[web]\nlisten = \"0.0.0.0:8080\"\nopen = true\n",
        "[dimse]\nlisten = \"127.0.0.1:0\"\n[web]\nlisten = \"127.0.0.1:0\"\n",
        "[peer.a]\nae_title = \"CT\"\naddress = \"h1:104\"\n[peer.b]\nae_title = \"CT\"\naddress = \"h2:104\"\n",
        "peer = { a = { ae_title = \"A\", address = \"[::1]:104\", from = [\"10.0.0.0/8\", \"fd00::1\"] } }\n",
    ] {
        assert_eq!(check(text), ("no fault in gantry.toml\n".to_owned(), 0), "{text}");
    }
}

#[test]
fn the_reference_configuration_has_no_fault() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/reference.toml");
    let output = gantry().args(["check", "--config"]).arg(reference).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let output = gantry().args(["check", "--config", "nowhere/gantry.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.starts_with("nowhere/gantry.toml: cannot be read"), "{printed}");
}
