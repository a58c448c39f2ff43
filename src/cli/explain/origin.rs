//! How an instance came: as it is stored, or as the user supposes.

use anyhow::bail;
use archive::Traced;
use model::{AeTitle, PeerName};
use rules::{Arrival, Via};
use telemetry::Door;

use crate::config::closest;

/// One `--from FACT=VALUE`.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Aet(AeTitle),
    Ip(std::net::IpAddr),
    Called(AeTitle),
    Peer(PeerName),
    Via(Via),
}

pub(super) fn given(text: &str) -> Result<Given, String> {
    let (fact, value) = text.split_once('=').ok_or("an `=` parts fact and value: aet=CT1")?;
    let ae_title = || AeTitle::parse(value).map_err(|refusal| refusal.to_string());
    match fact.trim_start_matches("from.") {
        "aet" => ae_title().map(Given::Aet),
        "called" => ae_title().map(Given::Called),
        "ip" => value.parse().map(Given::Ip).map_err(|_| format!("{value:?} is no IP address")),
        "peer" => Ok(Given::Peer(PeerName::new(value))),
        "via" => match [Via::Dimse, Via::Dicomweb].into_iter().find(|via| via.as_str() == value) {
            Some(via) => Ok(Given::Via(via)),
            None => Err("it is dimse or dicomweb".to_owned()),
        },
        other => Err(match closest(other, FACTS) {
            Some(meant) => format!("there is no fact {other:?}; did you mean {meant:?}?"),
            None => format!("there is no fact {other:?}; there are {}", FACTS.join(", ")),
        }),
    }
}

const FACTS: [&str; 5] = ["aet", "ip", "called", "peer", "via"];

/// What the rules are told of all that was given.
pub(super) fn arrival(given: &[Given]) -> anyhow::Result<Arrival> {
    let mut arrival = Arrival::default();
    for fact in given {
        let is_repeated = match fact.clone() {
            Given::Aet(title) => arrival.aet.replace(title).is_some(),
            Given::Ip(ip) => arrival.ip.replace(ip).is_some(),
            Given::Called(title) => arrival.called.replace(title).is_some(),
            Given::Peer(name) => arrival.peer.replace(name).is_some(),
            Given::Via(via) => arrival.via.replace(via).is_some(),
        };
        if is_repeated {
            bail!("--from gives the same fact twice");
        }
    }
    Ok(arrival)
}

/// What the rules were told when it came.
pub(super) fn of_stored(traced: &Traced) -> Arrival {
    Arrival {
        aet: traced.calling_aet.clone(),
        ip: traced.address,
        called: traced.called_aet.clone(),
        peer: traced.peer.clone(),
        via: Some(match traced.door {
            Door::Dimse => Via::Dimse,
            Door::Web => Via::Dicomweb,
        }),
    }
}

/// The service of a door.
pub(super) fn service(door: Door) -> &'static str {
    match door {
        Door::Dimse => "C-STORE",
        Door::Web => "STOW-RS",
    }
}
