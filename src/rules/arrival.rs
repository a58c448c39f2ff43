use core::net::IpAddr;

use model::{AeTitle, PeerName};

/// How an instance came: what the facts `from.…` of an expression read. What is `None` is null there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrival {
    /// `from.aet`: the AE title that the sender gave itself.
    pub aet: Option<AeTitle>,
    /// `from.ip`: the address that it sent from.
    pub ip: Option<IpAddr>,
    /// `from.called`: the AE title that it called.
    pub called: Option<AeTitle>,
    /// `from.peer`: the configured peer that it is.
    pub peer: Option<PeerName>,
    /// `from.via`: the door that it came in by.
    pub via: Option<Via>,
}

/// The door that an instance came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// C-STORE: `"dimse"`.
    Dimse,
    /// STOW-RS: `"dicomweb"`.
    Dicomweb,
}

impl Via {
    /// The word that expressions compare `from.via` with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dimse => "dimse",
            Self::Dicomweb => "dicomweb",
        }
    }
}
