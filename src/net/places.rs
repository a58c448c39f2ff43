use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use model::PeerName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;

/// The associations that may be open at once: of all callers together, and of each peer that has a limit of its own.
pub(crate) struct Places {
    all: Limit,
    by_peer: HashMap<PeerName, Limit>,
}

struct Limit {
    most: usize,
    free: Arc<Semaphore>,
}

/// Counts an association; given back when dropped.
pub(crate) struct Taken {
    _all: OwnedSemaphorePermit,
    _of_peer: Option<OwnedSemaphorePermit>,
}

/// There is no place, and whose places these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Full {
    peer: Option<PeerName>,
    most: usize,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Self {
        let limits = config
            .peers
            .iter()
            .filter_map(|peer| Some((peer.name.clone(), Limit::new(peer.as_caller.max_associations?))));
        Self { all: Limit::new(config.max_associations), by_peer: limits.collect() }
    }

    /// Takes a place for a caller, which is this peer, or none that we know.
    pub(crate) fn take(&self, peer: Option<&PeerName>) -> Result<Taken, Full> {
        let own = peer.and_then(|name| self.by_peer.get(name));
        let _of_peer = match own {
            Some(limit) => Some(limit.take().ok_or_else(|| Full { peer: peer.cloned(), most: limit.most })?),
            None => None,
        };
        let _all = self.all.take().ok_or(Full { peer: None, most: self.all.most })?;
        Ok(Taken { _all, _of_peer })
    }
}

impl Limit {
    fn new(most: usize) -> Self {
        Self { most, free: Arc::new(Semaphore::new(most)) }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("max_associations")?;
        if let Some(peer) = &self.peer {
            write!(f, " of [peer.{peer}]")?;
        }
        write!(f, ", {}, are open", self.most)
    }
}
