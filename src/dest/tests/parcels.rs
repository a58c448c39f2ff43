use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use archive::{Archive, Config, NewInstance, Routing, Source, Turn};
use model::check::Crc64;
use model::scan::scan;
use model::{
    DestinationName, InstanceIds, RuleName, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid,
    TransferSyntaxUid, part10, syntax,
};
use pipeline::{Parcel, StoredInstance, Waiting};
use sha2::{Digest, Sha256};
use telemetry::{Door, Telemetry};
use tempfile::TempDir;

/// Makes parcels as a lane claims them. What is in their data sets is no matter of destinations.
pub(crate) struct Sender {
    folder: TempDir,
    /// One that has come through an archive.
    seed: Parcel,
    made: AtomicUsize,
}

/// Nothing else waits.
pub(crate) struct Alone;

impl Waiting for Alone {
    fn kinds(&self) -> Vec<(SopClassUid, TransferSyntaxUid)> {
        Vec::new()
    }
}

impl Sender {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().join("data"), min_free_bytes: 0 };
        let archive = Archive::open(config, Telemetry::new()).unwrap();
        let destinations = archive.enrol_destinations(&[DestinationName::new("seed")]).await.unwrap();
        let rule = (RuleName::new("all"), "1".to_owned());
        let (rule_set, rules) = archive.enrol_rules("1", &[], &[rule]).await.unwrap();
        let spool = archive.spool().unwrap();
        let prepared = archive.prepare(NewInstance {
            ids: ids("1.2.3"),
            transfer_syntax: TransferSyntaxUid::parse(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            file: spool.sync().unwrap(),
            data_offset: 0,
            length: 0,
            sha256: Sha256::digest(b"").into(),
            crc64: Crc64::default().value(),
            header: scan(syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN), b"").unwrap(),
            source: Source {
                door: Door::Dimse,
                calling_aet: None,
                called_aet: None,
                peer: None,
                address: None,
            },
            routing: Some(Routing {
                rule_set,
                deliveries: vec![(destinations[0], rules[0])],
                came_from: vec![],
                is_asked_for: false,
            }),
        });
        archive.commit(prepared).await.unwrap();
        let turn = Turn { claim: 1, lease: Duration::from_secs(60), ..Turn::default() };
        let seed = archive.turn(destinations[0], turn).await.unwrap().parcels.remove(0);
        archive.close().await.unwrap();
        Self { folder, seed, made: AtomicUsize::new(0) }
    }

    /// An instance of study `1.2` and series `1.2.3` with `data` as its data set, in a file of its own.
    pub(crate) fn parcel(&self, sop_instance: &str, data: &[u8]) -> Parcel {
        let ids = ids(sop_instance);
        let transfer_syntax = TransferSyntaxUid::parse(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        let meta = part10::write((&ids.sop_class, &ids.sop_instance), &transfer_syntax, None);
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}.dcm"));
        fs::write(&path, [&meta, data].concat()).unwrap();
        let instance = StoredInstance {
            ids,
            transfer_syntax,
            path,
            data_offset: meta.len() as u64,
            length: (meta.len() + data.len()) as u64,
            sha256: Sha256::digest(data).into(),
            crc64: None,
            number_of_frames: None,
        };
        Parcel { instance, ..self.seed.clone() }
    }

    /// The file of a parcel.
    pub(crate) fn file(&self, parcel: &Parcel) -> Vec<u8> {
        fs::read(&parcel.instance.path).unwrap()
    }
}

/// Bytes that repeat nowhere soon.
pub(crate) fn noise(seed: u8, length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|number| Sha256::digest([&[seed][..], &number.to_le_bytes()].concat()));
    blocks.take(length).collect()
}

fn ids(sop_instance: &str) -> InstanceIds {
    InstanceIds {
        study: StudyInstanceUid::lenient("1.2").unwrap(),
        series: SeriesInstanceUid::lenient("1.2.3").unwrap(),
        sop_class: SopClassUid::lenient("1.2.840.10008.5.1.4.1.1.2").unwrap(),
        sop_instance: SopInstanceUid::lenient(sop_instance).unwrap(),
    }
}

/// An instance that is only spoken of.
pub(crate) fn stored() -> StoredInstance {
    StoredInstance {
        ids: ids("1.2.3.1"),
        transfer_syntax: TransferSyntaxUid::parse(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
        path: PathBuf::from("/data/x.dcm"),
        data_offset: 0,
        length: 0,
        sha256: [0; 32],
        crc64: None,
        number_of_frames: None,
    }
}
