//! C-STORE on the disk, against a program that does only what durability demands.

use anyhow::Result;

use super::ingest::{MOST_BYTES_PER_LOAD, WIDTHS, case, load, start_all};
use crate::bench::Bench;
use crate::floor;
use crate::load::Load;
use crate::pages;
use crate::peers::{Peer, Place};
use crate::report::Section;
use crate::synthetic::Template;

pub(crate) const CT: &str = "C-STORE of 526 KB CT on disk";
pub(crate) const SMALL: &str = "C-STORE of 30 KB on disk";

/// A disk changes its pace from one second to the next, so all take their turn twice a round, for a shorter time each.
const PASSES: usize = 2;
const SHARE: f32 = 1.5;

const TEXT: &str = "The floor is no server: as many threads as associations create, write and fdatasync a file each; one committer \
                    syncs the folder and commits one `synchronous=FULL` SQLite transaction for all that wait. Orthanc (defaults) \
                    syncs the file, not its folder nor its index.";

pub(crate) fn ct(bench: &Bench) -> Result<Section> {
    run(bench, Section::new(CT, "/s", TEXT), &Template::ct())
}

pub(crate) fn small(bench: &Bench) -> Result<Section> {
    run(bench, Section::new(SMALL, "/s", TEXT), &Template::small())
}

fn run(bench: &Bench, mut section: Section, template: &Template) -> Result<Section> {
    let peers = [Peer::Gantry, Peer::Orthanc];
    for round in bench.rounds() {
        let servers = start_all(&bench.turns(&peers, round), Place::Disk, template)?;
        for width in WIDTHS.into_iter().flat_map(|width| [width; PASSES]) {
            let load = load(bench, template, width);
            let load = Load { seconds: load.seconds / f64::from(SHARE), ..load };
            for server in &servers {
                settle();
                section.add(&case(width), server.peer.name(), load.run(server)?);
            }
            settle();
            section.add(&case(width), "floor", floor::run(&load, Place::Disk)?);
        }
        drop(servers);
        Place::clear_disk()?;
    }
    Ok(section)
}

/// Nobody's left-over writes, nobody's cold pages.
fn settle() {
    rustix::fs::sync();
    pages::warm(MOST_BYTES_PER_LOAD);
}
