//! Times as the index keeps them: microseconds since 1970 UTC.

use std::time::Duration;

use time::OffsetDateTime;

/// The present.
pub(crate) fn now_microseconds() -> i64 {
    microseconds(OffsetDateTime::now_utc())
}

/// A time, to be kept.
pub(crate) fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// A time that the index keeps.
pub(crate) fn moment(microseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A time that may not have come yet; 0 is none.
pub(crate) fn moment_or_none(microseconds: i64) -> Option<OffsetDateTime> {
    (microseconds != 0).then(|| moment(microseconds))
}

/// A time so much later.
pub(crate) fn after(microseconds: i64, wait: Duration) -> i64 {
    microseconds.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

/// A time so much earlier.
pub(crate) fn before(microseconds: i64, age: Duration) -> i64 {
    microseconds.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}
