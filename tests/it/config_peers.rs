//! Faulty configurations: TLS, and what is agreed with peers.

use crate::config::{check, tell_each};

/// A faulty text and what must be printed about it.
const FAULTY: &[(&str, &[&str])] = &[
    (
        "[dimse]\naliases = \"OLD\"",
        &["gantry.toml:2:11: `aliases` needs a list of AE titles", "write aliases = [\"OLD\"]"],
    ),
    (
        "[dimse]\ncheck_called_ae = true\naliases = [\"A\\\\B\"]",
        &["gantry.toml:3:12: `aliases` is not an AE title"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nsop_classes = [\"storage\", \"CT Image Storage\"]",
        &[
            "gantry.toml:4:27: `sop_classes` has no SOP class in \"CT Image Storage\"",
            "such as \"CTImageStorage\"",
        ],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\ntransfer_syntaxes = [\"Implicit VR Litle Endian\"]",
        &[
            "gantry.toml:4:22: `transfer_syntaxes` has no transfer syntax",
            "did you mean \"Implicit VR Little Endian\"?",
        ],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nmax_pdu_bytes = 1024",
        &["gantry.toml:4:17: `max_pdu_bytes` is not a number from 4096 to 1048576"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nmax_associations = -1",
        &["gantry.toml:4:20: `max_associations` is not a number from 0 to 10000"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nidentity = { user = \"a\", jwt_key = \"b\" }",
        &["gantry.toml:4:36: `identity` of [peer.a] has `user` and `jwt_key`", "leave one out"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nidentity = { user = \"a\", issuer = \"b\" }",
        &["gantry.toml:4:35: `issuer` says nothing without `jwt_key`"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nidentity = { jwt_key = \"gantry.toml\", audience = \"b\" }",
        &["gantry.toml:4:24: `jwt_key`: gantry.toml has no public key in PEM"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nidentity = { user = \"a\", password = \"b\" }",
        &["gantry.toml:4:37: `password` stands in this file"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nour_identity = { response = true }",
        &["gantry.toml:4:16: `our_identity` of [peer.a] has neither `user` nor `jwt`"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nour_identity = { usr = \"a\", user = \"b\" }",
        &["gantry.toml:4:18: unknown key `usr` in `our_identity` of a peer", "did you mean `user`?"],
    ),
    (
        "[peer.pacs]\nae_title = \"A\"\naddress = \"h:1\"\n[upstream.old]\npeer = \"pasc\"",
        &["gantry.toml:5:8: there is no [peer.pasc]", "did you mean \"pacs\"?"],
    ),
    (
        "[upstream.old]\nfind = false",
        &["gantry.toml:1:11: [upstream.old] has no `peer`", "For example: peer = \"pacs\""],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\n[upstream.b]\npeer = \"a\"\nretrieve = \"mov\"",
        &["gantry.toml:6:12: `retrieve` is \"get\" or \"move\"", "did you mean \"move\"?"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\n[upstream.b]\npeer = \"a\"\n[upstream.c]\npeer = \"a\"",
        &["gantry.toml:7:8: [upstream.c] has the peer of [upstream.b] (line 5)", "leave one of them out"],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\nsop_classes = [\"1.2.840.10008.1.1\"]\n\
         [upstream.b]\npeer = \"a\"\nretrieve = \"move\"",
        &["gantry.toml:7:12: [peer.a] may not store here", "or write retrieve = \"get\""],
    ),
    (
        "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\n[upstream.b]\npeer = \"a\"\ntimeout = 10",
        &["gantry.toml:6:11: `timeout` needs a duration in quotes", "write timeout = \"10s\""],
    ),
];

#[test]
fn each_fault_is_told_with_its_line_and_the_way_out() {
    tell_each(FAULTY);
}

#[test]
fn what_is_doubtful_about_peers_is_a_warning() {
    let peer = "[peer.a]\nae_title = \"A\"\naddress = \"h:1\"\n";
    for (text, words) in [
        (
            format!("{peer}[upstream.b]\npeer = \"a\"\nfind = false\nfetch = false\n"),
            "gantry.toml:4:11: warning: [upstream.b] is asked for nothing",
        ),
        (
            "[dimse]\naliases = [\"OLD\"]\n".to_owned(),
            "gantry.toml:2:11: warning: every called AE title is taken",
        ),
        (
            format!("{peer}identity = {{ user = \"a\" }}\n"),
            "gantry.toml:4:21: warning: a user name alone proves nothing",
        ),
        (
            format!("{peer}identity = {{ user = \"a\", password = {{ file = \"gantry.toml\" }} }}\n"),
            "gantry.toml:4:37: warning: `password` in `identity`: the file gantry.toml has more than one line",
        ),
        (
            format!("{peer}identity = {{ jwt_key = \"no-key.pem\" }}\n"),
            "gantry.toml:4:24: warning: without TLS everybody on the way reads its tokens",
        ),
        (
            format!(
                "[dimse]\nlisten = \"0.0.0.0:11112\"\n[dimse.tls]\nlisten = \"0.0.0.0:2762\"\n\
                 certificate = \"a.pem\"\nkey = \"a.pem\"\nclient_auth = \"none\"\n{peer}identity = {{ jwt_key = \"no-key.pem\" }}\n"
            ),
            "let only this machine reach `listen` of [dimse], or name the peer's `certificate`",
        ),
        (
            format!("{peer}our_identity = {{ jwt = {{ file = \"token\" }} }}\n"),
            "gantry.toml:4:24: warning: without TLS everybody on the way reads `jwt`",
        ),
        (
            format!("{peer}tls = {{ ca = \"no-ca.pem\" }}\n"),
            "gantry.toml:4:14: warning: `ca`: no-ca.pem cannot be read",
        ),
        (
            format!(
                "{peer}[destination.a]\nkind = \"dicom\"\npeer = \"a\"\nverify = \"commitment\"\n\
                 commitment_timeout = \"2h\"\nretry = {{ give_up = \"1h\" }}\n"
            ),
            "gantry.toml:8:22: warning: `commitment_timeout` is longer than `give_up`",
        ),
        (
            format!("{peer}[destination.a]\nkind = \"dicom\"\npeer = \"a\"\ncommitment_timeout = \"2h\"\n"),
            "gantry.toml:7:22: warning: `commitment_timeout` says nothing while `verify` is",
        ),
    ] {
        let (printed, code) = check(&text);
        assert!(code == 0 && printed.contains(words), "{words} is not in\n{printed}");
    }
}
