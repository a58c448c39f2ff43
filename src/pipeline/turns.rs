use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::Error;
use crate::pulse::Pulse;

/// The turns at transcoding, [`limits::TRANSCODED_AT_ONCE`] of them, and how the work of each goes on.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Taken>>,
    patience: Duration,
}

#[derive(Debug)]
struct Taken {
    /// What is transcoded.
    sha256: [u8; 32],
    pulse: Arc<Pulse>,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    pulse: Arc<Pulse>,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    /// With so much patience for work that does not go on.
    pub(crate) fn new(patience: Duration) -> Self {
        let free = Arc::new(Semaphore::new(limits::TRANSCODED_AT_ONCE));
        Self { free, taken: Mutex::default(), patience }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits for a turn for what has this SHA-256. Cancel safe.
    ///
    /// # Errors
    /// [`Error::NoTurn`] as soon as all turns are kept by work that stands still, and after [`limits::TURN_TIMEOUT`]; at once where work on
    /// the same stands still, which would take one turn after the other.
    pub(crate) async fn take(self: &Arc<Self>, sha256: [u8; 32]) -> Result<Turn, Error> {
        if self.taken().iter().any(|one| one.sha256 == sha256 && self.stands_still(one)) {
            return Err(Error::NoTurn(AGAIN));
        }
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.free).acquire_owned() => permit.expect("the semaphore is never closed"),
            () = self.all_stand_still() => return Err(Error::NoTurn(STUCK)),
            () = sleep(limits::TURN_TIMEOUT) => return Err(Error::NoTurn(LATE)),
        };
        let pulse = Arc::<Pulse>::default();
        self.taken().push(Taken { sha256, pulse: Arc::clone(&pulse) });
        Ok(Turn { turns: Arc::clone(self), pulse, _permit: permit })
    }

    /// How many turns are kept by work that stands still, whether or not anybody waits for it.
    pub(crate) fn standing_still(&self) -> usize {
        self.taken().iter().filter(|one| self.stands_still(one)).count()
    }

    fn stands_still(&self, one: &Taken) -> bool {
        one.pulse.idle() >= self.patience
    }

    async fn all_stand_still(&self) {
        while self.standing_still() < limits::TRANSCODED_AT_ONCE {
            sleep(self.patience / 16).await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Of the work that is done in it.
    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.taken().retain(|one| !Arc::ptr_eq(&one.pulse, &self.pulse));
    }
}

const AGAIN: &str = "a codec has not ended yet that was given the same before";
const STUCK: &str = "each turn to transcode is kept by a codec that does not end";
const LATE: &str = "no turn to transcode came in time";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(16);

    fn reason(taken: Result<Turn, Error>) -> &'static str {
        let Err(Error::NoTurn(reason)) = taken else { panic!("not refused: {taken:?}") };
        reason
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_codecs_that_do_not_end() {
        let turns = Arc::new(Turns::new(PATIENCE));
        let (first, started) = (turns.take([1; 32]).await.unwrap(), Instant::now());
        let second = turns.take([2; 32]).await.unwrap();
        assert_eq!(turns.standing_still(), 0);
        assert_eq!(reason(turns.take([3; 32]).await), STUCK);
        let waited = started.elapsed();
        assert!(waited >= PATIENCE && waited <= PATIENCE * 9 / 8, "{waited:?}");
        assert_eq!(turns.standing_still(), limits::TRANSCODED_AT_ONCE);
        // Who comes later does not wait for the same again.
        assert_eq!(reason(turns.take([4; 32]).await), STUCK);
        assert_eq!(started.elapsed(), waited);
        drop(first);
        assert_eq!(reason(turns.take([2; 32]).await), AGAIN);
        let third = turns.take([5; 32]).await.unwrap();
        assert_eq!(turns.standing_still(), 1);
        drop((second, third));
        assert_eq!((turns.standing_still(), turns.taken().len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_while_others_go_on_but_not_for_ever() {
        let turns = Arc::new(Turns::new(PATIENCE));
        let (_stuck, works) = (turns.take([6; 32]).await.unwrap(), turns.take([7; 32]).await.unwrap());
        let started = Instant::now();
        let goes_on = async {
            loop {
                sleep(PATIENCE / 2).await;
                assert!(works.pulse().beat());
            }
        };
        tokio::select! {
            () = goes_on => (),
            taken = turns.take([8; 32]) => assert_eq!(reason(taken), LATE),
        }
        assert_eq!(started.elapsed(), limits::TURN_TIMEOUT);
        assert!(works.pulse().beat());
        let (taken, ()) = tokio::join!(turns.take([9; 32]), async {
            sleep(PATIENCE / 2).await;
            drop(works);
        });
        assert!(taken.is_ok());
    }
}
