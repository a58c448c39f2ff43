//! Kills the real binary at random moments while it receives: what it acknowledged must be there, and nothing by halves.
//!
//! `GANTRY_KILLS=200 GANTRY_KILL_ACKNOWLEDGED=20000 cargo test --release --test it kill::` is the long run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::harness::{Server, files_below, split_parts};
use crate::senders::{STUDIES, Senders, Sent, number_of, object, setting, xorshift};
use crate::synthetic::data_set_of;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_visible() {
    let kills = setting("GANTRY_KILLS", 12);
    let wanted = setting("GANTRY_KILL_ACKNOWLEDGED", 600);
    let mut server = Server::start();
    let mut senders = Senders::default();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut done = 0;
    while done < kills || senders.acknowledged() < wanted {
        senders.start(&server);
        let enough = wanted * (done + 1) / kills;
        let pause = Duration::from_micros(xorshift(&mut random) % 120_000);
        let started = Instant::now();
        while started.elapsed() < pause
            || (senders.acknowledged() < enough && started.elapsed() < Duration::from_secs(10))
        {
            std::thread::sleep(Duration::from_micros(500));
        }
        senders.expect_death();
        server.kill();
        senders.stop();
        server.start_again();
        done += 1;
    }
    let sent = senders.sent();
    let (missing, half) = compare(&server, &sent);
    let by = |stow| sent.values().filter(|fate| fate.is_acknowledged && fate.is_stow == stow).count();
    println!(
        "{done} kills, {} sent, {} acknowledged by C-STORE and {} by STOW-RS, {} missing, {} half-visible",
        sent.len(),
        by(false),
        by(true),
        missing.len(),
        half.len()
    );
    assert!(by(false) > 0 && by(true) > 0, "a door acknowledged nothing");
    assert!(missing.is_empty(), "acknowledged and missing: {missing:?}");
    assert!(half.is_empty(), "half-visible: {half:?}");
}

/// Retrieves everything: acknowledged instances that are not there whole, and visible ones that are not what was sent.
fn compare(server: &Server, sent: &Sent) -> (Vec<u32>, Vec<String>) {
    let mut visible = BTreeMap::new();
    let mut half = Vec::new();
    for study in 0..STUDIES {
        let path = format!("/dicom-web/studies/2.25.{}", study + 1);
        let answer = server.get_as(&path, "multipart/related; type=\"application/dicom\"; transfer-syntax=*");
        if answer.status == 404 {
            continue;
        }
        assert_eq!(answer.status, 200, "{path}");
        let boundary =
            answer.header("content-type").split("boundary=").nth(1).unwrap().trim_matches('"').to_owned();
        let listed = server.get(&format!("{path}/instances?includefield=00080018")).json();
        let listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|row| row["00080018"]["Value"][0].to_string()).collect();
        for (_, file) in split_parts(&answer.body, &boundary) {
            let number = number_of(data_set_of(&file));
            if data_set_of(&file) != object(number).data_set()
                || !listed.contains(&format!("\"{}\"", object(number).instance))
            {
                half.push(object(number).instance);
            }
            visible.insert(number, ());
        }
        if listed.len() != visible.range(..).filter(|(n, ())| *n % STUDIES == study).count() {
            half.push(format!("study {study}: {} in the index", listed.len()));
        }
    }
    let files = files_below(&server.data_dir().join("instances")).len();
    if files != visible.len() {
        half.push(format!("{files} files for {} instances", visible.len()));
    }
    let missing = sent.iter().filter(|(n, fate)| fate.is_acknowledged && !visible.contains_key(n));
    (missing.map(|(n, _)| *n).collect(), half)
}
