//! A destination that has been down for long: what a backlog costs at the start, in memory, and with each claim.

use std::mem;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use archive::{Archive, Config, DeliveryId, DestinationId, Settlement, Turn};
use model::{DestinationName, limits};
use rusqlite::Connection;
use telemetry::Telemetry;

use super::query::start_figures;
use crate::bench::Bench;
use crate::figures::{Figures, percentile};
use crate::load::{Load, next_slice};
use crate::peers::{Peer, Place, Server, free_ports};
use crate::report::{GANTRY, Section};
use crate::synthetic::Template;

pub(crate) const TITLE: &str = "A backlog of one million deliveries";
pub(crate) const CLAIM: &str = "turn of 64";
/// The row that the turns on the backlog are compared with.
pub(crate) const FEW: &str = "all but empty queue";
pub(crate) const START: &str = "start";

const TEXT: &str = "One million instances and a delivery of each to one destination, where nobody listens, on tmpfs. `turn of 64` is what \
                    a lane asks of the index: 64 deliveries are written down as delivered and the next 64 claimed; `all but empty queue` \
                    is another index that holds just what its turns take. `start` is from the start of the process to its first \
                    answers on both ports; memory is read two seconds later, when the lane, /metrics and the status page have looked.";

/// Deliveries of a turn.
const CLAIMED: u64 = limits::LANE_WINDOW as u64;

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "p50 ms", TEXT);
    let turns = bench.options.amount(200, 40);
    for peer in bench.turns(&[Peer::Gantry], 0) {
        let server = stored(peer)?;
        let count = bench.options.amount(1_000_000, 50_000);
        let mut server = server.restart_after(|folder| multiply(folder, count))?;
        for _ in bench.rounds() {
            let few = stored(peer)?;
            server = server.restart_after(|many| {
                let work = |few: &Path| {
                    // One turn claims what the first that counts settles.
                    multiply(few, (turns + 1) * CLAIMED)?;
                    take_turns(&mut section, turns, many, few)
                };
                few.restart_after(work).map(drop)
            })?;
            section.add(START, peer.name(), memory_after_a_look(&server)?);
        }
    }
    Ok(section)
}

/// A server with one instance and its delivery, which has failed.
fn stored(peer: Peer) -> Result<Server> {
    let [nobody] = free_ports()?;
    let server = peer.start_routing(Place::Memory, &[nobody])?;
    let template = Template::tiny();
    let load =
        Load { template: &template, associations: 1, seconds: f64::MAX, instances: 1, next: &next_slice };
    load.run(&server)?;
    Ok(server)
}

/// Makes the one instance and its delivery so many more, in the index only; these wait for their first attempt.
fn multiply(folder: &Path, count: u64) -> Result<()> {
    let count = i64::try_from(count)?;
    let index = Connection::open(folder.join("data/index.sqlite"))?;
    index.execute_batch("PRAGMA synchronous = OFF; BEGIN")?;
    let columns: Vec<String> = index
        .prepare("SELECT name FROM pragma_table_info('instance')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let copied = columns.iter().map(|column| match column.as_str() {
        "instance_pk" => "1000 + n",
        "sop_instance_uid" => "sop_instance_uid || '.' || n",
        "file" => "file - n",
        other => other,
    });
    let copied = copied.collect::<Vec<_>>().join(", ");
    let numbers = "WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?1)";
    let instances = format!(
        "{numbers} INSERT INTO instance ({}) SELECT {copied} FROM number, (SELECT * FROM instance)",
        columns.join(", ")
    );
    index.execute(&instances, [count])?;
    let deliveries = format!(
        "{numbers} INSERT INTO delivery (destination_pk, instance_pk, version, rule_pk, state, queued, due)
         SELECT destination_pk, 1000 + n, 1, rule_pk, 0, queued, queued FROM number, (SELECT * FROM delivery)"
    );
    index.execute(&deliveries, [count])?;
    index.execute("UPDATE destination SET ready = ready + ?1", [count])?;
    index.execute_batch("COMMIT")?;
    Ok(())
}

/// Start-up time, and memory once everybody who looks at the queue unasked has done so.
fn memory_after_a_look(server: &Server) -> Result<Figures> {
    for path in ["/", "/metrics"] {
        server.web()?.get(path, "*/*")?;
    }
    thread::sleep(Duration::from_secs(2));
    start_figures(server)
}

/// Takes so many turns on both indexes by turns, so that a machine that changes its pace does so for both.
fn take_turns(section: &mut Section, turns: u64, many: &Path, few: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut lanes = [(GANTRY, Lane::open(many).await?), (FEW, Lane::open(few).await?)];
        for _ in 0..=turns {
            for (_, lane) in &mut lanes {
                lane.turn().await?;
            }
            lanes.rotate_left(1);
        }
        lanes.sort_by_key(|(row, _)| *row != GANTRY);
        for (row, lane) in lanes {
            section.add(CLAIM, row, lane.close().await?);
        }
        Ok(())
    })
}

/// What a lane of Gantry's does with the index, without delivering anything.
struct Lane {
    archive: Archive,
    destination: DestinationId,
    claimed: Vec<DeliveryId>,
    latencies: Vec<Duration>,
}

impl Lane {
    async fn open(folder: &Path) -> Result<Self> {
        let config = Config { data_dir: folder.join("data"), min_free_bytes: 0 };
        let archive = Archive::open(config, Telemetry::new())?;
        let destinations = archive.enrol_destinations(&[DestinationName::new("sink0")]).await?;
        let destination = *destinations.first().context("a number for the destination")?;
        Ok(Self { archive, destination, claimed: Vec::new(), latencies: Vec::new() })
    }

    async fn turn(&mut self) -> Result<()> {
        let is_first = self.claimed.is_empty();
        let turn = Turn {
            claim: limits::LANE_WINDOW,
            lease: limits::LEASE,
            settled: self.settled(),
            ..Turn::default()
        };
        let asked = Instant::now();
        let turned = self.archive.turn(self.destination, turn).await?;
        if !is_first {
            self.latencies.push(asked.elapsed());
        }
        self.claimed = turned.parcels.into_iter().map(|parcel| parcel.id).collect();
        ensure!(self.claimed.len() == limits::LANE_WINDOW, "the queue has ended");
        Ok(())
    }

    fn settled(&mut self) -> Vec<(DeliveryId, Settlement)> {
        let delivered = Settlement::Delivered { answer: "0000H".to_owned(), sent: [0x5A; 32] };
        mem::take(&mut self.claimed).into_iter().map(|delivery| (delivery, delivered.clone())).collect()
    }

    async fn close(mut self) -> Result<Figures> {
        let turn = Turn { settled: self.settled(), ..Turn::default() };
        self.archive.turn(self.destination, turn).await?;
        self.archive.close().await?;
        self.latencies.sort_unstable();
        Ok(Figures {
            p50_ms: percentile(&self.latencies, 50),
            p99_ms: percentile(&self.latencies, 99),
            ..Figures::default()
        })
    }
}
