//! Valid and hostile peers at once, for long: what is right gets the right answer all the time, and in the end the server holds what
//! it held when all of it had been met once.
//!
//! `make soak` is the long run.

mod called;
mod elsewhere;
mod hostile;
mod hostile_web;
mod peers;
mod pool;
mod valid;
mod valid_web;
mod watch;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::harness::say;
use crate::senders::{setting, xorshift};
use peers::Peers;
use pool::Pool;
use watch::{Reading, is_flat};

/// Peers at work at once.
const VALID: usize = 3;
const HOSTILE: usize = 4;
/// What a hostile peer keeps open, and for how long at most.
const HELD: usize = 12;
const HELD_FOR: Duration = Duration::from_secs(15);
/// Every act has then been done several hundred times, and the heap has met nearly all that is asked of it at once.
const LONGEST_WARM_UP: Duration = Duration::from_secs(600);

#[test]
fn memory_after_a_soak_is_that_before() {
    let length = Duration::from_secs(setting("GANTRY_SOAK_SECONDS", 15).into());
    let stage = Stage::start(length);
    let started = Instant::now();
    stage.run(length / 3, LONGEST_WARM_UP, "warming up");
    let warm = stage.quiet();
    say(&format!("soak: warm after {:?}: {warm}", started.elapsed()));
    stage.run(length, length, "soaking");
    let end = stage.quiet();
    say(&format!("soak: quiet again after {:?}: {end}\nsoak: done {}", started.elapsed(), stage.done()));
    elsewhere::assert_all_was_met(&stage);
    is_flat(&warm, &end, length).unwrap();
    assert_eq!(stage.peers.server().metric("gantry_panics_total"), 0);
    stage.assert_every_act_was_done();
}

/// The server, those around it, and what has been done to it.
struct Stage {
    peers: Peers,
    pool: Pool,
    is_over: AtomicBool,
    done: Mutex<BTreeMap<&'static str, u64>>,
    numbers: AtomicU64,
}

/// Something right, which checks its answer.
type Valid = fn(&Stage, &mut Random);
/// Something wrong; what it leaves open is closed later.
type Hostile = fn(&Stage, &mut Random) -> Option<Held>;
/// A connection that is let be for a while.
type Held = Box<dyn Send>;

impl Stage {
    fn start(length: Duration) -> Self {
        let (peers, pool) = (Peers::start(), Pool::new(length));
        pool.store_in(peers.server());
        pool.store_elsewhere(&peers.far, &peers.moved);
        let is_over = AtomicBool::new(false);
        Self { peers, pool, is_over, done: Mutex::default(), numbers: AtomicU64::new(1) }
    }

    /// Everybody at work for so long, and a line a minute.
    fn run(&self, length: Duration, most: Duration, what: &str) {
        let length = length.min(most);
        self.is_over.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            let valid = (0..VALID).map(|n| scope.spawn(move || self.work(n)));
            let hostile = (0..HOSTILE).map(|n| scope.spawn(move || self.harm(n)));
            let workers: Vec<ScopedJoinHandle<'_, ()>> = valid.chain(hostile).collect();
            let started = Instant::now();
            let mut next = Duration::ZERO;
            // A worker that ends before it is told to has failed.
            while started.elapsed() < length && !workers.iter().any(ScopedJoinHandle::is_finished) {
                if started.elapsed() >= next {
                    next += Duration::from_secs(60);
                    let (now, reading) = (started.elapsed().as_secs(), Reading::of(&self.peers));
                    say(&format!("soak: {what}, {now} s, {} acts: {reading}", self.count_of_all()));
                }
                thread::sleep(Duration::from_millis(200));
            }
            self.is_over.store(true, Ordering::SeqCst);
            for worker in workers {
                worker.join().unwrap_or_else(|failed| std::panic::resume_unwind(failed));
            }
        });
    }

    fn work(&self, worker: usize) {
        let mut random = Random::new(worker as u64);
        let acts = valid_acts();
        let mut turns = Turns { next: worker * acts.len() / VALID, left: acts.len() };
        while !self.is_over.load(Ordering::SeqCst) {
            let (name, act) = acts[turns.next(acts.len(), &mut random)];
            act(self, &mut random);
            self.count(name);
            thread::sleep(random.pause());
        }
    }

    fn harm(&self, worker: usize) {
        let mut random = Random::new(100 + worker as u64);
        let acts = hostile_acts();
        let mut turns = Turns { next: worker * acts.len() / HOSTILE, left: acts.len() };
        let mut held: Vec<(Instant, Held)> = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let (name, act) = acts[turns.next(acts.len(), &mut random)];
            held.extend(act(self, &mut random).map(|left| (Instant::now(), left)));
            held.retain(|(since, _)| since.elapsed() < HELD_FOR);
            if held.len() > HELD {
                held.remove(0);
            }
            self.count(name);
            thread::sleep(random.pause());
        }
    }

    fn count(&self, name: &'static str) {
        *self.done.lock().unwrap().entry(name).or_default() += 1;
    }

    fn count_of_all(&self) -> u64 {
        self.done.lock().unwrap().values().sum()
    }

    fn done(&self) -> String {
        let done = self.done.lock().unwrap();
        done.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    fn assert_every_act_was_done(&self) {
        let done = self.done.lock().unwrap();
        let names = valid_acts().into_iter().map(|(name, _)| name);
        let names = names.chain(hostile_acts().into_iter().map(|(name, _)| name));
        let missing: Vec<_> = names.filter(|name| !done.contains_key(name)).collect();
        assert!(missing.is_empty(), "never done: {missing:?}");
    }

    /// A number that nobody had.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn quiet(&self) -> Reading {
        watch::when_quiet(&self.peers)
    }
}

fn valid_acts() -> Vec<(&'static str, Valid)> {
    [valid::ACTS, valid_web::ACTS, elsewhere::ACTS].concat()
}

fn hostile_acts() -> Vec<(&'static str, Hostile)> {
    [hostile::ACTS, hostile_web::ACTS, elsewhere::HARM].concat()
}

/// Every act once, and from then on any.
struct Turns {
    next: usize,
    left: usize,
}

impl Turns {
    fn next(&mut self, end: usize, random: &mut Random) -> usize {
        if self.left == 0 {
            return random.below(end);
        }
        self.left -= 1;
        self.next += 1;
        self.next % end
    }
}

/// Numbers without an order to be seen, the same in each run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (seed + 1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn below(&mut self, end: usize) -> usize {
        (xorshift(&mut self.0) % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    fn of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }

    fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.below(40) as u64)
    }

    /// Turns some bytes into others.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, self.below(256) as u8),
                _ => bytes[at] = self.below(256) as u8,
            }
        }
    }
}
