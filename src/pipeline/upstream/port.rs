use std::fmt;

use futures_util::future::BoxFuture;
use model::attributes::Attributes;
use model::{AeTitle, PeerName, QueryRetrieveLevel, Scope, SopInstanceUid, UpstreamName, limits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Pipeline;

/// An archive that is asked for what ours lacks. The crate `net` implements it.
pub trait Upstream: Send + Sync + 'static {
    /// What the configuration calls it.
    fn name(&self) -> &UpstreamName;

    /// The peer that it is, and that peer's AE title: what comes from there is not asked of it.
    fn peer(&self) -> (&PeerName, &AeTitle);

    /// Whether it is asked for rows of queries.
    fn finds(&self) -> bool;

    /// Whether instances are fetched from it.
    fn fetches(&self) -> bool;

    /// Puts a query. Ends in bounded time whatever the other end does, and soon after nobody takes answers any more.
    fn find(&self, asked: Asked, answers: Answers) -> BoxFuture<'static, ()>;

    /// Retrieves everything in these scopes, all of one study and as few requests as may be, and has it taken in by the pipeline as what that peer sent. Ends in
    /// bounded time whatever the other end does, and soon after `stop`.
    fn fetch(
        &self,
        wanted: Vec<Scope>,
        hops: u8,
        into: Pipeline,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Fetched>;
}

/// What an upstream archive is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What a row of the answer is.
    pub level: QueryRetrieveLevel,
    /// Keys with a value are to match, and all of them to be returned.
    pub keys: Attributes,
    /// Archives that the question has come through, ours included.
    pub hops: u8,
    /// It is about what to retrieve: the answer is read as it comes, whatever a client does.
    pub is_to_retrieve: bool,
}

/// How a retrieve from an upstream archive went.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Instances that it sent and we took.
    pub came: u64,
    /// Instances that it could not send, as far as it says so.
    pub failed: u64,
    /// Some of these.
    pub failed_uids: Vec<SopInstanceUid>,
    /// Whether all that it sent was sent.
    pub end: Result<(), UpstreamError>,
}

/// Why an upstream archive did not answer. The words are for the operator, and have no patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UpstreamError {
    /// What stands behind it.
    pub kind: UpstreamFault,
    /// Why.
    pub reason: String,
}

/// What stands behind an answer that an upstream archive did not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFault {
    /// It could not be reached, or broke off.
    Failed,
    /// It took too long.
    Late,
    /// It answers, and does not do this.
    Refused,
    /// It was not asked: as much is under way there as may be.
    Busy,
}

/// For whom upstream archives are asked.
#[derive(Debug, Clone, Default)]
pub struct Behalf {
    /// The configured peer that asks.
    pub peer: Option<PeerName>,
    /// What it calls itself.
    pub calling: Option<AeTitle>,
    /// Archives that the question has come through before ours.
    pub hops: u8,
    /// The peer that instances are to go to.
    pub to: Option<PeerName>,
}

impl Behalf {
    /// Whether an upstream archive may be asked: one that asks us, or that gets the instances, is not, and nobody is once the
    /// question has come through many archives.
    pub(super) fn lets_ask(&self, (name, title): (&PeerName, &AeTitle)) -> bool {
        self.hops < limits::UPSTREAM_HOPS
            && self.peer.as_ref() != Some(name)
            && self.calling.as_ref() != Some(title)
            && self.to.as_ref() != Some(name)
    }
}

/// Where the answers of one upstream archive go.
pub struct Answers {
    pub(super) sender: mpsc::Sender<Told>,
    pub(super) place: usize,
}

/// What an upstream archive told.
pub(super) enum Told {
    Row(Answer),
    Ended { place: usize, end: Result<(), UpstreamError> },
}

/// One row as it came.
pub(super) struct Answer {
    pub(super) place: usize,
    pub(super) attributes: Attributes,
    /// Bytes of the identifier.
    pub(super) bytes: usize,
    /// The upstream archive does not know some of the keys.
    pub(super) has_unknown_keys: bool,
}

impl Answers {
    /// Hands a row on whose identifier had so many bytes; `false` when nobody wants more. Waits while others come first. Cancel safe.
    pub async fn give(&self, attributes: Attributes, bytes: usize, has_unknown_keys: bool) -> bool {
        let answer = Answer { place: self.place, attributes, bytes, has_unknown_keys };
        self.sender.send(Told::Row(answer)).await.is_ok()
    }

    /// Waits until nobody wants more. Cancel safe.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Says how it ended. Without it the answer counts as broken off.
    pub async fn end(self, end: Result<(), UpstreamError>) {
        // Where nobody listens any more, nobody needs to know.
        drop(self.sender.send(Told::Ended { place: self.place, end }).await);
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_and_who_gets_is_not_asked() {
        let title = |text| AeTitle::parse(text).ok();
        let name = |text: &str| Some(PeerName::new(text));
        for (peer, calling, hops, to, expected) in [
            (None, None, 0, None, true),
            (name("ct"), title("CT"), 0, name("viewer"), true),
            (name("pacs"), title("OTHER"), 0, None, false),
            (None, title("PACS"), 0, None, false),
            (name("second"), title("PACS"), 0, None, false),
            (name("ct"), title("CT"), 0, name("pacs"), false),
            (None, None, limits::UPSTREAM_HOPS - 1, None, true),
            (None, None, limits::UPSTREAM_HOPS, None, false),
        ] {
            let behalf = Behalf { peer, calling, hops, to };
            let pacs = (&PeerName::new("pacs"), &AeTitle::parse("PACS").unwrap());
            assert_eq!(behalf.lets_ask(pacs), expected, "{behalf:?}");
        }
    }
}
