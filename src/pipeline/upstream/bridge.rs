use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::attributes::Attributes;
use model::{StudyInstanceUid, UpstreamName, limits};
use telemetry::{Event, Telemetry, UpstreamEnd};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::health::Health;
use super::port::{Answer, Answers, Asked, Behalf, Told, UpstreamFault};
use super::turns::Turns;
use super::{Upstream, UpstreamError};
use crate::Pipeline;

/// The upstream archives, and what all requests share of them.
pub(crate) struct Bridge {
    pub(super) upstreams: Vec<Arc<Member>>,
    pub(super) turns: Turns,
    pub(super) tracker: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// What an operator is told of an upstream archive, as far as it was seen since the start.
#[derive(Debug, Clone)]
pub struct UpstreamSummary {
    /// What the configuration calls it.
    pub name: UpstreamName,
    /// Whether it is asked for rows of queries.
    pub finds: bool,
    /// Whether instances are fetched from it.
    pub fetches: bool,
    /// It did not answer a moment ago, and is left alone by those who can do without it.
    pub is_down: bool,
    /// When it answered a query last.
    pub answered: Option<OffsetDateTime>,
    /// Why a query or a retrieve failed last, without patient data, and when.
    pub failure: Option<(String, OffsetDateTime)>,
}

/// One upstream archive.
pub(super) struct Member {
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) health: Health,
    /// Whether it was seen to find what it has by a list of UIDs.
    pub(super) knows_lists: AtomicBool,
    /// A study that it was seen to have.
    study: Mutex<Option<StudyInstanceUid>>,
}

impl Pipeline {
    /// Makes the upstream archives known, in the order in which they are asked. Once, before anything is asked; a second call changes
    /// nothing. What is under way at them runs on `tracker`, and is cut short by `shutdown`.
    pub fn set_upstreams(
        &self,
        all: Vec<Arc<dyn Upstream>>,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) {
        all.iter().for_each(|upstream| self.telemetry.show_upstream(upstream.name()));
        let member = |upstream| {
            let (health, knows_lists, study) = Default::default();
            Arc::new(Member { upstream, health, knows_lists, study })
        };
        let upstreams = all.into_iter().map(member).collect();
        self.bridge.get_or_init(|| Bridge { upstreams, turns: Turns::default(), tracker, shutdown });
    }

    /// The upstream archives, in the order of the configuration.
    pub fn upstreams(&self) -> Vec<UpstreamSummary> {
        let members = self.bridge.get().map(|bridge| bridge.upstreams.as_slice()).unwrap_or_default();
        members.iter().map(|member| member.summary()).collect()
    }
}

impl Bridge {
    /// Those that may be asked for rows.
    pub(super) fn finding(&self, behalf: &Behalf) -> Vec<Arc<Member>> {
        self.those(|upstream| upstream.finds() && behalf.lets_ask(upstream.peer()))
    }

    /// Those that may be fetched from.
    pub(super) fn fetching(&self, behalf: &Behalf) -> Vec<Arc<Member>> {
        self.those(|upstream| upstream.fetches() && behalf.lets_ask(upstream.peer()))
    }

    fn those(&self, may_be: impl Fn(&dyn Upstream) -> bool) -> Vec<Arc<Member>> {
        self.upstreams.iter().filter(|member| may_be(member.upstream.as_ref())).cloned().collect()
    }

    /// Puts a query to one of them; its answers go to `sender`, as those of `place`.
    pub(super) fn ask(&self, member: &Member, asked: Asked, sender: mpsc::Sender<Told>, place: usize) {
        let asking = member.upstream.find(asked, Answers { sender, place });
        let stop = self.shutdown.clone();
        let asking = async move {
            tokio::select! {
                () = asking => {}
                () = stop.cancelled() => {}
            }
        };
        self.tracker.spawn(asking.in_current_span());
    }

