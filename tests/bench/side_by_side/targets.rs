//! What Gantry is meant to reach, checked against the run's own figures.

use crate::figures::column;
use crate::report::{GANTRY, Report};
use crate::sections::{
    backlog, disk, fanout, far, ingest, memory, metadata, million, query, retrieve, route, s3, scale, send,
};

/// One claim and how it is measured.
pub(crate) struct Target {
    pub(crate) text: &'static str,
    section: &'static str,
    case: &'static str,
    bound: Bound,
}

enum Bound {
    /// Gantry is at least so many times as fast as the server.
    Times(&'static str, f64),
    /// Gantry's figure in the column is at least this.
    AtLeast(&'static str, f64),
    /// Gantry's figure in the column is at most this.
    AtMost(&'static str, f64),
}

use Bound::{AtLeast, AtMost, Times};

pub(crate) const TARGETS: [Target; 46] = [
    target("CT, 1 association: 3× Orthanc", ingest::CT, "1 association", Times("Orthanc", 3.0)),
    target("CT, 4 associations: 3× Orthanc", ingest::CT, "4 associations", Times("Orthanc", 3.0)),
    target("CT, 16 associations: 3× Orthanc", ingest::CT, "16 associations", Times("Orthanc", 3.0)),
    target("CT, 1 association: 0.6× storescp", ingest::CT, "1 association", Times(STORE_SCP, 0.6)),
    target("CT: 1 ms of CPU each", ingest::CT, "1 association", AtMost("CPU ms each", 1.0)),
    target("30 KB, 1 association: 2.5× Orthanc", ingest::SMALL, "1 association", Times("Orthanc", 2.5)),
    target("30 KB, 4 associations: 2.5× Orthanc", ingest::SMALL, "4 associations", Times("Orthanc", 2.5)),
    target("30 KB, 16 associations: 2.5× Orthanc", ingest::SMALL, "16 associations", Times("Orthanc", 2.5)),
    target("CT on disk, 1 association: 0.8× floor", disk::CT, "1 association", Times("floor", 0.8)),
    target("CT on disk, 4 associations: 0.8× floor", disk::CT, "4 associations", Times("floor", 0.8)),
    target("CT on disk, 16 associations: 0.8× floor", disk::CT, "16 associations", Times("floor", 0.8)),
    target("CT on disk, 4 associations: above Orthanc", disk::CT, "4 associations", Times("Orthanc", 1.0)),
    target("CT on disk, 16 associations: above Orthanc", disk::CT, "16 associations", Times("Orthanc", 1.0)),
    target("30 KB on disk, 1 association: 0.8× floor", disk::SMALL, "1 association", Times("floor", 0.8)),
    target("30 KB on disk, 4 associations: 0.8× floor", disk::SMALL, "4 associations", Times("floor", 0.8)),
    target("30 KB on disk, 16 associations: 0.8× floor", disk::SMALL, "16 associations", Times("floor", 0.8)),
    target("send: 1,000 CT per second", send::TITLE, "to storescp, 1 association", AtLeast("/s", 1000.0)),
    target("send, 10 ms away, PDUs of 16 KiB: 0.8× storescu", far::TITLE, far::SMALL, Times("storescu", 0.8)),
    target(
        "send, 10 ms away, PDUs of 128 KiB: 0.8× storescu",
        far::TITLE,
        far::LARGE,
        Times("storescu", 0.8),
    ),
    target("C-MOVE of 2,000 CT: 1.5× Orthanc", retrieve::TITLE, retrieve::MOVE, Times("Orthanc", 1.5)),
    target("C-GET of 2,000 CT: 1.5× Orthanc", retrieve::TITLE, retrieve::GET, Times("Orthanc", 1.5)),
    target("C-GET of 2,000 CT: 16 MiB more", retrieve::TITLE, retrieve::GET, AtMost("growth MiB", 16.0)),
    target("CT forwarded, 1 association: 3× Orthanc", route::CT, "1 association", Times("Orthanc", 3.0)),
    target("CT forwarded, 4 associations: 3× Orthanc", route::CT, "4 associations", Times("Orthanc", 3.0)),
    target("CT forwarded: 2.5 ms of CPU each", route::CT, "1 association", AtMost("CPU ms each", 2.5)),
    target(
        "CT forwarded over 4: 2.5 ms of CPU each",
        route::CT,
        "4 associations",
        AtMost("CPU ms each", 2.5),
    ),
    target("30 KB forwarded: 3× Orthanc", route::SMALL, "1 association", Times("Orthanc", 3.0)),
    target("CT to an ordinary end: 10× Orthanc", route::ORDINARY, "1 association", Times("Orthanc", 10.0)),
    target("on an idle lane: 20 ms", route::LATENCY, route::IDLE_LANE, AtMost("p50 ms", 20.0)),
    target("beside a destination that is down: 0.9×", fanout::TITLE, fanout::DOWN, Times(fanout::ALONE, 0.9)),
    target("CT to S3, 16 in parallel: 0.8× a bare loop", s3::TITLE, s3::CASE, Times(s3::BARE, 0.8)),
    target(
        "turn on a million deliveries: 0.67× an all but empty queue",
        backlog::TITLE,
        backlog::CLAIM,
        Times(backlog::FEW, 1.0 / 1.5),
    ),
    target("start on a million deliveries: 2 s", backlog::TITLE, backlog::START, AtMost("p50 ms", 2000.0)),
    target("on a million deliveries: 150 MiB", backlog::TITLE, backlog::START, AtMost("peak MiB", 150.0)),
    target("C-FIND of 100 studies: 15 ms", query::TITLE, query::FIND_AT_FULL, AtMost("p50 ms", 15.0)),
    target("QIDO of 100 studies: 15 ms", query::TITLE, query::QIDO_AT_FULL, AtMost("p50 ms", 15.0)),
    target("first row at 1,000,000 studies: 5 ms", scale::TITLE, scale::WORST_FIRST, AtMost("p50 ms", 5.0)),
    target("100 rows at 1,000,000 studies: 15 ms", scale::TITLE, scale::WORST_ALL, AtMost("p50 ms", 15.0)),
    target("metadata of 2,000 instances, first: 80 ms", metadata::TITLE, "first", AtMost("p50 ms", 80.0)),
    target("metadata of 2,000 instances, again: 80 ms", metadata::TITLE, "again", AtMost("p50 ms", 80.0)),
    target("idle: 50 MiB", memory::TITLE, "idle", AtMost("RSS MiB", 50.0)),
    target("600 MB by C-STORE: 32 MiB more", memory::TITLE, "C-STORE", AtMost("growth MiB", 32.0)),
    target("600 MB by STOW: 32 MiB more", memory::TITLE, "STOW", AtMost("growth MiB", 32.0)),
    target("600 MB by WADO: 32 MiB more", memory::TITLE, "WADO", AtMost("growth MiB", 32.0)),
    target("start on one million instances: 1 s", million::TITLE, million::START, AtMost("p50 ms", 1000.0)),
    target("idle on one million instances: 50 MiB", million::TITLE, million::START, AtMost("RSS MiB", 50.0)),
];

const STORE_SCP: &str = "storescp +B -pdu 131072";

const fn target(text: &'static str, section: &'static str, case: &'static str, bound: Bound) -> Target {
    Target { text, section, case, bound }
}

impl Target {
    /// The figure that decides, if it was measured in this run.
    pub(crate) fn measure(&self, report: &Report) -> Option<f64> {
        let section = report.section(self.section)?;
        match self.bound {
            Times(server, _) => section.ratio(self.case, server),
            AtLeast(title, _) | AtMost(title, _) => {
                debug_assert!(column(title).is_some(), "{title} is a column");
                section.figure(self.case, GANTRY, title)
            }
        }
    }

    pub(crate) fn is_met(&self, value: f64) -> bool {
        match self.bound {
            Times(_, least) | AtLeast(_, least) => value >= least,
            AtMost(_, most) => value <= most,
        }
    }
}
