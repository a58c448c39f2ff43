use std::ops::Range;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, though probably not as meant.
    Warning,
}

/// Something wrong, or doubtful, in the text of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Where, in bytes of the expression's text.
    pub(crate) at: Range<usize>,
    /// What is wrong: a lowercase fragment.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
    /// Whether the expression can be used.
    pub(crate) severity: Severity,
}

impl Flaw {
    pub(crate) fn error(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None, severity: Severity::Error }
    }

    pub(crate) fn warning(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None, severity: Severity::Warning }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
