//! The associations that the couriers of one destination share.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use net::scu::{AFTERMATH, Heard, Kind, MAX_KINDS, Settings, StoreAssociation, Target, proposal};
use net::{End, Error, Wait};
use pipeline::Waiting;
use telemetry::Telemetry;
use tokio::sync::{Mutex as Door, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

use super::census::{Census, Counted};

/// Associations with one peer: as many as there are places, which are fewer for a while when the peer takes no more.
///
/// A peer that serves one association after the other lets a further one wait without a word, and a full one rejects it. While there
/// is another association, neither means that the peer is down: the couriers take turns.
pub(super) struct Pool {
    width: usize,
    target: Target,
    settings: Settings,
    telemetry: Telemetry,
    places: Semaphore,
    /// Associations are made one after the other: how the one before ended is known, and counts for those that waited.
    door: Door<Option<Failure>>,
    census: Census,
    state: Mutex<State>,
}

/// Why no association was made.
struct Failure {
    at: Instant,
    reason: String,
}

struct State {
    /// Open and not in use; the one that was used last stands last.
    idle: Vec<Kept>,
    /// What associations were proposed for.
    known: Vec<Kind>,
    /// Couriers that may want an association.
    awake: usize,
    /// Places that were taken away, when the next one is given back, and for how long the next one is taken.
    narrowed: usize,
    wider_at: Instant,
    pause: Duration,
}

/// An open association.
struct Kept {
    association: StoreAssociation,
    since: Instant,
    was_used: bool,
    _counted: Counted,
}

/// An association in use by one courier. Dropped, it is closed without a word.
pub(super) struct Held<'p> {
    pool: &'p Pool,
    kept: Kept,
    _place: SemaphorePermit<'p>,
}

/// Counts a courier as awake.
pub(super) struct Awake(Arc<Pool>);

impl Pool {
    pub(super) fn new(
        mut target: Target,
        settings: Settings,
        associations: NonZeroUsize,
        telemetry: Telemetry,
    ) -> Arc<Self> {
        // One instance after the other goes over each.
        target.terms.ahead = 0;
        let width = associations.get();
        let state = State {
            idle: Vec::new(),
            known: Vec::new(),
            awake: 0,
            narrowed: 0,
            wider_at: Instant::now(),
            pause: FIRST_PAUSE,
        };
        Arc::new(Self {
            width,
            target,
            settings,
            telemetry,
            places: Semaphore::new(width),
            door: Door::default(),
            census: Census::default(),
            state: Mutex::new(state),
        })
    }

    /// Notes that a courier may want an association from now on.
    pub(super) fn wake(self: &Arc<Self>) -> Awake {
        self.state().awake += 1;
        Awake(Arc::clone(self))
    }

