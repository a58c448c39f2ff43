//! `gantry doctor PEER` by TLS: what is wrong with certificates, and the mistake between the two kinds of ports.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::doctor::{Found, doctor};
use crate::harness::gantry;
use crate::pki::{Ca, Files, Issued, LOCAL, Order};
use crate::sinks::StoreScp;
use crate::tls_callers::Secure;

/// storescp by TLS, which demands certificates of this CA or none.
fn secure(files: &Files, name: &str, own: &Issued, ca: Option<&Ca>) -> StoreScp {
    let [certificate, key] = files.keep(name, own);
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let ca = ca.map(|ca| files.write(&format!("{name}-ca.pem"), &ca.pem()));
    let mut options = vec!["+tls", key, certificate];
    match &ca {
        Some(ca) => options.extend(["+cf", ca.to_str().unwrap()]),
        None => options.push("-ic"),
    }
    StoreScp::with(&options)
}

#[test]
fn certificates_are_told_and_what_is_wrong_with_them() {
    let (ca, files) = (Ca::new("Hospital CA"), Files::new());
    let ca_file = files.write("ca.pem", &ca.pem());
    let other_file = files.write("other.pem", &Ca::new("Another CA").pem());
    let (ca_file, other_file) = (ca_file.to_str().unwrap(), other_file.to_str().unwrap());
    let by = |scp: &StoreScp, options: &[&str]| {
        doctor(&format!("STORESCP@{}", scp.address), &[&["--tls"], options].concat())
    };

    let good = secure(&files, "good", &ca.local("storescp"), None);
    let well = by(&good, &["--ca", ca_file, "--store"]);
    assert_eq!(well.code, 0, "{well:#?}");
    let tls = well.step("TLS");
    assert!(
        tls.result == "ok" && tls.words.contains("TLSv1.") && tls.words.contains("CN=storescp"),
        "{tls:#?}"
    );
    assert_eq!((well.step("store").result, good.files().len()), ("ok", 1));

    by(&good, &["--ca", other_file]).assert_failed(
        "TLS",
        &[
            "comes from no CA that we trust",
            "it says that it comes from O=Hospital, CN=Hospital CA",
            "--fingerprint sha256:",
        ],
    );
    let itself = Issued::by_itself(&LOCAL);
    let own = secure(&files, "own", &itself, None);
    by(&own, &["--ca", ca_file]).assert_failed("TLS", &["self-signed", &itself.fingerprint]);
    assert_eq!(by(&own, &["--fingerprint", &itself.fingerprint]).code, 0);

    let elsewhere =
        secure(&files, "elsewhere", &ca.issue(&Order { names: &["pacs.example"], ..LOCAL }), None);
    by(&elsewhere, &["--ca", ca_file]).assert_failed(
        "TLS",
        &["is not for 127.0.0.1", "The names it has: dns:pacs.example.", "--server-name pacs.example"],
    );
    assert_eq!(by(&elsewhere, &["--ca", ca_file, "--server-name", "pacs.example"]).code, 0);
    let expired = secure(&files, "expired", &ca.issue(&Order { years: (2020, 2021), ..LOCAL }), None);
    by(&expired, &["--ca", ca_file])
        .assert_failed("TLS", &["expired on 2021-01-01", "put a new certificate in place"]);
    let early = secure(&files, "early", &ca.issue(&Order { years: (2090, 2100), ..LOCAL }), None);
    by(&early, &["--ca", ca_file]).assert_failed("TLS", &["does not hold before 2090-01-01", "clock"]);

    // A step that fails stops the others.
    assert!(by(&expired, &["--ca", ca_file]).find("association").is_none());
}

#[test]
fn a_peer_that_demands_our_certificate_is_told() {
    let (ca, files) = (Ca::new("Hospital CA"), Files::new());
    let ca_file = files.write("ca.pem", &ca.pem());
    let ca_file = ca_file.to_str().unwrap();
    let scp = secure(&files, "demanding", &ca.local("storescp"), Some(&ca));
    let peer = format!("STORESCP@{}", scp.address);
    let without = doctor(&peer, &["--tls", "--ca", ca_file]);
    without.assert_failed("association", &["it requires a certificate of ours", "--certificate and --key"]);
    let [certificate, key] = files.keep("gantry", &ca.local("gantry"));
    let [strange, strange_key] = files.keep("strange", &Ca::new("Another CA").local("gantry"));
    let with = |certificate: &std::path::Path, key: &std::path::Path| {
        let mut command = gantry();
        command.args(["doctor", &peer, "--tls", "--ca", ca_file]);
        Found::by(command.arg("--certificate").arg(certificate).arg("--key").arg(key))
    };
    assert_eq!(with(&certificate, &key).code, 0);
    with(&strange, &strange_key)
        .assert_failed("association", &["certificate", "have our CA added at the peer"]);
}

#[test]
fn the_other_port_is_known_for_what_it_is() {
    let (ca, files) = (Ca::new("Hospital CA"), Files::new());
    let ca_file = files.write("ca.pem", &ca.pem());
    let ca_file = ca_file.to_str().unwrap();
    let to_tls = ["speaks TLS at this port, and we called without", "CN=storescp", "call it by TLS"];
    let to_plain = ["speaks DICOM without TLS at this port", "port for TLS"];

    let secured = secure(&files, "storescp", &ca.local("storescp"), None);
    doctor(&format!("STORESCP@{}", secured.address), &[]).assert_failed("association", &to_tls);
    let plain = StoreScp::start();
    doctor(&format!("STORESCP@{}", plain.address), &["--tls", "--ca", ca_file])
        .assert_failed("TLS", &to_plain);

    let gantry = Secure::start();
    doctor(&format!("GANTRY@{}", gantry.tls), &[]).assert_failed("association", &[to_tls[0], to_tls[2]]);
    doctor(&format!("GANTRY@{}", gantry.server.dimse), &["--tls", "--ca", ca_file])
        .assert_failed("TLS", &to_plain);
    doctor(&format!("GANTRY@{}", gantry.server.web), &["--tls", "--ca", ca_file])
        .assert_failed("TLS", &["a web server", "HTTP/1.0 200"]);
}

/// Whoever speaks TLS of old, and whoever answers a plain call by an alert.
#[test]
fn old_tls_and_alerts_are_told() {
    let files = Files::new();
    let ca_file = files.write("ca.pem", &Ca::new("Hospital CA").pem());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = format!("PACS@{}", listener.local_addr().unwrap());
    let answering = |options: &[&str], answer: &'static [u8]| {
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| doctor(&peer, options));
            listener.set_nonblocking(true).unwrap();
            while !asking.is_finished() {
                if let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    drop(stream.read(&mut [0; 1024]));
                    drop(stream.write_all(answer));
                }
                std::thread::yield_now();
            }
            asking.join().unwrap()
        })
    };
    let protocol_version = b"\x15\x03\x01\x00\x02\x02\x46";
    answering(&["--tls", "--ca", ca_file.to_str().unwrap()], protocol_version)
        .assert_failed("TLS", &["no TLS version in common", "TLS 1.2", "switched on at the peer"]);
    answering(&[], protocol_version)
        .assert_failed("association", &["speaks TLS at this port, and we called without"]);
}
