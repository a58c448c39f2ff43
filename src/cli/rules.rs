use std::process::ExitCode;

use clap::{Args, Subcommand};
use rules::TestReport;

use super::{BAD_CONFIGURATION, ConfigFile, say, say_error};
use crate::config::{self, For};

/// Try the rules
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the [[test]] cases of the rule files and tell how each ended; exit code 64 when one fails
    Test {
        #[command(flatten)]
        config: ConfigFile,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::Test { config } = &arguments.command;
    let (loaded, tests) = config::load_and_test(config.config.as_deref(), For::Checking);
    for test in &tests {
        let outcome = if test.failure.is_some() { "FAILED" } else { "ok" };
        say(&format!("{outcome:6}  {}  ({}:{})", test.name, test.file, test.line));
    }
    match loaded {
        Ok(config) => say(&passed(&tests, config.rules.as_ref())),
        Err(faults) => {
            say_error(&faults.to_string());
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn passed(tests: &[TestReport], rules: Option<&rules::RuleSet>) -> String {
    match (rules, tests.len()) {
        (None, _) => "no rules are named in [rules]".to_owned(),
        (Some(_), 0) => "the rules have no [[test]]".to_owned(),
        (Some(_), 1) => "1 test passed".to_owned(),
        (Some(_), count) => format!("{count} tests passed"),
    }
}
