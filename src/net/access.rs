//! Who may call: configured peers, by AE title and address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::AeTitle;

use crate::config::{Accept, Config, Peer};

/// Decides whether a caller may associate.
///
/// Host names are looked up when somebody calls under their peer's AE title, and the answer is kept for [`KEPT`].
pub(crate) struct Access {
    config: Arc<Config>,
    addresses: Mutex<HashMap<String, Known>>,
}

struct Known {
    addresses: Vec<IpAddr>,
    since: Instant,
}

impl Access {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { config, addresses: Mutex::default() }
    }

    /// Whether a peer of this calling AE title may associate from this address. Takes at most `connect_timeout`. Cancel safe.
    pub(crate) async fn admits(&self, calling: Option<&AeTitle>, from: IpAddr) -> bool {
        match self.config.accept {
            Accept::Any => true,
            Accept::Known => {
                let from = from.to_canonical();
                for peer in self.config.peers.iter().filter(|peer| calling == Some(&peer.ae_title)) {
                    if peer.from.iter().any(|network| network.contains(&from))
                        || self.is_host(peer, from).await
                    {
                        return true;
                    }
                }
                false
            }
        }
    }

    async fn is_host(&self, peer: &Peer, from: IpAddr) -> bool {
        if let Some(known) = self.known(&peer.address) {
            return known.contains(&from);
        }
        let lookup = tokio::net::lookup_host(&peer.address);
        let addresses = match tokio::time::timeout(self.config.connect_timeout, lookup).await {
            Ok(Ok(addresses)) => addresses.map(|address| address.ip().to_canonical()).collect(),
            Ok(Err(error)) => {
                tracing::warn!(peer = %peer.name, address = peer.address, %error, "cannot look up the host of a peer");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(peer = %peer.name, address = peer.address, "looking up the host of a peer takes too long");
                Vec::new()
            }
        };
        let is_host = addresses.contains(&from);
        let known = Known { addresses, since: Instant::now() };
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.address.clone(), known);
        is_host
    }

    fn known(&self, address: &str) -> Option<Vec<IpAddr>> {
        let kept = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.get(address)?;
        (known.since.elapsed() < KEPT).then(|| known.addresses.clone())
    }
}

/// Short enough that a host that moves may soon call again, long enough that a burst of associations asks once.
const KEPT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PeerName;

    fn access(accept: Accept, peers: &[(&str, &str, &[&str])]) -> Access {
        let peers = peers.iter().map(|(ae_title, address, from)| Peer {
            name: PeerName::new("peer"),
            ae_title: AeTitle::parse(ae_title).unwrap(),
            address: (*address).to_owned(),
            from: from.iter().map(|network| network.parse().unwrap()).collect(),
        });
        Access::new(Arc::new(Config { accept, peers: peers.collect(), ..crate::tests::config() }))
    }

    #[tokio::test]
    async fn a_known_peer_calls_from_its_host_or_networks() {
        let access = access(
            Accept::Known,
            &[
                ("PACS", "127.0.0.1:104", &[]),
                ("CT", "host.invalid:104", &["10.0.0.0/8", "fd00::/8"]),
                ("PACS", "192.0.2.7:104", &[]),
            ],
        );
        for (calling, from, admitted) in [
            ("PACS", "127.0.0.1", true),
            ("PACS", "::ffff:127.0.0.1", true),
            ("PACS", "192.0.2.7", true),
            ("PACS", "127.0.0.2", false),
            ("pacs", "127.0.0.1", false),
            ("CT", "10.1.2.3", true),
            ("CT", "::ffff:10.1.2.3", true),
            ("CT", "fd00::1", true),
            ("CT", "127.0.0.1", false),
            ("OTHER", "127.0.0.1", false),
        ] {
            let calling = AeTitle::parse(calling).unwrap();
            assert_eq!(
                access.admits(Some(&calling), from.parse().unwrap()).await,
                admitted,
                "{calling} from {from}"
            );
        }
        assert!(!access.admits(None, "127.0.0.1".parse().unwrap()).await);
    }

    #[tokio::test]
    async fn anybody_may_call_where_that_is_configured() {
        assert!(access(Accept::Any, &[]).admits(None, "192.0.2.1".parse().unwrap()).await);
    }
}
