use std::sync::Arc;
use std::time::Instant;

use pipeline::Pipeline;
use telemetry::Telemetry;

use crate::dicomweb::Pages;
use crate::{Config, Readiness};

/// What every resource may use.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) pipeline: Pipeline,
    pub(crate) telemetry: Telemetry,
    pub(crate) readiness: Readiness,
    pub(crate) pages: Arc<Pages>,
    pub(crate) started: Instant,
}

impl App {
    pub(crate) fn new(
        config: Config,
        pipeline: Pipeline,
        telemetry: Telemetry,
        readiness: Readiness,
    ) -> Self {
        let (pages, started) = (Pages::new(), Instant::now());
        Self(Arc::new(Inner { config, pipeline, telemetry, readiness, pages, started }))
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
