use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use model::query::Selection;
use model::{QueryRetrieveLevel, Scope, StudyInstanceUid, UpstreamName, limits};

use super::bridge::Member;
use super::gap::{Source, selection};
use super::listing::{Held, Piece};
use super::port::Behalf;
use super::shortfall::{Shortfall, united};
use crate::{Error, Pipeline};

/// What became of fetching what a retrieve takes in and we lacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// What upstream archives have and could not be fetched.
    pub shortfalls: Vec<Shortfall>,
    /// Those that did not say what they have.
    pub silent: Vec<UpstreamName>,
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
    /// Upstream archives that did not answer a moment ago are left alone where we have something of it ourselves, and so are all of
    /// them where more is named than [`limits::UPSTREAM_PIECES`]. Takes as long as the upstream archives make progress. Cancel safe:
    /// dropped, what is under way is cancelled there.
    ///
    /// # Errors
    /// [`Error::Archive`], [`Error::TooManySelected`]; [`Error::TooManySought`] where more is named, and we have nothing of it. What upstream archives fail at is in the [`Completion`].
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
        if named(&lacking) > limits::UPSTREAM_PIECES {
            return self.unasked(&members, ours);
        }
        let pieces = Piece::of(&lacking);
        let names: usize = pieces.iter().map(Piece::names).sum();
        if pieces.is_empty() {
            return Ok(Completion::default());
        }
        let hops = behalf.hops + 1;
        let asking = members.iter().map(async |member| {
            // Only who can do without it leaves it alone: of several things it is not known which of them are ours.
            let is_skipped = ours > 0 && names < 2 && member.health.is_down();
            if is_skipped {
                self.note_skipped(member);
                return None;
            }
            Source { pipeline: self, bridge, member, hops }.held(&pieces).await.ok()
        });
        let told = join_all(asking).await;
        let mut completion = Completion::default();
        let mut held = Vec::new();
        for (member, told) in members.iter().zip(told) {
            match told {
                Some(told) => {
                    let instances = told.iter().filter_map(|one| one.instances).sum();
                    progress.0.fetch_max(instances, Ordering::Relaxed);
                    held.extend(told.into_iter().map(|one| (member, one)));
                }
                None => completion.silent.push(member.name().clone()),
            }
        }
        for Study { uid, held } in studies(held) {
            // Who is asked for somebody else does not wait: it may be the one that is waited for.
            let _turn = match behalf.hops {
                0 => Some(bridge.turns.take(&uid).await),
                _ => None,
            };
            let mut attempts = Vec::new();
            for (member, held) in held {
                let source = Source { pipeline: self, bridge, member, hops };
                attempts.extend(source.close_gap(held).await?.map(|attempt| (source, attempt)));
            }
            // What one could not give another one may have given.
            let mut short = Vec::new();
            for (source, attempt) in attempts {
                short.extend(attempt.short(source).await?);
            }
            completion.shortfalls.extend(united(short).await?);
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

    /// What is ours has to do.
    fn unasked(&self, members: &[Arc<Member>], ours: u64) -> Result<Completion, Error> {
        if ours == 0 {
            return Err(Error::TooManySought);
        }
        members.iter().for_each(|member| self.note_skipped(member));
        let silent = members.iter().map(|member| member.name().clone()).collect();
        Ok(Completion { silent, ..Completion::default() })
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

/// How many things of its level a selection names.
fn named(selection: &Selection) -> usize {
    match selection.level {
        QueryRetrieveLevel::Patient | QueryRetrieveLevel::Study => selection.studies.len(),
        QueryRetrieveLevel::Series => selection.series.len(),
        QueryRetrieveLevel::Image => selection.instances.len(),
    }
}

/// What upstream archives have of one study.
struct Study<'a> {
    uid: StudyInstanceUid,
    /// Each archive once.
    held: Vec<(&'a Arc<Member>, Vec<Held>)>,
}

/// What upstream archives have, study by study.
fn studies(held: Vec<(&Arc<Member>, Held)>) -> Vec<Study<'_>> {
    let mut places: HashMap<StudyInstanceUid, usize> = HashMap::new();
    let mut studies: Vec<Study<'_>> = Vec::new();
    for (member, one) in held {
        let uid = &one.scope.study;
        let place = *places.entry(uid.clone()).or_insert(studies.len());
        if place == studies.len() {
            studies.push(Study { uid: uid.clone(), held: Vec::new() });
        }
        let Some(study) = studies.get_mut(place) else { continue };
        match study.held.last_mut() {
            Some((last, held)) if Arc::ptr_eq(last, member) => held.push(one),
            _ => study.held.push((member, vec![one])),
        }
    }
    studies
}
