//! What goes wrong before there is TLS: the other port, old versions, silence.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::harness::{PATIENCE, Server, dcmtk, eventually, gantry, run};
use crate::pki::{Ca, Files};
use crate::tls_callers::Secure;

#[test]
fn each_port_tells_what_was_meant_for_the_other() {
    let secure = Secure::start();
    let (ok, printed) = secure.run(dcmtk("echoscu").args(["-v", "-aec", "GANTRY"]));
    assert!(!ok && printed.contains("aborted Association"), "{printed}");
    secure.logs("it speaks DICOM without TLS on our TLS port");
    let (ok, printed) = run(gantry().arg("echo").arg(format!("GANTRY@{}", secure.tls)));
    assert!(!ok && printed.contains("aborted by the service-provider at the other end"), "{printed}");
    assert_eq!(secure.handshakes("plain"), 2);

    let at_plain = format!("GANTRY@{}", secure.server.dimse);
    let (ok, printed) = run(gantry().args(["echo", &at_plain, "--tls", "--ca"]).arg(&secure.ca_file));
    assert!(!ok && printed.contains("what it sent is not TLS; is this its TLS port?"), "{printed}");
    secure.logs(&format!("a caller speaks TLS on the plain port; the port for TLS is {}", secure.tls.port()));

    let mut browser = connect(secure.tls);
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(rest(&mut browser), b"");
    secure.logs("what it sent is neither TLS nor DICOM");
}

#[test]
fn a_server_without_tls_says_so() {
    let server = Server::start();
    let files = Files::new();
    let ca = files.write("ca.pem", &Ca::new("Hospital CA").pem());
    let (ok, printed) =
        run(gantry().arg("echo").arg(format!("GANTRY@{}", server.dimse)).args(["--tls", "--ca"]).arg(ca));
    assert!(!ok, "{printed}");
    eventually("it is in the log", || server.log().contains("there is no port for TLS: see [dimse.tls]"));
}

#[test]
fn the_plain_call_of_a_tls_port_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let call = || run(gantry().arg("echo").arg(format!("PACS@{address}")));
    // Some stacks answer by an alert, unexpected_message; others close.
    for (answer, words) in [
        (&b"\x15\x03\x03\x00\x02\x02\x0a"[..], "that is TLS: call it by TLS, or at its plain port"),
        (b"", "is this a DICOM port, and one without TLS?"),
    ] {
        let (ok, printed) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 74]).unwrap();
                stream.write_all(answer).unwrap();
            });
            call()
        });
        assert!(!ok && printed.contains(words), "{words} is not in\n{printed}");
    }
}

/// `openssl s_client` with these options, as far as the handshake; whether it came about, and what it printed.
fn handshake(secure: &Secure, options: &[&str]) -> (bool, String) {
    let [certificate, key] = secure.files.keep("openssl", &secure.ca.local("CT1"));
    let mut client = Command::new("openssl");
    client.args([
        "s_client",
        "-brief",
        "-verify_return_error",
        "-connect",
        &secure.tls.to_string(),
        "-CAfile",
    ]);
    client.arg(&secure.ca_file).arg("-cert").arg(certificate).arg("-key").arg(key).args(options);
    run(client.stdin(Stdio::null()))
}

#[test]
fn versions_and_suites_are_those_of_bcp_195() {
    let secure = Secure::start();
    for (options, expected) in [
        (&[][..], Some("TLSv1.3")),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], Some("TLS_AES_128_GCM_SHA256")),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], Some("TLS_AES_256_GCM_SHA384")),
        (&["-tls1_2"], Some("TLSv1.2")),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], Some("ECDHE-ECDSA-AES128-GCM-SHA256")),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], Some("ECDHE-ECDSA-AES256-GCM-SHA384")),
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], None),
        (&["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], None),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], None),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], None),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM"], None),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], None),
    ] {
        let (ok, printed) = handshake(&secure, options);
        match expected {
            Some(words) => assert!(ok && printed.contains(words), "{options:?}\n{printed}"),
            None => assert!(!ok && !printed.contains("CONNECTION ESTABLISHED"), "{options:?}\n{printed}"),
        }
    }
    secure.logs("no TLS version in common: it speaks neither 1.2 nor 1.3");
    secure.logs("no cipher suite in common");
    assert_eq!(secure.handshakes("nothing_in_common"), 6);
}

#[test]
fn a_handshake_has_its_time_and_its_place() {
    let secure = Secure::with("artim_timeout = \"500ms\"", "", &Ca::new("Hospital CA"), "");
    // The head of a record that never comes, and nothing at all.
    for begun in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        let mut slow = connect(secure.tls);
        slow.write_all(begun).unwrap();
        assert_eq!(rest(&mut slow), b"");
    }
    eventually("both were too slow", || secure.handshakes("timeout") == 2);
    secure.logs("its TLS handshake takes too long");
    // Who only looks whether somebody listens is no news.
    drop(connect(secure.tls));
    eventually("it is counted", || secure.handshakes("closed") == 1);
    assert!(!secure.server.log().contains("without a word"));
}

#[test]
fn silent_connections_keep_nobody_out() {
    let secure = Secure::start();
    let _silent: Vec<TcpStream> = (0..520).map(|_| connect(secure.tls)).collect();
    let (ok, printed) = secure.echo("CT1", Some(&secure.ca.local("CT1")));
    assert!(ok, "{printed}");
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the server closes; a record that is an alert does not count.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a close as well.
    drop(stream.read_to_end(&mut bytes));
    if bytes.first() == Some(&0x15) { Vec::new() } else { bytes }
}
