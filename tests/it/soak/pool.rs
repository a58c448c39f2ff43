//! What is stored: a finite number of objects, so that the disk a soak needs does not depend on its length.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use model::part10::{self, Split};
use model::{scan, syntax};
use pixels::{Object as Stored, transcode};

use super::Random;
use crate::harness::{Server, corpus, files_below};
use crate::scu::element;
use crate::synthetic::{CT, DEFLATED, EXPLICIT, Object, part10, places, precincts};

/// Studies that are there from the start, and do not change.
pub(super) const STUDIES: u32 = 8;
pub(super) const SERIES: u32 = 2;
pub(super) const INSTANCES: u32 = 3;
/// An instance of some MiB, for those who read slowly.
pub(super) const LARGE: &str = "/dicom-web/studies/2.25.900/series/2.25.900.1/instances/2.25.900.1.1";
/// An instance whose data set is a thousandth of what it inflates to.
pub(super) const BOMB: &str = "/dicom-web/studies/2.25.901/series/2.25.901.1/instances/2.25.901.1.1";
/// The study of objects whose pixels are not what they say.
pub(super) const LIARS: u32 = 902;
/// The study that an upstream archive has and that is never fetched.
pub(super) const FAR: u32 = 950;
/// Studies from here on are there, too, until they are retrieved for the first time.
const FETCHED: u32 = 2_000;
/// So many instances are in each of them.
pub(super) const FAR_INSTANCES: u32 = 2;
/// The numbers of the studies of the archive that gives all with damage begin so, and have two digits more.
pub(super) const ODD: u32 = 960;
pub(super) const ODD_STUDIES: usize = 10;
const INFLATED_BYTES: usize = 32 << 20;
/// Larger public files are not damaged and sent.
const DAMAGED_BYTES: u64 = 48 << 10;

pub(super) struct Pool {
    /// Files that others are made of by damage.
    sources: Vec<Vec<u8>>,
    /// Each source is damaged in so many ways.
    ways: usize,
    /// Objects beyond the fixed ones that may come.
    more: usize,
    /// Files of objects whose pixels are not what they say.
    liars: Vec<Vec<u8>>,
    bomb: Vec<u8>,
    turn: AtomicU32,
}

impl Pool {
    pub(super) fn new(length: Duration) -> Self {
        let folder = corpus().map(|corpus| vec![corpus.join("files"), corpus.join("malformed")]);
        let testdata = format!("{}/testdata", env!("CARGO_MANIFEST_DIR"));
        let folders = folder.unwrap_or_else(|| vec![testdata.into()]);
        let paths = folders.iter().flat_map(|folder| files_below(folder));
        let is_small = |path: &std::path::PathBuf| fs::metadata(path).unwrap().len() < DAMAGED_BYTES;
        let sources: Vec<_> = paths.filter(is_small).map(|path| fs::read(path).unwrap()).collect();
        let sources: Vec<_> = sources.into_iter().filter(|file| file.len() > 200).collect();
        assert!(!sources.is_empty());
        let minutes = length.as_secs() as usize / 60;
        Self {
            sources,
            ways: 1 + minutes.min(3),
            more: 100 + 100 * minutes.min(9),
            liars: liars(),
            bomb: bomb(),
            turn: AtomicU32::new(0),
        }
    }

    /// Stores what must be there.
    pub(super) fn store_in(&self, server: &Server) {
        let fixed = (1..=STUDIES).flat_map(|study| (1..=SERIES).map(move |series| (study, series)));
        for (study, series) in fixed {
            let files: Vec<_> = (1..=INSTANCES).map(|n| object(study, series, n).file()).collect();
            store(server, &files);
        }
        store(server, &[Object { pixel_bytes: 4 << 20, ..Object::new(900, 1, 1) }.file()]);
        store(server, std::slice::from_ref(&self.bomb));
        store(server, &self.liars);
    }

    /// Stores what other archives have: a study of ours, and those that are not.
    pub(super) fn store_elsewhere(&self, far: &Server, moved: &Server) {
        let ours = (1..=SERIES).flat_map(|series| (1..=INSTANCES).map(move |n| object(1, series, n)));
        let of = |study| (1..=FAR_INSTANCES).map(move |n| object(study, 1, n));
        store_all(far, ours.chain(self.studies_of(0).chain([FAR]).flat_map(of)));
        store_all(moved, self.studies_of(1).flat_map(of));
    }

    /// One of them, which may have been fetched; of either archive in turn.
    pub(super) fn elsewhere(&self, random: &mut Random) -> Object {
        let studies: Vec<_> = self.studies_of(self.turn.fetch_add(1, Ordering::Relaxed) % 2).collect();
        object(*random.of(&studies), 1, 1 + random.below(FAR_INSTANCES as usize) as u32)
    }

    /// Those of the one or the other archive.
    fn studies_of(&self, archive: u32) -> impl Iterator<Item = u32> {
        (archive..self.more as u32 / 2).step_by(2).map(|n| FETCHED + n)
    }

    /// One of the objects that are there.
    pub(super) fn fixed(&self, random: &mut Random) -> Object {
        let n = |random: &mut Random, count: u32| 1 + random.below(count as usize) as u32;
        object(n(random, STUDIES), n(random, SERIES), n(random, INSTANCES))
    }

