//! Real and damaged files, where a corpus lies beside the project: what is read of each, and that nothing panics.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test fails by panic and says what it read")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use model::commitment::fuzz_commitment;
use model::part10::{self, Split, fuzz_part10};
use model::scan::{fuzz_scan, scan};
use model::syntax::{self, Encoding, Form};

/// `file, tab, verdict`: every damaged file, and of the others those that are not wholly taken.
const VERDICTS: &str = include_str!("verdicts.tsv");

const FILES: usize = 440;
const DAMAGED_FILES: usize = 113;

#[test]
fn every_file_is_read_as_far_as_it_can_be() {
    let Some(files) = corpus() else { return };
    let expected: BTreeMap<_, _> = VERDICTS.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut found = BTreeMap::new();
    let mut wholly_taken = 0;
    for (name, file) in &files {
        let verdict = verdict(file);
        if verdict == "taken" && !name.starts_with("malformed/") {
            wholly_taken += 1;
        } else {
            found.insert(name.as_str(), verdict);
        }
    }
    println!("{} files, {wholly_taken} of {FILES} wholly taken", files.len());
    let table: String = found.iter().map(|(name, verdict)| format!("{name}\t{verdict}\n")).collect();
    let is_same = found.len() == expected.len()
        && found.iter().all(|(name, verdict)| expected.get(name) == Some(&verdict.as_str()));
    assert!(is_same, "the verdicts are now:\n{table}");
}

#[test]
fn the_fuzz_functions_take_every_file() {
    let Some(files) = corpus() else { return };
    for (index, file) in files.values().enumerate() {
        fuzz_part10(file);
        let (form, data_set) = data_set(file).unwrap_or((part10::guess_form(file), file));
        let encoding = match form.encoding {
            Encoding::ImplicitLittle => 0,
            Encoding::ExplicitLittle => 1,
            Encoding::ExplicitBig => 2,
        };
        let form = if form.deflated { encoding + 4 } else { encoding };
        let chunk = u8::try_from(index % 256).unwrap();
        fuzz_scan(&[&[form, chunk], data_set].concat());
        fuzz_commitment(&[&[form], data_set].concat());
    }
}

fn verdict(file: &[u8]) -> String {
    let (form, data_set) = match data_set(file) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    match scan(form, data_set) {
        Ok(header) if header.omitted() == 0 => "taken".to_owned(),
        Ok(header) => format!("taken, {} left out", header.omitted()),
        Err(error) => error.to_string(),
    }
}

/// A file that is no DICOM file is read as a data set.
fn data_set(file: &[u8]) -> Result<(Form, &[u8]), String> {
    match part10::split(file, true) {
        Split::Part10(meta) => Ok((syntax::form(meta.transfer_syntax.as_str()), &file[meta.data_offset..])),
        Split::Bare => Ok((part10::guess_form(file), file)),
        Split::Unreadable(error) => Err(error.to_string()),
        Split::NeedMore => panic!("the file is complete"),
    }
}

/// The files of the corpus by name; `None`, and a line that says so, where there is no corpus: then the tests beside the code, which
/// make their own data sets, are all there is.
fn corpus() -> Option<BTreeMap<String, Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let (Ok(manifest), Ok(damaged)) =
        (fs::read_to_string(root.join("MANIFEST.csv")), fs::read_dir(root.join("malformed")))
    else {
        println!("no corpus beside the project: nothing is read");
        return None;
    };
    let listed = manifest.lines().skip(1).filter_map(|row| row.split(',').next()).map(PathBuf::from);
    let damaged = damaged.map(|entry| Path::new("malformed").join(entry.unwrap().file_name()));
    let damaged = damaged.filter(|path| path.extension().is_some_and(|extension| extension == "dcm"));
    let read = |path: PathBuf| (path.to_str().unwrap().to_owned(), fs::read(root.join(&path)).unwrap());
    let files: BTreeMap<_, _> = listed.chain(damaged).map(read).collect();
    assert_eq!(files.len(), FILES + DAMAGED_FILES);
    Some(files)
}
