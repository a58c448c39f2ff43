//! What no compiler checks: sizes of files, direction of imports, purity, words, references to the standard.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates of the house each may import, in layers from the top; nothing else may be imported (ARCHITECTURE.md).
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "gantry",
        &[
            "archive",
            "dest",
            "dimse",
            "model",
            "net",
            "pipeline",
            "pixels",
            "rules",
            "telemetry",
            "ul",
            "web",
        ],
    ),
    ("dest", &["model", "net", "pipeline", "telemetry"]),
    ("net", &["dimse", "model", "pipeline", "telemetry", "ul"]),
    ("web", &["model", "pipeline", "telemetry"]),
    ("pipeline", &["archive", "model", "pixels", "rules", "telemetry"]),
    ("archive", &["model", "telemetry"]),
    ("pixels", &["model"]),
    ("dimse", &["model", "ul"]),
    ("ul", &["model"]),
    ("rules", &["model"]),
    ("telemetry", &["model"]),
    ("model", &[]),
];

/// Crates that take bytes and return values.
const PURE: &[&str] = &["model", "ul", "dimse", "rules"];

/// Crates that a pure one does not use.
const EFFECTS: &[&str] =
    &["axum", "hyper", "mio", "rusqlite", "rustix", "socket2", "tokio", "tokio-util", "tracing", "ureq"];

/// Names of the standard library that a pure crate does not use.
const EFFECT_NAMES: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::{",
    "Instant::",
    "time::Instant",
    "SystemTime",
];

/// The project speaks of itself, not of where it was made, and leaves nothing for later.
const FOREIGN_WORDS: &[&str] = &["/home/", "FIXME", "TODO"];

const MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's own files, by path from the root.
fn files(extensions: &[&str]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_other = name.starts_with('.') && name != ".ci";
            if path.is_dir() {
                if !is_other && !matches!(name, "target" | "gantry-data" | "corpus" | "artifacts") {
                    folders.push(path);
                }
            } else if extensions.iter().any(|extension| name.ends_with(extension)) {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Fails with everything that is wrong at once.
fn expect_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The names of a package's dependencies of every kind.
fn dependencies(package: &Value) -> Vec<&str> {
    package["dependencies"].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap()).collect()
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let too_long = files(&[".rs", ".sql", ".sh", ".py", ".md"]).into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        let limit = match path.file_name().and_then(|name| name.to_str()) {
            Some("ARCHITECTURE.md") => 250,
            Some("conformance.md") => usize::MAX, // generated: it is as long as its tables
            _ => MAX_LINES,
        };
        (lines > limit).then(|| format!("{}: {lines} lines, {limit} are allowed", path.display()))
    });
    expect_none(too_long.collect());
}

#[test]
fn crates_import_downwards_only() {
    let packages = packages();
    let known: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = known.get(name) else {
            faults.push(format!("{name} has no row in the table of imports"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let import = dependency["name"].as_str().unwrap();
            // A crate's tests may build what the crate itself only gets to see.
            let is_fine = match dependency["kind"].as_str() {
                Some("dev") => is_below(import, allowed, &known),
                _ => allowed.contains(&import),
            };
            if known.contains_key(import) && !is_fine {
                faults.push(format!("{name} may not import {import}"));
            }
        }
    }
    assert_eq!(packages.len(), IMPORTS.len(), "the table of imports names a crate that is gone");
    expect_none(faults);
}

fn is_below(import: &str, allowed: &[&str], known: &BTreeMap<&str, &[&str]>) -> bool {
    allowed
        .iter()
        .any(|lower| *lower == import || known.get(lower).is_some_and(|below| is_below(import, below, known)))
}

#[test]
fn pure_crates_have_no_effects() {
    let mut faults = Vec::new();
    for package in &packages() {
        let name = package["name"].as_str().unwrap();
        for import in dependencies(package).into_iter().filter(|_| PURE.contains(&name)) {
            if EFFECTS.contains(&import) {
                faults.push(format!("{name} is pure and may not use {import}"));
            }
        }
    }
    for (path, text) in files(&[".rs"]) {
        if !PURE.iter().any(|name| path.starts_with(Path::new("src").join(name))) || is_test(&path) {
            continue;
        }
        let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        for (number, line) in code.filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(name) = EFFECT_NAMES.iter().find(|name| line.contains(**name)) {
                faults.push(format!("{}:{}: a pure crate may not use {name}", path.display(), number + 1));
            }
        }
    }
    expect_none(faults);
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

#[test]
fn the_project_speaks_of_itself() {
    let mut faults = Vec::new();
    for (path, text) in
        files(&[".rs", ".sql", ".sh", ".py", ".md", ".toml", ".tsv", ".html", ".css", "Makefile", "run"])
    {
        if path.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = FOREIGN_WORDS.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: {word:?} does not belong here", path.display(), number + 1));
            }
        }
    }
    expect_none(faults);
}

