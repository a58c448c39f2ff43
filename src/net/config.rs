use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use model::{AeTitle, PeerName, sop};

use crate::identity::{Expected, Tokens};
use crate::scu::Terms;
use crate::tls::{self, CertificateName, FileError, Fresh};

/// How this end speaks DIMSE, and with whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our AE title.
    pub ae_title: AeTitle,
    /// Where we listen.
    pub listen: SocketAddr,
    /// The TLS port beside it.
    pub tls: Option<tls::Server>,
    /// Who may call.
    pub accept: Accept,
    /// Only our own AE title may be called, or one of the aliases.
    pub check_called_ae: bool,
    /// Other AE titles that we answer to.
    pub aliases: Vec<AeTitle>,
    /// The longest P-DATA-TF PDU that we take, announced to every peer (PS3.8 §D.1).
    pub max_pdu_bytes: u32,
    /// Associations that peers may have open with us at once.
    pub max_associations: usize,
    /// ARTIM (PS3.8 §9.1.5): how long a connection may go without A-ASSOCIATE-RQ, and how long we wait for a peer to close.
    pub artim_timeout: Duration,
    /// How long an association may go without a message.
    pub idle_timeout: Duration,
    /// How long a message may make too little progress ([`model::limits::MESSAGE_BYTES_PER_SECOND`]), sent or received, and how long
    /// we wait for a response.
    pub message_timeout: Duration,
    /// How long looking up a host and connecting to it may take.
    pub connect_timeout: Duration,
    /// When a storage commitment report that could not be sent is tried again, and for how long.
    pub report_retry: pipeline::Retry,
    /// Associations with its destination that one C-MOVE may have open at once.
    pub move_associations: NonZeroUsize,
    /// The peers we know, in the order in which they are asked for: of those with one AE title the first is meant.
    pub peers: Vec<Peer>,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Everyone.
    Any,
    /// A configured peer, by its calling AE title, from its host or one of its networks.
    Known,
}

/// Another application entity.
#[derive(Debug, Clone)]
pub struct Peer {
    /// What the configuration calls it.
    pub name: PeerName,
    /// Its AE title.
    pub ae_title: AeTitle,
    /// Host and port, looked up when used.
    pub address: String,
    /// Networks it may call from, besides its host.
    pub from: Vec<IpNet>,
    /// What is agreed with it as our caller.
    pub as_caller: CallerTerms,
    /// What is agreed with it where we call it.
    pub as_called: Terms,
}

/// What is agreed with one peer about how it calls us.
#[derive(Debug, Clone, Default)]
pub struct CallerTerms {
    /// Which certificate it has. Who calls under its AE title must present it, which takes TLS; none: no certificate is asked for.
    pub certificate: Vec<CertificateName>,
    /// Which user identity it presents; `None`: none is asked for.
    pub identity: Option<Expected>,
    /// What it may use; none: all that we provide. Verification always.
    pub sop_classes: Vec<SopClasses>,
    /// The transfer syntaxes that instances are taken in, the preferred ones first; none: any, in the caller's order.
    pub transfer_syntaxes: Vec<String>,
    /// Associations that it may have open with us at once; `None`: as many as all together.
    pub max_associations: Option<usize>,
    /// The longest P-DATA-TF PDU in associations with it, either way and whoever requests them; `None`: as with everybody.
    pub max_pdu_bytes: Option<u32>,
    /// Operations that it may have under way at once on an association; `None`: [`limits::OPERATIONS_WINDOW`](model::limits::OPERATIONS_WINDOW).
    pub operations: Option<u16>,
}

impl CallerTerms {
    /// Whether the peer is held to something that others are not.
    pub(crate) fn is_limited(&self) -> bool {
        self.identity.is_some()
            || !self.sop_classes.is_empty()
            || !self.transfer_syntaxes.is_empty()
            || self.max_associations.is_some()
            || self.max_pdu_bytes.is_some()
            || self.operations.is_some()
    }

    /// The tokens that it presents, where it is known by them.
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        match &self.identity {
            Some(Expected::Token(tokens)) => Some(tokens),
            Some(Expected::User { .. }) | None => None,
        }
    }
}

/// SOP classes that a peer may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SopClasses {
    /// All of storage.
    Storage,
    /// The one with this UID.
    One(String),
}

impl SopClasses {
    /// Whether an abstract syntax is among them.
    pub(crate) fn has(&self, abstract_syntax: &str) -> bool {
        match self {
            Self::Storage => sop::is_storage(abstract_syntax),
            Self::One(uid) => uid == abstract_syntax,
        }
    }
}

/// A file with a certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{of}")]
pub struct PeerFileError {
    /// The table of the configuration that names it.
    of: String,
    /// What is wrong with it.
    #[source]
    pub error: FileError,
}

impl Config {
    /// Whether there are files with certificates and keys.
    pub fn has_key_files(&self) -> bool {
        let has = |peer: &Peer| peer.as_called.tls.is_some() || peer.as_caller.tokens().is_some();
        self.tls.is_some() || self.peers.iter().any(has)
    }

    /// Reads all files with certificates and keys again, ours and those of peers; in force they are once the caller says so.
    ///
    /// # Errors
    /// [`PeerFileError`] with the first that cannot be used. Nothing changes.
    pub fn read_key_files_again(&self) -> Result<Fresh, PeerFileError> {
        let fault = |of: String| move |error| PeerFileError { of, error };
        let mut fresh = Fresh::none();
        if let Some(server) = &self.tls {
            fresh = fresh.and(server.read_again().map_err(fault("[dimse.tls]".to_owned()))?);
        }
        for peer in &self.peers {
            if let Some(client) = &peer.as_called.tls {
                fresh = fresh.and(client.read_again().map_err(fault(format!("[peer.{}]", peer.name)))?);
            }
            if let Some(tokens) = peer.as_caller.tokens() {
                fresh = fresh.and(tokens.read_again().map_err(fault(format!("[peer.{}]", peer.name)))?);
            }
        }
        Ok(fresh)
    }
}
