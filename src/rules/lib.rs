//! The routing language: rule files, their check, their decision over a data set, and why it came out so.

mod arrival;
mod ast;
mod check;
mod decide;
mod decode;
mod dictionary;
mod eval;
mod explain;
mod facts;
mod file;
mod finding;
mod flaw;
mod functions;
mod given;
mod lex;
mod load;
mod parse;
mod program;
mod quoted;
mod reach;
mod set;
mod source;
mod symbols;
mod table;
mod test_case;
mod text;
mod trace;
mod types;
mod value;

pub use arrival::{Arrival, Via};
pub use decide::{Decision, Send};
pub use explain::{Explained, Explanation, Verdict};
pub use finding::Finding;
pub use flaw::Severity;
pub use load::{Loaded, load};
pub use set::{Rule, RuleSet};
pub use source::Source;
pub use test_case::TestReport;
pub use trace::Step;

pub(crate) use facts::Facts;
pub(crate) use flaw::Flaw;
pub(crate) use program::Program;
pub(crate) use symbols::Symbols;
