//! Peers that break the protocol, stall or flood: they get their answer, and others are still served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Launch, Server, eventually};
use crate::scu::{Refusal, Scu, associate_rq, pdata, pdu};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object};

const VERIFICATION: &str = "1.2.840.10008.1.1";

#[test]
fn garbage_instead_of_a_request_ends_that_connection_only() {
    let server = Server::with("", "artim_timeout = \"1s\"", "");
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xFF; 4096],
        vec![0; 4096],
        pdu(0x42, &[0; 100]),
        pdu(4, &[0; 100]),
        pdu(5, &[0; 4]),
        pdu(1, &[0; 20]),
        pdu(1, &[0xFF; 200]),
        [&[1, 0, 0xFF, 0xFF, 0xFF, 0xFF][..], &[0; 100]].concat(),
    ] {
        let mut stream = connect(&server);
        stream.write_all(&garbage).unwrap();
        assert_ends(&mut stream, &garbage);
    }
    echo(&server);
}

#[test]
fn a_truncated_request_is_closed_when_artim_runs_out() {
    let server = Server::with("", "artim_timeout = \"300ms\"", "");
    let rq = associate_rq("ANY", "X", &[(CT, &[EXPLICIT])]);
    for cut in [0, 1, 5, 6, 7, 73, rq.len() - 1] {
        let mut stream = connect(&server);
        stream.write_all(&rq[..cut]).unwrap();
        assert_ends(&mut stream, &rq[..cut]);
    }
    echo(&server);
}

#[test]
fn rejections_say_what_the_standard_says() {
    let server = Server::with("ae_title = \"MINE\"", "accept = \"known\"\ncheck_called_ae = true", PEER);
    let context: &[(&str, &[&str])] = &[(VERIFICATION, &[IMPLICIT])];
    let good = associate_rq("MINE", "KNOWN", context);
    let refusal = |rq: &[u8]| Scu::request(server.dimse, rq).err();
    assert_eq!(refusal(&good), None);
    assert_eq!(refusal(&associate_rq("MINE", "STRANGER", context)), Some(Refusal::Rejected(1, 1, 3)));
    assert_eq!(refusal(&associate_rq("MINE", "known", context)), Some(Refusal::Rejected(1, 1, 3)));
    assert_eq!(refusal(&associate_rq("YOURS", "KNOWN", context)), Some(Refusal::Rejected(1, 1, 7)));
    let mut version = good.clone();
    version[7] = 2;
    assert_eq!(refusal(&version), Some(Refusal::Rejected(1, 2, 2)));
    let mut application = good;
    let place = application.windows(21).position(|w| w == b"1.2.840.10008.3.1.1.1").unwrap();
    application[place + 20] = b'2';
    assert_eq!(refusal(&application), Some(Refusal::Rejected(1, 1, 2)));
}

#[test]
fn one_association_over_the_limit_is_told_to_come_back() {
    let server = Server::with("", "max_associations = 3", "");
    let held: Vec<_> = (0..3).map(|_| associate(&server)).collect();
    let over = Scu::associate(server.dimse, &[(VERIFICATION, &[IMPLICIT])]).err();
    assert_eq!(over, Some(Refusal::Rejected(2, 3, 2)));
    drop(held);
    eventually("a place is free again", || {
        Scu::associate(server.dimse, &[(VERIFICATION, &[IMPLICIT])]).is_ok()
    });
}

#[test]
fn a_pdu_over_our_limit_aborts_before_it_is_read() {
    let server = Server::with("", "max_pdu_bytes = 16384", "");
    let mut scu = associate(&server);
    assert_eq!(scu.peer_max_pdu, 16384);
    scu.stream().write_all(&[4, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 10, 1, 3]).unwrap();
    assert_aborts(&mut scu);
    let mut scu = associate(&server);
    scu.stream().write_all(&pdata(1, 3, &vec![0; 20_000])).unwrap();
    assert_aborts(&mut scu);
    echo(&server);
}

#[test]
fn broken_messages_abort_their_association() {
    let server = Server::start();
    let endless_command = pdata(1, 1, &vec![0; 100_000]);
    let breaches: [(&str, Vec<u8>); 6] = [
        ("fragment longer than its PDU", pdu(4, &[0, 0, 1, 0, 1, 3, 0, 0])),
        ("fragment shorter than its own header", pdu(4, &[0, 0, 0, 1, 1, 3])),
        ("context that was not accepted", pdata(9, 3, &[0; 8])),
        ("data where a command belongs", pdata(1, 2, &[0; 8])),
        ("command set that is none", pdata(1, 3, &[0xFF; 40])),
        ("command set without end", endless_command.repeat(2)),
    ];
    for (what, bytes) in breaches {
        let mut scu = associate(&server);
        // The server may answer before it has read all of it.
        drop(scu.stream().write_all(&bytes));
        let error = scu.receive().expect_err(what);
        assert!(
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
            "{what}: {error}"
        );
    }
    echo(&server);
}

