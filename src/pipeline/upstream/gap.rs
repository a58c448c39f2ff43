use std::collections::HashSet;

use model::query::{Key, Matching, Query, Selection};
use model::{QueryRetrieveLevel, Scope, SopInstanceUid, UpstreamName, Vr, limits};
use telemetry::Event;
use tokio::time::Instant;
use tracing::Instrument;

use super::UpstreamError;
use super::bridge::{Bridge, Member};
use super::complete::Shortfall;
use super::listing::{Held, Piece};
use super::port::Fetched;
use super::rows::SOP_INSTANCE_UID;
use crate::{Error, Pipeline};

/// The way to one upstream archive for one request.
pub(super) struct Source<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) bridge: &'a Bridge,
    pub(super) member: &'a Member,
    /// Archives that the request has come through, ours included.
    pub(super) hops: u8,
}

/// What was done about what an upstream archive has and we lacked.
pub(super) struct Attempt {
    upstream: UpstreamName,
    /// What we lacked, all instances of each.
    lacking: Vec<Held>,
    fetched: Fetched,
}

impl Source<'_> {
    /// What it has of some things.
    pub(super) async fn held(&self, pieces: &[Piece]) -> Result<Vec<Held>, UpstreamError> {
        let mut held = Vec::new();
        for piece in pieces {
            held.extend(self.list(piece).await?);
        }
        Ok(held)
    }

    async fn list(&self, piece: &Piece) -> Result<Vec<Held>, UpstreamError> {
        let rows = self.bridge.list(self.member, piece.asked(self.hops), &self.pipeline.telemetry).await?;
        Ok(rows.iter().filter_map(|row| piece.held(row)).collect())
    }

    /// Fetches what it has here and we lack; `None` where that is nothing.
    pub(super) async fn close_gap(&self, held: Held) -> Result<Option<Attempt>, Error> {
        let upstream = self.member.name().clone();
        let lacking = match self.gap(held.clone()).await? {
            Ok(lacking) if lacking.is_empty() => return Ok(None),
            Ok(lacking) => lacking,
            Err(error) => {
                let fetched = Fetched::failed(error);
                // How much of it we lack is not known.
                let lacking = vec![Held { instances: None, ..held }];
                return Ok(Some(Attempt { upstream, lacking, fetched }));
            }
        };
        let fetched = self.fetch(lacking.iter().map(|held| held.scope.clone()).collect()).await;
        Ok(Some(Attempt { upstream, lacking, fetched }))
    }

    /// What of it we lack. A series or study of which we have as many instances as it says to have is taken for the same.
    async fn gap(&self, held: Held) -> Result<Result<Vec<Held>, UpstreamError>, Error> {
        let (mut lacking, mut open) = (Vec::new(), vec![held]);
        while let Some(held) = open.pop() {
            let ours = self.pipeline.count_of(&held.scope).await?;
            if ours == 0 {
                lacking.push(held);
                continue;
            }
            if held.scope.instance.is_some() || held.instances == Some(ours) {
                continue;
            }
            let inside = match self.list(&Piece::inside(&held.scope)).await {
                Ok(inside) => inside,
                Err(error) => return Ok(Err(error)),
            };
            match held.scope.series {
                None => open.extend(inside),
                Some(_) => lacking.extend(self.pipeline.unknown(inside).await?),
            }
        }
        Ok(Ok(lacking))
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
    pub(super) async fn still_lacking(self, pipeline: &Pipeline) -> Result<Option<Shortfall>, Error> {
        let Self { upstream, lacking, fetched } = self;
        let (mut instances, mut uids, mut is_known) = (0, Vec::new(), true);
        for Held { scope, instances: told } in lacking {
            is_known &= told.is_some();
            // Of what it does not count it has one, or it would not be there.
            let missing = told.unwrap_or(1).saturating_sub(pipeline.count_of(&scope).await?);
            instances += missing;
            uids.extend(scope.instance.filter(|_| missing > 0));
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
        if uids.is_empty() {
            uids = fetched.failed_uids;
        }
        uids.truncate(usize::try_from(instances).unwrap_or(usize::MAX));
        tracing::warn!(%upstream, instances, reason, "instances could not be fetched from an upstream archive");
        Ok(Some(Shortfall { upstream, instances, uids, reason }))
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
