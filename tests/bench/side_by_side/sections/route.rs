//! Store and forward: everything received goes on to one receiver.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::ingest::{MOST_BYTES_PER_LOAD, case, load};
use crate::bench::Bench;
use crate::figures::{Figures, milliseconds, percentile};
use crate::load::{Load, Turn, next_slice};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::report::Section;
use crate::sink::Sink;
use crate::synthetic::Template;

pub(crate) const CT: &str = "Store and forward of 526 KB CT on tmpfs";
pub(crate) const SMALL: &str = "Store and forward of 30 KB on tmpfs";
pub(crate) const ORDINARY: &str = "Store and forward of 526 KB CT to an ordinary storescp";
pub(crate) const LATENCY: &str = "From C-STORE-RSP to the delivered instance";
pub(crate) const IDLE_LANE: &str = "CT, 10 per second";

const TEXT: &str = "From the first C-STORE-RQ to the last complete instance at the receiver, which is part of this program and asks \
                    for quick ACKs, as the sender does. Orthanc sends by `SendToModality` in `OnStoredInstance`. CPU is the router's.";
const ORDINARY_TEXT: &str =
    "As above, to `storescp --fork`, which leaves Nagle's algorithm and delayed ACKs as they are.";
const LATENCY_TEXT: &str = "One instance every 100 ms over one association: from the C-STORE-RSP that the sender gets to the complete \
                            instance at the receiver.";

/// Longest wait for what was sent to arrive; at 22 per second the largest load takes less.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn ct(bench: &Bench) -> Result<Section> {
    to_sink(bench, Section::new(CT, "/s", TEXT), &Template::ct(), &[1, 4])
}

pub(crate) fn small(bench: &Bench) -> Result<Section> {
    to_sink(bench, Section::new(SMALL, "/s", TEXT), &Template::small(), &[1])
}

fn to_sink(bench: &Bench, mut section: Section, template: &Template, widths: &[usize]) -> Result<Section> {
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc], round) {
            let sink = Sink::start()?;
            let server = peer.start_routing(Place::Memory, &[sink.address])?;
            warm_up(&server, template, &sink)?;
            for width in widths {
                pages::warm(MOST_BYTES_PER_LOAD);
                sink.clear();
                let most = u64::try_from(MOST_BYTES_PER_LOAD / 2 / template.data_set().len())?;
                let load = Load { instances: most, ..load(bench, template, *width) };
                let figures = forward(&load, &server, |count| Ok(sink.wait_for(count, PATIENCE)))?;
                section.add(&case(*width), peer.name(), figures);
            }
        }
    }
    Ok(section)
}

pub(crate) fn ordinary(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(ORDINARY, "/s", ORDINARY_TEXT);
    let template = Template::ct();
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc], round) {
            let receiver = Peer::PlainStoreScp.start(Place::Memory)?;
            let server = peer.start_routing(Place::Memory, &[receiver.dimse])?;
            // Orthanc takes 45 ms for each.
            let instances = bench.options.amount(if peer == Peer::Gantry { 600 } else { 60 }, 30);
            let load = Load {
                template: &template,
                associations: 1,
                seconds: f64::MAX,
                instances,
                next: &next_slice,
            };
            pages::warm(MOST_BYTES_PER_LOAD);
            let figures = forward(&load, &server, |count| wait_for_files(&receiver, count))?;
            section.add(&case(1), peer.name(), figures);
        }
    }
    Ok(section)
}

pub(crate) fn latency(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(LATENCY, "p50 ms", LATENCY_TEXT);
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc], round) {
            let sink = Sink::start()?;
            let server = peer.start_routing(Place::Memory, &[sink.address])?;
            warm_up(&server, &Template::ct(), &sink)?;
            sink.clear();
            section.add(IDLE_LANE, peer.name(), one_by_one(&server, &sink, bench.options.amount(50, 10))?);
        }
    }
    Ok(section)
}

/// Sends `load` to `server` and waits with `arrive` for all of it: rate over the whole way, CPU of the server.
pub(super) fn forward(
    load: &Load<'_>,
    server: &Server,
    arrive: impl FnOnce(usize) -> Result<bool>,
) -> Result<Figures> {
    let cpu_before = server.process.cpu()?;
    let begin = Instant::now();
    let stored = load.run(server)?;
    let count = stored.count.context("nothing was sent")?;
    let is_complete = arrive(count)?;
    let elapsed = begin.elapsed();
    let cpu = server.process.cpu()?.saturating_sub(cpu_before);
    ensure!(is_complete, "not all of {count} instances arrived at the receiver in time");
    let memory = server.process.memory()?;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let instances = count as f64;
    Ok(Figures {
        per_second: Some(instances / elapsed.as_secs_f64()),
        cpu_ms: Some(milliseconds(cpu) / instances),
        resident: Some(memory.resident),
        failed: stored.failed,
        ..Figures::default()
    })
}

fn one_by_one(server: &Server, sink: &Sink, count: u64) -> Result<Figures> {
    let mut association = server.associate()?;
    let mut template = Template::ct();
    let mut latencies = Vec::new();
    for number in 0..count {
        next_slice(&mut template, Turn { association: LATENCY_SERIES, number });
        let status = association.store(&template)?;
        let answered = Instant::now();
        ensure!(status == 0, "C-STORE was answered {status:04X}H");
        ensure!(sink.wait_for(usize::try_from(number)? + 1, PATIENCE), "an instance did not arrive");
        let arrived = sink.arrived().get(template.sop_instance()).copied().context("another one arrived")?;
        latencies.push(arrived.saturating_duration_since(answered));
        thread::sleep(Duration::from_millis(100).saturating_sub(answered.elapsed()));
    }
    association.release()?;
    latencies.sort_unstable();
    Ok(Figures {
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        ..Figures::default()
    })
}

/// A name of the series that no load uses.
const LATENCY_SERIES: u64 = 1 << 40;

fn warm_up(server: &Server, template: &Template, sink: &Sink) -> Result<()> {
    super::ingest::warm_up(server, template)?;
    ensure!(sink.wait_for(20, PATIENCE), "what was sent to warm up did not arrive");
    Ok(())
}

fn wait_for_files(receiver: &Server, count: usize) -> Result<bool> {
    let begin = Instant::now();
    while fs::read_dir(receiver.received())?.count() < count {
        if begin.elapsed() > PATIENCE {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}
