//! Operations at other application entities: C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET and Storage Commitment as SCU.

mod ahead;
mod alternatives;
mod associate;
mod association;
mod commitment;
mod echo;
pub mod examine;
mod file;
mod find;
mod get;
mod identifier;
mod inquiry;
mod lane;
mod memory;
mod proposal;
mod question;
mod queue;
mod reader;
mod relay;
mod report;
mod retrieve;
mod store;

use std::time::Duration;

use model::AeTitle;
use model::query::Mechanisms;
use pipeline::peers::Acquaintance;

use crate::identity::OurIdentity;
use crate::{Config, Peer, tls};

pub use alternatives::Kind;
pub use association::{AFTERMATH, Heard, StoreAssociation};
pub use commitment::{CommitmentAssociation, Incoming, action_meaning};
pub use dimse::service::retrieve::SubOperations;
pub use dimse::{Class, ErrorComment, Outcome, Status};
pub use echo::echo;
pub use file::Whole;
pub use find::{Found, find};
pub use get::{Kept, NotKept, Step, get};
pub use lane::send_all;
pub use proposal::proposal;
pub use question::Question;
pub use queue::Instance;
pub(crate) use report::ReportAssociation;
pub use retrieve::{Retrieved, move_to};
pub use store::MAX_KINDS;

pub(crate) use ahead::Ahead;
pub(crate) use echo::SYNTAXES as ECHO_SYNTAXES;
pub(crate) use file::Chunk;
pub(crate) use find::FindScu;
pub(crate) use get::{Arrived, Expected, GetScu, Keeper, classes};
pub(crate) use identifier::fuzz_failures;
pub(crate) use inquiry::READABLE;
pub(crate) use queue::{kind, not_transcoded};
pub(crate) use relay::{Feed, Relay, Report};
pub(crate) use report::SYNTAXES as COMMITMENT_SYNTAXES;
pub(crate) use retrieve::MoveScu;
pub(crate) use store::{Contexts, NotSent, put};

/// What a status means in a C-FIND response.
pub use dimse::service::find::meaning as find_meaning;
/// What a status means in a C-MOVE or C-GET response.
pub use dimse::service::move_::meaning as retrieve_meaning;
/// What a status means in a C-STORE response.
pub use dimse::service::store::meaning as store_meaning;

/// The application entity that is called.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Host and port; looked up for each association.
    pub address: String,
    /// On what terms.
    pub terms: Terms,
    /// What is remembered of it; `None`: nothing is.
    pub memory: Option<Acquaintance>,
}

/// What is agreed with one peer about how it is called.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The TLS by which it is called; `None`: without.
    pub tls: Option<tls::Client>,
    /// The user identity that we present to it.
    pub identity: Option<OurIdentity>,
    /// Instances that are sent before the first of them is answered, where it grants as many asynchronous operations; 0 and 1: none
    /// ahead, and it is not asked. For whoever sends several before an answer, as C-MOVE and [`send_all`] do.
    pub ahead: u16,
    /// The longest P-DATA-TF PDU in associations with it, either way; `None`: [`Settings::max_pdu_bytes`] from it, and what it takes to
    /// it.
    pub max_pdu_bytes: Option<u32>,
    /// How many archives a query or retrieve has come through that we put to it for somebody else; 0: it is our own.
    pub hops: u8,
    /// What a query or retrieve asks for by extended negotiation; what is not granted is said in the log.
    pub mechanisms: Mechanisms,
}

impl Target {
    /// A peer with which nothing is agreed.
    pub fn plain(ae_title: AeTitle, address: String) -> Self {
        Self { ae_title, address, terms: Terms::default(), memory: None }
    }
}

impl Terms {
    /// Whether the peer has to say that it looked at our user identity.
    fn wants_response(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.wants_response)
    }
}

impl Peer {
    /// The peer as it is to be called.
    pub fn target(&self) -> Target {
        let terms = self.as_called.clone();
        Target { terms, ..Target::plain(self.ae_title.clone(), self.address.clone()) }
    }
}

/// How this end calls. The meaning of each is [`Config`]'s.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our AE title.
    pub calling: AeTitle,
    /// See [`Config::max_pdu_bytes`].
    pub max_pdu_bytes: u32,
    /// See [`Config::connect_timeout`].
    pub connect_timeout: Duration,
    /// See [`Config::message_timeout`]; the answer to A-ASSOCIATE-RQ is waited for as long.
    pub message_timeout: Duration,
    /// See [`Config::artim_timeout`].
    pub artim_timeout: Duration,
}

impl Settings {
    /// The configured timeouts, under this AE title.
    pub fn new(config: &Config, calling: AeTitle) -> Self {
        Self {
            calling,
            max_pdu_bytes: config.max_pdu_bytes,
            connect_timeout: config.connect_timeout,
            message_timeout: config.message_timeout,
            artim_timeout: config.artim_timeout,
        }
    }
}
