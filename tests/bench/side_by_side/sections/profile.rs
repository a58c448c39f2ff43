//! Where Gantry's CPU time goes while it receives: `perf` samples the server under the load of `ingest-ct`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::ingest::{MOST_BYTES_PER_LOAD, case, load, warm_up};
use crate::bench::Bench;
use crate::pages;
use crate::peers::{Peer, Place};
use crate::process::Process;
use crate::report::Section;
use crate::synthetic::Template;

const TITLE: &str = "Profile of the server";
const TEXT: &str = "C-STORE of 526 KB CT and of 30 KB over 4 associations on tmpfs, with `perf record` attached, which costs some speed.";

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    for (name, template) in [("ct", Template::ct()), ("small", Template::small())] {
        let server = Peer::Gantry.start(Place::Memory)?;
        warm_up(&server, &template)?;
        pages::warm(MOST_BYTES_PER_LOAD);
        let (samples, text) =
            (folder.join(format!("profile-{name}.data")), folder.join(format!("profile-{name}.txt")));
        let mut record = Command::new("perf");
        record.args(["record", "--freq", "997", "--output"]).arg(&samples);
        record.arg("--pid").arg(server.process.id().to_string());
        let mut perf = Process::start(&mut record, &folder.join("perf.log"))
            .context("perf is needed: apt-get install linux-perf")?;
        let figures = load(bench, &template, 4).run(&server)?;
        perf.stop()?;
        section.add(&format!("{name}, {}", case(4)), Peer::Gantry.name(), figures);
        let report = Command::new("perf")
            .args(["report", "--stdio", "--no-children", "--percent-limit", "0.5"])
            .arg("--input")
            .arg(&samples)
            .output()?;
        ensure!(report.status.success(), "perf report ended with {}", report.status);
        fs::write(&text, report.stdout)?;
        section.note(format!("Samples by function: `{}`.", text.display()));
    }
    Ok(section)
}
