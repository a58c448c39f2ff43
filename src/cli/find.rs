mod columns;
mod table;

use std::io::Write;
use std::num::NonZeroU64;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use model::attributes::Attributes;
use model::header::Header;
use model::query::{Mechanisms, Root, Zone};
use model::{QueryRetrieveLevel, Tag, Vr, json};
use net::scu::{Class, Found, Question, find, find_meaning};

use super::format::{clean, count};
use super::peer::{block_on, explain};
use super::remote::{Call, Remote};
use super::{say, say_error};
use columns::{Column, Key};
use table::Table;

/// Ask a peer what it has (C-FIND)
///
/// What it answers is printed, patients' data too. Exit code 1 when nothing matches.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// What a line of the answer is
    #[arg(long, value_enum, default_value = "study")]
    level: Level,
    /// The information model; without it patient at level patient, and else study
    #[arg(long, value_enum)]
    root: Option<Model>,
    /// What must match: keyword or tag of an attribute, and its value with wildcards or a range (StudyDate=20260101-); without
    /// `=` it is only to be returned
    #[arg(short, long = "match", value_name = "KEYWORD=VALUE", value_parser = columns::key)]
    key: Vec<Key>,
    /// What is to be told of each match; without it what is usual at the level, and the keys
    #[arg(long = "return", value_name = "KEYWORD", num_args = 1.., value_delimiter = ',', value_parser = columns::column)]
    returned: Vec<Column>,
    /// At most so many matches
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// Ask for relational queries: keys of any level, without the unique keys of the levels above
    #[arg(long)]
    relational: bool,
    /// Ask for person names to be matched by how they sound
    #[arg(long)]
    fuzzy: bool,
    /// Ask for a date and its time to be matched as one
    #[arg(long)]
    combined: bool,
    /// Ask for dates and times to be those of this time zone
    #[arg(long, value_name = "±HHMM", value_parser = zone, allow_hyphen_values = true)]
    timezone: Option<String>,
    /// Ask for keys of \"\" to match what has no value
    #[arg(long)]
    empty_values: bool,
    /// Ask for keys of several values, with \ between them, to match any one of them
    #[arg(long)]
    multiple_values: bool,
    /// Print an array of objects of the DICOM JSON model (PS3.18 Annex F)
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Patient,
    Study,
    Series,
    #[value(alias = "image")]
    Instance,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Model {
    Patient,
    Study,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Call { mut target, settings } = match arguments.remote.call() {
        Ok(call) => call,
        Err(code) => return Ok(code),
    };
    target.terms.mechanisms = arguments.mechanisms();
    let columns = arguments.columns();
    let question = arguments.question(&columns);
    let mut page = if arguments.json { Page::Json(0) } else { Page::Table(Table::new(columns)) };
    let found = block_on(find(&target, &settings, &question, arguments.limit, |row| page.row(row)))?;
    page.finish();
    let found = found.map_err(|error| anyhow!(explain(&error)))?;
    Ok(tell(&found))
}

impl Arguments {
    fn level(&self) -> QueryRetrieveLevel {
        match self.level {
            Level::Patient => QueryRetrieveLevel::Patient,
            Level::Study => QueryRetrieveLevel::Study,
            Level::Series => QueryRetrieveLevel::Series,
            Level::Instance => QueryRetrieveLevel::Image,
        }
    }

    fn root(&self) -> Root {
        match (self.root, self.level) {
            (Some(Model::Patient), _) | (None, Level::Patient) => Root::Patient,
            (Some(Model::Study), _) | (None, Level::Study | Level::Series | Level::Instance) => Root::Study,
        }
    }

    /// What is shown of each match.
    fn columns(&self) -> Vec<Column> {
        if !self.returned.is_empty() {
            return self.returned.clone();
        }
        let mut columns = columns::usual(self.level());
        for Key { column, .. } in &self.key {
            if columns.iter().all(|known| known.tag != column.tag) {
                columns.push(column.clone());
            }
        }
        columns
    }

    fn question(&self, columns: &[Column]) -> Question {
        let mut keys = Attributes::new();
        let unique = columns::unique(self.level());
        for column in columns.iter().chain([&unique]) {
            keys.insert(column.tag, column.vr, Vec::new());
        }
        for Key { column, values } in &self.key {
            keys.insert(column.tag, column.vr, values.clone());
        }
        if let Some(zone) = &self.timezone {
            keys.insert_text(TIMEZONE_OFFSET, Vr::SH, zone);
        }
        Question { root: self.root(), level: self.level(), keys }
    }

    /// What is asked for by extended negotiation (PS3.4 §C.5.1.1).
    fn mechanisms(&self) -> Mechanisms {
        Mechanisms {
            relational: self.relational,
            combined_datetime: self.combined,
            fuzzy_names: self.fuzzy,
            timezone: self.timezone.is_some(),
            empty_values: self.empty_values,
            multiple_values: self.multiple_values,
        }
    }
}

fn zone(given: &str) -> Result<String, String> {
    let is_zone = Zone::parse(given).is_some();
    if is_zone { Ok(given.to_owned()) } else { Err("it is no time zone, such as +0100".to_owned()) }
}

/// What is printed of the matches as they come.
enum Page {
    /// How many there were.
    Json(u64),
    Table(Table),
}

impl Page {
    fn row(&mut self, row: &Header) {
        match self {
            Self::Json(rows) => {
                let mut line = if *rows == 0 { b"[".to_vec() } else { b",\n".to_vec() };
                *rows += 1;
                json::write_header(row, "", &mut line);
                // A closed pipe is the reader's wish to hear no more.
                drop(std::io::stdout().write_all(&line));
            }
            Self::Table(table) => table.row(row),
        }
    }

    fn finish(self) {
        match self {
            Self::Json(0) => say("[]"),
            Self::Json(_) => say("]"),
            Self::Table(table) => table.finish(),
        }
    }
}

/// Says on standard error how the query ended.
fn tell(found: &Found) -> ExitCode {
    let status = found.outcome.status;
    if found.has_unknown_keys {
        say_error("the peer does not know some of the keys");
    }
    if found.unreadable > 0 {
        say_error(&format!("{} of the peer cannot be read", count(found.unreadable, "answer", "answers")));
    }
    let is_done = match status.class() {
        Class::Success | Class::Warning => true,
        Class::Cancel => found.has_more,
        Class::Failure | Class::Pending => false,
    };
    let comment = found.outcome.error_comment.as_ref();
    if !is_done || status.class() == Class::Warning || comment.is_some() {
        let comment = comment.map(|comment| format!(" ({})", clean(comment.as_str()))).unwrap_or_default();
        say_error(&format!("{status} {}{comment}", find_meaning(status)));
    }
    if is_done && found.has_more {
        say_error(&format!("there are more than these {}", found.rows));
    } else if is_done && found.rows == 0 {
        say_error("nothing matches");
    }
    let is_well = is_done && found.rows > 0 && found.unreadable == 0;
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const TIMEZONE_OFFSET: Tag = Tag(0x0008, 0x0201);
