//! New certificates without a restart.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::{Launch, Server, eventually, run};
use crate::pki::{Ca, Files};
use crate::routed::{dicom, everything_to};
use crate::sinks::StoreScp;
use crate::synthetic::Object;
use crate::tls_callers::Secure;

impl Secure {
    /// Replaces files of the server's TLS.
    fn replace(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::write(self.server.dir().join("tls").join(name), text).unwrap();
        }
    }
}

#[test]
fn new_certificates_are_in_force_after_reload_and_bad_ones_are_not() {
    let secure = Secure::start();
    let old = secure.ca.local("CT1");
    assert!(secure.echo("CT1", Some(&old)).0);
    // An association that lasts over it all.
    let [certificate, key] = secure.files.keep("lasting", &old);
    let mut lasting = Command::new("openssl");
    lasting.args(["s_client", "-quiet", "-connect", &secure.tls.to_string(), "-cert"]).arg(certificate);
    let mut lasting =
        lasting.arg("-key").arg(key).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    eventually("it is there", || secure.handshakes("ok") == 2);

    let ca = Ca::new("New CA");
    let own = ca.local("gantry");
    for (files, words) in [
        (
            &[("gantry.pem", own.certificate.as_str())][..],
            "tls/gantry.key is not the key of the first certificate in",
        ),
        (&[("gantry.pem", "nonsense")], "tls/gantry.pem has no certificate in PEM"),
        (
            &[("gantry.pem", own.certificate.as_str()), ("gantry.key", "")],
            "tls/gantry.key has no private key in PEM",
        ),
        (&[("gantry.key", own.key.as_str()), ("ca.pem", "")], "tls/ca.pem has no certificate in PEM"),
    ] {
        secure.replace(files);
        let ran = secure.server.command(&["reload"]);
        assert!(ran.code == 64 && ran.printed.contains(words), "{words}\n{ran:?}");
        let (ok, printed) = secure.echo("CT1", Some(&old));
        assert!(ok, "what was in force stays: {printed}");
    }
    fs::remove_file(secure.server.dir().join("tls/ca.pem")).unwrap();
    let ran = secure.server.command(&["reload"]);
    assert!(ran.code == 64 && ran.printed.contains("tls/ca.pem cannot be read"), "{ran:?}");
    assert!(secure.server.log().contains("refused, what was in force stays"));

    secure.replace(&[("ca.pem", &ca.pem())]);
    let ran = secure.server.command(&["reload"]);
    assert!(ran.code == 0 && ran.printed.contains("certificates and keys are those of now"), "{ran:?}");
    let new = ca.local("CT1");
    let (ok, printed) = secure.echo("CT1", Some(&new));
    assert!(!ok && printed.contains("its certificate comes from no CA that we trust"), "{printed}");
    fs::write(&secure.ca_file, ca.pem()).unwrap();
    assert!(secure.echo("CT1", Some(&new)).0);
    let (ok, printed) = secure.echo("CT1", Some(&old));
    assert!(!ok && printed.contains("it does not trust the CA of our certificate"), "{printed}");
    assert!(lasting.try_wait().unwrap().is_none(), "what was there before lasts");
    lasting.kill().unwrap();
    lasting.wait().unwrap();
}

#[test]
fn sighup_reads_the_certificates_for_peers_again() {
    let (ca, other) = (Ca::new("Hospital CA"), Ca::new("Another CA"));
    let files = Files::new();
    let [certificate, key] = files.keep("storescp", &ca.local("storescp"));
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    // It asks for no certificate of ours.
    let receiver = StoreScp::with(&["+tls", &path(&key), &path(&certificate), "-ic"]);
    let rules = everything_to(&["pacs"]);
    let peer = dicom("pacs", "STORESCP", receiver.address)
        .replace("[destination", "tls = { ca = \"pacs-ca.pem\" }\n[destination");
    let tables = format!("[rules]\nfiles = [\"rules/*.toml\"]\n{peer}");
    let furnished = [("rules/rules.toml", rules.as_str()), ("pacs-ca.pem", &other.pem())];
    let server = Server::furnished(&furnished, ["", "", &tables], Launch::default());
    server.store(&[Object::new(1, 1, 1)]);
    let reason = server.reason("pacs");
    assert!(reason.contains("its certificate comes from no CA that we trust"), "{reason}");
    assert!(receiver.files().is_empty());
    fs::write(server.dir().join("pacs-ca.pem"), ca.pem()).unwrap();
    server.signal("HUP");
    server.wait_until_delivered("pacs", 1);
}

#[test]
fn check_tells_of_keys_and_certificates() {
    let secure = Secure::start();
    let key = secure.server.dir().join("tls/gantry.key");
    run(Command::new("chmod").arg("644").arg(&key));
    let ran = secure.server.command(&["check"]);
    assert!(
        ran.code == 0 && ran.printed.contains("`key`: every user of this machine can read or write"),
        "{ran:?}"
    );
    run(Command::new("chmod").arg("640").arg(&key));
    let ran = secure.server.command(&["check"]);
    assert!(ran.code == 0 && !ran.printed.contains("every user"), "{ran:?}");
    let expired = secure.ca.issue(&crate::pki::Order { years: (2020, 2021), ..crate::pki::LOCAL });
    secure.replace(&[("gantry.pem", &expired.certificate), ("gantry.key", &expired.key)]);
    let ran = secure.server.command(&["check"]);
    assert!(
        ran.code == 0 && ran.printed.contains("warning: `certificate`: it has expired: O=Hospital, CN=local"),
        "{ran:?}"
    );
}
