//! An index of one million instances: how long the start takes, and what a query does.

use anyhow::Result;

use super::query::start_figures;
use super::studies::{Question, Studies};
use crate::bench::Bench;
use crate::peers::{Peer, Place};
use crate::report::Section;

pub(crate) const TITLE: &str = "One million instances";
pub(crate) const START: &str = "start";

const TEXT: &str = "20,000 studies of two series of 25 instances, stored over 16 associations on tmpfs. `start` is from the start of \
                    the process to its first answers on both ports, after an orderly stop; `start after a crash` after a \
                    SIGKILL, when the folders written since the last start are compared with the index.";

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "p50 ms", TEXT);
    let studies = Studies { count: bench.options.amount(20_000, 1_000), instances: 50 };
    for peer in bench.turns(&[Peer::Gantry], 0) {
        let server = peer.start(Place::Memory)?;
        section.add("C-STORE of all", peer.name(), studies.fill(&server)?);
        let mut server = server.crash()?;
        section.add("start after a crash", peer.name(), start_figures(&server)?);
        for _ in bench.rounds() {
            server = server.restart()?;
            section.add(START, peer.name(), start_figures(&server)?);
            for (question, what) in
                [(Question::Day, "a day"), (Question::Surname, "a surname"), (Question::Study, "a study")]
            {
                let times = bench.options.amount(40, 10);
                let find = studies.find(&server, question, times)?;
                section.add(&format!("C-FIND of {what}"), peer.name(), find);
                let search = studies.search(&server, question, times)?;
                section.add(&format!("QIDO of {what}"), peer.name(), search);
            }
        }
    }
    Ok(section)
}
