//! C-FIND at study level as the index grows: the rows are made in the index itself, which takes seconds instead of hours.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use crate::association::Association;
use crate::bench::Bench;
use crate::figures::{Figures, percentile};
use crate::peers::{Peer, Place, Server};
use crate::report::Section;
use crate::wire::identifier_element;

pub(crate) const TITLE: &str = "Queries as the index grows";
pub(crate) const WORST_FIRST: &str = "1,000,000 studies: slowest first row";
pub(crate) const WORST_ALL: &str = "1,000,000 studies: slowest 100 rows";

const TEXT: &str = "Studies of one instance, 100 of each day and of each surname, one on every second day NM, the others CT; made directly in \
                    the index. One association asks for the first 100 rows of each kind of query, each time about other values, \
                    and cancels the rest. `first row` and `100 rows` are from the request to that response.";

/// Rows that each query is asked for.
const ROWS: u64 = 100;

/// A kind of query: what it is called, and its keys for the study of a number.
struct Shape {
    name: &'static str,
    keys: fn(u64, Made) -> Keys,
}

#[derive(Default)]
struct Keys {
    date: String,
    modality: &'static str,
    name: String,
}

const SHAPES: [Shape; 9] = [
    Shape { name: "a day", keys: |n, made| Keys { date: made.day(n), ..Keys::default() } },
    Shape { name: "everything", keys: |_, _| Keys::default() },
    Shape {
        name: "a surname",
        keys: |n, made| Keys { name: format!("{}*", made.surname(n)), ..Keys::default() },
    },
    Shape {
        name: "one letter",
        keys: |n, made| Keys { name: prefix(&made.surname(n), 1), ..Keys::default() },
    },
    Shape {
        name: "two syllables",
        keys: |n, made| Keys { name: prefix(&made.surname(n), 4), ..Keys::default() },
    },
    Shape {
        name: "two syllables in a range of days",
        keys: |n, made| Keys { name: prefix(&made.surname(n), 4), date: made.days(n), ..Keys::default() },
    },
    Shape {
        name: "one letter in a range of days",
        keys: |n, made| Keys { name: prefix(&made.surname(n), 1), date: made.days(n), ..Keys::default() },
    },
    Shape { name: "a rare modality", keys: |_, _| Keys { modality: "NM", ..Keys::default() } },
    Shape {
        name: "a rare modality in a range of days",
        keys: |n, made| Keys { modality: "NM", date: made.days(n), ..Keys::default() },
    },
];

pub(crate) fn run(bench: &Bench) -> Result<Section> {
    let mut section = Section::new(TITLE, "p50 ms", TEXT);
    for (full, quick) in [(10_000, 1_000), (100_000, 5_000), (1_000_000, 10_000)] {
        let count = bench.options.amount(full, quick);
        let made = Made { count };
        let server = Peer::Gantry.start(Place::Memory)?;
        let server = server.restart_after(|folder| made.fill(&folder.join("data/index.sqlite")))?;
        for _ in bench.rounds() {
            measure(bench, &mut section, made, &server)?;
        }
    }
    Ok(section)
}

fn measure(bench: &Bench, section: &mut Section, made: Made, server: &Server) -> Result<()> {
    let times = bench.options.amount(40, 10);
    let mut association = server.associate()?;
    let (mut worst_first, mut worst_all) = (0.0_f64, 0.0_f64);
    for Shape { name, keys } in &SHAPES {
        let (mut first, mut all, mut matches) = (Vec::new(), Vec::new(), 0);
        for time in 0..times {
            let keys = keys(time * 7919 % made.count, made);
            let found = ask(&mut association, &keys).with_context(|| format!("C-FIND of {name}"))?;
            first.push(found.0);
            all.push(found.1);
            matches = found.2;
        }
        first.sort_unstable();
        all.sort_unstable();
        for (what, latencies, worst) in
            [("first row", first, &mut worst_first), ("100 rows", all, &mut worst_all)]
        {
            let (p50_ms, p99_ms) = (percentile(&latencies, 50), percentile(&latencies, 99));
            *worst = worst.max(p50_ms.unwrap_or_default());
            let figures = Figures { p50_ms, p99_ms, matches: Some(matches), ..Figures::default() };
            section.add(&made.case(&format!("{name}, {what}")), server.peer.name(), figures);
        }
    }
    for (what, worst) in [("slowest first row", worst_first), ("slowest 100 rows", worst_all)] {
        let figures = Figures { p50_ms: Some(worst), ..Figures::default() };
        section.add(&made.case(what), server.peer.name(), figures);
    }
    association.release()
}

