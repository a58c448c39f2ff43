use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use archive::{DestinationId, Routing, RuleId, RuleSetId};
use model::header::Header;
use model::{AeTitle, DestinationName, PeerName};
use rules::{Arrival, Decision, RuleSet, Via};
use telemetry::{Door, Event};
use time::{Date, OffsetDateTime};
use tracing::warn;

use crate::{CommitmentTerms, Pipeline, Received};

/// What routing has to know of a destination.
#[derive(Debug, Clone)]
pub struct DestinationFacts {
    /// Its name.
    pub name: DestinationName,
    /// The peer that it leads to, and that peer's AE title: what comes from there is not sent back. Only an association tells where it
    /// comes from: behind an HTTP request's address there may be a proxy for many.
    pub peer: Option<(PeerName, AeTitle)>,
    /// How it is asked to commit to what it took; `None`: it is not asked.
    pub commitment: Option<CommitmentTerms>,
}

/// Why destinations or rules cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// A rule sends to a destination that this server does not have.
    #[error("rule {rule:?} sends to {destination:?}, which is not a destination of the running server")]
    UnknownDestination {
        /// The rule's name.
        rule: String,
        /// The name of the destination.
        destination: String,
    },
    /// The index cannot be written.
    #[error("the index cannot take rules or destinations")]
    Archive(#[from] archive::Error),
}

impl Pipeline {
    /// Makes the destinations known, to the index too. Once, before anything is received and before [`Pipeline::route_by`]; a second
    /// call changes nothing.
    ///
    /// # Errors
    /// [`RoutingError::Archive`].
    pub async fn set_destinations(&self, all: Vec<DestinationFacts>) -> Result<(), RoutingError> {
        let names: Vec<_> = all.iter().map(|facts| facts.name.clone()).collect();
        let ids = self.archive.enrol_destinations(&names).await?;
        names.iter().for_each(|name| self.telemetry.show_destination(name));
        let (asked, others): (Vec<_>, Vec<_>) =
            ids.iter().zip(&all).partition(|(_, facts)| facts.commitment.is_some());
        asked.iter().for_each(|(_, facts)| self.telemetry.show_asked(&facts.name));
        let others = others.into_iter().map(|(id, _)| *id).collect();
        let settled = self.archive.verify_no_more(others).await?;
        if settled > 0 {
            tracing::warn!(
                deliveries = settled,
                "delivered without storage commitment, which is no longer asked for"
            );
        }
        self.router.destinations.get_or_init(|| ids.into_iter().zip(all).collect());
        Ok(())
    }

    /// Routes by these rules from now on. What is being received at that moment goes wholly by the former ones.
    ///
    /// Cancel safe: dropped, the former rules stay.
    ///
    /// # Errors
    /// [`RoutingError`]; the former rules stay.
    pub async fn route_by(&self, rules: RuleSet) -> Result<(), RoutingError> {
        let destinations = self.router.destinations_of(&rules)?;
        let sources: Vec<_> =
            rules.sources().iter().map(|source| (source.name.clone(), source.text.clone())).collect();
        let versions: Vec<_> =
            rules.rules().iter().map(|rule| (rule.name.clone(), rule.version.clone())).collect();
        let (rule_set, rule_ids) = self.archive.enrol_rules(rules.version(), &sources, &versions).await?;
        self.router.replace(Snapshot { rules, rule_set, rule_ids, destinations });
        self.telemetry.record(Event::RulesLoaded);
        Ok(())
    }

    /// The version of the rules that instances are routed by; `None` without rules.
    pub fn rules_version(&self) -> Option<String> {
        self.router.snapshot().map(|snapshot| snapshot.rules.version().to_owned())
    }
}

/// Destinations and rules in use.
#[derive(Default)]
pub(crate) struct Router {
    destinations: OnceLock<Vec<(DestinationId, DestinationFacts)>>,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
}

/// Rules, and how the index knows them.
struct Snapshot {
    rules: RuleSet,
    rule_set: RuleSetId,
    /// In the order of the rules.
    rule_ids: Vec<RuleId>,
    destinations: HashMap<DestinationName, DestinationId>,
}

/// The way of one instance: the rules and destinations as they were when it began to come.
pub(crate) struct Route {
    snapshot: Arc<Snapshot>,
    arrival: Arrival,
    today: Date,
    came_from: Vec<DestinationId>,
    is_asked_for: bool,
}

impl Router {
    pub(crate) fn id(&self, name: &DestinationName) -> Option<DestinationId> {
        self.known().iter().find(|(_, facts)| facts.name == *name).map(|(id, _)| *id)
    }

