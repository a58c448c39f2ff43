//! Kills the real binary at random moments while it receives: what it acknowledged must be there, and nothing by halves.
//!
//! `GANTRY_KILLS=200 GANTRY_KILL_ACKNOWLEDGED=20000 cargo test --release --test it kill::` is the long run.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Server, files_below, split_parts};
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object, data_set_of};

/// Instances by number.
type Sent = BTreeMap<u32, Fate>;

#[derive(Clone, Copy)]
struct Fate {
    is_stow: bool,
    is_acknowledged: bool,
}

/// What the senders share between two kills.
struct Round {
    dimse: SocketAddr,
    web: SocketAddr,
    next: Arc<AtomicU32>,
    sent: Arc<Mutex<Sent>>,
    /// The kill is about to happen or has: connections may break from here on.
    is_dying: AtomicBool,
    stop: AtomicBool,
}

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
        let round = Arc::new(Round {
            dimse: server.dimse,
            web: server.web,
            next: next.clone(),
            sent: sent.clone(),
            is_dying: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let round = round.clone();
                std::thread::spawn(move || if sender == 0 { round.stow() } else { round.store() })
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
        round.is_dying.store(true, Ordering::SeqCst);
        server.kill();
        round.stop.store(true, Ordering::SeqCst);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        server.start_again();
        done += 1;
    }
    let sent = sent.lock().unwrap();
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

impl Round {
    fn store(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let mut scu = match Scu::associate(self.dimse, &[(CT, &[EXPLICIT])]) {
                Ok(scu) => scu,
                Err(refusal) => return self.broken(&refusal),
            };
            while !self.stop.load(Ordering::SeqCst) {
                let (n, object) = self.begin(false);
                match scu.store(1, CT, &object.instance, &object.data_set()) {
                    Ok(response) => assert_eq!(response.status(), 0),
                    Err(error) => return self.broken(&error),
                }
                self.acknowledge(n);
            }
        }
    }

    fn stow(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let (n, object) = self.begin(true);
            let mut body = b"--part\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
            body.extend(object.file());
            body.extend(b"\r\n--part--\r\n");
            let answer = ureq::post(format!("http://{}/dicom-web/studies", self.web))
                .header("content-type", "multipart/related; type=\"application/dicom\"; boundary=part")
                .send(&body);
            match answer {
                Ok(answer) => assert_eq!(answer.status(), 200),
                Err(ureq::Error::StatusCode(status)) => panic!("HTTP status {status} from STOW-RS"),
                Err(error) => return self.broken(&error),
            }
            self.acknowledge(n);
        }
    }

    fn begin(&self, is_stow: bool) -> (u32, Object) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.sent.lock().unwrap().insert(n, Fate { is_stow, is_acknowledged: false });
        (n, object(n))
    }

    fn acknowledge(&self, n: u32) {
        self.sent.lock().unwrap().get_mut(&n).unwrap().is_acknowledged = true;
    }

    /// Only a kill excuses what ended a connection.
    fn broken(&self, error: &dyn Debug) {
        assert!(self.is_dying.load(Ordering::SeqCst), "the server lives, but: {error:?}");
    }
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
    sent.lock().unwrap().values().filter(|fate| fate.is_acknowledged).count() as u32
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
