use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The connections that have no association, not yet or no longer: when there are too many, the one that has been here for longest
/// makes way.
///
/// So nobody can keep others out, or use up the file descriptors, by opening connections and saying nothing, or by never closing
/// them.
pub(crate) struct Lobby {
    places: usize,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    next: u64,
    by_arrival: BTreeMap<u64, CancellationToken>,
}

/// The place of one connection, given up when dropped.
pub(crate) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
    shutdown: CancellationToken,
    /// Cancelled when the connection is to be closed: it must make way, or the process is stopping.
    pub(crate) leave: CancellationToken,
}

impl Lobby {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, guests: Mutex::default() })
    }

    /// Takes a place.
    pub(crate) fn enter(self: &Arc<Self>, shutdown: &CancellationToken) -> Place {
        let leave = shutdown.child_token();
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.by_arrival.insert(number, leave.clone());
        if guests.by_arrival.len() > self.places
            && let Some((_, oldest)) = guests.by_arrival.pop_first()
        {
            oldest.cancel();
        }
        Place { lobby: Arc::clone(self), number, shutdown: shutdown.clone(), leave }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives the place up; the lobby, to enter it again.
    pub(crate) fn vacate(self) -> Arc<Lobby> {
        Arc::clone(&self.lobby)
    }

    /// Waits until the connection cannot wait any longer for its peer to close: at once when it must make way, and with a moment for
    /// our last PDU to arrive when the process is stopping.
    pub(crate) async fn must_close(&self) {
        self.leave.cancelled().await;
        if self.shutdown.is_cancelled() {
            tokio::time::sleep(LAST_WORDS).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.guests().by_arrival.remove(&self.number);
    }
}

/// How long the last PDU may take to reach a peer when the process is stopping.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_been_here_for_longest_makes_way() {
        let (lobby, shutdown) = (Lobby::new(3), CancellationToken::new());
        let mut places: Vec<Place> = (0..3).map(|_| lobby.enter(&shutdown)).collect();
        assert!(places.iter().all(|place| !place.leave.is_cancelled()));
        let back = places.remove(0).vacate().enter(&shutdown);
        assert!(!places[0].leave.is_cancelled(), "who left takes no place");
        let newest = lobby.enter(&shutdown);
        assert!(places[0].leave.is_cancelled() && !places[1].leave.is_cancelled());
        assert!(!back.leave.is_cancelled(), "who comes back comes last");
        shutdown.cancel();
        assert!(newest.leave.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_moment_for_last_words_only_when_stopping() {
        let (lobby, shutdown) = (Lobby::new(1), CancellationToken::new());
        let oldest = lobby.enter(&shutdown);
        let newest = lobby.enter(&shutdown);
        let start = tokio::time::Instant::now();
        oldest.must_close().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        shutdown.cancel();
        newest.must_close().await;
        assert_eq!(start.elapsed(), LAST_WORDS);
    }
}
