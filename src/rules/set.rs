use std::fmt;

use model::{DestinationName, RuleName};

use crate::source::Source;
use crate::{Program, Symbols};

/// The rules of all files, checked: what [`load`](crate::load()) makes of them. Immutable.
pub struct RuleSet {
    pub(crate) version: String,
    pub(crate) sources: Vec<Source>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) symbols: Symbols,
}

/// One `[[rule]]`.
pub struct Rule {
    /// Its name, which no other rule has.
    pub name: RuleName,
    /// 12 hexadecimal digits that change with what the rule does: its condition, its destinations and `stop`.
    pub version: String,
    /// The name of its file.
    pub file: String,
    /// The line in it where the rule's name stands.
    pub line: usize,
    /// Where it sends, without repetitions.
    pub send: Vec<DestinationName>,
    /// Whether no later rule is asked once this one has matched.
    pub stop: bool,
    pub(crate) condition: Condition,
}

/// When a rule matches.
#[expect(clippy::large_enum_variant, reason = "most rules have a program")]
pub(crate) enum Condition {
    When(Program),
    /// When no rule before it did.
    Otherwise,
}

impl RuleSet {
    /// 12 hexadecimal digits that change with the names and texts of the files.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The files, in the order in which they were given.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The rules in the order in which they are asked: that of the files, and in each from top to bottom.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("version", &self.version).field("rules", &self.rules).finish()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}:{}, {})", self.name.as_str(), self.file, self.line, self.version)
    }
}
