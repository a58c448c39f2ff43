//! Memory: idle, and while one object of 600 MB comes and goes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::ingest::warm_up;
use crate::association::Association;
use crate::bench::Bench;
use crate::figures::{Figures, milliseconds};
use crate::pages;
use crate::peers::{Peer, Place, Server};
use crate::report::Section;
use crate::synthetic::{Field, Subject, Template, uid};

pub(crate) const TITLE: &str = "Memory, one object of 600 MB";

const TEXT: &str = "On tmpfs. Idle is read one second after the start. Growth is the highest resident size (VmHWM, reset before) \
                    during the transfer above the resident size before it; 20 CT were stored before the first.";

const BOUNDARY: &str = "gantry-bench-boundary";

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "peak MiB", TEXT);
    let (mut huge, ct) = (Template::huge(), Template::ct());
    for round in bench.rounds() {
        for peer in bench.turns(&[Peer::Gantry, Peer::Orthanc, Peer::StoreScp], round) {
            let server = peer.start(Place::Memory)?;
            thread::sleep(Duration::from_secs(1));
            let idle = server.process.memory()?;
            let idle = Figures { resident: Some(idle.resident), peak: Some(idle.peak), ..Figures::default() };
            section.add("idle", peer.name(), idle);
            warm_up(&server, &ct)?;
            // Processes that served the associations just released are to be gone.
            thread::sleep(Duration::from_secs(1));
            let (study, series) = name(&mut huge, 1);
            section.add("C-STORE", peer.name(), growth(&server, || store(&server, &huge))?);
            if peer == Peer::StoreScp {
                continue;
            }
            let sop_instance = huge.sop_instance().to_owned();
            let path = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop_instance}");
            section.add("WADO", peer.name(), growth(&server, || retrieve(&server, &huge, &path))?);
            name(&mut huge, 2);
            section.add("STOW", peer.name(), growth(&server, || stow(&server, &huge))?);
        }
    }
    Ok(section)
}

fn name(template: &mut Template, number: u64) -> (String, String) {
    let (study, series) = (uid(Subject::Study, 0, number), uid(Subject::Series, 0, number));
    template.set(Field::StudyInstanceUid, &study);
    template.set(Field::SeriesInstanceUid, &series);
    template.set(Field::SopInstanceUid, &uid(Subject::Instance, 0, number));
    (study, series)
}

/// What `transfer` costs; what it returns is kept open until memory is read, as closing it may end a process.
fn growth<T>(server: &Server, transfer: impl FnOnce() -> Result<T>) -> Result<Figures> {
    pages::warm(700 << 20);
    server.process.forget_peak()?;
    let before = server.process.memory()?;
    let cpu_before = server.process.cpu()?;
    let begin = Instant::now();
    let open = transfer()?;
    let elapsed = begin.elapsed();
    let after = server.process.memory()?;
    drop(open);
    Ok(Figures {
        p50_ms: Some(milliseconds(elapsed)),
        megabytes_per_second: Some(600.0 / elapsed.as_secs_f64()),
        cpu_ms: Some(milliseconds(server.process.cpu()?.saturating_sub(cpu_before))),
        resident: Some(after.resident),
        peak: Some(after.peak),
        growth: Some(after.peak.saturating_sub(before.resident)),
        ..Figures::default()
    })
}

fn store(server: &Server, template: &Template) -> Result<Association> {
    let mut association = server.associate()?;
    let status = association.store(template)?;
    ensure!(status == 0, "C-STORE was answered {status:04X}H");
    Ok(association)
}

fn stow(server: &Server, template: &Template) -> Result<()> {
    let head = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n");
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let file_head = template.file_head();
    let parts = [head.as_bytes(), &file_head, template.data_set(), tail.as_bytes()];
    let content_type = format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}");
    let answer = server.web()?.post("/dicom-web/studies", &content_type, &parts)?;
    ensure!(answer.status == 200, "STOW was answered {}", answer.status);
    Ok(())
}

fn retrieve(server: &Server, template: &Template, path: &str) -> Result<()> {
    let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    let answer = server.web()?.get_into(path, accept, &mut |_| {})?;
    let least = u64::try_from(template.data_set().len())?;
    ensure!(
        answer.status == 200 && answer.body_bytes > least,
        "WADO was answered {} with {} bytes",
        answer.status,
        answer.body_bytes
    );
    Ok(())
}
