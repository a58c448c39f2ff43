//! Upstream archives as the pipeline wants them, by C-FIND, C-GET and C-MOVE.

mod fetch;
mod find;
mod fuzz;

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::query::Root;
use model::{AeTitle, PeerName, QueryRetrieveLevel, Scope, UpstreamName};
use pipeline::peers::PeerMemory;
use pipeline::{Answers, Asked, Fetched, Pipeline, UpstreamError, UpstreamFault};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::scu::{Settings, Target, Terms};
use crate::{End, Peer};

pub use fuzz::fuzz_upstream;

/// How an upstream archive is used.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// What the configuration calls it.
    pub name: UpstreamName,
    /// Whether it is asked for rows of queries.
    pub find: bool,
    /// Whether instances are fetched from it.
    pub fetch: bool,
    /// How instances come.
    pub retrieve: RetrieveBy,
    /// Associations open with it at once for queries, as many to find out what there is to retrieve, and as many for retrieves.
    pub associations: NonZeroUsize,
    /// How long it may take to answer a query.
    pub timeout: Duration,
    /// How long it may take for an association, the next instance, or to say anything else, in a retrieve.
    pub fetch_timeout: Duration,
}

/// By which service instances come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrieveBy {
    /// C-GET: over the association that asks.
    Get,
    /// C-MOVE to our own AE title: over associations that the upstream archive opens with us.
    Move,
}

/// An archive at a peer.
pub struct Upstream {
    config: UpstreamConfig,
    peer: PeerName,
    way: Way,
    /// Queries that may be under way.
    pub(crate) queries: Arc<Semaphore>,
    /// Those for retrieves: no client that reads slowly is in their way.
    listings: Arc<Semaphore>,
    /// Retrieves that may be under way.
    retrieves: Arc<Semaphore>,
}

/// How the peer is called.
#[derive(Clone)]
struct Way {
    target: Target,
    settings: Settings,
}

impl Upstream {
    /// The archive at a peer, which is called so; what it says is remembered.
    pub fn new(config: UpstreamConfig, peer: &Peer, settings: Settings, memory: &PeerMemory) -> Self {
        let places = || Arc::new(Semaphore::new(config.associations.get()));
        let (queries, listings, retrieves) = (places(), places(), places());
        let target = peer.target().remembered(&peer.name, &settings, memory);
        let way = Way { target, settings };
        Self { config, peer: peer.name.clone(), way, queries, listings, retrieves }
    }
}

impl Way {
    /// The same for a question that has come through so many archives.
    fn through(&self, hops: u8) -> Self {
        let terms = Terms { hops, ..self.target.terms.clone() };
        Self { target: Target { terms, ..self.target.clone() }, settings: self.settings.clone() }
    }
}

impl pipeline::Upstream for Upstream {
    fn name(&self) -> &UpstreamName {
        &self.config.name
    }

    fn peer(&self) -> (&PeerName, &AeTitle) {
        (&self.peer, &self.way.target.ae_title)
    }

    fn finds(&self) -> bool {
        self.config.find
    }

    fn fetches(&self) -> bool {
        self.config.fetch
    }

    fn find(&self, asked: Asked, answers: Answers) -> BoxFuture<'static, ()> {
        let places = if asked.is_to_retrieve { &self.listings } else { &self.queries };
        let (way, places) = (self.way.through(asked.hops), Arc::clone(places));
        find::find(way, places, self.config.timeout, asked, answers).boxed()
    }

    fn fetch(
        &self,
        wanted: Vec<Scope>,
        hops: u8,
        into: Pipeline,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Fetched> {
        let patience = self.config.fetch_timeout;
        let mut way = self.way.through(hops);
        way.settings.message_timeout = patience;
        let (peer, listings) = (self.peer.clone(), Arc::clone(&self.listings));
        let fetch = fetch::Fetch { way, peer, listings, patience, into, stop };
        let (places, by) = (Arc::clone(&self.retrieves), self.config.retrieve);
        async move { fetch.run(wanted, by, &places).await }.boxed()
    }
}

/// The information model for a level: patients are in one only.
fn root(level: QueryRetrieveLevel) -> Root {
    match level {
        QueryRetrieveLevel::Patient => Root::Patient,
        QueryRetrieveLevel::Study | QueryRetrieveLevel::Series | QueryRetrieveLevel::Image => Root::Study,
    }
}

/// Why there was no answer, for the operator.
fn failed(error: &Error) -> UpstreamError {
    let kind = match error {
        Error::Association(End::TimedOut(_)) | Error::Lost(End::TimedOut(_)) => UpstreamFault::Late,
        Error::Connect { source, .. } if source.kind() == ErrorKind::TimedOut => UpstreamFault::Late,
        Error::NotAccepted { .. } => UpstreamFault::Refused,
        _ => UpstreamFault::Failed,
    };
    UpstreamError { kind, reason: error.explain() }
}

/// Why an answer was broken off.
fn lost(end: &End) -> UpstreamError {
    let kind = if matches!(end, End::TimedOut(_)) { UpstreamFault::Late } else { UpstreamFault::Failed };
    UpstreamError { kind, reason: crate::chain(end) }
}
