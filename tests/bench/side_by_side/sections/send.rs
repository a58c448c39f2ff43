//! `gantry send` to DCMTK's storescp, beside DCMTK's own sender and this program's driver.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::load::{Load, Turn, next_slice};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::process::Process;
use crate::report::{GANTRY, Section};
use crate::synthetic::Template;

pub(crate) const TITLE: &str = "Sending 526 KB CT to storescp on tmpfs";

const TEXT: &str = "From the start of the sending program to its end; CPU time is the sender's. `storescp` runs with `--fork` only, \
                    or with `--fork +B -pdu 131072`. storescu sends 40 instances, waiting for delayed ACKs as it does by \
                    default; the driver sends from memory.";

/// Instances that storescu sends: at 22 per second more would only take time.
const FEW: u64 = 40;

/// A program that sends a folder.
struct Sender {
    name: &'static str,
    associations: usize,
    kind: Kind,
}

enum Kind {
    Gantry,
    StoreScu,
    Driver,
}

const SENDERS: [Sender; 5] = [
    Sender { name: GANTRY, associations: 1, kind: Kind::Gantry },
    Sender { name: GANTRY, associations: 4, kind: Kind::Gantry },
    Sender { name: "storescu", associations: 1, kind: Kind::StoreScu },
    Sender { name: "driver", associations: 1, kind: Kind::Driver },
    Sender { name: "driver", associations: 4, kind: Kind::Driver },
];

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let many = bench.options.amount(1000, 200);
    let folder = Place::Memory.folder()?;
    let (all, few) = (folder.path().join("all"), folder.path().join("few"));
    write_files(&all, many)?;
    write_files(&few, FEW)?;
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::PlainStoreScp, Peer::StoreScp], round) {
            let server = peer.start(Place::Memory)?;
            for sender in &SENDERS {
                pages::warm(600 << 20);
                let figures = match sender.kind {
                    Kind::Gantry if !bench.peers().contains(&Peer::Gantry) => continue,
                    Kind::Gantry => gantry(&server, &all, many, sender.associations)?,
                    Kind::StoreScu => store_scu(&server, &few)?,
                    Kind::Driver => driver(&server, many, sender.associations)?,
                };
                let case = format!("to {}, {}", peer.name(), super::ingest::case(sender.associations));
                section.add(&case, sender.name, figures);
                fs::remove_dir_all(server.received())?;
                fs::create_dir(server.received())?;
            }
        }
    }
    Ok(section)
}

pub(super) fn write_files(folder: &Path, count: u64) -> Result<()> {
    fs::create_dir(folder)?;
    let mut template = Template::ct();
    for number in 0..count {
        next_slice(&mut template, Turn { association: 0, number });
        let mut file = File::create(folder.join(format!("{number:06}.dcm")))?;
        file.write_all(&template.file_head())?;
        file.write_all(template.data_set())?;
    }
    Ok(())
}

fn gantry(server: &Server, folder: &Path, count: u64, associations: usize) -> Result<Figures> {
    let mut command = Command::new(Peer::Gantry.program());
    command.arg("send").arg(format!("{}@{}", server.called(), server.dimse));
    command.arg("--associations").arg(associations.to_string()).arg(folder);
    program(server, &mut command, count)
}

fn store_scu(server: &Server, folder: &Path) -> Result<Figures> {
    let mut command = Command::new("/usr/bin/storescu");
    command.args(["-aec", server.called(), "+sd"]);
    command.arg(server.dimse.ip().to_string()).arg(server.dimse.port().to_string()).arg(folder);
    program(server, &mut command, FEW)
}

fn program(server: &Server, command: &mut Command, count: u64) -> Result<Figures> {
    let folder = Place::Memory.folder()?;
    let begin = Instant::now();
    let process = Process::start(command, &folder.path().join("log"))?;
    let (_status, cpu) = process.wait()?;
    Ok(figures(count, arrived(server)?, begin.elapsed(), cpu))
}

fn driver(server: &Server, count: u64, associations: usize) -> Result<Figures> {
    let template = Template::ct();
    let load =
        Load { template: &template, associations, seconds: f64::MAX, instances: count, next: &next_slice };
    let begin = Instant::now();
    let measured = load.run(server)?;
    // What the load has measured of CPU and memory is the receiver's.
    let own = figures(count, arrived(server)?, begin.elapsed(), Duration::ZERO);
    Ok(Figures { cpu_ms: None, p50_ms: measured.p50_ms, p99_ms: measured.p99_ms, ..own })
}

fn arrived(server: &Server) -> Result<u64> {
    u64::try_from(fs::read_dir(server.received())?.count()).context("count what arrived")
}

pub(super) fn figures(count: u64, arrived: u64, elapsed: Duration, cpu: Duration) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let instances = count as f64;
    let rate = instances / elapsed.as_secs_f64();
    Figures {
        per_second: Some(rate),
        megabytes_per_second: Some(rate * 0.526),
        cpu_ms: Some(milliseconds(cpu) / instances),
        failed: Some(count.abs_diff(arrived)),
        ..Figures::default()
    }
}
