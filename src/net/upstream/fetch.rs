use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dimse::Class;
use dimse::service::retrieve::SubOperations;
use model::attributes::Attributes;
use model::{
    AeTitle, PeerName, QueryRetrieveLevel, Scope, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag,
    Vr, limits,
};
use pipeline::{Committed, Content, Fetched, Pipeline, Received, UpstreamError};
use telemetry::Door;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{RetrieveBy, Way, failed, root};
use crate::drive::{Drive, Incoming};
use crate::end::{End, Wait};
use crate::error::Error;
use crate::scu::{
    Arrived, Expected, GetScu, Keeper, MoveScu, NotKept, Question, Retrieved, classes, retrieve_meaning,
};
use crate::status;

/// A retrieve from an upstream archive.
pub(super) struct Fetch {
    pub(super) way: Way,
    pub(super) peer: PeerName,
    /// Queries for retrieves that may be under way.
    pub(super) listings: Arc<Semaphore>,
    pub(super) patience: Duration,
    pub(super) into: Pipeline,
    pub(super) stop: CancellationToken,
}

/// An association on which one retrieve is made after the other.
enum Line {
    Get { scu: GetScu, intake: Box<Intake> },
    Move { scu: MoveScu, to: AeTitle, came: u64 },
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
        if let Err(error) = self.all(&batches(wanted), by, &mut fetched).await {
            fetched.end = Err(failed(&error));
        }
        drop(place);
        fetched
    }

    async fn all(&self, batches: &[Batch], by: RetrieveBy, fetched: &mut Fetched) -> Result<(), Error> {
        let Some(first) = batches.first() else { return Ok(()) };
        let mut line = self.line(first, by).await?;
        let mut asked = Ok(());
        for batch in batches {
            asked = self.one(&mut line, batch, fetched).await;
            fetched.came = line.came();
            if asked.is_err() || self.stop.is_cancelled() {
                break;
            }
        }
        line.end(asked).await
    }

    /// Associates, in bounded time.
    async fn line(&self, first: &Batch, by: RetrieveBy) -> Result<Line, Error> {
        let associating = timeout(self.patience * limits::RETRIEVE_STANDSTILL, self.associate(first, by));
        tokio::select! {
            line = associating => line.unwrap_or(Err(Error::Association(End::TimedOut(Wait::Standstill)))),
            () = self.stop.cancelled() => Err(Error::Association(End::Abandoned)),
        }
    }

    async fn associate(&self, first: &Batch, by: RetrieveBy) -> Result<Line, Error> {
        let Way { target, settings } = &self.way;
        match by {
            RetrieveBy::Get => {
                // Which SOP classes there are is asked of the whole study, which all of it is in.
                let study = first.of_study().question();
                let scu =
                    GetScu::associate(target, settings, study.root, self.classes(&study).await?).await?;
                let intake = Intake {
                    pipeline: self.into.clone(),
                    peer: self.peer.clone(),
                    from: target.ae_title.clone(),
                    to: settings.calling.clone(),
                    study: first.study.clone(),
                    came: 0,
                };
                Ok(Line::Get { scu, intake: Box::new(intake) })
            }
            RetrieveBy::Move => {
                let scu = MoveScu::associate(target, settings, root(QueryRetrieveLevel::Study)).await?;
                Ok(Line::Move { scu, to: settings.calling.clone(), came: 0 })
            }
        }
    }

    /// The SOP classes that it tells of when it has a place, as far as it does in time.
    async fn classes(&self, study: &Question) -> Result<Vec<String>, Error> {
        let Way { target, settings } = &self.way;
        let asking = async {
            let _place = self.listings.acquire().await;
            classes::of(target, settings, study).await
        };
        timeout(self.patience, asking).await.unwrap_or_else(|_| Ok(classes::common()))
    }

    /// Retrieves a batch, one by one where the archive does not know lists of UIDs.
    async fn one(&self, line: &mut Line, batch: &Batch, fetched: &mut Fetched) -> Result<(), End> {
        let before = line.came();
        let retrieved = line.retrieve(&batch.question(), self).await?;
        let (brought, failed) = (line.came() - before, retrieved.sub_operations.failed.unwrap_or(0));
        if batch.instances.len() > 1 && brought + u64::from(failed) < 2 && !self.stop.is_cancelled() {
            for (place, one) in batch.each().enumerate() {
                let before = line.came();
                let retrieved = line.retrieve(&one.question(), self).await?;
                let knows_it =
                    line.came() > before || retrieved.sub_operations.failed.is_some_and(|failed| failed > 0);
                if place == 0 && !knows_it {
                    // It is not the list.
                    break;
                }
                take_note(retrieved, fetched);
                if place + 1 == batch.instances.len() || self.stop.is_cancelled() {
                    return Ok(());
                }
            }
        }
        take_note(retrieved, fetched);
        Ok(())
    }
}

