//! Which key a query starts from. Fixed here, so that plans do not hang on statistics that a young index does not
//! have.

use std::collections::BTreeSet;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::query::{Key, Matching};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::Error;
use crate::attribute::{Attribute, Kind, Terms, find};
use crate::condition::{Condition, json, literal_prefix, on_column, on_terms};
use crate::scope::actual_uid;

/// The table that the outermost loop goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Patient(Through),
    Study(Through),
    Series(Through),
    Instance(Through),
}

/// How the outermost loop goes through its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    Index(&'static str),
    /// In the order of its own key.
    All,
    /// By the keys of [`Plan::chosen`].
    Chosen,
}

/// The keys of a query as SQL, and where to start.
pub(crate) struct Plan {
    pub(crate) start: Start,
    /// The keys to go through, as JSON.
    pub(crate) chosen: Option<Value>,
    pub(crate) conditions: Vec<Condition>,
}

/// Chooses the start that leaves the fewest rows to look at. `has_cursor`: an upper bound of the date is given by the
/// page.
pub(crate) fn plan(
    connection: &Connection,
    level: QueryRetrieveLevel,
    keys: &[Key],
    has_cursor: bool,
) -> Result<Plan, Error> {
    let best = Offer { rank: u8::MAX, start: walk(level), chosen_by: None };
    let mut plan = Planning { connection, level, conditions: Vec::new(), best };
    for key in keys {
        let Some(attribute) = find(level, key.tag) else { continue };
        let key = resolved(connection, attribute, &key.matching)?;
        match attribute.kind {
            Kind::Count | Kind::Constant(_) => {}
            Kind::Name(_) | Kind::Terms(_) => plan.terms(attribute, &key)?,
            Kind::Date if has_cursor && level == Study && attribute.column == "study_date" => {
                plan.column(attribute, &without_end(key))?;
            }
            Kind::Text
            | Kind::Texts
            | Kind::Number
            | Kind::Decimal
            | Kind::Date
            | Kind::Time
            | Kind::Uid
            | Kind::Own => {
                plan.column(attribute, &key)?;
            }
        }
    }
    let Planning { mut conditions, best, .. } = plan;
    // The loop itself sees to that condition.
    let chosen = best.chosen_by.and_then(|at| conditions.remove(at).values.pop());
    Ok(Plan { start: best.start, chosen, conditions })
}

/// Where the column of an attribute is in a query of a level: the table of studies has what is known of the patient,
/// too.
pub(crate) fn table(attribute: &Attribute, level: QueryRetrieveLevel) -> &'static str {
    match (attribute.level, level) {
        (Patient, Patient) => "patient",
        (Patient | Study, _) => "study",
        (Series, _) => "series",
        (Image, _) => "instance",
    }
}

/// Whose terms they are.
pub(crate) fn owner(terms: Terms) -> &'static str {
    match terms {
        Terms::PatientName => "patient.patient_pk",
        Terms::PatientNameOfStudy | Terms::ReferringPhysician | Terms::ReadingPhysician => "study.study_pk",
        Terms::Modality | Terms::SopClass => "study.study_pk",
        Terms::PerformingPhysician | Terms::Operator => "series.series_pk",
    }
}

struct Planning<'a> {
    connection: &'a Connection,
    level: QueryRetrieveLevel,
    conditions: Vec<Condition>,
    best: Offer,
}

/// A start that a key offers.
#[derive(Clone, Copy)]
struct Offer {
    /// The lower, the fewer rows are left to look at.
    rank: u8,
    start: Start,
    /// The place of the condition whose value has the keys to go through.
    chosen_by: Option<usize>,
}

