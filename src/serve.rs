//! Composition root: builds the parts, binds the doors, starts the lanes, waits for the signal to stop, drains.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use archive::Archive;
use pipeline::peers::PeerMemory;
use pipeline::{Lane, Pipeline};
use telemetry::Telemetry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, info_span, warn};

use crate::config::{self, Config};
use crate::control::{self, Control};
use crate::reload::Reloader;
use crate::{allocator, destinations, open_files, upstreams};

/// What may take this long when stopping: the last messages, and closing the archive.
const DRAIN: Duration = Duration::from_secs(10);
/// The part of [`DRAIN`] that is kept for closing the archive.
const CLOSE: Duration = Duration::from_secs(2);

/// Runs the server until SIGTERM or SIGINT. Logging has started. `file` is where the configuration was read, and is read again on
/// SIGHUP.
///
/// # Errors
/// The archive or an address is in use or cannot be opened, or a part of the server failed.
pub(crate) fn run(config: Config, file: Option<PathBuf>) -> anyhow::Result<()> {
    let upstream = config.upstreams.iter().map(|one| 2 * one.config.associations.get()).sum::<usize>();
    open_files::raise_limit(config.net.max_associations + upstream, config.net.move_associations);
    let telemetry = Telemetry::measuring(allocator::memory);
    let data_dir = config.archive.data_dir.display().to_string();
    let archive = Archive::open(config.archive.clone(), telemetry.clone())
        .with_context(|| format!("cannot use the data folder {data_dir}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("gantry")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let served = runtime.block_on(serve(config, file, archive, telemetry));
    // What still runs was given its time.
    runtime.shutdown_background();
    served
}

async fn serve(
    mut config: Config,
    file: Option<PathBuf>,
    archive: Archive,
    telemetry: Telemetry,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen(file.is_some())?;
    let hangup = file.is_some().then(|| listen(SignalKind::hangup())).transpose()?;
    let pipeline = Pipeline::new(archive.clone(), telemetry.clone());
    if let Err(error) = pipeline.peers().recall().await {
        warn!(error = &error as &dyn std::error::Error, "what peers said before cannot be read");
    }
    let lanes = lanes(&mut config, &pipeline, &telemetry).await?;
    let doors = Doors::open(&config, &pipeline, &telemetry).await?;
    let verifiers = destinations::verifiers(&config, &pipeline, &telemetry);
    log_start(&config, &doors, &pipeline);
    let shutdown = CancellationToken::new();
    let tracker = TaskTracker::new();
    let peers = pipeline.peers().clone();
    let remembering = peers.clone().run(shutdown.clone());
    tracker.spawn(remembering.instrument(info_span!("peers")));
    upstreams::connect(&config, &pipeline, &tracker, &shutdown);
    let reloader = Reloader::new(file, &config, pipeline, telemetry);
    let control = control::serve(control_socket(&config), hangup, reloader, shutdown.clone());
    tracker.spawn(control.instrument(info_span!("control")));
    for lane in lanes {
        tracker.spawn(lane.run(shutdown.clone(), tracker.clone()));
    }
    for (name, verifier) in verifiers {
        let verifying = verifier.run(shutdown.clone());
        tracker.spawn(verifying.instrument(info_span!("verifier", destination = %name)));
    }
    let readiness = doors.readiness.clone();
    let outcome = {
        let mut dimse = tracker.spawn(doors.dimse.serve(shutdown.clone(), tracker.clone()));
        let mut web = tracker.spawn(doors.web.serve(shutdown.clone(), tracker.clone()));
        for door in DOORS {
            readiness.set(door, true);
        }
        tokio::select! {
            name = signals.next() => {
                info!(signal = name, "stopping");
                Ok(())
            }
            _ = &mut dimse => Err(anyhow!("the DIMSE listener stopped by itself")),
            _ = &mut web => Err(anyhow!("the HTTP listener stopped by itself")),
        }
    };
    let deadline = Instant::now() + DRAIN;
    for door in DOORS {
        readiness.set(door, false);
    }
    shutdown.cancel();
    tracker.close();
    drain(&tracker, deadline - CLOSE, &mut signals).await;
    keep(&peers, Instant::now() + CLOSE / 2).await;
    close(&archive, deadline).await;
    outcome
}

/// Makes the destinations and rules known, and a lane for each destination; it delivers once it runs.
async fn lanes(config: &mut Config, pipeline: &Pipeline, telemetry: &Telemetry) -> anyhow::Result<Vec<Lane>> {
    let opened = destinations::open(config, pipeline, telemetry)?;
    pipeline.set_destinations(destinations::facts(config)).await.context("destinations")?;
    if let Some(rules) = config.rules.take() {
        pipeline.route_by(rules).await.context("rules")?;
    }
    Ok(opened.into_iter().map(|(destination, retry)| pipeline.lane(destination, retry)).collect())
}

/// The socket for `gantry reload`; without it there is SIGHUP.
fn control_socket(config: &Config) -> Option<Control> {
    let bound = Control::bind(&config.archive.data_dir);
    bound.inspect_err(|error| warn!(%error, "no control socket: `gantry reload` will find no server, SIGHUP does the same")).ok()
}

/// The names of the doors in readiness answers.
const DOORS: [&str; 2] = ["dimse", "web"];

/// The doors, bound to their addresses, before they serve.
struct Doors {
    dimse: net::Listener,
    web: web::Listener,
    readiness: web::Readiness,
}

impl Doors {
    async fn open(config: &Config, pipeline: &Pipeline, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let readiness = web::Readiness::new(DOORS);
        let dimse = net::Listener::bind(config.net.clone(), pipeline.clone(), telemetry.clone())
            .await
            .context("DIMSE")?;
        let mut web = config.web.clone();
        web.product.dimse = dimse.local_addr();
        let web = web::Listener::bind(web, pipeline.clone(), telemetry.clone(), readiness.clone())
            .await
            .context("HTTP")?;
        Ok(Self { dimse, web, readiness })
    }
}

fn log_start(config: &Config, doors: &Doors, pipeline: &Pipeline) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        ae_title = %config.net.ae_title,
        dimse = %doors.dimse.local_addr(),
        dimse_tls = doors.dimse.local_tls_addr().map(tracing::field::display),
        web = %doors.web.local_addr(),
        data_dir = %config.archive.data_dir.display(),
        peers = config.net.peers.len(),
        destinations = config.destinations.len(),
        upstreams = config.upstreams.len(),
        rules = pipeline.rules_version().as_deref().unwrap_or("none"),
        "serving"
    );
    let is_remote = |address: std::net::SocketAddr| !config::is_loopback(address.ip());
    if config.web_open && is_remote(config.web.listen) {
        warn!("HTTP is open: whoever reaches {} reads and writes every image", doors.web.local_addr());
    }
    match config.net.accept {
        net::Accept::Any if is_remote(config.net.listen) => {
            warn!("DIMSE is open: whoever reaches {} stores and queries", doors.dimse.local_addr());
        }
        net::Accept::Any
            if config
                .net
                .tls
                .as_ref()
                .is_some_and(|tls| is_open(tls) && is_remote(tls.settings().listen)) =>
        {
            warn!(
                "DIMSE by TLS is open: whoever reaches its port stores and queries, and needs no certificate"
            );
        }
        net::Accept::Known if config.net.peers.is_empty() => {
            warn!("only known peers may open an association, and no [peer.NAME] is configured");
        }
        net::Accept::Any | net::Accept::Known => {}
    }
}

