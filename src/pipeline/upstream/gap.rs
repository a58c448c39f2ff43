use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;

use model::query::{Key, Matching, Query, Selection};
use model::{QueryRetrieveLevel, Scope, SopInstanceUid, Vr, limits};
use telemetry::Event;
use tokio::time::Instant;
use tracing::Instrument;

use super::UpstreamError;
use super::bridge::{Bridge, Member};
use super::listing::{Held, Piece};
use super::port::{Fetched, UpstreamFault};
use super::rows::SOP_INSTANCE_UID;
use super::shortfall::{Short, Shortfall};
use crate::{Error, Pipeline};

/// The way to one upstream archive for one request.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) bridge: &'a Bridge,
    pub(super) member: &'a Member,
    /// Archives that the request has come through, ours included.
    pub(super) hops: u8,
}

/// What an upstream archive has of a study and we lack.
struct Gap {
    lacking: Vec<Held>,
    /// Of what it is not known how much we lack, and why.
    unlisted: Option<(Vec<Held>, UpstreamError)>,
}

/// What was done about what an upstream archive has of a study and we lacked.
pub(super) struct Attempt {
    /// What we lacked, all instances of each.
    lacking: Vec<Held>,
    fetched: Fetched,
}

impl Source<'_> {
    /// What it has of some things.
    pub(super) async fn held(&self, pieces: &[Piece]) -> Result<Vec<Held>, UpstreamError> {
        let mut held = Vec::new();
        for piece in pieces {
            let found = match self.list(piece).await {
                // It may refuse but the list.
                Err(error) if error.kind == UpstreamFault::Refused && piece.names() > 1 => Vec::new(),
                listed => listed?,
            };
            // Whoever finds two of a list knows lists, from then on.
            if found.len() > 1 {
                self.member.knows_lists.store(true, Ordering::Relaxed);
            }
            let is_sure = piece.names() < 2 || self.knows_lists().await?;
            let rest = if is_sure { Vec::new() } else { piece.without(&found) };
            held.extend(found);
            // For an archive that may not know lists, each by itself: that there is nothing of one says nothing of the others.
            for piece in rest {
                held.extend(self.list(&piece).await?);
            }
        }
        Ok(held)
    }

    /// Whether it is sure that it knows lists of UIDs: where it has not shown that yet, it is asked for a study that it is known to have,
    /// in the midst of others that nobody has. Who looks at one value only finds none.
    async fn knows_lists(&self) -> Result<bool, UpstreamError> {
        if self.member.knows_lists.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let Some(study) = self.member.study() else { return Ok(false) };
        let found = match self.list(&Piece::amid_strangers(study)).await {
            Err(error) if error.kind == UpstreamFault::Refused => return Ok(false),
            listed => listed?,
        };
        self.member.knows_lists.fetch_or(!found.is_empty(), Ordering::Relaxed);
        Ok(!found.is_empty())
    }

    async fn list(&self, piece: &Piece) -> Result<Vec<Held>, UpstreamError> {
        let rows = self.bridge.list(self.member, piece.asked(self.hops), &self.pipeline.telemetry).await?;
        let held: Vec<Held> = rows.iter().filter_map(|row| piece.held(row)).collect();
        if let Some(one) = held.first() {
            self.member.note_study(&one.scope.study);
        }
        Ok(held)
    }

    /// Fetches what it has here, all of one study, and we lack; `None` where that is nothing.
    pub(super) async fn close_gap(&self, held: Vec<Held>) -> Result<Option<Attempt>, Error> {
        let Gap { mut lacking, unlisted } = self.gap(held).await?;
        let mut fetched = match (lacking.is_empty(), &unlisted) {
            (false, _) => self.fetch(lacking.iter().map(|held| held.scope.clone()).collect()).await,
            (true, Some((_, error))) => Fetched::failed(error.clone()),
            (true, None) => return Ok(None),
        };
        if let Some((open, error)) = unlisted {
            lacking.extend(open);
            fetched.end = fetched.end.and(Err(error));
        }
        Ok(Some(Attempt { lacking, fetched }))
    }

    /// What of it we lack. A series or study of which we have as many instances as it says to have is taken for the same.
    async fn gap(&self, held: Vec<Held>) -> Result<Gap, Error> {
        let (mut lacking, mut named, mut open) = (Vec::new(), Vec::new(), VecDeque::from(held));
        let mut unlisted: Option<(Vec<Held>, UpstreamError)> = None;
        while let Some(held) = open.pop_front() {
            if held.scope.instance.is_some() {
                named.push(held);
                continue;
            }
            let ours = self.pipeline.count_of(&held.scope).await?;
            if ours == 0 {
                lacking.push(held);
                continue;
            }
            if held.instances == Some(ours) {
                continue;
            }
            // Once it has failed at that, it is asked no more.
            if let Some((unlisted, _)) = &mut unlisted {
                unlisted.push(Held { instances: None, ..held });
                continue;
            }
            match self.list(&Piece::inside(&held.scope)).await {
                Ok(inside) => open.extend(inside),
                Err(error) => unlisted = Some((vec![Held { instances: None, ..held }], error)),
            }
        }
        lacking.extend(self.pipeline.unknown(named).await?);
        Ok(Gap { lacking, unlisted })
    }

    /// The instances of what it has, each by its UID; `None` where it does not say so.
    pub(super) async fn instances_of(&self, held: &[Held]) -> Option<Vec<Held>> {
        let (mut instances, mut open) = (Vec::new(), VecDeque::from(held.to_vec()));
        while let Some(held) = open.pop_front() {
            if held.scope.instance.is_some() {
                instances.push(held);
                continue;
            }
            if self.member.health.is_down() || instances.len() > limits::UPSTREAM_LISTED {
                return None;
            }
            open.extend(self.list(&Piece::inside(&held.scope)).await.ok()?);
        }
        Some(instances)
    }

    async fn fetch(&self, wanted: Vec<Scope>) -> Fetched {
        let Self { pipeline, bridge, member, hops } = *self;
        let (started, upstream) = (Instant::now(), member.name().clone());
        let study = wanted.first().map(|scope| scope.study.clone());
        tracing::debug!(%upstream, study = study.as_ref().map(tracing::field::display), pieces = wanted.len(), "fetching");
        let stop = bridge.shutdown.child_token();
        // Whoever gives up before the end stops it; it may take a moment to say so to the other end.
        let given_up = stop.clone().drop_guard();
        let fetching = member.upstream.fetch(wanted, hops, pipeline.clone(), stop);
        let fetched = bridge.tracker.spawn(fetching.in_current_span()).await;
        given_up.disarm();
        let fetched = fetched.unwrap_or_else(|_| Fetched::failed(UpstreamError::failed("internal error")));
        if let Err(error) = &fetched.end {
            member.health.note_failure(error);
        }
        let (end, elapsed) = (UpstreamError::label(&fetched.end), started.elapsed());
        tracing::info!(
            %upstream,
            study = study.as_ref().map(tracing::field::display),
            came = fetched.came,
            failed = fetched.failed,
            seconds = elapsed.as_secs_f64(),
            reason = fetched.end.as_ref().err().map(tracing::field::display),
            "fetched from an upstream archive",
        );
        let instances = fetched.came;
        pipeline.telemetry.record(Event::UpstreamFetch { upstream, end, instances, elapsed });
        fetched
    }
}

