//! A load of C-STOREs over several associations, and what it cost the server.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::association::Association;
use crate::figures::{Figures, milliseconds, percentile};
use crate::peers::Server;
use crate::synthetic::{Field, Subject, Template, uid};

/// What to send, how wide and how long: until `seconds` are over or `instances` are sent.
pub(crate) struct Load<'a> {
    pub(crate) template: &'a Template,
    pub(crate) associations: usize,
    pub(crate) seconds: f64,
    pub(crate) instances: u64,
    /// Makes the template the next instance.
    pub(crate) next: &'a (dyn Fn(&mut Template, Turn) + Sync),
}

/// Which instance is due.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// Differs between all associations of the run.
    pub(crate) association: u64,
    /// Counts the instances of the load, over all of its associations, from 0.
    pub(crate) number: u64,
}

struct Sent {
    latencies: Vec<Duration>,
    failed: u64,
}

static ASSOCIATIONS: AtomicU64 = AtomicU64::new(1);

impl Load<'_> {
    /// Runs the load against `server`.
    ///
    /// The clock runs from the first C-STORE-RQ to the last C-STORE-RSP; opening and releasing associations is left out.
    /// CPU time and memory are the server's, read while the associations are still open.
    pub(crate) fn run(&self, server: &Server) -> Result<Figures> {
        let mut associations = Vec::new();
        for _ in 0..self.associations {
            associations.push(server.associate()?);
        }
        let cpu_before = server.process.cpu()?;
        let (sent, elapsed) = self.drive(&mut associations)?;
        let cpu = server.process.cpu()?.saturating_sub(cpu_before);
        let memory = server.process.memory()?;
        for association in associations {
            association.release()?;
        }
        Ok(Figures {
            resident: Some(memory.resident),
            peak: Some(memory.peak),
            failed: Some(sent.failed),
            ..ingest_figures(sent.latencies, elapsed, cpu, self.template.data_set().len())
        })
    }

    fn drive(&self, associations: &mut [Association]) -> Result<(Sent, Duration)> {
        let turns = AtomicU64::new(0);
        let start = Barrier::new(associations.len() + 1);
        thread::scope(|scope| {
            let senders: Vec<_> = associations
                .iter_mut()
                .map(|association| scope.spawn(|| self.send(association, &turns, &start)))
                .collect();
            start.wait();
            let begin = Instant::now();
            let mut all = Sent { latencies: Vec::new(), failed: 0 };
            for sender in senders {
                let sent = sender.join().map_err(|_| anyhow!("a sender panicked"))??;
                all.latencies.extend(sent.latencies);
                all.failed += sent.failed;
            }
            Ok((all, begin.elapsed()))
        })
    }

    fn send(&self, association: &mut Association, turns: &AtomicU64, start: &Barrier) -> Result<Sent> {
        let name = ASSOCIATIONS.fetch_add(1, Ordering::Relaxed);
        let mut template = self.template.clone();
        let mut sent = Sent { latencies: Vec::with_capacity(1 << 16), failed: 0 };
        start.wait();
        let begin = Instant::now();
        while begin.elapsed().as_secs_f64() < self.seconds {
            let number = turns.fetch_add(1, Ordering::Relaxed);
            if number >= self.instances {
                break;
            }
            (self.next)(&mut template, Turn { association: name, number });
            let asked = Instant::now();
            let status = association.store(&template).context("C-STORE")?;
            sent.latencies.push(asked.elapsed());
            sent.failed += u64::from(status != 0);
        }
        Ok(sent)
    }
}

/// The next slice of a series that belongs to the association alone.
pub(crate) fn slice_of_own_series(template: &mut Template, turn: Turn) {
    template.set(Field::StudyInstanceUid, &uid(Subject::Study, turn.association, 0));
    template.set(Field::SeriesInstanceUid, &uid(Subject::Series, turn.association, 0));
    next_slice(template, turn);
}

/// The next slice of one series to which all associations of the load contribute.
pub(crate) fn next_slice(template: &mut Template, turn: Turn) {
    template.set(Field::SopInstanceUid, &uid(Subject::Instance, turn.association, turn.number));
    template.set(Field::InstanceNumber, &(turn.number + 1).to_string());
    template.set(Field::ImagePosition, &format!(r"-190.0\-190.0\{}", turn.number));
    template.set(Field::SliceLocation, &turn.number.to_string());
}

/// Rate, latencies and CPU per instance.
pub(crate) fn ingest_figures(
    mut latencies: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
    instance_bytes: usize,
) -> Figures {
    latencies.sort_unstable();
    let sent = latencies.len();
    #[expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]
    let (count, bytes) = (latencies.len() as f64, instance_bytes as f64);
    let rate = count / elapsed.as_secs_f64();
    Figures {
        per_second: Some(rate),
        count: Some(sent),
        megabytes_per_second: Some(rate * bytes / 1e6),
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        cpu_ms: Some(milliseconds(cpu) / count.max(1.0)),
        ..Figures::default()
    }
}
