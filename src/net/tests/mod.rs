//! The whole door over real sockets, called by a small peer of our own.

mod ahead;
mod associate;
mod association;
mod commitment;
mod event_report;
mod find;
mod get;
mod inquire;
mod move_;
pub(crate) mod peer;
mod retrieve;
pub(crate) mod send;
mod store;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use model::element::put;
use model::syntax::Encoding;
use model::{AeTitle, Tag, Vr};
use pipeline::{Archive, Pipeline, Retry};
use telemetry::Telemetry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Accept, Config, Listener};

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

pub(crate) fn config() -> Config {
    Config {
        ae_title: AeTitle::parse("GANTRY").unwrap(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        accept: Accept::Any,
        check_called_ae: false,
        aliases: Vec::new(),
        max_pdu_bytes: 131_072,
        max_associations: 100,
        artim_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        message_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(10),
        report_retry: Retry {
            first: Duration::from_millis(50),
            factor: 1.0,
            max: Duration::from_millis(50),
            give_up: Duration::from_secs(3600),
        },
        move_associations: 2.try_into().unwrap(),
        peers: Vec::new(),
    }
}

/// A listener over an archive of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pipeline: Pipeline,
    pub(crate) telemetry: Telemetry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tracker: TaskTracker,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(config(), 0).await
    }

    pub(crate) async fn with(config: Config, min_free_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let archive = archive::Config { data_dir: folder.path().to_owned(), min_free_bytes };
        let archive = Archive::open(archive, telemetry.clone()).unwrap();
        let pipeline = Pipeline::new(archive, telemetry.clone());
        let listener = Listener::bind(config, pipeline.clone(), telemetry.clone()).await.unwrap();
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let address = listener.local_addr();
        tracker.spawn(listener.serve(shutdown.clone(), tracker.clone()));
        Self { address, pipeline, telemetry, shutdown, tracker, folder }
    }

    /// Whether all copies in other transfer syntaxes are removed.
    pub(crate) fn has_no_copies(&self) -> bool {
        std::fs::read_dir(self.folder.path().join("transcoded")).unwrap().next().is_none()
    }

    /// Makes the index refuse whatever happens to storage commitment requests, or take it again.
    pub(crate) fn refuse_commitments(&self, is_refused: bool) {
        let index = rusqlite::Connection::open(self.folder.path().join("index.sqlite")).unwrap();
        let refuse =
            "CREATE TRIGGER refuse BEFORE UPDATE ON commitment BEGIN SELECT RAISE(ABORT, 'refused'); END";
        index.execute_batch(if is_refused { refuse } else { "DROP TRIGGER refuse" }).unwrap();
    }

    /// Whether this line is among the metrics.
    pub(crate) fn counts(&self, line: &str) -> bool {
        self.telemetry.render().lines().any(|found| found == line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An explicit little endian data set of a CT image; `number` is part of its UIDs and its patient's name.
pub(crate) fn image(number: u32, pixel_bytes: usize) -> Vec<u8> {
    image_in(Encoding::ExplicitLittle, number, pixel_bytes)
}

/// [`image`] in another encoding.
pub(crate) fn image_in(encoding: Encoding, number: u32, pixel_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |group, element, vr, value: &str| {
        put(&mut out, encoding, Tag(group, element), vr, value.as_bytes());
    };
    put(0x0008, 0x0016, Vr::UI, CT);
    put(0x0008, 0x0018, Vr::UI, &instance_uid(number));
    put(0x0008, 0x0020, Vr::DA, "20260102");
    put(0x0008, 0x0060, Vr::CS, "CT");
    put(0x0010, 0x0010, Vr::PN, &format!("DOE^{number}"));
    put(0x0010, 0x0020, Vr::LO, &format!("ID{number}"));
    put(0x0020, 0x000D, Vr::UI, &format!("1.2.3.{number}"));
    put(0x0020, 0x000E, Vr::UI, &format!("1.2.3.{number}.1"));
    let pixels: Vec<u8> = (0..pixel_bytes).map(|at| (at % 251) as u8).collect();
    model::element::put(&mut out, encoding, Tag(0x7FE0, 0x0010), Vr::OW, &pixels);
    out
}

pub(crate) fn instance_uid(number: u32) -> String {
    format!("1.2.3.{number}.1.1")
}
