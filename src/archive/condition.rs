//! Matching key → SQL over one column or over the terms of one owner (PS3.4 §C.2.2.2). Pure.

use model::fold::fold_person_name;
use model::query::Matching;
use rusqlite::types::Value;

use crate::attribute::{Attribute, Kind};
use crate::rows::column_value;

/// A Boolean SQL expression with anonymous parameters, and their values in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

impl Condition {
    pub(crate) fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), values: values.into_iter().collect() }
    }

    fn and(mut self, other: Self) -> Self {
        self.sql = format!("{} AND {}", self.sql, other.sql);
        self.values.extend(other.values);
        self
    }
}

/// What the column of an attribute must hold. A column without a value matches nothing.
pub(crate) fn on_column(attribute: &Attribute, column: &str, matching: &Matching) -> Condition {
    let normal = |text: &str| column_value(attribute, text);
    match (attribute.kind, matching) {
        (Kind::Time, Matching::Single(time)) => time_range(column, Some(time), Some(time)),
        (Kind::Time, Matching::Range { from, to }) => time_range(column, from.as_deref(), to.as_deref()),
        (Kind::Decimal, Matching::Single(number)) => Condition::new(
            format!("{column} <> '' AND CAST({column} AS REAL) = CAST(? AS REAL)"),
            [text(number)],
        ),
        (Kind::Texts, Matching::Single(value)) => Condition::new(
            format!("instr('\\' || {column} || '\\', ?) > 0"),
            [text(&format!("\\{}\\", normal(value)))],
        ),
        (Kind::Texts, Matching::UidList(values)) => Condition::new(
            format!(
                "EXISTS (SELECT 1 FROM json_each(?) WHERE instr('\\' || {column} || '\\', '\\' || json_each.value || '\\') > 0)"
            ),
            [json(values.iter().map(|value| normal(value)))],
        ),
        (_, Matching::Wildcard(pattern)) if pattern.contains('\0') => nothing(),
        // The text as JSON, in which a backslash is two: a list of its values when each such pair ends a string.
        (Kind::Texts, Matching::Wildcard(pattern)) => Condition::new(
            format!(
                "{column} <> '' AND EXISTS (SELECT 1 FROM json_each('[' || replace(json_quote({column}), '\\\\', '\",\"') || ']')
                 WHERE json_each.value GLOB ?)"
            ),
            [text(&glob(pattern))],
        ),
        (_, Matching::Single(value)) => Condition::new(format!("{column} = ?"), [text(&normal(value))]),
        (_, Matching::UidList(values)) => Condition::new(
            format!("{column} IN (SELECT value FROM json_each(?))"),
            [json(values.iter().map(|value| normal(value)))],
        ),
        (_, Matching::Wildcard(pattern)) => like(column, pattern),
        (_, Matching::Range { from, to }) => range(column, from.as_deref(), to.as_deref()),
    }
}

/// What the terms of an owner must hold: for each condition there must be a term.
///
/// A person name matches without regard to case, accents and trailing delimiters, by each of its component groups: a
/// key of one group is found in any group of the stored name (PS3.4 §C.2.2.2.1).
pub(crate) fn on_terms(attribute: &Attribute, matching: &Matching) -> Vec<Condition> {
    let is_name = matches!(attribute.kind, Kind::Name(_));
    let equals = |value: &str| Condition::new("value = ?", [text(value)]);
    match matching {
        Matching::Wildcard(pattern) if pattern.contains('\0') => vec![nothing()],
        Matching::Single(name) if is_name => {
            fold_person_name(name).iter().map(|group| equals(group)).collect()
        }
        Matching::Wildcard(name) if is_name => {
            fold_person_name(name).iter().map(|group| like_group(group)).collect()
        }
        Matching::Single(value) => vec![equals(value)],
        Matching::Wildcard(pattern) => vec![like("value", pattern)],
        Matching::UidList(values) => {
            vec![Condition::new("value IN (SELECT value FROM json_each(?))", [json(values.iter().cloned())])]
        }
        Matching::Range { from, to } => vec![range("value", from.as_deref(), to.as_deref())],
    }
}

