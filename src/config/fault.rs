use std::fmt;
use std::ops::Range;

/// What is wrong with a configuration and its rules: every fault, file by file, in the order of each; and what is only doubtful.
#[derive(Debug)]
pub(crate) struct Faults {
    faults: Vec<Remark>,
    warnings: Vec<Remark>,
}

/// One fault or warning and, where there is one, the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    file: String,
    place: Option<Place>,
    message: String,
    help: Option<String>,
}

/// Line and column, counted from one; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: usize,
    column: usize,
}

/// Gathers faults and warnings while the text of the file is at hand.
pub(super) struct Finder<'t> {
    file: &'t str,
    text: &'t str,
    faults: Vec<Remark>,
    warnings: Vec<Remark>,
}

/// What a [`Finder`] has found, in the order of the file.
pub(super) struct Found {
    pub(super) faults: Vec<Remark>,
    pub(super) warnings: Vec<Remark>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, faults: Vec::new(), warnings: Vec::new() }
    }

    /// One that looks at the same text and has found nothing yet.
    pub(super) fn afresh(&self) -> Self {
        Self::new(self.file, self.text)
    }

    /// Notes a fault at a range of bytes in the text.
    pub(super) fn add(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.faults.push(self.remark(at, message.into(), help.into()));
    }

    /// Notes what is allowed and probably not meant.
    pub(super) fn warn(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.warnings.push(self.remark(at, message.into(), help.into()));
    }

    /// Takes over what another finder found, but for faults on lines that have one here.
    pub(super) fn append_other_lines(&mut self, other: Self) {
        let line = |fault: &Remark| fault.place.map(|place| place.line);
        let lines: Vec<_> = self.faults.iter().map(line).collect();
        self.faults.extend(other.faults.into_iter().filter(|fault| !lines.contains(&line(fault))));
        self.warnings.extend(other.warnings);
    }

    /// The line of the start of a range, counted from one.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.place(at.start).line
    }

    pub(super) fn finish(mut self) -> Found {
        self.faults.sort_by_key(|fault| fault.place);
        self.warnings.sort_by_key(|warning| warning.place);
        Found { faults: self.faults, warnings: self.warnings }
    }

    fn remark(&self, at: &Range<usize>, message: String, help: Option<String>) -> Remark {
        Remark { file: self.file.to_owned(), place: Some(self.place(at.start)), message, help }
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl Remark {
    /// About a file as a whole.
    pub(super) fn whole(file: &str, message: String, help: Option<String>) -> Self {
        Self { file: file.to_owned(), place: None, message, help }
    }

    /// What the check of the rules says, about a file under the name that the operator knows.
    pub(super) fn of_rules(finding: rules::Finding, file: String) -> Self {
        let place = Some(Place { line: finding.line, column: finding.column });
        Self { file, place, message: finding.message, help: finding.help }
    }

    /// `file:line:column: message`, the message after a word such as `warning: `, and the help indented below it.
    fn write(&self, f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {word}{}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n    {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Remark {
    /// A warning, on a line or two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "warning: ")
    }
}

impl Faults {
    /// One fault of a file as a whole.
    pub(super) fn whole(file: &str, message: String) -> Self {
        Self { faults: vec![Remark::whole(file, message, None)], warnings: Vec::new() }
    }

    /// What was found, when a fault is among it; otherwise the warnings.
    pub(super) fn of(found: Found) -> Result<Vec<Remark>, Self> {
        let Found { faults, warnings } = found;
        if faults.is_empty() { Ok(warnings) } else { Err(Self { faults, warnings }) }
    }

    /// What is allowed and probably not meant.
    pub(crate) fn warnings(&self) -> &[Remark] {
        &self.warnings
    }

    /// The files that have one, each once.
    fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for fault in &self.faults {
            if !files.contains(&fault.file.as_str()) {
                files.push(&fault.file);
            }
        }
        files
    }
}

impl fmt::Display for Faults {
    /// Each fault, and the count at the end; no warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            fault.write(f, "")?;
            writeln!(f)?;
        }
        let files = self.files();
        let files = match files.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            few => few.join(""),
        };
        match self.faults.len() {
            1 => write!(f, "1 fault in {files}"),
            count => write!(f, "{count} faults in {files}"),
        }
    }
}

impl std::error::Error for Faults {}
