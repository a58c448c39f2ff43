//! Who calls, and who may: configured peers, by AE title, address and certificate.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::{AeTitle, PeerName};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::{Accept, Config, Peer};
use crate::tls::Certificate;

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
    /// The peers of its AE title that call from other addresses.
    elsewhere: Vec<PeerName>,
    /// The peers of its AE title that have another certificate.
    unproven: Vec<PeerName>,
    /// What the caller presented as its certificate.
    presented: Option<Box<Certificate>>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.elsewhere.is_empty() && self.unproven.is_empty() {
            return f.write_str("no [peer] has this AE title");
        }
        if !self.elsewhere.is_empty() {
            list(&self.elsewhere, f)?;
            f.write_str(if self.elsewhere.len() == 1 { " does" } else { " do" })?;
            f.write_str(" not call from here")?;
        }
        if !self.unproven.is_empty() {
            f.write_str(if self.elsewhere.is_empty() { "" } else { "; " })?;
            list(&self.unproven, f)?;
            f.write_str(if self.unproven.len() == 1 { " has" } else { " have" })?;
            match &self.presented {
                Some(certificate) => write!(f, " another `certificate` than {certificate}")?,
                None => f.write_str(" a `certificate`, and the caller presented none")?,
            }
        }
        Ok(())
    }
}

fn list(peers: &[PeerName], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, peer) in peers.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        write!(f, "{separator}[peer.{peer}]")?;
    }
    Ok(())
}

