//! A peer that is called by its address, or by the name that the configuration has for it.

use std::process::ExitCode;

use clap::Args;
use model::AeTitle;
use net::scu::{Settings, Target};

use super::peer::{ae_title, target};
use super::tls::Tls;
use super::user::User;
use super::{ConfigFile, WRONG_ARGUMENTS, say_error};
use crate::config::closest;

/// Whom to call, and as whom.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The peer: its AE title, host and port; or with --config the name of a peer there
    #[arg(value_name = "AET@HOST:PORT", value_parser = called)]
    peer: Called,
    #[command(flatten)]
    config: ConfigFile,
    /// Our AE title; without it that of the configuration
    #[arg(long, value_name = "AET", value_parser = ae_title)]
    calling: Option<AeTitle>,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    user: User,
}

/// The peer as the user wrote it.
#[derive(Debug, Clone)]
enum Called {
    At(Target),
    Named(String),
}

/// Whom to call, and how.
pub(super) struct Call {
    pub(super) target: Target,
    pub(super) settings: Settings,
}

impl Remote {
    /// Looks the peer up; what is wrong is told, and then there is only an exit code.
    pub(super) fn call(&self) -> Result<Call, ExitCode> {
        let config = self.config.ask()?.net;
        let mut target = match &self.peer {
            Called::At(target) => target.clone(),
            // What the configuration says of its TLS and of our identity goes with it.
            Called::Named(name) => match named(name, &config) {
                Ok(target) => target,
                Err(reason) => {
                    say_error(&format!("gantry: {reason}"));
                    return Err(ExitCode::from(WRONG_ARGUMENTS));
                }
            },
        };
        match self.tls.client() {
            Ok(Some(tls)) => target.terms.tls = Some(tls),
            Ok(None) => {}
            Err(error) => {
                say_error(&format!("gantry: {error:#}"));
                return Err(ExitCode::FAILURE);
            }
        }
        self.user.present_to(&mut target);
        let calling = self.calling.clone().unwrap_or_else(|| config.ae_title.clone());
        Ok(Call { target, settings: Settings::new(&config, calling) })
    }
}

fn called(given: &str) -> Result<Called, String> {
    if given.contains('@') { target(given).map(Called::At) } else { Ok(Called::Named(given.to_owned())) }
}

fn named(name: &str, config: &net::Config) -> Result<Target, String> {
    let peer = config.peers.iter().find(|peer| peer.name.as_str() == name);
    if let Some(peer) = peer {
        return Ok(peer.target());
    }
    let names = || config.peers.iter().map(|peer| peer.name.as_str());
    Err(match closest(name, names()) {
        Some(meant) => format!("there is no peer {name:?}; did you mean {meant:?}?"),
        None if config.peers.is_empty() => format!(
            "there is no peer {name:?}: write AET@HOST:PORT, or name a configuration that has it by --config"
        ),
        None => format!("there is no peer {name:?}; there are {}", names().collect::<Vec<_>>().join(", ")),
    })
}
