//! The functions of the language: names, arguments, meaning.

/// A function as expressions call it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// What stands in its parentheses, for messages.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) does: Does,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Has,
    Size,
    Each(Quantifier),
    Text(TextTest, Exactness),
    Lower,
    Cidr,
    Today,
    Days,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

/// What is asked of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
    Glob,
    Regex,
}

/// Whether case, accents and the width of white space count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exactness {
    Folded,
    Exact,
}

pub(crate) const FUNCTIONS: &[Function] = &[
    of("has", &["X"], Does::Has),
    of("any", &["X", "condition on it"], Does::Each(Quantifier::Any)),
    of("all", &["X", "condition on it"], Does::Each(Quantifier::All)),
    of("size", &["X"], Does::Size),
    of("ieq", &["X", "\"text\""], Does::Text(TextTest::Equals, Exactness::Folded)),
    of("contains", &["X", "\"text\""], Does::Text(TextTest::Contains, Exactness::Folded)),
    of("startsWith", &["X", "\"text\""], Does::Text(TextTest::StartsWith, Exactness::Folded)),
    of("endsWith", &["X", "\"text\""], Does::Text(TextTest::EndsWith, Exactness::Folded)),
    of("glob", &["X", "\"CT*\""], Does::Text(TextTest::Glob, Exactness::Folded)),
    of("matches", &["X", "\"regular expression\""], Does::Text(TextTest::Regex, Exactness::Folded)),
    of("cs.contains", &["X", "\"text\""], Does::Text(TextTest::Contains, Exactness::Exact)),
    of("cs.startsWith", &["X", "\"text\""], Does::Text(TextTest::StartsWith, Exactness::Exact)),
    of("cs.endsWith", &["X", "\"text\""], Does::Text(TextTest::EndsWith, Exactness::Exact)),
    of("cs.glob", &["X", "\"CT*\""], Does::Text(TextTest::Glob, Exactness::Exact)),
    of("cs.matches", &["X", "\"regular expression\""], Does::Text(TextTest::Regex, Exactness::Exact)),
    of("lower", &["X"], Does::Lower),
    of("cidr", &["\"10.0.0.0/8\""], Does::Cidr),
    of("today", &[], Does::Today),
    of("days", &["30"], Does::Days),
];

impl Function {
    /// As messages write it.
    pub(crate) fn signature(&self) -> String {
        format!("{}({})", self.name, self.arguments.join(", "))
    }
}

const fn of(name: &'static str, arguments: &'static [&'static str], does: Does) -> Function {
    Function { name, arguments, does }
}
