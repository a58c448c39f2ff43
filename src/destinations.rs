//! From configured destinations to those that deliver.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use dest::{Dicom, Folder, S3, S3Config, Secret, Verifier};
use model::DestinationName;
use net::Peer;
use net::scu::{Settings, Target};
use pipeline::peers::PeerMemory;
use pipeline::{CommitmentTerms, DestinationFacts, Pipeline};
use telemetry::Telemetry;

use crate::config::{self, Config, Destination, Kind, SecretPlace, Verify};

/// Everything that delivers, each with its schedule of attempts.
///
/// # Errors
/// A secret is gone since the configuration was checked, or the system gives no TLS.
pub(crate) fn open(
    config: &Config,
    pipeline: &Pipeline,
    telemetry: &Telemetry,
) -> anyhow::Result<Vec<(Arc<dyn pipeline::Destination>, pipeline::Retry)>> {
    let open = |one: &Destination| {
        let opened =
            open_one(one, config, pipeline, telemetry).with_context(|| format!("[destination.{}]", one.name));
        Ok((opened?, one.retry.clone()))
    };
    config.destinations.iter().map(open).collect()
}

fn open_one(
    destination: &Destination,
    config: &Config,
    pipeline: &Pipeline,
    telemetry: &Telemetry,
) -> anyhow::Result<Arc<dyn pipeline::Destination>> {
    let name = destination.name.clone();
    Ok(match &destination.kind {
        Kind::Dicom { peer, associations, verify, .. } => {
            let peer = find(peer, config).ok_or_else(|| anyhow!("there is no [peer.{peer}]"))?;
            let (target, settings) = call(peer, config, pipeline.peers());
            let transcoder = pipeline.transcoder().clone();
            let dicom = Dicom::new(name, target, settings, *associations, transcoder, telemetry.clone());
            match verify {
                Verify::Status => Arc::new(dicom),
                Verify::Commitment => Arc::new(dicom.verified()),
            }
        }
        Kind::S3(bucket) => Arc::new(S3::new(name, s3(bucket)?)?),
        Kind::Folder { path, parallel } => Arc::new(Folder::new(name, path.clone(), *parallel)),
    })
}

/// Those that ask destinations whether they keep what they took, once the pipeline knows the destinations.
pub(crate) fn verifiers(
    config: &Config,
    pipeline: &Pipeline,
    telemetry: &Telemetry,
) -> Vec<(DestinationName, Verifier)> {
    let verifier = |one: &Destination| {
        let Kind::Dicom { peer, .. } = &one.kind else { return None };
        let verification = pipeline.verification(&one.name)?;
        let peer = find(peer, config)?;
        let (target, settings) = call(peer, config, pipeline.peers());
        let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
        let verifier = Verifier::new(target, peer.name.clone(), settings, pipeline, telemetry, verification);
        Some((one.name.clone(), verifier))
    };
    config.destinations.iter().filter_map(verifier).collect()
}

/// How a peer is called.
fn call(peer: &Peer, config: &Config, memory: &PeerMemory) -> (Target, Settings) {
    let settings = Settings::new(&config.net, config.net.ae_title.clone());
    (peer.target().remembered(&peer.name, &settings, memory), settings)
}

/// How a bucket of the configuration is reached, its secrets read.
///
/// # Errors
/// A secret is not at hand.
pub(crate) fn s3(bucket: &config::S3) -> anyhow::Result<S3Config> {
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
        commitment: match &one.kind {
            Kind::Dicom { verify: Verify::Commitment, commitment_timeout, .. } => {
                Some(CommitmentTerms { retry: one.retry.clone(), patience: *commitment_timeout })
            }
            Kind::Dicom { verify: Verify::Status, .. } | Kind::S3(_) | Kind::Folder { .. } => None,
        },
    };
    config.destinations.iter().map(facts).collect()
}

fn find<'c>(name: &model::PeerName, config: &'c Config) -> Option<&'c Peer> {
    config.net.peers.iter().find(|peer| peer.name == *name)
}
