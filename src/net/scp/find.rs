mod row;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use dimse::service::find::{self, CFindRq};
use dimse::{Outcome, Status};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use model::query::{Key, Matching, Mechanisms, Query, QueryError, Root};
use model::syntax::{self, Form};
use model::{AeTitle, Fault, QueryRetrieveLevel, Tag, limits, scan};
use pipeline::{Cursor, FromUpstreams, Page, Pipeline, Row, Support, UpstreamRow};
use telemetry::{Door, Event};
use tokio::task::JoinHandle;
use ul::PresentationContext;

use super::Scp;
use crate::data_set::{self, Unread, Whole};
use crate::drive::Drive;
use crate::end::End;
use crate::status;
use row::Shape;

/// A C-FIND that is being answered.
struct Search<'a> {
    context_id: u8,
    request: &'a CFindRq,
    query: Query,
    shape: Arc<Shape>,
    /// The status that goes with each match.
    pending: Status,
    /// A key that is ours to match says that nothing does.
    is_futile: bool,
    rows: u64,
}

impl Scp<'_> {
    /// Answers C-FIND: matches in pages, each written as it is found; ended early by C-CANCEL.
    ///
    /// PS3.4 §C.4.1, PS3.7 §9.1.2.
    pub(super) async fn find(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: CFindRq,
    ) -> Result<(), End> {
        let outcome = match self.search(drive, context, root, &request).await? {
            Ok(mut search) => {
                let started = Instant::now();
                let outcome = self.send_matches(drive, &mut search).await;
                let (level, rows, elapsed) = (search.query.level, search.rows, started.elapsed());
                self.telemetry.record(Event::Query { door: Door::Dimse, level, rows, elapsed });
                tracing::debug!(level = level.keyword(), rows, ?elapsed, "query answered");
                outcome?
            }
            Err(refusal) => refusal,
        };
        self.respond(drive, context.id, &request.answer(outcome).into()).await
    }

    /// Reads the identifier. The inner error is the refusal.
    async fn search<'a>(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: &'a CFindRq,
    ) -> Result<Result<Search<'a>, Outcome>, End> {
        let Whole { bytes, permit } =
            match data_set::read(drive, limits::IDENTIFIER_BYTES, self.large).await? {
                Ok(whole) => whole,
                Err(Unread::TooLarge) => {
                    return Ok(Err(Outcome::because(find::UNABLE_TO_PROCESS, "identifier is too large")));
                }
                Err(Unread::Busy) => {
                    let reason = "too many large identifiers at once";
                    return Ok(Err(Outcome::because(find::OUT_OF_RESOURCES, reason)));
                }
            };
        if request
            .affected_sop_class_uid
            .as_ref()
            .is_none_or(|class| class.as_str() != context.abstract_syntax)
        {
            let reason = "SOP class is not that of the presentation context";
            return Ok(Err(Outcome::because(Status::SOP_CLASS_NOT_SUPPORTED, reason)));
        }
        let reader = Reader {
            pipeline: self.pipeline.clone(),
            ae_title: self.ae_title.clone(),
            root,
            mechanisms: self.granted.of(&context.abstract_syntax),
            form: syntax::form(&context.transfer_syntax),
        };
        let asked = reader.read_in_time(bytes).await;
        // What is left of it is small.
        drop(permit);
        Ok(asked.map(|Asked { query, shape, pending, is_futile }| Search {
            context_id: context.id,
            request,
            query,
            shape: Arc::new(shape),
            pending,
            is_futile,
            rows: 0,
        }))
    }

    /// Sends every match, those of upstream archives behind ours; the final response is left to the caller.
    async fn send_matches(&self, drive: &mut Drive, search: &mut Search<'_>) -> Result<Outcome, End> {
        if search.is_futile {
            return Ok(Status::SUCCESS.into());
        }
        let mut upstreams = self.pipeline.ask_upstreams(&search.query, &self.caller.behalf());
        let mut after = None;
        loop {
            let page = match self.next_page(drive, search, after).await? {
                Some(Ok(page)) => page,
                Some(Err(error)) => return Ok(failure(&error)),
                None => return Ok(Status::CANCEL.into()),
            };
            for row in page.rows {
                if self.send_match(drive, search, (row, None), search.pending).await? {
                    return Ok(Status::CANCEL.into());
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
            drive.flush().await?;
        }
        match &mut upstreams {
            Some(upstreams) => self.send_from(drive, search, upstreams).await,
            None => Ok(Status::SUCCESS.into()),
        }
    }

    /// Sends what upstream archives have and we do not, as it comes. That one does not answer fails nothing: it is told beside Success.
    async fn send_from(
        &self,
        drive: &mut Drive,
        search: &mut Search<'_>,
        upstreams: &mut FromUpstreams,
    ) -> Result<Outcome, End> {
        loop {
            drive.flush().await?;
            let rows = tokio::select! {
                rows = upstreams.next() => rows,
                cancelled = drive.cancelled(search.request.message_id) => {
                    cancelled?;
                    return Ok(Status::CANCEL.into());
                }
            };
            let rows = match rows {
                Ok(Some(rows)) => rows,
                Ok(None) => break,
                Err(error) => return Ok(failure(&error)),
            };
            for UpstreamRow { row, ae_title, has_unknown_keys, .. } in rows {
                let pending =
                    if has_unknown_keys { Status::PENDING_UNSUPPORTED_KEYS } else { search.pending };
                if self.send_match(drive, search, (row, Some(ae_title)), pending).await? {
                    return Ok(Status::CANCEL.into());
                }
            }
        }
        let incomplete = upstreams.incomplete();
        for upstream in &incomplete {
            tracing::warn!(%upstream, "a query was answered without all that an upstream archive may have");
        }
        Ok(status::without(Status::SUCCESS.into(), &incomplete))
    }

    /// Sends one match, which another archive may have; whether the peer has cancelled by now, as far as was looked.
    async fn send_match(
        &self,
        drive: &mut Drive,
        search: &mut Search<'_>,
        (row, elsewhere): (Row, Option<AeTitle>),
        pending: Status,
    ) -> Result<bool, End> {
        let identifier = identifier_of(&search.shape, row, elsewhere).await;
        search.rows += 1;
        let response = search.request.answer(pending.into());
        drive.queue(search.context_id, &response.into(), Some(&identifier))?;
        if drive.queued_bytes() < WRITE_BYTES {
            return Ok(false);
        }
        drive.flush().await?;
        self.is_cancelled(drive, search).await
    }

    /// The next page; `None` when the peer cancelled before it was there.
    async fn next_page(
        &self,
        drive: &mut Drive,
        search: &Search<'_>,
        after: Option<Cursor>,
    ) -> Result<Option<Result<Page<Row>, pipeline::Error>>, End> {
        tokio::select! {
            page = self.pipeline.find(&search.query, after) => Ok(Some(page)),
            cancelled = drive.cancelled(search.request.message_id) => cancelled.map(|()| None),
        }
    }

    /// Whether the peer has cancelled by now.
    async fn is_cancelled(&self, drive: &mut Drive, search: &Search<'_>) -> Result<bool, End> {
        tokio::select! {
            biased;
            cancelled = drive.cancelled(search.request.message_id) => cancelled.map(|()| true),
            () = std::future::ready(()) => Ok(false),
        }
    }
}

/// What the identifier of a request comes to.
struct Asked {
    query: Query,
    shape: Shape,
    pending: Status,
    is_futile: bool,
}

/// Reads the identifier of a request.
struct Reader {
    pipeline: Pipeline,
    ae_title: AeTitle,
    root: Root,
    mechanisms: Mechanisms,
    form: Form,
}

impl Reader {
    /// A large or deflated identifier may keep a thread busy for longer than others should wait for it.
    async fn read_in_time(self, bytes: Vec<u8>) -> Result<Asked, Outcome> {
        if !self.form.deflated && bytes.len() <= SMALL_IDENTIFIER_BYTES {
            return self.read(&bytes);
        }
        finished(tokio::task::spawn_blocking(move || self.read(&bytes))).await
    }

    /// The error is the refusal.
    fn read(&self, bytes: &[u8]) -> Result<Asked, Outcome> {
        let identifier = scan::scan_within(self.form, bytes, MOST_BYTES)
            .map_err(|error| Outcome::because(find::UNABLE_TO_PROCESS, status::unreadable(error)))?;
        let mut query = Query::from_identifier(&identifier, self.root, self.mechanisms)
            .map_err(|error| refusal(&error))?;
        let is_futile = self.is_futile(&mut query);
        let pending = match self.drop_unsupported(&mut query) {
            true => Status::PENDING_UNSUPPORTED_KEYS,
            false => Status::PENDING,
        };
        query.include.most_stored_bytes = Some(limits::STORED_ROW_BYTES);
        let shape = Shape {
            level: query.level,
            include: query.include.clone(),
            charset: identifier.charset().clone(),
            form: self.form,
            retrieve_ae_title: self.ae_title.clone(),
        };
        Ok(Asked { query, shape, pending, is_futile })
    }

    /// Takes Retrieve AE Title out of the query: it is ours, not the archive's. Whether as a key it asks for another than ours.
    fn is_futile(&self, query: &mut Query) -> bool {
        query.include.tags.remove(&RETRIEVE_AE_TITLE);
        let asks_for_others = query
            .keys
            .iter()
            .any(|key| key.tag == RETRIEVE_AE_TITLE && !key.matching.is_met_by(self.ae_title.as_str()));
        query.keys.retain(|key| key.tag != RETRIEVE_AE_TITLE);
        asks_for_others
    }

    /// Leaves keys out of the query that cannot be matched or returned; whether there were any. One of a level below that is matched is
    /// supported, though a row has no value of it.
    ///
    /// PS3.4 §C.2.2.1.3: unsupported optional keys are ignored. §C.4.1.2.2.1: relational queries have keys of any level.
    fn drop_unsupported(&self, query: &mut Query) -> bool {
        let level = query.level;
        let lowest = if query.relational { QueryRetrieveLevel::Image } else { level };
        let mut are_some_dropped = false;
        let mut is_kept = |is_supported: bool| {
            are_some_dropped |= !is_supported;
            is_supported
        };
        let is_match = |support| matches!(support, Support::Match);
        query.keys.retain_mut(|key| match &mut key.matching {
            Matching::Item(inner) => {
                let sequence = key.tag;
                inner
                    .retain(|key| is_kept(is_match(self.pipeline.support_within(lowest, sequence, key.tag))));
                !inner.is_empty()
            }
            _ => is_kept(is_match(self.pipeline.support(lowest, key.tag))),
        });
        let matched: BTreeSet<Tag> = query.keys.iter().flat_map(Key::tags).collect();
        query.include.tags.retain(|tag| {
            is_kept(matched.contains(tag) || self.pipeline.support(level, *tag) != Support::No)
        });
        are_some_dropped
    }
}

/// How a query ends that cannot go on.
fn failure(error: &pipeline::Error) -> Outcome {
    let cause = crate::chain(error);
    match error.fault() {
        Fault::Local | Fault::Bug => tracing::error!(error = cause, "query failed"),
        Fault::Peer | Fault::Policy | Fault::Transient { .. } => {
            tracing::warn!(error = cause, "query failed")
        }
    }
    status::of_find(error)
}

/// The identifier of a match, made on a thread of its own where it takes long.
async fn identifier_of(shape: &Arc<Shape>, row: Row, elsewhere: Option<AeTitle>) -> Vec<u8> {
    if !shape.takes_time(&row) {
        return shape.identifier(row, elsewhere.as_ref());
    }
    let shape = Arc::clone(shape);
    finished(tokio::task::spawn_blocking(move || shape.identifier(row, elsewhere.as_ref()))).await
}

/// Waits for a task of ours. Its panic is passed on.
async fn finished<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being torn down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What a deflated identifier may inflate to.
const MOST_BYTES: u64 = limits::IDENTIFIER_BYTES as u64; // lossless

/// A raw deflate stream, padded to even length (PS3.5 §A.5).
fn deflate(data_set: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(data_set.len()), Compression::fast());
    encoder.write_all(data_set).expect("writing to memory does not fail");
    let mut bytes = encoder.finish().expect("writing to memory does not fail");
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

fn refusal(error: &QueryError) -> Outcome {
    let (status, offending_elements) = match error {
        QueryError::Level => (find::IDENTIFIER_DOES_NOT_MATCH, vec![QUERY_RETRIEVE_LEVEL]),
        QueryError::Value { tag, .. } => (find::IDENTIFIER_DOES_NOT_MATCH, Vec::from_iter(*tag)),
        QueryError::Items { tag } => (find::IDENTIFIER_DOES_NOT_MATCH, vec![*tag]),
        QueryError::Alternatives { tag } => (find::UNABLE_TO_PROCESS, Vec::from_iter(*tag)),
        QueryError::Keys => (find::UNABLE_TO_PROCESS, Vec::new()),
    };
    let outcome = Outcome::because(status, error.to_string());
    Outcome { offending_elements, ..outcome }
}

const QUERY_RETRIEVE_LEVEL: Tag = Tag(0x0008, 0x0052);
const RETRIEVE_AE_TITLE: Tag = Tag(0x0008, 0x0054);

/// Matches are written in pieces of about this size.
const WRITE_BYTES: usize = 64 << 10;
const SMALL_IDENTIFIER_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn a_task_that_is_cancelled_is_no_panic() {
        let tracker = TaskTracker::new();
        let task = tracker.spawn(std::future::pending::<()>());
        task.abort();
        tokio::task::yield_now().await;
        assert!(task.is_finished() && finished(task).now_or_never().is_none());
        assert_eq!(finished(tracker.spawn(async { 1 })).await, 1);
    }
}