impl Line {
    async fn retrieve(&mut self, question: &Question, fetch: &Fetch) -> Result<Retrieved, End> {
        let Fetch { patience, stop, .. } = fetch;
        match self {
            Self::Get { scu, intake } => scu.get(question, intake.as_mut(), *patience, stop).await,
            Self::Move { scu, to, came } => {
                let retrieved = scu.move_to(question, to, &mut |_| {}, *patience, stop).await?;
                let SubOperations { completed, warning, .. } = retrieved.sub_operations;
                *came += [completed, warning].into_iter().flatten().map(u64::from).sum::<u64>();
                Ok(retrieved)
            }
        }
    }

    /// How many instances have come, as far as is known.
    fn came(&self) -> u64 {
        match self {
            Self::Get { intake, .. } => intake.came,
            Self::Move { came, .. } => *came,
        }
    }

    async fn end(self, asked: Result<(), End>) -> Result<(), Error> {
        match self {
            Self::Get { scu, .. } => scu.end(asked).await,
            Self::Move { scu, .. } => scu.end(asked).await,
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

/// What one request retrieves: a study, a series, or instances of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    study: StudyInstanceUid,
    series: Option<SeriesInstanceUid>,
    instances: Vec<SopInstanceUid>,
}

/// As few as may be: of instances, up to [`limits::UPSTREAM_BATCH`] of a series together.
fn batches(wanted: Vec<Scope>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    // Of each series, where the batch is that has room.
    let mut open: HashMap<Option<SeriesInstanceUid>, usize> = HashMap::new();
    for Scope { study, series, instance } in wanted {
        let place = open.get(&series).copied().filter(|_| instance.is_some());
        let begun = place.and_then(|place| batches.get_mut(place));
        match begun.filter(|batch| batch.study == study && batch.instances.len() < limits::UPSTREAM_BATCH) {
            Some(batch) => batch.instances.extend(instance),
            None => {
                if instance.is_some() {
                    open.insert(series.clone(), batches.len());
                }
                batches.push(Batch { study, series, instances: instance.into_iter().collect() });
            }
        }
    }
    batches
}

impl Batch {
    /// The study that it is of.
    fn of_study(&self) -> Self {
        Self { study: self.study.clone(), series: None, instances: Vec::new() }
    }

    /// Its instances, each by itself.
    fn each(&self) -> impl Iterator<Item = Self> {
        self.instances.iter().map(|one| Self { instances: vec![one.clone()], ..self.clone() })
    }

    /// The identifier: each level with the unique keys of those above, and instances as a list (PS3.4 §C.2.2.2.2, §C.4.2.2.1).
    fn question(&self) -> Question {
        let mut keys = Attributes::new();
        keys.insert_text(STUDY_INSTANCE_UID, Vr::UI, self.study.as_str());
        if let Some(series) = &self.series {
            keys.insert_text(SERIES_INSTANCE_UID, Vr::UI, series.as_str());
        }
        if !self.instances.is_empty() {
            let uids = self.instances.iter().map(|uid| uid.as_str().to_owned()).collect();
            keys.insert(SOP_INSTANCE_UID, Vr::UI, uids);
        }
        let level = match (&self.series, self.instances.as_slice()) {
            (_, [_, ..]) => QueryRetrieveLevel::Image,
            (Some(_), []) => QueryRetrieveLevel::Series,
            (None, []) => QueryRetrieveLevel::Study,
        };
        Question { root: root(level), level, keys }
    }
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
    async fn keep(&mut self, drive: &mut Drive, expected: Expected) -> Result<Arrived, End> {
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
        let is_new = result.as_ref().is_ok_and(|stored| stored.outcome != Committed::Duplicate);
        Ok(Arrived { outcome: status::of_ingest(&result), is_new })
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

#[cfg(test)]
mod tests {
    use model::Uid;

    use super::*;

    fn scope(series: &str, instance: &str) -> Scope {
        let study = StudyInstanceUid::lenient("1.2").unwrap();
        Scope { study, series: Uid::lenient(series), instance: Uid::lenient(instance) }
    }

    #[test]
    fn instances_of_a_series_go_together_and_there_is_a_limit() {
        let many = (0..limits::UPSTREAM_BATCH).map(|number| scope("1.3", &format!("2.{number}")));
        let mut wanted =
            vec![scope("1.4", ""), scope("1.3", "9.1"), scope("1.5", "9.2"), scope("1.3", "9.3")];
        wanted.extend(many);
        let batches = batches(wanted);
        let told: Vec<_> = batches
            .iter()
            .map(|batch| (batch.series.as_ref().map(Uid::as_str).unwrap_or_default(), batch.instances.len()))
            .collect();
        assert_eq!(told, [("1.4", 0), ("1.3", limits::UPSTREAM_BATCH), ("1.5", 1), ("1.3", 2)]);
        let levels: Vec<_> = batches.iter().map(|batch| batch.question().level).collect();
        use QueryRetrieveLevel::{Image, Series, Study};
        assert_eq!(levels, [Series, Image, Image, Image]);
        assert_eq!(batches[0].of_study().question().level, Study);
        let question = batches[3].question();
        assert_eq!(question.keys.get(SOP_INSTANCE_UID).unwrap().values.len(), 2);
        assert_eq!(question.keys.first(SERIES_INSTANCE_UID), Some("1.3"));
        assert_eq!(batches[1].each().count(), limits::UPSTREAM_BATCH);
    }
}
