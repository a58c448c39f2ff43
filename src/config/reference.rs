//! Holds `deploy/reference.toml` equal to the table of keys.

use std::path::{Path, PathBuf};

use super::keys::{Key, Section};

const WIDTH: usize = 100;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/reference.toml")
}

/// Every key with its explanation; a key with a default has it, but for the tables that are examples.
fn reference() -> String {
    let mut text = comment(
        "Every key of Gantry's configuration with its explanation. The values are the defaults, so every key may be left out; \
         only the peer, the destinations and the upstream archive at the end are examples. `gantry check --config FILE` tells what is wrong with a file.",
    );
    for section in Section::ONCE {
        if let Some(name) = section.name() {
            text += &format!("\n[{name}]\n");
        }
        for key in section.keys() {
            text += &line(key, key.default.unwrap_or(key.example));
        }
    }
    text += "\n";
    text += &comment("A peer: a table [peer.NAME] for each. NAME is 1 to 64 letters, digits, - and _.");
    text += "[peer.pacs]\n";
    for key in Section::Peer.keys() {
        text += &line(key, key.example);
    }
    text += "\n";
    text += &comment(
        "A destination: a table [destination.NAME] for each. NAME is 1 to 64 letters, digits, - and _; rules send there by it, and \
         what is queued for it stays queued for the name.",
    );
    let destinations = ["pacs", "cloud", "copy"].into_iter().zip(Section::KINDS);
    let destinations = destinations.map(|(name, (kind, section))| destination(name, kind, section));
    text += &destinations.collect::<Vec<_>>().join("\n");
    text += "\n";
    text += &comment(
        "An upstream archive, which is asked for what we do not have: a table [upstream.NAME] for each. NAME is 1 to 64 letters, \
         digits, - and _.",
    );
    text += "[upstream.pacs]\n";
    Section::Upstream.keys().fold(text, |text, key| text + &line(key, key.example))
}

/// An example; what all kinds have in common is explained once.
fn destination(name: &str, kind: &str, section: Section) -> String {
    let mut text = format!("[destination.{name}]\n");
    for key in Section::Destination.keys() {
        let value = if key.name == "kind" { format!("{kind:?}") } else { key.example.to_owned() };
        match section {
            Section::Dicom => text += &line(key, &value),
            _ => text += &format!("\n{} = {value}\n", key.name),
        }
    }
    for key in section.keys() {
        text += &line(key, key.example);
    }
    text
}

fn line(key: &Key, value: &str) -> String {
    format!("\n{}{} = {value}\n", comment(key.explanation), key.name)
}

fn comment(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one from the start");
        if last.len() + 1 + word.len() > WIDTH {
            lines.push(format!("# {word}"));
        } else {
            *last = format!("{last} {word}");
        }
    }
    lines.join("\n") + "\n"
}

/// `UPDATE_REFERENCE=1 cargo test reference` writes the file anew.
#[test]
fn the_reference_file_has_every_key_with_explanation_and_default() {
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(path(), reference()).unwrap();
    }
    let written = std::fs::read_to_string(path()).unwrap();
    assert_eq!(written, reference(), "run UPDATE_REFERENCE=1 cargo test reference");
}

#[test]
fn the_reference_file_says_what_no_file_says() {
    let load = |file| super::load(file, super::For::Checking).map_err(|faults| faults.to_string()).unwrap();
    let (mut of_file, mut of_nothing) = (load(Some(path().as_path())), load(None));
    assert_eq!((of_file.net.peers.len(), of_file.destinations.len()), (1, 3));
    assert_eq!(of_file.upstreams.len(), 1);
    of_file.upstreams.clear();
    of_file.net.peers.clear();
    of_file.destinations.clear();
    of_file.warnings.clear();
    of_nothing.archive.data_dir = path().with_file_name("gantry-data");
    assert_eq!(format!("{of_file:?}"), format!("{of_nothing:?}"));
}

#[test]
fn the_parts_of_retry_have_the_defaults_that_it_has_as_a_whole() {
    let config = |retry: &str| {
        let text = format!("[destination.a]\nkind = \"folder\"\npath = \"a\"\n{retry}");
        let (config, _) = super::parse(&text, Path::new("/tmp"), "", super::For::Asking);
        format!("{:?}", config.map_err(|faults| faults.to_string()).unwrap().destinations)
    };
    assert_eq!(config(""), config("retry = {}"));
    assert_ne!(config(""), config("retry = { factor = 3 }"));
}
