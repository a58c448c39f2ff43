//! The instances that several associations share: each takes the next one when it is ready for it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{SopClassUid, SopInstanceUid, TransferSyntaxUid};
use pipeline::{NotTranscoded, StoredInstance};

use super::alternatives::Kind;
use crate::error::Error;

/// An instance in a file, to be sent as it is.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The file.
    pub path: PathBuf,
    /// Where in the file the data set begins; it ends with the file.
    pub data_offset: u64,
    /// SOP Class UID, which names the presentation context.
    pub sop_class: SopClassUid,
    /// SOP Instance UID.
    pub sop_instance: SopInstanceUid,
    /// The encoding of the data set; the peer has to take it, nothing is transcoded.
    pub transfer_syntax: TransferSyntaxUid,
}

/// Instances that wait to be sent, in their order, and the lanes that send them.
pub(super) struct Queue {
    instances: Vec<Instance>,
    /// The number of each instance's kind.
    kind_of: Vec<usize>,
    /// In the order in which they come first.
    kinds: Vec<Kind>,
    state: Mutex<State>,
}

struct State {
    waiting: BTreeSet<usize>,
    /// How many instances of each kind wait.
    waiting_of_kind: Vec<usize>,
    /// Instances that an association was lost with.
    tried: BTreeSet<usize>,
    /// Lanes that still send.
    lanes: usize,
}

/// An instance that one lane has taken from the queue; dropped without being settled, it waits again.
pub(super) struct Claim {
    queue: Arc<Queue>,
    index: usize,
    is_settled: bool,
}

impl Queue {
    pub(super) fn new(instances: Vec<Instance>, lanes: usize) -> Arc<Self> {
        let mut numbers: HashMap<Kind, usize> = HashMap::new();
        let mut kinds = Vec::new();
        let mut kind_of = Vec::with_capacity(instances.len());
        let mut waiting_of_kind = Vec::new();
        for instance in &instances {
            let number = *numbers.entry(instance.kind()).or_insert_with_key(|kind| {
                kinds.push(kind.clone());
                waiting_of_kind.push(0);
                kinds.len() - 1
            });
            kind_of.push(number);
            if let Some(waiting) = waiting_of_kind.get_mut(number) {
                *waiting += 1;
            }
        }
        let waiting = (0..instances.len()).collect();
        let state = State { waiting, waiting_of_kind, tried: BTreeSet::new(), lanes };
        Arc::new(Self { instances, kind_of, kinds, state: Mutex::new(state) })
    }

    /// What an association is to be proposed for: the kind of the next instance and others that wait, at most `most`. `None` when
    /// nothing waits: the lane that asks has ended then.
    pub(super) fn next_kinds(&self, most: usize) -> Option<Vec<Kind>> {
        let mut state = self.lock();
        let Some(first) = state.waiting.first().and_then(|index| self.kind_of.get(*index)) else {
            state.lanes = state.lanes.saturating_sub(1);
            return None;
        };
        let waiting = state.waiting_of_kind.iter().enumerate().filter(|(_, count)| **count > 0);
        let others = waiting.map(|(number, _)| number).filter(|number| number != first);
        let numbers = std::iter::once(*first).chain(others).take(most);
        Some(numbers.filter_map(|number| self.kinds.get(number).cloned()).collect())
    }

    /// Takes the next instance; `None` when nothing waits, or when the next one is of a kind that `is_proposed` does not know.
    pub(super) fn claim(self: &Arc<Self>, is_proposed: impl Fn(&Kind) -> bool) -> Option<Claim> {
        let mut state = self.lock();
        let index = *state.waiting.first()?;
        let number = *self.kind_of.get(index)?;
        if !self.kinds.get(number).is_some_and(is_proposed) {
            return None;
        }
        state.waiting.pop_first();
        state.count(number, |waiting| waiting.saturating_sub(1));
        drop(state);
        Some(Claim { queue: Arc::clone(self), index, is_settled: false })
    }

    /// Ends a lane that has no association. What waits is left to the others; to the last one it is handed, to be given up.
    pub(super) fn leave(self: &Arc<Self>) -> Vec<Claim> {
        let mut state = self.lock();
        state.lanes = state.lanes.saturating_sub(1);
        if state.lanes > 0 {
            return Vec::new();
        }
        let left = std::mem::take(&mut state.waiting);
        state.waiting_of_kind.fill(0);
        drop(state);
        let claim = |index| Claim { queue: Arc::clone(self), index, is_settled: false };
        left.into_iter().map(claim).collect()
    }

