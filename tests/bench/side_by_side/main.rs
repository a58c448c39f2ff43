//! Gantry side by side with Orthanc, DCMTK's storescp, a bare loop of puts and what the disk allows, in one run on one machine.
//!
//! `cargo bench --bench side_by_side -- [OPTIONS] [SECTION…]` writes `target/bench/report.md`; `--help` lists what there is.
//! Every server starts empty on free loopback ports. The driver is this program: its DIMSE code is its own, its instances are
//! synthetic and encoded beforehand. Figures are comparable within one run only.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program that reports to the terminal")]

mod association;
mod bench;
mod delay;
mod figures;
mod floor;
mod http;
mod load;
mod machine;
mod options;
mod pages;
mod peers;
mod process;
mod report;
mod seaweed;
mod sections;
mod sink;
mod summary;
#[path = "../synthetic.rs"]
#[expect(dead_code, reason = "the other bench program uses the rest")]
mod synthetic;
mod targets;
mod wire;

use std::env;

use anyhow::Result;

use crate::bench::Bench;
use crate::machine::Machine;
use crate::options::Options;
use crate::peers::Place;
use crate::report::Report;

fn main() -> Result<()> {
    Place::Memory.sweep()?;
    Place::Disk.sweep()?;
    let bench = Bench::new(Options::parse(env::args().skip(1))?);
    let mut report = Report::new(Machine::look(&bench.peers())?, &bench.options);
    for name in &bench.options.sections {
        eprintln!("{name} …");
        match sections::run(name, &bench) {
            Ok(section) => report.push(section),
            Err(error) => eprintln!("{name} failed: {error:#}"),
        }
        // After each section, so that an interrupted run leaves what it has measured.
        report.save()?;
    }
    println!("{}", report.markdown());
    println!("Written to {}.", report.save()?.display());
    Ok(())
}
