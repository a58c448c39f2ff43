//! From configured upstream archives to those that are asked.

use std::sync::Arc;

use net::scu::Settings;
use pipeline::Pipeline;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Upstream};

/// Makes them known to the pipeline; what is under way at them runs on `tracker`, until `shutdown`.
pub(crate) fn connect(
    config: &Config,
    pipeline: &Pipeline,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) {
    if config.upstreams.is_empty() {
        return;
    }
    let settings = Settings::new(&config.net, config.net.ae_title.clone());
    let upstream = |one: &Upstream| -> Option<Arc<dyn pipeline::Upstream>> {
        let peer = config.net.peers.iter().find(|peer| peer.name == one.peer)?;
        let config = one.config.clone();
        Some(Arc::new(net::Upstream::new(config, peer, settings.clone(), pipeline.peers())))
    };
    let upstreams = config.upstreams.iter().filter_map(upstream).collect();
    pipeline.set_upstreams(upstreams, tracker.clone(), shutdown.clone());
}
