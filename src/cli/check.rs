use std::process::ExitCode;

use clap::Args;

use super::format::count;
use super::{ConfigFile, refuse, say};
use crate::config::{self, For, Remark};

/// Tell everything that is wrong with a configuration and its rules; exit code 64 when something is
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.config.config.as_deref();
    let (loaded, tests) = config::load_and_test(file, For::Checking);
    let config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            tell(faults.warnings());
            return Ok(refuse(&faults));
        }
    };
    tell(&config.warnings);
    let Some(file) = file else {
        say("no fault: without --config every key has its default");
        return Ok(ExitCode::SUCCESS);
    };
    let mut told = format!("no fault in {}", file.display());
    if let Some(rules) = &config.rules {
        let rules = count(rules.rules().len() as u64, "rule", "rules");
        let tests = count(tests.len() as u64, "test passes", "tests pass");
        told = format!("{told}; {rules}, {tests}");
    }
    match config.warnings.len() as u64 {
        0 => say(&told),
        warnings => say(&format!("{told}; {}", count(warnings, "warning", "warnings"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(warnings: &[Remark]) {
    for warning in warnings {
        say(&warning.to_string());
    }
}