fn ask(association: &mut Association, keys: &Keys) -> Result<(Duration, Duration, u64)> {
    let found = association.find_first(&identifier(keys), ROWS)?;
    ensure!(found.matches > 0, "nothing was found");
    let (Some(first), Some(all)) = (found.first, found.all) else { bail!("no answer") };
    Ok((first, all, found.matches.min(ROWS)))
}

fn identifier(keys: &Keys) -> Vec<u8> {
    let mut out = Vec::new();
    identifier_element(&mut out, 0x0008_0020, &keys.date, b' ');
    identifier_element(&mut out, 0x0008_0030, "", b' ');
    identifier_element(&mut out, 0x0008_0050, "", b' ');
    identifier_element(&mut out, 0x0008_0052, "STUDY", b' ');
    identifier_element(&mut out, 0x0008_0061, keys.modality, b' ');
    identifier_element(&mut out, 0x0008_1030, "", b' ');
    identifier_element(&mut out, 0x0010_0010, &keys.name, b' ');
    identifier_element(&mut out, 0x0010_0020, "", b' ');
    identifier_element(&mut out, 0x0020_000D, "", 0);
    identifier_element(&mut out, 0x0020_1206, "", b' ');
    identifier_element(&mut out, 0x0020_1208, "", b' ');
    out
}

fn prefix(name: &str, characters: usize) -> String {
    format!("{}*", name.chars().take(characters).collect::<String>())
}

/// So many studies, numbered from 0.
#[derive(Clone, Copy)]
struct Made {
    count: u64,
}

impl Made {
    fn case(self, what: &str) -> String {
        let thousands = self.count / 1000;
        let count = if thousands < 1000 {
            format!("{thousands},{:03}", self.count % 1000)
        } else {
            format!("{},{:03},{:03}", thousands / 1000, thousands % 1000, self.count % 1000)
        };
        format!("{count} studies: {what}")
    }

    /// As `date` in [`Made::fill`].
    fn day(self, number: u64) -> String {
        let day = number % (self.count / 100);
        format!("{:04}{:02}{:02}", 1990 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
    }

    /// A tenth of all days.
    fn days(self, number: u64) -> String {
        let days = self.count / 100;
        let first = number % days * 9 / 10;
        format!("{}-{}", self.day(first), self.day(first + days / 10 - 1))
    }

    /// As `name` in [`Made::fill`].
    fn surname(self, number: u64) -> String {
        let mut left = number / 100;
        let mut name = String::new();
        for _ in 0..4 {
            let syllable = usize::try_from(left % 20).unwrap_or(0);
            name.push_str(SYLLABLES.get(syllable).copied().unwrap_or_default());
            left /= 20;
        }
        name
    }

    /// Makes the rows in the index of a server that is not running.
    fn fill(self, index: &Path) -> Result<()> {
        let index = Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        index.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; BEGIN; CREATE TEMP TABLE syllable (id INTEGER PRIMARY KEY, text TEXT)")?;
        for (id, text) in SYLLABLES.iter().enumerate() {
            index.execute("INSERT INTO syllable VALUES (?1, ?2)", (i64::try_from(id)?, text))?;
        }
        let syllable = |divisor: u64| format!("(SELECT text FROM syllable WHERE id = n / {divisor} % 20)");
        let (day, round) = (format!("(n % {})", self.count / 100), format!("(n / {})", self.count / 100));
        let name = [100, 2_000, 40_000, 800_000].map(syllable).join(" || ");
        index.execute_batch(&format!(
            "CREATE TEMP TABLE made AS
             WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < {last})
             SELECT n + 1 AS pk, {name} || '^ADA' AS name,
                printf('%04d%02d%02d', 1990 + {day} / 336, {day} / 28 % 12 + 1, {day} % 28 + 1) AS date,
                CASE WHEN ({round} * 2 + {day}) % 200 = 0 THEN 'NM' ELSE 'CT' END AS modality
             FROM number;",
            last = self.count - 1
        ))?;
        for (table, columns) in TABLES {
            insert(&index, table, columns)?;
        }
        for (kind, study_date) in [(1, "''"), (2, "date")] {
            index.execute_batch(&format!(
                "INSERT INTO term SELECT {kind}, lower(name), {study_date}, pk FROM made"
            ))?;
            for length in 1..=3 {
                index.execute_batch(&format!(
                    "INSERT INTO beginning SELECT {kind}, substr(lower(name), 1, {length}), {study_date}, pk FROM made"
                ))?;
            }
        }
        index.execute_batch(
            "INSERT INTO term SELECT 5, modality, date, pk FROM made;
             INSERT INTO term SELECT 6, '1.2.840.10008.5.1.4.1.1.2', date, pk FROM made;
             COMMIT",
        )?;
        Ok(())
    }
}

