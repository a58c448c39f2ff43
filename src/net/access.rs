//! Who calls, and who may: configured peers, by AE title and address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::{AeTitle, PeerName};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::{Accept, Config, Peer};

/// Tells which peer a caller is, and whether it may associate.
///
/// Host names are looked up when somebody calls under their peer's AE title, each by one caller at a time. The answer is kept for
/// [`KEPT`], but that there is none only for [`PAUSE`].
pub(crate) struct Access {
    config: Arc<Config>,
    hosts: HashMap<String, Mutex<Host>>,
}

/// What is known of the host of a peer.
struct Host {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// A caller that is no known peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stranger {
    /// The peers of its AE title, which call from other addresses.
    elsewhere: Vec<PeerName>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.elsewhere.split_first() else {
            return f.write_str("no [peer] has this AE title");
        };
        write!(f, "[peer.{first}]")?;
        for other in others {
            write!(f, ", [peer.{other}]")?;
        }
        f.write_str(if others.is_empty() { " does" } else { " do" })?;
        f.write_str(" not call from here")
    }
}

impl Access {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let unknown = || Mutex::new(Host { addresses: Vec::new(), until: Instant::now() });
        let hosts = config.peers.iter().map(|peer| (peer.address.clone(), unknown())).collect();
        Self { config, hosts }
    }

    /// Which peer calls, by its AE title and from its host or one of its networks: the first one configured. A caller that is none
    /// may associate where anybody may. Takes at most twice `connect_timeout` for each peer of this AE title. Cancel safe.
    ///
    /// # Errors
    /// It may not, and why.
    pub(crate) async fn admit(
        &self,
        calling: Option<&AeTitle>,
        from: IpAddr,
    ) -> Result<Option<PeerName>, Stranger> {
        let from = from.to_canonical();
        let mut elsewhere = Vec::new();
        for peer in self.config.peers.iter().filter(|peer| calling == Some(&peer.ae_title)) {
            if peer.from.iter().any(|network| network.contains(&from)) || self.is_host(peer, from).await {
                return Ok(Some(peer.name.clone()));
            }
            elsewhere.push(peer.name.clone());
        }
        match self.config.accept {
            Accept::Any => Ok(None),
            Accept::Known => Err(Stranger { elsewhere }),
        }
    }

    async fn is_host(&self, peer: &Peer, from: IpAddr) -> bool {
        let Some(host) = self.hosts.get(&peer.address) else { return false };
        let Ok(mut host) = timeout(self.config.connect_timeout, host.lock()).await else { return false };
        if host.until <= Instant::now() {
            *host = self.look_up(peer).await;
        }
        host.addresses.contains(&from)
    }

    async fn look_up(&self, peer: &Peer) -> Host {
        let lookup = tokio::net::lookup_host(&peer.address);
        match timeout(self.config.connect_timeout, lookup).await {
            Ok(Ok(addresses)) => {
                let addresses = addresses.map(|address| address.ip().to_canonical()).collect();
                return Host { addresses, until: Instant::now() + KEPT };
            }
            Ok(Err(error)) => {
                tracing::warn!(peer = %peer.name, address = peer.address, %error, "cannot look up the host of a peer");
            }
            Err(_) => {
                tracing::warn!(peer = %peer.name, address = peer.address, "looking up the host of a peer takes too long");
            }
        }
        Host { addresses: Vec::new(), until: Instant::now() + PAUSE }
    }
}

/// Short enough that a host that moves may soon call again, long enough that a burst of associations asks once.
const KEPT: Duration = Duration::from_secs(30);
/// After a lookup that failed: a name server that is back is asked at once, and one that is gone is not flooded.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn access(accept: Accept, peers: &[(&str, &str, &[&str])]) -> Access {
        let peers = peers.iter().map(|(ae_title, address, from)| Peer {
            name: PeerName::new(&ae_title.to_lowercase()),
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
                access.admit(Some(&calling), from.parse().unwrap()).await.is_ok(),
                admitted,
                "{calling} from {from}"
            );
        }
        for (calling, why) in [
            (None, "no [peer] has this AE title"),
            (Some("OTHER"), "no [peer] has this AE title"),
            (Some("CT"), "[peer.ct] does not call from here"),
            (Some("PACS"), "[peer.pacs], [peer.pacs] do not call from here"),
        ] {
            let calling = calling.map(|title| AeTitle::parse(title).unwrap());
            let stranger = access.admit(calling.as_ref(), "198.51.100.1".parse().unwrap()).await.unwrap_err();
            assert_eq!(stranger.to_string(), why);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_failed_is_soon_made_again() {
        let access = access(Accept::Known, &[("PACS", "127.0.0.1:104", &[]), ("CT", "no port", &[])]);
        let due_in = async |calling, address: &str, admitted| {
            let calling = AeTitle::parse(calling).unwrap();
            assert_eq!(access.admit(Some(&calling), "127.0.0.1".parse().unwrap()).await.is_ok(), admitted);
            access.hosts[address].lock().await.until - Instant::now()
        };
        assert_eq!(due_in("PACS", "127.0.0.1:104", true).await, KEPT);
        assert_eq!(due_in("CT", "no port", false).await, PAUSE);
        tokio::time::advance(PAUSE / 2).await;
        assert_eq!(due_in("CT", "no port", false).await, PAUSE / 2, "not at once");
        tokio::time::advance(PAUSE).await;
        assert_eq!(due_in("CT", "no port", false).await, PAUSE);
        assert!(due_in("PACS", "127.0.0.1:104", true).await < KEPT);
    }

    #[tokio::test]
    async fn anybody_may_call_where_that_is_configured() {
        assert_eq!(access(Accept::Any, &[]).admit(None, "192.0.2.1".parse().unwrap()).await, Ok(None));
    }

    #[tokio::test]
    async fn a_peer_is_told_by_title_and_address() {
        let peers: &[(&str, &str, &[&str])] = &[
            ("CT", "127.0.0.1:1", &["10.1.0.0/16"]),
            ("CT", "127.0.0.2:1", &["10.0.0.0/8"]),
            ("MR", "127.0.0.1:1", &[]),
        ];
        for accept in [Accept::Any, Accept::Known] {
            let mut access = access(accept, peers);
            name_by_address(&mut access);
            for (calling, from, name) in [
                ("CT", "10.1.2.3", Some("ct 127.0.0.1:1")),
                ("CT", "10.2.2.3", Some("ct 127.0.0.2:1")),
                ("CT", "::ffff:127.0.0.2", Some("ct 127.0.0.2:1")),
                ("MR", "127.0.0.1", Some("mr 127.0.0.1:1")),
                ("MR", "10.1.2.3", None),
                ("US", "127.0.0.1", None),
            ] {
                let title = AeTitle::parse(calling).unwrap();
                let found = access.admit(Some(&title), from.parse().unwrap()).await;
                match (name, accept) {
                    (Some(_), _) | (None, Accept::Any) => {
                        assert_eq!(found, Ok(name.map(PeerName::new)), "{calling} from {from}");
                    }
                    (None, Accept::Known) => assert!(found.is_err(), "{calling} from {from}"),
                }
            }
        }
    }

    /// Peers of one AE title get names of their own.
    fn name_by_address(access: &mut Access) {
        let mut config = Config::clone(&access.config);
        for peer in &mut config.peers {
            peer.name = PeerName::new(&format!("{} {}", peer.name, peer.address));
        }
        access.config = Arc::new(config);
    }
}
