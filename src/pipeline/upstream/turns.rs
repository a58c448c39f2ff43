use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::StudyInstanceUid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who fetches which study: one at a time each, so that who comes second finds what the first has fetched.
#[derive(Debug, Default, Clone)]
pub(super) struct Turns {
    studies: Arc<Mutex<HashMap<StudyInstanceUid, Place>>>,
}

#[derive(Debug)]
struct Place {
    semaphore: Arc<Semaphore>,
    /// Those that have their turn or wait for it.
    users: usize,
}

/// A place in the queue for a study; the study is forgotten with the last one.
struct Queued {
    turns: Turns,
    study: StudyInstanceUid,
}

/// The turn for a study. It ends when this is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _queued: Queued,
}

impl Turns {
    /// Waits for the turn. Cancel safe.
    pub(super) async fn take(&self, study: &StudyInstanceUid) -> Turn {
        let semaphore = {
            let mut studies = self.studies.lock().unwrap_or_else(PoisonError::into_inner);
            let place = studies
                .entry(study.clone())
                .or_insert_with(|| Place { semaphore: Arc::new(Semaphore::new(1)), users: 0 });
            place.users += 1;
            Arc::clone(&place.semaphore)
        };
        let queued = Queued { turns: self.clone(), study: study.clone() };
        let permit = semaphore.acquire_owned().await.expect("the semaphore is never closed");
        Turn { _permit: permit, _queued: queued }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut studies = self.turns.studies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = studies.get_mut(&self.study) {
            place.users -= 1;
            if place.users == 0 {
                studies.remove(&self.study);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_study_and_nothing_is_left() {
        let turns = Turns::default();
        let [first, second] = ["1.1", "1.2"].map(|uid| StudyInstanceUid::lenient(uid).unwrap());
        let turn = turns.take(&first).await;
        let other = turns.take(&second).await;
        assert!(turns.take(&first).now_or_never().is_none(), "who gives up leaves the queue");
        let mut waiting = Box::pin(turns.take(&first));
        assert!((&mut waiting).now_or_never().is_none());
        drop(turn);
        let turn = waiting.await;
        drop((turn, other));
        assert!(turns.studies.lock().unwrap().is_empty());
    }
}
