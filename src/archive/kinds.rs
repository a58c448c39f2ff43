use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use model::{SopClassUid, TransferSyntaxUid, limits};
use rusqlite::{Connection, params};

use crate::Error;

/// One SOP class in one transfer syntax.
pub(crate) type Kind = (SopClassUid, TransferSyntaxUid);

/// How many instances there are of each SOP class in each transfer syntax: what the table of that name has, in memory. At most
/// [`limits::KINDS_OF_A_CLASS`] of each class and [`limits::STORED_KINDS`] in all; of others nothing is known.
#[derive(Default)]
pub(crate) struct Kinds(RwLock<Counts>);

type Counts = HashMap<SopClassUid, Vec<(TransferSyntaxUid, u64)>>;

impl Kinds {
    pub(crate) fn read(connection: &Connection) -> Result<Self, Error> {
        let kinds = Self::default();
        let mut statement = connection.prepare(
            "SELECT sop_class_uid, transfer_syntax_uid, instances FROM kind WHERE instances > 0 ORDER BY instances DESC",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (class, syntax, instances): (String, String, i64) = row?;
            if let Some(kind) = SopClassUid::lenient(&class).zip(TransferSyntaxUid::lenient(&syntax)) {
                kinds.add(kind, instances.unsigned_abs());
            }
        }
        Ok(kinds)
    }

    /// Whether instances of this kind are counted.
    pub(crate) fn counts(&self, class: &SopClassUid, syntax: &TransferSyntaxUid) -> bool {
        has_room(&self.0.read().unwrap_or_else(PoisonError::into_inner), class, syntax)
    }

    /// Notes that there are so many more.
    pub(crate) fn add(&self, (class, syntax): Kind, instances: u64) {
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !has_room(&counts, &class, &syntax) {
            return;
        }
        let of_class = counts.entry(class).or_default();
        match of_class.iter_mut().find(|(known, _)| *known == syntax) {
            Some((_, count)) => *count = count.saturating_add(instances),
            None => of_class.push((syntax, instances)),
        }
    }

    /// In which transfer syntaxes there are how many instances of a SOP class.
    pub(crate) fn of(&self, class: &SopClassUid) -> Vec<(TransferSyntaxUid, u64)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(class).cloned().unwrap_or_default()
    }
}

fn has_room(counts: &Counts, class: &SopClassUid, syntax: &TransferSyntaxUid) -> bool {
    let known = counts.get(class).map_or(&[][..], Vec::as_slice);
    known.iter().any(|(known, _)| known == syntax)
        || (known.len() < limits::KINDS_OF_A_CLASS
            && counts.values().map(Vec::len).sum::<usize>() < limits::STORED_KINDS)
}

/// Writes that there are so many more of a kind, within the same limits.
pub(crate) fn write(connection: &Connection, class: &str, syntax: &str, instances: i64) -> Result<(), Error> {
    let known = connection
        .prepare_cached(
            "UPDATE kind SET instances = instances + ?3 WHERE sop_class_uid = ?1 AND transfer_syntax_uid = ?2",
        )?
        .execute(params![class, syntax, instances])?;
    if known == 0 {
        let (of_class, all) = (limits::KINDS_OF_A_CLASS, limits::STORED_KINDS);
        connection
            .prepare_cached(&format!(
                "INSERT INTO kind (sop_class_uid, transfer_syntax_uid, instances) SELECT ?1, ?2, ?3
                 WHERE (SELECT count(*) FROM kind WHERE sop_class_uid = ?1) < {of_class}
                    AND (SELECT count(*) FROM kind) < {all}"
            ))?
            .execute(params![class, syntax, instances])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(class: usize, syntax: usize) -> Kind {
        let class = SopClassUid::lenient(&format!("1.2.{class}")).unwrap();
        (class, TransferSyntaxUid::lenient(&format!("1.3.{syntax}")).unwrap())
    }

    #[test]
    fn their_number_is_bounded() {
        let kinds = Kinds::default();
        let noted = |class, syntax| {
            let kind = kind(class, syntax);
            let counts = kinds.counts(&kind.0, &kind.1);
            kinds.add(kind.clone(), 1);
            assert_eq!(kinds.of(&kind.0).iter().any(|(known, _)| *known == kind.1), counts);
            counts
        };
        assert!(noted(0, 0) && noted(0, 0));
        let of_one = (1..1000).filter(|syntax| noted(0, *syntax)).count();
        assert_eq!(of_one + 1, limits::KINDS_OF_A_CLASS);
        let all = (1..10_000).filter(|class| noted(*class, 0)).count();
        assert_eq!(all + limits::KINDS_OF_A_CLASS, limits::STORED_KINDS);
        assert_eq!(kinds.of(&kind(0, 0).0).first(), Some(&(kind(0, 0).1, 2)));
        assert_eq!(kinds.of(&kind(7, 0).0), [(kind(7, 0).1, 1)]);
        assert_eq!(kinds.of(&kind(9_999, 0).0), []);
    }

    #[test]
    fn so_is_the_table_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let connection = crate::schema::open_writer(&folder.path().join("index.sqlite"), true).unwrap();
        let add = |class: usize, syntax: usize| {
            write(&connection, &format!("1.2.{class}"), &format!("1.3.{syntax}"), 1 + i64::from(class == 9))
                .unwrap();
        };
        (0..1000).for_each(|syntax| add(0, syntax));
        (0..1000).for_each(|syntax| add(0, syntax));
        (1..5000).for_each(|class| add(class, 0));
        let rows = |condition: &str| {
            let sql = format!("SELECT count(*) FROM kind WHERE {condition}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(rows("sop_class_uid = '1.2.0'"), limits::KINDS_OF_A_CLASS as i64);
        assert_eq!(rows("TRUE"), limits::STORED_KINDS as i64);
        let kinds = Kinds::read(&connection).unwrap();
        assert_eq!(kinds.of(&kind(0, 0).0).len(), limits::KINDS_OF_A_CLASS);
        assert!(kinds.of(&kind(0, 0).0).iter().all(|(_, instances)| *instances == 2));
        assert_eq!(kinds.of(&kind(9, 0).0), [(kind(9, 0).1, 2)]);
    }
}