impl Planning<'_> {
    fn column(&mut self, attribute: &Attribute, matching: &Matching) -> Result<(), Error> {
        let table = table(attribute, self.level);
        let condition = on_column(attribute, &format!("{table}.{}", attribute.column), matching);
        if let Some((rank, start)) = self.by_index(attribute, matching, table, &condition)? {
            self.offer(Offer { rank, start, chosen_by: None });
            if start == Start::Patient(Through::Index("patient_by_id")) {
                // The index has no patients without Patient ID, and must be told that none is asked for.
                self.conditions.push(Condition::new("patient.patient_id <> ''", []));
            }
        }
        self.conditions.push(condition);
        Ok(())
    }

    fn by_index(
        &self,
        attribute: &Attribute,
        matching: &Matching,
        table: &str,
        condition: &Condition,
    ) -> Result<Option<(u8, Start)>, Error> {
        let is_exact = matches!(matching, Matching::Single(_) | Matching::UidList(_));
        let Some((rank, start)) = indexed(attribute.column, table) else { return Ok(None) };
        let is_unique_key = attribute.kind == Kind::Own;
        let is_usable = match matching {
            Matching::Single(_) if attribute.column == "study_date" && self.level == Study => false,
            Matching::Single(_) if self.level > Study && MANY_MAY_HAVE.contains(&attribute.column) => {
                self.are_few(table, condition)?
            }
            Matching::Single(_) => true,
            Matching::UidList(_) => is_unique_key,
            Matching::Wildcard(pattern) => {
                !literal_prefix(pattern).is_empty() && self.are_few(table, condition)?
            }
            // Studies come by date anyway.
            Matching::Range { .. } => {
                (self.level > Study || attribute.column != "study_date") && self.are_few(table, condition)?
            }
        };
        Ok(is_usable.then_some((if is_exact { rank } else { rank.max(RANK_OF_FEW) }, start)))
    }

    /// Whether few rows of a table meet a condition on it. Looks at no more than those.
    fn are_few(&self, table: &str, condition: &Condition) -> Result<bool, Error> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {} LIMIT {})",
            condition.sql,
            self.few() + 1
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let count: i64 = statement.query_row(params_from_iter(&condition.values), |row| row.get(0))?;
        Ok(usize::try_from(count).is_ok_and(|count| count <= self.few()))
    }

    fn terms(&mut self, attribute: &Attribute, matching: &Matching) -> Result<(), Error> {
        let Some(terms) = attribute.terms(self.level) else { return Ok(()) };
        let owner = owner(terms);
        for condition in on_terms(attribute, matching) {
            match self.few_owners(terms, &condition)? {
                Some(owners) => {
                    let sql = format!("{owner} IN (SELECT value FROM json_each(?))");
                    let chosen_by = Some(self.conditions.len());
                    self.conditions.push(Condition::new(sql, [json(owners.into_iter())]));
                    let start = match terms {
                        Terms::PatientName => Start::Patient(Through::Chosen),
                        Terms::PerformingPhysician | Terms::Operator => Start::Series(Through::Chosen),
                        Terms::PatientNameOfStudy | Terms::ReferringPhysician | Terms::ReadingPhysician => {
                            Start::Study(Through::Chosen)
                        }
                        Terms::Modality | Terms::SopClass => Start::Study(Through::Chosen),
                    };
                    self.offer(Offer { rank: RANK_OF_FEW, start, chosen_by });
                }
                None => {
                    let sql = format!(
                        "EXISTS (SELECT 1 FROM term INDEXED BY term_by_owner WHERE kind = {} AND owner = {owner} AND {})",
                        terms.code(),
                        condition.sql
                    );
                    self.conditions.push(Condition::new(sql, condition.values));
                }
            }
        }
        Ok(())
    }

    /// The owners of the terms that meet a condition, each once; `None` when there are many terms.
    fn few_owners(&self, terms: Terms, condition: &Condition) -> Result<Option<BTreeSet<i64>>, Error> {
        let sql =
            format!("SELECT owner FROM term WHERE kind = ? AND {} LIMIT {}", condition.sql, self.few() + 1);
        let values = std::iter::once(Value::from(terms.code())).chain(condition.values.iter().cloned());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let owners: Vec<i64> =
            statement.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok((owners.len() <= self.few()).then(|| owners.into_iter().collect()))
    }

    fn few(&self) -> usize {
        if self.level == Image { FEW_TO_SORT_INSTANCES_OF } else { FEW_TO_SORT }
    }

    fn offer(&mut self, offer: Offer) {
        if offer.rank < self.best.rank {
            self.best = offer;
        }
    }
}

/// The start that a key on a column offers, and how much it is worth: the lower, the fewer rows are left.
fn indexed(column: &str, table: &str) -> Option<(u8, Start)> {
    Some(match (column, table) {
        ("sop_instance_uid", _) => (0, Start::Instance(Through::Index("instance_by_uid"))),
        ("series_instance_uid", _) => (1, Start::Series(Through::Index("series_by_uid"))),
        ("study_instance_uid", _) => (2, Start::Study(Through::Index("study_by_uid"))),
        ("accession_number", _) => (3, Start::Study(Through::Index("study_by_accession_number"))),
        ("patient_id", "patient") => (4, Start::Patient(Through::Index("patient_by_id"))),
        ("patient_id", _) => (4, Start::Study(Through::Index("study_by_patient_id"))),
        ("patient_birth_date", "patient") => (6, Start::Patient(Through::Index("patient_by_birth_date"))),
        ("patient_birth_date", _) => (6, Start::Study(Through::Index("study_by_birth_date"))),
        ("study_id", _) => (7, Start::Study(Through::Index("study_by_study_id"))),
        ("study_date", _) => (8, Start::Study(Through::Index("study_by_date"))),
        ("modality", _) => (9, Start::Series(Through::Index("series_by_modality"))),
        _ => return None,
    })
}

/// The start of a query without any better: all rows, in the order of the answer.
fn walk(level: QueryRetrieveLevel) -> Start {
    match level {
        Patient => Start::Patient(Through::All),
        Study => Start::Study(Through::Index("study_by_date")),
        Series => Start::Series(Through::All),
        Image => Start::Instance(Through::Index("instance_by_series")),
    }
}

/// UIDs may be given by the path component of an odd one.
fn resolved(connection: &Connection, attribute: &Attribute, matching: &Matching) -> Result<Matching, Error> {
    if attribute.kind != Kind::Own {
        return Ok(matching.clone());
    }
    Ok(match matching {
        Matching::Single(uid) => Matching::Single(actual_uid(connection, uid)?),
        Matching::UidList(uids) => {
            Matching::UidList(uids.iter().map(|uid| actual_uid(connection, uid)).collect::<Result<_, _>>()?)
        }
        Matching::Wildcard(_) | Matching::Range { .. } => matching.clone(),
    })
}

/// What the last page ended with is an earlier end than that of the range, and two ends on one column would hide it
/// from the index.
fn without_end(matching: Matching) -> Matching {
    match matching {
        Matching::Range { from, to: _ } => Matching::Range { from, to: None },
        Matching::Single(_) | Matching::UidList(_) | Matching::Wildcard(_) => matching,
    }
}

/// Columns of studies of which any number may have the same value. The rows below those studies must be sorted.
const MANY_MAY_HAVE: [&str; 4] = ["accession_number", "patient_birth_date", "study_date", "study_id"];

const RANK_OF_FEW: u8 = 5;

/// So many rows are sorted sooner than a long walk in order has found them.
const FEW_TO_SORT: usize = 2000;

/// The same for studies and series of which the instances are asked for.
const FEW_TO_SORT_INSTANCES_OF: usize = 50;
