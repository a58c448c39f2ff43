//! Transcoding between native frames and RLE, JPEG-LS and JPEG 2000, beside DCMTK and GDCM.

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use model::part10::{self, Split};
use model::scan::scan;
use model::syntax::form;
use model::{SopClassUid, SopInstanceUid, TransferSyntaxUid};
use pixels::{Object, transcode};

use crate::bench::Bench;
use crate::figures::Figures;
use crate::peers::Place;
use crate::report::{GANTRY, Section};
use crate::synthetic::{EXPLICIT_VR_LITTLE_ENDIAN, Template};

pub(crate) const TITLE: &str = "Transcoding frames of 512 × 512, 16 bits";

const TEXT: &str = "One multi-frame object, read from a file on tmpfs and written to another, by one thread. Gantry's crate is called from \
                    this program; the others are whole programs, GDCM's start not counted. All decode what Gantry encoded.";

/// The row of DCMTK's programs.
const DCMTK: &str = "DCMTK";
/// The row of GDCM.
const GDCM: &str = "GDCM";
/// Pixels of a frame.
const FRAME_MEGABYTES: f64 = 0.524_288;

/// A way of compressing, with the programs of DCMTK for it.
struct Compression {
    name: &'static str,
    uid: &'static str,
    dcmtk: Option<[&'static str; 2]>,
}

const COMPRESSIONS: [Compression; 3] = [
    Compression {
        name: "RLE",
        uid: "1.2.840.10008.1.2.5",
        dcmtk: Some(["/usr/bin/dcmcrle", "/usr/bin/dcmdrle"]),
    },
    Compression {
        name: "JPEG-LS",
        uid: "1.2.840.10008.1.2.4.80",
        dcmtk: Some(["/usr/bin/dcmcjpls", "/usr/bin/dcmdjpls"]),
    },
    Compression { name: "JPEG 2000", uid: "1.2.840.10008.1.2.4.90", dcmtk: None },
];

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "/s", TEXT);
    let frames = u32::try_from(bench.options.amount(32, 4))?;
    let folder = Place::Memory.folder()?;
    let native = folder.path().join("native");
    let template = Template::frames(frames);
    fs::write(&native, [template.file_head(), template.data_set().to_vec()].concat())?;
    for round in bench.rounds() {
        for compression in &COMPRESSIONS {
            let compressed = folder.path().join(compression.name);
            ours(&native, &compressed, compression.uid)?;
            for (case, from, to, program) in [
                ("encode", &native, compression.uid, compression.dcmtk.map(|[encoder, _]| encoder)),
                (
                    "decode",
                    &compressed,
                    EXPLICIT_VR_LITTLE_ENDIAN,
                    compression.dcmtk.map(|[_, decoder]| decoder),
                ),
            ] {
                let case = format!("{case} {}", compression.name);
                let out = folder.path().join("out");
                let mut rows = [GANTRY, DCMTK, GDCM];
                rows.rotate_left(round % 3);
                for row in rows {
                    let took = match (row, program) {
                        (GANTRY, _) => ours(from, &out, to)?,
                        (DCMTK, Some(program)) => dcmtk(program, from, &out)?,
                        (GDCM, _) => gdcm(from, &out, to)?,
                        _ => continue,
                    };
                    section.add(&case, row, figures(frames, took));
                    fs::remove_file(&out)?;
                }
            }
        }
    }
    section.note("A figure per second is a frame of 0.5 MB; MB are those of the native frames.".to_owned());
    Ok(section)
}

fn figures(frames: u32, took: Duration) -> Figures {
    let per_second = f64::from(frames) / took.as_secs_f64();
    Figures {
        per_second: Some(per_second),
        megabytes_per_second: Some(per_second * FRAME_MEGABYTES),
        ..Figures::default()
    }
}

/// How long the crate takes.
fn ours(from: &Path, to: &Path, syntax: &str) -> Result<Duration> {
    let start = Instant::now();
    let file = fs::read(from)?;
    let Split::Part10(meta) = part10::split(&file, true) else { return Err(anyhow!("no DICOM file")) };
    let stored = meta.transfer_syntax.as_str();
    let data_set = file.get(meta.data_offset..).context("a data set")?;
    let header = scan(form(stored), data_set)?;
    let (data_offset, length) = (u64::try_from(meta.data_offset)?, u64::try_from(file.len())?);
    let object =
        Object { bytes: &file.as_slice(), data_offset, length, transfer_syntax: stored, header: &header };
    let syntax = TransferSyntaxUid::lenient(syntax).context("a transfer syntax")?;
    let class = meta.sop_class.clone().or_else(|| SopClassUid::lenient("2.25.1")).context("a class")?;
    let instance = meta.sop_instance.clone().or_else(|| SopInstanceUid::lenient("2.25.1"));
    let mut out = BufWriter::new(File::create(to)?);
    out.write_all(&part10::write((&class, &instance.context("an instance")?), &syntax, None))?;
    transcode(&object, &syntax, &mut out, &|| true)?;
    out.flush()?;
    Ok(start.elapsed())
}

/// How long a program of DCMTK takes, its start included.
fn dcmtk(program: &str, from: &Path, to: &Path) -> Result<Duration> {
    let start = Instant::now();
    let output = Command::new(program).arg(from).arg(to).output()?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(start.elapsed())
}

/// How long GDCM takes.
fn gdcm(from: &Path, to: &Path, syntax: &str) -> Result<Duration> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = env::var_os("GANTRY_PEERS").map_or_else(|| root.join(".peers"), PathBuf::from);
    let mut command = Command::new(peers.join("venv/bin/python"));
    let output =
        command.arg(root.join("tests/bench/gdcm_transcode.py")).arg(from).arg(to).arg(syntax).output()?;
    ensure!(output.status.success(), "GDCM: {}", String::from_utf8_lossy(&output.stderr));
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Duration::from_secs_f64(seconds))
}
