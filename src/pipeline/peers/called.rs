//! What follows from what a peer said, as functions of it.

use std::collections::HashMap;

use archive::peers::{Accepted, Called, Manner, Taken};
use model::{SopClassUid, TransferSyntaxUid, limits};
use time::OffsetDateTime;

use super::Said;

type Kind = (SopClassUid, TransferSyntaxUid);

/// A peer that was never called so.
pub(super) fn unknown(manner: Manner) -> Called {
    Called { manner, accepted: None, rejected: None, failed: None, contexts: HashMap::new() }
}

/// What it said, as far as that holds: when it is called in the manner in which it was, and a refusal for
/// [`limits::REFUSAL_REMEMBERED`] only, and not beyond a time at which it could not be reached: it may come back as another.
pub(super) fn said(called: &Called, manner: &Manner, kind: &Kind, now: OffsetDateTime) -> Option<Said> {
    let taken = called.contexts.get(kind).filter(|_| called.manner == *manner)?;
    if taken.refusal.is_none() {
        return Some(Said::Takes);
    }
    let was_away = called.failed.as_ref().is_some_and(|(failed, _)| *failed > taken.learned);
    let is_fresh = taken.learned <= now && now - taken.learned < limits::REFUSAL_REMEMBERED;
    (is_fresh && !was_away).then_some(Said::Refuses)
}

/// Takes what it says for what it said before, all of which is forgotten where its software has changed.
pub(super) fn learn(
    called: &mut Called,
    accepted: Accepted,
    contexts: impl IntoIterator<Item = (Kind, Option<String>)>,
) {
    let was = called.accepted.as_ref().map(|before| &before.implementation);
    if was.is_some_and(|was| *was != accepted.implementation) {
        called.contexts.clear();
    }
    let learned = accepted.at;
    let learn = |(kind, refusal)| (kind, Taken { refusal, learned });
    called.contexts.extend(contexts.into_iter().map(learn));
    called.accepted = Some(accepted);
    let surplus = called.contexts.len().saturating_sub(limits::CONTEXTS_REMEMBERED);
    if surplus > 0 {
        let mut oldest: Vec<(OffsetDateTime, Kind)> =
            called.contexts.iter().map(|(kind, taken)| (taken.learned, kind.clone())).collect();
        oldest.sort_by_key(|(learned, _)| *learned);
        for (_, kind) in oldest.into_iter().take(surplus) {
            called.contexts.remove(&kind);
        }
    }
}
