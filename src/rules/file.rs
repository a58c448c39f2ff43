//! From the text of a rule file to its rules and tests: walks the whole document, so that all mistakes come out at once.

use std::ops::Range;

use model::{RuleName, limits};
use time::Date;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::dictionary::closest;
use crate::finding::Finder;
use crate::given::{self, Given};
use crate::quoted::Quoted;
use crate::table::{Keys, Named, Table, noun};

/// What a rule file has.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) rules: Vec<Draft>,
    pub(crate) tests: Vec<Case>,
}

/// One `[[rule]]` as it stands in its file. What is missing where it may not be has been noted.
pub(crate) struct Draft {
    /// Its name, or where it begins.
    pub(crate) at: Range<usize>,
    pub(crate) name: Option<RuleName>,
    pub(crate) condition: Option<Condition>,
    pub(crate) send: Option<Vec<Named>>,
    pub(crate) stop: bool,
}

/// When a rule sends.
pub(crate) enum Condition {
    /// When this expression is true.
    When(Quoted),
    /// When no earlier rule of any file matched.
    Otherwise,
}

/// One `[[test]]` as it stands in its file. What is missing has been noted.
pub(crate) struct Case {
    /// Its name, or where it begins.
    pub(crate) at: Range<usize>,
    pub(crate) name: String,
    pub(crate) given: Option<Given>,
    pub(crate) today: Option<Date>,
    pub(crate) expect: Option<Expected>,
}

/// Where an instance should go: exactly there.
pub(crate) struct Expected {
    pub(crate) at: Range<usize>,
    pub(crate) destinations: Vec<Named>,
}

impl Document {
    /// Reads a rule file; what is wrong with it is noted, and left out.
    pub(crate) fn read(finder: &mut Finder<'_>) -> Self {
        let text = finder.text();
        if text.len() > limits::RULE_FILE_BYTES {
            let most = limits::RULE_FILE_BYTES;
            let help = "split it into several".to_owned();
            finder.error(&(0..0), format!("the file has {} bytes, more than {most}", text.len()), help);
            return Self::default();
        }
        let (root, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            let at = error.span().unwrap_or(text.len()..text.len());
            finder.error(&at, format!("not TOML: {}", error.message()), None);
        }
        let mut rest = Finder::new(finder.file(), text);
        let document = Self::of_root(root.get_ref(), &mut rest);
        // What follows from a syntax error is no news.
        finder.append_other_lines(rest);
        document
    }

    fn of_root(root: &DeTable<'_>, finder: &mut Finder<'_>) -> Self {
        let mut document = Self::default();
        for (name, value) in root {
            match name.get_ref().as_ref() {
                "rule" => {
                    let rules = list(RULE.place, "rule", value, finder).into_iter().flatten();
                    document.rules = rules.filter_map(|rule| Draft::read(rule, finder)).collect();
                }
                "test" => {
                    let tests = list(TEST.place, "test", value, finder).into_iter().flatten();
                    document.tests = tests.filter_map(|test| Case::read(test, finder)).collect();
                }
                other => {
                    let meant = closest(other, ["rule", "test"])
                        .map_or(String::new(), |word| format!("did you mean [[{word}]]? "));
                    let help = format!(
                        "{meant}a rule file has [[rule]] and [[test]]; all else stands in the configuration"
                    );
                    finder.error(&name.span(), format!("unknown name `{other}` in a rule file"), help);
                }
            }
        }
        document
    }
}

/// The tables of `[[rule]]` or `[[test]]`.
fn list<'v, 'i>(
    place: &str,
    name: &str,
    value: &'v Spanned<DeValue<'i>>,
    finder: &mut Finder<'_>,
) -> Option<&'v DeArray<'i>> {
    match value.get_ref() {
        DeValue::Array(list) => Some(list),
        other => {
            let message = format!("`{name}` is a list of tables, not {}", noun(other));
            finder.error(&value.span(), message, format!("write {place} in double brackets"));
            None
        }
    }
}

