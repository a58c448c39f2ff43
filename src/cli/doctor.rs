mod advice;
mod commitment;
mod destinations;
mod offers;
mod own;
mod ports;
mod report;
mod services;
mod steps;
mod subject;
mod synthetic;

use std::process::ExitCode;

use clap::Args;
use model::AeTitle;

use super::peer::{ae_title, block_on};
use super::tls::Tls;
use super::user::User;
use super::{BAD_CONFIGURATION, ConfigFile, WRONG_ARGUMENTS, say_error};
use crate::config::{self, Config, For};
pub(super) use offers::{compressed_syntaxes, kinds};
use report::Report;
use services::Wanted;
use subject::{Called, Subject};
pub(super) use synthetic::PATIENT_ID;

/// Say step by step why a peer cannot be reached or does not take what it is sent, and what to try; without a peer, look at our own side
///
/// Exit code 0 when all is well, be it with a warning; 3 when something failed.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The peer: its AE title, host and port; or with --config the name of a peer or destination there, or its AE title
    #[arg(value_name = "PEER", value_parser = subject::called)]
    peer: Option<Called>,
    #[command(flatten)]
    config: ConfigFile,
    /// Our own side, and every peer of the configuration
    #[arg(long, conflicts_with = "peer")]
    all: bool,
    /// Store one small object of a test patient at the peer, which it then has
    #[arg(long, requires = "peer")]
    store: bool,
    /// Ask the peer for a study by its UID: for what was stored, or for one that nobody has
    #[arg(long, requires = "peer")]
    query: bool,
    /// Ask the peer to commit to what was stored, and wait for its report, also at our own DICOM port where no server holds it
    #[arg(long, requires = "store")]
    commitment: bool,
    /// Our AE title; without it that of the configuration
    #[arg(long, value_name = "AET", value_parser = ae_title, requires = "peer")]
    calling: Option<AeTitle>,
    /// Print an object for programs, at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    user: User,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut report = Report::new(arguments.json);
    let Some(called) = &arguments.peer else {
        return match arguments.of_a_peer() {
            Some(option) => Ok(useless(&format!("{option} is for one peer: name it"))),
            None => own_side(arguments, &mut report),
        };
    };
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let subject = match subject::find(called, &config, arguments.tls.client()?) {
        Ok(subject) => subject,
        Err(reason) => {
            say_error(&format!("gantry: {reason}"));
            return Ok(ExitCode::from(WRONG_ARGUMENTS));
        }
    };
    let subject = match subject {
        Subject::Peer { name, mut target } => {
            arguments.user.present_to(&mut target);
            Subject::Peer { name, target }
        }
        Subject::Destination(destination) => {
            if let Some(option) = arguments.of_a_peer() {
                let name = &destination.name;
                return Ok(useless(&format!(
                    "{option} does nothing here: the destination {name} is no DICOM peer"
                )));
            }
            Subject::Destination(destination)
        }
    };
    let calling = arguments.calling.clone().unwrap_or_else(|| config.net.ae_title.clone());
    let (store, query, commitment) = (arguments.store, arguments.query, arguments.commitment);
    let wanted = Wanted { store, query, commitment };
    block_on(async {
        match subject {
            Subject::Peer { name, target } => {
                services::peer(&name, *target, calling, &config, wanted, &mut report).await;
            }
            Subject::Destination(destination) => {
                report.begin(format!("Destination {}", destination.name));
                destinations::look(&destination, &mut report).await;
            }
        }
    })?;
    Ok(code(report.finish()))
}

impl Arguments {
    /// One of the options that only say how a peer is looked at, where any is given.
    fn of_a_peer(&self) -> Option<&'static str> {
        let given = [
            (self.store, "--store"),
            (self.query, "--query"),
            (self.commitment, "--commitment"),
            (self.calling.is_some(), "--calling"),
            (self.tls.is_given(), "--tls"),
            (self.user.is_given(), "a user identity"),
        ];
        given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
    }
}

/// Tells of an option that would do nothing.
fn useless(reason: &str) -> ExitCode {
    say_error(&format!("gantry: {reason}"));
    ExitCode::from(WRONG_ARGUMENTS)
}

fn own_side(arguments: &Arguments, report: &mut Report) -> anyhow::Result<ExitCode> {
    let file = arguments.config.config.as_deref();
    let by = file.map_or("the built-in configuration".to_owned(), |file| file.display().to_string());
    report.begin(format!("Gantry {}, by {by}", env!("CARGO_PKG_VERSION")));
    let config = match config::load(file, For::Checking) {
        Ok(config) => config,
        Err(faults) => {
            report.step(own::faulty(&faults));
            report.finish();
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    };
    block_on(async {
        own::look(&config, file.is_some(), report).await;
        if arguments.all {
            all_peers(&config, report).await;
        }
    })?;
    Ok(code(report.finish()))
}

async fn all_peers(config: &Config, report: &mut Report) {
    for peer in &config.net.peers {
        let wanted = Wanted::default();
        let calling = config.net.ae_title.clone();
        services::peer(peer.name.as_str(), peer.target(), calling, config, wanted, report).await;
    }
}

fn code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(UNWELL) }
}

/// Exit code where something was looked at and is not as it should be.
const UNWELL: u8 = 3;
