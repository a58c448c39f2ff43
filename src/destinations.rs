//! From configured destinations to those that deliver.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use dest::{Dicom, Folder, S3, S3Config, Secret};
use net::Peer;
use net::scu::Settings;
use pipeline::{DestinationFacts, Transcoder};
use telemetry::Telemetry;

use crate::config::{self, Config, Destination, Kind, SecretPlace};

/// Everything that delivers, each with its schedule of attempts.
///
/// # Errors
/// A secret is gone since the configuration was checked, or the system gives no TLS.
pub(crate) fn open(
    config: &Config,
    transcoder: &Transcoder,
    telemetry: &Telemetry,
) -> anyhow::Result<Vec<(Arc<dyn pipeline::Destination>, pipeline::Retry)>> {
    let open = |one: &Destination| {
        let opened = open_one(one, config, transcoder, telemetry)
            .with_context(|| format!("[destination.{}]", one.name));
        Ok((opened?, one.retry.clone()))
    };
    config.destinations.iter().map(open).collect()
}

fn open_one(
    destination: &Destination,
    config: &Config,
    transcoder: &Transcoder,
    telemetry: &Telemetry,
) -> anyhow::Result<Arc<dyn pipeline::Destination>> {
    let name = destination.name.clone();
    Ok(match &destination.kind {
        Kind::Dicom { peer, associations } => {
            let peer = find(peer, config).ok_or_else(|| anyhow!("there is no [peer.{peer}]"))?;
            let settings = Settings::new(&config.net, config.net.ae_title.clone());
            let transcoder = transcoder.clone();
            Arc::new(Dicom::new(name, peer.target(), settings, *associations, transcoder, telemetry.clone()))
        }
        Kind::S3(bucket) => Arc::new(S3::new(name, s3(bucket)?)?),
        Kind::Folder { path, parallel } => Arc::new(Folder::new(name, path.clone(), *parallel)),
    })
}

fn s3(bucket: &config::S3) -> anyhow::Result<S3Config> {
    let read = |place: &SecretPlace| -> anyhow::Result<Secret> {
        Ok(Secret::new(place.read().map_err(|(message, help)| anyhow!("{message}: {help}"))?))
    };
    let (access_key_id, secret_access_key) = match &bucket.keys {
        Some((id, secret)) => (Some(read(id)?), Some(read(secret)?)),
        None => (None, None),
    };
    Ok(S3Config {
        endpoint: bucket.endpoint.clone(),
        bucket: bucket.bucket.clone(),
        prefix: bucket.prefix.clone(),
        region: bucket.region.clone(),
        access_key_id,
        secret_access_key,
        parallel: bucket.parallel,
    })
}

/// What routing has to know of the destinations.
pub(crate) fn facts(config: &Config) -> Vec<DestinationFacts> {
    let facts = |one: &Destination| DestinationFacts {
        name: one.name.clone(),
        peer: match &one.kind {
            Kind::Dicom { peer, .. } => {
                find(peer, config).map(|peer| (peer.name.clone(), peer.ae_title.clone()))
            }
            Kind::S3(_) | Kind::Folder { .. } => None,
        },
    };
    config.destinations.iter().map(facts).collect()
}

fn find<'c>(name: &model::PeerName, config: &'c Config) -> Option<&'c Peer> {
    config.net.peers.iter().find(|peer| peer.name == *name)
}
