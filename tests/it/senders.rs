//! Senders for tests that kill the server: over both doors, as fast as it takes instances, keeping account of what was acknowledged.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::harness::{Server, find};
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object};

/// Instances by number.
pub(crate) type Sent = BTreeMap<u32, Fate>;

#[derive(Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) is_stow: bool,
    pub(crate) is_acknowledged: bool,
}

/// Senders that run between [`Senders::start`] and [`Senders::stop`].
#[derive(Default)]
pub(crate) struct Senders {
    next: Arc<AtomicU32>,
    sent: Arc<Mutex<Sent>>,
    round: Option<Arc<Round>>,
    threads: Vec<JoinHandle<()>>,
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

impl Senders {
    /// Begins a round.
    pub(crate) fn start(&mut self, server: &Server) {
        let round = Arc::new(Round {
            dimse: server.dimse,
            web: server.web,
            next: self.next.clone(),
            sent: self.sent.clone(),
            is_dying: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        self.threads = (0..SENDERS)
            .map(|sender| {
                let round = round.clone();
                std::thread::spawn(move || if sender == 0 { round.stow() } else { round.store() })
            })
            .collect();
        self.round = Some(round);
    }

    /// From here on connections may break.
    pub(crate) fn expect_death(&self) {
        self.round.as_ref().expect("a round").is_dying.store(true, Ordering::SeqCst);
    }

    /// Ends the round.
    pub(crate) fn stop(&mut self) {
        self.round.take().expect("a round").stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|sender| sender.join().unwrap());
    }

    /// How many instances were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.sent().values().filter(|fate| fate.is_acknowledged).count() as u32
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap()
    }
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
        let n = self.next.fetch_add(1, Ordering::Relaxed) + 1;
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

/// Instance `n`; sizes differ so that kills fall into writes as well as into syncs and commits, and into uploads in parts.
pub(crate) fn object(n: u32) -> Object {
    let mut object = Object::new(n % STUDIES + 1, n % 7 + 1, n);
    object.pixel_bytes = match n % 199 {
        60 => 7 << 20,
        _ => [2_048, 32_768, 8_192, 262_144][n as usize % 4],
    };
    object.fill = (n % 251) as u8;
    object
}

/// Which instance a data set is.
pub(crate) fn number_of(data_set: &[u8]) -> u32 {
    let uid = find(data_set, b"\x08\x00\x18\x00UI").expect("a SOP Instance UID") + 8;
    let text = String::from_utf8_lossy(&data_set[uid..uid + 32]).into_owned();
    let digits = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap();
    digits.rsplit('.').next().unwrap().parse().unwrap()
}

/// A number from the environment, for a longer run.
pub(crate) fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// The next of a row of numbers without an order to be seen.
pub(crate) fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const SENDERS: u32 = 5;
/// Instances belong to so many studies.
pub(crate) const STUDIES: u32 = 10;
