//! Matching key → SQL over one column or over the terms of one owner (PS3.4 §C.2.2.2). Pure.

use model::fold::without_rest;
use model::query::Matching;
use model::sound::{self, Sound};
use rusqlite::types::Value;

use crate::attribute::{Attribute, Kind};
use crate::names::Alternatives;
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

    /// The text that `value = ?` asks for.
    pub(crate) fn equal_text(&self) -> Option<&str> {
        match (&*self.sql, &self.values[..]) {
            ("value = ?", [Value::Text(text)]) => Some(text),
            _ => None,
        }
    }

    /// Any of them; `None` when there are none.
    pub(crate) fn any(mut conditions: Vec<Self>) -> Option<Self> {
        if conditions.len() < 2 {
            return conditions.pop();
        }
        let texts: Vec<String> = conditions.iter().map(|condition| format!("({})", condition.sql)).collect();
        let sql = format!("({})", texts.join(" OR "));
        Some(Self { sql, values: conditions.into_iter().flat_map(|condition| condition.values).collect() })
    }

    /// All of them; `None` when there are none.
    pub(crate) fn all(conditions: impl Iterator<Item = Self>) -> Option<Self> {
        conditions.reduce(Self::and)
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
            format!("has_one_of({column}, ?)"),
            [json(values.iter().map(|value| normal(value)))],
        ),
        (Kind::Decimal, Matching::UidList(numbers)) => Condition::new(
            format!(
                "{column} <> '' AND CAST({column} AS REAL) IN (SELECT CAST(value AS REAL) FROM json_each(?))"
            ),
            [json(numbers.iter().cloned())],
        ),
        (_, Matching::AnyOf(parts)) => {
            let parts = parts.iter().map(|part| on_column(attribute, column, part));
            Condition::any(parts.collect()).unwrap_or_else(nothing)
        }
        (_, Matching::Wildcard(pattern)) if pattern.contains('\0') => nothing(),
        (Kind::Texts, Matching::Wildcard(pattern)) => {
            Condition::new(format!("has_one_like({column}, ?)"), [text(pattern)])
        }
        (_, Matching::Single(value)) => Condition::new(format!("{column} = ?"), [text(&normal(value))]),
        (_, Matching::UidList(values)) => one_of(column, values.iter().map(|value| normal(value))),
        (_, matching @ (Matching::Wildcard(_) | Matching::Range { .. } | Matching::Empty)) => {
            on_text(column, matching)
        }
        (_, Matching::Moments { .. } | Matching::Item(_)) => nothing(),
    }
}

/// What a text must be, as it stands.
fn on_text(column: &str, matching: &Matching) -> Condition {
    match matching {
        Matching::Single(value) => Condition::new(format!("{column} = ?"), [text(value)]),
        Matching::UidList(values) => one_of(column, values.iter().cloned()),
        Matching::Wildcard(pattern) if pattern.contains('\0') => nothing(),
        Matching::Wildcard(pattern) => like(column, pattern),
        Matching::Range { from, to } => range(column, from.as_deref(), to.as_deref()),
        Matching::Empty => Condition::new(format!("{column} = ''"), []),
        Matching::AnyOf(parts) => {
            let parts = parts.iter().map(|part| on_text(column, part));
            Condition::any(parts.collect()).unwrap_or_else(nothing)
        }
        Matching::Moments { .. } | Matching::Item(_) => nothing(),
    }
}

fn one_of(column: &str, values: impl Iterator<Item = String>) -> Condition {
    Condition::new(format!("{column} IN (SELECT value FROM json_each(?))"), [json(values)])
}

/// What the terms of an owner must be.
pub(crate) struct OnTerms {
    /// One of them must be one of these; none: whatever they are, they do not suffice. As [`on_texts`] gives them.
    pub(crate) alternatives: Vec<Condition>,
    /// It is enough that there are none.
    pub(crate) or_none: bool,
    /// Where terms do not say all: the alternatives of a name, which its column must meet, too.
    pub(crate) by_group: Option<Value>,
}

/// What the terms of an owner must be; `None` when anything may.
///
/// A person name matches without regard to case, accents and trailing delimiters, by its component groups: see
/// [`Alternatives`].
pub(crate) fn on_terms(attribute: &Attribute, matching: &Matching) -> Option<OnTerms> {
    if matches!(attribute.kind, Kind::Name(_)) {
        return Alternatives::of(matching).map(|alternatives| on_names(&alternatives));
    }
    let (alternatives, or_none) = on_texts("value", matching);
    Some(OnTerms { alternatives, or_none, by_group: None })
}

