//! What was measured, as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::figures::{COLUMNS, Column, Figures, column, median};
use crate::machine::Machine;
use crate::options::Options;
use crate::summary;
use crate::targets::TARGETS;

/// The name under which Gantry's rows stand.
pub(crate) const GANTRY: &str = "Gantry";

/// Everything measured in one run.
pub(crate) struct Report {
    machine: Machine,
    /// A quick run measures smaller amounts, about which the targets say nothing.
    is_quick: bool,
    sections: Vec<Section>,
}

/// One table.
pub(crate) struct Section {
    title: &'static str,
    /// What was measured, in a sentence or two.
    text: &'static str,
    /// Title of the column by which servers are compared.
    compared: &'static str,
    rows: Vec<Row>,
    notes: Vec<String>,
}

struct Row {
    case: String,
    server: String,
    /// One entry per round.
    rounds: Vec<Figures>,
}

impl Report {
    pub(crate) fn new(machine: Machine, options: &Options) -> Self {
        Self { machine, is_quick: options.is_quick, sections: Vec::new() }
    }

    pub(crate) fn push(&mut self, section: Section) {
        self.sections.push(section);
    }

    pub(crate) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of that title.
    pub(crate) fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    /// Writes the report and returns where.
    pub(crate) fn save(&self) -> Result<PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/report.md");
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, self.markdown())?;
        Ok(path)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = self.machine.markdown();
        if self.is_quick {
            out.push_str("A quick run: one round, small amounts.\n");
        }
        out.push_str(
            "\nMedian of the rounds; in brackets the lowest and highest round of what is compared. Servers take turns within \
             each round.\n`2×` says that Gantry is twice as fast (or half as large) as that server: the median of the rounds' ratios.\n",
        );
        summary::write(self, &mut out);
        if !self.is_quick {
            self.targets(&mut out);
        }
        for section in &self.sections {
            section.markdown(&mut out);
        }
        out
    }

    fn targets(&self, out: &mut String) {
        let measured: Vec<_> =
            TARGETS.iter().filter_map(|target| Some((target, target.measure(self)?))).collect();
        if measured.is_empty() {
            return;
        }
        out.push_str("\n## Targets\n\n| target | measured | |\n|---|---:|---|\n");
        for (target, value) in measured {
            let verdict = if target.is_met(value) { "met" } else { "missed" };
            push_line(out, &[target.text.to_owned(), number(value), verdict.to_owned()]);
        }
    }
}

impl Section {
    pub(crate) fn new(title: &'static str, compared: &'static str, text: &'static str) -> Self {
        Self { title, text, compared, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds the figures of one round.
    pub(crate) fn add(&mut self, case: &str, server: &str, figures: Figures) {
        let row = self.rows.iter().position(|row| row.case == case && row.server == server);
        match row.and_then(|index| self.rows.get_mut(index)) {
            Some(row) => row.rounds.push(figures),
            None => {
                let row = Row { case: case.to_owned(), server: server.to_owned(), rounds: vec![figures] };
                self.rows.push(row);
            }
        }
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// Title of the column by which servers are compared.
    pub(crate) fn compared(&self) -> &'static str {
        self.compared
    }

    /// The cases, each once, in the order in which they were first measured.
    pub(crate) fn cases(&self) -> Vec<&str> {
        let mut cases: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !cases.contains(&row.case.as_str()) {
                cases.push(&row.case);
            }
        }
        cases
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The median of a column in one row.
    pub(crate) fn figure(&self, case: &str, server: &str, title: &str) -> Option<f64> {
        self.row(case, server)?.median(column(title)?)
    }

    /// How many times as fast, or as small, Gantry is as `server`.
    pub(crate) fn ratio(&self, case: &str, server: &str) -> Option<f64> {
        let (ours, theirs) = (self.row(case, GANTRY)?, self.row(case, server)?);
        let value = column(self.compared)?.value;
        let pairs = ours.rounds.iter().zip(&theirs.rounds);
        let ratios = pairs.filter_map(|(ours, theirs)| {
            let ratio = value(ours)? / value(theirs)?;
            Some(if self.more_is_better() { ratio } else { ratio.recip() })
        });
        median(ratios.filter(|ratio| ratio.is_finite()).collect())
    }

    fn more_is_better(&self) -> bool {
        self.compared == "/s"
    }

    fn row(&self, case: &str, server: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case && row.server == server)
    }

    fn markdown(&self, out: &mut String) {
        push_all(out, format_args!("\n## {}\n\n{}\n", self.title, self.text));
        let used: Vec<&Column> = COLUMNS
            .iter()
            .filter(|column| self.rows.iter().any(|row| row.median(column).is_some()))
            .collect();
        if !self.rows.is_empty() {
            let mut titles = vec!["case".to_owned(), "server".to_owned()];
            titles.extend(used.iter().map(|column| column.title.to_owned()));
            titles.push("Gantry is".to_owned());
            out.push('\n');
            push_line(out, &titles);
            push_all(out, format_args!("|---|---|{}\n", "---:|".repeat(titles.len() - 2)));
        }
        let cases = self.cases();
        for row in cases.iter().flat_map(|case| self.rows.iter().filter(move |row| row.case == *case)) {
            let mut cells = vec![row.case.clone(), row.server.clone()];
            cells.extend(used.iter().map(|column| self.cell(row, column)));
            let ratio = self.ratio(&row.case, &row.server).filter(|_| row.server != GANTRY);
            cells.push(ratio.map_or_else(String::new, |ratio| format!("{}×", number(ratio))));
            push_line(out, &cells);
        }
        for note in &self.notes {
            push_all(out, format_args!("\n{note}\n"));
        }
    }

    fn cell(&self, row: &Row, column: &Column) -> String {
        let Some(middle) = row.median(column) else { return String::new() };
        let values = || row.rounds.iter().filter_map(column.value);
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        if column.title == self.compared && row.rounds.len() > 1 {
            format!("{} ({}–{})", number(middle), number(low), number(high))
        } else {
            number(middle)
        }
    }
}

impl Row {
    fn median(&self, column: &Column) -> Option<f64> {
        median(self.rounds.iter().filter_map(column.value).collect())
    }
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ if value == value.trunc() => 0,
        _ => 2,
    };
    format!("{value:.digits$}")
}

pub(crate) fn push_line(out: &mut String, cells: &[String]) {
    push_all(out, format_args!("| {} |\n", cells.join(" | ")));
}

fn push_all(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}
