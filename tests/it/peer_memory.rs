//! What peers took and refused is remembered, shapes the next proposal, and is shown by `gantry peer`.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::{fs, io, thread};

use serde_json::Value;

use crate::harness::{Server, corpus, eventually, free_ports, gantry};
use crate::inquire::DcmQrScp;
use crate::routed::{State, dicom, everything_to, ran};
use crate::sinks::{Orthanc, StoreScp};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object, data_set_of};
use crate::upstream;

impl Server {
    /// `gantry peer NAME --json`.
    fn peer(&self, name: &str) -> Value {
        let ran = self.command(&["peer", name, "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        serde_json::from_str(&ran.printed).unwrap_or_else(|e| panic!("{e}: {}", ran.printed))
    }

    /// What is remembered of CT in this transfer syntax: whether it is taken, and since when that is known.
    fn learned(&self, name: &str, syntax: &str) -> Option<(bool, String)> {
        let peer = self.peer(name);
        let contexts = peer["as_called"]["contexts"].as_array()?;
        let is_it = |one: &&Value| one["sop_class"] == CT && one["transfer_syntax"] == syntax;
        let one = contexts.iter().find(is_it)?;
        Some((one["accepted"].as_bool().unwrap(), one["learned"].as_str().unwrap().to_owned()))
    }
}

fn object(n: u32) -> [Object; 1] {
    [Object::new(1, 1, n)]
}

#[test]
fn a_refusal_shapes_the_next_proposal_over_a_restart_until_it_is_forgotten() {
    // Implicit VR Little Endian only.
    let scp = StoreScp::with(&["+xi"]);
    let mut server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", scp.address));
    let text = server.command(&["peer", "pacs"]).printed;
    assert!(text.contains("nothing is remembered"), "{text}");
    server.store(&object(1));
    server.wait_until_delivered("pacs", 1);
    eventually("what it said is kept", || server.learned("pacs", IMPLICIT).is_some());
    let (taken, refused) =
        (server.learned("pacs", IMPLICIT).unwrap(), server.learned("pacs", EXPLICIT).unwrap());
    assert_eq!((taken.0, refused.0), (true, false));
    let text = server.command(&["peer", "pacs"]).printed;
    for words in [
        "called as STORESCP at 127.0.0.1:",
        "OFFIS_DCMTK",
        "no TLS",
        "CT Image Storage",
        "takes Implicit VR Little Endian",
        "refuses Explicit VR Little Endian: transfer syntax not supported",
        "gantry peer forget pacs",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let list = server.command(&["peer"]).printed;
    let line = list.lines().find(|line| line.starts_with("pacs ")).unwrap();
    assert!(line.contains("OFFIS_DCMTK"), "{list}");
    assert!(list.contains("TESTSCU@127.0.0.1"), "who called is there, too:\n{list}");

    assert!(server.terminate().success());
    assert_eq!(server.learned("pacs", EXPLICIT), Some(refused.clone()));
    server.start_again();
    server.store(&object(2));
    server.wait_until_delivered("pacs", 2);
    eventually("it was asked again", || server.learned("pacs", IMPLICIT).unwrap().1 > taken.1);
    assert_eq!(server.learned("pacs", EXPLICIT), Some(refused.clone()), "but not for what it refuses");

    let ran = server.command(&["peer", "forget", "pacs"]);
    assert!(ran.code == 0 && ran.printed.contains("is forgotten"), "{}", ran.printed);
    eventually("the server has forgotten", || {
        let left = "SELECT count(*) FROM peer_forgotten";
        server.index().query_row(left, [], |row| row.get::<_, i64>(0)).unwrap() == 0
    });
    assert_eq!(server.learned("pacs", EXPLICIT), None);
    server.store(&object(3));
    server.wait_until_delivered("pacs", 3);
    eventually("it was asked for everything", || server.learned("pacs", EXPLICIT).is_some());
    assert!(server.learned("pacs", EXPLICIT).unwrap().1 > refused.1);
}

#[test]
fn a_peer_that_comes_back_as_another_is_learned_again() {
    let scp = StoreScp::with(&["+xi"]);
    let address = scp.address;
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", address));
    server.store(&object(1));
    server.wait_until_delivered("pacs", 1);
    eventually("it is remembered", || server.learned("pacs", EXPLICIT).is_some_and(|(taken, _)| !taken));
    drop(scp);
    server.store(&object(2));
    server.reason("pacs");
    eventually("its absence is remembered", || server.peer("pacs")["as_called"]["failed"].is_object());
    let list = server.command(&["peer"]).printed;
    assert!(list.contains("no association") && list.contains("nothing listens there"), "{list}");
    let _scp = StoreScp::at(address, &[]);
    server.wait_until_delivered("pacs", 2);
    let statuses: Vec<String> = server.ledger_of("pacs").into_iter().map(|row| row.status).collect();
    assert!(
        statuses[0].contains("transcoded from") && !statuses[1].contains("transcoded from"),
        "{statuses:?}"
    );
    eventually("it is learned", || server.learned("pacs", EXPLICIT).is_some_and(|(taken, _)| taken));
}

#[test]
fn what_a_peer_takes_no_more_is_no_reason_to_give_anything_up() {
    let scp = StoreScp::start();
    let address = scp.address;
    let mut server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", address));
    server.store(&object(1));
    server.wait_until_delivered("pacs", 1);
    eventually("it is remembered", || server.learned("pacs", EXPLICIT).is_some_and(|(taken, _)| taken));
    assert!(server.terminate().success());
    drop(scp);
    let _scp = StoreScp::at(address, &["+xi"]);
    server.start_again();
    server.store(&object(2));
    server.wait_until_delivered("pacs", 2);
    eventually("it is learned", || server.learned("pacs", EXPLICIT).is_some_and(|(taken, _)| !taken));
}

#[test]
fn an_upstream_archive_that_rejects_us_is_shown() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    let server = upstream::server(&[("old", "STRANGER", upstream::address(&archive.target), "")]);
    assert_eq!(server.get("/dicom-web/studies").status, 200);
    eventually("it is remembered", || server.peer("old")["as_called"]["rejected"].is_object());
    let text = server.command(&["peer", "old"]).printed;
    assert!(text.contains("called AE title not recognized"), "{text}");
}

/// An object that nobody here can decode goes as it is or not at all.
#[test]
fn a_peer_that_learns_to_take_something_is_given_what_was_given_up() {
    let Some(corpus) = corpus() else { return };
    let file = fs::read(corpus.join("files/pydicom__pydicom-data/liver_rle.dcm")).unwrap();
    let scp = StoreScp::with(&["+xi"]);
    let address = scp.address;
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", address));
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    server.wait_for("pacs", State::Dead, 1);
    let reason = server.reason("pacs");
    assert!(reason.contains("the peer takes no") && reason.contains("RLE Lossless"), "{reason}");
    let moved = || {
        let from = format!("GANTRY@{}", server.dimse);
        let study = server.get("/dicom-web/studies").json()[0]["0020000D"]["Value"][0].clone();
        ran(gantry().args(["move", &from, "--to", "STORESCP", "--study", study.as_str().unwrap()]))
    };
    let failed = moved();
    assert!(failed.code != 0 && failed.printed.contains("1 failed"), "{}", failed.printed);

    drop(scp);
    let scp = StoreScp::at(address, &["+xr"]);
    assert_eq!(server.command(&["queue", "retry", "--dead"]).code, 0);
    server.wait_until_delivered("pacs", 1);
    let moved = moved();
    assert_eq!(moved.code, 0, "{}", moved.printed);
    // By the lane, and by C-MOVE.
    let sent = data_set_of(&file).to_vec();
    assert_eq!(scp.data_sets(), [sent.clone(), sent]);
    eventually("it is learned", || {
        let contexts = server.peer("pacs")["as_called"]["contexts"].as_array().unwrap().clone();
        contexts.iter().any(|one| one["transfer_syntax_name"] == "RLE Lossless" && one["accepted"] == true)
    });
}

/// The lane's association is accepted only when the server is stopping.
#[test]
fn what_is_learned_while_the_server_stops_is_remembered() {
    let scp = StoreScp::with(&["+xi"]);
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server =
        Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", door.local_addr().unwrap()));
    server.store(&object(1));
    let (caller, _) = door.accept().unwrap();
    drop(door);
    server.signal("TERM");
    eventually("it is stopping", || server.log().contains("stopping"));
    let scp = TcpStream::connect(scp.address).unwrap();
    join(caller, scp);
    assert!(server.wait().success());
    let learned = [IMPLICIT, EXPLICIT].map(|syntax| server.learned("pacs", syntax).map(|(taken, _)| taken));
    assert_eq!(learned, [Some(true), Some(false)]);
}

/// Passes what comes on either to the other.
fn join(one: TcpStream, other: TcpStream) {
    for (from, to) in [(&one, &other), (&other, &one)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || {
            // It fails when either has gone.
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Write));
        });
    }
}

