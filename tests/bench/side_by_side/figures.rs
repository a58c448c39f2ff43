//! What one measurement yields, and medians over several.

use std::time::Duration;

/// The figures of one measurement; what does not apply is absent.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    /// Instances or requests per second.
    pub(crate) per_second: Option<f64>,
    /// Instances in all.
    pub(crate) count: Option<usize>,
    pub(crate) megabytes_per_second: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// CPU time of the measured process for each instance or request.
    pub(crate) cpu_ms: Option<f64>,
    /// Bytes resident at the end, and the highest.
    pub(crate) resident: Option<u64>,
    pub(crate) peak: Option<u64>,
    /// Bytes by which the peak exceeds what was resident before.
    pub(crate) growth: Option<u64>,
    /// Identifiers, rows or instances answered.
    pub(crate) matches: Option<u64>,
    /// Requests answered with anything but Success, or instances that did not arrive.
    pub(crate) failed: Option<u64>,
}

/// One column of a table.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) value: fn(&Figures) -> Option<f64>,
}

/// All columns in the order of the tables.
pub(crate) const COLUMNS: [Column; 10] = [
    Column { title: "/s", value: |figures| figures.per_second },
    Column { title: "MB/s", value: |figures| figures.megabytes_per_second },
    Column { title: "p50 ms", value: |figures| figures.p50_ms },
    Column { title: "p99 ms", value: |figures| figures.p99_ms },
    Column { title: "CPU ms each", value: |figures| figures.cpu_ms },
    Column { title: "RSS MiB", value: |figures| figures.resident.map(mebibytes) },
    Column { title: "peak MiB", value: |figures| figures.peak.map(mebibytes) },
    Column { title: "growth MiB", value: |figures| figures.growth.map(mebibytes) },
    Column { title: "answers", value: |figures| figures.matches.map(exact) },
    Column { title: "failed", value: |figures| figures.failed.map(exact) },
];

/// The column of that title.
pub(crate) fn column(title: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.title == title)
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The value below which `percent` of the sorted `latencies` lie, in milliseconds.
pub(crate) fn percentile(latencies: &[Duration], percent: usize) -> Option<f64> {
    let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
    latencies.get(index).copied().map(milliseconds)
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]
fn exact(count: u64) -> f64 {
    count as f64
}

fn mebibytes(bytes: u64) -> f64 {
    exact(bytes) / f64::from(1 << 20)
}
