use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use model::query::Selection;
use model::{QueryRetrieveLevel, Scope, SopInstanceUid, StudyInstanceUid, UpstreamName, limits};

use super::bridge::Member;
use super::gap::{Source, selection};
use super::listing::{Held, Piece};
use super::port::Behalf;
use crate::{Error, Pipeline};

/// What became of fetching what a retrieve takes in and we lacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// What upstream archives have and could not be fetched.
    pub shortfalls: Vec<Shortfall>,
    /// Those that did not say what they have.
    pub silent: Vec<UpstreamName>,
}

/// What an upstream archive has and could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// Where it is.
    pub upstream: UpstreamName,
    /// How many instances, at least one.
    pub instances: u64,
    /// Some of them.
    pub uids: Vec<SopInstanceUid>,
    /// Why, in words without patient data.
    pub reason: String,
}

/// How far [`Pipeline::complete`] is, for who waits for it.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// How many instances the retrieve will take in, as far as is known by now.
    pub fn expected(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Completion {
    /// How many instances are known to be elsewhere and could not be fetched.
    pub fn missing(&self) -> u64 {
        self.shortfalls.iter().map(|shortfall| shortfall.instances).sum()
    }

    /// Whether nothing is missing, as far as anybody says.
    pub fn is_whole(&self) -> bool {
        self.shortfalls.is_empty() && self.silent.is_empty()
    }
}

impl Pipeline {
    /// Fetches what upstream archives have of a selection and we lack, so that it can be retrieved from us. It is kept like whatever
    /// comes in. Of each study one request at a time is fetched, and the others find it there.
    ///
    /// Upstream archives that did not answer a moment ago are left alone where we have something of it ourselves. Takes as long as the
    /// upstream archives make progress. Cancel safe: dropped, what is under way is cancelled there.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::TooManySelected`]. What upstream archives fail at is in the [`Completion`].
    pub async fn complete(
        &self,
        wanted: &Selection,
        behalf: &Behalf,
        progress: &Progress,
    ) -> Result<Completion, Error> {
        let Some(bridge) = self.bridge.get() else { return Ok(Completion::default()) };
        let members = bridge.fetching(behalf);
        if members.is_empty() {
            return Ok(Completion::default());
        }
        let ours = self.select(wanted).await?.instances();
        progress.0.store(ours, Ordering::Relaxed);
        let lacking = self.lacking_of(wanted).await?;
        let named = [lacking.studies.len(), lacking.series.len(), lacking.instances.len()];
        if named.into_iter().any(|count| count > limits::UPSTREAM_PIECES) {
            return Err(archive::Error::TooManySelected.into());
        }
        let pieces = Piece::of(&lacking);
        if pieces.is_empty() {
            return Ok(Completion::default());
        }
        let hops = behalf.hops + 1;
        let source = |member| Source { pipeline: self, bridge, member, hops };
        let asking = members.iter().map(async |member| {
            // Only who can do without it leaves it alone: of several things it is not known which of them are ours.
            let is_skipped = ours > 0 && pieces.len() == 1 && member.health.is_down();
            if is_skipped { None } else { source(member).held(&pieces).await.ok() }
        });
        let told = join_all(asking).await;
        let mut completion = Completion::default();
        let mut held = Vec::new();
        for (member, told) in members.iter().zip(told) {
            match told {
                Some(told) => held.extend(told.into_iter().map(|one| (member, one))),
                None => completion.silent.push(member.name().clone()),
            }
        }
        let elsewhere = held.iter().filter_map(|(_, one)| one.instances).max().unwrap_or(0);
        progress.0.fetch_max(elsewhere, Ordering::Relaxed);
        for study in studies(&held) {
            // Who is asked for somebody else does not wait: it may be the one that is waited for.
            let _turn = match behalf.hops {
                0 => Some(bridge.turns.take(&study).await),
                _ => None,
            };
            let mut attempts = Vec::new();
            for (member, one) in held.iter().filter(|(_, one)| one.scope.study == study) {
                attempts.extend(source(member).close_gap(one.clone()).await?);
            }
            // What one could not give another one may have given; and what none did counts once.
            let mut worst: Option<Shortfall> = None;
            for attempt in attempts {
                let shortfall = attempt.still_lacking(self).await?;
                worst = worst.into_iter().chain(shortfall).max_by_key(|one| one.instances);
            }
            completion.shortfalls.extend(worst);
        }
        Ok(completion)
    }

    /// [`Pipeline::complete`] of a study, a series of it, or one instance.
    ///
    /// # Errors
    /// As there.
    pub async fn complete_scope(&self, scope: &Scope, behalf: &Behalf) -> Result<Completion, Error> {
        self.complete(&selection(scope), behalf, &Progress::default()).await
    }

    /// A selection without the instances that it names and we have: nobody has to be asked for these.
    async fn lacking_of(&self, wanted: &Selection) -> Result<Selection, Error> {
        let mut lacking = wanted.clone();
        if wanted.level == QueryRetrieveLevel::Image {
            for uids in wanted.instances.chunks(limits::PAGE_ROWS as usize) {
                let uids: Vec<_> = uids.iter().collect();
                let known = self.known(&uids).await?;
                lacking.instances.retain(|uid| !known.contains(uid));
            }
        }
        Ok(lacking)
    }
}

/// The studies that upstream archives have something of, each once.
fn studies(held: &[(&Arc<Member>, Held)]) -> Vec<StudyInstanceUid> {
    let mut studies: Vec<StudyInstanceUid> = Vec::new();
    for (_, one) in held {
        if !studies.contains(&one.scope.study) {
            studies.push(one.scope.study.clone());
        }
    }
    studies
}
