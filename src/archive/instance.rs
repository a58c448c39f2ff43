use std::net::IpAddr;
use std::path::PathBuf;

use model::header::Header;
use model::{AeTitle, InstanceIds, PeerName, TransferSyntaxUid, json};
use telemetry::Door;

use crate::metadata::{self, Dictionaries, PackedJson, SeriesKey};
use crate::rows::Values;
use crate::{Routing, SpooledFile};

/// An instance whose file is written and synced, on its way into the index.
pub struct NewInstance {
    /// Which instance it is, from the data set.
    pub ids: InstanceIds,
    /// How its data set is encoded.
    pub transfer_syntax: TransferSyntaxUid,
    /// The file that holds it.
    pub file: SpooledFile,
    /// Where in the file the data set begins.
    pub data_offset: u64,
    /// Bytes of the file.
    pub length: u64,
    /// Of the data set bytes as received.
    pub sha256: [u8; 32],
    /// Of the same bytes, as [`model::check::Crc64`] has it.
    pub crc64: u64,
    /// What was seen in the data set.
    pub header: Header,
    /// Where it came from.
    pub source: Source,
    /// Where it goes; `None` without rules.
    pub routing: Option<Routing>,
}

/// Where an instance came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The door it came in by.
    pub door: Door,
    /// The AE title that the sender gave itself.
    pub calling_aet: Option<AeTitle>,
    /// The AE title that the sender called.
    pub called_aet: Option<AeTitle>,
    /// The sender's address.
    pub address: Option<IpAddr>,
    /// The sender, where it is one of the configured peers.
    pub peer: Option<PeerName>,
}

/// An instance ready to be committed: rows and packed JSON instead of the header. Dropped, it removes its file.
pub struct Prepared {
    pub(crate) ids: InstanceIds,
    pub(crate) transfer_syntax: TransferSyntaxUid,
    pub(crate) file: SpooledFile,
    pub(crate) data_offset: u64,
    pub(crate) length: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) crc64: u64,
    pub(crate) source: Source,
    pub(crate) routing: Option<Routing>,
    pub(crate) values: Values,
    pub(crate) json: PackedJson,
    omitted: u32,
}

impl Prepared {
    pub(crate) fn new(received: NewInstance, dictionaries: &Dictionaries) -> Self {
        let NewInstance { ids, header, .. } = received;
        let mut json = Vec::new();
        let omitted = json::write_header(&header, &bulk_base(&ids), &mut json);
        let dictionary = dictionaries.of(&SeriesKey::of(&ids));
        Self {
            values: Values::from_header(&header, &ids.sop_class),
            json: metadata::pack(&json, dictionary.as_deref()),
            ids,
            transfer_syntax: received.transfer_syntax,
            file: received.file,
            data_offset: received.data_offset,
            length: received.length,
            sha256: received.sha256,
            crc64: received.crc64,
            source: received.source,
            routing: received.routing,
            omitted,
        }
    }

    /// Attributes that are in the header and, for its length, not in the stored JSON. Those that the header itself is
    /// without come on top: [`Header::omitted`].
    pub fn omitted(&self) -> u32 {
        self.omitted
    }

    /// What it will add to the index, nearly.
    pub(crate) fn json_bytes(&self) -> usize {
        self.json.bytes.len() + self.json.dictionary.as_ref().map_or(0, Vec::len)
    }
}

/// What became of an instance. All three are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is served from now on.
    New,
    /// The same content is there already. The new file is removed, or takes the place of one that was lost.
    Duplicate,
    /// The SOP Instance UID is there with different content, which stays the one that is served.
    Conflict {
        /// The number under which this content is kept, from 2.
        version: u32,
    },
}

/// An instance as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// Which instance it is.
    pub ids: InstanceIds,
    /// How its data set is encoded.
    pub transfer_syntax: TransferSyntaxUid,
    /// The file that holds it.
    pub path: PathBuf,
    /// Where in the file the data set begins.
    pub data_offset: u64,
    /// Bytes of the file.
    pub length: u64,
    /// Of the data set bytes.
    pub sha256: [u8; 32],
    /// Of the same bytes, as [`model::check::Crc64`] has it; `None` where it was not noted when the instance came.
    pub crc64: Option<u64>,
    /// Number of Frames (0028,0008); `None` when the data set does not say.
    pub number_of_frames: Option<u32>,
}

/// What the BulkDataURIs of an instance begin with, relative to the server (PS3.18 §10.4.1.1).
fn bulk_base(ids: &InstanceIds) -> String {
    format!(
        "/dicom-web/studies/{}/series/{}/instances/{}/bulkdata",
        ids.study.path_component(),
        ids.series.path_component(),
        ids.sop_instance.path_component()
    )
}
