//! Short looks at the index that tell few rows from many. None reads more than it takes to tell.

use std::collections::BTreeSet;

use model::QueryRetrieveLevel::{self, Image};
use model::Tag;
use model::query::{Matching, Query};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::Error;
use crate::attribute::find;
use crate::below::select_above;
use crate::condition::Condition;
use crate::stream::{Days, Stream};

/// Looks at the index for the plan of one query.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    pub(crate) connection: &'a Connection,
    /// So many rows are sorted sooner than a long walk in order has found them.
    pub(crate) few: usize,
    /// Whether it is known already that few rows are left: then nothing is looked at, and everything counts as many.
    pub(crate) is_settled: bool,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(connection: &'a Connection, query: &Query) -> Self {
        let few = if query.level == Image { FEW_TO_SORT_INSTANCES_OF } else { FEW_TO_SORT };
        Self { connection, few, is_settled: has_unique_key(query) }
    }

    /// Whether few rows of a table meet a condition on it.
    pub(crate) fn are_few(&self, table: &str, condition: &Condition) -> Result<bool, Error> {
        if self.is_settled {
            return Ok(false);
        }
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {} LIMIT {})",
            condition.sql,
            self.few + 1
        );
        Ok(self.count(&sql, &condition.values)? <= self.few)
    }

    /// The owners of the terms or items that meet one of some conditions, each once; `None` when there are many of these.
    pub(crate) fn few_owners(
        &self,
        table: &str,
        kind: i64,
        alternatives: &[Condition],
    ) -> Result<Option<BTreeSet<i64>>, Error> {
        self.few_keys(&format!("SELECT owner FROM {table} WHERE kind = {kind} AND"), alternatives)
    }

    /// The keys of the rows of a table that meet one of some conditions; `None` when there are many of these.
    pub(crate) fn few_rows(
        &self,
        table: &str,
        alternatives: &[Condition],
    ) -> Result<Option<BTreeSet<i64>>, Error> {
        self.few_keys(&format!("SELECT {table}_pk FROM {table} WHERE"), alternatives)
    }

    /// The keys of the rows of a level that are above those of a lower one which meet a condition on them; `None` when these are many.
    pub(crate) fn few_above(
        &self,
        level: QueryRetrieveLevel,
        lower: QueryRetrieveLevel,
        condition: &Condition,
    ) -> Result<Option<BTreeSet<i64>>, Error> {
        self.few_keys(&format!("{} WHERE", select_above(level, lower)), std::slice::from_ref(condition))
    }

    /// The rows of a stream, counted up to a number of them.
    pub(crate) fn length(&self, stream: &Stream, days: &Days, most: usize) -> Result<usize, Error> {
        let (sql, values) = stream.count(days, most);
        self.count(&sql, &values)
    }

    /// One alternative at a time: of several together SQLite would look through all that they are between.
    fn few_keys(&self, select: &str, alternatives: &[Condition]) -> Result<Option<BTreeSet<i64>>, Error> {
        if self.is_settled || alternatives.is_empty() {
            return Ok(None);
        }
        let (mut keys, mut left) = (BTreeSet::new(), self.few);
        for condition in alternatives {
            let sql = format!("{select} {} LIMIT {}", condition.sql, self.few + 1);
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(&condition.values))?;
            while let Some(row) = rows.next()? {
                let Some(rest) = left.checked_sub(1) else { return Ok(None) };
                left = rest;
                keys.insert(row.get(0)?);
            }
        }
        Ok(Some(keys))
    }

    fn count(&self, sql: &str, values: &[Value]) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let count: i64 = statement.query_row(params_from_iter(values), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

/// Whether a query names its rows or what they belong to by UID: few are left then, whatever its other keys say.
fn has_unique_key(query: &Query) -> bool {
    query.keys.iter().any(|key| {
        let is_few = match &key.matching {
            Matching::Single(_) => true,
            Matching::UidList(uids) => uids.len() <= FEW_UIDS,
            Matching::Wildcard(_) | Matching::Range { .. } | Matching::Moments { .. } => false,
            Matching::Item(_) | Matching::Empty | Matching::AnyOf(_) => false,
        };
        is_few && UNIQUE_KEYS.contains(&key.tag) && find(query.level, key.tag).is_some()
    })
}

/// Study, Series and SOP Instance UID.
const UNIQUE_KEYS: [Tag; 3] = [Tag(0x0020, 0x000D), Tag(0x0020, 0x000E), Tag(0x0008, 0x0018)];

/// So many of them leave few rows.
const FEW_UIDS: usize = 256;

/// So many rows are sorted sooner than a long walk in order has found them.
const FEW_TO_SORT: usize = 2000;

/// The same for studies and series of which the instances are asked for.
const FEW_TO_SORT_INSTANCES_OF: usize = 50;
