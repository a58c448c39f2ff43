//! From checked values to destinations, and the faults between them.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use model::{DestinationName, PeerName};

use super::For;
use super::fault::Finder;
use super::keys::Section;
use super::secret::SecretPlace;
use super::text::{self, closest};
use super::walk::{Document, Named};

/// One `[destination.NAME]`.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) name: DestinationName,
    pub(crate) kind: Kind,
    pub(crate) retry: pipeline::Retry,
}

/// Where a destination leads, by its kind.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// C-STORE to a configured peer.
    Dicom { peer: PeerName, associations: NonZeroUsize, verify: Verify, commitment_timeout: Duration },
    /// Objects in a bucket.
    S3(S3),
    /// Files in a folder.
    Folder { path: PathBuf, parallel: NonZeroUsize },
}

/// When an instance counts as delivered to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// When C-STORE was answered with success.
    Status,
    /// When the peer has committed to its storage.
    Commitment,
}

/// A bucket of an S3 service.
#[derive(Debug, Clone)]
pub(crate) struct S3 {
    /// `None`: AWS.
    pub(crate) endpoint: Option<String>,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) region: String,
    /// Access key and secret; `None`: requests are not signed.
    pub(crate) keys: Option<(SecretPlace, SecretPlace)>,
    pub(crate) parallel: NonZeroUsize,
}

/// Builds the destinations; those in whose way a fault stands are left out, and the fault is noted.
pub(super) fn destinations(
    document: &Document,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Vec<Destination> {
    let build = |named: &Named, finder: &mut Finder<'_>| -> Option<Destination> {
        let kind = match named.values.get::<Section>("kind")? {
            Section::Dicom => dicom(named, &document.peers, finder),
            Section::S3 => s3(named, folder, purpose, finder),
            _ => folder_kind(named, folder),
        };
        let name = DestinationName::new(&named.name);
        Some(Destination { name, kind: kind?, retry: named.values.get("retry")? })
    };
    let destinations: Vec<_> =
        in_order(&document.destinations).into_iter().filter_map(|named| build(named, finder)).collect();
    if let Some(data_dir) = document.table(Section::Root).get::<PathBuf>("data_dir") {
        refuse_own_folders(document, &destinations, &plain(&folder.join(data_dir)), finder);
    }
    refuse_shared_folders(document, &destinations, finder);
    refuse_shared_keys(document, &destinations, finder);
    destinations
}

fn dicom(named: &Named, peers: &[Named], finder: &mut Finder<'_>) -> Option<Kind> {
    let peer: String = named.values.get("peer")?;
    refuse_unknown_peer(&peer, named, peers, finder)?;
    let verify = named.values.get("verify")?;
    let commitment_timeout: Duration = named.values.get("commitment_timeout")?;
    let give_up = named.values.get::<pipeline::Retry>("retry")?.give_up;
    let is_given = named.values.place("commitment_timeout").is_some();
    match verify {
        Verify::Commitment if commitment_timeout > give_up && is_given => {
            let help = format!("what is not committed to is given up after {}", text::show_span(give_up));
            finder.warn(
                &place(named, "commitment_timeout"),
                "`commitment_timeout` is longer than `give_up`",
                help,
            );
        }
        Verify::Status if is_given => {
            let help = "add verify = \"commitment\"".to_owned();
            let message = "`commitment_timeout` says nothing while `verify` is \"status\"";
            finder.warn(&place(named, "commitment_timeout"), message, help);
        }
        Verify::Commitment | Verify::Status => {}
    }
    let associations = number(named, "associations")?;
    Some(Kind::Dicom {
        peer: PeerName::new(&peer),
        associations,
        verify,
        commitment_timeout: commitment_timeout.min(give_up),
    })
}

/// Notes that a table names a peer that there is none of.
pub(super) fn refuse_unknown_peer(
    peer: &str,
    named: &Named,
    peers: &[Named],
    finder: &mut Finder<'_>,
) -> Option<()> {
    if peers.iter().any(|known| known.name == peer) {
        return Some(());
    }
    let names: Vec<&str> = peers.iter().map(|known| known.name.as_str()).collect();
    let help = match closest(peer, names.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None if names.is_empty() => format!("add [peer.{peer}] with its `ae_title` and `address`"),
        None => format!("the peers: {}; or add [peer.{peer}]", names.join(", ")),
    };
    finder.add(&place(named, "peer"), format!("there is no [peer.{peer}]"), help);
    None
}