/// The sounds of a name as conditions on terms, for each alternative all; `None` when it can only be matched by its letters.
pub(crate) fn sounds_of(matching: &Matching) -> Option<Vec<Vec<Condition>>> {
    match matching {
        Matching::Single(name) | Matching::Wildcard(name) => {
            let on_sound = |sound: &Sound| match sound {
                Sound::Word(sound) => Condition::new("value = ?", [text(sound)]),
                Sound::Beginning(sound) => begins_with("value", sound).unwrap_or_else(nothing),
            };
            Some(vec![sound::of_key(name)?.iter().map(on_sound).collect()])
        }
        Matching::AnyOf(parts) => {
            let alternatives: Option<Vec<_>> = parts.iter().map(sounds_of).collect();
            alternatives.map(|alternatives| alternatives.concat())
        }
        Matching::UidList(_)
        | Matching::Range { .. }
        | Matching::Moments { .. }
        | Matching::Item(_)
        | Matching::Empty => None,
    }
}

/// What one of the texts must be that an owner has several of, and whether it is enough that there are none.
///
/// Each alternative is a range of the index by itself, but for the last one where some begin with a wildcard: that has all of those.
pub(crate) fn on_texts(column: &str, matching: &Matching) -> (Vec<Condition>, bool) {
    let parts = match matching {
        Matching::AnyOf(parts) => parts.as_slice(),
        matching => std::slice::from_ref(matching),
    };
    let mut alternatives = Alternating::default();
    for part in parts.iter().filter(|part| **part != Matching::Empty) {
        let is_range = !matches!(part, Matching::Wildcard(pattern) if literal_prefix(pattern).is_empty());
        alternatives.add(is_range, on_text(column, part));
    }
    (alternatives.finish(), parts.contains(&Matching::Empty))
}

/// Alternatives, of which those that are no range of an index are one.
#[derive(Default)]
struct Alternating {
    ranges: Vec<Condition>,
    others: Vec<Condition>,
}

impl Alternating {
    fn add(&mut self, is_range: bool, condition: Condition) {
        if is_range { self.ranges.push(condition) } else { self.others.push(condition) }
    }

    fn finish(mut self) -> Vec<Condition> {
        self.ranges.extend(Condition::any(self.others));
        self.ranges
    }
}

/// A range of moments of which the columns have day and time; a day without a time counts as its first moment.
pub(crate) fn on_moments(
    date: &str,
    time: &str,
    from: Option<&(String, String)>,
    to: Option<&(String, String)>,
) -> Condition {
    let any = Condition::new(format!("{date} > ''"), []);
    let from = from.map(|(day, moment)| {
        Condition::new(format!("({date}, {time}) >= (?, ?)"), [text(day), text(first_time(moment))])
    });
    let to = to.map(|(day, moment)| {
        Condition::new(format!("({date}, {time}) <= (?, ?)"), [text(day), text(&last_time(moment))])
    });
    from.into_iter().chain(to).fold(any, Condition::and)
}

