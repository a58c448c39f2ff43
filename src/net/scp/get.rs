use std::pin::pin;

use dimse::service::get::CGetRq;
use dimse::service::store::CStoreRq;
use dimse::{Command, Outcome};
use futures_util::FutureExt;
use model::limits;
use model::query::Root;
use tokio::time::{MissedTickBehavior, interval};
use ul::PresentationContext;

use self::source::{Ready, Source, Unsendable};
use super::Scp;
use super::counts::Ending;
use super::retrieve::{Request, Retrieve, Unable};
use crate::drive::Drive;
use crate::end::End;
use crate::scu::{NotSent, put};

mod source;

/// What became of the wait for an instance.
enum Waited {
    /// It can be sent.
    Ready(Box<Ready>),
    /// It cannot.
    Unsendable(Unsendable),
    /// The retrieve is over before it, or there is none.
    Over(Ending),
}

/// The answer to one sub-operation.
struct Answered {
    outcome: Outcome,
    is_cancelled: bool,
}

impl Scp<'_> {
    /// Answers C-GET: sends the instances by C-STORE on the same association, one after the other, on the contexts where the requestor is
    /// SCP; those that none of these takes as they are stored go as copies that one takes. An instance of which there is none, or that
    /// cannot be read, is a failed sub-operation. Only one that turns out to have changed on disk while it is sent, which those above
    /// [`limits::CHECKED_AHEAD_BYTES`] may, ends the association.
    ///
    /// C-CANCEL is looked for after each sub-operation, and while an instance is waited for. Memory: eight chunks of at most 1 MiB and two
    /// pages of instances; on disk, three copies.
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
        self.select(drive, context, request, selection, None).await
    }

    async fn send(&mut self, drive: &mut Drive, retrieve: &mut Retrieve) -> Result<Ending, End> {
        let mut source =
            Source::new(drive.association().contexts(), retrieve.pages(self.pipeline), self.pipeline);
        let mut message_id = 0_u16;
        loop {
            let mut current = match self.wait_for(&mut source, drive, retrieve).await? {
                Waited::Ready(ready) => ready,
                Waited::Unsendable(Unsendable { sop_instance, reason }) => {
                    retrieve.counts.failed(&sop_instance, reason);
                    continue;
                }
                Waited::Over(ending) => return Ok(ending),
            };
            message_id = message_id.wrapping_add(1);
            let request = CStoreRq {
                message_id,
                affected_sop_class_uid: Some(current.instance.sop_class.clone()),
                affected_sop_instance_uid: Some(current.instance.sop_instance.clone()),
                move_originator: None,
            };
            let first = std::mem::take(&mut current.first);
            put(drive, current.context_id, request, first, current.bytes, &mut current.rest)
                .await
                .map_err(torn)?;
            // The requestor has work now, and we have none: what is read before competes with the writing for the processor.
            source.begin();
            let answered = self.answered(drive, message_id, retrieve.request.message_id()).await?;
            let (file_bytes, is_copy) = (current.file_bytes, current.is_copy());
            retrieve.counts.answered(&current.instance.sop_instance, file_bytes, is_copy, &answered.outcome);
            source.give_back(current.rest.into_spare());
            if answered.is_cancelled {
                return Ok(Ending::Cancelled);
            }
            retrieve.tell(drive)?;
        }
    }

    /// Waits until the next instance has been found and read, or the copy of it has been made, and tells the requestor how far the
    /// retrieve is when that takes a while.
    async fn wait_for(
        &self,
        source: &mut Source,
        drive: &mut Drive,
        retrieve: &mut Retrieve,
    ) -> Result<Waited, End> {
        if self.shutdown.is_cancelled() {
            return Ok(Waited::Over(Ending::Shutdown));
        }
        let message_id = retrieve.request.message_id();
        let mut next = pin!(source.next());
        let mut ticks = interval(limits::PENDING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                biased;
                next = &mut next => return Ok(match next {
                    Some(Ok(ready)) => Waited::Ready(Box::new(ready)),
                    Some(Err(unsendable)) => Waited::Unsendable(unsendable),
                    None => Waited::Over(Ending::Done),
                }),
                cancelled = drive.cancelled(message_id) => {
                    cancelled?;
                    return Ok(Waited::Over(Ending::Cancelled));
                }
                () = self.shutdown.cancelled() => return Ok(Waited::Over(Ending::Shutdown)),
                _ = ticks.tick() => {}
            }
            if retrieve.tell(drive)? {
                drive.flush().await?;
            }
        }
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
