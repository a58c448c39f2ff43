//! The files of the rules: found, read, and checked together.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{DestinationName, limits};
use rules::{RuleSet, Severity, Source, TestReport};

use super::fault::{Finder, Found, Remark};
use super::keys::Section;
use super::walk::{Document, Named};

/// What reading the rules has led to.
#[derive(Default)]
pub(super) struct Loaded {
    /// `None` where there are none, or an error stands in the way.
    pub(super) rules: Option<RuleSet>,
    pub(super) faults: Vec<Remark>,
    pub(super) warnings: Vec<Remark>,
    pub(super) tests: Vec<TestReport>,
    /// Destinations that no rule sends to.
    unused: Vec<DestinationName>,
}

/// Reads the files that the patterns of `[rules]` name, and checks their rules against the destinations of the document.
///
/// The name of a source is its path relative to `folder`, the configuration's, so that rules are the same from wherever the server
/// was started.
pub(super) fn load(document: &Document, folder: &Path, finder: &mut Finder<'_>) -> Loaded {
    let values = document.table(Section::Rules);
    let Some(patterns) = values.get::<Vec<String>>("files") else { return Loaded::default() };
    let first = document.destinations.iter().min_by_key(|named| named.at.start);
    if let (true, Some(first)) = (patterns.is_empty(), first) {
        let help = "name the files with the rules: files = [\"rules/*.toml\"] in [rules]".to_owned();
        finder.warn(&first.at, "there are no rules, so nothing goes to any destination", help);
    }
    let Some(at) = values.place("files") else { return Loaded::default() };
    let mut loaded = Loaded::default();
    let mut names = Vec::new();
    for pattern in &patterns {
        names.extend(expand(pattern, folder, &at, finder, &mut loaded.faults));
    }
    names.sort_unstable();
    names.dedup();
    if names.len() > limits::RULE_FILES {
        finder.add(&at, format!("`files` names more than {} files", limits::RULE_FILES), None);
        return Loaded::default();
    }
    let mut sources = Vec::new();
    for name in names {
        let path = folder.join(&name);
        match read(&path) {
            Ok(text) => sources.push(Source { name, text }),
            Err(reason) => loaded.faults.push(Remark::whole(&path.display().to_string(), reason, None)),
        }
    }
    if loaded.faults.is_empty() && !sources.is_empty() {
        // All that have a name, so that a fault in a destination is none of the rules that send there.
        let names: Vec<DestinationName> =
            document.destinations.iter().map(|named| DestinationName::new(&named.name)).collect();
        check(&sources, folder, &names, &mut loaded);
        warn_of_unused(document, &loaded.unused, finder);
    }
    loaded
}

fn check(sources: &[Source], folder: &Path, destinations: &[DestinationName], loaded: &mut Loaded) {
    let checked = rules::load(sources, Some(destinations));
    let shown = |name: &str| folder.join(name).display().to_string();
    for finding in checked.findings {
        let file = shown(&finding.file);
        let remarks = match finding.severity {
            Severity::Error => &mut loaded.faults,
            Severity::Warning => &mut loaded.warnings,
        };
        remarks.push(Remark::of_rules(finding, file));
    }
    loaded.unused = checked.unused;
    loaded.rules = checked.rules.filter(|_| loaded.faults.is_empty());
    loaded.tests =
        checked.tests.into_iter().map(|test| TestReport { file: shown(&test.file), ..test }).collect();
}

fn warn_of_unused(document: &Document, unused: &[DestinationName], finder: &mut Finder<'_>) {
    let is_unused = |named: &&Named| unused.iter().any(|name| name.as_str() == named.name);
    for named in document.destinations.iter().filter(is_unused) {
        let help = format!("name it in the `send` of a rule, or remove [destination.{}]", named.name);
        finder.warn(&named.at, format!("no rule sends to the destination {:?}", named.name), help);
    }
}

/// The files of one pattern, as paths relative to `folder` unless the pattern is absolute. Folders are none of them; whatever else fits
/// and is no file that can be read is a fault.
fn expand(
    pattern: &str,
    folder: &Path,
    at: &Range<usize>,
    finder: &mut Finder<'_>,
    faults: &mut Vec<Remark>,
) -> Vec<String> {
    let (parent, name) = match pattern.rsplit_once('/') {
        Some((parent, name)) => (format!("{parent}/"), name),
        None => (String::new(), pattern),
    };
    let place = folder.join(&parent);
    let place = if place.as_os_str().is_empty() { PathBuf::from(".") } else { place };
    let listed = fs::read_dir(&place).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let message =
                format!("no file is {pattern:?}: the folder {} cannot be read: {error}", place.display());
            finder.add(at, message, None);
            return Vec::new();
        }
    };
    let (mut found, mut has_faulty) = (Vec::new(), false);
    for entry in listed.iter().filter(|entry| is_match(name, &entry.file_name().to_string_lossy())) {
        match rule_file(&entry.path()) {
            Ok(Some(file)) => found.push(format!("{parent}{file}")),
            Ok(None) => {}
            Err(reason) => {
                has_faulty = true;
                let path = folder.join(&parent).join(entry.file_name());
                let fault = Remark::whole(&path.display().to_string(), reason, None);
                // Several patterns may lead to it.
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
    if found.is_empty() && !has_faulty {
        let help = "no file would mean no rules: take the pattern out if that is meant".to_owned();
        finder.add(at, format!("no file is {pattern:?} in {}", place.display()), help);
    }
    found
}

/// The name of a file, links followed; `None` for a folder, otherwise why its rules cannot be had.
fn rule_file(path: &Path) -> Result<Option<String>, String> {
    let kind = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.file_type();
    if kind.is_dir() {
        return Ok(None);
    }
    if !kind.is_file() {
        return Err("is no file".to_owned());
    }
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err("has a name that is not UTF-8".to_owned()),
    }
}

/// Whether a name fits a pattern in which `*` is any characters and `?` any one. Hidden names fit only what begins with a dot.
fn is_match(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Which beginnings of the pattern fit what has been read of the name.
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    let skip_stars = |fits: &mut [bool]| {
        for (at, _) in pattern.iter().enumerate().filter(|(_, c)| **c == '*') {
            fits[at + 1] |= fits[at];
        }
    };
    skip_stars(&mut fits);
    for read in name {
        let mut next = vec![false; fits.len()];
        for (at, wanted) in pattern.iter().enumerate().filter(|(at, _)| fits[*at]) {
            next[if *wanted == '*' { at } else { at + 1 }] |= matches!(*wanted, '*' | '?') || *wanted == read;
        }
        fits = next;
        skip_stars(&mut fits);
    }
    fits.last() == Some(&true)
}

/// The text of a rule file.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let most = limits::RULE_FILE_BYTES;
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > most {
        return Err(format!("is longer than {most} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| super::not_utf8(&error))
}

impl Loaded {
    /// Puts what was found behind what the configuration file itself has.
    pub(super) fn append_to(&mut self, found: &mut Found) {
        found.faults.append(&mut self.faults);
        found.warnings.append(&mut self.warnings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", false),
            ("*.toml", ".#a.toml", false),
            (".*", ".a", true),
            ("*.toml", "a.toml~", false),
            ("*.toml", "a.b.toml", true),
            ("?.toml", "é.toml", true),
            ("?.toml", "ab.toml", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**", "abc", true),
            ("er.toml", "er.toml", true),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!is_match(&"*a".repeat(100), &"a".repeat(99)));
        assert!(is_match(&"*a".repeat(100), &"a".repeat(255)));
    }
}
