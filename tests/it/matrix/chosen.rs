//! Which public files are stored: those that are sound, and those that become so by UIDs made up here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use model::{Tag, Vr, element, scan, sop, syntax};

use crate::corpus::{Row, manifest, reason_against, split};
use crate::corpus_retrieved::{Files, is_uid, padded};

pub(super) struct Chosen {
    pub(super) files: Files,
    /// The SOP Instance UIDs of those that were given UIDs.
    pub(super) completed: BTreeSet<String>,
    /// How many are left out, by reason.
    pub(super) left_out: BTreeMap<&'static str, usize>,
}

impl Chosen {
    /// Of several files with one SOP Instance UID, the first. Each transfer syntax and character set is among them.
    pub(super) fn of(corpus: &Path) -> Self {
        let mut chosen = Self { files: Files::new(), completed: BTreeSet::new(), left_out: BTreeMap::new() };
        let mut known = BTreeSet::new();
        for (number, row) in (1..).zip(manifest(&corpus.join("MANIFEST.csv"))) {
            known.extend(kinds(&row));
            let original = fs::read(corpus.join(&row.path)).unwrap();
            let (row, file) = complete(number, row, original.clone());
            let taken = against(&row, &file).map_or(Ok((row, file)), Err);
            match taken {
                Ok((row, _)) if chosen.files.contains_key(&row.sop_instance) => chosen.leave(SHARED),
                Ok((row, file)) => {
                    if file != original {
                        chosen.completed.insert(row.sop_instance.clone());
                    }
                    chosen.files.insert(row.sop_instance.clone(), (row, file));
                }
                Err(reason) => chosen.leave(reason),
            }
        }
        let stored = chosen.files.values().flat_map(|(row, _)| kinds(row)).collect();
        let lost: Vec<_> = known.difference(&stored).collect();
        assert!(lost.is_empty(), "no file of {lost:?} is stored");
        chosen
    }

    fn leave(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Where each lies: as it is, or its copy where UIDs were added.
    pub(super) fn paths(&self, corpus: &Path, copies: &[PathBuf]) -> Vec<PathBuf> {
        let files = self.files.iter().zip(copies);
        let path = |uid, row: &Row, copy: &PathBuf| {
            if self.completed.contains(uid) { copy.clone() } else { corpus.join(&row.path) }
        };
        files.map(|((uid, (row, _)), copy)| path(uid, row, copy)).collect()
    }
}

const SHARED: &str = "have a SOP Instance UID that an earlier one has";

/// Why a file with all its UIDs cannot be stored by every client.
fn against(row: &Row, file: &[u8]) -> Option<&'static str> {
    if row.transfer_syntax.is_empty() || row.sop_class.is_empty() {
        return Some("state no transfer syntax or no SOP class");
    }
    if !sop::is_storage(&row.sop_class) {
        return Some("belong to no study: directories of media, palettes and a hanging protocol");
    }
    if reason_against(row, file).is_some() {
        return Some("are damaged");
    }
    // pynetdicom aborts where it is told of a UID that is none.
    let is_told = is_uid(&row.sop_instance) && is_uid(&row.sop_class);
    (!is_told).then_some("have a UID that is none")
}

/// Its transfer syntax, where it states one, and its character set, which is that of the standard where it states none.
fn kinds(row: &Row) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let syntax = Some(row.transfer_syntax.clone()).filter(|syntax| !syntax.is_empty());
    syntax
        .map(|syntax| ("transfer syntax", syntax))
        .into_iter()
        .chain([("character set", row.charset.clone())])
}

/// The file with the UIDs that it lacks; nothing else of it changes.
fn complete(number: usize, mut row: Row, mut file: Vec<u8>) -> (Row, Vec<u8>) {
    if ![&row.study, &row.series, &row.sop_instance].iter().any(|uid| uid.is_empty()) {
        return (row, file);
    }
    let made = |kind: usize| format!("2.25.77.{number}.{kind}");
    let study = (Tag(0x0020, 0x000D), &mut row.study, made(1));
    let series = (Tag(0x0020, 0x000E), &mut row.series, made(2));
    let instance = (Tag(0x0008, 0x0018), &mut row.sop_instance, made(3));
    for (tag, uid, made) in [study, series, instance] {
        uid.clear();
        uid.push_str(&with_uid(&mut file, tag, &made).unwrap_or_default());
    }
    if sop::is_storage(&row.sop_class) {
        with_uid(&mut file, Tag(0x0008, 0x0016), &row.sop_class);
    }
    (row, file)
}

/// The UID that a file has of this tag: it is given this one where it has none. `None` where it cannot be read.
fn with_uid(file: &mut Vec<u8>, tag: Tag, made: &str) -> Option<String> {
    let (syntax, _) = split(file)?;
    let data_set = padded(file);
    let form = syntax::form(&syntax);
    let header = scan::scan(form, &data_set).ok().filter(|_| !form.deflated)?;
    if let Some(uid) = header.text(tag) {
        return Some(uid);
    }
    let start = file.len() - split(file)?.1.len();
    let next = header.elements().find(|element| element.tag >= tag)?;
    let begin = start + usize::try_from(next.start()).unwrap();
    // One without a value gives way.
    let end = if next.tag == tag { start + usize::try_from(next.offset).unwrap() } else { begin };
    let mut bytes = Vec::new();
    element::put(&mut bytes, form.encoding, tag, Vr::UI, made.as_bytes());
    file.splice(begin..end, bytes);
    Some(made.to_owned())
}
