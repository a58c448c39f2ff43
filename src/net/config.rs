use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use model::{AeTitle, PeerName};

/// How this end speaks DIMSE, and with whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our AE title.
    pub ae_title: AeTitle,
    /// Where we listen.
    pub listen: SocketAddr,
    /// Who may call.
    pub accept: Accept,
    /// Only our own AE title may be called.
    pub check_called_ae: bool,
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
    /// The peers we know.
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
}