impl Attempt {
    /// What we lack after all, by our own index; `None` where that is nothing.
    pub(super) async fn short(self, source: Source<'_>) -> Result<Option<Short<'_>>, Error> {
        let Self { lacking, fetched } = self;
        let (named, counted): (Vec<_>, Vec<_>) =
            lacking.into_iter().partition(|held| held.scope.instance.is_some());
        let mut lacking = source.pipeline.unknown(named).await?;
        let (mut instances, mut is_known) = (lacking.len() as u64, true);
        for held in counted {
            // Of what it does not count it has one, or it would not be there.
            let told = held.instances.unwrap_or(1);
            let missing = told.saturating_sub(source.pipeline.count_of(&held.scope).await?);
            is_known &= held.instances.is_some();
            instances += missing;
            lacking.extend((missing > 0 || held.instances.is_none()).then_some(held));
        }
        if !is_known {
            instances = instances.max(fetched.failed).max(u64::from(fetched.end.is_err()));
        }
        if instances == 0 {
            return Ok(None);
        }
        let reason = match fetched.end {
            Err(error) => error.reason,
            Ok(()) => "it did not send all that it says to have".to_owned(),
        };
        let mut uids: Vec<_> = lacking.iter().filter_map(|held| held.scope.instance.clone()).collect();
        let are_all_named = uids.len() as u64 == instances;
        if uids.is_empty() {
            uids = fetched.failed_uids;
        }
        uids.truncate(usize::try_from(instances).unwrap_or(usize::MAX));
        let upstream = source.member.name().clone();
        let shortfall = Shortfall { upstream, instances, uids, reason };
        Ok(Some(Short { source, lacking, shortfall, are_all_named }))
    }
}

impl Fetched {
    /// Nothing came, for this reason.
    pub fn failed(error: UpstreamError) -> Self {
        Self { came: 0, failed: 0, failed_uids: Vec::new(), end: Err(error) }
    }
}

impl Pipeline {
    /// How many instances we have in a scope.
    pub(super) async fn count_of(&self, scope: &Scope) -> Result<u64, Error> {
        Ok(self.select(&selection(scope)).await?.instances())
    }

    /// The instances among these that we do not have.
    pub(super) async fn unknown(&self, held: Vec<Held>) -> Result<Vec<Held>, Error> {
        let mut known: HashSet<SopInstanceUid> = HashSet::new();
        let uids: Vec<&SopInstanceUid> =
            held.iter().filter_map(|held| held.scope.instance.as_ref()).collect();
        for uids in uids.chunks(limits::PAGE_ROWS as usize) {
            known.extend(self.known(uids).await?);
        }
        let is_unknown = |held: &Held| held.scope.instance.as_ref().is_some_and(|uid| !known.contains(uid));
        Ok(held.into_iter().filter(is_unknown).collect())
    }

    /// Those of some instances that we have.
    pub(super) async fn known(&self, uids: &[&SopInstanceUid]) -> Result<Vec<SopInstanceUid>, Error> {
        let matching = Matching::UidList(uids.iter().map(|uid| uid.as_str().to_owned()).collect());
        let mut query = Query::new(QueryRetrieveLevel::Image);
        query.keys.push(Key { tag: SOP_INSTANCE_UID, vr: Vr::UI, matching });
        let (mut known, mut after) = (Vec::new(), None);
        loop {
            let page = self.archive.find(&query, after).await?;
            known.extend(page.rows.into_iter().filter_map(|row| row.ids.instance));
            after = page.next;
            if after.is_none() {
                return Ok(known);
            }
        }
    }
}

/// A scope as a retrieve asks for it.
pub(super) fn selection(scope: &Scope) -> Selection {
    let level = match (&scope.series, &scope.instance) {
        (None, _) => QueryRetrieveLevel::Study,
        (Some(_), None) => QueryRetrieveLevel::Series,
        (Some(_), Some(_)) => QueryRetrieveLevel::Image,
    };
    Selection {
        level,
        patient_id: None,
        issuer_of_patient_id: None,
        studies: vec![scope.study.clone()],
        series: scope.series.iter().cloned().collect(),
        instances: scope.instance.iter().cloned().collect(),
    }
}