#[test]
fn a_hundred_silent_connections_keep_nobody_out() {
    let server = Server::with("", "artim_timeout = \"60s\"", "");
    let silent: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    echo(&server);
    store(&server, 1);
    drop(silent);
}

#[test]
fn the_oldest_of_too_many_silent_connections_makes_room() {
    let server = Server::with("", "artim_timeout = \"60s\"", "");
    let mut silent: Vec<_> = (0..600).map(|_| connect(&server)).collect();
    let mut oldest = silent.remove(0);
    assert_ends(&mut oldest, b"");
    echo(&server);
}

#[test]
fn silent_connections_at_both_doors_use_up_no_low_soft_limit_of_open_files() {
    let server = Server::launched(Launch { open_files: Some(1024), ..Launch::default() });
    let mut early = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let web = |_| TcpStream::connect(server.web).unwrap();
    let silent: Vec<_> = (0..600).map(|_| connect(&server)).chain((0..511).map(web)).collect();
    eventually("more is open than the limit at start", || server.open_files() > 1024);
    let object = Object::new(1, 1, 1);
    assert_eq!(early.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    assert_eq!(server.get("/livez").status, 200);
    store(&server, 2);
    drop(silent);
}

#[test]
fn a_peer_that_stalls_inside_a_message_is_aborted() {
    let server = Server::with("", "message_timeout = \"300ms\"", "");
    let object = Object::new(1, 1, 1);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let command = scu.command(1, CT, &[(0x0700, &[0, 0]), (0x1000, b"2.25.1")], true);
    scu.send(1, true, &command).unwrap();
    scu.stream().write_all(&pdata(1, 0, &object.data_set()[..200])).unwrap();
    assert_aborts(&mut scu);
    assert_eq!(server.get("/dicom-web/studies").json(), serde_json::json!([]), "nothing of it is kept");
    let files = crate::harness::files_below(&server.data_dir().join("instances"));
    assert_eq!(files, Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_idle_association_is_aborted() {
    let server = Server::with("", "idle_timeout = \"300ms\"", "");
    let mut scu = associate(&server);
    assert_aborts(&mut scu);
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    let server = Server::start();
    let object = Object::new(1, 1, 1);
    for cut in [10, 1000, 2000] {
        let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
        let command = scu.command(1, CT, &[(0x0700, &[0, 0]), (0x1000, b"2.25.1")], true);
        scu.send(1, true, &command).unwrap();
        scu.stream().write_all(&pdata(1, 0, &object.data_set()[..cut])).unwrap();
    }
    eventually("half files are gone", || {
        crate::harness::files_below(&server.data_dir().join("instances")).is_empty()
    });
    store(&server, 1);
}

#[test]
fn slow_and_half_http_requests_hold_nobody_up() {
    let server = Server::start();
    let mut slow: Vec<_> = (0..100).map(|_| TcpStream::connect(server.web).unwrap()).collect();
    for (n, stream) in slow.iter_mut().enumerate() {
        let head: &[u8] = if n % 2 == 0 {
            b"GET /dicom-web/studies HTTP/1.1\r\nHo"
        } else {
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=x\r\n\r\n--x\r\n"
        };
        stream.write_all(head).unwrap();
    }
    assert_eq!(server.get("/livez").status, 200);
    store(&server, 1);
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.dimse).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn associate(server: &Server) -> Scu {
    Scu::associate(server.dimse, &[(VERIFICATION, &[IMPLICIT])]).unwrap()
}

fn echo(server: &Server) {
    let mut scu = associate(server);
    assert_eq!(scu.echo(1).unwrap().status(), 0);
    scu.release().unwrap();
}

fn store(server: &Server, n: u32) {
    let object = Object::new(1, 1, n);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    scu.release().unwrap();
}

/// The peer sees an A-ABORT or the end of the connection.
fn assert_aborts(scu: &mut Scu) {
    let error = scu.receive().expect_err("the association should have ended");
    let is_timeout = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    assert!(!is_timeout, "{error}");
}

/// Whatever comes, the connection ends by itself.
fn assert_ends(stream: &mut TcpStream, sent: &[u8]) {
    let mut rest = [0; 256];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("still open after {:02X?}: {error}", &sent[..sent.len().min(16)]),
        }
    }
}

const PEER: &str = "[peer.known]\nae_title = \"KNOWN\"\naddress = \"127.0.0.1:104\"";
