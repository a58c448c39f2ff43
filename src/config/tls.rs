//! From checked values to TLS: what belongs together, and whether the files named there can be used.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use net::tls::{
    CertificateName, Client, ClientAuth, ClientSettings, FileError, FileRole, KeyFiles, Server,
    ServerSettings,
};

use super::For;
use super::fault::Finder;
use super::keys::Section;
use super::walk::{Document, Named, Values};

/// The TLS that callers meet, `None` inside where there is none; `None` when a fault stands in the way, which is then noted.
pub(super) fn server(
    document: &Document,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<Option<Server>> {
    let values = document.table(Section::DimseTls);
    let own = own_files(values, "[dimse.tls]", folder, purpose, finder);
    let ca = ca(values, folder, purpose, finder)?;
    let own = own?;
    let client_auth: ClientAuth = values.get("client_auth")?;
    let Some(listen) = values.get::<Option<SocketAddr>>("listen")? else {
        note_unused(document, values, finder);
        return Some(None);
    };
    let Some(own) = own else {
        let help =
            "name our certificate and its key: certificate = \"tls/gantry.pem\" and key = \"tls/gantry.key\"";
        finder.add(&place(values, "listen"), "TLS needs `certificate` and `key`", help.to_owned());
        return None;
    };
    let pins: Vec<[u8; 32]> = document.peers.iter().flat_map(fingerprints).collect();
    if client_auth != ClientAuth::None && ca.is_none() && pins.is_empty() {
        let at = values.place("client_auth").unwrap_or_else(|| place(values, "listen"));
        let help = "name their CA in `ca`, or their fingerprints in [peer.NAME] as certificate = [\"sha256:…\"], or write \
                    client_auth = \"none\"";
        finder.add(&at, "nothing says whose certificates callers may present", help.to_owned());
        return None;
    }
    Some(Some(Server::new(ServerSettings { listen, own, ca, client_auth, pins })))
}

/// The TLS by which a peer is called, `None` inside where it is called without; `None` when a fault stands in the way.
pub(super) fn client(
    peer: &Named,
    document: &Document,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<Option<Client>> {
    let names: Vec<CertificateName> = peer.values.get("certificate")?;
    let Some(given) = peer.values.get::<Option<Values>>("tls")? else {
        note_unbound(peer, &names, document, finder);
        return Some(None);
    };
    let table = format!("`tls` of [peer.{}]", peer.name);
    let own = own_files(&given, &table, folder, purpose, finder);
    let ca = ca(&given, folder, purpose, finder)?;
    let general = document.table(Section::DimseTls);
    let ca = ca.or_else(|| file(general, "ca", folder));
    let own = own?.or_else(|| key_files(general, folder));
    if ca.is_none() && fingerprints(peer).next().is_none() {
        let message = format!("nothing says whose certificate [peer.{}] may have", peer.name);
        let help = "name its CA: tls = { ca = \"ca.pem\" }, or `ca` in [dimse.tls]; or its fingerprint: certificate = \
                    [\"sha256:…\"]";
        finder.add(&peer.values.place("tls").unwrap_or(peer.at.clone()), message, help.to_owned());
        return None;
    }
    let server_name = Some(given.get::<String>("server_name")?).filter(|name| !name.is_empty());
    Some(Some(Client::new(ClientSettings { own, ca, server_name, names })))
}

/// The certificate and key of a table, which has both or none, after a look into the files.
fn own_files(
    values: &Values,
    table: &str,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<Option<KeyFiles>> {
    let (certificate, key) =
        (values.get::<Option<PathBuf>>("certificate")?, values.get::<Option<PathBuf>>("key")?);
    let missing = match (&certificate, &key) {
        (Some(_), Some(_)) => None,
        (None, None) => return Some(None),
        (Some(_), None) => Some(("certificate", "key")),
        (None, Some(_)) => Some(("key", "certificate")),
    };
    if let Some((given, missing)) = missing {
        let message = format!("{table} has `{given}` without `{missing}`");
        finder.add(&place(values, given), message, format!("add `{missing}`, or leave both out"));
        return None;
    }
    let own = key_files(values, folder)?;
    if purpose != For::Asking {
        look_at_key_files(&own, values, purpose, finder)?;
    }
    Some(Some(own))
}

fn look_at_key_files(own: &KeyFiles, values: &Values, purpose: For, finder: &mut Finder<'_>) -> Option<()> {
    if net::tls::is_open_to_others(&own.key) {
        let message = format!("`key`: every user of this machine can read or write {}", own.key.display());
        finder.warn(&place(values, "key"), message, format!("chmod o= {}", own.key.display()));
    }
    let certificate = match own.check() {
        Ok(certificate) => certificate,
        Err(error) => return note_file(&error, values, purpose, finder),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let left = certificate.not_after.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    let at = place(values, "certificate");
    if left < 0 {
        let message = format!("`certificate`: it has expired: {certificate}");
        finder.warn(&at, message, "peers will refuse it; put a new one in its place".to_owned());
    } else if left < SOON_SECONDS {
        let message =
            format!("`certificate`: it expires within {} days: {certificate}", left / DAY_SECONDS + 1);
        finder.warn(&at, message, None);
    }
    Some(())
}

/// The CAs of a table, after a look into the file.
fn ca(values: &Values, folder: &Path, purpose: For, finder: &mut Finder<'_>) -> Option<Option<PathBuf>> {
    values.get::<Option<PathBuf>>("ca")?;
    let ca = file(values, "ca", folder);
    if let (Some(ca), true) = (&ca, purpose != For::Asking)
        && let Err(error) = net::tls::check_ca(ca)
    {
        note_file(&error, values, purpose, finder)?;
    }
    Some(ca)
}

/// Notes what is wrong with a file; that it cannot be read, whoever only checks may be told in passing: keys are not for everybody.
pub(super) fn note_file(
    error: &FileError,
    values: &Values,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<()> {
    let key = match error.role {
        FileRole::Certificate => "certificate",
        FileRole::Key => "key",
        FileRole::Ca => "ca",
        FileRole::TokenKeys => "jwt_key",
    };
    let at = place(values, key);
    if error.is_unreadable && purpose == For::Checking {
        let help = "the server's user must be able to read it".to_owned();
        finder.warn(&at, format!("`{key}`: {error}, so the server would not start here"), help);
        return Some(());
    }
    finder.add(&at, format!("`{key}`: {error}"), None);
    None
}

/// Keys that lead to nothing.
fn note_unused(document: &Document, values: &Values, finder: &mut Finder<'_>) {
    let is_called = |peer: &Named| matches!(peer.values.get::<Option<Values>>("tls"), Some(Some(_)));
    let given = ["certificate", "ca", "client_auth"].into_iter().find_map(|key| values.place(key));
    if let Some(at) = given
        && !document.peers.iter().any(is_called)
    {
        let help =
            "write listen = \"0.0.0.0:2762\" in [dimse.tls], or tls = true in a [peer.NAME]".to_owned();
        finder.warn(&at, "nobody uses TLS: there is no `listen` here and no peer with `tls`", help);
    }
}

/// A peer that must present its certificate, where no caller can present any.
fn note_unbound(peer: &Named, names: &[CertificateName], document: &Document, finder: &mut Finder<'_>) {
    let values = document.table(Section::DimseTls);
    let has_port = values.get::<Option<SocketAddr>>("listen").flatten().is_some();
    let is_asked = values.get::<ClientAuth>("client_auth").is_some_and(|asked| asked != ClientAuth::None);
    let is_pinned = names.iter().any(|name| matches!(name, CertificateName::Sha256(_)));
    let has_ca = values.get::<Option<PathBuf>>("ca").flatten().is_some();
    let (why, help) = match (has_port, is_asked) {
        _ if names.is_empty() => return,
        (false, _) => {
            ("there is no port for TLS", "write `listen` in [dimse.tls], or leave `certificate` out")
        }
        (true, false) => {
            ("client_auth is \"none\"", "write client_auth = \"optional\" or \"required\" in [dimse.tls]")
        }
        (true, true) if !has_ca && !is_pinned => (
            "no CA is known",
            "name it as `ca` in [dimse.tls], or the certificate by its fingerprint: \"sha256:…\"",
        ),
        (true, true) => return,
    };
    let message = format!("[peer.{}] could never call: it must present a certificate, and {why}", peer.name);
    finder.add(&peer.values.place("certificate").unwrap_or(peer.at.clone()), message, help.to_owned());
}

fn key_files(values: &Values, folder: &Path) -> Option<KeyFiles> {
    Some(KeyFiles { certificate: file(values, "certificate", folder)?, key: file(values, "key", folder)? })
}

fn file(values: &Values, key: &str, folder: &Path) -> Option<PathBuf> {
    values.get::<Option<PathBuf>>(key)?.map(|path| folder.join(path))
}

fn fingerprints(peer: &Named) -> impl Iterator<Item = [u8; 32]> {
    let names = peer.values.get::<Vec<CertificateName>>("certificate").unwrap_or_default();
    names.into_iter().filter_map(|name| match name {
        CertificateName::Sha256(sha256) => Some(sha256),
        _ => None,
    })
}

fn place(values: &Values, key: &str) -> Range<usize> {
    values.place(key).unwrap_or(0..0)
}

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Time enough to get a new certificate, even from a vendor.
const SOON_SECONDS: i64 = 30 * DAY_SECONDS;
