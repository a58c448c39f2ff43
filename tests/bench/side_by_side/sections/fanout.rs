//! Fan-out: a destination that is down for the whole run, beside two that are not.

use std::time::Duration;

use anyhow::Result;

use super::ingest::{MOST_BYTES_PER_LOAD, load};
use super::route::forward;
use crate::bench::Bench;
use crate::load::Load;
use crate::pages;
use crate::peers::{Peer, Place, free_ports};
use crate::report::Section;
use crate::sink::Sink;
use crate::synthetic::Template;

pub(crate) const TITLE: &str = "Fan-out of 526 KB CT to two receivers on tmpfs";
pub(crate) const DOWN: &str = "a third is down";
/// The row that [`DOWN`] is compared with.
pub(crate) const ALONE: &str = "the two alone";

const TEXT: &str = "Two associations; from the first C-STORE-RQ to the last complete instance at both receivers. `the two alone` has two \
                    destinations; for `Gantry` a third one is configured beside them, at a port where nobody listens.";

const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let template = Template::ct();
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry], round) {
            let mut kinds = [(ALONE, false), (peer.name(), true)];
            kinds.rotate_left(round % 2);
            for (row, has_third) in kinds {
                let sinks = [Sink::start()?, Sink::start()?];
                let mut onward: Vec<_> = sinks.iter().map(|sink| sink.address).collect();
                let [nobody] = free_ports()?;
                onward.extend(has_third.then_some(nobody));
                let server = peer.start_routing(Place::Memory, &onward)?;
                pages::warm(MOST_BYTES_PER_LOAD);
                let most = u64::try_from(MOST_BYTES_PER_LOAD / 2 / template.data_set().len())?;
                let load = Load { instances: most, ..load(bench, &template, 2) };
                let arrive = |count| Ok(sinks.iter().all(|sink| sink.wait_for(count, PATIENCE)));
                section.add(DOWN, row, forward(&load, &server, arrive)?);
            }
        }
    }
    Ok(section)
}
