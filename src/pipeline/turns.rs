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
    taken: Mutex<Vec<Arc<Pulse>>>,
    patience: Duration,
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

    /// Waits for a turn. Cancel safe.
    ///
    /// # Errors
    /// [`Error::NoTurn`] as soon as all turns are kept by work that stands still, and after [`limits::TURN_TIMEOUT`].
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Turn, Error> {
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.free).acquire_owned() => permit.expect("the semaphore is never closed"),
            () = self.all_stand_still() => return Err(Error::NoTurn(STUCK)),
            () = sleep(limits::TURN_TIMEOUT) => return Err(Error::NoTurn(LATE)),
        };
        let pulse = Arc::<Pulse>::default();
        self.taken().push(Arc::clone(&pulse));
        Ok(Turn { turns: Arc::clone(self), pulse, _permit: permit })
    }

    /// How many turns are kept by work that stands still, whether or not anybody waits for it.
    pub(crate) fn standing_still(&self) -> usize {
        self.taken().iter().filter(|pulse| pulse.idle() >= self.patience).count()
    }

    async fn all_stand_still(&self) {
        while self.standing_still() < limits::TRANSCODED_AT_ONCE {
            sleep(self.patience / 16).await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
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
        self.turns.taken().retain(|pulse| !Arc::ptr_eq(pulse, &self.pulse));
    }
}

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
        let (first, started) = (turns.take().await.unwrap(), Instant::now());
        let second = turns.take().await.unwrap();
        assert_eq!(turns.standing_still(), 0);
        assert_eq!(reason(turns.take().await), STUCK);
        let waited = started.elapsed();
        assert!(waited >= PATIENCE && waited <= PATIENCE * 9 / 8, "{waited:?}");
        assert_eq!(turns.standing_still(), limits::TRANSCODED_AT_ONCE);
        // Who comes later does not wait for the same again.
        assert_eq!(reason(turns.take().await), STUCK);
        assert_eq!(started.elapsed(), waited);
        drop(first);
        let third = turns.take().await.unwrap();
        assert_eq!(turns.standing_still(), 1);
        drop((second, third));
        assert_eq!((turns.standing_still(), turns.taken().len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_while_others_go_on_but_not_for_ever() {
        let turns = Arc::new(Turns::new(PATIENCE));
        let (_stuck, works) = (turns.take().await.unwrap(), turns.take().await.unwrap());
        let started = Instant::now();
        let goes_on = async {
            loop {
                sleep(PATIENCE / 2).await;
                assert!(works.pulse().beat());
            }
        };
        tokio::select! {
            () = goes_on => (),
            taken = turns.take() => assert_eq!(reason(taken), LATE),
        }
        assert_eq!(started.elapsed(), limits::TURN_TIMEOUT);
        assert!(works.pulse().beat());
        let (taken, ()) = tokio::join!(turns.take(), async {
            sleep(PATIENCE / 2).await;
            drop(works);
        });
        assert!(taken.is_ok());
    }
}
