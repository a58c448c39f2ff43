//! What is to be delivered, and what became of it: the queue and the ledger are one table.

use model::limits;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use time::OffsetDateTime;

use crate::StoredInstance;

/// The number of a destination in the index; a name keeps its number for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationId(pub(crate) i64);

/// The number of a rule in one of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub(crate) i64);

/// The number of all rules together, as they were loaded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleSetId(pub(crate) i64);

/// One instance version on its way to one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub(crate) i64);

/// What the rules decided about an instance, committed together with it.
#[derive(Debug, Clone)]
pub struct Routing {
    /// The rules that decided.
    pub rule_set: RuleSetId,
    /// Each destination once, with the first rule that sends there.
    pub deliveries: Vec<(DestinationId, RuleId)>,
    /// Destinations that lead to the peer which the instance came from, whether or not a rule sends there.
    pub came_from: Vec<DestinationId>,
    /// We asked for it where it came from: not even a first version is sent back there.
    pub is_asked_for: bool,
}

/// A delivery that a lane has claimed: nobody else gets it until it is settled or its lease runs out.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The delivery.
    pub id: DeliveryId,
    /// What is to be delivered.
    pub instance: StoredInstance,
    /// Its version, from 1.
    pub version: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued; `give_up` counts from here.
    pub queued: OffsetDateTime,
}

/// How an attempt ended, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The destination has it.
    Delivered {
        /// Its answer in words.
        answer: String,
        /// SHA-256 of the bytes that were sent.
        sent: [u8; 32],
    },
    /// The destination took it, and is to be asked whether it keeps it.
    Stored {
        /// Its answer in words.
        answer: String,
        /// SHA-256 of the bytes that were sent.
        sent: [u8; 32],
        /// When it is asked, from now.
        ask_after: std::time::Duration,
    },
    /// To be tried again after this time.
    Retry {
        /// From now.
        after: std::time::Duration,
        /// Why it failed, in words.
        reason: String,
    },
    /// Never to be tried again by itself.
    Dead {
        /// Why, in words.
        reason: String,
    },
    /// It was not tried: ready again.
    Released,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It waits for its first attempt, or was sent again by hand.
    Ready,
    /// It failed, and is tried again when it is due.
    Retrying,
    /// A lane has claimed it.
    Leased,
    /// It was given up; only a person sends it again.
    Dead,
    /// The destination has it.
    Delivered,
    /// It is never sent: it came from where it would go.
    Withheld,
    /// The destination took it, and has yet to commit to its storage.
    Verifying,
}

impl DeliveryState {
    /// The state in a word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Retrying => "retrying",
            Self::Leased => "leased",
            Self::Dead => "dead",
            Self::Delivered => "delivered",
            Self::Withheld => "withheld",
            Self::Verifying => "verifying",
        }
    }

    /// The number that the index has for it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ready => 0,
            Self::Retrying => 1,
            Self::Leased => 2,
            Self::Dead => 3,
            Self::Delivered => 4,
            Self::Withheld => 5,
            Self::Verifying => 6,
        }
    }
}

impl ToSql for DeliveryState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.code().into())
    }
}

impl FromSql for DeliveryState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Ready),
            1 => Ok(Self::Retrying),
            2 => Ok(Self::Leased),
            3 => Ok(Self::Dead),
            4 => Ok(Self::Delivered),
            5 => Ok(Self::Withheld),
            6 => Ok(Self::Verifying),
            unknown => Err(FromSqlError::OutOfRange(unknown)),
        }
    }
}

/// A reason or an answer as the index keeps it: of one line and at most [`limits::REASON_CHARS`], whatever a peer said.
pub fn words(text: &str) -> String {
    let clean = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    clean.take(limits::REASON_CHARS).collect()
}
