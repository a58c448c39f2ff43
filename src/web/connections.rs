use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The open connections: a limited number, of which those between two requests make room for new ones.
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
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
pub(crate) struct Busy(Arc<Connection>);

impl Connections {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(limit)),
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
    /// Marks the connection as busy until the returned value is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> Busy {
        let place = self.lock().take();
        if let Some(place) = place {
            self.all.lock().tokens.remove(&place);
        }
        Busy(self.clone())
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
        self.0.set_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_connection_makes_room() {
        let connections = Connections::new(2);
        let first = connections.admit().await;
        let second = connections.admit().await;
        drop(first.begin_request());
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
        let connections = Connections::new(1);
        let only = connections.admit().await;
        let busy = only.begin_request();
        assert!(only.is_busy());
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), connections.admit()).await;
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
}