    /// An association that was proposed for this kind: one that is there, or a new one, which is proposed for all that waits as well.
    ///
    /// Waits while the others use all that the peer takes.
    ///
    /// # Errors
    /// There is no association and none can be made, for this reason.
    pub(super) async fn association(&self, kind: &Kind, waiting: &dyn Waiting) -> Result<Held<'_>, String> {
        loop {
            let place = self.place().await;
            let kept = match self.idle(kind).await {
                Some(kept) => Ok(kept),
                None => self.make(kind, waiting).await,
            };
            match kept {
                Ok(kept) => return Ok(Held { pool: self, kept, _place: place }),
                Err(_) if self.census.open() > 0 => self.narrow(place),
                Err(reason) => {
                    self.state().widen_fully(&self.places);
                    return Err(reason);
                }
            }
        }
    }

    /// Closes what the couriers that are awake do not need. When none is, the peer has no association of ours that could keep it from
    /// taking another one: what was learned of it is forgotten.
    pub(super) async fn let_go(&self) {
        loop {
            let needed = self.state().awake;
            if self.census.open() <= needed || !self.close_one().await {
                break;
            }
        }
        let mut state = self.state();
        if state.awake == 0 {
            state.known.clear();
            state.widen_fully(&self.places);
        }
    }

    /// Closes what is not in use.
    pub(super) async fn clear(&self) {
        while self.close_one().await {}
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.state().widen(&self.places);
        self.places.acquire().await.expect("the semaphore is never closed")
    }

    /// An association that is not in use, was proposed for this kind and still stands.
    async fn idle(&self, kind: &Kind) -> Option<Kept> {
        loop {
            let mut kept = self.state().take(kind, &self.target)?;
            if kept.association.is_open().await {
                return Some(kept);
            }
        }
    }

    /// Closes the association that has not been used for longest; whether there was one.
    async fn close_one(&self) -> bool {
        let Some(kept) = self.state().take_oldest() else { return false };
        kept.association.close().await;
        true
    }

    /// Makes an association, or takes one that became free while others were made.
    async fn make(&self, kind: &Kind, waiting: &dyn Waiting) -> Result<Kept, String> {
        let asked = Instant::now();
        let mut last_failure = self.door.lock().await;
        if let Some(kept) = self.idle(kind).await {
            return Ok(kept);
        }
        if let Some(failure) = last_failure.as_ref().filter(|failure| failure.at > asked) {
            return Err(failure.reason.clone());
        }
        // Of those that are there, none serves this kind: the new one takes the place of one.
        self.close_one().await;
        match self.open_for(kind, waiting).await {
            Ok(association) => {
                let counted = self.census.count();
                if self.census.open() > 1 {
                    self.state().pause = FIRST_PAUSE;
                }
                Ok(Kept { association, since: Instant::now(), was_used: false, _counted: counted })
            }
            Err(error) => {
                let reason = error.explain();
                if self.census.open() > 0 {
                    let pause = self.state().double_pause();
                    tracing::info!(reason, ?pause, "the peer takes no further association at present");
                }
                *last_failure = Some(Failure { at: Instant::now(), reason: reason.clone() });
                Err(reason)
            }
        }
    }

    /// Opens an association that serves a kind, if the peer lets it: where it refused all that it was asked for, it is asked once more, now
    /// that this is known.
    async fn open_for(&self, kind: &Kind, waiting: &dyn Waiting) -> Result<StoreAssociation, Error> {
        let association = self.open_once(kind, waiting, None).await?;
        if association.settles(kind, &self.target) {
            return Ok(association);
        }
        let (heard, counted) = (association.heard(), self.census.count());
        association.close().await;
        drop(counted);
        self.open_once(kind, waiting, heard).await
    }

    async fn open_once(
        &self,
        kind: &Kind,
        waiting: &dyn Waiting,
        heard: Option<Heard>,
    ) -> Result<StoreAssociation, Error> {
        let known = self.state().known(kind, waiting);
        let kinds = proposal(&known, |kind| self.target.said_or(heard.as_ref(), kind));
        let association = self.open(&kinds).await?;
        tracing::debug!(proposed = kinds.len(), "association opened");
        Ok(association)
    }

    async fn open(&self, kinds: &[Kind]) -> Result<StoreAssociation, Error> {
        loop {
            let opening = StoreAssociation::open(&self.target, &self.settings, &self.telemetry, kinds);
            let opened = tokio::select! {
                opened = opening => opened,
                () = self.others_suffice() => Err(Error::Association(End::TimedOut(Wait::Message))),
            };
            match opened {
                // It may still count the association that we closed a moment ago.
                Err(error) if error.is_full() && self.census.has_closed_within(AFTERMATH) => {
                    sleep(AFTERMATH / 10).await;
                }
                opened => return opened,
            }
        }
    }

    /// Waits until the peer has had time enough for a further association beside another. Never ends where there is no other.
    async fn others_suffice(&self) {
        sleep(PATIENCE).await;
        if self.census.open() == 0 {
            std::future::pending().await
        }
    }

    /// Has the peer asked for this kind on the next association, whatever it said last time.
    pub(super) fn ask_again(&self, kind: &Kind) {
        self.target.ask_again(kind);
    }

    /// Takes a place away for a while. There is always one left.
    fn narrow(&self, place: SemaphorePermit<'_>) {
        let mut state = self.state();
        if state.narrowed + 1 < self.width {
            place.forget();
            state.narrowed += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, kind: &Kind, target: &Target) -> Option<Kept> {
        let at = self.idle.iter().rposition(|kept| kept.serves(kind, target))?;
        Some(self.idle.remove(at))
    }

    fn take_oldest(&mut self) -> Option<Kept> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0))
    }

    /// This kind, those that wait, and those that were sent before.
    fn known(&mut self, kind: &Kind, waiting: &dyn Waiting) -> Vec<Kind> {
        let mut seen = HashSet::new();
        let known = std::mem::take(&mut self.known);
        let kinds = std::iter::once(kind.clone()).chain(waiting.kinds()).chain(known);
        self.known = kinds.filter(|kind| seen.insert(kind.clone())).take(MAX_KINDS).collect();
        self.known.clone()
    }

    /// Notes that the peer took no further association; for how long it is asked for none.
    fn double_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.wider_at = Instant::now() + pause;
        self.pause = (pause * 2).min(LAST_PAUSE);
        pause
    }

    /// Gives a place back that was taken away for long enough.
    fn widen(&mut self, places: &Semaphore) {
        if self.narrowed > 0 && self.wider_at <= Instant::now() {
            self.narrowed -= 1;
            self.wider_at = Instant::now() + self.pause;
            places.add_permits(1);
        }
    }

    /// Gives back all places that were taken away.
    fn widen_fully(&mut self, places: &Semaphore) {
        places.add_permits(std::mem::take(&mut self.narrowed));
        self.pause = FIRST_PAUSE;
    }
}

impl Kept {
    /// Whether the peer takes this kind or what it can be transcoded into. What it did not take a while ago it is asked for again: it
    /// may have learned.
    fn serves(&self, kind: &Kind, target: &Target) -> bool {
        self.association.settles(kind, target)
            && (self.association.takes(kind) || self.since.elapsed() < REFUSAL_KEPT)
    }
}

impl Held<'_> {
    pub(super) fn association(&mut self) -> &mut StoreAssociation {
        &mut self.kept.association
    }

    /// Whether it was kept from something before.
    pub(super) fn was_used(&self) -> bool {
        self.kept.was_used
    }

    /// Leaves the association to whoever comes next.
    pub(super) fn keep(self) {
        let Self { pool, mut kept, _place } = self;
        kept.was_used = true;
        pool.state().idle.push(kept);
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.state().awake -= 1;
    }
}

/// How long a peer may take for a further association before the couriers make do with those that are there.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long they make do; after that a further one is tried, and the time doubles where it fails again.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LAST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long a peer's refusal of a kind is taken for granted.
const REFUSAL_KEPT: Duration = Duration::from_secs(60);

#[cfg(test)]
impl Pool {
    pub(super) fn places_left(&self) -> usize {
        self.places.available_permits()
    }
}
