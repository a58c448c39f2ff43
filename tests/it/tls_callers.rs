//! Callers by TLS: certificates demanded, taken and refused, and bound to AE titles.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Launch, Server, dcmtk, eventually, free_ports, gantry, python, run};
use crate::pki::{Ca, Files, Issued, LOCAL, Order};
use crate::sinks::script;
use crate::synthetic::{Object, data_set_of};

/// A server with a TLS port, and the CA whose certificates it trusts.
pub(crate) struct Secure {
    pub(crate) server: Server,
    pub(crate) tls: SocketAddr,
    pub(crate) ca: Ca,
    pub(crate) files: Files,
    pub(crate) ca_file: PathBuf,
}

impl Secure {
    pub(crate) fn start() -> Self {
        Self::with("", "", &Ca::new("Hospital CA"), "")
    }

    /// Starts with more keys in `[dimse]` and in `[dimse.tls]`, and more tables.
    pub(crate) fn with(dimse: &str, tls: &str, ca: &Ca, tables: &str) -> Self {
        Self::furnished(&[], dimse, tls, ca, tables)
    }

    /// The same with more files.
    pub(crate) fn furnished(files: &[(&str, &str)], dimse: &str, tls: &str, ca: &Ca, tables: &str) -> Self {
        let own = ca.local("gantry");
        let [at] = free_ports();
        let ca_pem = ca.pem();
        let own_files = [
            ("tls/gantry.pem", own.certificate.as_str()),
            ("tls/gantry.key", own.key.as_str()),
            ("tls/ca.pem", &ca_pem),
        ];
        let own_files = [&own_files, files].concat();
        let keys = "certificate = \"tls/gantry.pem\"\nkey = \"tls/gantry.key\"\nca = \"tls/ca.pem\"";
        let dimse = format!("{dimse}\n[dimse.tls]\nlisten = \"{at}\"\n{keys}\n{tls}");
        let server = Server::furnished(&own_files, ["", &dimse, tables], Launch::default());
        let files = Files::new();
        let ca_file = files.write("ca.pem", &ca.pem());
        Self { server, tls: at, ca: ca.clone(), files, ca_file }
    }

    /// `gantry echo` by TLS, with a certificate or none.
    pub(crate) fn echo(&self, calling: &str, issued: Option<&Issued>) -> (bool, String) {
        let mut echo = gantry();
        echo.arg("echo").arg(format!("GANTRY@{}", self.tls)).args(["--calling", calling, "--tls", "--ca"]);
        echo.arg(&self.ca_file);
        if let Some(issued) = issued {
            let [certificate, key] = self.files.keep("echo", issued);
            echo.arg("--certificate").arg(certificate).arg("--key").arg(key);
        }
        run(&mut echo)
    }

    /// A tool of DCMTK that calls the TLS port as CT1, the arguments before host and port still to come.
    pub(crate) fn dcmtk(&self, tool: &str, issued: &Issued) -> Command {
        let [certificate, key] = self.files.keep(tool, issued);
        let mut command = dcmtk(tool);
        command.args(["-v", "-aet", "CT1", "-aec", "GANTRY", "+tls"]).arg(key).arg(certificate);
        command.arg("+cf").arg(&self.ca_file);
        command
    }

    /// Ends the arguments of one of DCMTK's.
    pub(crate) fn run(&self, command: &mut Command) -> (bool, String) {
        run(command.arg("127.0.0.1").arg(self.tls.port().to_string()))
    }

    /// Waits for words in the log.
    pub(crate) fn logs(&self, words: &str) {
        eventually(words, || self.server.log().contains(words));
    }

    pub(crate) fn handshakes(&self, outcome: &str) -> u64 {
        self.server.metric(&format!("gantry_tls_handshakes_total{{outcome=\"{outcome}\"}}"))
    }
}

/// A file of a CT with so many bytes of pixels.
pub(crate) fn file(folder: &Path, object: &Object) -> PathBuf {
    let path = folder.join(&object.instance);
    fs::write(&path, object.file()).unwrap();
    path
}

/// What the server keeps of an object.
pub(crate) fn kept(server: &Server, object: &Object) -> Vec<u8> {
    let path =
        format!("/dicom-web/studies/{}/series/{}/instances/{}", object.study, object.series, object.instance);
    let answer = server.get_as(&path, "application/dicom; transfer-syntax=*");
    assert_eq!(answer.status, 200);
    data_set_of(&answer.body).to_vec()
}

