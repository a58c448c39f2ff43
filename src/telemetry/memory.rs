use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// What a process allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use, with what threads keep for the next to come.
    pub allocated_bytes: usize,
    /// Bytes of the machine's memory that hold them, at most: with what is free between them, what is not given back yet, and what the
    /// allocator itself needs; without stacks and code.
    pub resident_bytes: usize,
}

/// Asks for it whenever metrics are read; leaves out what is not known.
#[derive(Debug)]
pub(crate) struct Gauges(pub(crate) fn() -> Option<Memory>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(memory) = (self.0)() else { return Ok(()) };
        for (name, help, bytes) in [
            ("gantry_memory_allocated", "Memory in use.", memory.allocated_bytes),
            (
                "gantry_memory_resident",
                "The machine's memory that this takes, with what is free and not given back yet.",
                memory.resident_bytes,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(
                name,
                help,
                Some(&Unit::Bytes),
                gauge.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Telemetry;
    use crate::metrics::has;

    #[test]
    fn memory_is_asked_for_when_metrics_are_read() {
        let telemetry = Telemetry::measuring(|| Some(Memory { allocated_bytes: 7, resident_bytes: 4096 }));
        has(&telemetry, "gantry_memory_allocated_bytes 7");
        has(&telemetry, "gantry_memory_resident_bytes 4096");
    }
}
