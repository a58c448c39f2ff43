use std::process::ExitCode;

use archive::{CommitmentCounts, CommitmentRecord, CommitmentState};
use clap::Args;
use model::limits;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::format::{Grid, ago, clean, count, rfc3339, until, wrap};
use super::super::{ConfigFile, desk, say};

/// The storage commitment reports that we owe to peers: those that wait, and those that were given up
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON for a program
    #[arg(long, conflicts_with = "retry")]
    json: bool,
    /// Send now what waits for its next attempt, and what was given up
    #[arg(long)]
    retry: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match arguments.config.ask() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let mut desk = desk(&config)?;
    if arguments.retry {
        say(&match desk.retry_reports()? {
            0 => "nothing to retry".to_owned(),
            retried => format!("{} due now", count(retried, "report is", "reports are")),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let records = desk.commitments(limits::DEAD_LETTERS)?;
    say(&match arguments.json {
        true => format!("{:#}", Value::Array(records.iter().map(object).collect())),
        false => table(&records, desk.commitment_counts()?),
    });
    Ok(ExitCode::SUCCESS)
}

/// What stands below the destinations when reports are owed.
pub(super) fn note(counts: CommitmentCounts) -> Option<String> {
    let CommitmentCounts { waiting, given_up } = counts;
    let waits = count(waiting, "storage commitment report waits", "storage commitment reports wait");
    (waiting + given_up > 0)
        .then(|| format!("{waits}, {given_up} given up: `gantry queue commitments` tells more"))
}

fn object(record: &CommitmentRecord) -> Value {
    json!({
        "transaction_uid": record.transaction.as_str(),
        "aet": record.aet.as_ref().map(|title| title.as_str()),
        "peer": record.peer.as_ref().map(|name| name.as_str()),
        "state": match record.state {
            CommitmentState::Waiting => "waiting",
            CommitmentState::Reported => "reported",
            CommitmentState::GivenUp => "given_up",
        },
        "requested": rfc3339(record.requested),
        "instances": record.instances,
        "not_committed": record.failed,
        "attempts": record.attempts,
        "due": record.due.map(rfc3339),
        "done": record.done.map(rfc3339),
        "reason": record.status,
    })
}

/// A line for each report, and below it why it was not sent.
fn table(records: &[CommitmentRecord], counts: CommitmentCounts) -> String {
    if records.is_empty() {
        return "no storage commitment report is owed".to_owned();
    }
    let now = OffsetDateTime::now_utc();
    let mut grid = Grid::new(["asked by", "asked", "instances", "attempts", "state"]);
    for record in records {
        let state = match (record.state, record.due) {
            (CommitmentState::Waiting, Some(due)) => format!("next try {}", until(due, now)),
            (CommitmentState::Waiting, None) => "held for its association".to_owned(),
            (state @ (CommitmentState::Reported | CommitmentState::GivenUp), _) => state.label().to_owned(),
        };
        grid.row([
            clean(record.aet.as_ref().map_or("-", |title| title.as_str())),
            ago(record.requested, now),
            record.instances.to_string(),
            record.attempts.to_string(),
            state,
        ]);
        grid.note(wrap(&format!("transaction {}", record.transaction), 4, 4));
        if !record.status.is_empty() {
            grid.note(wrap(&clean(&record.status), 4, 4));
        }
    }
    let shown = u64::try_from(records.len()).unwrap_or(u64::MAX);
    let all = counts.waiting.saturating_add(counts.given_up);
    match all.checked_sub(shown) {
        None | Some(0) => grid.to_string(),
        Some(more) => format!("{grid}\nand {more} more"),
    }
}
