use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use model::{SopClassUid, TransferSyntaxUid, limits};
use rusqlite::Connection;

use crate::Error;

/// One SOP class in one transfer syntax.
pub(crate) type Kind = (SopClassUid, TransferSyntaxUid);

/// In which transfer syntaxes there are instances of each SOP class: what the table of that name has, in memory.
#[derive(Default)]
pub(crate) struct Kinds(RwLock<HashMap<SopClassUid, Vec<TransferSyntaxUid>>>);

impl Kinds {
    pub(crate) fn read(connection: &Connection) -> Result<Self, Error> {
        let kinds = Self::default();
        let mut statement = connection.prepare("SELECT sop_class_uid, transfer_syntax_uid FROM kind")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            let (class, syntax): (String, String) = row?;
            if let Some(kind) = SopClassUid::lenient(&class).zip(TransferSyntaxUid::lenient(&syntax)) {
                kinds.add(kind);
            }
        }
        Ok(kinds)
    }

    /// Whether this kind has to be noted.
    pub(crate) fn lacks(&self, class: &SopClassUid, syntax: &TransferSyntaxUid) -> bool {
        let kinds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match kinds.get(class) {
            Some(known) if known.len() >= limits::KINDS_OF_A_CLASS || known.contains(syntax) => false,
            Some(_) | None => kinds.values().map(Vec::len).sum::<usize>() < limits::STORED_KINDS,
        }
    }

    pub(crate) fn add(&self, (class, syntax): Kind) {
        let mut kinds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = kinds.entry(class).or_default();
        if !known.contains(&syntax) {
            known.push(syntax);
        }
    }

    /// In which transfer syntaxes there are instances of a SOP class.
    pub(crate) fn of(&self, class: &SopClassUid) -> Vec<TransferSyntaxUid> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(class).cloned().unwrap_or_default()
    }
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
            let lacks = kinds.lacks(&kind.0, &kind.1);
            if lacks {
                kinds.add(kind);
            }
            lacks
        };
        assert!(noted(0, 0) && !noted(0, 0));
        let of_one = (1..1000).filter(|syntax| noted(0, *syntax)).count();
        assert_eq!(of_one + 1, limits::KINDS_OF_A_CLASS);
        let all = (1..10_000).filter(|class| noted(*class, 0)).count();
        assert_eq!(all + limits::KINDS_OF_A_CLASS, limits::STORED_KINDS);
        assert_eq!(kinds.of(&kind(7, 0).0), [kind(7, 0).1]);
        assert_eq!(kinds.of(&kind(9_999, 0).0), []);
    }
}
