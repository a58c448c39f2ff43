//! What C-MOVE and C-GET have in common: the set of instances, and the responses.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dimse::service::get::CGetRq;
use dimse::service::move_::CMoveRq;
use dimse::service::retrieve::{self, SubOperations};
use dimse::{Command, Outcome, Status};
use model::attributes::to_data_set;
use model::charset::Charset;
use model::query::{Root, Selection};
use model::{PeerName, QueryRetrieveLevel, SopClassUid, SopInstanceUid, UpstreamName, limits, syntax};
use pipeline::{Behalf, Completion, Cursor, Pipeline, Progress, Selected, Shortfall, StoredInstance};
use telemetry::{Event, Retrieval};
use tokio::time::{MissedTickBehavior, interval};
use ul::PresentationContext;

use super::Scp;
use super::counts::{Counts, Ending};
use crate::data_set::{self, Unread};
use crate::drive::Drive;
use crate::end::End;
use crate::status;

/// Either request.
#[derive(Clone)]
pub(super) enum Request {
    Get(CGetRq),
    Move(CMoveRq),
}

/// A C-MOVE or C-GET that is being carried out.
pub(super) struct Retrieve {
    context: PresentationContext,
    pub(super) request: Request,
    level: QueryRetrieveLevel,
    selected: Arc<Selected>,
    pub(super) counts: Counts,
    /// Where a C-MOVE sends them.
    destination: Option<PeerName>,
    /// What could not be fetched and is not known by its UID: why, and how many.
    unfetched: Vec<(String, u64)>,
    /// Upstream archives that did not say what they have.
    silent: Vec<UpstreamName>,
    started: Instant,
    /// When the last Pending response was made.
    told: Option<Instant>,
    /// What a C-MOVE has given to its associations; a C-GET sends one after the other.
    pub(super) given: Given,
}

/// Instances that were given to be sent, which come in the order of the pages and end in any.
#[derive(Clone, Default)]
pub(super) struct Given(Arc<Mutex<(u64, BTreeSet<SopInstanceUid>)>>);

