//! The instances of a C-GET, made ready one ahead of what is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use model::SopInstanceUid;
use pipeline::{NotTranscoded, Pipeline, StoredInstance, Transcoded, Transcoder};
use tokio::task::JoinSet;
use tracing::Instrument;
use ul::PresentationContext;

use super::super::retrieve::{Pages, Retrieve};
use crate::scu::{Ahead, Chunk, Contexts, Instance, Whole, kind, not_transcoded};

/// Where they come from: one is read, or transcoded, while the one before is sent.
pub(super) struct Source {
    contexts: Arc<Contexts>,
    pages: Pages,
    page: VecDeque<StoredInstance>,
    transcoder: Transcoder,
}

/// An instance whose turn comes next. Dropped, the copy that is being made of it is given up.
pub(super) struct Upcoming {
    stored: StoredInstance,
    way: Way,
}

enum Way {
    /// It goes out as it is stored, and is being read.
    AsStored(Ahead),
    /// It goes out as a copy, which is being made.
    Copy { making: JoinSet<Result<Transcoded, NotTranscoded>>, spare: Vec<Chunk> },
}

/// An instance that can be sent now.
pub(super) struct Ready {
    pub(super) instance: Instance,
    pub(super) context_id: u8,
    /// Of the file that is sent.
    pub(super) file_bytes: u64,
    /// Bytes of the data set, which begins with `first`.
    pub(super) bytes: u64,
    pub(super) first: Chunk,
    pub(super) rest: Ahead,
    /// What is sent in place of the instance: its file lasts as long as this.
    copy: Option<Transcoded>,
}

/// An instance that cannot be sent, and why, in words without patient data.
pub(super) struct Unsendable {
    pub(super) sop_instance: SopInstanceUid,
    pub(super) reason: String,
    pub(super) spare: Vec<Chunk>,
}

impl Source {
    /// What these pages have, for a requestor with these presentation contexts.
    pub(super) fn new(contexts: &[PresentationContext], pages: Pages, pipeline: &Pipeline) -> Self {
        let contexts = Arc::new(Contexts::of_requestor(contexts));
        Self { contexts, pages, page: VecDeque::new(), transcoder: pipeline.transcoder().clone() }
    }

    pub(super) fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Begins to make the next instance ready that can be sent; those before it that cannot have failed. What is read comes into `spare`
    /// chunks.
    pub(super) async fn next(&mut self, retrieve: &mut Retrieve, spare: Vec<Chunk>) -> Option<Upcoming> {
        loop {
            let stored = self.stored().await?;
            let alternatives = self.contexts.alternatives(&kind(&stored));
            if !alternatives.is_empty() {
                let (transcoder, instance) = (self.transcoder.clone(), stored.clone());
                let make = async move { transcoder.transcode_into_any(&instance, &alternatives).await };
                let mut making = JoinSet::new();
                making.spawn(make.in_current_span());
                return Some(Upcoming { stored, way: Way::Copy { making, spare } });
            }
            let instance = Instance::from(stored.clone());
            match self.contexts.of(&instance) {
                Ok(_) => {
                    let data = Ahead::start(instance, Whole::of(&stored), spare);
                    return Some(Upcoming { stored, way: Way::AsStored(data) });
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

impl Upcoming {
    /// Waits until it can be sent on one of these contexts.
    pub(super) async fn ready(self, contexts: &Contexts) -> Result<Ready, Unsendable> {
        let Self { stored, way } = self;
        let sop_instance = stored.ids.sop_instance.clone();
        let (sent, copy, mut rest) = match way {
            Way::AsStored(data) => (stored, None, data),
            Way::Copy { mut making, spare } => match made(&mut making).await {
                Ok(copy) => {
                    let words = Transcoded::describe(&stored.transfer_syntax, &copy.instance.transfer_syntax);
                    tracing::debug!(%sop_instance, words, "sending a copy");
                    let sent = copy.instance.clone();
                    let data = Ahead::start(sent.clone().into(), Whole::of(&sent), spare);
                    (sent, Some(copy), data)
                }
                Err(reason) => {
                    let reason = not_transcoded(&stored, &reason).explain();
                    return Err(Unsendable { sop_instance, reason, spare });
                }
            },
        };
        let file_bytes = sent.length;
        let instance = Instance::from(sent);
        let context_id = match contexts.of(&instance) {
            Ok(context_id) => context_id,
            Err(error) => {
                return Err(Unsendable { sop_instance, reason: error.explain(), spare: rest.into_spare() });
            }
        };
        match rest.first().await {
            Ok((first, bytes)) => Ok(Ready { instance, context_id, file_bytes, bytes, first, rest, copy }),
            Err(error) => {
                let path = instance.path.display();
                tracing::error!(%path, %error, "a stored file cannot be read");
                let reason = "a stored file cannot be read".to_owned();
                Err(Unsendable { sop_instance, reason, spare: rest.into_spare() })
            }
        }
    }
}

impl Ready {
    /// Whether a copy is sent in place of the instance.
    pub(super) fn is_copy(&self) -> bool {
        self.copy.is_some()
    }
}

/// Waits for the copy. A panic in making it is one of this association.
async fn made(making: &mut JoinSet<Result<Transcoded, NotTranscoded>>) -> Result<Transcoded, NotTranscoded> {
    match making.join_next().await {
        Some(Ok(made)) => made,
        Some(Err(failed)) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        // Cancelled: the runtime is being torn down, and this task with it.
        Some(Err(_)) | None => std::future::pending().await,
    }
}
