use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::DestinationId;

/// The bells of the lanes. What is rung for nobody yet is heard by whoever listens next.
#[derive(Default)]
pub(crate) struct Wakeups(Mutex<HashMap<DestinationId, Arc<Notify>>>);

impl Wakeups {
    pub(crate) fn of(&self, destination: DestinationId) -> Arc<Notify> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(destination).or_default().clone()
    }
}
