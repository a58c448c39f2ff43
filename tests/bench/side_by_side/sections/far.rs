//! `gantry send` to a receiver that is far away, beside DCMTK's sender.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::send::{figures, write_files};
use crate::bench::Bench;
use crate::delay::Line;
use crate::figures::Figures;
use crate::pages;
use crate::peers::{Peer, Place};
use crate::process::Process;
use crate::report::{GANTRY, Section};
use crate::sink::Sink;

pub(crate) const TITLE: &str = "Sending 526 KB CT to a receiver 10 ms away";
pub(crate) const SMALL: &str = "PDUs of 16 KiB, 1 association";
pub(crate) const LARGE: &str = "PDUs of 128 KiB, 1 association";

const TEXT: &str = "From the start of the sending program to its end. The receiver is part of this program, takes PDUs of that size, asks for \
     quick ACKs, and grants the operations window that is asked for. In between is a proxy of this program that holds every byte for \
     10 ms each way and lets any number be on their way. CPU is the sender's.";

const EACH_WAY: Duration = Duration::from_millis(10);

/// What a program is told, and what that is called.
struct Way {
    case: &'static str,
    max_pdu_bytes: u32,
    options: &'static [&'static str],
    storescu: bool,
}

const WAYS: [Way; 5] = [
    Way { case: SMALL, max_pdu_bytes: 16_384, options: &[], storescu: true },
    Way { case: LARGE, max_pdu_bytes: 131_072, options: &[], storescu: true },
    Way {
        case: "PDUs of 16 KiB, 1 association, 16 ahead",
        max_pdu_bytes: 16_384,
        options: &["--ahead", "16"],
        storescu: false,
    },
    Way {
        case: "PDUs of 128 KiB, 1 association, 16 ahead",
        max_pdu_bytes: 131_072,
        options: &["--ahead", "16"],
        storescu: false,
    },
    Way {
        case: "PDUs of 128 KiB, 4 associations",
        max_pdu_bytes: 131_072,
        options: &["--associations", "4"],
        storescu: false,
    },
];

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let count = bench.options.amount(200, 40);
    let folder = Place::Memory.folder()?;
    let files = folder.path().join("files");
    write_files(&files, count)?;
    for _round in bench.rounds() {
        for way in &WAYS {
            let sink = Sink::taking(way.max_pdu_bytes)?;
            let line = Line::start(sink.address, EACH_WAY)?;
            if bench.peers().contains(&Peer::Gantry) {
                let mut gantry = Command::new(Peer::Gantry.program());
                gantry.arg("send").arg(format!("SINK@{}", line.address)).args(way.options).arg(&files);
                section.add(way.case, GANTRY, send(&mut gantry, &sink, folder.path(), count)?);
            }
            if way.storescu {
                let mut storescu = Command::new("/usr/bin/storescu");
                storescu.args(["-aec", "SINK", "+sd", "--max-send-pdu", &way.max_pdu_bytes.to_string()]);
                storescu.arg(line.address.ip().to_string()).arg(line.address.port().to_string()).arg(&files);
                section.add(way.case, "storescu", send(&mut storescu, &sink, folder.path(), count)?);
            }
        }
    }
    Ok(section)
}

fn send(command: &mut Command, sink: &Sink, folder: &Path, count: u64) -> Result<Figures> {
    sink.clear();
    pages::warm(200 << 20);
    let begin = Instant::now();
    let process = Process::start(command, &folder.join("log"))?;
    let (status, cpu) = process.wait()?;
    let elapsed = begin.elapsed();
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    let arrived = u64::try_from(sink.arrived().len())?;
    Ok(figures(count, arrived, elapsed, cpu))
}
