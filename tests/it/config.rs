//! Faulty configurations: every fault at once, each with its line and the way out.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::gantry;

/// What `gantry check` prints about a file of this text, and its exit code.
fn check(text: &str) -> (String, i32) {
    run_with(text, "check")
}

fn run_with(text: &str, command: &str) -> (String, i32) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gantry.toml"), text).unwrap();
    let arguments = [command, "--config", "gantry.toml"];
    let output = gantry().args(arguments).current_dir(folder.path()).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (String::from_utf8(printed).unwrap(), output.status.code().unwrap())
}

/// A faulty text and what must be printed about it.
const FAULTY: &[(&str, &[&str])] = &[
    (
        "ae_title = \"ABCDEFGHIJKLMNOPQ\"",
        &["gantry.toml:1:12: `ae_title` is not an AE title", "at most 16 characters"],
    ),
    ("ae_title = \"A\\\\B\"", &["gantry.toml:1:12: `ae_title`", "no backslash"]),
    ("ae_title = \"  \"", &["gantry.toml:1:12: `ae_title`"]),
    ("data_dri = \"x\"", &["gantry.toml:1:1: unknown key `data_dri` at the top", "did you mean `data_dir`?"]),
    ("data_dir = \"\"", &["gantry.toml:1:12: `data_dir` is empty"]),
    ("data_dir = \"~/images\"", &["gantry.toml:1:12: `data_dir` starts with `~`", "write the whole path"]),
    ("max_associations = 3", &["gantry.toml:1:1: unknown key", "it belongs in [dimse]"]),
    ("dimse = 3", &["gantry.toml:1:1: `dimse` is a table, not a whole number"]),
    (
        "[sotrage]\nmin_free_bytes = 0",
        &["gantry.toml:1:2: unknown table `sotrage`", "did you mean `storage`?"],
    ),
    (
        "[dimse]\nlisen = \"x\"",
        &["gantry.toml:2:1: unknown key `lisen` in [dimse]", "did you mean `listen`?"],
    ),
    (
        "[dimse]\ncolour = 1",
        &["gantry.toml:2:1: unknown key `colour`", "the keys there: listen, accept, check_called_ae"],
    ),
    ("[dimse]\nlisten = \":104\"", &["gantry.toml:2:10: `listen`", "write \"0.0.0.0:104\""]),
    ("[dimse]\nlisten = \"localhost:104\"", &["gantry.toml:2:10: `listen`", "write \"127.0.0.1:104\""]),
    ("[dimse]\nlisten = \"127.0.0.1\"", &["gantry.toml:2:10: `listen`", "the port is missing"]),
    (
        "[dimse]\nlisten = \"127.0.0.1:65536\"",
        &["gantry.toml:2:10: `listen` is not an IP address and a port"],
    ),
    ("[dimse]\nlisten = 104", &["gantry.toml:2:10: `listen` needs an IP address and a port in quotes"]),
    ("[dimse]\naccept = \"knwon\"", &["gantry.toml:2:10: `accept`", "did you mean \"known\"?"]),
    (
        "[dimse]\ncheck_called_ae = \"yes\"",
        &["gantry.toml:2:19: `check_called_ae` needs true or false", "= true"],
    ),
    (
        "[dimse]\nmax_pdu_bytes = 0",
        &["gantry.toml:2:17: `max_pdu_bytes` is not a number from 4096 to 1048576"],
    ),
    ("[dimse]\nmax_pdu_bytes = 1_048_577", &["gantry.toml:2:17: `max_pdu_bytes` is more than 1048576"]),
    (
        "[dimse]\nmax_pdu_bytes = \"16_384\"",
        &["gantry.toml:2:17: `max_pdu_bytes`", "write max_pdu_bytes = 16384"],
    ),
    (
        "[dimse]\nmax_associations = 0",
        &["gantry.toml:2:20: `max_associations` is not a number from 1 to 10000"],
    ),
    ("[dimse]\nartim_timeout = 10", &["gantry.toml:2:17: `artim_timeout`", "write artim_timeout = \"10s\""]),
    (
        "[dimse]\nidle_timeout = \"60\"",
        &["gantry.toml:2:16: `idle_timeout` is not a duration", "write \"60s\""],
    ),
    ("[dimse]\nidle_timeout = \"1 m\"", &["gantry.toml:2:16: `idle_timeout`", "write \"1m\""]),
    ("[dimse]\nmessage_timeout = \"0s\"", &["gantry.toml:2:19: `message_timeout` is less than 10 ms"]),
    ("[dimse]\nconnect_timeout = \"25h\"", &["gantry.toml:2:19: `connect_timeout` is more than 86400 s"]),
    ("[dimse]\nconnect_timeout = 10s", &["gantry.toml:2:", "not TOML: "]),
    (
        "[dimse]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
        &["gantry.toml:3:1: not TOML: duplicate key"],
    ),
    ("[web]\nlisten = \"0.0.0.0:8080\"", &["gantry.toml:2:10: `listen`", "no access control", "open = true"]),
    ("[web]\nlisten = \"[::]:8080\"", &["gantry.toml:2:10: `listen`", "no access control"]),
    (
        "[web]\nlisten = \"127.0.0.1:11112\"",
        &["gantry.toml:2:10: [dimse] and [web] cannot both listen at port 11112"],
    ),
    (
        "[dimse]\nlisten = \"0.0.0.0:8080\"",
        &["gantry.toml:2:10: [dimse] and [web] cannot both listen at port 8080"],
    ),
    ("[web]\nopen = 1", &["gantry.toml:2:8: `open` needs true or false, not a whole number"]),
    ("[web]\ncors_origins = \"https://a\"", &["gantry.toml:2:16:", "write cors_origins = [\"https://a\"]"]),
    (
        "[web]\ncors_origins = [\"*\", \"https://a/\"]",
        &["gantry.toml:2:22: `cors_origins`", "write \"https://a\""],
    ),
    ("[web]\ncors_origins = [7]", &["gantry.toml:2:17: `cors_origins` is a list of texts in quotes"]),
    (
        "[web]\npublic_url = \"https://a/\"",
        &["gantry.toml:2:14: `public_url` ends with a slash", "write \"https://a\""],
    ),
    (
        "[web]\npublic_url = \"pacs.example\"",
        &["gantry.toml:2:14: `public_url`", "write \"https://pacs.example\""],
    ),
    ("[storage]\nmin_free_bytes = -1", &["gantry.toml:2:18: `min_free_bytes` is not a number from 0"]),
    (
        "[storage]\nmin_free_bytes = 1e9",
        &["gantry.toml:2:18: `min_free_bytes` needs a whole number without quotes"],
    ),
    (
        "[[peer]]\nae_title = \"A\"",
        &["gantry.toml:1:3: `peer` is a table, not a list: each peer is a table [peer.NAME]"],
    ),
    ("[peer]\nae_title = \"A\"", &["gantry.toml:2:1: `ae_title` stands in [peer]", "[peer.NAME]"]),
    (
        "[peer.\"a b\"]\nae_title = \"A\"\naddress = \"h:1\"",
        &["gantry.toml:1:7: \"a b\" is no name for a peer"],
    ),
    ("[peer.a]\naddress = \"h:1\"", &["gantry.toml:1:7: [peer.a] has no `ae_title`"]),
    ("[peer.a]\nae_title = \"A\"", &["gantry.toml:1:7: [peer.a] has no `address`"]),
    ("[peer.a]\nae_title = \"A\"\naddress = \"h\"", &["gantry.toml:3:11: `address`", "the port is missing"]),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"A@h:104\"",
        &["gantry.toml:3:11: `address`", "write \"h:104\""],
    ),
    ("[peer.a]\nae_title = \"A\"\naddress = \"h:0\"", &["gantry.toml:3:11: `address`", "from 1 to 65535"]),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nfrom = [\"10.1.2.3/8\"]",
        &["gantry.toml:4:9: `from`", "\"10.0.0.0/8\"", "\"10.1.2.3\""],
    ),
    (
        "[peer.b]\nae_title = \"A\"\naddress = \"h:1\"\n[peer.a]\nae_title = \" A \"\naddress = \"h:1\"",
        &["gantry.toml:5:12: [peer.a] has the AE title and the address of [peer.b] (line 2)"],
    ),
];

#[test]
fn each_fault_is_told_with_its_line_and_the_way_out() {
    for (text, expected) in FAULTY {
        let (printed, code) = check(text);
        assert_eq!(code, 64, "{text}\n{printed}");
        for words in *expected {
            assert!(printed.contains(words), "{words:?} is not said of\n{text}\n--\n{printed}");
        }
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