    /// One that may be new.
    pub(super) fn other(&self, random: &mut Random) -> Object {
        let n = random.below(self.more) as u32;
        Object { pixel_bytes: 64 << (n % 8), ..Object::new(1_000 + n % 50, 1, n) }
    }

    /// A file with some damage.
    pub(super) fn damaged(&self, random: &mut Random) -> Vec<u8> {
        let (source, way) = (random.below(self.sources.len()), random.below(self.ways));
        let mut bytes = self.sources[source].clone();
        Random::new((source * 64 + way) as u64).damage(&mut bytes);
        bytes
    }

    pub(super) fn liar(&self, random: &mut Random) -> String {
        let n = random.below(self.liars.len());
        format!("/dicom-web/studies/2.25.{LIARS}/series/2.25.{LIARS}.1/instances/2.25.{LIARS}.1.{n}")
    }

    /// The data set of the bomb, as it is stored.
    pub(super) fn bomb(&self) -> &[u8] {
        crate::synthetic::data_set_of(&self.bomb)
    }
}

pub(super) fn object(study: u32, series: u32, n: u32) -> Object {
    let pixel_bytes = [2048, 8192, 65_536][(n % 3) as usize];
    Object { pixel_bytes, ..Object::new(study, series, n) }
}

fn store_all(server: &Server, objects: impl Iterator<Item = Object>) {
    let files: Vec<_> = objects.map(|object| object.file()).collect();
    files.chunks(50).for_each(|files| store(server, files));
}

fn store(server: &Server, files: &[Vec<u8>]) {
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let answer = server.stow("/dicom-web/studies", &files);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// A CT whose pixels are zeros without end, deflated.
fn bomb() -> Vec<u8> {
    let object = Object::new(901, 1, 1);
    let data = object.data_set();
    let pixels = places(&data).pop().unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&data[..pixels.start]).unwrap();
    deflate.write_all(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0]).unwrap();
    deflate.write_all(&(INFLATED_BYTES as u32).to_le_bytes()).unwrap();
    deflate.write_all(&vec![0; INFLATED_BYTES]).unwrap();
    let mut deflated = deflate.finish().unwrap();
    deflated.resize(deflated.len().next_multiple_of(2), 0);
    part10(CT, &object.instance, DEFLATED, &deflated)
}

/// Compressed objects with other dimensions than they have, with damaged frames, and of far too many parts.
fn liars() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for syntax in COMPRESSED {
        for (what, value) in
            [(0x10_u8, 65_535_u16), (0x11, 65_535), (0x10, 1), (0x02, 3), (0x00, 8), (0xFF, 0)]
        {
            let instance = format!("2.25.{LIARS}.1.{}", files.len());
            let mut object = Object::new(LIARS, 1, 1);
            object.instance = instance.clone();
            let mut data = compressed(&object.data_set(), syntax);
            match what {
                // The frame, in its middle.
                0xFF => {
                    let at = data.len() - 60;
                    data[at..at + 8].copy_from_slice(&[0xFF; 8]);
                }
                0x00 => put(&mut data, 0x0100, value),
                number => put(&mut data, number.into(), value),
            }
            files.push(part10(CT, &instance, syntax, &data));
        }
    }
    for syntax in COMPRESSED.iter().rev().take(2) {
        let instance = format!("2.25.{LIARS}.1.{}", files.len());
        let object = Object { instance: instance.clone(), ..Object::new(LIARS, 1, 1) };
        files.push(part10(CT, &instance, syntax, &precincts(&object, 8192)));
    }
    files
}

/// Puts a US of group 0028 in place of what stands there.
fn put(data: &mut [u8], number: u16, value: u16) {
    let head = [&[0x28, 0][..], &number.to_le_bytes(), b"US\x02\0"].concat();
    let at = data.windows(8).position(|window| window == head).unwrap();
    data[at + 8..at + 10].copy_from_slice(&value.to_le_bytes());
}

fn compressed(data: &[u8], to: &str) -> Vec<u8> {
    converted(data, EXPLICIT, to).unwrap()
}

/// The file in Explicit VR Little Endian: its data set.
pub(super) fn native(file: &[u8]) -> Vec<u8> {
    let Split::Part10(meta) = part10::split(file, true) else { panic!("no file") };
    converted(&file[meta.data_offset..], meta.transfer_syntax.as_str(), EXPLICIT).unwrap()
}

fn converted(data: &[u8], from: &str, to: &str) -> Result<Vec<u8>, pixels::Error> {
    let header = scan::scan(syntax::form(from), data).unwrap();
    let length = data.len() as u64;
    let object = Stored { bytes: &data, data_offset: 0, length, transfer_syntax: from, header: &header };
    let mut out = std::io::Cursor::new(Vec::new());
    transcode(&object, &model::TransferSyntaxUid::lenient(to).unwrap(), &mut out, &|| true)?;
    Ok(out.into_inner())
}

/// The identifier of a query or retrieve, its elements in the order of their tags.
pub(super) fn identifier(level: &str, keys: &[(u16, u16, &str, &str)]) -> Vec<u8> {
    let mut keys: Vec<_> = [&[(0x0008, 0x0052, "CS", level)], keys].concat();
    keys.sort_unstable();
    keys.iter().flat_map(|(group, number, vr, value)| element(*group, *number, vr, value)).collect()
}

const COMPRESSED: [&str; 5] = [
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
];
