//! Where and when the run took place: figures of different runs are not comparable without it.

use std::fs;
use std::thread;

use anyhow::Result;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::peers::Peer;

/// The machine and the versions measured.
pub(crate) struct Machine {
    date: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    load: String,
    versions: Vec<String>,
}

impl Machine {
    pub(crate) fn look(peers: &[Peer]) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let kilobytes = value(&read("/proc/meminfo"), "MemTotal");
        let kilobytes =
            kilobytes.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        // The same program as the other storescp.
        let versions = peers.iter().filter(|peer| **peer != Peer::PlainStoreScp).map(|peer| peer.version());
        Ok(Self {
            date: OffsetDateTime::now_utc()
                .format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"))?,
            processor: value(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism()?.get(),
            memory_gib: kilobytes >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load_average(),
            versions: versions.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn markdown(&self) -> String {
        format!(
            "# Side by side\n\n{}; {} cores of {}, {} GiB, Linux {}; load average {} before, {} after.\n{}.\n",
            self.date,
            self.cores,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.load,
            load_average(),
            self.versions.join(", "),
        )
    }
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
