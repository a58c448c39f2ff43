//! What is to be looked at: a peer at an address, or what the configuration has of this name.

use model::{AeTitle, PeerName};
use net::scu::{Target, Terms};
use net::tls::Client;

use crate::cli::peer::target;
use crate::config::{Config, Destination, Kind, closest};

/// What the user wrote.
#[derive(Debug, Clone)]
pub(super) enum Called {
    At(Target),
    Named(String),
}

/// What that is.
#[derive(Debug)]
pub(super) enum Subject {
    Peer {
        name: String,
        target: Box<Target>,
    },
    /// One that is no peer.
    Destination(Box<Destination>),
}

pub(super) fn called(given: &str) -> Result<Called, String> {
    if given.contains('@') { target(given).map(Called::At) } else { Ok(Called::Named(given.to_owned())) }
}

/// Finds it: by the name of a peer, of a destination, of an upstream archive, and by AE title. `tls` is called by in place of what is configured.
pub(super) fn find(called: &Called, config: &Config, tls: Option<Client>) -> Result<Subject, String> {
    let (name, target) = match called {
        Called::At(target) => (format!("{}@{}", target.ae_title, target.address), target.clone()),
        Called::Named(name) => match named(name, config)? {
            Named::Peer(peer) => (peer.name.to_string(), peer.target()),
            Named::Destination(destination) => {
                return Ok(Subject::Destination(Box::new(destination.clone())));
            }
        },
    };
    let target = match tls {
        Some(tls) => Target { terms: Terms { tls: Some(tls), ..target.terms }, ..target },
        None => target,
    };
    Ok(Subject::Peer { name, target: Box::new(target) })
}

enum Named<'c> {
    Peer(&'c net::Peer),
    Destination(&'c Destination),
}

fn named<'c>(name: &str, config: &'c Config) -> Result<Named<'c>, String> {
    let peers = &config.net.peers;
    let by_name = |wanted: &str| peers.iter().find(|peer| peer.name.as_str() == wanted);
    if let Some(peer) = by_name(name) {
        return Ok(Named::Peer(peer));
    }
    if let Some(destination) = config.destinations.iter().find(|one| one.name.as_str() == name) {
        return match &destination.kind {
            Kind::Dicom { peer, .. } => {
                by_name(PeerName::as_str(peer)).map(Named::Peer).ok_or(format!("there is no [peer.{peer}]"))
            }
            Kind::S3(_) | Kind::Folder { .. } => Ok(Named::Destination(destination)),
        };
    }
    if let Some(upstream) = config.upstreams.iter().find(|one| one.config.name.as_str() == name) {
        let peer = &upstream.peer;
        return by_name(peer.as_str()).map(Named::Peer).ok_or(format!("there is no [peer.{peer}]"));
    }
    let title = AeTitle::parse(name).ok();
    let entitled: Vec<_> = peers.iter().filter(|peer| Some(&peer.ae_title) == title.as_ref()).collect();
    match entitled.as_slice() {
        [peer] => Ok(Named::Peer(peer)),
        [] => Err(unknown(name, config)),
        several => {
            let names: Vec<&str> = several.iter().map(|peer| peer.name.as_str()).collect();
            Err(format!("several peers have the AE title {name}: {}; name one of them", names.join(", ")))
        }
    }
}

fn unknown(name: &str, config: &Config) -> String {
    let peers = config.net.peers.iter().map(|peer| peer.name.as_str());
    let names = peers.chain(config.destinations.iter().map(|one| one.name.as_str()));
    let all: Vec<&str> = names.collect();
    match closest(name, all.iter().copied()) {
        Some(meant) => format!("there is no peer or destination {name:?}; did you mean {meant:?}?"),
        None if all.is_empty() => format!(
            "there is no peer {name:?}: write AET@HOST:PORT, or name a configuration that has it by --config"
        ),
        None => format!("there is no peer or destination {name:?}; there are {}", all.join(", ")),
    }
}
