#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use time::{Date, Duration, PrimitiveDateTime, Time};

use super::moment::{day_of, offset_of, time};

/// A time zone as Timezone Offset From UTC (0008,0201) states it: minutes east of UTC, from -12 to +14 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(i16);

impl Zone {
    /// Reads `&ZZXX`, such as `-0500`. PS3.3 §C.12.1.1.8.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\0']);
        if !text.starts_with(['+', '-']) || !text.is_ascii() {
            return None;
        }
        Self::from_minutes(i16::try_from(offset_of(text)?.whole_minutes()).ok()?)
    }

    /// The zone of so many minutes east of UTC.
    pub fn from_minutes(minutes: i16) -> Option<Self> {
        (-12 * 60..=14 * 60).contains(&minutes).then_some(Self(minutes))
    }

    /// Minutes east of UTC.
    pub fn minutes(self) -> i16 {
        self.0
    }

    /// Day and time here of a moment that was written down in a zone: YYYYMMDD and HHMMSS.FFFFFF. A time of less precision
    /// is that of its first moment.
    ///
    /// `None` where the zone is not known or the moment is none: then nobody knows when it is here.
    pub fn local(self, date: &str, time_there: &str, there: &str) -> Option<(String, String)> {
        let there = Self::parse(there)?;
        let (first, _) = time(time_there)?;
        let (clock, fraction) = first.split_at_checked(6)?;
        let part = |at: usize| clock.get(at..at + 2)?.parse::<u8>().ok();
        // A leap second counts as the one before it.
        let clock = Time::from_hms(part(0)?, part(2)?, part(4)?.min(59)).ok()?;
        let shift = Duration::minutes(i64::from(self.0) - i64::from(there.0));
        let here = PrimitiveDateTime::new(day(date)?, clock).checked_add(shift)?;
        let (hour, minute, second) = here.time().as_hms();
        Some((written(here.date())?, format!("{hour:02}{minute:02}{second:02}{fraction}")))
    }
}

/// The day that is so many days after another one, YYYYMMDD.
pub fn days_after(date: &str, days: i64) -> Option<String> {
    day(date)?.checked_add(Duration::days(days)).and_then(written)
}

fn day(date: &str) -> Option<Date> {
    if date.len() != 8 {
        return None;
    }
    day_of(date.get(..4)?, date.get(4..6)?, date.get(6..)?)
}

/// There is no year before 0 (PS3.5 §6.2).
fn written(date: Date) -> Option<String> {
    let is_written = date.year() >= 0;
    is_written.then(|| format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_of_the_standard() {
        for (text, minutes) in
            [("+0000", 0), ("-0500", -300), ("+0530 ", 330), ("+1400", 840), ("-1200", -720)]
        {
            assert_eq!(Zone::parse(text).map(Zone::minutes), Some(minutes), "{text}");
        }
        for text in ["", "0500", "+5", "+0560", "+1401", "-1201", "+05:00", "é0500", "Z"] {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_where_they_are_asked_for() {
        let utc = Zone::parse("+0000").unwrap();
        let local = |zone: Zone, date, time, there| zone.local(date, time, there);
        let at = |date: &str, time: &str| Some((date.to_owned(), time.to_owned()));
        assert_eq!(local(utc, "20200101", "0500", "+0900"), at("20191231", "200000.000000"));
        assert_eq!(local(utc, "20200101", "235959.25", "-0500"), at("20200102", "045959.250000"));
        assert_eq!(
            local(Zone::parse("+0530").unwrap(), "20200229", "20", "+0000"),
            at("20200301", "013000.000000")
        );
        assert_eq!(local(utc, "20200101", "235960", "+0000"), at("20200101", "235959.000000"));
        for (date, time, there) in [
            ("20200101", "0500", ""),
            ("20200101", "", "+0100"),
            ("", "0500", "+0100"),
            ("2020010", "05", "+0100"),
            ("00000101", "00", "+1400"),
        ] {
            assert_eq!(local(utc, date, time, there), None, "{date} {time} {there}");
        }
    }

    #[test]
    fn days_are_counted_by_the_calendar() {
        assert_eq!(days_after("20200228", 2).as_deref(), Some("20200301"));
        assert_eq!(days_after("20200101", -1).as_deref(), Some("20191231"));
        assert_eq!(days_after("2020", 1), None);
        assert_eq!(days_after("99991231", 2), None);
    }
}
