//! C-STORE on tmpfs: what receiving costs when the disk is out of the way.

use anyhow::Result;

use crate::bench::Bench;
use crate::load::{Load, slice_of_own_series};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::report::Section;
use crate::synthetic::Template;

pub(crate) const CT: &str = "C-STORE of 526 KB CT on tmpfs";
pub(crate) const SMALL: &str = "C-STORE of 30 KB on tmpfs";

/// Associations at once.
pub(super) const WIDTHS: [usize; 3] = [1, 4, 16];
/// Keeps the data of one server below 2 GB of tmpfs, of a round below 6 GB.
pub(super) const MOST_BYTES_PER_LOAD: usize = 600 << 20;

const TEXT: &str = "Gantry acknowledges what is synced and committed; Orthanc (defaults) syncs the file and keeps an index; \
                    `storescp --fork +B -pdu 131072` has no index and never syncs. The sender asks for quick ACKs, which shows \
                    DCMTK and Orthanc at their best. RSS of storescp is the sum over its processes.";

pub(crate) fn ct(bench: &Bench) -> Result<Section> {
    run(bench, Section::new(CT, "/s", TEXT), &Template::ct())
}

pub(crate) fn small(bench: &Bench) -> Result<Section> {
    run(bench, Section::new(SMALL, "/s", TEXT), &Template::small())
}

fn run(bench: &Bench, mut section: Section, template: &Template) -> Result<Section> {
    for round in bench.rounds() {
        let peers = bench.turns(&[Peer::Gantry, Peer::Orthanc, Peer::StoreScp], round);
        let servers = start_all(&peers, Place::Memory, template)?;
        for width in WIDTHS {
            for server in &servers {
                pages::warm(MOST_BYTES_PER_LOAD);
                let figures = load(bench, template, width).run(server)?;
                section.add(&case(width), server.peer.name(), figures);
            }
        }
    }
    Ok(section)
}

pub(super) fn case(width: usize) -> String {
    if width == 1 { "1 association".to_owned() } else { format!("{width} associations") }
}

/// Starts the servers side by side, so that each width is measured on all of them within seconds: a shared machine changes its pace.
pub(super) fn start_all(peers: &[Peer], place: Place, template: &Template) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for peer in peers {
        let server = peer.start(place)?;
        warm_up(&server, template)?;
        servers.push(server);
    }
    Ok(servers)
}

/// The load of one measurement.
pub(super) fn load<'a>(bench: &Bench, template: &'a Template, width: usize) -> Load<'a> {
    let most = MOST_BYTES_PER_LOAD / template.data_set().len();
    Load {
        template,
        associations: width,
        seconds: bench.options.seconds,
        instances: u64::try_from(most).unwrap_or(u64::MAX),
        next: &slice_of_own_series,
    }
}

/// Some unmeasured instances, so that start-up costs stay out of the figures.
pub(super) fn warm_up(server: &Server, template: &Template) -> Result<()> {
    let load = Load { template, associations: 2, seconds: 5.0, instances: 20, next: &slice_of_own_series };
    load.run(server).map(|_figures| ())
}
