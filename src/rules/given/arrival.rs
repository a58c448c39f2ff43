use core::net::IpAddr;
use std::ops::Range;

use model::{AeTitle, PeerName};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::dictionary::closest;
use crate::finding::Finder;
use crate::table::noun;
use crate::{Arrival, Via};

/// Whether a key of `given` is about how the instance came.
pub(super) fn is_fact(key: &str) -> bool {
    key == "from" || key.starts_with("from.")
}

/// Reads `"from.aet" = …` and `from = { aet = … }`; `None` when something is wrong, which is noted.
pub(super) fn read(entries: &DeTable<'_>, finder: &mut Finder<'_>) -> Option<Arrival> {
    let mut arrival = Arrival::default();
    let mut is_whole = true;
    for (name, given) in entries.iter().filter(|(name, _)| is_fact(name.get_ref())) {
        match (name.get_ref().strip_prefix("from."), given.get_ref()) {
            (Some(fact), _) => is_whole &= set(&mut arrival, fact, &name.span(), given, finder),
            (None, DeValue::Table(facts)) => {
                for (name, given) in facts {
                    is_whole &= set(&mut arrival, name.get_ref(), &name.span(), given, finder);
                }
            }
            (None, other) => {
                let help = "write from = { aet = \"CT1\" }, or \"from.aet\" = \"CT1\"".to_owned();
                finder.error(&given.span(), format!("`from` is a table, not {}", noun(other)), help);
                is_whole = false;
            }
        }
    }
    is_whole.then_some(arrival)
}

fn set(
    arrival: &mut Arrival,
    fact: &str,
    at: &Range<usize>,
    given: &Spanned<DeValue<'_>>,
    finder: &mut Finder<'_>,
) -> bool {
    if !FACTS.contains(&fact) {
        let meant =
            closest(fact, FACTS).map_or(String::new(), |word| format!("did you mean `from.{word}`? "));
        let help = format!("{meant}there are from.{}", FACTS.join(", from."));
        finder.error(at, format!("unknown fact `from.{fact}`"), help);
        return false;
    }
    let DeValue::String(text) = given.get_ref() else {
        let message = format!("`from.{fact}` needs a text in quotes, not {}", noun(given.get_ref()));
        finder.error(&given.span(), message, None);
        return false;
    };
    let result = match fact {
        "aet" => ae_title(text).map(|title| arrival.aet = Some(title)),
        "called" => ae_title(text).map(|title| arrival.called = Some(title)),
        "ip" => ip(text).map(|ip| arrival.ip = Some(ip)),
        "via" => via(text).map(|via| arrival.via = Some(via)),
        _ => {
            arrival.peer = Some(PeerName::new(text));
            Ok(())
        }
    };
    if let Err(reason) = &result {
        finder.error(&given.span(), format!("`from.{fact}` {reason}"), None);
    }
    result.is_ok()
}

fn ae_title(text: &str) -> Result<AeTitle, String> {
    AeTitle::parse(text).map_err(|error| format!("is no AE title: {error}"))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("is no IP address: {text:?}"))
}

fn via(text: &str) -> Result<Via, String> {
    let found = [Via::Dimse, Via::Dicomweb].into_iter().find(|via| via.as_str() == text);
    found.ok_or_else(|| format!("is \"dimse\" or \"dicomweb\", not {text:?}"))
}

const FACTS: [&str; 5] = ["aet", "ip", "called", "peer", "via"];
