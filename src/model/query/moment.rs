#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use super::Matching;

/// A date as YYYYMMDD; taken as YYYY.MM.DD too, which ACR-NEMA had. `None` when it is no day of the calendar.
///
/// PS3.5 §6.2.
pub fn date(text: &str) -> Option<String> {
    let (year, month, day) = match text.len() {
        8 => (text.get(..4)?, text.get(4..6)?, text.get(6..)?),
        10 if text.get(4..5)? == "." && text.get(7..8)? == "." => {
            (text.get(..4)?, text.get(5..7)?, text.get(8..)?)
        }
        _ => return None,
    };
    day_of(year, month, day)?;
    Some([year, month, day].concat())
}

/// The first and last microsecond of a time of any precision, as HHMMSS.FFFFFF; taken with colons too. `None` when it is none.
///
/// The first is what a stored value is compared as. PS3.5 §6.2.
pub fn time(text: &str) -> Option<(String, String)> {
    let colons = text.get(2..3) == Some(":");
    let text = if colons { text.replace(':', "") } else { text.to_owned() };
    let (first, last) = time_of(&text)?;
    Some((first.concat(), last.concat()))
}

/// The first and last microsecond of a date-time of any precision, in UTC, as YYYYMMDDHHMMSS.FFFFFF. `None` when it is none.
///
/// One without an offset is taken for UTC, stored values and keys alike. PS3.5 §6.2.
pub fn datetime(text: &str) -> Option<(String, String)> {
    let (local, offset) = match text.find(['+', '-']) {
        Some(at) => (text.get(..at)?, offset_of(text.get(at..)?)?),
        None => (text, Duration::ZERO),
    };
    let year = local.get(..4)?;
    let month = local.get(4..6).filter(|part| !part.is_empty());
    let day = local.get(6..8).filter(|part| !part.is_empty());
    if local.len() < 8 && local.len() != 4 && local.len() != 6 {
        return None;
    }
    let first_day = day_of(year, month.unwrap_or("01"), day.unwrap_or("01"))?;
    let last_day = match (month, day) {
        (_, Some(_)) => first_day,
        (Some(_), None) => first_day.replace_day(first_day.month().length(first_day.year())).ok()?,
        (None, _) => first_day.replace_month(Month::December).ok()?.replace_day(31).ok()?,
    };
    let (first, last) = match local.get(8..).filter(|part| !part.is_empty()) {
        Some(part) => time_of(part)?,
        None => WHOLE_DAY.map(|parts| parts.map(str::to_owned)).into(),
    };
    Some((in_utc(first_day, first, offset)?, in_utc(last_day, last, offset)?))
}

/// Range matching on dates (PS3.4 §C.2.2.2.5); a date that is no range is a single value.
pub(super) fn match_date(text: &str) -> Option<Matching> {
    if let Some(date) = date(text) {
        return Some(Matching::Single(date));
    }
    range(text, |text| date(text).map(|date| (date.clone(), date)))
}

/// Range matching on times and date-times; one that is no range is the range of its precision.
pub(super) fn match_moment(text: &str, parse: fn(&str) -> Option<(String, String)>) -> Option<Matching> {
    if let Some((from, to)) = parse(text) {
        return Some(Matching::Range { from: Some(from), to: Some(to) });
    }
    range(text, parse)
}

/// A range of times that ends on a later day than it begins, as the times of a range of dates may: its end comes before its beginning.
pub(super) fn match_time_of_days(text: &str) -> Option<Matching> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (time(from.trim())?.0, time(to.trim())?.1);
    (from > to).then_some(Matching::Range { from: Some(from), to: Some(to) })
}

/// The first hyphen with something valid on both sides, or on one and nothing on the other, parts a range. A hyphen
/// may also be the sign of an offset from UTC. A range whose ends are the wrong way round is none.
fn range(text: &str, parse: impl Fn(&str) -> Option<(String, String)>) -> Option<Matching> {
    if text.len() > LONGEST_RANGE {
        return None;
    }
    let end = |text: &str| match text.trim() {
        "" => Some(None),
        text => parse(text).map(Some),
    };
    text.match_indices('-').find_map(|(at, _)| {
        let (from, to) = (end(text.get(..at)?)?, end(text.get(at + 1..)?)?);
        let (from, to) = (from.map(|(first, _)| first), to.map(|(_, last)| last));
        match (&from, &to) {
            (None, None) => None,
            (Some(from), Some(to)) if from > to => None,
            _ => Some(Matching::Range { from, to }),
        }
    })
}