#[test]
fn another_user_identity_ends_a_refusal() {
    let scp = StoreScp::with(&["+xi"]);
    let tables = |user: &str| {
        let peer = format!("our_identity = {{ user = \"{user}\" }}\n[destination.pacs]");
        dicom("pacs", "STORESCP", scp.address).replace("[destination.pacs]", &peer)
    };
    let mut server = Server::routed(&everything_to(&["pacs"]), &tables("one"));
    server.store(&object(1));
    server.wait_until_delivered("pacs", 1);
    eventually("it is remembered", || server.learned("pacs", EXPLICIT).is_some_and(|(taken, _)| !taken));
    let before = server.learned("pacs", EXPLICIT).unwrap().1;
    let text = server.command(&["peer", "pacs"]).printed;
    assert!(text.contains("with the identity of user one"), "{text}");
    assert!(server.terminate().success());
    let config = server.dir().join("gantry.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("user = \"one\"", "user = \"two\"")).unwrap();
    server.start_again();
    server.store(&object(2));
    server.wait_until_delivered("pacs", 2);
    eventually("it is asked again", || server.learned("pacs", EXPLICIT).is_some_and(|(_, at)| at > before));
    assert_eq!(server.peer("pacs")["as_called"]["identity"], "user two");
}

#[test]
fn orthanc_is_known_as_called_and_as_caller() {
    let [orthanc_at] = free_ports();
    let server = Server::routed(&everything_to(&["orthanc"]), &dicom("orthanc", "ORTHANC", orthanc_at));
    let orthanc = Orthanc::start_at(server.dimse, orthanc_at);
    server.store(&object(1));
    server.wait_until_delivered("orthanc", 1);
    orthanc.post("/modalities/gantry/echo", b"{}");
    eventually("both are kept", || {
        let peer = server.peer("orthanc");
        peer["as_called"]["accepted"].is_object() && peer["as_caller"].is_object()
    });
    let peer = server.peer("orthanc");
    assert!(server.learned("orthanc", EXPLICIT).unwrap().0);
    for side in [&peer["as_called"]["accepted"], &peer["as_caller"]] {
        assert!(side["implementation"]["class_uid"].is_string(), "{peer:#}");
    }
    assert_eq!(peer["as_caller"]["ae_title"], "ORTHANC");
    assert!(peer["as_caller"]["contexts_proposed"].as_u64().unwrap() > 0, "{peer:#}");
}

