//! What waits to be sent, shared by the senders.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::limits;
use pipeline::{StoredInstance, Transcoded};
use tokio::sync::Notify;

use crate::end::End;
use crate::error::Error;
use crate::scu::alternatives::Kind;
use crate::scu::queue::kind;

/// Instances in their order, and who sends them. No lock is held across an await.
pub(super) struct Work {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    waiting: VecDeque<Waiting>,
    /// Nothing more comes.
    is_complete: bool,
    /// Claims that are not settled.
    claimed: usize,
    /// Senders that still try.
    senders: usize,
    /// Instances that the peer let wait for too long since its last answer.
    silences: usize,
    /// Nothing is sent any more, for this reason.
    given_up: Option<Arc<Error>>,
}

/// An instance to be sent.
pub(super) struct Job {
    pub(super) instance: StoredInstance,
    /// What was made of it because the peer does not take it as it is.
    pub(super) copy: Option<Transcoded>,
}

impl From<StoredInstance> for Job {
    fn from(instance: StoredInstance) -> Self {
        Self { instance, copy: None }
    }
}

struct Waiting {
    job: Job,
    /// An association was lost with it.
    was_lost: bool,
}

/// What a sender gets when it asks for the next instance.
pub(super) enum Claimed {
    Job(Box<Claim>),
    /// The next one is of a kind that the sender's association does not serve.
    OtherKind,
    /// There is nothing left, or nothing is sent any more.
    Nothing,
}

/// An instance that one sender has taken; dropped without being settled, it waits again.
pub(super) struct Claim {
    work: Arc<Work>,
    waiting: Option<Waiting>,
}

/// One sender, for as long as it tries.
pub(super) struct Present {
    work: Arc<Work>,
    has_left: bool,
}

impl Work {
    pub(super) fn new(senders: usize) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            is_complete: false,
            claimed: 0,
            senders,
            silences: 0,
            given_up: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// Adds instances once fewer than a page of them wait; gives them back when nothing is sent any more.
    pub(super) async fn push(
        &self,
        instances: Vec<StoredInstance>,
    ) -> Result<(), (Vec<StoredInstance>, Arc<Error>)> {
        let mut instances = Some(instances);
        self.until(|state| {
            if let Some(error) = &state.given_up {
                return Some(Err((instances.take().unwrap_or_default(), Arc::clone(error))));
            }
            if state.waiting.len() >= limits::PAGE_ROWS as usize {
                return None;
            }
            let added = instances.take().unwrap_or_default().into_iter();
            state.waiting.extend(added.map(|instance| Waiting { job: instance.into(), was_lost: false }));
            Some(Ok(()))
        })
        .await?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Nothing more comes.
    pub(super) fn complete(&self) {
        self.change(|state| state.is_complete = true);
    }

    /// Waits for instances; the kinds of those that wait, that of the next one first. `None` when there is nothing left to do.
    pub(super) async fn kinds(&self) -> Option<Vec<Kind>> {
        self.until(|state| {
            if state.given_up.is_some() {
                return Some(None);
            }
            if state.waiting.is_empty() {
                return state.is_complete.then_some(None);
            }
            let mut seen = HashSet::new();
            let kinds = state.waiting.iter().map(|waiting| kind(&waiting.job.instance));
            Some(Some(kinds.filter(|kind| seen.insert(kind.clone())).collect()))
        })
        .await
    }

    /// Takes the next instance; waits for one.
    pub(super) async fn claim(self: &Arc<Self>, serves: impl Fn(&Kind) -> bool) -> Claimed {
        let claimed = self.until(|state| {
            if state.given_up.is_some() {
                return Some(Claimed::Nothing);
            }
            let Some(next) = state.waiting.front() else {
                return state.is_complete.then_some(Claimed::Nothing);
            };
            if !serves(&kind(&next.job.instance)) {
                return Some(Claimed::OtherKind);
            }
            state.claimed += 1;
            Some(Claimed::Job(Box::new(Claim { work: Arc::clone(self), waiting: state.waiting.pop_front() })))
        });
        let claimed = claimed.await;
        // There is room for others.
        self.changed.notify_waiters();
        claimed
    }

    /// Waits until everything is settled.
    pub(super) async fn done(&self) {
        self.until(|state| state.is_done().then_some(())).await;
    }

    /// Notes that the peer let an instance wait for too long; all that is left when it has done so too often.
    pub(super) fn silence(&self, error: &Arc<Error>) -> Vec<Job> {
        self.change(|state| {
            state.silences += 1;
            if state.silences >= limits::FAILURES_IN_A_ROW { state.give_up(error) } else { Vec::new() }
        })
    }

    /// Looks again after each change until `look` finds something.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let found = look(&mut self.lock());
            match found {
                Some(found) => return found,
                None => changed.await,
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.given_up.is_some() || (self.is_complete && self.waiting.is_empty() && self.claimed == 0)
    }

    fn give_up(&mut self, error: &Arc<Error>) -> Vec<Job> {
        self.given_up.get_or_insert_with(|| Arc::clone(error));
        self.waiting.drain(..).map(|waiting| waiting.job).collect()
    }
}

impl Claim {
    /// What is to be sent.
    pub(super) fn job(&mut self) -> &mut Job {
        // There is one until it is settled, which takes the claim.
        &mut self.waiting.as_mut().expect("the claim is not settled").job
    }

    /// Whether an association was lost with it before.
    pub(super) fn was_lost(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.was_lost)
    }

    /// Whether the instance has another chance, now that an association was lost with it.
    pub(super) fn may_try_again(&mut self) -> bool {
        let is_over = self.work.lock().given_up.is_some();
        !is_over
            && self.waiting.as_mut().is_some_and(|waiting| !std::mem::replace(&mut waiting.was_lost, true))
    }

    /// The peer has answered.
    pub(super) fn answered(self) -> Job {
        self.work.lock().silences = 0;
        self.settle()
    }

    /// The instance will be reported: it is not to be sent again.
    pub(super) fn settle(mut self) -> Job {
        let waiting = self.waiting.take().expect("the claim is not settled");
        self.work.change(|state| state.claimed = state.claimed.saturating_sub(1));
        waiting.job
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.work.change(|state| {
                state.claimed = state.claimed.saturating_sub(1);
                state.waiting.push_front(waiting);
            });
        }
    }
}

impl Present {
    pub(super) fn new(work: &Arc<Work>) -> Self {
        Self { work: Arc::clone(work), has_left: false }
    }

    /// Leaves what waits to the others. The last one to leave gets it, to be given up.
    pub(super) fn leave(mut self, error: Arc<Error>) -> (Vec<Job>, Arc<Error>) {
        self.has_left = true;
        let left = self.work.change(|state| {
            state.senders = state.senders.saturating_sub(1);
            if state.senders == 0 { state.give_up(&error) } else { Vec::new() }
        });
        (left, error)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        self.work.change(|state| {
            state.senders = state.senders.saturating_sub(1);
            if state.senders == 0 && !state.is_done() {
                // All have ended before their work has, which they do only by a panic. What waits is never told of.
                drop(state.give_up(&Arc::new(Error::Lost(End::Panicked))));
            }
        });
    }
}
