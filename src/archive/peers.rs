//! What other application entities said when we called them, and as what they called us.
//!
//! Kept so that the next proposal can be made accordingly; nothing that was acknowledged hangs on it.

mod rows;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use model::{AeTitle, PeerName, SopClassUid, TransferSyntaxUid};
use time::OffsetDateTime;

use crate::{Archive, Error};

pub(crate) use rows::{forget, records, resume};

/// Whom is remembered: a peer of the configuration by its name, a caller that has none there by AE title and address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(String);

/// What is remembered of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Who it is.
    pub peer: PeerKey,
    /// What it said when we called it.
    pub called: Option<Called>,
    /// As what it called us last.
    pub caller: Option<Caller>,
}

/// How a peer is called. What it answers may be another answer when it is called in another manner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// Its AE title.
    pub aet: AeTitle,
    /// Host and port.
    pub address: String,
    /// Our AE title.
    pub calling: AeTitle,
    /// The user identity that it is shown, in words without secrets; `None`: none.
    pub identity: Option<String>,
}

/// What a peer said when it was called in one manner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// How it was called.
    pub manner: Manner,
    /// The last association that it accepted.
    pub accepted: Option<Accepted>,
    /// When it last rejected one, and how, in words.
    pub rejected: Option<(OffsetDateTime, String)>,
    /// When there last was none, and why, in words.
    pub failed: Option<(OffsetDateTime, String)>,
    /// What it said to each SOP class in each transfer syntax.
    pub contexts: HashMap<(SopClassUid, TransferSyntaxUid), Taken>,
}

/// What a peer said of itself when it accepted an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// When.
    pub at: OffsetDateTime,
    /// The version of TLS; `None`: without.
    pub tls: Option<String>,
    /// Who wrote its software, and which version that is.
    pub implementation: Implementation,
    /// The longest P-DATA-TF PDU that it takes; 0: no limit, or not said.
    pub max_pdu_bytes: u32,
    /// Operations that it lets us have under way; 0: any number.
    pub operations: u16,
    /// It says that it looked at our user identity.
    pub knows_user: bool,
}

/// Who wrote a peer's software (PS3.7 §D.3.3.2), as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Implementation {
    /// Implementation Class UID.
    pub class_uid: Option<String>,
    /// Implementation Version Name.
    pub version_name: Option<String>,
}

/// What a peer said to a SOP class in a transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Why it does not take it, in words; `None`: it does.
    pub refusal: Option<String>,
    /// When it said so.
    pub learned: OffsetDateTime,
}

/// A peer as our caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The AE title that it gave itself.
    pub aet: Option<AeTitle>,
    /// From where.
    pub address: IpAddr,
    /// When it last called, and was let in.
    pub at: OffsetDateTime,
    /// Who wrote its software, and which version that is.
    pub implementation: Implementation,
    /// Presentation contexts that it proposed.
    pub proposed: u32,
    /// Those of them that we took.
    pub accepted: u32,
}

impl PeerKey {
    /// A peer of the configuration.
    pub fn named(name: &PeerName) -> Self {
        Self(name.as_str().to_owned())
    }

    /// A caller that the configuration does not know.
    pub fn stranger(aet: Option<&AeTitle>, address: IpAddr) -> Self {
        Self(format!("{}@{address}", aet.map_or("", AeTitle::as_str)))
    }

    /// As a user writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one that the configuration does not know.
    pub fn is_stranger(&self) -> bool {
        self.0.contains('@')
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Archive {
    /// All that is remembered of peers, by name. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn peers(&self) -> Result<Vec<PeerRecord>, Error> {
        self.read(|connection, _| records(connection)).await
    }

    /// Keeps what is new of peers: of each, what is given here takes the place of what was there. Strangers beyond
    /// [`limits::STRANGERS`](model::limits::STRANGERS) are forgotten, those first that have not called for longest. Durable when this
    /// returns.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn remember_peers(&self, records: Vec<PeerRecord>) -> Result<(), Error> {
        self.change(move |connection| rows::write(connection, &records)).await
    }

    /// The peers that a command has forgotten since the last time. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn forgotten_peers(&self) -> Result<Vec<PeerKey>, Error> {
        self.read(|connection, _| rows::forgotten(connection)).await
    }

    /// Notes that these peers are forgotten by the server too, with what it may have written of them since.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn have_forgotten(&self, peers: Vec<PeerKey>) -> Result<(), Error> {
        self.change(move |connection| rows::have_forgotten(connection, &peers)).await
    }
}