#[test]
fn a_rejection_is_told_in_words_and_c_move_learns() {
    let strict = Server::with("", "accept = \"known\"", "");
    let scp = StoreScp::start();
    let tables = dicom("strict", "STRICT", strict.dimse)
        + &format!("[peer.scp]\nae_title = \"STORESCP\"\naddress = \"{}\"\n", scp.address);
    let server = Server::routed(&everything_to(&["strict"]), &tables);
    server.store(&object(1));
    server.reason("strict");
    eventually("the rejection is kept", || server.peer("strict")["as_called"]["rejected"].is_object());
    let text = server.command(&["peer", "strict"]).printed;
    assert!(text.contains("rejected: calling AE title not recognized (1/1/3)"), "{text}");
    let from = format!("GANTRY@{}", server.dimse);
    let moved = ran(gantry().args(["move", &from, "--to", "STORESCP", "--study", "2.25.1"]));
    assert_eq!(moved.code, 0, "{}", moved.printed);
    eventually("what C-MOVE met is kept", || server.learned("scp", EXPLICIT).is_some_and(|(taken, _)| taken));
    server.wait_for("strict", State::Delivered, 0);
}

#[test]
fn who_is_not_known_is_not_shown() {
    let server = Server::routed(
        &everything_to(&[]),
        "[peer.pacs]\nae_title = \"PACS\"\naddress = \"127.0.0.1:104\"\n",
    );
    for arguments in [&["peer", "pcas"][..], &["peer", "forget", "pcas"]] {
        let ran = server.command(arguments);
        assert!(ran.code == 2 && ran.printed.contains("did you mean \"pacs\"?"), "{}", ran.printed);
    }
    let ran = server.command(&["peer", "forget", "pacs"]);
    assert!(ran.code == 0 && ran.printed.contains("nothing was remembered"), "{}", ran.printed);
}
