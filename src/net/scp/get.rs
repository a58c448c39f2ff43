use std::collections::VecDeque;

use dimse::service::get::CGetRq;
use dimse::service::store::CStoreRq;
use dimse::{Command, Outcome};
use futures_util::FutureExt;
use model::query::Root;
use pipeline::StoredInstance;
use ul::PresentationContext;

use super::Scp;
use super::counts::Ending;
use super::retrieve::{Pages, Request, Retrieve, Unable};
use crate::drive::Drive;
use crate::end::End;
use crate::scu::{Ahead, Chunk, Contexts, Instance, NotSent, Whole, put};

/// Where the instances of a C-GET come from: one is read while the one before is sent.
struct Source {
    contexts: Contexts,
    pages: Pages,
    page: VecDeque<StoredInstance>,
}

/// An instance whose turn has come, and which is being read.
struct Sendable {
    instance: Instance,
    file_bytes: u64,
    context_id: u8,
    data: Ahead,
}

/// The answer to one sub-operation.
struct Answered {
    outcome: Outcome,
    is_cancelled: bool,
}

impl Scp<'_> {
    /// Answers C-GET: sends the instances by C-STORE on the same association, one after the other, on the contexts where the requestor is
    /// SCP. An instance that none of them fits, or that cannot be read, is a failed sub-operation. Only one that turns out to have changed
    /// on disk while it is sent, which those above [`limits::CHECKED_AHEAD_BYTES`](model::limits::CHECKED_AHEAD_BYTES) may, ends the
    /// association.
    ///
    /// C-CANCEL is looked for after each sub-operation. Memory: four chunks of 256 KiB and a page of instances.
    ///
    /// PS3.4 §C.4.3, PS3.7 §9.1.3.
    pub(super) async fn get(
        &mut self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: CGetRq,
    ) -> Result<(), End> {
        let request = Request::Get(request);
        match self.select_to_get(drive, context, root, &request).await {
            Ok(mut retrieve) => {
                let sent = self.send(drive, &mut retrieve).await;
                self.finish(drive, &mut retrieve, sent).await
            }
            Err(unable) => self.unable(drive, context.id, &request, unable).await,
        }
    }

    async fn select_to_get(
        &self,
        drive: &mut Drive,
        context: &PresentationContext,
        root: Root,
        request: &Request,
    ) -> Result<Retrieve, Unable> {
        let selection = self.selection(drive, context, root, request).await?;
        self.select(drive, context, request, selection).await
    }

    async fn send(&mut self, drive: &mut Drive, retrieve: &mut Retrieve) -> Result<Ending, End> {
        let mut source = Source {
            contexts: Contexts::of_requestor(drive.association().contexts()),
            pages: retrieve.pages(self.pipeline),
            page: VecDeque::new(),
        };
        let (mut message_id, mut spare) = (0_u16, Vec::new());
        let mut upcoming = source.next(retrieve, Vec::new()).await;
        while let Some(mut current) = upcoming {
            if self.shutdown.is_cancelled() {
                return Ok(Ending::Shutdown);
            }
            let (data, bytes) = match current.data.first().await {
                Ok(first) => first,
                Err(error) => {
                    let path = current.instance.path.display();
                    tracing::error!(%path, %error, "a stored file cannot be read");
                    let reason = "a stored file cannot be read".to_owned();
                    retrieve.counts.failed(&current.instance.sop_instance, reason);
                    upcoming = source.next(retrieve, current.data.into_spare()).await;
                    continue;
                }
            };
            upcoming = source.next(retrieve, std::mem::take(&mut spare)).await;
            message_id = message_id.wrapping_add(1);
            let request = CStoreRq {
                message_id,
                affected_sop_class_uid: Some(current.instance.sop_class.clone()),
                affected_sop_instance_uid: Some(current.instance.sop_instance.clone()),
                move_originator: None,
            };
            put(drive, current.context_id, request, data, bytes, &mut current.data).await.map_err(torn)?;
            spare = current.data.into_spare();
            let answered = self.answered(drive, message_id, retrieve.request.message_id()).await?;
            retrieve.counts.answered(&current.instance.sop_instance, current.file_bytes, &answered.outcome);
            if answered.is_cancelled {
                return Ok(Ending::Cancelled);
            }
            retrieve.tell(drive)?;
        }
        Ok(Ending::Done)
    }

    /// Waits for the answer to a sub-operation, and looks whether the retrieve has been cancelled by then.
    async fn answered(
        &mut self,
        drive: &mut Drive,
        message_id: u16,
        retrieve_id: u16,
    ) -> Result<Answered, End> {
        let mut is_cancelled = false;
        loop {
            let message = drive.next_message(self.config.message_timeout).await?;
            match message.command {
                Command::CStoreRsp(response) if response.message_id_being_responded_to == message_id => {
                    drive.drain().await?;
                    let cancelled = drive.cancelled(retrieve_id).now_or_never();
                    is_cancelled |= cancelled.transpose()?.is_some();
                    return Ok(Answered { outcome: response.outcome, is_cancelled });
                }
                Command::CCancelRq(cancel) if !message.has_data_set => {
                    is_cancelled |= cancel.message_id_being_responded_to == retrieve_id;
                }
                // To a report that went out before the C-GET came.
                Command::NEventReportRsp(response) => self.report_answered(drive, response).await?,
                other => return Err(End::OutOfTurn(other.name())),
            }
        }
    }
}

impl Source {
    /// Begins to read the next instance that can be sent, into `spare` chunks; those before it that cannot have failed.
    async fn next(&mut self, retrieve: &mut Retrieve, spare: Vec<Chunk>) -> Option<Sendable> {
        loop {
            let stored = self.stored().await?;
            let whole = Whole::of(&stored);
            let instance = Instance::from(stored);
            match self.contexts.of(&instance) {
                Ok(context_id) => {
                    let data = Ahead::start(instance.clone(), whole, spare);
                    return Some(Sendable { instance, file_bytes: whole.file_bytes, context_id, data });
                }
                Err(_) if self.contexts.is_empty() => {
                    let reason = "the requestor is SCP of no storage class: it must propose the role";
                    retrieve.counts.failed(&instance.sop_instance, reason.to_owned());
                }
                Err(error) => retrieve.counts.failed(&instance.sop_instance, error.explain()),
            }
        }
    }

    async fn stored(&mut self) -> Option<StoredInstance> {
        while self.page.is_empty() {
            match self.pages.next().await? {
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    tracing::error!(error = crate::chain(&error), "cannot read on in the index");
                    return None;
                }
            }
        }
        self.page.pop_front()
    }
}

/// A data set that breaks off cannot be told from a whole one but by breaking off the association.
fn torn(not_sent: NotSent) -> End {
    match not_sent {
        NotSent::Torn(error) => {
            tracing::error!(%error, "a file failed while it was sent");
            End::Abandoned
        }
        NotSent::Lost(end) => end,
    }
}
