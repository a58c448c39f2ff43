//! The instances of a C-GET, made ready ahead of what is sent.

use std::collections::VecDeque;
use std::sync::Arc;

use model::SopInstanceUid;
use pipeline::{NotTranscoded, Pipeline, StoredInstance, Transcoded, Transcoder};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;
use ul::PresentationContext;

use super::super::retrieve::Pages;
use crate::scu::{Ahead, Chunk, Contexts, Instance, Whole, kind, not_transcoded};

/// Where they come from: while one is sent, [`AHEAD`] are read, or transcoded, and so is a page of the index.
///
/// Memory: two chunks of at most 1 MiB for each of these, the one that is sent, and to spare, and two pages of instances; on disk, a copy
/// for each.
/// Dropped, what is being read and made is given up.
pub(super) struct Source {
    contexts: Arc<Contexts>,
    transcoder: Transcoder,
    page: VecDeque<StoredInstance>,
    /// The page that follows, while there may be one.
    following: JoinSet<Turned>,
    upcoming: VecDeque<Upcoming>,
    spare: Vec<Chunk>,
}

/// A page that was read, and those behind it.
type Turned = (Pages, Option<Result<Vec<StoredInstance>, pipeline::Error>>);

/// An instance that is being made ready.
struct Upcoming {
    stored: StoredInstance,
    way: Way,
}

enum Way {
    /// It goes out as it is stored, and is being read.
    AsStored(Ahead),
    /// It goes out as a copy, which is being made.
    Copy(JoinSet<Result<Transcoded, NotTranscoded>>),
    /// It does not go out, for this reason.
    None(String),
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
}

impl Source {
    /// What these pages have, for a requestor with these presentation contexts.
    pub(super) fn new(contexts: &[PresentationContext], pages: Pages, pipeline: &Pipeline) -> Self {
        let mut source = Self {
            contexts: Arc::new(Contexts::of_requestor(contexts)),
            transcoder: pipeline.transcoder().clone(),
            page: VecDeque::new(),
            following: JoinSet::new(),
            upcoming: VecDeque::new(),
            spare: Vec::new(),
        };
        source.turn(pages);
        source
    }

    /// Waits for the next instance to be ready; `None` when there are no more. Not cancel safe: the instance is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Ready, Unsendable>> {
        self.begin();
        while self.upcoming.is_empty() {
            let turned = joined(&mut self.following).await?;
            self.take(turned);
            self.begin();
        }
        let Upcoming { stored, way } = self.upcoming.pop_front()?;
        let sop_instance = stored.ids.sop_instance.clone();
        Some(self.ready(stored, way).await.map_err(|reason| Unsendable { sop_instance, reason }))
    }

    /// Begins to make the next ones ready, as far as the index has been read. Waits for nothing.
    pub(super) fn begin(&mut self) {
        while self.upcoming.len() < AHEAD {
            let Some(stored) = self.page.pop_front() else {
                let Some(turned) = self.following.try_join_next().and_then(whole) else { return };
                self.take(turned);
                continue;
            };
            let way = self.way(&stored);
            self.upcoming.push_back(Upcoming { stored, way });
        }
    }

    /// Takes chunks back, to be filled again.
    pub(super) fn give_back(&mut self, spare: Vec<Chunk>) {
        self.spare.extend(spare);
        self.spare.truncate(CHUNKS);
    }

    fn take(&mut self, (pages, page): Turned) {
        match page {
            Some(Ok(page)) => {
                self.page = page.into();
                self.turn(pages);
            }
            Some(Err(error)) => tracing::error!(error = crate::chain(&error), "cannot read on in the index"),
            None => {}
        }
    }

    /// Begins to read the page that follows.
    fn turn(&mut self, mut pages: Pages) {
        let turn = async move {
            let page = pages.next().await;
            (pages, page)
        };
        self.following.spawn(turn.in_current_span());
    }

    /// Decides how an instance goes out, and begins with it.
    fn way(&mut self, stored: &StoredInstance) -> Way {
        let alternatives = self.contexts.alternatives(&kind(stored));
        if !alternatives.is_empty() {
            let (transcoder, instance) = (self.transcoder.clone(), stored.clone());
            let make = async move { transcoder.transcode_into_any(&instance, &alternatives).await };
            let mut making = JoinSet::new();
            making.spawn(make.in_current_span());
            return Way::Copy(making);
        }
        match self.contexts.of(&stored.clone().into()) {
            Ok(_) => Way::AsStored(self.read(stored)),
            Err(_) if self.contexts.is_empty() => {
                Way::None("the requestor is SCP of no storage class: it must propose the role".to_owned())
            }
            Err(error) => Way::None(error.explain()),
        }
    }

    fn read(&mut self, stored: &StoredInstance) -> Ahead {
        let spare = self.spare.split_off(self.spare.len().saturating_sub(CHUNKS));
        Ahead::start(stored.clone().into(), Whole::of(stored), spare)
    }

    /// Waits until an instance can be sent, or tells why it cannot.
    async fn ready(&mut self, stored: StoredInstance, way: Way) -> Result<Ready, String> {
        let (sent, copy, mut rest) = match way {
            Way::AsStored(rest) => (stored, None, rest),
            Way::Copy(mut making) => {
                let copy = made(&mut making).await;
                let copy = copy.map_err(|reason| not_transcoded(&stored, &reason).explain())?;
                let words = Transcoded::describe(&stored.transfer_syntax, &copy.instance.transfer_syntax);
                tracing::debug!(sop_instance = %stored.ids.sop_instance, words, "sending a copy");
                let sent = copy.instance.clone();
                let rest = self.read(&sent);
                (sent, Some(copy), rest)
            }
            Way::None(reason) => return Err(reason),
        };
        let file_bytes = sent.length;
        let instance = Instance::from(sent);
        let context_id = self.contexts.of(&instance).map_err(|error| error.explain())?;
        match rest.first().await {
            Ok((first, bytes)) => Ok(Ready { instance, context_id, file_bytes, bytes, first, rest, copy }),
            Err(error) => {
                self.give_back(rest.into_spare());
                let path = instance.path.display();
                tracing::error!(%path, %error, "a stored file cannot be read");
                Err("a stored file cannot be read".to_owned())
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

/// Waits for the copy.
async fn made(making: &mut JoinSet<Result<Transcoded, NotTranscoded>>) -> Result<Transcoded, NotTranscoded> {
    match joined(making).await {
        Some(made) => made,
        None => std::future::pending().await,
    }
}

/// Waits for a task to end; `None` when there is none.
async fn joined<T: 'static>(tasks: &mut JoinSet<T>) -> Option<T> {
    match whole(tasks.join_next().await?) {
        Some(value) => Some(value),
        None => std::future::pending().await,
    }
}

/// What a task has come to. A panic in it is one of this association; `None` when it was cancelled: the runtime is being torn down, and
/// this task with it.
fn whole<T>(ended: Result<T, JoinError>) -> Option<T> {
    match ended {
        Ok(value) => Some(value),
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => None,
    }
}

/// Instances that are made ready at once. So the processor checks one while it writes another, and none waits for a file that is slow.
const AHEAD: usize = 2;
/// Chunks that wait to be filled again: as many as one instance takes.
const CHUNKS: usize = 2;