/// Lint exceptions are `expect` with a reason, so that they go when they are no longer needed.
#[test]
fn lints_are_expected_and_never_allowed() {
    let mut faults = Vec::new();
    for (path, text) in files(&[".rs"]) {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_start()));
        for (number, _) in
            lines.filter(|(_, line)| line.starts_with("#[allow(") || line.starts_with("#![allow("))
        {
            faults.push(format!("{}:{number}: allow instead of expect", path.display()));
        }
    }
    expect_none(faults);
}

/// References to the standard are `PS3.7 §9.1.1`, `PS3.8 Table 9-10`, `PS3.7 Annex C`, or a part as a whole, so that tools find them.
#[test]
fn references_to_the_standard_have_one_form() {
    let mut faults = Vec::new();
    for (path, text) in files(&[".rs", ".sql", ".md", ".html"]) {
        if path.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(fault) = malformed_reference(line) {
                faults.push(format!("{}:{}: {fault}", path.display(), number + 1));
            }
        }
    }
    expect_none(faults);
}

fn malformed_reference(line: &str) -> Option<String> {
    if let Some((_, after)) = line.split_once("PS 3.") {
        return Some(format!("PS 3.{}…: write PS3.", after.chars().take(8).collect::<String>()));
    }
    if line.contains("§ ") {
        return Some("no space follows §".to_owned());
    }
    line.match_indices("PS3.").find_map(|(start, _)| {
        let after = line[start + 4..].trim_start_matches(|c: char| c.is_ascii_digit());
        let part = &line[start..line.len() - after.len()];
        let follows = after
            .strip_prefix(' ')
            .and_then(|rest| rest.split([' ', ',', ';', ')']).next())
            .unwrap_or_default();
        let is_section = follows.starts_with(|c: char| c.is_ascii_digit());
        let is_word =
            matches!(follows.to_lowercase().as_str(), "sect" | "sect." | "section" | "chapter" | "clause");
        let is_joined = after.starts_with(['§', '-', '#']);
        (part.len() == 4 || is_section || is_word || is_joined)
            .then(|| format!("{part}{after:.12}: write {part} §"))
    })
}

#[test]
fn malformed_references_are_found() {
    for good in [
        "as PS3.8 §9.3.5 says",
        "PS3.8 Table 9-10",
        "PS3.7 Annex C.",
        "of PS3.5, where",
        "(PS3.4 §C.2, PS3.18 §10.6)",
        "PS3.18 Annex F",
    ] {
        assert_eq!(malformed_reference(good), None, "{good}");
    }
    for bad in
        ["PS 3.5 §6", "PS3.5 6.2", "PS3.5 section 6.2", "PS3.5 § 6.2", "PS3.5§6.2", "PS3.5-6.2", "PS3. §6"]
    {
        assert!(malformed_reference(bad).is_some(), "{bad}");
    }
}
