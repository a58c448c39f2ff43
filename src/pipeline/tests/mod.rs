//! The pipeline over a real archive, and what its tests have in common.

mod examine;
mod route;
mod upstream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::{Archive, Committed, Config, LaneSummary};
use model::element::put;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, Encoding};
use model::{AeTitle, DestinationName, PeerName, SopClassUid, SopInstanceUid, Tag, TransferSyntaxUid, Vr};
use rules::RuleSet;
use telemetry::{Door, Telemetry};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Body, BodyError, Content, Destination, DestinationFacts, Pipeline, Received, Retry};

/// Two kinds of instances.
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

/// A pipeline over an archive of its own.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) archive: Archive,
    pub(crate) telemetry: Telemetry,
    pub(crate) pipeline: Pipeline,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Home {
    /// With rules that send everything to all destinations.
    pub(crate) async fn new(destinations: &[&str]) -> Self {
        let facts =
            |name: &&str| DestinationFacts { name: DestinationName::new(name), peer: None, commitment: None };
        let home = Self::without_rules(destinations.iter().map(facts).collect()).await;
        home.route(&format!("[[rule]]\nname = 'all'\nwhen = 'true'\nsend = {destinations:?}\n")).await;
        home
    }

    pub(crate) async fn without_rules(destinations: Vec<DestinationFacts>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let config = Config { data_dir: folder.path().to_owned(), min_free_bytes: 0 };
        let archive = Archive::open(config, telemetry.clone()).unwrap();
        let pipeline = Pipeline::new(archive.clone(), telemetry.clone());
        pipeline.set_destinations(destinations).await.unwrap();
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        Self { folder, archive, telemetry, pipeline, tracker, shutdown }
    }

    /// Routes by these rules.
    pub(crate) async fn route(&self, text: &str) {
        self.pipeline.route_by(rule_set(text)).await.unwrap();
    }

    /// Receives an instance of which nothing was there.
    pub(crate) async fn store(&self, number: u32, sop_class: &str) {
        let (received, data_set) = (received(number, sop_class), data_set(number, sop_class, ""));
        assert_eq!(self.take(received, Bytes(data_set)).await, Committed::New);
    }

    pub(crate) async fn store_all(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.store(number, CT).await;
        }
    }

    pub(crate) async fn take(&self, received: Received, mut body: impl Body) -> Committed {
        self.pipeline.ingest(received, &mut body).await.unwrap().outcome
    }

    /// Starts the lane to a destination.
    pub(crate) fn run(&self, destination: impl Destination, retry: Retry) {
        let lane = self.pipeline.lane(Arc::new(destination), retry);
        self.tracker.spawn(lane.run(self.shutdown.clone(), self.tracker.clone()));
    }

    /// Asks the lanes to stop.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
        self.tracker.close();
    }

    /// Waits until lanes and couriers have ended.
    pub(crate) async fn stopped(&self) {
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("the lanes end");
    }

    /// Waits until the ledger of a destination says so.
    pub(crate) async fn until(&self, name: &str, is_so: impl Fn(&LaneSummary) -> bool) -> LaneSummary {
        let started = Instant::now();
        loop {
            let summary = self.lane(name).await;
            if is_so(&summary) {
                return summary;
            }
            assert!(started.elapsed() < PATIENCE, "never came true: {summary:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn lane(&self, name: &str) -> LaneSummary {
        let lanes = self.pipeline.lanes().await.unwrap();
        lanes.into_iter().find(|lane| lane.destination.as_str() == name).unwrap()
    }

    pub(crate) fn has_metric(&self, line: &str) {
        let text = self.telemetry.render();
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
}

pub(crate) fn rule_set(text: &str) -> RuleSet {
    let source = rules::Source { name: "rules.toml".to_owned(), text: text.to_owned() };
    let loaded = rules::load(&[source], None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

/// An instance at the DIMSE door, from nobody in particular.
pub(crate) fn received(number: u32, sop_class: &str) -> Received {
    Received {
        door: Door::Dimse,
        calling_aet: None,
        called_aet: None,
        peer: None,
        address: None,
        is_asked_for: false,
        content: Content::DataSet {
            transfer_syntax: TransferSyntaxUid::parse(EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            sop_class: SopClassUid::parse(sop_class).unwrap(),
            sop_instance: SopInstanceUid::parse(&uid(number)).unwrap(),
            study: None,
        },
    }
}

/// The same from a configured peer.
pub(crate) fn received_from(number: u32, peer: &str, calling_aet: &str) -> Received {
    let (peer, calling_aet) = (Some(PeerName::new(peer)), AeTitle::parse(calling_aet).ok());
    Received { peer, calling_aet, ..received(number, CT) }
}

pub(crate) fn uid(number: u32) -> String {
    format!("2.25.1.{number}")
}

/// Instances of one number differ by their comment.
pub(crate) fn data_set(number: u32, sop_class: &str, comment: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (tag, vr, value) in [
        (Tag(0x0008, 0x0016), Vr::UI, sop_class),
        (Tag(0x0008, 0x0018), Vr::UI, &uid(number)),
        (Tag(0x0020, 0x000D), Vr::UI, "2.25.1"),
        (Tag(0x0020, 0x000E), Vr::UI, "2.25.2"),
        (Tag(0x0020, 0x4000), Vr::LT, comment),
    ] {
        put(&mut bytes, Encoding::ExplicitLittle, tag, vr, value.as_bytes());
    }
    bytes
}

/// A body that is there at once.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Body for Bytes {
    async fn fill(&mut self, buf: &mut Vec<u8>) -> Result<bool, BodyError> {
        buf.append(&mut self.0);
        Ok(true)
    }
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