#[test]
fn dcmtk_stores_by_tls_beside_the_plain_port() {
    let secure = Secure::start();
    let ct = secure.ca.local("CT1");
    let folder = TempDir::new().unwrap();
    // Many records of TLS, and an odd number of bytes behind the last whole one.
    let mut object = Object::new(1, 1, 1);
    object.pixel_bytes = 5_000_002;
    let path = file(folder.path(), &object);
    let (ok, printed) = secure.run(secure.dcmtk("echoscu", &ct).arg("-q"));
    assert!(ok, "{printed}");
    let mut storescu = secure.dcmtk("storescu", &ct);
    let (ok, printed) = run(storescu.arg("127.0.0.1").arg(secure.tls.port().to_string()).arg(path));
    assert!(ok, "{printed}");
    assert!(kept(&secure.server, &object) == object.data_set(), "bit by bit");
    secure.logs("tls=TLSv1_3");
    let plain = secure.server.dimse.port().to_string();
    let (ok, printed) = run(dcmtk("echoscu").args(["-v", "127.0.0.1", &plain]));
    assert!(ok, "{printed}");
    assert_eq!(secure.handshakes("ok"), 2);
}

#[test]
fn pynetdicom_stores_by_tls() {
    let secure = Secure::start();
    let [certificate, key] = secure.files.keep("pynetdicom", &secure.ca.local("CT1"));
    let object = Object::new(8, 1, 1);
    let folder = TempDir::new().unwrap();
    let mut client = python();
    client.arg(script("tls_client.py")).arg(secure.tls.port().to_string()).arg(file(folder.path(), &object));
    let (ok, printed) = run(client.args([&secure.ca_file, &certificate, &key]));
    assert!(ok, "{printed}");
    assert!(kept(&secure.server, &object) == object.data_set());
}

#[test]
fn certificates_are_refused_with_the_reason_at_both_ends() {
    let secure = Secure::start();
    let order = |years| Order { common_name: "CT1", years, ..LOCAL };
    for (issued, words_here, words_there, outcome) in [
        (
            Some(secure.ca.issue(&order((2020, 2021)))),
            "its certificate expired on 2021-01-01 (O=Hospital, CN=CT1, ip:127.0.0.1, dns:localhost, until 2021-01-01, sha256:",
            "it says that our certificate has expired",
            "expired",
        ),
        (
            Some(secure.ca.issue(&order((2099, 2100)))),
            "its certificate does not hold before 2099-01-01",
            "it says that our certificate has expired",
            "not_yet_valid",
        ),
        (
            Some(Ca::new("Hospital CA").local("CT1")),
            "a signature is wrong",
            "it refuses our certificate: a signature is wrong",
            "bad_certificate",
        ),
        (
            Some(Ca::new("Another CA").local("CT1")),
            "its certificate comes from no CA that we trust (O=Hospital, CN=CT1",
            "it does not trust the CA of our certificate",
            "unknown_ca",
        ),
        (
            Some(Issued::by_itself(&LOCAL)),
            "its certificate comes from no CA that we trust (O=Hospital, CN=local",
            "it does not trust the CA of our certificate",
            "unknown_ca",
        ),
        (
            None,
            "it presented no certificate, and one is required",
            "it requires a certificate of ours; ours has to be one that the peer trusts: see --certificate",
            "no_certificate",
        ),
    ] {
        let before = secure.server.log().len();
        let (ok, printed) = secure.echo("CT1", issued.as_ref());
        assert!(!ok && printed.contains(words_there), "{words_there} is not in\n{printed}");
        eventually(words_here, || secure.server.log()[before..].contains(words_here));
        assert!(secure.handshakes(outcome) > 0, "{outcome}");
    }
    let (ok, printed) = secure.run(dcmtk("echoscu").args(["-v", "+tla", "+cf"]).arg(&secure.ca_file));
    assert!(!ok, "{printed}");
    let (ok, printed) = secure.run(&mut secure.dcmtk("echoscu", &Ca::new("Another CA").local("CT1")));
    assert!(!ok, "{printed}");
    assert_eq!(secure.handshakes("ok"), 0);
    let (ok, printed) = secure.echo("CT1", Some(&secure.ca.local("CT1")));
    assert!(ok, "{printed}");
}

#[test]
fn client_auth_may_be_optional_or_none() {
    let ca = Ca::new("Hospital CA");
    let stranger = Ca::new("Another CA").local("CT1");
    let optional = Secure::with("", "client_auth = \"optional\"", &ca, "");
    assert!(optional.echo("CT1", None).0);
    assert!(optional.echo("CT1", Some(&ca.local("CT1"))).0);
    assert!(!optional.echo("CT1", Some(&stranger)).0, "who presents one must present a good one");
    let none = Secure::with("", "client_auth = \"none\"", &ca, "");
    assert!(none.echo("CT1", None).0);
    assert!(none.echo("CT1", Some(&stranger)).0, "nobody is asked");
    assert!(!none.server.log().contains("CN=CT1"));
}