/// Hours, minutes, seconds and fraction (with its point) of the first and last microsecond.
fn time_of(text: &str) -> Option<([String; 4], [String; 4])> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if whole.len() == 6 && (1..=6).contains(&fraction.len()) => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    if !matches!(whole.len(), 2 | 4 | 6) {
        return None;
    }
    // 60 is a leap second.
    let part = |at: usize, most: u8| match whole.get(at..at + 2) {
        Some(part) => number(part).filter(|&number| number <= u16::from(most)).map(|_| Some(part)),
        None => Some(None),
    };
    let parts = [part(0, 23)?, part(2, 59)?, part(4, 60)?];
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let filled = |[hours, minutes, seconds]: [&str; 3], digit: &str| {
        let [h, m, s] = parts;
        let missing = digit.repeat(6 - fraction.len());
        [h.unwrap_or(hours), m.unwrap_or(minutes), s.unwrap_or(seconds), &format!(".{fraction}{missing}")]
            .map(str::to_owned)
    };
    Some((filled(["00"; 3], "0"), filled(["23", "59", "59"], "9")))
}

/// Two date-times of 26 bytes and the hyphen between them, with room for spaces: each hyphen is tried.
const LONGEST_RANGE: usize = 128;

const WHOLE_DAY: [[&str; 4]; 2] = [["00", "00", "00", ".000000"], ["23", "59", "59", ".999999"]];

pub(super) fn day_of(year: &str, month: &str, day: &str) -> Option<Date> {
    let month = Month::try_from(u8::try_from(number(month)?).ok()?).ok()?;
    Date::from_calendar_date(number(year)?.into(), month, u8::try_from(number(day)?).ok()?).ok()
}

/// &ZZXX: hours from -12 to +14, and minutes.
pub(super) fn offset_of(text: &str) -> Option<Duration> {
    let digits = text.get(1..).filter(|digits| digits.len() == 4)?;
    let (hours, minutes) = (number(digits.get(..2)?)?, number(digits.get(2..)?)?);
    let offset = Duration::hours(hours.into()) + Duration::minutes(minutes.into());
    let offset = if text.starts_with('-') { -offset } else { offset };
    let valid = minutes < 60 && (Duration::hours(-12)..=Duration::hours(14)).contains(&offset);
    valid.then_some(offset)
}

fn in_utc(day: Date, [hours, minutes, seconds, fraction]: [String; 4], offset: Duration) -> Option<String> {
    let part = |text: &str| number(text).and_then(|number| u8::try_from(number).ok());
    // A leap second counts as the one before it.
    let time = Time::from_hms(part(&hours)?, part(&minutes)?, part(&seconds)?.min(59)).ok()?;
    let utc = PrimitiveDateTime::new(day, time).checked_sub(offset)?;
    let (date, time) = (utc.date(), utc.time());
    Some(format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}{fraction}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
    ))
}

/// Digits only, where `parse` would take a sign.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_dates_of_both_forms() {
        assert_eq!(date("20200229").unwrap(), "20200229");
        assert_eq!(date("2020.02.29").unwrap(), "20200229");
        for text in
            ["20210229", "20201301", "2020", "2020-02-29", "20200a01", "+2020101", "2020.2.29", "２０２０"]
        {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_spans_its_precision() {
        for (text, first, last) in [
            ("10", "100000.000000", "105959.999999"),
            ("1015", "101500.000000", "101559.999999"),
            ("101530", "101530.000000", "101530.999999"),
            ("101530.5", "101530.500000", "101530.599999"),
            ("101530.123456", "101530.123456", "101530.123456"),
            ("10:15:30", "101530.000000", "101530.999999"),
            ("235960", "235960.000000", "235960.999999"),
        ] {
            assert_eq!(time(text).unwrap(), (first.to_owned(), last.to_owned()), "{text}");
        }
        for text in
            ["", "1", "101", "24", "1060", "101561", "1015.5", "101530.", "101530.1234567", "1015+1", "10 15"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_datetime_spans_its_precision_in_utc() {
        for (text, first, last) in [
            ("2020", "20200101000000.000000", "20201231235959.999999"),
            ("202002", "20200201000000.000000", "20200229235959.999999"),
            ("20200229", "20200229000000.000000", "20200229235959.999999"),
            ("2020022910", "20200229100000.000000", "20200229105959.999999"),
            ("20200101003000.5+0100", "20191231233000.500000", "20191231233000.599999"),
            ("2020010100-0500", "20200101050000.000000", "20200101055959.999999"),
        ] {
            assert_eq!(datetime(text).unwrap(), (first.to_owned(), last.to_owned()), "{text}");
        }
        for text in [
            "",
            "202",
            "20200",
            "2020022",
            "202013",
            "20200101-1300",
            "20200101+0160",
            "20200101+1",
            "0000-1200+",
        ] {
            assert_eq!(datetime(text), None, "{text}");
        }
    }
}
