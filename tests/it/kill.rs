//! Kills the real binary at random moments while it receives: what it acknowledged must be there, and nothing by halves.
//!
//! `GANTRY_KILLS=200 GANTRY_KILL_ACKNOWLEDGED=20000 cargo test --release --test it kill::` is the long run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Server, files_below, split_parts};
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object, data_set_of};

/// Number of an instance → whether it was acknowledged.
type Sent = BTreeMap<u32, bool>;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_visible() {
    let kills = setting("GANTRY_KILLS", 12);
    let wanted = setting("GANTRY_KILL_ACKNOWLEDGED", 600);
    let mut server = Server::start();
    let next = Arc::new(AtomicU32::new(1));
    let sent = Arc::new(Mutex::new(Sent::new()));
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut done = 0;
    while done < kills || acknowledged(&sent) < wanted {
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (next, sent, stop) = (next.clone(), sent.clone(), stop.clone());
                let (dimse, stow) = (server.dimse, sender == 0);
                let web = server.web;
                std::thread::spawn(move || {
                    if stow {
                        stow_until(web, &stop, &next, &sent)
                    } else {
                        store_until(dimse, &stop, &next, &sent)
                    }
                })
            })
            .collect();
        let enough = wanted * (done + 1) / kills;
        let pause = Duration::from_micros(xorshift(&mut random) % 120_000);
        let started = Instant::now();
        while started.elapsed() < pause
            || (acknowledged(&sent) < enough && started.elapsed() < Duration::from_secs(10))
        {
            std::thread::sleep(Duration::from_micros(500));
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        server.start_again();
        done += 1;
    }
    let sent = sent.lock().unwrap();
    let (missing, half) = compare(&server, &sent);
    println!(
        "{done} kills, {} sent, {} acknowledged, {} missing, {} half-visible",
        sent.len(),
        sent.values().filter(|acknowledged| **acknowledged).count(),
        missing.len(),
        half.len()
    );
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
    let missing = sent.iter().filter(|(n, acknowledged)| **acknowledged && !visible.contains_key(n));
    (missing.map(|(n, _)| *n).collect(), half)
}

fn store_until(server: std::net::SocketAddr, stop: &AtomicBool, next: &AtomicU32, sent: &Mutex<Sent>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut scu) = Scu::associate(server, &[(CT, &[EXPLICIT])]) else { return };
        while !stop.load(Ordering::Relaxed) {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let object = object(n);
            sent.lock().unwrap().insert(n, false);
            let Ok(response) = scu.store(1, CT, &object.instance, &object.data_set()) else { return };
            assert_eq!(response.status(), 0);
            sent.lock().unwrap().insert(n, true);
        }
    }
}

fn stow_until(web: std::net::SocketAddr, stop: &AtomicBool, next: &AtomicU32, sent: &Mutex<Sent>) {
    while !stop.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        sent.lock().unwrap().insert(n, false);
        let mut body = b"--part\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
        body.extend(object(n).file());
        body.extend(b"\r\n--part--\r\n");
        let answer = ureq::post(format!("http://{web}/dicom-web/studies"))
            .header("content-type", "multipart/related; type=\"application/dicom\"; boundary=part")
            .send(&body);
        let Ok(answer) = answer else { return };
        assert_eq!(answer.status(), 200);
        sent.lock().unwrap().insert(n, true);
    }
}

/// Instance `n`; sizes differ so that kills fall into writes as well as into syncs and commits.
fn object(n: u32) -> Object {
    let mut object = Object::new(n % STUDIES + 1, n % 7 + 1, n);
    object.pixel_bytes = [2_048, 32_768, 8_192, 262_144][n as usize % 4];
    object.fill = (n % 251) as u8;
    object
}

fn number_of(data_set: &[u8]) -> u32 {
    let uid = crate::harness::find(data_set, b"\x08\x00\x18\x00UI").expect("a SOP Instance UID") + 8;
    let text = String::from_utf8_lossy(&data_set[uid..uid + 32]).into_owned();
    let digits = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap();
    digits.rsplit('.').next().unwrap().parse().unwrap()
}

fn acknowledged(sent: &Mutex<Sent>) -> u32 {
    sent.lock().unwrap().values().filter(|acknowledged| **acknowledged).count() as u32
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const SENDERS: u32 = 5;
const STUDIES: u32 = 10;