    pub(crate) fn known(&self) -> &[(DestinationId, DestinationFacts)] {
        self.destinations.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// How an instance that comes now goes; `None` without rules.
    pub(crate) fn route(&self, received: &Received) -> Option<Route> {
        let snapshot = self.snapshot()?;
        let came_from = self.known().iter().filter(|(_, facts)| came_from(facts, received));
        Some(Route {
            snapshot,
            arrival: arrival(received),
            today: OffsetDateTime::now_utc().date(),
            came_from: came_from.map(|(id, _)| *id).collect(),
            is_asked_for: received.is_asked_for,
        })
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    }

    /// The destinations that rules send to.
    fn destinations_of(
        &self,
        rules: &RuleSet,
    ) -> Result<HashMap<DestinationName, DestinationId>, RoutingError> {
        let named = rules.rules().iter().flat_map(|rule| rule.send.iter().map(move |name| (rule, name)));
        named
            .map(|(rule, name)| match self.id(name) {
                Some(id) => Ok((name.clone(), id)),
                None => Err(RoutingError::UnknownDestination {
                    rule: rule.name.to_string(),
                    destination: name.to_string(),
                }),
            })
            .collect()
    }
}

impl Route {
    /// Where an instance with this header goes.
    pub(crate) fn decide(self, header: &Header) -> Routing {
        let Self { snapshot, arrival, today, came_from, is_asked_for } = self;
        let decision = snapshot.rules.decide(header, &arrival, today);
        tell_given_up(&snapshot.rules, &decision);
        let delivery = |send: rules::Send| {
            Some((*snapshot.destinations.get(&send.destination)?, *snapshot.rule_ids.get(send.rule)?))
        };
        Routing {
            rule_set: snapshot.rule_set,
            deliveries: decision.sends.into_iter().filter_map(delivery).collect(),
            came_from,
            is_asked_for,
        }
    }
}

/// Once for an instance, by the names of the rules alone.
fn tell_given_up(rules: &RuleSet, decision: &Decision) {
    let name = |index: &usize| rules.rules().get(*index).map(|rule| rule.name.as_str());
    let names: Vec<&str> = decision.given_up.iter().filter_map(name).collect();
    if !names.is_empty() {
        warn!(
            rules = names.join(", "),
            "an instance has too many values or items for these rules: they count as not matching"
        );
    }
}

/// Whether a destination leads to where an instance comes from: to the same peer, or, where the sender is none of the configured, to
/// its AE title.
fn came_from(destination: &DestinationFacts, received: &Received) -> bool {
    match (&destination.peer, &received.peer) {
        (Some((name, _)), Some(sender)) => name == sender,
        (Some((_, title)), None) => received.calling_aet.as_ref() == Some(title),
        (None, _) => false,
    }
}

fn arrival(received: &Received) -> Arrival {
    Arrival {
        aet: received.calling_aet.clone(),
        ip: received.address,
        called: received.called_aet.clone(),
        peer: received.peer.clone(),
        via: Some(match received.door {
            Door::Dimse => Via::Dimse,
            Door::Web => Via::Dicomweb,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::Content;

    fn facts(name: &str, peer: Option<(&str, &str)>) -> DestinationFacts {
        let peer = peer.map(|(name, title)| (PeerName::new(name), AeTitle::parse(title).unwrap()));
        DestinationFacts { name: DestinationName::new(name), peer, commitment: None }
    }

    fn received(peer: Option<&str>, calling_aet: Option<&str>) -> Received {
        Received {
            door: Door::Dimse,
            calling_aet: calling_aet.map(|title| AeTitle::parse(title).unwrap()),
            called_aet: AeTitle::parse("GANTRY").ok(),
            peer: peer.map(PeerName::new),
            address: Some(IpAddr::from([10, 0, 0, 1])),
            is_asked_for: false,
            content: Content::Part10 { study: None },
        }
    }

    #[test]
    fn an_instance_came_from_the_peer_that_a_destination_leads_to() {
        let pacs = facts("pacs", Some(("pacs", "PACS")));
        for (destination, peer, calling_aet, expected) in [
            (&pacs, Some("pacs"), Some("PACS"), true),
            (&pacs, Some("pacs"), Some("OTHER"), true),
            (&pacs, Some("ct"), Some("PACS"), false),
            (&pacs, None, Some("PACS"), true),
            (&pacs, None, Some("OTHER"), false),
            (&pacs, None, None, false),
            (&facts("folder", None), Some("pacs"), Some("PACS"), false),
            (&facts("folder", None), None, None, false),
        ] {
            let is_so = came_from(destination, &received(peer, calling_aet));
            assert_eq!(is_so, expected, "{destination:?} {peer:?} {calling_aet:?}");
        }
    }

    #[test]
    fn rules_see_how_an_instance_came() {
        let seen = arrival(&received(Some("ct"), Some("CT1")));
        let title = |text| AeTitle::parse(text).ok();
        assert_eq!((seen.aet, seen.called), (title("CT1"), title("GANTRY")));
        assert_eq!((seen.peer, seen.via), (Some(PeerName::new("ct")), Some(Via::Dimse)));
        assert_eq!(seen.ip, Some(IpAddr::from([10, 0, 0, 1])));
        let web = Received { door: Door::Web, ..received(None, None) };
        assert_eq!(arrival(&web).via, Some(Via::Dicomweb));
    }
}
