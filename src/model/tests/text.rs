//! Real and damaged files through the text modules: nothing panics, and what is written holds. Where no corpus lies
//! beside the project, the project's own files.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use model::charset::fuzz_charset;
use model::json::fuzz_json;
use model::multipart::fuzz_multipart;
use model::part10::{self, Split};
use model::syntax::{self, Encoding};

#[test]
fn the_json_of_every_file_keeps_to_the_standard() {
    for file in files() {
        let (form, data_set) = match part10::split(&file, true) {
            Split::Part10(meta) => (syntax::form(meta.transfer_syntax.as_str()), &file[meta.data_offset..]),
            Split::Bare | Split::NeedMore | Split::Unreadable(_) => {
                (part10::guess_form(&file), file.as_slice())
            }
        };
        let encoding = match form.encoding {
            Encoding::ImplicitLittle => 0,
            Encoding::ExplicitLittle => 1,
            Encoding::ExplicitBig => 2,
        };
        fuzz_json(&[&[if form.deflated { encoding + 4 } else { encoding }], data_set].concat());
    }
}

#[test]
fn the_bytes_of_every_file_are_text_of_some_kind() {
    for (file, selector) in files().iter().zip((0..=u8::MAX).cycle()) {
        let sample = &file[..file.len().min(2 << 10)];
        for further in 0..12 {
            fuzz_charset(&[&[selector.wrapping_add(further)], sample].concat());
        }
    }
}

#[test]
fn every_file_travels_as_a_part() {
    for (file, selector) in files().iter().zip((0..=u8::MAX).rev().cycle()) {
        let sample = &file[..file.len().min(16 << 10)];
        let boundary: &[u8] = if selector % 2 == 0 { b"b" } else { b"--a b" };
        let head = [b"--", boundary, b"\r\nContent-Type: application/dicom\r\n\r\n"].concat();
        fuzz_multipart(
            &[&[selector], &*head, sample, b"\r\n", &*head, sample, b"\r\n--", boundary, b"--"].concat(),
        );
    }
}

fn files() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = root.join("../shared/corpus");
    let folder = if corpus.join("MANIFEST.csv").exists() {
        corpus
    } else {
        println!("no corpus beside the project: reading testdata");
        root.join("testdata")
    };
    let mut paths = Vec::new();
    walk(&folder, &mut paths);
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, paths);
        } else {
            paths.push(path);
        }
    }
}
