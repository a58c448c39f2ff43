//! Peers that we call by TLS: from the command line and as destinations.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Launch, Server, gantry, run};
use crate::pki::{Ca, Files, Issued, LOCAL, Order};
use crate::routed::{State, dicom, everything_to};
use crate::sinks::{Scripted, StoreScp};
use crate::synthetic::Object;
use crate::tls_callers::file;

/// storescp that demands certificates of this CA.
pub(crate) struct Receiver {
    pub(crate) scp: StoreScp,
    files: Files,
}

impl Receiver {
    pub(crate) fn start(ca: &Ca, own: &Issued) -> Self {
        let files = Files::new();
        let [certificate, key] = files.keep("storescp", own);
        let ca_file = files.write("ca.pem", &ca.pem());
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let options = ["+tls", &path(&key), &path(&certificate), "+cf", &path(&ca_file)];
        Self { scp: StoreScp::with(&options), files }
    }

    /// The command line up to its options for TLS.
    fn call(&self, command: &str) -> Command {
        call(command, self.scp.address)
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().unwrap().to_owned()
    }
}

fn call(command: &str, address: SocketAddr) -> Command {
    let mut call = gantry();
    call.arg(command).arg(format!("STORESCP@{address}"));
    call
}

#[test]
fn echo_and_send_call_dcmtk_by_tls() {
    let ca = Ca::new("Hospital CA");
    let receiver = Receiver::start(&ca, &ca.local("storescp"));
    receiver.files.keep("gantry", &ca.local("gantry"));
    let (ca_file, certificate, key) =
        (receiver.path("ca.pem"), receiver.path("gantry.pem"), receiver.path("gantry.key"));
    let tls = ["--tls", "--ca", &ca_file, "--certificate", &certificate, "--key", &key];
    let (ok, printed) = run(receiver.call("echo").args(tls));
    assert!(ok, "{printed}");
    let folder = TempDir::new().unwrap();
    let objects: Vec<Object> = [2_048, 16_384 - 6, 131_071, 5_000_001, 64]
        .into_iter()
        .zip(1..)
        .map(|(pixel_bytes, n)| Object { pixel_bytes: pixel_bytes / 2 * 2, ..Object::new(1, 1, n) })
        .collect();
    for object in &objects {
        file(folder.path(), object);
    }
    let (ok, printed) = run(receiver.call("send").args(tls).args(["--associations", "2"]).arg(folder.path()));
    assert!(ok, "{printed}");
    let mut received = receiver.scp.data_sets();
    let mut sent: Vec<Vec<u8>> = objects.iter().map(Object::data_set).collect();
    received.sort();
    sent.sort();
    assert!(received == sent, "bit by bit");
}

#[test]
fn what_is_wrong_with_tls_is_told_in_plain_words() {
    let ca = Ca::new("Hospital CA");
    let named = |names: &'static [&'static str], years| {
        Receiver::start(&ca, &ca.issue(&Order { common_name: "storescp", names, years }))
    };
    let good = named(LOCAL.names, LOCAL.years);
    let elsewhere = named(&["pacs.example"], LOCAL.years);
    let expired = named(LOCAL.names, (2020, 2021));
    let own = ca.local("gantry");
    for receiver in [&good, &elsewhere, &expired] {
        receiver.files.keep("gantry", &own);
        receiver.files.write("other.pem", &Ca::new("Another CA").pem());
    }
    let echo = |receiver: &Receiver, options: &[&str]| {
        let (certificate, key) = (receiver.path("gantry.pem"), receiver.path("gantry.key"));
        let mut echo = receiver.call("echo");
        echo.args(["--tls", "--certificate", &certificate, "--key", &key]).args(options);
        run(&mut echo)
    };
    let ca_of = |receiver: &Receiver| receiver.path("ca.pem");
    for (receiver, options, words) in [
        (
            &elsewhere,
            vec!["--ca".to_owned(), ca_of(&elsewhere)],
            "its certificate is not for 127.0.0.1 (O=Hospital, CN=storescp, dns:pacs.example, until 2100-01-01, sha256:",
        ),
        (&expired, vec!["--ca".to_owned(), ca_of(&expired)], "its certificate expired on 2021-01-01"),
        (
            &good,
            vec!["--ca".to_owned(), good.path("other.pem")],
            "its certificate comes from no CA that we trust",
        ),
        (
            &good,
            vec!["--fingerprint".to_owned(), format!("sha256:{}", "0".repeat(64))],
            "its certificate is none of those that are configured for it",
        ),
    ] {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let (ok, printed) = echo(receiver, &options);
        assert!(!ok && printed.contains(words), "{words} is not in\n{printed}");
    }
    let (ok, printed) = echo(&elsewhere, &["--ca", &ca_of(&elsewhere), "--server-name", "pacs.example"]);
    assert!(ok, "{printed}");
    let (ok, printed) = run(good.call("echo").args(["--tls", "--ca", &ca_of(&good)]));
    assert!(!ok && printed.contains("it requires a certificate of ours"), "{printed}");
    assert!(printed.contains("see --certificate"), "{printed}");
    // Without TLS at a TLS port, and with TLS at a plain one.
    let (ok, printed) = run(&mut good.call("echo"));
    assert!(!ok, "{printed}");
    let plain = StoreScp::start();
    let (ok, printed) = run(call("echo", plain.address).args(["--tls", "--ca", &ca_of(&good)]));
    assert!(!ok && printed.contains("is this its TLS port?"), "{printed}");
}