impl Given {
    pub(super) fn add(&self, instances: &[StoredInstance]) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.0 += instances.len() as u64;
        given.1.extend(instances.iter().map(|instance| instance.ids.sop_instance.clone()));
    }

    pub(super) fn end(&self, instance: &SopInstanceUid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(instance);
    }

    /// How many there were, and those that have had no end.
    fn taken(&self) -> (u64, BTreeSet<SopInstanceUid>) {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The instances of a selection, page by page.
pub(super) struct Pages {
    pipeline: Pipeline,
    selected: Arc<Selected>,
    next: Next,
}

enum Next {
    Page(Option<Cursor>),
    Nothing,
}

/// Why a request is not carried out.
pub(super) enum Unable {
    /// It is answered so.
    Refused(Outcome),
    /// The association is over.
    Over(End),
}

impl From<Outcome> for Unable {
    fn from(outcome: Outcome) -> Self {
        Self::Refused(outcome)
    }
}

impl From<End> for Unable {
    fn from(end: End) -> Self {
        Self::Over(end)
    }
}

impl Scp<'_> {
    /// Reads the identifier.
    ///
    /// PS3.4 §C.4.2.1.4, §C.4.3.1.3.
    pub(super) async fn selection(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: &Request,
    ) -> Result<Selection, Unable> {
        let whole = match data_set::read(drive, limits::IDENTIFIER_BYTES, self.large).await? {
            Ok(whole) => whole,
            Err(Unread::TooLarge) => {
                let reason = "identifier is too large";
                return Err(Outcome::because(retrieve::UNABLE_TO_PROCESS, reason).into());
            }
            Err(Unread::Busy) => {
                let reason = "too many large identifiers at once";
                return Err(Outcome::because(retrieve::UNABLE_TO_CALCULATE, reason).into());
            }
        };
        let class = request.affected_sop_class_uid();
        if class.is_none_or(|class| class.as_str() != context.abstract_syntax) {
            let reason = "SOP class is not that of the presentation context";
            return Err(Outcome::because(Status::SOP_CLASS_NOT_SUPPORTED, reason).into());
        }
        let form = syntax::form(&context.transfer_syntax);
        let scanned = data_set::scan(form, whole.bytes, limits::IDENTIFIER_BYTES).await;
        let identifier = scanned
            .map_err(|error| Outcome::because(retrieve::UNABLE_TO_PROCESS, status::unreadable(error)))?;
        let selection = Selection::from_identifier(&identifier, root).map_err(|error| Outcome {
            offending_elements: vec![error.offending_element()],
            ..Outcome::because(retrieve::IDENTIFIER_DOES_NOT_MATCH, error.to_string())
        })?;
        Ok(selection)
    }

    /// Finds what a request takes in, which is fetched first where upstream archives have it and we do not.
    pub(super) async fn select(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: &Request,
        selection: Selection,
        to: Option<&PeerName>,
    ) -> Result<Retrieve, Unable> {
        let started = Instant::now();
        let behalf = Behalf { to: to.cloned(), ..self.caller.behalf() };
        let completion = self.complete(drive, context, request, &selection, &behalf).await?;
        let selected = tokio::select! {
            selected = self.pipeline.select(&selection) => selected,
            cancelled = drive.cancelled(request.message_id()) => {
                cancelled?;
                return Err(Outcome::from(Status::CANCEL).into());
            }
            () = self.shutdown.cancelled() => {
                return Err(Outcome::because(retrieve::UNABLE_TO_PERFORM, STOPPING).into());
            }
        };
        let selected = selected.map_err(|error| {
            tracing::error!(error = crate::chain(&error), "cannot tell what a retrieve takes in");
            status::of_selection(&error)
        })?;
        if let (0, Some(silent)) = (selected.instances() + completion.missing(), completion.silent.first()) {
            let reason = format!("upstream archive {silent}, which may have it, does not answer");
            return Err(Outcome::because(retrieve::UNABLE_TO_CALCULATE, reason).into());
        }
        for upstream in &completion.silent {
            tracing::warn!(%upstream, "retrieved without an upstream archive, which may have more and did not say so");
        }
        let mut counts = Counts::new(selected.instances() + completion.missing());
        let mut unfetched = Vec::new();
        for Shortfall { upstream, instances, uids, reason } in completion.shortfalls {
            let reason = format!("not fetched from upstream archive {upstream}: {reason}");
            uids.iter().for_each(|uid| counts.failed(uid, reason.clone()));
            unfetched.push((reason, instances.saturating_sub(uids.len() as u64)));
        }
        Ok(Retrieve {
            context: context.clone(),
            request: request.clone(),
            level: selection.level,
            counts,
            selected,
            destination: to.cloned(),
            unfetched,
            silent: completion.silent,
            started,
            told: None,
            given: Given::default(),
        })
    }

    /// Fetches what upstream archives have of it and we lack, and tells the requestor meanwhile that it is being worked on.
    async fn complete(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        request: &Request,
        selection: &Selection,
        behalf: &Behalf,
    ) -> Result<Completion, Unable> {
        let progress = Progress::default();
        let completing = self.pipeline.complete(selection, behalf, &progress);
        tokio::pin!(completing);
        let mut ticks = interval(limits::PENDING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                biased;
                completion = &mut completing => return completion.map_err(|error| {
                    tracing::error!(error = crate::chain(&error), "cannot tell what a retrieve lacks");
                    status::of_selection(&error).into()
                }),
                cancelled = drive.cancelled(request.message_id()) => {
                    cancelled?;
                    return Err(Outcome::from(Status::CANCEL).into());
                }
                () = self.shutdown.cancelled() => {
                    return Err(Outcome::because(retrieve::UNABLE_TO_PERFORM, STOPPING).into());
                }
                _ = ticks.tick() => {}
            }
            // Nothing has been sent yet; how much there is to be, nobody knows before it is here.
            let counts = Counts::new(progress.expected().max(1));
            let response = request.response(Status::PENDING.into(), counts.pending(), false);
            drive.queue(context.id, &response, None)?;
            drive.flush().await?;
        }
    }

    /// Answers a request that is not carried out.
    pub(super) async fn unable(
        &mut self,
        drive: &mut Drive,
        context_id: u8,
        request: &Request,
        unable: Unable,
    ) -> Result<(), End> {
        match unable {
            Unable::Refused(outcome) => {
                let response = request.response(outcome, SubOperations::default(), false);
                self.respond(drive, context_id, &response).await
            }
            Unable::Over(end) => Err(end),
        }
    }

    /// Sums up a retrieve and writes the final response, where the association has not ended before it.
    pub(super) async fn finish(
        &mut self,
        drive: &mut Drive,
        retrieve: &mut Retrieve,
        ending: Result<Ending, End>,
    ) -> Result<(), End> {
        if let Ok(ending @ (Ending::Done | Ending::Shutdown)) = ending {
            let is_stopping = ending == Ending::Shutdown;
            if is_stopping {
                self.list_left(retrieve).await;
            }
            for (reason, instances) in &retrieve.unfetched {
                retrieve.counts.give_up(*instances, reason);
            }
            let unread = "not all instances could be read";
            retrieve.counts.give_up(u64::MAX, if is_stopping { STOPPING } else { unread });
        }
        self.note(retrieve);
        let ending = ending?;
        let identifier = retrieve.identifier();
        let outcome = status::without(retrieve.counts.outcome(ending), &retrieve.silent);
        let sub_operations = retrieve.counts.last(ending);
        let response = retrieve.request.response(outcome, sub_operations, identifier.is_some());
        self.respond_with(drive, retrieve.context.id, &response, identifier.as_deref()).await
    }

    /// Counts as failed, by their UIDs, those that have had no end, as far as these are listed.
    async fn list_left(&self, retrieve: &mut Retrieve) {
        let (mut before, open) = match retrieve.request {
            Request::Get(_) => (retrieve.counts.over(), BTreeSet::new()),
            Request::Move(_) => retrieve.given.taken(),
        };
        let mut pages = retrieve.pages(self.pipeline);
        let counts = &mut retrieve.counts;
        let mut left = Vec::from_iter(open);
        loop {
            for instance in left {
                if !counts.lists_more() {
                    return;
                }
                counts.failed(&instance, STOPPING.to_owned());
            }
            let Some(Ok(page)) = pages.next().await else { return };
            let skipped = before.min(page.len() as u64);
            before -= skipped;
            let of_page = page.into_iter().zip(0..).filter(|(_, at)| *at >= skipped);
            left = of_page.map(|(instance, _)| instance.ids.sop_instance).collect();
        }
    }

    fn note(&self, retrieve: &Retrieve) {
        let (level, elapsed, retrieved) =
            (retrieve.level, retrieve.started.elapsed(), retrieve.counts.retrieved());
        let retrieval = retrieve.request.retrieval();
        let silent: Vec<&str> = retrieve.silent.iter().map(UpstreamName::as_str).collect();
        self.telemetry.record(Event::Retrieve { retrieval, level, retrieved, elapsed });
        tracing::info!(
            service = retrieval.label(),
            level = level.keyword(),
            destination = retrieve.destination.as_ref().map(tracing::field::display),
            completed = retrieved.completed,
            warning = retrieved.warning,
            failed = retrieved.failed,
            remaining = retrieved.remaining,
            bytes = retrieved.bytes,
            transcoded = retrieve.counts.transcoded(),
            silent = (!silent.is_empty()).then(|| silent.join(", ")),
            seconds = elapsed.as_secs_f64(),
            "retrieve over",
        );
    }
}