    /// Puts a query to one of them, and waits for all of its answer, of at most [`limits::UPSTREAM_LISTED`] rows and
    /// [`limits::UPSTREAM_HELD_BYTES`].
    pub(super) async fn list(
        &self,
        member: &Member,
        asked: Asked,
        telemetry: &Telemetry,
    ) -> Result<Vec<Attributes>, UpstreamError> {
        let started = Instant::now();
        let (sender, mut receiver) = mpsc::channel(limits::UPSTREAM_ROWS_WAITING);
        self.ask(member, asked, sender, 0);
        let (mut rows, mut room) = (Vec::new(), limits::UPSTREAM_HELD_BYTES);
        let end = loop {
            match receiver.recv().await {
                Some(Told::Row(Answer { attributes, bytes, .. }))
                    if rows.len() < limits::UPSTREAM_LISTED && bytes <= room =>
                {
                    room -= bytes;
                    rows.push(attributes);
                }
                Some(Told::Row(_)) => break Err(UpstreamError::refused("it has more than can be listed")),
                Some(Told::Ended { end, .. }) => break end,
                None => break Err(UpstreamError::broken_off()),
            }
        };
        member.note(&end, 0, started.elapsed(), telemetry);
        end.map(|()| rows)
    }
}

impl Member {
    pub(super) fn name(&self) -> &UpstreamName {
        self.upstream.name()
    }

    /// A study that it was seen to have; `None` where it has shown none yet.
    pub(super) fn study(&self) -> Option<StudyInstanceUid> {
        self.study.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of a study that it has.
    pub(super) fn note_study(&self, study: &StudyInstanceUid) {
        *self.study.lock().unwrap_or_else(PoisonError::into_inner) = Some(study.clone());
    }

    fn summary(&self) -> UpstreamSummary {
        let (answered, failure) = self.health.seen();
        let (finds, fetches) = (self.upstream.finds(), self.upstream.fetches());
        let (name, is_down) = (self.name().clone(), self.health.is_silent());
        UpstreamSummary { name, finds, fetches, is_down, answered, failure }
    }

    /// Takes note of how a query ended.
    pub(super) fn note(
        &self,
        end: &Result<(), UpstreamError>,
        rows: u64,
        elapsed: Duration,
        telemetry: &Telemetry,
    ) {
        let upstream = self.name().clone();
        let is_there = !matches!(end, Err(error) if error.kind != UpstreamFault::Refused);
        // That we keep it busy says nothing of it.
        let is_busy = matches!(end, Err(error) if error.kind == UpstreamFault::Busy);
        let is_news = !is_busy && self.health.note(is_there);
        if let Err(error) = end
            && !is_busy
        {
            self.health.note_failure(error);
        }
        match end {
            Err(error) if is_there => {
                tracing::warn!(%upstream, reason = error.reason, "an upstream archive refused a query");
            }
            Ok(()) if is_news => tracing::info!(%upstream, "the upstream archive answers again"),
            Ok(()) => {}
            Err(error) if is_busy => {
                tracing::warn!(%upstream, reason = error.reason, "an upstream archive was not asked");
            }
            Err(error) if is_news => {
                tracing::warn!(%upstream, reason = error.reason, "an upstream archive did not answer a query");
            }
            Err(error) => {
                tracing::debug!(%upstream, reason = error.reason, "an upstream archive did not answer a query")
            }
        }
        tracing::debug!(%upstream, rows, ?elapsed, "upstream archive asked");
        telemetry.record(Event::UpstreamQuery { upstream, end: UpstreamError::label(end), rows, elapsed });
    }
}

impl UpstreamError {
    /// It failed, for this reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { kind: UpstreamFault::Failed, reason: reason.into() }
    }

    /// It took too long at this.
    pub fn late(reason: impl Into<String>) -> Self {
        Self { kind: UpstreamFault::Late, reason: reason.into() }
    }

    /// It does not do this.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { kind: UpstreamFault::Refused, reason: reason.into() }
    }

    /// It was not asked, for this reason.
    pub fn busy(reason: impl Into<String>) -> Self {
        Self { kind: UpstreamFault::Busy, reason: reason.into() }
    }

    pub(super) fn broken_off() -> Self {
        Self::failed("its answer was broken off")
    }

    pub(super) fn label<T>(end: &Result<T, Self>) -> UpstreamEnd {
        match end {
            Ok(_) => UpstreamEnd::Answered,
            Err(Self { kind: UpstreamFault::Late, .. }) => UpstreamEnd::Late,
            Err(Self {
                kind: UpstreamFault::Failed | UpstreamFault::Refused | UpstreamFault::Busy, ..
            }) => UpstreamEnd::Failed,
        }
    }
}
