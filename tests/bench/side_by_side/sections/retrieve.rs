//! A CT study of 2,000 instances, moved and got.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::association::Association;
use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::load::{Load, next_slice};
use crate::pages;
use crate::peers::{MOVED_TO, Peer, Place, Server};
use crate::process::Memory;
use crate::report::Section;
use crate::sink::Sink;
use crate::synthetic::{Field, Subject, Template, uid};
use crate::wire::identifier_element;

pub(crate) const TITLE: &str = "Retrieving a study of 2,000 CT of 526 KB on tmpfs";
pub(crate) const MOVE: &str = "C-MOVE";
pub(crate) const GET: &str = "C-GET";

const TEXT: &str = "From the request to the final response, after one that warms the server up. A C-MOVE goes to a receiver that is part of this \
     program, as the requestor is; both ask for quick ACKs, and both keep nothing. Each server with its defaults: Gantry moves over \
     two associations. Memory is the server's, with the processes that it makes for its associations.";

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let count = bench.options.amount(2_000, 200);
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc, Peer::QrScp], round) {
            let sink = Sink::start()?;
            let server = peer.start_moving(Place::Memory, sink.address)?;
            let study = fill(&server, count)?;
            measure(&server, &sink, &study, count, moved)?;
            section.add(MOVE, peer.name(), measure(&server, &sink, &study, count, moved)?);
            measure(&server, &sink, &study, count, got)?;
            section.add(GET, peer.name(), measure(&server, &sink, &study, count, got)?);
        }
    }
    Ok(section)
}

/// Stores the study; its identifier.
fn fill(server: &Server, count: u64) -> Result<Vec<u8>> {
    let mut template = Template::ct();
    let study = uid(Subject::Study, 1, 0);
    template.set(Field::StudyInstanceUid, &study);
    template.set(Field::SeriesInstanceUid, &uid(Subject::Series, 1, 0));
    let load =
        Load { template: &template, associations: 1, seconds: f64::MAX, instances: count, next: &next_slice };
    let stored = load.run(server)?;
    ensure!(stored.failed == Some(0), "not all instances were stored");
    let mut identifier = Vec::new();
    identifier_element(&mut identifier, 0x0008_0052, "STUDY", b' ');
    identifier_element(&mut identifier, 0x0020_000D, &study, 0);
    Ok(identifier)
}

/// Retrieves it; how many came.
type Retrieve = fn(&mut Association, &Sink, &[u8]) -> Result<u64>;

fn moved(association: &mut Association, sink: &Sink, study: &[u8]) -> Result<u64> {
    let status = association.move_to(MOVED_TO, study)?;
    ensure!(status == 0, "C-MOVE was answered {status:04X}H");
    Ok(u64::try_from(sink.arrived().len())?)
}

fn got(association: &mut Association, _sink: &Sink, study: &[u8]) -> Result<u64> {
    let (came, status) = association.get(study)?;
    ensure!(status == 0, "C-GET was answered {status:04X}H");
    Ok(came)
}

fn measure(server: &Server, sink: &Sink, study: &[u8], count: u64, retrieve: Retrieve) -> Result<Figures> {
    sink.clear();
    pages::warm(64 << 20);
    let mut association = server.associate_to_retrieve()?;
    server.process.forget_peak()?;
    let (before, cpu_before) = (server.process.memory()?.resident, server.process.cpu()?);
    let begin = Instant::now();
    let came = retrieve(&mut association, sink, study)?;
    let elapsed = begin.elapsed();
    let (memory, cpu) = (server.process.memory()?, server.process.cpu()?.saturating_sub(cpu_before));
    association.release()?;
    Ok(figures(came, count, elapsed, cpu, before, memory))
}

fn figures(came: u64, count: u64, elapsed: Duration, cpu: Duration, before: u64, memory: Memory) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let instances = came as f64;
    let rate = instances / elapsed.as_secs_f64();
    Figures {
        per_second: Some(rate),
        megabytes_per_second: Some(rate * 0.526),
        cpu_ms: Some(milliseconds(cpu) / instances),
        resident: Some(memory.resident),
        peak: Some(memory.peak),
        growth: Some(memory.peak.saturating_sub(before)),
        failed: Some(count.abs_diff(came)),
        ..Figures::default()
    }
}
