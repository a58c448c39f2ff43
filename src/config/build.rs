//! From checked values to the crates' own configurations: defaults that depend on other keys, and faults between keys.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use super::fault::Finder;
use super::keys::Section;
use super::value::is_loopback;
use super::walk::{Document, Named, Values};
use super::{Config, For, destination, peer, tls, upstream};

/// Builds the configuration, without rules; `None` when a fault stands in the way, which is then noted.
pub(super) fn config(
    document: &Document,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<Config> {
    refuse_open_web(document.table(Section::Web), finder);
    refuse_one_port_for_two(document, finder);
    refuse_repeated_peers(&document.peers, finder);
    let destinations = destination::destinations(document, folder, purpose, finder);
    let upstreams = upstream::upstreams(document, finder);
    let root = document.table(Section::Root);
    let data_dir = folder.join(root.get::<std::path::PathBuf>("data_dir")?);
    let archive = archive::Config {
        data_dir: std::path::absolute(&data_dir).unwrap_or(data_dir),
        min_free_bytes: document.table(Section::Storage).get("min_free_bytes")?,
    };
    let net = net(document, folder, purpose, finder)?;
    Some(Config {
        web: web(document.table(Section::Web), &archive, &net)?,
        archive,
        net,
        web_open: document.table(Section::Web).get("open")?,
        destinations,
        upstreams,
        rules: None,
        warnings: Vec::new(),
    })
}

fn net(document: &Document, folder: &Path, purpose: For, finder: &mut Finder<'_>) -> Option<net::Config> {
    let dimse = document.table(Section::Dimse);
    warn_of_idle_aliases(dimse, finder);
    let tls = tls::server(document, folder, purpose, finder);
    let peers: Vec<_> = in_order(&document.peers)
        .into_iter()
        .map(|named| peer::peer(named, document, folder, purpose, finder))
        .collect();
    let listen: SocketAddr = dimse.get("listen")?;
    let tls_listen: Option<SocketAddr> = document.table(Section::DimseTls).get("listen")?;
    let given: net::Accept = dimse.get("accept")?;
    let accept = match dimse.place("accept") {
        Some(_) => given,
        None if is_loopback(listen.ip()) && tls_listen.is_none_or(|at| is_loopback(at.ip())) => {
            net::Accept::Any
        }
        None => net::Accept::Known,
    };
    Some(net::Config {
        ae_title: document.table(Section::Root).get("ae_title")?,
        listen,
        tls: tls?,
        accept,
        check_called_ae: dimse.get("check_called_ae")?,
        aliases: dimse.get("aliases")?,
        max_pdu_bytes: u32::try_from(dimse.get::<u64>("max_pdu_bytes")?).expect("the table's range fits"),
        max_associations: usize::try_from(dimse.get::<u64>("max_associations")?)
            .expect("the table's range fits"),
        artim_timeout: dimse.get("artim_timeout")?,
        idle_timeout: dimse.get("idle_timeout")?,
        message_timeout: dimse.get("message_timeout")?,
        connect_timeout: dimse.get("connect_timeout")?,
        report_retry: dimse.get("report_retry")?,
        move_associations: usize::try_from(dimse.get::<u64>("move_associations")?)
            .ok()
            .and_then(NonZeroUsize::new)
            .expect("the table's range fits"),
        peers: peers.into_iter().collect::<Option<_>>()?,
    })
}

fn warn_of_idle_aliases(dimse: &Values, finder: &mut Finder<'_>) {
    if let (Some(at), Some(false)) = (dimse.place("aliases"), dimse.get::<bool>("check_called_ae")) {
        let help = "write check_called_ae = true, or leave `aliases` out".to_owned();
        finder.warn(&at, "every called AE title is taken, so `aliases` changes nothing", help);
    }
}

fn web(values: &Values, archive: &archive::Config, net: &net::Config) -> Option<web::Config> {
    Some(web::Config {
        listen: values.get("listen")?,
        cors_origins: values.get("cors_origins")?,
        public_url: values.get("public_url")?,
        product: web::Product {
            version: env!("CARGO_PKG_VERSION"),
            ae_title: net.ae_title.clone(),
            dimse: net.listen,
            min_free_bytes: archive.min_free_bytes,
        },
    })
}

fn refuse_open_web(web: &Values, finder: &mut Finder<'_>) {
    let (Some(listen), Some(false)) = (web.get::<SocketAddr>("listen"), web.get::<bool>("open")) else {
        return;
    };
    if !is_loopback(listen.ip()) {
        let message =
            format!("`listen` is {listen}, which other machines reach, and HTTP has no access control yet");
        let help =
            "listen at 127.0.0.1, or write open = true in [web] to let everyone read and write every image";
        finder.add(&place(web, "listen"), message, help.to_owned());
    }
}

fn refuse_one_port_for_two(document: &Document, finder: &mut Finder<'_>) {
    let (dimse, tls, web) =
        (document.table(Section::Dimse), document.table(Section::DimseTls), document.table(Section::Web));
    let listening = [
        ("[dimse]", dimse, dimse.get::<SocketAddr>("listen")),
        ("[dimse.tls]", tls, tls.get::<Option<SocketAddr>>("listen").flatten()),
        ("[web]", web, web.get::<SocketAddr>("listen")),
    ];
    let listening: Vec<_> = listening.iter().filter_map(|(name, of, at)| Some((name, of, (*at)?))).collect();
    for (number, (name, of, at)) in listening.iter().enumerate() {
        for (other_name, other_of, other_at) in listening.iter().skip(number + 1) {
            let port = at.port();
            if port != 0 && port == other_at.port() && overlap(at.ip(), other_at.ip()) {
                let place = other_of.place("listen").unwrap_or_else(|| place(of, "listen"));
                let message = format!("{name} and {other_name} cannot both listen at port {port}");
                finder.add(&place, message, "give each its own port".to_owned());
            }
        }
    }
}

/// Whether listening at both addresses would clash at the same port.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let (a, b) = (a.to_canonical(), b.to_canonical());
    // Where [::] is listened at, IPv4 is usually taken too.
    let is_all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    a == b || is_all(a, b) || is_all(b, a)
}

/// Devices may share an AE title, but nothing tells two peers apart that have the address in common as well.
fn refuse_repeated_peers(peers: &[Named], finder: &mut Finder<'_>) {
    let mut known: Vec<((model::AeTitle, String), &Named)> = Vec::new();
    for peer in in_order(peers) {
        let Some(ae_title) = peer.values.get::<model::AeTitle>("ae_title") else { continue };
        let Some(address) = peer.values.get::<String>("address") else { continue };
        let identity = (ae_title, address);
        match known.iter().find(|(other, _)| *other == identity) {
            Some((_, first)) => {
                let at = place(&peer.values, "ae_title");
                let line = finder.line(&place(&first.values, "ae_title"));
                let message = format!(
                    "[peer.{}] has the AE title and the address of [peer.{}] (line {line})",
                    peer.name, first.name
                );
                let help = "leave one of them out; further networks of one peer go into its `from`";
                finder.add(&at, message, help.to_owned());
            }
            None => known.push((identity, peer)),
        }
    }
}

/// In the order of the file; the document has them by name.
fn in_order(peers: &[Named]) -> Vec<&Named> {
    let mut peers: Vec<_> = peers.iter().collect();
    peers.sort_by_key(|peer| peer.values.place("ae_title").map(|at| at.start));
    peers
}

/// Where a value stands, or the start of the file when it is a default.
fn place(values: &Values, name: &str) -> Range<usize> {
    values.place(name).unwrap_or(0..0)
}
