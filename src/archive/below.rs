//! Keys of the levels below that of a query: one thing below a row meets all of them (PS3.4 §C.4.1.2.2.1). Pure.

use model::QueryRetrieveLevel::{self, Image, Series, Study};
use model::Tag;
use model::query::{Key, Matching, Query};

use crate::condition::Condition;
use crate::{attribute, items};

/// The level that a key is of, where that is below a level.
pub(crate) fn level_below(level: QueryRetrieveLevel, key: &Key) -> Option<QueryRetrieveLevel> {
    let of = match &key.matching {
        Matching::Item(inner) => inner.iter().find_map(|inner| items::find(Image, key.tag, inner.tag))?.level,
        _ => attribute::find(Image, key.tag)?.level,
    };
    (of > level).then_some(of)
}

/// A query as it is where keys of the levels below do not match, and whether it had any.
pub fn without_keys_below(query: &Query) -> (Query, bool) {
    let mut own = Query { relational: false, ..query.clone() };
    let is_below = |key: &Key| query.relational && level_below(query.level, key).is_some();
    for key in query.keys.iter().filter(|key| is_below(key)) {
        for tag in key.tags() {
            own.include.tags.remove(&tag);
            own.include.within.remove(&tag);
        }
    }
    own.keys.retain(|key| !is_below(key));
    let had_any = own.keys.len() < query.keys.len();
    (own, had_any)
}

/// That below a row of a level there is something, down to the lowest level that the conditions are about, which meets them all.
pub(crate) fn exists(
    level: QueryRetrieveLevel,
    lowest: QueryRetrieveLevel,
    conditions: Vec<Condition>,
) -> Condition {
    let between = || STEPS.iter().filter(move |step| step.of > level && step.of <= lowest);
    let tables: Vec<String> =
        between().map(|step| format!("{} INDEXED BY {}", step.table, step.index)).collect();
    let joins = between().map(|step| Condition::new(step.on, []));
    let Condition { sql, values } =
        Condition::all(joins.chain(conditions)).unwrap_or_else(|| Condition::new("1", []));
    Condition::new(format!("EXISTS (SELECT 1 FROM {} WHERE {sql})", tables.join(" CROSS JOIN ")), values)
}

/// Selects the keys of the rows of a level that are above rows of a lower one, short of the conditions on these.
pub(crate) fn select_above(level: QueryRetrieveLevel, lower: QueryRetrieveLevel) -> String {
    let (mut parent, mut tables) = ("", String::new());
    let mut on = None;
    for step in STEPS.iter().rev().filter(|step| step.of > level && step.of <= lower) {
        match on {
            None => tables.push_str(step.table),
            Some(on) => tables.push_str(&format!(" CROSS JOIN {} ON {on}", step.table)),
        }
        (on, parent) = (Some(step.on), step.parent);
    }
    format!("SELECT {parent} FROM {tables}")
}

/// What a study says itself of all its series or instances: the attribute of these, and its own.
pub(crate) const TOLD_BY_STUDY: [(Tag, Tag); 2] = [
    (Tag(0x0008, 0x0060), Tag(0x0008, 0x0061)), // Modality
    (Tag(0x0008, 0x0016), Tag(0x0008, 0x0062)), // SOP Class UID
];

/// From a table to the one above.
struct Step {
    of: QueryRetrieveLevel,
    table: &'static str,
    index: &'static str,
    parent: &'static str,
    on: &'static str,
}

const STEPS: [Step; 3] = [
    Step {
        of: Study,
        table: "study",
        index: "study_by_patient",
        parent: "study.patient_pk",
        on: "study.patient_pk = patient.patient_pk",
    },
    Step {
        of: Series,
        table: "series",
        index: "series_by_study",
        parent: "series.study_pk",
        on: "series.study_pk = study.study_pk",
    },
    Step {
        of: Image,
        table: "instance",
        index: "instance_by_series",
        parent: "instance.series_pk",
        on: "instance.series_pk = series.series_pk",
    },
];

#[cfg(test)]
mod tests {
    use model::QueryRetrieveLevel::Patient;

    use super::*;

    #[test]
    fn rows_are_selected_above_those_of_a_lower_level() {
        assert_eq!(select_above(Series, Image), "SELECT instance.series_pk FROM instance");
        assert_eq!(
            select_above(Patient, Image),
            "SELECT study.patient_pk FROM instance CROSS JOIN series ON instance.series_pk = series.series_pk \
             CROSS JOIN study ON series.study_pk = study.study_pk"
        );
    }

    #[test]
    fn what_is_below_is_one_chain_down_to_the_lowest_level() {
        let of =
            |level, lowest| exists(level, lowest, vec![Condition::new("c = ?", ["x".to_owned().into()])]);
        assert_eq!(
            of(Study, Series).sql,
            "EXISTS (SELECT 1 FROM series INDEXED BY series_by_study WHERE series.study_pk = study.study_pk AND c = ?)"
        );
        let whole = of(Patient, Image);
        assert_eq!(whole.values.len(), 1);
        for table in ["study INDEXED BY study_by_patient CROSS JOIN series", "CROSS JOIN instance INDEXED BY"]
        {
            assert!(whole.sql.contains(table), "{}", whole.sql);
        }
    }
}
