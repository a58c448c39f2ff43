//! Arguments of the program.

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo bench --bench side_by_side -- [OPTIONS] [SECTION…]

Sections (all but `million`, `scale` and `profile` when none is named):
  ingest-ct ingest-small disk-ct disk-small send send-far retrieve route-ct route-small route-ordinary route-latency fan-out
  s3 backlog query metadata memory transcode million scale profile
Options:
  --quick       one short round each
  --million     also `million`: needs about 8 GB of free memory and some minutes
  --rounds N    rounds each median is taken over (3)
  --seconds S   longest duration of one load (1.5)
Environment:
  GANTRY_BIN, ORTHANC_BIN, ORTHANC_PLUGINS   programs to use instead of the built and the installed ones
  GANTRY_PEERS                               where `make peers` has put SeaweedFS (.peers)";

/// What to measure, and how long.
pub(crate) struct Options {
    pub(crate) sections: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) is_quick: bool,
}

/// Sections that run unless others are named.
const DEFAULT_SECTIONS: [&str; 18] = [
    "ingest-ct",
    "ingest-small",
    "disk-ct",
    "disk-small",
    "send",
    "send-far",
    "retrieve",
    "route-ct",
    "route-small",
    "route-ordinary",
    "route-latency",
    "fan-out",
    "s3",
    "backlog",
    "query",
    "metadata",
    "memory",
    "transcode",
];
/// Sections that run only when named.
const OTHER_SECTIONS: [&str; 3] = ["million", "scale", "profile"];

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { sections: Vec::new(), rounds: 3, seconds: 1.5, is_quick: false };
        let (mut arguments, mut with_million) = (arguments, false);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--help" => bail!("{USAGE}"),
                "--quick" => (options.is_quick, options.rounds, options.seconds) = (true, 1, 0.5),
                "--million" => with_million = true,
                "--rounds" => options.rounds = arguments.next().unwrap_or_default().parse()?,
                "--seconds" => options.seconds = arguments.next().unwrap_or_default().parse()?,
                name if DEFAULT_SECTIONS.contains(&name) || OTHER_SECTIONS.contains(&name) => {
                    options.sections.push(argument);
                }
                _ => bail!("{argument}?\n\n{USAGE}"),
            }
        }
        if options.sections.is_empty() {
            options.sections = DEFAULT_SECTIONS.map(str::to_owned).to_vec();
        }
        if with_million {
            options.sections.push("million".to_owned());
        }
        Ok(options)
    }

    /// `full`, or `quick` of a quick run.
    pub(crate) fn amount(&self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}