impl Access {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let unknown = || Mutex::new(Host { addresses: Vec::new(), until: Instant::now() });
        let hosts = config.peers.iter().map(|peer| (peer.address.clone(), unknown())).collect();
        Self { config, hosts }
    }

    /// Which peer calls, by its AE title and from its host or one of its networks, with its certificate where it has one: the first
    /// one configured. A caller that is none may associate where anybody may, but not under the AE title of a peer that proves itself
    /// by a certificate or a user identity. Takes at most twice `connect_timeout` for each peer of this AE title. Cancel safe.
    ///
    /// # Errors
    /// It may not, and why.
    pub(crate) async fn admit(
        &self,
        calling: Option<&AeTitle>,
        from: IpAddr,
        presented: Option<&Certificate>,
    ) -> Result<Option<PeerName>, Stranger> {
        let from = from.to_canonical();
        let (mut elsewhere, mut unproven, mut is_guarded) = (Vec::new(), Vec::new(), false);
        for peer in self.config.peers.iter().filter(|peer| calling == Some(&peer.ae_title)) {
            if !self.is_proven(peer, presented) {
                unproven.push(peer.name.clone());
                continue;
            }
            if peer.from.iter().any(|network| network.contains(&from)) || self.is_host(peer, from).await {
                return Ok(Some(peer.name.clone()));
            }
            is_guarded |= peer.as_caller.is_limited();
            elsewhere.push(peer.name.clone());
        }
        match self.config.accept {
            Accept::Any if unproven.is_empty() && !is_guarded => Ok(None),
            Accept::Any | Accept::Known => {
                Err(Stranger { elsewhere, unproven, presented: presented.cloned().map(Box::new) })
            }
        }
    }

    /// Whether a caller that presented this certificate may be this peer. One that is trusted by its fingerprint is known by nothing
    /// else: nobody vouches for what it says of itself.
    fn is_proven(&self, peer: &Peer, presented: Option<&Certificate>) -> bool {
        let names = &peer.as_caller.certificate;
        let Some(presented) = presented else { return names.is_empty() };
        let is_pinned = |peer: &Peer| presented.is_pinned_by(&peer.as_caller.certificate);
        names.is_empty()
            || is_pinned(peer)
            || presented.is_one_of(names) && !self.config.peers.iter().any(is_pinned)
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
    use crate::CallerTerms;
    use crate::identity::Expected;
    use crate::scu::Terms;
    use crate::tls::CertificateName;

    fn access(accept: Accept, peers: &[(&str, &str, &[&str])]) -> Access {
        let peers = peers.iter().map(|(ae_title, address, from)| Peer {
            name: PeerName::new(&ae_title.to_lowercase()),
            ae_title: AeTitle::parse(ae_title).unwrap(),
            address: (*address).to_owned(),
            from: from.iter().map(|network| network.parse().unwrap()).collect(),
            as_caller: CallerTerms::default(),
            as_called: Terms::default(),
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
                access.admit(Some(&calling), from.parse().unwrap(), None).await.is_ok(),
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
            let stranger =
                access.admit(calling.as_ref(), "198.51.100.1".parse().unwrap(), None).await.unwrap_err();
            assert_eq!(stranger.to_string(), why);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_failed_is_soon_made_again() {
        let access = access(Accept::Known, &[("PACS", "127.0.0.1:104", &[]), ("CT", "no port", &[])]);
        let due_in = async |calling, address: &str, admitted| {
            let calling = AeTitle::parse(calling).unwrap();
            assert_eq!(
                access.admit(Some(&calling), "127.0.0.1".parse().unwrap(), None).await.is_ok(),
                admitted
            );
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
        assert_eq!(access(Accept::Any, &[]).admit(None, "192.0.2.1".parse().unwrap(), None).await, Ok(None));
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
                let found = access.admit(Some(&title), from.parse().unwrap(), None).await;
                match (name, accept) {
                    (Some(_), _) | (None, Accept::Any) => {
                        assert_eq!(found, Ok(name.map(PeerName::new)), "{calling} from {from}");
                    }
                    (None, Accept::Known) => assert!(found.is_err(), "{calling} from {from}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn nobody_else_takes_the_ae_title_of_a_peer_with_a_user_identity() {
        let mut access = access(Accept::Any, &[("CT", "127.0.0.1:1", &[]), ("MR", "127.0.0.1:1", &[])]);
        let mut config = Config::clone(&access.config);
        config.peers[0].as_caller.identity = Some(Expected::User { name: "ct".to_owned(), passcode: None });
        access.config = Arc::new(config);
        for (calling, from, expected) in [
            ("CT", "127.0.0.1", Ok(Some(PeerName::new("ct")))),
            ("CT", "127.0.0.2", Err("[peer.ct] does not call from here".to_owned())),
            ("MR", "127.0.0.2", Ok(None)),
        ] {
            let title = AeTitle::parse(calling).unwrap();
            let found = access.admit(Some(&title), from.parse().unwrap(), None).await;
            assert_eq!(found.map_err(|stranger| stranger.to_string()), expected, "{calling} from {from}");
        }
    }

    #[tokio::test]
    async fn the_ae_title_of_a_peer_with_a_certificate_takes_that_certificate() {
        let certificate = |byte: u8| Certificate {
            sha256: [byte; 32],
            issuer: String::new(),
            subject: "CN=CT1".to_owned(),
            common_names: vec!["CT1".to_owned()],
            names: Vec::new(),
            not_before: 0,
            not_after: 0,
        };
        let (right, wrong) = (certificate(1), certificate(2));
        for (accept, free) in [(Accept::Any, true), (Accept::Known, false)] {
            let mut access = access(
                accept,
                &[("CT", "127.0.0.1:1", &[]), ("CT", "127.0.0.2:1", &[]), ("MR", "127.0.0.1:1", &[])],
            );
            name_by_address(&mut access);
            let mut config = Config::clone(&access.config);
            config.peers[0].as_caller.certificate = vec![CertificateName::Sha256([1; 32])];
            access.config = Arc::new(config);
            for (calling, from, presented, expected) in [
                ("CT", "127.0.0.1", Some(&right), Ok(Some("ct 127.0.0.1:1"))),
                (
                    "CT",
                    "127.0.0.1",
                    Some(&wrong),
                    Err(
                        "[peer.ct 127.0.0.2:1] does not call from here; [peer.ct 127.0.0.1:1] has another `certificate` than CN=CT1, until 1970-01-01, sha256:",
                    ),
                ),
                (
                    "CT",
                    "127.0.0.1",
                    None,
                    Err(
                        "[peer.ct 127.0.0.2:1] does not call from here; [peer.ct 127.0.0.1:1] has a `certificate`, and the caller presented none",
                    ),
                ),
                ("CT", "127.0.0.2", None, Ok(Some("ct 127.0.0.2:1"))),
                ("MR", "127.0.0.1", Some(&wrong), Ok(Some("mr 127.0.0.1:1"))),
                ("US", "127.0.0.1", None, if free { Ok(None) } else { Err("no [peer] has this AE title") }),
            ] {
                let title = AeTitle::parse(calling).unwrap();
                let found = access.admit(Some(&title), from.parse().unwrap(), presented).await;
                match (found, expected) {
                    (Ok(found), Ok(expected)) => assert_eq!(found, expected.map(PeerName::new)),
                    (Err(found), Err(expected)) => {
                        assert!(found.to_string().starts_with(expected), "{found}");
                    }
                    (found, expected) => panic!("{calling} from {from}: {found:?}, not {expected:?}"),
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