/// What stands before the first wildcard of a pattern.
pub(crate) fn literal_prefix(pattern: &str) -> &str {
    pattern.split(['*', '?']).next().unwrap_or_default()
}

/// A list as the text that `json_each` takes.
pub(crate) fn json<T: Into<serde_json::Value>>(values: impl Iterator<Item = T>) -> Value {
    Value::Text(serde_json::Value::from_iter(values).to_string())
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// What no row meets: no text has a NUL inside (PS3.5 §6.1.3), and GLOB would take it for the end of the pattern.
fn nothing() -> Condition {
    Condition::new("0", [])
}

/// Wildcard matching, by a range of the index as far as the pattern begins with plain text.
fn like(column: &str, pattern: &str) -> Condition {
    let prefix = literal_prefix(pattern);
    let glob = || Condition::new(format!("{column} GLOB ?"), [text(&glob(pattern))]);
    match begins_with(column, prefix) {
        None => glob(),
        Some(range) if pattern.strip_prefix(prefix) == Some("*") => range,
        Some(range) => range.and(glob()),
    }
}

/// Wildcard matching of a name: `doe^*` also finds who has no more than `doe`, whose delimiters are not stored.
fn like_group(pattern: &str) -> Condition {
    let bare = pattern
        .strip_suffix('*')
        .map(|rest| rest.trim_end_matches('^'))
        .filter(|bare| !bare.contains(['*', '?']));
    match bare {
        Some(bare) if pattern.ends_with("^*") && !bare.is_empty() => {
            let range = begins_with("value", bare);
            let either = Condition::new("(value GLOB ? OR value = ?)", [text(&glob(pattern)), text(bare)]);
            match range {
                Some(range) => range.and(either),
                None => either,
            }
        }
        Some(_) | None => like("value", pattern),
    }
}

fn begins_with(column: &str, prefix: &str) -> Option<Condition> {
    if prefix.is_empty() {
        return None;
    }
    Some(match successor(prefix) {
        Some(end) => Condition::new(format!("{column} >= ? AND {column} < ?"), [text(prefix), text(&end)]),
        None => Condition::new(format!("{column} >= ?"), [text(prefix)]),
    })
}

/// The first text that comes after all that begin with `prefix`; SQLite compares UTF-8 by bytes, which is the order
/// of code points.
fn successor(prefix: &str) -> Option<String> {
    let mut rest = prefix.to_owned();
    while let Some(last) = rest.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            rest.push(next);
            return Some(rest);
        }
    }
    None
}

/// The pattern as GLOB reads it: `*` and `?` mean the same, `[` would begin a set.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]")
}

fn range(column: &str, from: Option<&str>, to: Option<&str>) -> Condition {
    let from = match from {
        Some(from) if !from.is_empty() => Condition::new(format!("{column} >= ?"), [text(from)]),
        Some(_) | None => Condition::new(format!("{column} > ''"), []),
    };
    match to {
        Some(to) => from.and(Condition::new(format!("{column} <= ?"), [text(to)])),
        None => from,
    }
}