#[test]
fn wrong_options_are_told() {
    for options in [
        &["--tls"][..],
        &["--ca", "ca.pem"],
        &["--tls", "--ca", "ca.pem", "--certificate", "a.pem"],
        &["--tls", "--ca", "ca.pem", "--fingerprint", "sha256:00"],
        &["--tls", "--fingerprint", "dns:pacs.example"],
        &["--tls", "--ca", "ca.pem", "--server-name", "a b"],
    ] {
        let output = gantry().args(["echo", "PACS@127.0.0.1:1"]).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {output:?}");
    }
    let folder = Files::new();
    for (text, words) in [
        ("", "has no certificate in PEM"),
        ("0\u{82}", "has no certificate in PEM (-----BEGIN CERTIFICATE-----): it seems to be DER"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is cut short"),
        ("-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n", "is not Base64"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used as that of a CA"),
    ] {
        let ca = folder.write("ca.pem", text);
        let (ok, printed) = run(gantry().args(["echo", "PACS@127.0.0.1:1", "--tls", "--ca"]).arg(ca));
        assert!(!ok && printed.contains(words), "{words} is not in\n{printed}");
    }
}

#[test]
fn a_destination_is_reached_by_tls() {
    let ca = Ca::new("Hospital CA");
    let own = ca.local("gantry");
    let issued = ca.local("storescp");
    let fingerprint = &issued.fingerprint;
    let receiver = Receiver::start(&ca, &issued);
    let other =
        Receiver::start(&ca, &ca.issue(&Order { common_name: "other", names: &["pacs.example"], ..LOCAL }));
    let files = [
        ("rules/rules.toml", everything_to(&["good", "named", "pinned", "wrong"])),
        ("gantry.pem", own.certificate.clone()),
        ("gantry.key", own.key.clone()),
        ("ca.pem", ca.pem()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let peer = |name: &str, address, keys: &str| {
        dicom(name, "STORESCP", address).replace("[destination", &format!("{keys}\n[destination"))
    };
    let tables = [
        "[rules]\nfiles = [\"rules/*.toml\"]\n".to_owned(),
        "[dimse.tls]\ncertificate = \"gantry.pem\"\nkey = \"gantry.key\"\nca = \"ca.pem\"\n".to_owned(),
        peer("good", receiver.scp.address, "tls = true\ncertificate = [\"cn:storescp\"]"),
        peer("named", other.scp.address, "tls = { server_name = \"pacs.example\" }"),
        peer(
            "pinned",
            receiver.scp.address,
            &format!("from = [\"10.0.0.0/8\"]\ntls = true\ncertificate = [\"{fingerprint}\"]"),
        )
        .replace("STORESCP", "PINNED"),
        peer("wrong", other.scp.address, "tls = true").replace("STORESCP", "WRONG"),
    ]
    .concat();
    let server = Server::furnished(&files, ["", "", &tables], Launch::default());
    server.store(&[Object::new(1, 1, 1)]);
    for name in ["good", "named", "pinned"] {
        server.wait_until_delivered(name, 1);
    }
    let reason = server.reason("wrong");
    assert!(reason.contains("its certificate is not for 127.0.0.1"), "{reason}");
    assert_ne!(server.ledger_of("wrong")[0].state, State::Delivered);
    assert_eq!(receiver.scp.files().len(), 2);
    assert_eq!(other.scp.files().len(), 1);
}

#[test]
fn pynetdicom_is_called_by_tls() {
    let ca = Ca::new("Hospital CA");
    let files = Files::new();
    files.keep("sink", &ca.local("sink"));
    files.keep("gantry", &ca.local("gantry"));
    let ca_file = files.write("ca.pem", &ca.pem());
    let path = |name: &str| files.path().join(name);
    let sink = Scripted::start(serde_json::json!({
        "tls": [path("sink.pem"), path("sink.key"), &ca_file],
    }));
    let folder = TempDir::new().unwrap();
    let object = Object { pixel_bytes: 300_000, ..Object::new(3, 1, 1) };
    file(folder.path(), &object);
    let mut send = gantry();
    send.arg("send")
        .arg(format!("SINK@{}", sink.address))
        .arg(folder.path())
        .args(["--tls", "--ca"])
        .arg(&ca_file);
    send.arg("--certificate").arg(path("gantry.pem")).arg("--key").arg(path("gantry.key"));
    let (ok, printed) = run(&mut send);
    assert!(ok, "{printed}");
    assert!(sink.data_sets() == [object.data_set()]);
}
