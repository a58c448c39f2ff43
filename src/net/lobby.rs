use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::limits;
use tokio_util::sync::CancellationToken;

/// The connections that have no association: at most [`limits::UNASSOCIATED_CONNECTIONS`], the oldest makes way for the newest.
///
/// So nobody can keep others out by opening connections and saying nothing.
#[derive(Default)]
pub(crate) struct Lobby {
    waiting: Mutex<BTreeMap<u64, CancellationToken>>,
}

/// The place of one connection, given up when dropped.
pub(crate) struct Place {
    lobby: Arc<Lobby>,
    number: u64,
    /// Cancelled when the connection is to be closed: it must make way, or the process is stopping.
    pub(crate) leave: CancellationToken,
}

impl Lobby {
    /// Takes a place; `number` counts connections.
    pub(crate) fn enter(self: &Arc<Self>, number: u64, shutdown: &CancellationToken) -> Place {
        let leave = shutdown.child_token();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(number, leave.clone());
        if waiting.len() > limits::UNASSOCIATED_CONNECTIONS
            && let Some((_, oldest)) = waiting.pop_first()
        {
            oldest.cancel();
        }
        Place { lobby: Arc::clone(self), number, leave }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lobby.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_way() {
        let (lobby, shutdown) = (Arc::new(Lobby::default()), CancellationToken::new());
        let mut places: Vec<Place> = (0..limits::UNASSOCIATED_CONNECTIONS as u64)
            .map(|number| lobby.enter(number, &shutdown))
            .collect();
        assert!(places.iter().all(|place| !place.leave.is_cancelled()));
        places.remove(0);
        places.push(lobby.enter(1000, &shutdown));
        assert!(!places[0].leave.is_cancelled());
        let newest = lobby.enter(1001, &shutdown);
        assert!(places[0].leave.is_cancelled() && !places[1].leave.is_cancelled());
        shutdown.cancel();
        assert!(newest.leave.is_cancelled());
    }
}