impl Retrieve {
    /// Puts a Pending response into the output, unless there was one a moment ago. Whether it did.
    pub(super) fn tell(&mut self, drive: &mut Drive) -> Result<bool, End> {
        if self.told.is_some_and(|told| told.elapsed() < limits::PENDING_INTERVAL) {
            return Ok(false);
        }
        self.told = Some(Instant::now());
        let response = self.request.response(Status::PENDING.into(), self.counts.pending(), false);
        drive.queue(self.context.id, &response, None)?;
        Ok(true)
    }

    /// The instances, from the first one on.
    pub(super) fn pages(&self, pipeline: &Pipeline) -> Pages {
        let (pipeline, selected) = (pipeline.clone(), Arc::clone(&self.selected));
        Pages { pipeline, selected, next: Next::Page(None) }
    }

    /// The data set of the final response, when it has one.
    fn identifier(&self) -> Option<Vec<u8>> {
        let form = syntax::form(&self.context.transfer_syntax);
        let data_set = to_data_set(&self.counts.identifier()?, form.encoding, &Charset::default());
        Some(data_set::in_form(form, data_set))
    }
}

impl Pages {
    /// The next page; `None` when there are no more. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<StoredInstance>, pipeline::Error>> {
        let Next::Page(after) = &self.next else { return None };
        match self.pipeline.selected(&self.selected, after.clone()).await {
            Ok(page) => {
                self.next = page.next.map_or(Next::Nothing, |next| Next::Page(Some(next)));
                Some(Ok(page.rows))
            }
            Err(error) => {
                self.next = Next::Nothing;
                Some(Err(error))
            }
        }
    }
}

impl Request {
    pub(super) fn message_id(&self) -> u16 {
        match self {
            Self::Get(request) => request.message_id,
            Self::Move(request) => request.message_id,
        }
    }

    fn affected_sop_class_uid(&self) -> Option<&SopClassUid> {
        match self {
            Self::Get(request) => request.affected_sop_class_uid.as_ref(),
            Self::Move(request) => request.affected_sop_class_uid.as_ref(),
        }
    }

    fn retrieval(&self) -> Retrieval {
        match self {
            Self::Get(_) => Retrieval::Get,
            Self::Move(_) => Retrieval::Move,
        }
    }

    fn response(&self, outcome: Outcome, sub_operations: SubOperations, has_identifier: bool) -> Command {
        match self {
            Self::Get(request) => {
                let mut response = request.answer(outcome, sub_operations);
                response.has_identifier = has_identifier;
                response.into()
            }
            Self::Move(request) => {
                let mut response = request.answer(outcome, sub_operations);
                response.has_identifier = has_identifier;
                response.into()
            }
        }
    }
}

const STOPPING: &str = "shutting down";
