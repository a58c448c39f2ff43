use std::fmt;
use std::ops::Range;

use crate::Severity;

/// Something that an operator should know about a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the rules can be used all the same.
    pub severity: Severity,
    /// The name of the file, as its [`Source`](crate::Source) has it.
    pub file: String,
    /// Counted from one.
    pub line: usize,
    /// In characters, counted from one.
    pub column: usize,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The way out, where there is one.
    pub help: Option<String>,
}

/// `file:line:column: message`, `warning: ` before the message of a warning; the help on a line of its own, indented.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}:{}: {word}{}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n    {help}"),
            None => Ok(()),
        }
    }
}

/// Gathers findings while the text of a file is at hand.
pub(crate) struct Finder<'t> {
    file: &'t str,
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    found: Vec<(usize, Finding)>,
}

impl<'t> Finder<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let behind_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(behind_newlines).collect();
        Self { file, text, lines, found: Vec::new() }
    }

    /// Notes an error at a range of bytes in the text.
    pub(crate) fn error(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.add(Severity::Error, at, message.into(), help.into());
    }

    /// Notes a warning at a range of bytes in the text.
    pub(crate) fn warning(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.add(Severity::Warning, at, message.into(), help.into());
    }

    /// Notes a finding at a range of bytes in the text.
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        at: &Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        let (line, column) = self.place(at.start);
        let file = self.file.to_owned();
        self.found.push((at.start, Finding { severity, file, line, column, message, help }));
    }

    /// Takes over the findings of another finder, but for those on lines that have one here.
    pub(crate) fn append_other_lines(&mut self, other: Finder<'_>) {
        let lines: Vec<usize> = self.found.iter().map(|(_, finding)| finding.line).collect();
        self.found.extend(other.found.into_iter().filter(|(_, finding)| !lines.contains(&finding.line)));
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> &'t str {
        self.file
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The line of the start of a range, counted from one.
    pub(crate) fn line(&self, at: &Range<usize>) -> usize {
        self.place(at.start).0
    }

    /// Whether an error is among the findings.
    pub(crate) fn has_error(&self) -> bool {
        self.found.iter().any(|(_, finding)| finding.severity == Severity::Error)
    }

    /// All findings in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|(offset, _)| *offset);
        self.found.into_iter().map(|(_, finding)| finding).collect()
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= offset);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(begin..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let text = "a\nzoë = 1\r\n";
        let finder = Finder::new("x.toml", text);
        for (offset, expected) in [(0, (1, 1)), (1, (1, 2)), (2, (2, 1)), (7, (2, 5)), (13, (3, 1))] {
            assert_eq!(finder.place(offset), expected, "{offset}");
        }
    }

    #[test]
    fn findings_come_in_the_order_of_the_file() {
        let mut finder = Finder::new("x.toml", "one\ntwo\n");
        finder.error(&(4..7), "late", None);
        finder.warning(&(0..3), "early", "do so".to_owned());
        let text: Vec<String> = finder.finish().iter().map(Finding::to_string).collect();
        assert_eq!(text, ["x.toml:1:1: warning: early\n    do so", "x.toml:2:1: late"]);
    }
}
