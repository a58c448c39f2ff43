//! What is measured: one module per subject.

pub(crate) mod backlog;
pub(crate) mod disk;
pub(crate) mod fanout;
pub(crate) mod far;
pub(crate) mod ingest;
pub(crate) mod memory;
pub(crate) mod metadata;
pub(crate) mod million;
mod profile;
pub(crate) mod query;
pub(crate) mod retrieve;
pub(crate) mod route;
pub(crate) mod s3;
pub(crate) mod scale;
pub(crate) mod send;
mod studies;
pub(crate) mod transcode;

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::report::Section;

/// Measures the section of that name.
pub(crate) fn run(name: &str, bench: &Bench) -> Result<Section> {
    match name {
        "ingest-ct" => ingest::ct(bench),
        "ingest-small" => ingest::small(bench),
        "disk-ct" => disk::ct(bench),
        "disk-small" => disk::small(bench),
        "send" => send::run(bench),
        "send-far" => far::run(bench),
        "retrieve" => retrieve::run(bench),
        "route-ct" => route::ct(bench),
        "route-small" => route::small(bench),
        "route-ordinary" => route::ordinary(bench),
        "route-latency" => route::latency(bench),
        "fan-out" => fanout::run(bench),
        "s3" => s3::run(bench),
        "backlog" => backlog::run(bench),
        "query" => query::run(bench),
        "metadata" => metadata::run(bench),
        "memory" => memory::run(bench),
        "transcode" => transcode::run(bench),
        "million" => million::run(bench),
        "scale" => scale::run(bench),
        "profile" => profile::run(bench),
        _ => bail!("there is no section {name}"),
    }
}
