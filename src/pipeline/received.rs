use std::future::Future;
use std::net::IpAddr;

use archive::Committed;
use model::{
    AeTitle, InstanceIds, PeerName, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid,
};
use telemetry::Door;

use crate::BodyError;

/// An instance at the door: who brings it and in what form. The bytes follow as a [`Body`].
#[derive(Debug, Clone)]
pub struct Received {
    /// The door it came through.
    pub door: Door,
    /// Calling AE title, from a DIMSE peer.
    pub calling_aet: Option<AeTitle>,
    /// Called AE title, from a DIMSE peer.
    pub called_aet: Option<AeTitle>,
    /// The configured peer that it is, when it is one.
    pub peer: Option<PeerName>,
    /// The peer's address.
    pub address: Option<IpAddr>,
    /// We asked for it where it comes from, by C-GET or C-MOVE.
    pub is_asked_for: bool,
    /// What the bytes are.
    pub content: Content,
}

/// What the bytes of a [`Body`] are.
#[derive(Debug, Clone)]
pub enum Content {
    /// A data set without File Meta Information, as C-STORE brings it (PS3.7 §9.1.1).
    DataSet {
        /// Transfer syntax of the presentation context.
        transfer_syntax: TransferSyntaxUid,
        /// Affected SOP Class UID of the command.
        sop_class: SopClassUid,
        /// Affected SOP Instance UID of the command.
        sop_instance: SopInstanceUid,
        /// The study that was asked for, if any; an instance of another one is refused.
        study: Option<StudyInstanceUid>,
    },
    /// A file of PS3.10 §7, as STOW-RS brings it.
    Part10 {
        /// The study that the request names; an instance of another one is refused.
        study: Option<StudyInstanceUid>,
    },
}

/// Source of an instance's bytes.
pub trait Body: Send {
    /// Appends the next bytes to `buf` until its spare capacity is used up or the object ends; `true` when it has ended.
    ///
    /// The buffer never grows. Not cancel safe: a dropped call may have taken bytes.
    ///
    /// # Errors
    /// [`BodyError`] when the object will not come to its end.
    fn fill(&mut self, buf: &mut Vec<u8>) -> impl Future<Output = Result<bool, BodyError>> + Send;
}

/// An instance that is durable now.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Which instance.
    pub ids: InstanceIds,
    /// New, known already, or another version of a known UID.
    pub outcome: Committed,
    /// Elements that the scanner left out of the JSON.
    pub omitted: u32,
}
