use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who is at work on which key: two versions of an instance never write to the same name at once.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    taken: Mutex<HashSet<String>>,
    freed: Notify,
}

/// The right to a key, until dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    key: String,
}

impl Claims {
    /// Waits until nobody else is at work on `key`. Cancel safe.
    pub(crate) async fn claim(self: &Arc<Self>, key: String) -> Claim {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before the look, so that no release falls between the two.
            freed.as_mut().enable();
            if self.taken().insert(key.clone()) {
                return Claim { claims: self.clone(), key };
            }
            freed.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.taken().remove(&self.key);
        self.claims.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_has_one_holder_and_others_do_not_wait_for_it() {
        let claims = Arc::new(Claims::default());
        let first = claims.claim("a".to_owned()).await;
        let _other = claims.claim("b".to_owned()).now_or_never().expect("nobody has it");
        let mut second = Box::pin(claims.claim("a".to_owned()));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.now_or_never().expect("it is free");
        assert_eq!(second.key, "a");
        drop(second);
        assert_eq!(claims.taken().len(), 1);
    }
}
