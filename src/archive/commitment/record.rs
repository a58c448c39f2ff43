//! Requests and reports as those see them who look on.

use model::{AeTitle, PeerName, TransactionUid, limits};
use rusqlite::Connection;
use time::OffsetDateTime;

use super::rows::HELD;
use crate::Error;
use crate::clock::{moment, moment_or_none};
use crate::overview::unsigned;
use crate::scope::stored_uid;

/// Where a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitmentState {
    /// It is to be sent.
    Waiting,
    /// The asker has it.
    Reported,
    /// It was tried for too long.
    GivenUp,
}

impl CommitmentState {
    /// The state in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Reported => "reported",
            Self::GivenUp => "given up",
        }
    }

    /// The number that the index has for it.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Reported => 1,
            Self::GivenUp => 2,
        }
    }

    fn of(code: u8) -> Result<Self, Error> {
        [Self::Waiting, Self::Reported, Self::GivenUp]
            .into_iter()
            .find(|state| state.code() == code)
            .ok_or(Error::Damaged)
    }
}

/// A request and its report, for those who look on.
#[derive(Debug, Clone)]
pub struct CommitmentRecord {
    /// The AE title that asked.
    pub aet: Option<AeTitle>,
    /// The configured peer that asked.
    pub peer: Option<PeerName>,
    /// Its Transaction UID.
    pub transaction: TransactionUid,
    /// Where the report stands.
    pub state: CommitmentState,
    /// When it was asked for.
    pub requested: OffsetDateTime,
    /// Instances asked for.
    pub instances: u64,
    /// Those of them that were not committed to at the last attempt.
    pub failed: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; `None` when it is not, or is to go over the association that it was asked on.
    pub due: Option<OffsetDateTime>,
    /// When the last attempt ended.
    pub done: Option<OffsetDateTime>,
    /// How that ended, in words; empty when it was not tried.
    pub status: String,
}

/// Reports, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommitmentCounts {
    /// To be sent.
    pub waiting: u64,
    /// Given up, as long as they are kept.
    pub given_up: u64,
}

pub(crate) fn records(connection: &Connection, limit: u32) -> Result<Vec<CommitmentRecord>, Error> {
    let mut found = Vec::new();
    for statement in [WAITING, GIVEN_UP] {
        let mut statement = connection.prepare_cached(statement)?;
        let mut rows = statement.query([limit.min(limits::DEAD_LETTERS)])?;
        while let Some(row) = rows.next()? {
            let state = CommitmentState::of(row.get(3)?)?;
            let due: i64 = row.get(8)?;
            let is_due = state == CommitmentState::Waiting && due != HELD;
            found.push(CommitmentRecord {
                aet: title(row.get(0)?),
                peer: peer(row.get(1)?),
                transaction: stored_uid(row.get(2)?)?,
                state,
                requested: moment(row.get(4)?),
                instances: unsigned(row.get(5)?),
                failed: unsigned(row.get(6)?),
                attempts: row.get(7)?,
                due: is_due.then(|| moment(due)),
                done: moment_or_none(row.get(9)?),
                status: row.get(10)?,
            });
        }
    }
    Ok(found)
}

pub(crate) fn counts(connection: &Connection) -> Result<CommitmentCounts, Error> {
    let count = |sql: &str| -> Result<u64, Error> {
        Ok(unsigned(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
    };
    Ok(CommitmentCounts { waiting: count(COUNT_WAITING)?, given_up: count(COUNT_GIVEN_UP)? })
}

pub(super) fn title(text: String) -> Option<AeTitle> {
    AeTitle::parse(&text).ok()
}

pub(super) fn peer(text: String) -> Option<PeerName> {
    (!text.is_empty()).then(|| PeerName::new(&text))
}

const COUNT_WAITING: &str = "SELECT count(*) FROM commitment INDEXED BY commitment_waiting WHERE state = 0";

const COUNT_GIVEN_UP: &str =
    "SELECT count(*) FROM commitment INDEXED BY commitment_ended WHERE state = 2 AND state > 0";

const WAITING: &str =
    "SELECT aet, peer, transaction_uid, state, requested, instances, failed, attempts, due, done, status
    FROM commitment INDEXED BY commitment_waiting WHERE state = 0 ORDER BY due LIMIT ?1";

const GIVEN_UP: &str =
    "SELECT aet, peer, transaction_uid, state, requested, instances, failed, attempts, due, done, status
    FROM commitment INDEXED BY commitment_ended WHERE state = 2 AND state > 0 ORDER BY done DESC LIMIT ?1";

/// For a look at their plans.
#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[COUNT_WAITING, COUNT_GIVEN_UP, WAITING, GIVEN_UP];
