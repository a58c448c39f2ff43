//! From checked values to upstream archives, and the faults between them.

use std::num::NonZeroUsize;
use std::ops::Range;

use model::{PeerName, UpstreamName};
use net::{RetrieveBy, SopClasses, UpstreamConfig};

use super::destination::refuse_unknown_peer;
use super::fault::Finder;
use super::walk::{Document, Named};

/// One `[upstream.NAME]`.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    pub(crate) peer: PeerName,
    pub(crate) config: UpstreamConfig,
}

/// Builds the upstream archives, in the order of the file; those in whose way a fault stands are left out, and the fault is noted.
pub(super) fn upstreams(document: &Document, finder: &mut Finder<'_>) -> Vec<Upstream> {
    let mut named: Vec<_> = document.upstreams.iter().collect();
    named.sort_by_key(|named| named.at.start);
    refuse_one_peer_twice(&named, finder);
    named.into_iter().filter_map(|named| upstream(named, document, finder)).collect()
}

fn upstream(named: &Named, document: &Document, finder: &mut Finder<'_>) -> Option<Upstream> {
    let peer: String = named.values.get("peer")?;
    refuse_unknown_peer(&peer, named, &document.peers, finder)?;
    let config = UpstreamConfig {
        name: UpstreamName::new(&named.name),
        find: named.values.get("find")?,
        fetch: named.values.get("fetch")?,
        retrieve: named.values.get("retrieve")?,
        associations: usize::try_from(named.values.get::<u64>("associations")?)
            .ok()
            .and_then(NonZeroUsize::new)?,
        timeout: named.values.get("timeout")?,
        fetch_timeout: named.values.get("fetch_timeout")?,
    };
    if !config.find && !config.fetch {
        let help = "leave it out, or let it `find` or `fetch`".to_owned();
        finder.warn(&named.at, format!("[upstream.{}] is asked for nothing", named.name), help);
    }
    if config.retrieve == RetrieveBy::Move && !may_store(document, &peer) {
        let message = format!("[peer.{peer}] may not store here, so that nothing comes by C-MOVE");
        let help = format!("add \"storage\" to `sop_classes` of [peer.{peer}], or write retrieve = \"get\"");
        finder.add(&place(named, "retrieve"), message, help);
        return None;
    }
    Some(Upstream { peer: PeerName::new(&peer), config })
}

/// Whether a peer may bring instances, some at least.
fn may_store(document: &Document, peer: &str) -> bool {
    let peer = document.peers.iter().find(|named| named.name == peer);
    let classes = peer.and_then(|peer| peer.values.get::<Vec<SopClasses>>("sop_classes")).unwrap_or_default();
    let is_storage = |class: &SopClasses| match class {
        SopClasses::Storage => true,
        SopClasses::One(uid) => model::sop::is_storage(uid),
    };
    classes.is_empty() || classes.iter().any(is_storage)
}

/// The same archive would be asked everything twice.
fn refuse_one_peer_twice(upstreams: &[&Named], finder: &mut Finder<'_>) {
    let mut known: Vec<(String, &Named)> = Vec::new();
    for &named in upstreams {
        let Some(peer) = named.values.get::<String>("peer") else { continue };
        let Some((_, first)) = known.iter().find(|(other, _)| *other == peer) else {
            known.push((peer, named));
            continue;
        };
        let line = finder.line(&place(first, "peer"));
        let message =
            format!("[upstream.{}] has the peer of [upstream.{}] (line {line})", named.name, first.name);
        finder.add(&place(named, "peer"), message, "leave one of them out".to_owned());
    }
}

/// Where a value stands, or the name where it is a default.
fn place(named: &Named, key: &str) -> Range<usize> {
    named.values.place(key).unwrap_or(named.at.clone())
}
