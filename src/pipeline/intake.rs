use std::sync::{Mutex, PoisonError};

use archive::{Archive, NewInstance, Prepared, Source, Spool};
use model::check::Crc64;
use model::header::Header;
use model::part10::{self, Split};
use model::scan::Scanner;
use model::{InstanceIds, Kind, StudyInstanceUid, Tag, TransferSyntaxUid, Uid, limits, syntax};
use sha2::{Digest, Sha256};

use crate::budget::Claim;
use crate::route::Route;
use crate::{Content, Error, IngestError, Received};

/// One instance on its way to disk: spooled, hashed and scanned chunk by chunk. Blocking.
pub(crate) struct Intake {
    archive: Archive,
    received: Received,
    /// Where it goes; `None` without rules.
    route: Option<Route>,
    transfer_syntax: TransferSyntaxUid,
    spool: Option<Spool>,
    /// What stands before the first received byte in the file: preamble and File Meta Information of our own, or less.
    prologue: Vec<u8>,
    /// Received bytes before the data set, still to come.
    meta_left: usize,
    data_offset: u64,
    length: u64,
    hash: Sha256,
    crc64: Crc64,
    scanner: Scanner,
    header_claim: Claim,
}

/// An instance whose file is synced and whose rows are made: all but committed.
pub(crate) struct Taken {
    pub(crate) prepared: Prepared,
    pub(crate) ids: InstanceIds,
    /// Elements that are not in the JSON.
    pub(crate) omitted: u32,
    /// Held until the rows are committed.
    pub(crate) header_claim: Claim,
}