/// A range of times. A time is stored as precisely as it came, `1015` or `101500.0`, so the ends are written such
/// that the order of texts is the order of times: the first without zeros at its end, the last in full.
fn time_range(column: &str, from: Option<&str>, to: Option<&str>) -> Condition {
    let from = from.map(|from| {
        let digits = from.split_once('.').map_or(from, |(seconds, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') { seconds } else { from.trim_end_matches('0') }
        });
        let mut digits = digits;
        while let Some(rest) = digits.strip_suffix("00").filter(|rest| !rest.contains('.')) {
            digits = rest;
        }
        digits
    });
    let to = to.map(|to| format!("{to}{}", "235959.999999".get(to.len()..).unwrap_or_default()));
    range(column, from, to.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::find;
    use model::{QueryRetrieveLevel, Tag};

    const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
    const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
    const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
    const PATIENT_SIZE: Tag = Tag(0x0010, 0x1020);
    const PATIENT_ID: Tag = Tag(0x0010, 0x0020);

    fn attribute(tag: Tag) -> &'static Attribute {
        find(QueryRetrieveLevel::Image, tag).unwrap()
    }

    /// Whether SQLite finds `value` by the conditions.
    fn holds(conditions: &[Condition], value: &str) -> bool {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE it (value TEXT)").unwrap();
        connection.execute("INSERT INTO it VALUES (?1)", [value]).unwrap();
        conditions.iter().all(|condition| {
            let sql = format!("SELECT count(*) FROM it WHERE {}", condition.sql);
            let values = rusqlite::params_from_iter(&condition.values);
            connection.query_row(&sql, values, |row| row.get::<_, i64>(0)).unwrap() == 1
        })
    }

    fn column(tag: Tag, matching: &Matching, value: &str) -> bool {
        holds(&[on_column(attribute(tag), "it.value", matching)], value)
    }

    fn wildcard(pattern: &str) -> Matching {
        Matching::Wildcard(pattern.to_owned())
    }

    fn span(from: &str, to: &str) -> Matching {
        let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Matching::Range { from: end(from), to: end(to) }
    }

    #[test]
    fn wildcards_match_with_case_and_take_brackets_as_they_are() {
        let id = |pattern: &str, value: &str| column(PATIENT_ID, &wildcard(pattern), value);
        assert!(id("A*", "A") && id("A*", "AB") && !id("A*", "aB") && !id("A*", "B"));
        assert!(id("*B", "AB") && id("*B*", "ABC") && !id("*B", "ABC"));
        assert!(id("A?C", "ABC") && id("A?C", "AéC") && !id("A?C", "AC"));
        assert!(id("A[1]*", "A[1]x") && !id("A[1]*", "A1x") && id("*]", "]"));
        assert!(id("é*", "éa") && !id("é*", "ê") && id("\u{10FFFF}*", "\u{10FFFF}x"));
        assert!(!id("?*", ""));
    }

    #[test]
    fn single_values_match_whole_and_with_case() {
        let id = |value: &str, stored: &str| column(PATIENT_ID, &Matching::Single(value.into()), stored);
        assert!(id("A 1 ", "A 1") && !id("A 1", "a 1") && !id("A", "A 1") && !id("A*", "AB"));
    }

    #[test]
    fn ranges_leave_out_what_has_no_value() {
        let date = |from: &str, to: &str, value: &str| column(Tag(0x0008, 0x0020), &span(from, to), value);
        assert!(date("20200101", "20200131", "20200101") && date("20200101", "20200131", "20200131"));
        assert!(!date("20200101", "20200131", "20200201") && !date("20200101", "", "20191231"));
        assert!(date("", "20200131", "19990101") && !date("", "20200131", "") && !date("20200101", "", ""));
    }

    #[test]
    fn times_compare_whatever_their_precision() {
        let time = |from: &str, to: &str, value: &str| column(STUDY_TIME, &span(from, to), value);
        for stored in ["10", "1000", "100000", "100000.0", "100000.000000", "1015", "101559.5", "1100"] {
            assert!(time("100000.000000", "110059.999999", stored), "{stored}");
        }
        for stored in ["", "0959", "095959.999999", "1101", "110100.0", "12"] {
            assert!(!time("100000.000000", "110059.999999", stored), "{stored}");
        }
        assert!(
            time("", "110059.999999", "00")
                && time("000000.000000", "", "00")
                && !time("000000.000000", "", "")
        );
        assert!(time("101530.500000", "", "101530.5") && !time("101530.500000", "", "101530"));
        assert!(time("101000", "101000", "1010") && !time("101000", "101000", "10"));
        assert!(column(STUDY_TIME, &Matching::Single("1010".into()), "101030") && time("10", "10", "105900"));
    }

    #[test]
    fn one_of_several_values_is_enough() {
        let image = |matching: &Matching| column(IMAGE_TYPE, matching, "ORIGINAL\\PRIMARY\\AXIAL");
        let list =
            |values: &[&str]| Matching::UidList(values.iter().map(|&value| value.to_owned()).collect());
        assert!(image(&Matching::Single("PRIMARY".into())) && !image(&Matching::Single("PRIM".into())));
        assert!(image(&wildcard("PRIM*")) && image(&wildcard("?RIGINAL")) && !image(&wildcard("RIM*")));
        assert!(image(&list(&["X", "AXIAL"])) && !image(&list(&["X", "AX"])));
    }

    #[test]
    fn wildcards_match_one_of_several_values_and_not_across_them() {
        let image = |pattern: &str, stored: &str| column(IMAGE_TYPE, &wildcard(pattern), stored);
        assert!(!image("ORIG*AXIAL", "ORIGINAL\\PRIMARY\\AXIAL") && image("ORIG*L", "ORIGINAL\\AXIAL"));
        assert!(!image("ORIGINAL?AXIAL", "ORIGINAL\\AXIAL") && image("AX*L", "\\AXIAL\\"));
        assert!(
            image("*\"x", "a\"x\\b")
                && image("\"*", "a\\\"")
                && image("a\"", "a\"\\\"b")
                && image("é\n*", "é\nb\\c")
        );
        assert!(!image("*", "") && !image("?*", "\\") && image("[a]*", "b\\[a]c"));
    }

    #[test]
    fn a_pattern_with_a_nul_matches_nothing() {
        let pattern = wildcard("*A\0*B");
        assert!(!column(PATIENT_ID, &pattern, "xA") && !column(IMAGE_TYPE, &pattern, "xA\\B"));
        for condition in on_terms(attribute(PATIENT_NAME), &wildcard("*a\0*")) {
            assert!(!holds(&[condition], "xa"));
        }
    }

    #[test]
    fn decimals_compare_as_numbers() {
        let size = |key: &str, value: &str| column(PATIENT_SIZE, &Matching::Single(key.into()), value);
        assert!(size("1.5", "1.50") && size("1.5", "+1.5e0") && !size("0", "") && !size("1.5", "1.51"));
    }

    #[test]
    fn names_match_by_group_without_case_and_accents() {
        let name = |key: &Matching, stored: &str| {
            let conditions = on_terms(attribute(PATIENT_NAME), key);
            conditions.iter().all(|condition| {
                fold_person_name(stored).iter().any(|group| holds(std::slice::from_ref(condition), group))
            })
        };
        let single = |key: &str| Matching::Single(key.to_owned());
        assert!(name(&single("MÜLLER^hans"), "Muller^Hans^^^") && !name(&single("Müller"), "Müller^Hans"));
        assert!(name(&wildcard("mul*"), "MÜLLER^Hans") && name(&wildcard("*hans"), "Müller^Hans"));
        assert!(
            name(&wildcard("doe^*"), "Doe")
                && name(&wildcard("doe^*"), "Doe^Jane")
                && !name(&wildcard("doe^*"), "Doering")
        );
        assert!(name(&wildcard("山*"), "Yamada^Tarou=山田^太郎=やまだ^たろう"));
        assert!(name(&wildcard("yamada*=山田*"), "Yamada^Tarou=山田^太郎"));
        assert!(!name(&wildcard("suzuki*=山田*"), "Yamada^Tarou=山田^太郎"));
    }

    #[test]
    fn the_successor_of_a_prefix_is_the_next_text_without_it() {
        assert_eq!(successor("ab"), Some("ac".into()));
        assert_eq!(successor("a\u{D7FF}"), Some("a\u{E000}".into()));
        assert_eq!(successor("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
