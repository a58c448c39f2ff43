//! Reading the configuration again while the server runs: rules, certificates and keys are swapped, everything else asks for a
//! restart.

use std::path::PathBuf;

use pipeline::Pipeline;
use telemetry::{Event, Telemetry};
use tracing::{error, info, warn};

use crate::config::{self, Config, For, Remark};

/// Puts the rules of the configuration file, and the certificates and keys that it named at the start, in force as they are now.
pub(crate) struct Reloader {
    file: Option<PathBuf>,
    /// What the server was started with, rules aside.
    running: Vec<(String, String)>,
    /// Whose files with certificates and keys are read again.
    net: net::Config,
    pipeline: Pipeline,
    telemetry: Telemetry,
}

impl Reloader {
    /// `file` is what `config` was read from.
    pub(crate) fn new(
        file: Option<PathBuf>,
        config: &Config,
        pipeline: Pipeline,
        telemetry: Telemetry,
    ) -> Self {
        Self { file, running: sections(config), net: config.net.clone(), pipeline, telemetry }
    }

    /// Reads the file, its rules, and all certificates and keys. Associations and instances that come from now on are served by them.
    /// Both outcomes are logged, under the name of who asked. The answer begins with the warnings.
    ///
    /// # Errors
    /// Every fault; everything stays as it was.
    pub(crate) async fn reload(&self, asked_by: &'static str) -> Result<String, String> {
        let outcome = self.try_reload().await;
        self.telemetry.record(Event::RulesReloaded { is_accepted: outcome.is_ok() });
        match &outcome {
            Ok((told, warnings)) => {
                warnings.iter().for_each(|warning| warn!("{warning}"));
                info!(asked_by, "{told}");
            }
            Err(told) => error!(asked_by, "refused, what was in force stays: {told}"),
        }
        outcome.map(|(told, warnings)| {
            let warnings = warnings.iter().map(Remark::to_string);
            warnings.chain([told]).collect::<Vec<_>>().join("\n")
        })
    }

    /// What is in force now, and what is doubtful about it.
    async fn try_reload(&self) -> Result<(String, Vec<Remark>), String> {
        let (file, net) = (self.file.clone(), self.net.clone());
        let read = move || (config::load(file.as_deref(), For::Checking), net.read_key_files_again());
        let read = tokio::task::spawn_blocking(read).await;
        let (config, certificates) =
            read.map_err(|_| "the configuration could not be read: an internal error".to_owned())?;
        let mut config = config.map_err(|faults| faults.to_string())?;
        let certificates = certificates.map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
        let changed = self.changed(&config);
        let before = self.pipeline.rules_version();
        // Without rules there is still something to swap: rules that send nothing anywhere.
        let rules = match config.rules.take() {
            None if before.is_none() => None,
            None => rules::load(&[], None).rules,
            some => some,
        };
        let mut told = match rules {
            None => "there are no rules, as before".to_owned(),
            Some(rules) => {
                let told = tell(&rules, before.as_deref());
                self.pipeline.route_by(rules).await.map_err(|error| refusal(error, &changed))?;
                told
            }
        };
        if self.net.has_key_files() {
            certificates.put_in_force();
            told += "; certificates and keys are those of now";
        }
        if !changed.is_empty() {
            told += &format!("; changed as well, and not in force before a restart: {}", changed.join(", "));
        }
        Ok((told, std::mem::take(&mut config.warnings)))
    }

    /// The parts that differ from what runs.
    fn changed(&self, config: &Config) -> Vec<String> {
        let found = sections(config);
        let is_other = |one: &&(String, String), others: &[(String, String)]| !others.contains(one);
        let mut changed: Vec<String> = Vec::new();
        let new = found.iter().filter(|one| is_other(one, &self.running));
        for (name, _) in new.chain(self.running.iter().filter(|one| is_other(one, &found))) {
            if !changed.contains(name) {
                changed.push(name.clone());
            }
        }
        changed
    }
}

fn tell(rules: &rules::RuleSet, before: Option<&str>) -> String {
    let (count, version) = (rules.rules().len(), rules.version());
    let rules = if count == 1 { "1 rule" } else { &format!("{count} rules") };
    match before {
        Some(before) if before == version => format!("{rules} in force, the same as before ({version})"),
        Some(before) => format!("{rules} in force, version {version} in place of {before}"),
        None => format!("{rules} in force, version {version}"),
    }
}

fn refusal(error: pipeline::RoutingError, changed: &[String]) -> String {
    let told = format!("{:#}", anyhow::Error::new(error));
    match changed.iter().any(|name| name.starts_with("[destination.")) {
        true => format!("{told}\n    a restart brings new destinations: {}", changed.join(", ")),
        false => told,
    }
}

/// What a restart is needed for, by the names that the file has for it.
fn sections(config: &Config) -> Vec<(String, String)> {
    let mut dimse = config.net.clone();
    let peers = std::mem::take(&mut dimse.peers);
    let web = (&config.web.listen, &config.web.cors_origins, &config.web.public_url, config.web_open);
    let mut sections = vec![
        ("data_dir or [storage]".to_owned(), format!("{:?}", config.archive)),
        ("ae_title or [dimse]".to_owned(), format!("{dimse:?}")),
        ("[peer]".to_owned(), format!("{peers:?}")),
        ("[web]".to_owned(), format!("{web:?}")),
    ];
    let destinations = config.destinations.iter();
    sections.extend(destinations.map(|one| (format!("[destination.{}]", one.name), format!("{one:?}"))));
    let upstreams = config.upstreams.iter();
    sections.extend(upstreams.map(|one| (format!("[upstream.{}]", one.config.name), format!("{one:?}"))));
    sections
}
