mod json;
mod show;

use std::process::ExitCode;

use archive::Desk;
use archive::peers::{PeerKey, PeerRecord};
use clap::{Args, Subcommand};
use net::Peer;

use super::{ConfigFile, WRONG_ARGUMENTS, desk, say, say_error};
use crate::config::{Config, closest};

/// What peers took and refused when we called them, and as what they called us
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// One peer only, in full: its name in the configuration, or as the list names it
    name: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON for a program
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Forget(Forget),
}

/// Forget what a peer said, so that it is asked for everything again
#[derive(Debug, Args)]
struct Forget {
    /// The peer: its name in the configuration, or as `gantry peer` names it
    name: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// What there is to say of one peer.
struct Known<'c> {
    key: &'c str,
    configured: Option<&'c Peer>,
    record: Option<&'c PeerRecord>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Command::Forget(arguments)) = &arguments.command {
        return forget(arguments);
    }
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let records = desk(&config)?.peers()?;
    let known = known(&config, &records);
    match &arguments.name {
        None if arguments.json => say(&json::list(&known)),
        None => say(&show::list(&known)),
        Some(name) => {
            let Some(one) = known.iter().find(|one| one.key == name) else {
                return Ok(unknown(name, known.iter().map(|one| one.key)));
            };
            say(&if arguments.json { json::one(one) } else { show::one(one) });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn forget(arguments: &Forget) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let name = &arguments.name;
    let mut desk: Desk = desk(&config)?;
    let records = desk.peers()?;
    let known = known(&config, &records);
    if !known.iter().any(|one| one.key == name) {
        return Ok(unknown(name, known.iter().map(|one| one.key)));
    }
    say(&match desk.forget(name)? {
        true => format!("{name} is forgotten: it is asked for everything again"),
        false => format!("nothing was remembered of {name}"),
    });
    Ok(ExitCode::SUCCESS)
}

/// The peers of the configuration in its order, and then the others.
fn known<'c>(config: &'c Config, records: &'c [PeerRecord]) -> Vec<Known<'c>> {
    let peers = &config.net.peers;
    let configured = peers.iter().map(|peer| {
        let key = PeerKey::named(&peer.name);
        let record = records.iter().find(|record| record.peer == key);
        Known { key: peer.name.as_str(), configured: Some(peer), record }
    });
    let is_other =
        |record: &&PeerRecord| !peers.iter().any(|peer| peer.name.as_str() == record.peer.as_str());
    let others = records.iter().filter(is_other);
    let others =
        others.map(|record| Known { key: record.peer.as_str(), configured: None, record: Some(record) });
    configured.chain(others).collect()
}

fn unknown<'c>(name: &str, known: impl Iterator<Item = &'c str>) -> ExitCode {
    let meant = closest(name, known).map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
    say_error(&format!("gantry: there is no peer {name:?}, and none is remembered{meant}"));
    ExitCode::from(WRONG_ARGUMENTS)
}
