use std::fmt;
use std::ops::Range;

/// What is wrong with a configuration file: every fault, in the order of the file.
#[derive(Debug)]
pub(crate) struct Faults {
    file: String,
    faults: Vec<Fault>,
}

/// One fault and, where there is one, the way out.
#[derive(Debug)]
struct Fault {
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

/// Gathers faults while the text of the file is at hand.
pub(super) struct Finder<'t> {
    text: &'t str,
    found: Vec<Fault>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a fault at a range of bytes in the text.
    pub(super) fn add(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let place = Some(self.place(at.start));
        self.found.push(Fault { place, message: message.into(), help: help.into() });
    }

    /// Takes over the faults of another finder, but for those on lines that have one here.
    pub(super) fn append_other_lines(&mut self, other: Finder<'_>) {
        let line = |fault: &Fault| fault.place.map(|place| place.line);
        let lines: Vec<_> = self.found.iter().map(line).collect();
        self.found.extend(other.found.into_iter().filter(|fault| !lines.contains(&line(fault))));
    }

    /// The line of the start of a range, counted from one.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.place(at.start).line
    }

    /// All faults in the order of the file; `None` when there are none.
    pub(super) fn finish(mut self, file: &str) -> Option<Faults> {
        self.found.sort_by_key(|fault| fault.place);
        (!self.found.is_empty()).then(|| Faults { file: file.to_owned(), faults: self.found })
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

impl Faults {
    /// One fault of the file as a whole.
    pub(super) fn whole(file: &str, message: String) -> Self {
        Self { file: file.to_owned(), faults: vec![Fault { place: None, message, help: None }] }
    }
}

impl fmt::Display for Faults {
    /// `file:line:column: message` for each, the help indented below it, and the count at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            match fault.place {
                Some(Place { line, column }) => {
                    writeln!(f, "{}:{line}:{column}: {}", self.file, fault.message)?
                }
                None => writeln!(f, "{}: {}", self.file, fault.message)?,
            }
            if let Some(help) = &fault.help {
                writeln!(f, "    {help}")?;
            }
        }
        match self.faults.len() {
            1 => write!(f, "1 fault in {}", self.file),
            count => write!(f, "{count} faults in {}", self.file),
        }
    }
}

impl std::error::Error for Faults {}