fn s3(named: &Named, folder: &Path, purpose: For, finder: &mut Finder<'_>) -> Option<Kind> {
    let prefix: String = named.values.get("prefix")?;
    if !prefix.is_empty() && !prefix.ends_with('/') {
        let help = format!("for a folder of its own write prefix = \"{prefix}/\"");
        finder.warn(&place(named, "prefix"), format!("keys will begin with {prefix}v1/"), help);
    }
    let secret = |name: &str, finder: &mut Finder<'_>| -> Option<Option<SecretPlace>> {
        let found = named.values.get::<Option<SecretPlace>>(name)?.map(|secret| secret.in_folder(folder));
        if let Some(Err((message, help))) = found.as_ref().map(SecretPlace::read) {
            let at = place(named, name);
            match purpose {
                For::Serving => finder.add(&at, format!("`{name}`: {message}"), help),
                For::Checking => {
                    finder.warn(
                        &at,
                        format!("`{name}`: {message}, so the server would not start here"),
                        help,
                    );
                }
                For::Asking => {}
            }
        }
        Some(found)
    };
    let keys = match (secret("access_key_id", finder)?, secret("secret_access_key", finder)?) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, None) => None,
        (id, _) => {
            let missing = if id.is_some() { "secret_access_key" } else { "access_key_id" };
            let message = format!("[destination.{}] has one key without the other", named.name);
            finder.add(&named.at, message, format!("add `{missing}`, or leave both out"));
            return None;
        }
    };
    Some(Kind::S3(S3 {
        endpoint: named.values.get("endpoint")?,
        bucket: named.values.get("bucket")?,
        prefix,
        region: named.values.get("region")?,
        keys,
        parallel: number(named, "parallel")?,
    }))
}

fn folder_kind(named: &Named, folder: &Path) -> Option<Kind> {
    let path = plain(&folder.join(named.values.get::<PathBuf>("path")?));
    Some(Kind::Folder { path, parallel: number(named, "parallel")? })
}

fn number(named: &Named, key: &str) -> Option<NonZeroUsize> {
    usize::try_from(named.values.get::<u64>(key)?).ok().and_then(NonZeroUsize::new)
}

/// Two lanes that write the same files would each take the other's for their own.
fn refuse_shared_folders(document: &Document, destinations: &[Destination], finder: &mut Finder<'_>) {
    let mut known: Vec<(&Path, &Named)> = Vec::new();
    for (path, named) in folders(document, destinations) {
        match known.iter().find(|(other, _)| *other == path) {
            Some((_, first)) => {
                let line = finder.line(&place(first, "path"));
                let message = format!(
                    "[destination.{}] has the folder of [destination.{}] (line {line})",
                    named.name, first.name
                );
                let help = "give each its own folder, or leave one of them out".to_owned();
                finder.add(&place(named, "path"), message, help);
            }
            None => known.push((path, named)),
        }
    }
}

/// The same of objects under the same keys, on a store that overwrites what it is asked not to.
fn refuse_shared_keys(document: &Document, destinations: &[Destination], finder: &mut Finder<'_>) {
    let keys = |s3: &S3| {
        let endpoint = s3.endpoint.as_ref().map(|endpoint| endpoint.to_ascii_lowercase());
        (endpoint, s3.bucket.clone(), s3.prefix.clone())
    };
    let mut known = Vec::new();
    for destination in destinations {
        let Kind::S3(s3) = &destination.kind else { continue };
        let Some(named) = named(document, destination) else { continue };
        let first = known.iter().find(|(other, _)| *other == keys(s3)).map(|(_, first)| *first);
        let Some(first) = first else {
            known.push((keys(s3), named));
            continue;
        };
        let line = finder.line(&place(first, "bucket"));
        let message = format!(
            "[destination.{}] has the bucket and prefix of [destination.{}] (line {line})",
            named.name, first.name
        );
        let help = "give each its own `prefix`, or leave one of them out".to_owned();
        finder.add(&place(named, "bucket"), message, help);
    }
}

/// What stands in the archive's own folders without a row of the index is set aside at the next start.
fn refuse_own_folders(
    document: &Document,
    destinations: &[Destination],
    data_dir: &Path,
    finder: &mut Finder<'_>,
) {
    for (path, named) in folders(document, destinations) {
        let is_own = ["instances", "unindexed"].iter().any(|own| path.starts_with(data_dir.join(own)));
        if is_own || path == data_dir {
            let message = format!("`path` is {}, where the archive itself keeps its files", path.display());
            finder.add(&place(named, "path"), message, "name another folder".to_owned());
        }
    }
}

/// The folders of destinations of that kind.
fn folders<'a>(
    document: &'a Document,
    destinations: &'a [Destination],
) -> impl Iterator<Item = (&'a Path, &'a Named)> {
    destinations.iter().filter_map(|destination| match &destination.kind {
        Kind::Folder { path, .. } => Some((path.as_path(), named(document, destination)?)),
        Kind::Dicom { .. } | Kind::S3(_) => None,
    })
}

/// The table that a destination was built from.
fn named<'a>(document: &'a Document, destination: &Destination) -> Option<&'a Named> {
    document.destinations.iter().find(|named| named.name == destination.name.as_str())
}

/// In the order of the file; the document has them by name.
fn in_order(named: &[Named]) -> Vec<&Named> {
    let mut named: Vec<_> = named.iter().collect();
    named.sort_by_key(|named| named.at.start);
    named
}

/// Absolute, without `.` and `..`; symbolic links are not looked into.
fn plain(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

/// Where a value stands, or the destination's name when it is a default.
fn place(named: &Named, key: &str) -> Range<usize> {
    named.values.place(key).unwrap_or(named.at.clone())
}
