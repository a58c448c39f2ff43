//! Values that comparisons read.

use core::net::IpAddr;

use model::query;
use time::{Date, Duration};

/// A value of an expression itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Null,
    Text(Box<str>),
    Number(f64),
    Moment(Moment),
    Address(IpAddr),
}

/// A stretch of time, of which the digits (YYYYMMDD, HHMMSSFFFFFF or both together) are compared as one number.
///
/// What a data set has is a point: the beginning of what its precision leaves open. What an expression has spans all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

impl Moment {
    pub(crate) fn date(text: &str) -> Option<Self> {
        let day = digits(&query::date(text)?);
        Some(Self { first: day, last: day })
    }

    pub(crate) fn time(text: &str) -> Option<Self> {
        let (first, last) = query::time(text)?;
        Some(Self { first: digits(&first), last: digits(&last) })
    }

    pub(crate) fn datetime(text: &str) -> Option<Self> {
        let (first, last) = query::datetime(text)?;
        Some(Self { first: digits(&first), last: digits(&last) })
    }

    /// The day so many days from this one; at the end of the calendar its last.
    pub(crate) fn day(today: Date, days: i64) -> Self {
        let date = today.saturating_add(Duration::days(days));
        let year = u128::from(date.year().max(0).unsigned_abs());
        let day = year * 10_000 + u128::from(u8::from(date.month())) * 100 + u128::from(date.day());
        Self { first: day, last: day }
    }

    /// All of a day, among dates with times.
    pub(crate) fn whole_day(self) -> Self {
        const OF_A_DAY: u128 = 1_000_000_000_000;
        Self { first: self.first * OF_A_DAY, last: self.last * OF_A_DAY + 235_959_999_999 }
    }

    /// As a data set has it.
    pub(crate) fn begin(self) -> Self {
        Self { last: self.first, ..self }
    }
}

fn digits(text: &str) -> u128 {
    text.bytes().filter(u8::is_ascii_digit).fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'))
}

/// A decimal or integer string (PS3.5 §6.2).
pub(crate) fn number(text: &str) -> Option<f64> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// An age string (PS3.5 §6.2) in days. Taken with fewer digits too.
pub(crate) fn age(text: &str) -> Option<f64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let days = match unit {
        "D" => 1.0,
        "W" => 7.0,
        "M" => 365.25 / 12.0,
        "Y" => 365.25,
        _ => return None,
    };
    let is_count = (1..=3).contains(&count.len()) && count.bytes().all(|byte| byte.is_ascii_digit());
    count.parse::<f64>().ok().filter(|_| is_count).map(|count| count * days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_compare_as_numbers() {
        assert_eq!(Moment::date("20260131"), Some(Moment { first: 20_260_131, last: 20_260_131 }));
        assert_eq!(Moment::time("10"), Some(Moment { first: 100_000_000_000, last: 105_959_999_999 }));
        let day = Moment::date("20260131").unwrap().whole_day();
        assert_eq!(Moment::datetime("20260131"), Some(day));
        assert_eq!(Moment::date("20260230"), None);
    }

    #[test]
    fn days_are_counted_on_the_calendar() {
        let today = time::macros::date!(2026 - 03 - 01);
        assert_eq!(Moment::day(today, -1), Moment::date("20260228").unwrap());
        assert_eq!(Moment::day(today, 31), Moment::date("20260401").unwrap());
        Moment::day(Date::MIN, -1);
        Moment::day(Date::MAX, 1);
    }

    #[test]
    fn numbers_are_decimals_and_nothing_else() {
        for (text, expected) in
            [("1.5", Some(1.5)), ("+3", Some(3.0)), ("-1.5E2", Some(-150.0)), (".5", Some(0.5))]
        {
            assert_eq!(number(text), expected, "{text}");
        }
        for text in ["", "inf", "NaN", "1e999", "1,5", "12 mm", "0x10"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn ages_are_days() {
        assert_eq!(age("012M"), age("001Y"));
        assert_eq!(age("2W"), age("014D"));
        assert!(age("018Y") > age("17Y"));
        for text in ["", "Y", "18", "18y", "0018Y", "-18Y", "1.5Y", "18Jahre", "ü"] {
            assert_eq!(age(text), None, "{text}");
        }
    }
}