/// Fills a table from `made`: the columns that are given, and nothing in the others.
fn insert(index: &Connection, table: &str, given: &[(&str, &str)]) -> Result<()> {
    let mut columns = index.prepare(&format!(
        "SELECT name, type, dflt_value IS NULL AND \"notnull\" FROM pragma_table_info('{table}')"
    ))?;
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let columns: Vec<(String, String, bool)> = columns.collect::<rusqlite::Result<_>>()?;
    let expression = |(name, kind, is_needed): &(String, String, bool)| {
        let given = given.iter().find(|(column, _)| column == name).map(|(_, expression)| *expression);
        let nothing = match kind.as_str() {
            "INTEGER" => "0",
            "BLOB" => "x''",
            _ => "''",
        };
        given.or(is_needed.then_some(nothing)).map(|expression| (name.clone(), expression))
    };
    let (names, expressions): (Vec<String>, Vec<&str>) = columns.iter().filter_map(expression).unzip();
    let sql =
        format!("INSERT INTO {table} ({}) SELECT {} FROM made", names.join(", "), expressions.join(", "));
    Ok(index.execute_batch(&sql)?)
}

type Columns = &'static [(&'static str, &'static str)];

const TABLES: [(&str, Columns); 4] = [
    (
        "patient",
        &[
            ("patient_pk", "pk"),
            ("patient_name", "name"),
            ("patient_id", "'B' || pk"),
            ("number_of_studies", "1"),
            ("number_of_series", "1"),
            ("number_of_instances", "1"),
        ],
    ),
    (
        "study",
        &[
            ("study_pk", "pk"),
            ("patient_pk", "pk"),
            ("study_instance_uid", "'2.25.1' || pk"),
            ("patient_name", "name"),
            ("patient_id", "'B' || pk"),
            ("study_date", "date"),
            ("study_time", "'101530'"),
            ("accession_number", "'A' || pk"),
            ("number_of_series", "1"),
            ("number_of_instances", "1"),
        ],
    ),
    (
        "series",
        &[
            ("series_pk", "pk"),
            ("study_pk", "pk"),
            ("series_instance_uid", "'2.25.2' || pk"),
            ("modality", "modality"),
            ("number_of_instances", "1"),
        ],
    ),
    (
        "instance",
        &[
            ("instance_pk", "pk"),
            ("series_pk", "pk"),
            ("sop_instance_uid", "'2.25.3' || pk"),
            ("sop_class_uid", "'1.2.840.10008.5.1.4.1.1.2'"),
            ("file", "pk"),
        ],
    ),
];

const SYLLABLES: [&str; 20] = [
    "BA", "CE", "DI", "FO", "GU", "HA", "JE", "KI", "LO", "MU", "NA", "PE", "RI", "SO", "TU", "VA", "WE",
    "XI", "YO", "ZU",
];
