//! Holds `deploy/reference.toml` equal to the table of keys.

use std::path::{Path, PathBuf};

use super::keys::Section;

const WIDTH: usize = 100;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/reference.toml")
}

/// Every key with its explanation; a key with a default has it.
fn reference() -> String {
    let mut text = comment(
        "Every key of Gantry's configuration with its explanation. The values are the defaults, so every key may be left out; \
         only the peer at the end is an example. `gantry check --config FILE` tells what is wrong with a file.",
    );
    for section in Section::ALL {
        match (section, section.name()) {
            (Section::Peer, Some(name)) => {
                text += "\n";
                text += &comment(
                    "A peer: a table [peer.NAME] for each. NAME is 1 to 64 letters, digits, - and _.",
                );
                text += &format!("[{name}.pacs]\n");
            }
            (_, Some(name)) => text += &format!("\n[{name}]\n"),
            (_, None) => {}
        }
        for key in section.keys() {
            text += "\n";
            text += &comment(key.explanation);
            text += &format!("{} = {}\n", key.name, key.default.unwrap_or(key.example));
        }
    }
    text
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
    let mut of_file = super::load(Some(&path())).map_err(|faults| faults.to_string()).unwrap();
    let mut of_nothing = super::load(None).map_err(|faults| faults.to_string()).unwrap();
    assert_eq!(of_file.net.peers.len(), 1);
    of_file.net.peers.clear();
    of_nothing.archive.data_dir = path().with_file_name("gantry-data");
    assert_eq!(format!("{of_file:?}"), format!("{of_nothing:?}"));
}
