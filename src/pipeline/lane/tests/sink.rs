use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use archive::Parcel;
use futures_util::future::BoxFuture;
use model::DestinationName;
use tokio::sync::{Notify, Semaphore};

use super::number;
use crate::tests::PATIENCE;
use crate::{Courier, Destination, Outcome, Waiting};

/// A destination in memory.
#[derive(Clone)]
pub(super) struct Sink(Arc<Inner>);

struct Inner {
    name: DestinationName,
    width: usize,
    seen: Mutex<Seen>,
    mood: Mutex<Mood>,
    /// One permit for each delivery that may end, of those that [`Answer::Wait`].
    gate: Semaphore,
    changed: Notify,
}

type Mood = Box<dyn FnMut(&Parcel) -> Answer + Send>;

/// What the sink does with a parcel.
pub(super) enum Answer {
    Take,
    Wait,
    Say(Outcome),
    Panic,
}

/// What it has seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Deliveries that were begun: number of the instance and of the courier, and when.
    pub(super) begun: Vec<(u32, usize, Instant)>,
    pub(super) delivered: Vec<u32>,
    pub(super) couriers: usize,
    pub(super) rests: usize,
}

impl Sink {
    /// Takes everything at once.
    pub(super) fn new(name: &str, width: usize) -> Self {
        Self(Arc::new(Inner {
            name: DestinationName::new(name),
            width,
            seen: Mutex::default(),
            mood: Mutex::new(Box::new(|_| Answer::Take)),
            gate: Semaphore::new(0),
            changed: Notify::new(),
        }))
    }

    pub(super) fn does(&self, mood: impl FnMut(&Parcel) -> Answer + Send + 'static) {
        *self.0.mood.lock().unwrap() = Box::new(mood);
    }

    /// Lets so many waiting deliveries end.
    pub(super) fn let_go(&self, count: usize) {
        self.0.gate.add_permits(count);
    }

    /// Looks at what it has seen; the lock ends with the look.
    pub(super) fn saw<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap()
    }

    /// Waits until what it has seen is so.
    pub(super) async fn until(&self, is_so: impl Fn(&Seen) -> bool) {
        let wait = async {
            loop {
                let changed = self.0.changed.notified();
                if is_so(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the sink sees it");
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.0.changed.notify_waiters();
    }
}

pub(super) fn down() -> Answer {
    Answer::Say(Outcome::Down { reason: "nobody answers".to_owned() })
}

pub(super) fn retry() -> Answer {
    Answer::Say(Outcome::Retry { reason: "out of resources".to_owned(), after: None })
}

impl Destination for Sink {
    fn name(&self) -> &DestinationName {
        &self.0.name
    }

    fn width(&self) -> usize {
        self.0.width
    }

    fn courier(&self) -> Box<dyn Courier> {
        let mut number = 0;
        self.change(|seen| {
            number = seen.couriers;
            seen.couriers += 1;
        });
        Box::new(Carrier { sink: self.clone(), number })
    }
}

struct Carrier {
    sink: Sink,
    number: usize,
}

impl Courier for Carrier {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, _: &'a dyn Waiting) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let sink = &self.sink;
            sink.change(|seen| seen.begun.push((number(parcel), self.number, Instant::now())));
            let answer = (sink.0.mood.lock().unwrap())(parcel);
            match answer {
                Answer::Take => {}
                Answer::Wait => sink.0.gate.acquire().await.unwrap().forget(),
                Answer::Say(outcome) => return outcome,
                Answer::Panic => panic!("told to"),
            }
            sink.change(|seen| seen.delivered.push(number(parcel)));
            Outcome::Delivered { answer: "taken".to_owned(), sent: parcel.instance.sha256 }
        })
    }

    fn rest(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.sink.change(|seen| seen.rests += 1) })
    }
}