impl Intake {
    /// Reads the File Meta Information off the first bytes, or makes our own. Does no I/O.
    ///
    /// # Errors
    /// [`Error::Part10`] when a file was announced and this is none.
    pub(crate) fn begin(
        archive: Archive,
        header_claim: Claim,
        received: Received,
        route: Option<Route>,
        first: &[u8],
        complete: bool,
    ) -> Result<Self, Error> {
        let (transfer_syntax, prologue, meta) = match &received.content {
            Content::DataSet { transfer_syntax, sop_class, sop_instance, .. } => {
                let meta =
                    part10::write((sop_class, sop_instance), transfer_syntax, received.calling_aet.as_ref());
                (transfer_syntax.clone(), meta, 0)
            }
            Content::Part10 { .. } => match part10::split(first, complete) {
                Split::Part10(meta) if meta.has_preamble => {
                    (meta.transfer_syntax, Vec::new(), meta.data_offset)
                }
                Split::Part10(meta) => {
                    (meta.transfer_syntax, [&[0; 128][..], b"DICM"].concat(), meta.data_offset)
                }
                Split::NeedMore | Split::Bare => return Err(Error::NotPart10),
                Split::Unreadable(error) => return Err(Error::Part10(error)),
            },
        };
        Ok(Self {
            archive,
            received,
            route,
            scanner: Scanner::new(syntax::form(transfer_syntax.as_str())),
            transfer_syntax,
            spool: None,
            data_offset: (prologue.len() + meta) as u64,
            prologue,
            meta_left: meta,
            length: 0,
            hash: Sha256::new(),
            crc64: Crc64::default(),
            header_claim,
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Unreadable`] as soon as the data set cannot be walked, [`Error::NoSpace`] when the disk has filled up meanwhile,
    /// [`Error::Busy`] when the header is large and so are many others, [`Error::Archive`] when the disk fails.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (_, data) = bytes.split_at(self.meta_left.min(bytes.len()));
        self.meta_left -= bytes.len() - data.len();
        self.scanner.feed(data).map_err(Error::Unreadable)?;
        if !self.header_claim.covers_header(self.scanner.held_bytes()) {
            return Err(Error::Busy);
        }
        if !self.archive.has_space() {
            return Err(Error::NoSpace);
        }
        self.hash.update(data);
        self.crc64.update(data);
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => {
                let spool = self.spool.insert(self.archive.spool()?);
                spool.append(&self.prologue)?;
                self.length = self.prologue.len() as u64;
                spool
            }
        };
        spool.append(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes the last bytes, checks who the instance is, syncs the file and makes its index rows.
    ///
    /// # Errors
    /// As [`Intake::take`], and [`Error::MissingUid`], [`Error::Disagreement`], [`Error::OtherStudy`]; the file is gone then.
    pub(crate) fn finish(mut self, last: &[u8]) -> Result<Taken, IngestError> {
        self.take(last)?;
        let header_bytes = self.scanner.held_bytes();
        let is_small = header_bytes <= limits::SMALL_HEADER_BYTES;
        if !is_small && !self.header_claim.raise_to(header_bytes + limits::JSON_BYTES) {
            return Err(Error::Busy.into());
        }
        let header = self.scanner.finish().map_err(Error::Unreadable)?;
        let ids = identify(&header).and_then(|ids| agree(ids, &self.received.content));
        let ids = ids.map_err(|error| IngestError {
            error,
            sop_class: header.uid(SOP_CLASS_UID),
            sop_instance: header.uid(SOP_INSTANCE_UID),
        })?;
        let omitted = header.omitted();
        let Some(spool) = self.spool else { return Err(Error::MissingUid("SOP Instance UID").into()) };
        let file = spool.sync().map_err(Error::from)?;
        let routing = self.route.map(|route| route.decide(&header));
        let prepared = self.archive.prepare(NewInstance {
            ids: ids.clone(),
            transfer_syntax: self.transfer_syntax,
            file,
            data_offset: self.data_offset,
            length: self.length,
            sha256: self.hash.finalize().into(),
            crc64: self.crc64.value(),
            header,
            source: Source {
                door: self.received.door,
                calling_aet: self.received.calling_aet,
                called_aet: self.received.called_aet,
                peer: self.received.peer,
                address: self.received.address,
            },
            routing,
        });
        let omitted = omitted.saturating_add(prepared.omitted());
        Ok(Taken { prepared, ids, omitted, header_claim: self.header_claim })
    }
}

/// The four UIDs of a data set.
pub(crate) fn identify(header: &Header) -> Result<InstanceIds, Error> {
    Ok(InstanceIds {
        sop_class: required(header, SOP_CLASS_UID)?,
        sop_instance: required(header, SOP_INSTANCE_UID)?,
        study: required(header, STUDY_INSTANCE_UID)?,
        series: required(header, SERIES_INSTANCE_UID)?,
    })
}

/// Those UIDs must be what the door was told.
fn agree(ids: InstanceIds, content: &Content) -> Result<InstanceIds, Error> {
    match content {
        Content::DataSet { sop_class, .. } if *sop_class != ids.sop_class => {
            Err(Error::Disagreement("SOP Class UID"))
        }
        Content::DataSet { sop_instance, .. } if *sop_instance != ids.sop_instance => {
            Err(Error::Disagreement("SOP Instance UID"))
        }
        Content::DataSet { study: Some(study), .. } | Content::Part10 { study: Some(study) }
            if !is_same_study(study, &ids.study) =>
        {
            Err(Error::OtherStudy)
        }
        Content::DataSet { .. } | Content::Part10 { .. } => Ok(ids),
    }
}

/// A request may name a study by the path component that stands for its UID.
fn is_same_study(named: &StudyInstanceUid, study: &StudyInstanceUid) -> bool {
    named == study || named.as_str() == study.path_component()
}

fn required<K: Kind>(header: &Header, tag: Tag) -> Result<Uid<K>, Error> {
    header.uid(tag).ok_or(Error::MissingUid(K::NAME))
}

const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

/// Buffers that received bytes travel in, kept for the next instance.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty buffer of [`limits::SPOOL_CHUNK_BYTES`].
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(limits::SPOOL_CHUNK_BYTES))
    }

    /// Keeps a buffer for later, of as many as files can be written at once.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < limits::FILE_WRITERS {
            buffer.clear();
            kept.push(buffer);
        }
    }
}
