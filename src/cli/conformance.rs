//! The conformance statement, from the tables that the server itself runs on (PS3.2 Annex N).

mod annex;
mod communication;
mod overview;
mod services;
mod table;

use std::process::ExitCode;

use clap::Args;

use super::{refuse, say};
use crate::config::{self, Config, For};

/// Write the DICOM conformance statement of this version, in Markdown
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    // The statement is of the product, so every key has its default.
    match config::load(None, For::Asking) {
        Ok(config) => {
            say(statement(&config).trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => Ok(refuse(&faults)),
    }
}

/// The whole document, in the order of the template: contents, history, overview, introduction, implementation model, services, communication,
/// character sets, security, configuration, annexes.
fn statement(config: &Config) -> String {
    let parts = [
        overview::history(),
        overview::overview(),
        overview::introduction(),
        overview::implementation_model(config),
        services::services(),
        communication::communication(config),
        communication::initiation(config),
        communication::character_sets(),
        communication::security(),
        communication::configuration(),
        annex::annex(),
    ];
    let body = parts.join("\n");
    [overview::cover(), contents(&body), body].join("\n")
}

/// The headings, those of a section below its own.
fn contents(body: &str) -> String {
    let entry = |line: &str| {
        let section = line.strip_prefix("## ").map(|title| format!("- {title}\n"));
        section.or_else(|| line.strip_prefix("### ").map(|title| format!("  - {title}\n")))
    };
    format!("## Contents\n\n{}", body.lines().filter_map(entry).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_the_doctor_does_is_stated() {
        for one in net::capabilities() {
            assert!(one.requested_by.contains("`gantry doctor"), "{}", one.name);
        }
        let stated = config::load(None, For::Asking).map(|config| statement(&config)).unwrap();
        let section = |from: &str, to: &str| {
            stated
                .split_once(from)
                .and_then(|(_, rest)| rest.split_once(to))
                .map(|(section, _)| section)
                .unwrap()
        };
        let initiation = section("### 5.4 Association initiation\n", "\n## 6");
        for syntax in super::super::doctor::compressed_syntaxes() {
            assert!(initiation.contains(model::syntax::name(syntax).unwrap()), "{syntax}");
        }
        for words in ["`--store`", "`--query`", "`--commitment`", "is also acceptor"] {
            assert!(initiation.contains(words), "{words}");
        }
        let created = stated.split_once("\n## Annex C").unwrap().1;
        assert!(created.contains(super::super::doctor::PATIENT_ID), "{created}");
    }

    /// `UPDATE_REFERENCE=1 cargo test conformance` writes the file anew.
    #[test]
    fn the_statement_in_deploy_is_that_of_this_version() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/conformance.md");
        let stated = config::load(None, For::Asking).map(|config| statement(&config)).unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &stated).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written == stated, "run UPDATE_REFERENCE=1 cargo test conformance");
    }
}
