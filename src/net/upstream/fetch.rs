use std::future::Future;
use std::time::Duration;

use dimse::service::retrieve::SubOperations;
use dimse::{Class, Outcome};
use model::attributes::Attributes;
use model::{
    AeTitle, PeerName, QueryRetrieveLevel, Scope, SopInstanceUid, StudyInstanceUid, Tag, Uid, Vr, limits,
};
use pipeline::{Content, Fetched, Pipeline, Received, UpstreamError};
use telemetry::Door;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{RetrieveBy, Way, failed, root};
use crate::drive::{Drive, Incoming};
use crate::end::End;
use crate::error::Error;
use crate::scu::{Expected, GetScu, Keeper, MoveScu, NotKept, Question, Retrieved, retrieve_meaning};
use crate::status;

/// A retrieve from an upstream archive.
pub(super) struct Fetch {
    pub(super) way: Way,
    pub(super) peer: PeerName,
    pub(super) patience: Duration,
    pub(super) into: Pipeline,
    pub(super) stop: CancellationToken,
}

impl Fetch {
    /// Fetches one thing after the other over one association, when one of `places` is free.
    pub(super) async fn run(self, wanted: Vec<Scope>, by: RetrieveBy, places: &Semaphore) -> Fetched {
        let place = tokio::select! {
            place = timeout(self.patience, places.acquire()) => place,
            () = self.stop.cancelled() => return Fetched::failed(UpstreamError::failed("cancelled")),
        };
        let Ok(place) = place else {
            return Fetched::failed(UpstreamError::refused("as many retrieves as may be are under way"));
        };
        let mut fetched = Fetched { came: 0, failed: 0, failed_uids: Vec::new(), end: Ok(()) };
        let end = match by {
            RetrieveBy::Get => self.get(wanted, &mut fetched).await,
            RetrieveBy::Move => self.move_(wanted, &mut fetched).await,
        };
        drop(place);
        if let Err(error) = end {
            fetched.end = Err(failed(&error));
        }
        fetched
    }

    async fn get(&self, wanted: Vec<Scope>, fetched: &mut Fetched) -> Result<(), Error> {
        let Way { target, settings } = &self.way;
        let Some(whole) = wanted.first() else { return Ok(()) };
        let study = whole.study.clone();
        // Which SOP classes there are is asked of the whole study, which all of it is in.
        let whole = question(&Scope { series: None, instance: None, ..whole.clone() });
        let associating = GetScu::associate(target, settings, &whole);
        let mut scu = self.unless_stopped(associating).await?;
        let mut intake = Intake {
            pipeline: self.into.clone(),
            peer: self.peer.clone(),
            from: target.ae_title.clone(),
            to: settings.calling.clone(),
            study,
            came: 0,
        };
        for scope in &wanted {
            let got = scu.get(&question(scope), &mut intake, self.patience, &self.stop).await;
            fetched.came = intake.came;
            match got {
                Ok(retrieved) => take_note(retrieved, fetched),
                Err(end) => return scu.end(Err(end)).await,
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        scu.end(Ok(())).await
    }

    async fn move_(&self, wanted: Vec<Scope>, fetched: &mut Fetched) -> Result<(), Error> {
        let Way { target, settings } = &self.way;
        let associating = MoveScu::associate(target, settings, root(QueryRetrieveLevel::Study));
        let mut scu = self.unless_stopped(associating).await?;
        for scope in &wanted {
            let question = question(scope);
            let moved =
                scu.move_to(&question, &settings.calling, &mut |_| {}, self.patience, &self.stop).await;
            match moved {
                Ok(retrieved) => {
                    let SubOperations { completed, warning, .. } = retrieved.sub_operations;
                    fetched.came += [completed, warning].into_iter().flatten().map(u64::from).sum::<u64>();
                    take_note(retrieved, fetched);
                }
                Err(end) => return scu.end(Err(end)).await,
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        scu.end(Ok(())).await
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(Error::Association(End::Abandoned)),
        }
    }
}

/// How the upstream archive says that one retrieve went.
fn take_note(retrieved: Retrieved, fetched: &mut Fetched) {
    let Retrieved { outcome, sub_operations, failed } = retrieved;
    fetched.failed += u64::from(sub_operations.failed.unwrap_or(0));
    let room = limits::UPSTREAM_PIECES.saturating_sub(fetched.failed_uids.len());
    fetched.failed_uids.extend(failed.into_iter().take(room));
    let status = outcome.status;
    match status.class() {
        Class::Success | Class::Pending => {}
        Class::Warning | Class::Failure | Class::Cancel => {
            // Without the peer's comment: it may name the patient.
            let reason = format!("it answered {status} {}", retrieve_meaning(status));
            fetched.end = Err(UpstreamError::refused(reason));
        }
    }
}

/// A scope as it is retrieved: each level with the unique keys of those above (PS3.4 §C.4.2.2.1).
fn question(scope: &Scope) -> Question {
    let mut keys = Attributes::new();
    let mut key = |tag, uid: Option<&str>| {
        if let Some(uid) = uid {
            keys.insert_text(tag, Vr::UI, uid);
        }
    };
    key(STUDY_INSTANCE_UID, Some(scope.study.as_str()));
    key(SERIES_INSTANCE_UID, scope.series.as_ref().map(Uid::as_str));
    key(SOP_INSTANCE_UID, scope.instance.as_ref().map(Uid::as_str));
    let level = match (&scope.series, &scope.instance) {
        (None, _) => QueryRetrieveLevel::Study,
        (Some(_), None) => QueryRetrieveLevel::Series,
        (Some(_), Some(_)) => QueryRetrieveLevel::Image,
    };
    Question { root: root(level), level, keys }
}

/// Has the pipeline take in what comes, as what the peer sent.
struct Intake {
    pipeline: Pipeline,
    peer: PeerName,
    /// Its AE title.
    from: AeTitle,
    /// Ours.
    to: AeTitle,
    /// What was asked for.
    study: StudyInstanceUid,
    came: u64,
}

impl Keeper for Intake {
    async fn keep(&mut self, drive: &mut Drive, expected: Expected) -> Result<Outcome, End> {
        let Expected { sop_class, sop_instance, transfer_syntax } = expected;
        let address = drive.peer_address();
        let received = Received {
            door: Door::Dimse,
            calling_aet: Some(self.from.clone()),
            called_aet: Some(self.to.clone()),
            peer: Some(self.peer.clone()),
            address,
            is_asked_for: true,
            content: Content::DataSet {
                transfer_syntax,
                sop_class,
                sop_instance,
                study: Some(self.study.clone()),
            },
        };
        let mut body = Incoming::new(drive);
        let result = self.pipeline.ingest(received, &mut body).await;
        body.finish().await?;
        match &result {
            Ok(_) => self.came += 1,
            Err(refused) => {
                let instance = refused.sop_instance.as_ref().map(tracing::field::display);
                let error = crate::chain(&refused.error);
                tracing::warn!(instance, error, "an instance of an upstream archive is not kept");
            }
        }
        Ok(status::of_ingest(&result))
    }

    fn refuse(&mut self, instance: Option<&SopInstanceUid>, reason: &NotKept) {
        let (instance, reason) = (instance.map(tracing::field::display), reason.explain());
        tracing::warn!(instance, reason, "an instance of an upstream archive is not kept");
    }

    fn count(&mut self, count: SubOperations) {
        tracing::trace!(remaining = count.remaining, completed = count.completed, "fetching");
    }
}

const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