    fn put_back(&self, index: usize) {
        let Some(number) = self.kind_of.get(index) else { return };
        let mut state = self.lock();
        state.waiting.insert(index);
        state.count(*number, |waiting| waiting + 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, number: usize, change: impl FnOnce(usize) -> usize) {
        if let Some(waiting) = self.waiting_of_kind.get_mut(number) {
            *waiting = change(*waiting);
        }
    }
}

impl Claim {
    pub(super) fn instance(&self) -> &Instance {
        // The queue makes claims for its own instances only.
        &self.queue.instances[self.index]
    }

    /// Whether an association was lost with the instance.
    pub(super) fn was_tried(&self) -> bool {
        self.queue.lock().tried.contains(&self.index)
    }

    /// The association was lost with the instance: the first time it waits again, the second time it is given back.
    pub(super) fn try_again(self) -> Option<Self> {
        let is_first = self.queue.lock().tried.insert(self.index);
        (!is_first).then_some(self)
    }

    /// The instance will be reported: it is not to be sent again. Its index.
    pub(super) fn settle(mut self) -> usize {
        self.is_settled = true;
        self.index
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_settled {
            self.queue.put_back(self.index);
        }
    }
}

impl From<StoredInstance> for Instance {
    fn from(stored: StoredInstance) -> Self {
        Self {
            path: stored.path,
            data_offset: stored.data_offset,
            sop_class: stored.ids.sop_class,
            sop_instance: stored.ids.sop_instance,
            transfer_syntax: stored.transfer_syntax,
        }
    }
}

impl Instance {
    pub(super) fn kind(&self) -> Kind {
        (self.sop_class.clone(), self.transfer_syntax.clone())
    }
}

/// What a stored instance goes out as when it goes as it is.
pub(crate) fn kind(stored: &StoredInstance) -> Kind {
    (stored.ids.sop_class.clone(), stored.transfer_syntax.clone())
}

/// The error of an instance that goes out neither as it is nor as a copy.
pub(crate) fn not_transcoded(stored: &StoredInstance, reason: &NotTranscoded) -> Error {
    Error::NotTranscoded {
        sop_class: stored.ids.sop_class.to_string(),
        transfer_syntax: stored.transfer_syntax.to_string(),
        reason: reason.reason(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(classes: impl IntoIterator<Item = usize>, lanes: usize) -> Arc<Queue> {
        let instance = |class| Instance {
            path: PathBuf::new(),
            data_offset: 0,
            sop_class: SopClassUid::lenient(&format!("1.2.{class}")).unwrap(),
            sop_instance: SopInstanceUid::lenient("1.2.3").unwrap(),
            transfer_syntax: TransferSyntaxUid::lenient("1.2.840.10008.1.2").unwrap(),
        };
        Queue::new(classes.into_iter().map(instance).collect(), lanes)
    }

    #[test]
    fn an_association_serves_all_up_to_the_129th_kind() {
        let queue = queue((0..128).chain([5, 7, 128, 5]), 1);
        let kinds = queue.next_kinds(128).unwrap();
        assert_eq!(kinds.len(), 128);
        let mut sent = Vec::new();
        while let Some(claim) = queue.claim(|kind| kinds.contains(kind)) {
            sent.push(claim.settle());
        }
        assert_eq!(sent, (0..130).collect::<Vec<_>>());
        let kinds = queue.next_kinds(128).unwrap();
        assert_eq!(kinds.iter().map(|kind| kind.0.as_str()).collect::<Vec<_>>(), ["1.2.128", "1.2.5"]);
        for index in [130, 131] {
            assert_eq!(queue.claim(|kind| kinds.contains(kind)).unwrap().settle(), index);
        }
        assert!(queue.claim(|_| true).is_none());
        assert!(queue.next_kinds(128).is_none());
    }

    #[test]
    fn what_is_not_settled_waits_again_and_once_more_when_an_association_was_lost_with_it() {
        let queue = queue([1, 1], 1);
        let first = queue.claim(|_| true).unwrap();
        let second = queue.claim(|_| true).unwrap();
        drop((first, second));
        let claim = queue.claim(|_| true).unwrap();
        assert_eq!(claim.index, 0);
        assert!(claim.try_again().is_none());
        let again = queue.claim(|_| true).unwrap();
        assert_eq!(again.index, 0);
        assert_eq!(again.try_again().unwrap().settle(), 0);
        assert_eq!(queue.claim(|_| true).unwrap().index, 1);
    }

    #[test]
    fn the_last_lane_to_leave_gets_what_is_left() {
        let queue = queue([1, 1, 1], 3);
        let claim = queue.claim(|_| true).unwrap();
        assert!(queue.leave().is_empty());
        assert!(queue.leave().is_empty());
        drop(claim);
        let left: Vec<usize> = queue.leave().into_iter().map(Claim::settle).collect();
        assert_eq!(left, [0, 1, 2]);
        assert!(queue.next_kinds(128).is_none());
    }
}
