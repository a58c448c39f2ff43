//! The configuration file: TOML to the crates' own configurations, or every fault at once.
//!
//! The only place that knows the file's format. [`keys`] is the one table of what may be in it.

mod build;
mod destination;
mod fault;
mod keys;
mod names;
mod object_store;
mod peer;
#[cfg(test)]
mod reference;
mod rule_files;
mod secret;
mod table;
mod text;
mod tls;
mod upstream;
mod value;
mod walk;

use std::path::Path;

use rules::{RuleSet, TestReport};

pub(crate) use destination::{Destination, Kind, S3, Verify};
use fault::Finder;
pub(crate) use fault::{Faults, Remark};
use rule_files::Loaded;
pub(crate) use secret::SecretPlace;
pub(crate) use text::closest;
pub(crate) use upstream::Upstream;
pub(crate) use value::is_loopback;

/// The configuration of a server, taken apart for its crates.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) archive: archive::Config,
    pub(crate) net: net::Config,
    pub(crate) web: web::Config,
    /// Whether the operator has allowed HTTP beyond loopback.
    pub(crate) web_open: bool,
    /// In the order of the file.
    pub(crate) destinations: Vec<Destination>,
    /// In the order of the file, which is the one in which they are asked.
    pub(crate) upstreams: Vec<Upstream>,
    /// `None`: nothing is routed.
    pub(crate) rules: Option<RuleSet>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Vec<Remark>,
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// To run a server: its secrets must be at hand.
    Serving,
    /// To know whether a server could run: secrets that are not at hand are worth a warning.
    Checking,
    /// To know what is where: rules and secrets are not looked at.
    Asking,
}

/// Reads a configuration file and the rules that it names; without one, every key has its default, and there are no peers,
/// destinations, upstream archives and rules.
///
/// # Errors
/// [`Faults`] with everything that is wrong with the file and with the rules; a test of a rule file that fails is a fault.
pub(crate) fn load(file: Option<&Path>, purpose: For) -> Result<Config, Faults> {
    load_and_test(file, purpose).0
}

/// As [`load`], and how each test of the rule files ended.
pub(crate) fn load_and_test(file: Option<&Path>, purpose: For) -> (Result<Config, Faults>, Vec<TestReport>) {
    let Some(file) = file else {
        return parse("", Path::new(""), "the built-in configuration", purpose);
    };
    let name = file.display().to_string();
    match read(file) {
        Ok(text) => parse(&text, file.parent().unwrap_or(Path::new("")), &name, purpose),
        Err(message) => (Err(Faults::whole(&name, message)), Vec::new()),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| not_utf8(&error))
}

/// Where a text stops being one.
fn not_utf8(error: &std::string::FromUtf8Error) -> String {
    let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
    format!("line {} is not UTF-8", before.filter(|byte| **byte == b'\n').count() + 1)
}

fn parse(text: &str, folder: &Path, name: &str, purpose: For) -> (Result<Config, Faults>, Vec<TestReport>) {
    let mut finder = Finder::new(name, text);
    let document = walk::Document::read(text, &mut finder);
    let config = build::config(&document, folder, purpose, &mut finder);
    let mut loaded = match purpose {
        For::Serving | For::Checking => rule_files::load(&document, folder, &mut finder),
        For::Asking => Loaded::default(),
    };
    let mut found = finder.finish();
    loaded.append_to(&mut found);
    let outcome = Faults::of(found).map(|warnings| {
        let config = config.expect("a value is missing only where a fault was found");
        Config { rules: loaded.rules, warnings, ..config }
    });
    (outcome, loaded.tests)
}

/// Takes `host:port` as the `address` of a peer is written.
///
/// # Errors
/// Why it is none, and what was probably meant.
pub(crate) fn peer_address(given: &str) -> Result<String, String> {
    text::address(given).map_err(|refusal| {
        let help = refusal.help.map(|help| format!(": {help}")).unwrap_or_default();
        format!("{}{help}", refusal.message)
    })
}
