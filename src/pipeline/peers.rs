//! What peers said last time, remembered from one association to the next and from one start to the next.

mod called;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archive::Archive;
pub use archive::peers::{Accepted, Called, Caller, Implementation, Manner, PeerKey, PeerRecord, Taken};
use model::{PeerName, SopClassUid, TransferSyntaxUid, limits};
use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What all who call peers, and are called by them, remember. Cheap to clone.
///
/// What is new is written within a second or so: a crash may lose it, and it is learned again.
#[derive(Clone)]
pub struct PeerMemory {
    archive: Archive,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    called: HashMap<PeerKey, Called>,
    /// Those of them that are to be written.
    changed: HashSet<PeerKey>,
    /// Callers that are to be written.
    callers: HashMap<PeerKey, Caller>,
}

/// What is remembered of one peer that is called in one manner. Cheap to clone.
#[derive(Clone)]
pub struct Acquaintance {
    memory: PeerMemory,
    peer: PeerKey,
    manner: Arc<Manner>,
}

/// What a peer said to a SOP class in a transfer syntax, as far as that still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It takes that.
    Takes,
    /// It does not, and is not to be asked again for a while.
    Refuses,
}

impl PeerMemory {
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive, state: Arc::default() }
    }

    /// Takes up what was remembered when the archive was last open.
    ///
    /// # Errors
    /// [`archive::Error`]; nothing is remembered then.
    pub async fn recall(&self) -> Result<(), archive::Error> {
        let records = self.archive.peers().await?;
        let called = records.into_iter().filter_map(|record| Some((record.peer, record.called?)));
        self.state().called.extend(called);
        Ok(())
    }

    /// A peer of the configuration, called in this manner.
    pub fn of(&self, peer: &PeerName, manner: Manner) -> Acquaintance {
        Acquaintance { memory: self.clone(), peer: PeerKey::named(peer), manner: Arc::new(manner) }
    }

    /// Notes a caller that was let in: as the peer of that name, where it is one.
    pub fn called_by(&self, peer: Option<&PeerName>, mut caller: Caller) {
        let key = match peer {
            Some(name) => PeerKey::named(name),
            None => PeerKey::stranger(caller.aet.as_ref(), caller.address),
        };
        caller.implementation = bounded(caller.implementation);
        let mut state = self.state();
        if key.is_stranger() && !state.callers.contains_key(&key) {
            let strangers = state.callers.keys().filter(|key| key.is_stranger()).count();
            if strangers >= usize::try_from(limits::STRANGERS).unwrap_or(usize::MAX) {
                return;
            }
        }
        state.callers.insert(key, caller);
    }

    /// Writes what is new, and forgets what a command has forgotten, until `shutdown`. What is learned after that is left to
    /// [`keep`](Self::keep).
    pub async fn run(self, shutdown: CancellationToken) {
        let mut is_failing = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = sleep(limits::LANE_TICK) => {}
            }
            let kept = self.keep().await;
            if let Err(error) = &kept
                && !is_failing
            {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "what peers said cannot be kept at present");
            }
            is_failing = kept.is_err();
        }
    }

    /// Brings mind and index together.
    ///
    /// # Errors
    /// [`archive::Error`]; what was to be written is in mind still.
    ///
    /// Cancel safety: as [`Archive::commit`]; what was being written may be lost.
    pub async fn keep(&self) -> Result<(), archive::Error> {
        let forgotten = self.archive.forgotten_peers().await?;
        if !forgotten.is_empty() {
            self.state().forget(&forgotten);
            self.archive.have_forgotten(forgotten).await?;
        }
        let (records, callers) = self.state().take_news();
        if records.is_empty() {
            return Ok(());
        }
        let changed: Vec<PeerKey> = records
            .iter()
            .filter(|record| record.called.is_some())
            .map(|record| record.peer.clone())
            .collect();
        let written = self.archive.remember_peers(records).await;
        if written.is_err() {
            let mut state = self.state();
            state.changed.extend(changed);
            for (key, caller) in callers {
                state.callers.entry(key).or_insert(caller);
            }
        }
        written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, peers: &[PeerKey]) {
        for peer in peers {
            self.called.remove(peer);
            self.changed.remove(peer);
            self.callers.remove(peer);
        }
    }

    /// What is to be written, and the callers among it.
    fn take_news(&mut self) -> (Vec<PeerRecord>, HashMap<PeerKey, Caller>) {
        let callers = std::mem::take(&mut self.callers);
        let called = std::mem::take(&mut self.changed).into_iter().filter_map(|peer| {
            let called = self.called.get(&peer)?.clone();
            Some(PeerRecord { peer, called: Some(called), caller: None })
        });
        let mut records: Vec<PeerRecord> = called.collect();
        records.extend(callers.iter().map(|(peer, caller)| PeerRecord {
            peer: peer.clone(),
            called: None,
            caller: Some(caller.clone()),
        }));
        (records, callers)
    }
}

impl Acquaintance {
    /// What the peer said to a SOP class in a transfer syntax; `None` when it was not asked, or is to be asked again.
    pub fn said(&self, kind: &(SopClassUid, TransferSyntaxUid)) -> Option<Said> {
        let state = self.memory.state();
        called::said(state.called.get(&self.peer)?, &self.manner, kind, OffsetDateTime::now_utc())
    }

    /// Notes an association that the peer accepted, and what it said to each SOP class in each transfer syntax: nothing where it took
    /// that, or else why not.
    pub fn accepted(
        &self,
        mut accepted: Accepted,
        contexts: impl IntoIterator<Item = ((SopClassUid, TransferSyntaxUid), Option<String>)>,
    ) {
        accepted.implementation = bounded(accepted.implementation);
        self.change(|called| called::learn(called, accepted, contexts));
    }

    /// Forgets what the peer said to this: it is to be asked again.
    pub fn ask_again(&self, kind: &(SopClassUid, TransferSyntaxUid)) {
        self.change(|called| drop(called.contexts.remove(kind)));
    }

    /// Notes that the peer rejected an association, in words.
    pub fn rejected(&self, words: &str) {
        let words = (OffsetDateTime::now_utc(), shortened(words, WORDS_CHARS));
        self.change(|called| called.rejected = Some(words));
    }

    /// Notes that there was no association and no answer, and why, in words.
    pub fn failed(&self, words: &str) {
        let words = (OffsetDateTime::now_utc(), shortened(words, WORDS_CHARS));
        self.change(|called| called.failed = Some(words));
    }

    fn change(&self, change: impl FnOnce(&mut Called)) {
        let mut state = self.memory.state();
        let anew = || called::unknown((*self.manner).clone());
        let called = state.called.entry(self.peer.clone()).or_insert_with(anew);
        if called.manner != *self.manner {
            *called = anew();
        }
        change(called);
        state.changed.insert(self.peer.clone());
    }
}

impl fmt::Debug for Acquaintance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acquaintance({})", self.peer)
    }
}

/// A peer may call its software what it wants.
fn bounded(implementation: Implementation) -> Implementation {
    let bounded = |text: Option<String>| text.map(|text| shortened(&text, limits::PEER_TEXT_CHARS));
    Implementation {
        class_uid: bounded(implementation.class_uid),
        version_name: bounded(implementation.version_name),
    }
}

fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Of why there was no association.
const WORDS_CHARS: usize = 400;
