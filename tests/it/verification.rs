//! Storage commitment as SCU: what a destination took is delivered only when it says that it keeps it.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{Server, eventually, free_ports};
use crate::routed::{State, dicom, everything_to};
use crate::sinks::{Orthanc, Scripted, StoreScp};
use crate::synthetic::Object;

/// An archive with these orders and a server that sends everything there and asks it; `more` keys of the destination.
fn pair(orders: Value, more: &str) -> (Scripted, Server) {
    let archive = Scripted::archive();
    let tables = format!("{}verify = \"commitment\"\n{more}\n", dicom("archive", "ARCHIVE", archive.address));
    let server = Server::routed(&everything_to(&["archive"]), &tables);
    archive.order_for(server.dimse, orders);
    (archive, server)
}

/// An archive that is asked, until it has been tried for so long.
fn verified(address: SocketAddr, title: &str, give_up: &str) -> String {
    let tables =
        dicom("archive", title, address).replace("give_up = \"1h\"", &format!("give_up = {give_up:?}"));
    format!("{tables}verify = \"commitment\"\n")
}

fn objects(count: u32) -> Vec<Object> {
    (1..=count).map(|n| Object::new(1, 1, n)).collect()
}

#[test]
fn what_the_archive_commits_to_over_the_same_association_is_delivered() {
    for how in ["same", "early"] {
        let (archive, server) = pair(json!({"commit": how}), "");
        server.store(&objects(3));
        archive.wait_for("store", 3);
        let waiting = || server.ledger().iter().all(|row| row.state == State::Verifying);
        eventually("they wait to be committed to", waiting);
        assert_eq!(server.queue()["archive"]["verifying"], 3);
        let shown = server.command(&["queue"]).printed;
        assert!(shown.contains("3 stored there, to be delivered once storage is committed to"), "{shown}");
        let shown = server.command(&["explain", "2.25.1.1.1"]).printed;
        assert!(shown.contains("storage is not committed to yet"), "{shown}");
        server.wait_until_delivered("archive", 3);
        let actions = archive.events("action");
        assert_eq!(actions.len(), 1, "{actions:?}");
        assert_eq!(actions[0]["instances"].as_array().unwrap().len(), 3);
        let reports = archive.wait_for("report", 1);
        assert_eq!((&reports[0]["over"], &reports[0]["status"]), (&json!(how), &json!(0)));
        for row in server.ledger() {
            assert_eq!((row.status.as_str(), row.attempts), ("0000H success; committed", 1));
        }
        let shown = server.command(&["explain", "2.25.1.1.1"]).printed;
        assert!(shown.contains("delivered") && shown.contains("0000H success; committed"), "{shown}");
        assert_eq!(server.metric(r#"gantry_deliveries_total{destination="archive",outcome="stored"}"#), 3);
        assert_eq!(server.metric(r#"gantry_deliveries_total{destination="archive",outcome="delivered"}"#), 3);
        assert_eq!(
            server.metric(r#"gantry_commitment_asked_total{destination="archive",outcome="accepted"}"#),
            1
        );
    }
}

#[test]
fn a_report_over_an_association_of_the_archive_counts_whatever_it_says_of_roles() {
    for roles in [true, false] {
        let (archive, server) = pair(json!({"commit": "new", "roles": roles}), "");
        server.store(&objects(2));
        server.wait_until_delivered("archive", 2);
        let reports = archive.wait_for("report", 1);
        assert_eq!((&reports[0]["over"], &reports[0]["status"]), (&json!("new"), &json!(0)), "{reports:?}");
    }
}

#[test]
fn what_the_archive_does_not_commit_to_is_sent_again_or_given_up() {
    let failed = json!({"2.25.1.1.1": 0x0112, "2.25.1.1.2": 0x0122, "2.25.1.1.3": 0x0131});
    let (archive, server) = pair(json!({"failed": failed, "untold": ["2.25.1.1.4"]}), "");
    server.store(&objects(5));
    server.wait_for("archive", State::Dead, 1);
    server.wait_until_delivered("archive", 1);
    let dead = server.ledger().into_iter().find(|row| row.state == State::Dead).unwrap();
    assert_eq!(dead.instance, "2.25.1.1.2");
    assert_eq!(dead.status, "stored, and storage not committed to: 0122H referenced SOP class not supported");
    let why = "stored, and storage not committed to: 0112H no such object instance";
    eventually("the first is told of", || {
        server.ledger().iter().any(|row| row.instance == "2.25.1.1.1" && row.status == why)
    });
    eventually("the first was sent again", || {
        archive.events("store").iter().filter(|event| event["uid"] == "2.25.1.1.1").count() >= 2
    });
    // The third and the fourth are asked about again, and not sent.
    archive.order_for(server.dimse, json!({}));
    server.wait_until_delivered("archive", 4);
    for uid in ["2.25.1.1.3", "2.25.1.1.4", "2.25.1.1.5"] {
        assert_eq!(archive.events("store").iter().filter(|event| event["uid"] == uid).count(), 1, "{uid}");
    }
    assert_eq!(server.command(&["queue", "retry", "--dead"]).code, 0);
    server.wait_until_delivered("archive", 5);
}

#[test]
fn what_a_report_gives_up_for_its_age_counts_as_given_up() {
    let archive = Scripted::archive();
    // What is sent again after the first report is told of in the second, and too old by then.
    let tables = verified(archive.address, "ARCHIVE", "4s");
    let server = Server::routed(&everything_to(&["archive"]), &tables);
    archive.order_for(server.dimse, json!({"failed": {"2.25.1.1.1": 0x0112, "2.25.1.1.2": 0x0122}}));
    server.store(&objects(2));
    server.wait_for("archive", State::Dead, 2);
    let ended =
        |how| server.metric(&format!(r#"gantry_deliveries_total{{destination="archive",outcome="{how}"}}"#));
    eventually("both are counted", || ["gave_up", "refused"].map(ended) == [1, 1]);
    let first = server.ledger().remove(0);
    let expected = "gave up after 4 s: stored, and storage not committed to: 0112H no such object instance";
    assert_eq!((first.status.as_str(), first.attempts), (expected, 2));
}

#[test]
fn an_archive_that_does_not_report_is_asked_again() {
    let (archive, server) = pair(json!({"commit": "never"}), "commitment_timeout = \"500ms\"");
    server.store(&objects(2));
    let actions = archive.wait_for("action", 3);
    assert!(actions.windows(2).all(|pair| pair[0]["transaction"] != pair[1]["transaction"]), "{actions:?}");
    assert!(server.metric(r#"gantry_commitment_asked_total{destination="archive",outcome="expired"}"#) >= 2);
    assert!(server.log().contains("no storage commitment report has come in time: asking again"));
    archive.order_for(server.dimse, json!({"commit": "new"}));
    server.wait_until_delivered("archive", 2);
    assert_eq!(archive.events("store").len(), 2, "nothing was sent twice");
}

#[test]
fn an_archive_that_refuses_or_is_away_is_asked_again_and_at_last_given_up() {
    let (archive, server) = pair(json!({"action": 0x0213}), "");
    server.store(&objects(1));
    archive.wait_for("action", 2);
    let reason = server.reason("archive");
    assert_eq!(reason, "storage commitment refused: 0213H failed: resource limitation");
    archive.order_for(server.dimse, json!({}));
    server.wait_until_delivered("archive", 1);
    assert_eq!(archive.events("store").len(), 1);

    let storescp = StoreScp::start();
    let tables = verified(storescp.address, "STORESCP", "3s");
    let server = Server::routed(&everything_to(&["archive"]), &tables);
    server.store(&objects(1));
    server.wait_for("archive", State::Verifying, 1);
    let reason = "the peer takes no Storage Commitment Push Model SOP Class";
    eventually("it is said that it does not offer it", || server.reason("archive").contains(reason));
    server.wait_for("archive", State::Dead, 1);
    let dead = server.ledger().remove(0);
    let expected = "gave up after 3 s: it was stored, and storage was not committed to (the peer takes no Storage Commitment";
    assert!(dead.status.starts_with(expected), "{}", dead.status);
    assert_eq!(storescp.files().len(), 1);
}

#[test]
fn an_association_that_the_archive_ends_meanwhile_costs_no_attempt() {
    let (archive, server) = pair(json!({"once": true}), "");
    for number in 1..=2 {
        server.store(&[Object::new(1, 1, number)]);
        server.wait_until_delivered("archive", number as usize);
    }
    assert_eq!(archive.events("action").len(), 2);
    let asked = |outcome: &str| {
        server
            .metric(&format!(r#"gantry_commitment_asked_total{{destination="archive",outcome="{outcome}"}}"#))
    };
    assert_eq!(["accepted", "failed"].map(asked), [2, 0]);
}

#[test]
fn an_archive_that_is_down_is_asked_when_it_is_back() {
    let (mut archive, server) = pair(json!({"action": 0x0213}), "");
    server.store(&objects(2));
    server.wait_for("archive", State::Verifying, 2);
    archive.stop();
    let failed = r#"gantry_commitment_asked_total{destination="archive",outcome="failed"}"#;
    eventually("it was asked twice in vain", || server.metric(failed) >= 2);
    eventually("it is said why", || server.reason("archive").contains("nothing listens there"));
    let page = String::from_utf8(server.get("/").body).unwrap();
    assert!(page.contains("2 to be committed to"), "{page}");
    archive.order_for(server.dimse, json!({}));
    archive.start_again();
    server.wait_until_delivered("archive", 2);
    assert_eq!(archive.events("store").len(), 2);
}

#[test]
fn only_the_archive_that_was_asked_is_believed() {
    let (archive, server) = pair(json!({"commit": "new", "as": "STRANGER"}), "commitment_timeout = \"1s\"");
    server.store(&objects(1));
    let reports = archive.wait_for("report", 1);
    assert_eq!(reports[0]["status"], 0x0115, "{reports:?}");
    assert_eq!(server.ledger()[0].state, State::Verifying);
    assert!(server.log().contains("from another peer than the one that was asked"), "{}", server.log());
    archive.order_for(server.dimse, json!({"commit": "new"}));
    server.wait_until_delivered("archive", 1);
}

#[test]
fn a_report_that_comes_after_a_kill_counts() {
    let (archive, mut server) = pair(json!({"commit": "later"}), "");
    server.store(&objects(3));
    archive.wait_for("action", 1);
    eventually("that it was asked is kept", || {
        server
            .index()
            .query_row("SELECT min(state) FROM verification", [], |row| row.get::<_, i64>(0))
            .unwrap()
            == 1
    });
    server.kill();
    server.start_again();
    assert!(server.ledger().iter().all(|row| row.state == State::Verifying));
    fs::write(archive.path().join("go"), "").unwrap();
    server.wait_until_delivered("archive", 3);
    assert_eq!((archive.events("store").len(), archive.events("action").len()), (3, 1));
}

#[test]
fn what_was_being_asked_when_the_server_was_killed_is_asked_again() {
    let (archive, mut server) = pair(json!({"hold": 20}), "");
    server.store(&objects(2));
    archive.wait_for("action", 1);
    archive.order_for(server.dimse, json!({}));
    server.kill();
    server.start_again();
    server.wait_until_delivered("archive", 2);
    assert_eq!(archive.events("store").len(), 2);
}

#[test]
fn what_waits_is_delivered_when_commitment_is_no_longer_asked_for() {
    let (archive, mut server) = pair(json!({"commit": "never"}), "");
    server.store(&objects(2));
    archive.wait_for("action", 1);
    assert!(server.terminate().success());
    let config = server.dir().join("gantry.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("verify = \"commitment\"", "verify = \"status\"")).unwrap();
    server.start_again();
    server.wait_until_delivered("archive", 2);
    for row in server.ledger() {
        assert_eq!(row.status, "0000H success; storage commitment is no longer asked for");
    }
    assert!(server.log().contains("delivered without storage commitment, which is no longer asked for"));
}

#[test]
fn orthanc_commits_to_what_it_took() {
    let [address] = free_ports();
    let tables = format!("{}verify = \"commitment\"\n", dicom("orthanc", "ORTHANC", address));
    let server = Server::routed(&everything_to(&["orthanc"]), &tables);
    let orthanc = Orthanc::start_at(server.dimse, address);
    server.store(&objects(3));
    server.wait_until_delivered("orthanc", 3);
    assert!(server.ledger().iter().all(|row| row.status == "0000H success; committed"));
    assert_eq!(orthanc.get("/instances").as_array().unwrap().len(), 3);
}