impl Draft {
    fn read(given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) -> Option<Self> {
        let table = Table::read(&RULE, given, finder)?;
        let name = rule_name(&table, finder);
        if let Some((on, at)) = table.text("on", finder)
            && on != "instance"
        {
            let help = "write on = \"instance\", or leave it out".to_owned();
            finder.error(&at, format!("`on` is \"instance\", the only one that there is, not {on:?}"), help);
        }
        let stop = table.flag("stop", finder).unwrap_or(false);
        let send = table.destinations("send", finder);
        if send.as_ref().is_some_and(Vec::is_empty) && !stop {
            let at = table.get("send").map_or(table.at.clone(), |(_, value)| value.span());
            let help = "name destinations, or write stop = true to send what matches nowhere".to_owned();
            finder.warning(&at, "sends nowhere, and only keeps `otherwise` from being true", help);
        }
        Some(Self {
            at: table.get("name").map_or(table.at.clone(), |(_, value)| value.span()),
            name,
            condition: Condition::read(&table, finder),
            send,
            stop,
        })
    }
}

fn rule_name(table: &Table<'_, '_>, finder: &mut Finder<'_>) -> Option<RuleName> {
    table.require("name", finder)?;
    let (name, at) = table.text("name", finder)?;
    let most = limits::RULE_NAME_CHARS;
    let is_name = (1..=most).contains(&name.chars().count())
        && name.trim() == name
        && !name.contains(|c: char| c.is_control());
    if !is_name {
        let help = format!("1 to {most} characters on one line, no space at the ends");
        finder.error(&at, format!("{name:?} is no name for a rule"), help);
        return None;
    }
    Some(RuleName::new(name))
}

impl Condition {
    fn read(table: &Table<'_, '_>, finder: &mut Finder<'_>) -> Option<Self> {
        let when = table.text("when", finder);
        let otherwise = table.flag("otherwise", finder);
        match (table.get("when"), table.get("otherwise")) {
            (None, None) => {
                finder.error(&table.at, "[[rule]] has neither `when` nor `otherwise`", EITHER.to_owned());
                None
            }
            (Some(_), Some((name, _))) => {
                finder.error(&name.span(), "[[rule]] has both `when` and `otherwise`", EITHER.to_owned());
                None
            }
            (Some(_), None) => {
                let (text, at) = when?;
                Some(Self::When(Quoted::new(finder.text(), at, text)))
            }
            (None, Some((_, value))) => {
                if !otherwise? {
                    let help = "write otherwise = true, or when = \"false\" for a rule that rests".to_owned();
                    finder.error(&value.span(), "`otherwise` can only be true", help);
                    return None;
                }
                Some(Self::Otherwise)
            }
        }
    }
}

impl Case {
    fn read(given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) -> Option<Self> {
        let table = Table::read(&TEST, given, finder)?;
        table.require("name", finder);
        let (name, at) = table.text("name", finder).unwrap_or_else(|| ("", table.at.clone()));
        let given = table.require("given", finder).and_then(|given| match given.get_ref() {
            DeValue::Table(entries) => given::read(entries, &given.span(), finder),
            other => {
                table.note("given", &given.span(), "a table", other, finder);
                None
            }
        });
        let destinations = table.destinations("expect", finder);
        let expect = destinations.zip(table.get("expect"));
        let expect = expect.map(|(destinations, (_, value))| Expected { at: value.span(), destinations });
        Some(Self { at, name: name.to_owned(), given, today: today(&table, finder), expect })
    }
}

fn today(table: &Table<'_, '_>, finder: &mut Finder<'_>) -> Option<Date> {
    let (_, value) = table.get("today")?;
    let date = value.get_ref().as_datetime().and_then(|given| given.date);
    let date = date.and_then(|date| {
        let month = time::Month::try_from(date.month).ok()?;
        Date::from_calendar_date(i32::from(date.year), month, date.day).ok()
    });
    if date.is_none() {
        table.note("today", &value.span(), "a date without quotes", value.get_ref(), finder);
    }
    date
}

const EITHER: &str = "a rule has one of them: when = '''an expression''', or otherwise = true";

const RULE: Keys = Keys {
    place: "[[rule]]",
    examples: &[
        ("name", "\"chest CT of the ER\""),
        ("on", "\"instance\""),
        ("when", "'''Modality == \"CT\" && contains(StudyDescription, \"chest\")'''"),
        ("otherwise", "true"),
        ("send", "[\"pacs\"]"),
        ("stop", "true"),
    ],
};

const TEST: Keys = Keys {
    place: "[[test]]",
    examples: &[
        ("name", "\"chest CT goes to the PACS\""),
        ("given", "{ Modality = \"CT\", StudyDescription = \"Chest\", \"from.aet\" = \"ER_CT1\" }"),
        ("today", "2026-03-31"),
        ("expect", "[\"pacs\"]"),
    ],
};
