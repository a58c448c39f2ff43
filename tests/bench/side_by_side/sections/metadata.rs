//! WADO-RS metadata of a long series: the first time, and again.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::load::{Load, next_slice};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::report::Section;
use crate::synthetic::{Field, Subject, Template, uid};

pub(crate) const TITLE: &str = "Metadata of a series of 2,000 CT";

const TEXT: &str = "GET …/series/{uid}/metadata on tmpfs after the series was stored over 4 associations: the first request, then \
                    five more. The body is read and its instances are counted.";

const AGAIN: u32 = 5;

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "p50 ms", TEXT);
    let mut template = Template::ct();
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc], round) {
            let group = u64::try_from(round)?;
            let (study, series) = (uid(Subject::Study, 0, group), uid(Subject::Series, 0, group));
            template.set(Field::StudyInstanceUid, &study);
            template.set(Field::SeriesInstanceUid, &series);
            let server = peer.start(Place::Memory)?;
            let instances = bench.options.amount(2000, 400);
            let load = Load {
                template: &template,
                associations: 4,
                seconds: f64::MAX,
                instances,
                next: &next_slice,
            };
            load.run(&server)?;
            let path = format!("/dicom-web/studies/{study}/series/{series}/metadata");
            section.add("first", peer.name(), get(&server, &path, instances, 1)?);
            section.add("again", peer.name(), get(&server, &path, instances, AGAIN)?);
        }
    }
    Ok(section)
}

fn get(server: &Server, path: &str, instances: u64, times: u32) -> Result<Figures> {
    let mut web = server.web()?;
    pages::warm(256 << 20);
    let cpu_before = server.process.cpu()?;
    let begin = Instant::now();
    let mut bytes = 0.0;
    for _ in 0..times {
        let body = web.get(path, "application/dicom+json")?;
        // Every instance has one SOP Instance UID, and no nested one in these data sets.
        let found = String::from_utf8_lossy(&body).matches("\"00080018\"").count();
        ensure!(u64::try_from(found)? == instances, "metadata of {found} instances came");
        bytes += f64::from(u32::try_from(body.len())?);
    }
    let elapsed = begin.elapsed();
    let memory = server.process.memory()?;
    Ok(Figures {
        p50_ms: Some(milliseconds(elapsed / times)),
        megabytes_per_second: Some(bytes / 1e6 / elapsed.as_secs_f64()),
        cpu_ms: Some(milliseconds(server.process.cpu()?.saturating_sub(cpu_before) / times)),
        resident: Some(memory.resident),
        peak: Some(memory.peak),
        matches: Some(instances),
        ..Figures::default()
    })
}
