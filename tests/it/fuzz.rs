//! The decoders of pixels, each over what it is made for with some bytes changed: public files, and an object of our own. No panic, no
//! hang, and no more memory than a frame may take.
//!
//! `GANTRY_FUZZ_SECONDS` is for each transfer syntax; `make fuzz` has the targets of all that reads a peer's bytes.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use model::part10::{self, Split};
use model::syntax::{self, EXPLICIT_VR_LITTLE_ENDIAN};
use model::{TransferSyntaxUid, limits, scan};
use pixels::{Ability, Object, abilities, fuzz_transcode, transcode};
use rustix::time::{ClockId, clock_gettime};

use crate::harness::{corpus, files_below, find, say};
use crate::senders::{setting, xorshift};
use crate::synthetic;

/// Larger files would be read more than decoded; where there is no smaller one they are taken.
const FILE_BYTES: usize = 200 << 10;
/// Of a processor, for one object that is decoded and encoded.
const LONGEST: Duration = Duration::from_secs(20);
/// 16 bytes for each sample of the largest frame, and what else there is.
const MOST_KIB: u64 = (limits::FRAME_SAMPLES as u64 * 16 + (256 << 20)) >> 10;

#[test]
fn every_decoder_bears_what_is_damaged() {
    let length = Duration::from_secs(setting("GANTRY_FUZZ_SECONDS", 1).into());
    let public = public();
    let mut said = String::new();
    for (number, ability) in abilities().iter().enumerate() {
        let mut objects = public.get(ability.uid).cloned().unwrap_or_default();
        let count = objects.len();
        objects.extend(own(ability));
        if ability.decoder == Some("openjp2") {
            objects.push(synthetic::precincts(&synthetic::Object::new(1, 1, 1), 2048));
        }
        if objects.is_empty() {
            // What the same decoder is for under another name.
            let akin = abilities().iter().filter(|other| other.decoder == ability.decoder);
            objects.extend(akin.filter_map(|akin| public.get(akin.uid)).flatten().cloned());
        }
        if objects.is_empty() {
            said += &format!("\n  {}: nothing to damage", ability.uid);
            continue;
        }
        let (rounds, slowest) = damage(number, &objects, length);
        said +=
            &format!("\n  {}: {rounds} rounds over {count} public files, {slowest:?} at most", ability.uid);
    }
    let most = peak_kib();
    say(&format!("decoders: {} MiB of memory at most{said}", most >> 10));
    assert!(most < MOST_KIB, "{most} KiB of memory");
}

/// Rounds, and the longest of them.
fn damage(from: usize, objects: &[Vec<u8>], length: Duration) -> (u64, Duration) {
    let mut state = 0x2545_F491_4F6C_DD1D ^ from as u64;
    let mut next = |end: usize| (xorshift(&mut state) % end.max(1) as u64) as usize;
    let started = Instant::now();
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while started.elapsed() < length {
        let data_set = &objects[next(objects.len())];
        let mut data = [&[from as u8, next(abilities().len()) as u8], data_set.as_slice()].concat();
        // Where compressed pixels begin stands what most depends on.
        let pixels = find(&data, b"\xE0\x7F\x10\0").unwrap_or(2);
        for _ in 0..next(6) {
            let at = if next(2) == 0 { pixels + next(600) } else { 2 + next(data.len()) };
            if let Some(byte) = data.get_mut(at) {
                *byte = next(256) as u8;
            }
        }
        if next(8) == 0 {
            data.truncate(2 + next(data.len()));
        }
        let begun = spent();
        fuzz_transcode(&data);
        slowest = slowest.max(spent() - begun);
        assert!(slowest < LONGEST, "{} took {slowest:?}", abilities()[from].uid);
        rounds += 1;
    }
    (rounds, slowest)
}

/// The data sets of public files by transfer syntax.
fn public() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut found = BTreeMap::<String, Vec<Vec<u8>>>::new();
    let folders = ["files", "generated"];
    let paths =
        corpus().into_iter().flat_map(|corpus| folders.map(|folder| files_below(&corpus.join(folder))));
    for file in paths.flatten().map(|path| fs::read(path).unwrap()) {
        if let Split::Part10(meta) = part10::split(&file, true) {
            let syntax = meta.transfer_syntax.as_str().to_owned();
            found.entry(syntax).or_default().push(file[meta.data_offset..].to_vec());
        }
    }
    for files in found.values_mut() {
        let is_any_small = files.iter().any(|file| file.len() < FILE_BYTES);
        files.retain(|file| file.len() < FILE_BYTES || !is_any_small);
    }
    found
}

/// A data set of our own, where we encode.
fn own(ability: &Ability) -> Option<Vec<u8>> {
    ability.encoder?;
    let data = synthetic::Object::new(1, 1, 1).data_set();
    let header = scan::scan(syntax::form(EXPLICIT_VR_LITTLE_ENDIAN), &data).unwrap();
    let object = Object {
        bytes: &data.as_slice(),
        data_offset: 0,
        length: data.len() as u64,
        transfer_syntax: EXPLICIT_VR_LITTLE_ENDIAN,
        header: &header,
    };
    let mut out = std::io::Cursor::new(Vec::new());
    transcode(&object, &TransferSyntaxUid::lenient(ability.uid).unwrap(), &mut out, &|| true).unwrap();
    Some(out.into_inner())
}

/// The time of a processor that this thread has had: others may want it as well.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
