//! The configuration file: TOML to the crates' own configurations, or every fault at once.
//!
//! The only place that knows the file's format. [`keys`] is the one table of what may be in it.

mod build;
mod fault;
mod keys;
#[cfg(test)]
mod reference;
mod text;
mod value;
mod walk;

use std::path::Path;

pub(crate) use fault::Faults;
use fault::Finder;
pub(crate) use value::is_loopback;

/// The configuration of a server, taken apart for its crates.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) archive: archive::Config,
    pub(crate) net: net::Config,
    pub(crate) web: web::Config,
    /// Whether the operator has allowed HTTP beyond loopback.
    pub(crate) web_open: bool,
}

/// Reads a configuration file; without one, every key has its default and there are no peers.
///
/// # Errors
/// [`Faults`] with everything that is wrong with the file.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, Faults> {
    let Some(file) = file else {
        return parse("", Path::new(""), "the built-in configuration");
    };
    let name = file.display().to_string();
    let bytes =
        std::fs::read(file).map_err(|error| Faults::whole(&name, format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count()
                + 1;
        Faults::whole(&name, format!("line {line} is not UTF-8"))
    })?;
    parse(&text, file.parent().unwrap_or(Path::new("")), &name)
}

fn parse(text: &str, folder: &Path, name: &str) -> Result<Config, Faults> {
    let mut finder = Finder::new(text);
    let document = walk::Document::read(text, &mut finder);
    let config = build::config(&document, folder, &mut finder);
    match finder.finish(name) {
        Some(faults) => Err(faults),
        None => Ok(config.expect("a value is missing only where a fault was found")),
    }
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