/// Whether callers need no certificate.
fn is_open(tls: &net::tls::Server) -> bool {
    tls.settings().client_auth != net::tls::ClientAuth::Required
}

/// Waits for tasks to end: until the deadline, or a second signal.
async fn drain(tracker: &TaskTracker, deadline: Instant, signals: &mut Signals) {
    let cut = tokio::select! {
        waited = timeout_at(deadline, tracker.wait()) => waited.is_err(),
        _ = signals.next() => true,
    };
    if cut {
        warn!(tasks = tracker.len(), "stopping before everything has ended; nothing acknowledged is lost");
    }
}

/// Writes what peers said to the last.
async fn keep(peers: &PeerMemory, deadline: Instant) {
    let kept = timeout_at(deadline, peers.keep()).await;
    if let Ok(Err(error)) = kept {
        warn!(error = &error as &dyn std::error::Error, "what peers said last is not kept");
    }
}

/// Closes the archive; what does not succeed is made up for by the next start.
async fn close(archive: &Archive, deadline: Instant) {
    match timeout_at(deadline, archive.close()).await {
        Ok(Ok(())) => info!("stopped"),
        Ok(Err(failed)) => {
            error!(error = %format!("{:#}", anyhow::Error::new(failed)), "closing the archive failed")
        }
        Err(_) => warn!("closing the archive took too long"),
    }
}

/// SIGTERM and SIGINT (Ctrl-C); without a configuration file, which could be read again, also SIGHUP.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Option<Signal>,
}

impl Signals {
    fn listen(has_file: bool) -> anyhow::Result<Self> {
        let hup = if has_file { None } else { Some(listen(SignalKind::hangup())?) };
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())?, hup })
    }

    /// The name of the next signal. Cancel safe.
    async fn next(&mut self) -> &'static str {
        let hup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
            _ = hup => "SIGHUP",
        }
    }
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}
