use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::limits;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The open connections: a limited number, of which those without a request in progress make room for new ones.
///
/// The requests in progress have a lower limit, which those for health do not count for: however slow the others are, there is a
/// place for one more of these.
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    idle: Mutex<Idle>,
    became_idle: Notify,
}

/// Connections without a request in progress, the longest idle one first.
#[derive(Default)]
struct Idle {
    tokens: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// An admitted connection. Its place is free again when it is dropped.
pub(crate) struct Connection {
    all: Arc<Connections>,
    /// Place in [`Idle::tokens`] while no request is in progress.
    idle: Mutex<Option<u64>>,
    close: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// A request in progress on a connection; dropped when its answer has been sent.
pub(crate) struct Busy {
    connection: Arc<Connection>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Connections {
    /// At most so many connections, of which so many, fewer, have a request in progress that needs a turn.
    pub(crate) fn new(connections: usize, requests: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(connections)),
            turns: Arc::new(Semaphore::new(requests)),
            idle: Mutex::default(),
            became_idle: Notify::new(),
        })
    }

    /// Waits for a place, closing the longest idle connection when there is none. Cancel safe.
    pub(crate) async fn admit(self: &Arc<Self>) -> Arc<Connection> {
        let permit = loop {
            if let Ok(permit) = self.permits.clone().try_acquire_owned() {
                break permit;
            }
            let became_idle = self.became_idle.notified();
            self.close_oldest_idle();
            tokio::select! {
                permit = self.permits.clone().acquire_owned() => {
                    break permit.expect("the semaphore is never closed");
                }
                () = became_idle => {}
            }
        };
        let connection = Arc::new(Connection {
            all: self.clone(),
            idle: Mutex::default(),
            close: CancellationToken::new(),
            _permit: permit,
        });
        connection.set_idle();
        connection
    }

    fn close_oldest_idle(&self) {
        let oldest = self.lock().tokens.pop_first();
        if let Some((_, token)) = oldest {
            token.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Begins a request when its turn has come; `None` when that takes longer than [`limits::HTTP_TURN_TIMEOUT`]. Until then the
    /// connection counts as idle. Cancel safe.
    pub(crate) async fn begin_in_turn(self: &Arc<Self>) -> Option<Busy> {
        let turn = timeout(limits::HTTP_TURN_TIMEOUT, self.all.turns.clone().acquire_owned()).await.ok()?;
        Some(self.begin(Some(turn.expect("the semaphore is never closed"))))
    }

    /// Begins a request that is answered soon whatever the peer does, and so does not wait for a turn.
    pub(crate) fn begin_at_once(self: &Arc<Self>) -> Busy {
        self.begin(None)
    }

    fn begin(self: &Arc<Self>, turn: Option<OwnedSemaphorePermit>) -> Busy {
        let place = self.lock().take();
        if let Some(place) = place {
            self.all.lock().tokens.remove(&place);
        }
        Busy { connection: self.clone(), _turn: turn }
    }

    /// Whether a request is in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.lock().is_none()
    }

    /// Completes when the connection is to make room for another.
    pub(crate) async fn asked_to_close(&self) {
        self.close.cancelled().await;
    }

    fn set_idle(&self) {
        let mut idle = self.all.lock();
        let place = idle.next;
        idle.next += 1;
        idle.tokens.insert(place, self.close.clone());
        drop(idle);
        *self.lock() = Some(place);
        self.all.became_idle.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let place = self.lock().take();
        if let Some(place) = place {
            self.all.lock().tokens.remove(&place);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.connection.set_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let connections = Connections::new(2, 1);
        let first = connections.admit().await;
        let second = connections.admit().await;
        drop(first.begin_in_turn().await);
        let admitted = {
            let admitting = connections.admit();
            tokio::pin!(admitting);
            tokio::select! {
                _ = &mut admitting => panic!("there is no place yet"),
                () = second.asked_to_close() => {}
            }
            assert!(!first.close.is_cancelled());
            drop(second);
            admitting.await
        };
        assert!(!admitted.is_busy());
    }

    #[tokio::test]
    async fn a_busy_connection_is_left_alone_until_it_is_idle() {
        let connections = Connections::new(1, 1);
        let only = connections.admit().await;
        let busy = only.begin_in_turn().await;
        assert!(busy.is_some() && only.is_busy());
        let waiting = timeout(std::time::Duration::from_millis(1), connections.admit()).await;
        assert!(waiting.is_err() && !only.close.is_cancelled());
        let admitting = connections.admit();
        tokio::pin!(admitting);
        assert!(futures_util::poll!(&mut admitting).is_pending());
        drop(busy);
        assert!(futures_util::poll!(&mut admitting).is_pending());
        assert!(only.close.is_cancelled());
        drop(only);
        admitting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_take_long_leave_a_place_for_health() {
        let connections = Connections::new(2, 1);
        let (slow, waiting) = (connections.admit().await, connections.admit().await);
        let busy = slow.begin_in_turn().await;
        assert!(waiting.begin_in_turn().await.is_none() && !waiting.is_busy());
        let asking = async {
            let health = connections.admit().await;
            let _busy = health.begin_at_once();
            health.is_busy()
        };
        let closing = async move {
            waiting.asked_to_close().await;
            drop(waiting);
        };
        let (answered, ()) = tokio::join!(asking, closing);
        assert!(answered && !slow.close.is_cancelled());
        drop(busy);
        assert!(slow.begin_in_turn().await.is_some());
    }
}
