//! What of a row is kept as terms: folded names, their beginnings and sounds, and what a study has several of.

use model::fold::fold_person_name;
use model::sound;
use rusqlite::{Connection, params};

use crate::Error;
use crate::attribute::Terms;
use crate::rows::bounded;

/// Whose terms they are.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) pk: i64,
    /// Study Date, by which terms of studies are ordered; '' for other owners.
    pub(crate) study_date: &'a str,
}

impl<'a> Owner<'a> {
    /// A patient or series.
    pub(crate) fn undated(pk: i64) -> Owner<'static> {
        Owner { pk, study_date: "" }
    }

    /// A study.
    pub(crate) fn study(pk: i64, study_date: &'a str) -> Self {
        Self { pk, study_date }
    }
}

/// The terms of a value of person names: their folded component groups, and the sounds of their words; each with the code
/// of its kind.
pub(crate) fn of_names(terms: Terms, value: &str) -> Vec<(i64, String)> {
    let groups = groups(value).map(|group| (terms.code(), group));
    let sounds = sound::of_name(value).into_iter().take(MOST_SOUNDS);
    groups.chain(sounds.map(|sound| (terms.sound_code(), bounded(sound, TERM_CHARACTERS)))).collect()
}

/// The beginning of a folded group by which it is found: as much of it as is kept.
pub(crate) fn beginning(group: &str) -> String {
    group.chars().take(BEGINNING_CHARACTERS).collect()
}

/// Adds one term, unless it is there.
pub(crate) fn add(connection: &Connection, kind: i64, value: &str, owner: Owner<'_>) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO term (kind, value, study_date, owner) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![kind, value, owner.study_date, owner.pk])?;
    Ok(())
}

/// Adds the terms of a value of person names.
pub(crate) fn add_names(
    connection: &Connection,
    terms: Terms,
    value: &str,
    owner: Owner<'_>,
) -> Result<(), Error> {
    for (kind, value) in of_names(terms, value) {
        add(connection, kind, &value, owner)?;
    }
    for beginning in beginnings(value).filter(|_| terms.has_beginnings()) {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO beginning (kind, value, study_date, owner) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![terms.code(), beginning, owner.study_date, owner.pk])?;
    }
    Ok(())
}

/// Brings the terms of a study to the date that it turned out to be of. `names` are its person names.
pub(crate) fn date(
    connection: &Connection,
    study: Owner<'_>,
    names: &[(Terms, String)],
) -> Result<(), Error> {
    for terms in Terms::OF_STUDIES {
        for kind in [terms.code(), terms.sound_code()] {
            connection
                .prepare_cached("UPDATE term SET study_date = ?3 WHERE kind = ?1 AND owner = ?2")?
                .execute(params![kind, study.pk, study.study_date])?;
        }
    }
    for (terms, value) in names {
        for beginning in beginnings(value) {
            connection
                .prepare_cached(
                    "UPDATE OR REPLACE beginning SET study_date = ?4
                     WHERE kind = ?1 AND value = ?2 AND study_date = '' AND owner = ?3",
                )?
                .execute(params![terms.code(), beginning, study.pk, study.study_date])?;
        }
    }
    Ok(())
}

/// Removes the terms of a patient that is no more. `names` are its person names.
pub(crate) fn remove_of_patient(
    connection: &Connection,
    patient_pk: i64,
    names: &[(Terms, String)],
) -> Result<(), Error> {
    for (terms, value) in names {
        for kind in [terms.code(), terms.sound_code()] {
            connection
                .prepare_cached("DELETE FROM term WHERE kind = ?1 AND owner = ?2")?
                .execute([kind, patient_pk])?;
        }
        for beginning in beginnings(value) {
            connection
                .prepare_cached(
                    "DELETE FROM beginning WHERE kind = ?1 AND value = ?2 AND study_date = '' AND owner = ?3",
                )?
                .execute(params![terms.code(), beginning, patient_pk])?;
        }
    }
    Ok(())
}

fn groups(value: &str) -> impl Iterator<Item = String> {
    value.split('\\').flat_map(fold_person_name).map(|group| bounded(group, TERM_CHARACTERS))
}

fn beginnings(value: &str) -> impl Iterator<Item = String> {
    groups(value).flat_map(|group| {
        let characters = group.chars().count().min(BEGINNING_CHARACTERS);
        (1..=characters).map(move |length| group.chars().take(length).collect())
    })
}

/// Names that begin with the same three letters are few enough to be looked at one by one.
const BEGINNING_CHARACTERS: usize = 3;

/// Words of a value that are matched by their sound.
const MOST_SOUNDS: usize = 64;

/// A folded name is matched by so many characters.
const TERM_CHARACTERS: usize = 256;
