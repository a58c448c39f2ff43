//! What the commands that call a peer have in common.

use anyhow::Context;
use clap::Args;
use model::AeTitle;
use net::scu::{Settings, Target};
use net::{End, Error};

use super::tls::{self, Tls};
use super::user::User;
use crate::{config, logging};

/// Whom to call, and as whom.
#[derive(Debug, Args)]
pub(super) struct Peer {
    /// The peer: its AE title, host and port
    #[arg(value_name = "AET@HOST:PORT", value_parser = target)]
    target: Target,
    /// Our AE title
    #[arg(long, value_name = "AET", default_value = "GANTRY", value_parser = ae_title)]
    calling: AeTitle,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    user: User,
}

impl Peer {
    /// The timeouts are those of a server without configuration.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let config = config::load(None, config::For::Asking)?;
        Ok(Settings::new(&config.net, self.calling.clone()))
    }

    /// The peer as it is to be called.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let mut target = self.target.clone();
        target.terms.tls = self.tls.client()?;
        self.user.present_to(&mut target);
        Ok(target)
    }

    /// The peer as the user wrote it.
    pub(super) fn name(&self) -> String {
        format!("{}@{}", self.target.ae_title, self.target.address)
    }
}

/// Runs what calls a peer; only what is wrong is logged.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    logging::start("warn");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let done = runtime.block_on(work);
    // A name server or a file system that hangs keeps a thread, and is not to keep us.
    runtime.shutdown_background();
    Ok(done)
}

/// Reads `AET@HOST:PORT`.
pub(super) fn target(given: &str) -> Result<Target, String> {
    let (title, address) = given.rsplit_once('@').ok_or("an `@` parts AE title and address")?;
    Ok(Target::plain(ae_title(title)?, config::peer_address(address)?))
}

/// Reads an AE title.
pub(super) fn ae_title(given: &str) -> Result<AeTitle, String> {
    AeTitle::parse(given).map_err(|refusal| refusal.to_string())
}

/// An error with its causes, and what may be done about it.
pub(super) fn explain(error: &Error) -> String {
    let told = error.explain();
    match error {
        Error::Association(End::Rejected(rejection)) if (rejection.source, rejection.reason) == (1, 3) => {
            format!("{told}: see --calling")
        }
        Error::Association(End::Rejected(rejection)) if (rejection.source, rejection.reason) == (2, 1) => {
            format!("{told}: see --user")
        }
        _ => match error.tls().and_then(|error| tls::option(error.problem)) {
            Some(option) => format!("{told}: see {option}"),
            None => told,
        },
    }
}