/// Peers at loopback with certificates of all kinds, and one without.
fn bound(device: &Issued) -> String {
    let peer = |title: &str, certificate: &str| {
        let name = title.to_lowercase();
        format!(
            "[peer.{name}]\nae_title = \"{title}\"\naddress = \"127.0.0.1:104\"\ncertificate = [{certificate}]\n"
        )
    };
    [
        peer("CT1", "\"cn:CT1\""),
        peer("CT2", "\"dns:old-ct2.example\", \"dns:ct2.example\""),
        peer("CT3", &format!("\"{}\"", device.fingerprint)),
        peer("CT4", "\"subject:O=Hospital, CN=CT4\", \"ip:10.1.2.3\""),
        peer("CT5", ""),
    ]
    .concat()
}

#[test]
fn an_ae_title_is_bound_to_its_certificate() {
    let ca = Ca::new("Hospital CA");
    // It signs for itself, and is trusted all the same; what it says of itself is not.
    let device = Issued::by_itself(&Order { common_name: "CT1", names: &[], years: (2020, 2021) });
    for accept in ["known", "any"] {
        let secure = Secure::with(&format!("accept = \"{accept}\""), "", &ca, &bound(&device));
        let ct2 = ca.issue(&Order { common_name: "CT2", names: &["ct2.example"], ..LOCAL });
        let (ct1, ct4, other) = (ca.local("CT1"), ca.local("CT4"), ca.local("OTHER"));
        for (calling, issued, expected) in [
            ("CT1", &ct1, true),
            ("CT1", &ct2, false),
            ("CT1", &device, false),
            ("CT2", &ct2, true),
            ("CT2", &ct1, false),
            ("CT3", &device, true),
            ("CT3", &ct1, false),
            ("CT4", &ct4, true),
            ("CT4", &other, false),
            ("CT5", &other, true),
            ("OTHER", &other, accept == "any"),
        ] {
            let (ok, printed) = secure.echo(calling, Some(issued));
            assert_eq!(ok, expected, "{calling} where {accept} may call: {printed}");
            if !expected {
                assert!(printed.contains("(1/1/3)"), "{printed}");
            }
        }
        secure.logs("[peer.ct1] has another `certificate` than O=Hospital, CN=CT2, dns:ct2.example, until");
        // Not by the plain port either.
        let (ok, printed) = run(gantry()
            .arg("echo")
            .arg(format!("GANTRY@{}", secure.server.dimse))
            .args(["--calling", "CT1"]));
        assert!(!ok && printed.contains("(1/1/3)"), "{printed}");
        secure.logs("[peer.ct1] has a `certificate`, and the caller presented none");
        let (ok, printed) = run(gantry()
            .arg("echo")
            .arg(format!("GANTRY@{}", secure.server.dimse))
            .args(["--calling", "CT5"]));
        assert!(ok, "{printed}");
    }
}

#[test]
fn fingerprints_alone_need_no_ca() {
    let ca = Ca::new("Hospital CA");
    let device = Issued::by_itself(&Order { common_name: "device", names: &[], ..LOCAL });
    let tables = bound(&device);
    let own = ca.local("gantry");
    let [at] = free_ports();
    let files = [("gantry.pem", own.certificate.as_str()), ("gantry.key", own.key.as_str())];
    let dimse = format!("[dimse.tls]\nlisten = \"{at}\"\ncertificate = \"gantry.pem\"\nkey = \"gantry.key\"");
    let only_ct3 = tables.split("[peer.").find(|table| table.starts_with("ct3]")).unwrap();
    let server = Server::furnished(&files, ["", &dimse, &format!("[peer.{only_ct3}")], Launch::default());
    let kept = Files::new();
    let ca_file = kept.write("ca.pem", &ca.pem());
    for (issued, expected) in [(&device, true), (&ca.local("CT3"), false)] {
        let [certificate, key] = kept.keep("one", issued);
        let mut echo = gantry();
        echo.arg("echo")
            .arg(format!("GANTRY@{at}"))
            .args(["--calling", "CT3", "--tls", "--ca"])
            .arg(&ca_file);
        let (ok, printed) = run(echo.arg("--certificate").arg(certificate).arg("--key").arg(key));
        assert_eq!(ok, expected, "{printed}\n{}", server.log());
    }
}
