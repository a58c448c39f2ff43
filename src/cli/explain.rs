mod account;
mod json;
mod many;
mod origin;
mod steps;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use archive::Traced;
use clap::Args;
use rules::RuleSet;
use time::OffsetDateTime;

use super::{ConfigFile, desk, refuse, say};
use crate::config::{self, Config, For};
use account::Account;
use origin::Given;

/// Why an instance went where it went: each rule with what its parts came to, and each destination with its answer
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The UID of an instance, series or study that is kept, or a DICOM file that is only looked at
    #[arg(value_name = "UID|FILE")]
    subject: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Explain by the rules of the configuration, not by those in force when the instance came
    #[arg(long)]
    current: bool,
    /// How a FILE is supposed to come: aet=, ip=, called=, peer= or via= (dimse, dicomweb); may be given several times
    #[arg(long, value_name = "FACT=VALUE", value_parser = origin::given)]
    from: Vec<Given>,
    /// Print JSON for a program
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = Path::new(&arguments.subject);
    if path.is_file() {
        return explain_file(path, arguments);
    }
    if model::SopInstanceUid::parse(arguments.subject.trim()).is_err() {
        bail!("{:?} is no file and no UID", arguments.subject);
    }
    if !arguments.from.is_empty() {
        bail!("--from is for files: how a stored instance came is known");
    }
    explain_stored(arguments)
}

/// By the configured rules, since no others have seen it.
fn explain_file(path: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.load(For::Checking) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let examined = pipeline::examine(path).with_context(|| format!("cannot explain {}", path.display()))?;
    let arrival = origin::arrival(&arguments.from)?;
    let today = OffsetDateTime::now_utc().date();
    let account = Account::of_file(path, examined, config.rules.as_ref(), &arrival, today);
    tell(&[account], arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn explain_stored(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let found = desk(&config)?.trace(arguments.subject.trim())?;
    if found.instances.is_empty() {
        bail!("no instance, series or study {} is kept here", arguments.subject.trim());
    }
    let is_one = found.instances.windows(2).all(|pair| match pair {
        [a, b] => a.instance.ids.sop_instance == b.instance.ids.sop_instance,
        _ => true,
    });
    if !is_one {
        say(&match arguments.json {
            true => json::many(&found),
            false => many::table(&found, arguments.subject.trim()),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let now = match config::load(arguments.config.config.as_deref(), For::Checking) {
        Err(faults) if arguments.current => return Ok(refuse(&faults)),
        loaded => loaded.ok(),
    };
    let now = Now::new(now.as_ref(), arguments.current);
    let accounts: Vec<Account> =
        found.instances.into_iter().map(|traced: Traced| Account::of_stored(traced, &now)).collect();
    tell(&accounts, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn tell(accounts: &[Account], as_json: bool) {
    say(&match as_json {
        true => json::accounts(accounts),
        false => text::accounts(accounts),
    });
}

/// The rules of the configuration as it is now.
enum Now<'c> {
    /// They are what the question is about.
    Asked(Option<&'c RuleSet>),
    /// They are worth a word when they differ from those that were in force.
    Aside(Option<&'c RuleSet>),
    /// They are worth a word because they cannot be used.
    Faulty,
}

impl<'c> Now<'c> {
    fn new(config: Option<&'c Config>, is_asked: bool) -> Self {
        match config {
            Some(config) if is_asked => Self::Asked(config.rules.as_ref()),
            Some(config) => Self::Aside(config.rules.as_ref()),
            None => Self::Faulty,
        }
    }
}

/// What an account is about.
enum Subject {
    File(PathBuf),
    Stored(Box<Traced>),
}
