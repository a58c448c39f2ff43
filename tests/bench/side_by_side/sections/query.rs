//! C-FIND and QIDO-RS on small and large indexes.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OpenFlags};

use super::studies::{Question, Studies};
use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::report::Section;

pub(crate) const TITLE: &str = "Queries";
pub(crate) const FIND_AT_FULL: &str = "100,000 studies: C-FIND of a day";
pub(crate) const QIDO_AT_FULL: &str = "100,000 studies: QIDO of a day";

const TEXT: &str = "Studies of one instance, stored over 16 associations on tmpfs; a day and a surname match 100 studies, a patient \
                    two. One association or connection asks one query after the other; the C-FIND asks for modalities and \
                    counts too. SQLite's ANALYZE was run once on Orthanc's index, which it does not do by itself and which makes \
                    it faster. `start` is from the start of the process to its first answers on every port.";

const QUESTIONS: [(Question, &str); 5] = [
    (Question::Day, "a day"),
    (Question::Surname, "a surname"),
    (Question::Patient, "a patient"),
    (Question::Study, "a study"),
    (Question::First, "the first 100"),
];

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "p50 ms", TEXT);
    let few = Studies { count: bench.options.amount(10_000, 1_000), instances: 1 };
    measure(bench, &mut section, few, &[Peer::Gantry, Peer::Orthanc])?;
    let many = Studies { count: bench.options.amount(100_000, 10_000), instances: 1 };
    measure(bench, &mut section, many, &[Peer::Gantry])?;
    Ok(section)
}

fn measure(bench: &Bench, section: &mut Section, studies: Studies, peers: &[Peer]) -> Result<()> {
    let mut servers = Vec::new();
    for peer in bench.turns(peers, 0) {
        let server = peer.start(Place::Memory)?;
        let fill = studies.fill(&server)?;
        section.add(&case(studies, "C-STORE of all"), peer.name(), fill);
        if peer == Peer::Orthanc {
            servers.push(server.restart_after(|folder| analyze(&folder.join("data/index")))?);
        } else {
            servers.push(server.restart()?);
        }
    }
    for server in &servers {
        section.add(&case(studies, "start"), server.peer.name(), start_figures(server)?);
    }
    for _ in bench.rounds() {
        for server in &servers {
            ask_all(bench, section, studies, server)?;
        }
    }
    Ok(())
}

fn ask_all(bench: &Bench, section: &mut Section, studies: Studies, server: &Server) -> Result<()> {
    let times = bench.options.amount(40, 10);
    pages::warm(256 << 20);
    for (question, name) in QUESTIONS {
        if question != Question::First {
            let figures =
                studies.find(server, question, times).with_context(|| format!("C-FIND of {name}"))?;
            section.add(&case(studies, &format!("C-FIND of {name}")), server.peer.name(), figures);
        }
        let figures = studies.search(server, question, times).with_context(|| format!("QIDO of {name}"))?;
        section.add(&case(studies, &format!("QIDO of {name}")), server.peer.name(), figures);
    }
    Ok(())
}

/// Start-up time, and memory before the first query.
pub(super) fn start_figures(server: &Server) -> Result<Figures> {
    let memory = server.process.memory()?;
    Ok(Figures {
        p50_ms: Some(milliseconds(server.start)),
        resident: Some(memory.resident),
        peak: Some(memory.peak),
        ..Figures::default()
    })
}

fn case(studies: Studies, what: &str) -> String {
    format!("{},{:03} studies: {what}", studies.count / 1000, studies.count % 1000)
}

/// Gives SQLite the statistics it plans by.
fn analyze(index: &Path) -> Result<()> {
    let index = Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Ok(index.execute_batch("ANALYZE")?)
}