/// The folded groups of names are terms, whichever group they are.
fn on_names(alternatives: &Alternatives) -> OnTerms {
    let (mut conditions, mut or_none) = (Alternating::default(), false);
    for groups in alternatives.iter() {
        match groups.iter().find(|group| !group.is_empty()) {
            Some(group) if group.contains('\0') => conditions.add(true, nothing()),
            Some(group) => conditions.add(!literal_prefix(group).is_empty(), like_group(group)),
            None => or_none = true,
        }
    }
    OnTerms {
        alternatives: conditions.finish(),
        or_none,
        by_group: alternatives.are_by_group().then(|| Value::Text(alternatives.write())),
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

/// What no row meets, such as a pattern with a NUL: no text has one inside (PS3.5 §6.1.3), and GLOB would take it for the
/// end of the pattern.
pub(crate) fn nothing() -> Condition {
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

/// Matching of a folded group, with or without wildcards.
fn like_group(group: &str) -> Condition {
    if !group.contains(['*', '?']) {
        return Condition::new("value = ?", [text(group)]);
    }
    match without_rest(group) {
        Some(bare) => {
            let either = Condition::new("(value GLOB ? OR value = ?)", [text(&glob(group)), text(bare)]);
            match begins_with("value", bare) {
                Some(range) => range.and(either),
                None => either,
            }
        }
        None => like("value", group),
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
    range(column, from.map(first_time), to.map(last_time).as_deref())
}

fn first_time(from: &str) -> &str {
    let mut digits = from.split_once('.').map_or(from, |(seconds, fraction)| {
        if fraction.bytes().all(|digit| digit == b'0') { seconds } else { from.trim_end_matches('0') }
    });
    while let Some(rest) = digits.strip_suffix("00").filter(|rest| !rest.contains('.')) {
        digits = rest;
    }
    digits
}

fn last_time(to: &str) -> String {
    format!("{to}{}", "235959.999999".get(to.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::find;
    use model::fold::fold_person_name;
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
        crate::functions::register(&connection).unwrap();
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
    fn moments_are_a_day_and_a_time_together() {
        let holds = |from: Option<(&str, &str)>, to: Option<(&str, &str)>, stored: &str| {
            let end = |end: Option<(&str, &str)>| end.map(|(day, time)| (day.to_owned(), time.to_owned()));
            // The column has both, parted by a space.
            let (date, time) = ("substr(value, 1, 8)", "substr(value, 10)");
            holds(&[on_moments(date, time, end(from).as_ref(), end(to).as_ref())], stored)
        };
        let (from, to) = (Some(("20060705", "100000.000000")), Some(("20060707", "180059.999999")));
        for (stored, expected) in [
            ("20060705 10", true),
            ("20060705 1000", true),
            ("20060705 095959.9", false),
            ("20060705", false),
            ("20060706", true),
            ("20060706 0000", true),
            ("20060706 235959", true),
            ("20060707", true),
            ("20060707 1800", true),
            ("20060707 1801", false),
            ("20060708", false),
            ("", false),
        ] {
            assert_eq!(holds(from, to, stored), expected, "{stored}");
        }
        assert!(holds(from, None, "20070101") && !holds(from, None, "20060704 23"));
        assert!(holds(None, to, "19000101") && !holds(None, to, ""));
        assert!(holds(Some(("20060705", "000000.000000")), None, "20060705"));
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
        let on_terms = on_terms(attribute(PATIENT_NAME), &wildcard("*a\0*")).unwrap();
        assert!(!holds(&on_terms.alternatives, "xa"));
    }

    #[test]
    fn decimals_compare_as_numbers() {
        let size = |key: &str, value: &str| column(PATIENT_SIZE, &Matching::Single(key.into()), value);
        assert!(size("1.5", "1.50") && size("1.5", "+1.5e0") && !size("0", "") && !size("1.5", "1.51"));
    }

    #[test]
    fn names_match_by_group_without_case_and_accents() {
        let name = |key: &Matching, stored: &str| {
            let on_terms = on_terms(attribute(PATIENT_NAME), key).unwrap();
            let condition = [Condition::any(on_terms.alternatives).unwrap()];
            fold_person_name(stored).iter().any(|group| holds(&condition, group))
                && on_terms.by_group.is_none_or(|by_group| {
                    holds(&[Condition::new("name_matches(value, ?)", [by_group])], stored)
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
        assert!(name(&wildcard("=山田*"), "Yamada=山田") && !name(&wildcard("=山田*"), "山田=Yamada"));
        let either = Matching::AnyOf(vec![single("Roe"), wildcard("doe^*")]);
        assert!(name(&either, "DOE") && name(&either, "Roe") && !name(&either, "Roe^J"));
    }

    #[test]
    fn what_has_no_value_is_found_by_empty_value_matching_only() {
        let id = |matching: &Matching, stored: &str| column(PATIENT_ID, matching, stored);
        assert!(id(&Matching::Empty, "") && !id(&Matching::Empty, "x"));
        let either = Matching::AnyOf(vec![Matching::Empty, wildcard("A*"), Matching::Single("B".into())]);
        for (stored, expected) in [("", true), ("A1", true), ("B", true), ("B1", false)] {
            assert_eq!(id(&either, stored), expected, "{stored}");
        }
        let terms = |matching: &Matching| {
            let on_terms = on_terms(attribute(Tag(0x0008, 0x0061)), matching).unwrap();
            (!on_terms.alternatives.is_empty(), on_terms.or_none)
        };
        assert_eq!(terms(&Matching::Empty), (false, true));
        assert_eq!(
            terms(&Matching::AnyOf(vec![Matching::Empty, Matching::Single("CT".into())])),
            (true, true)
        );
        assert_eq!(terms(&wildcard("C*")), (true, false));
    }

    #[test]
    fn lists_compare_as_their_attribute_does() {
        let list =
            |values: &[&str]| Matching::UidList(values.iter().map(|&value| value.to_owned()).collect());
        assert!(
            column(PATIENT_SIZE, &list(&["1", "1.5"]), "1.50") && !column(PATIENT_SIZE, &list(&["0"]), "")
        );
        let dates = Matching::AnyOf(vec![span("20200101", ""), Matching::Single("20190101".into())]);
        let date = |value: &str| column(Tag(0x0008, 0x0020), &dates, value);
        assert!(date("20190101") && date("20200202") && !date("20190102") && !date(""));
        let times = Matching::AnyOf(vec![span("100000", "100059"), span("120000", "125959")]);
        assert!(column(STUDY_TIME, &times, "1230") && !column(STUDY_TIME, &times, "1130"));
    }

    #[test]
    fn the_successor_of_a_prefix_is_the_next_text_without_it() {
        assert_eq!(successor("ab"), Some("ac".into()));
        assert_eq!(successor("a\u{D7FF}"), Some("a\u{E000}".into()));
        assert_eq!(successor("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
