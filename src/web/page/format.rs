use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// A count with a thin space between groups of three digits.
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str("\u{2009}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A size in the binary unit that leaves at most four digits before the point.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut divisor = 1;
        while self.0 / divisor >= 1024 && unit + 1 < UNITS.len() {
            divisor *= 1024;
            unit += 1;
        }
        let name = UNITS.get(unit).unwrap_or(&"");
        let whole = self.0 / divisor;
        let tenths = self.0 % divisor * 10 / divisor;
        if unit == 0 || whole >= 100 {
            write!(f, "{whole}\u{A0}{name}")
        } else {
            write!(f, "{whole}.{tenths}\u{A0}{name}")
        }
    }
}

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A time span in its two largest units.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min"),
            (0, _, _) => write!(f, "{hours} h {minutes} min"),
            (1, _, _) => write!(f, "1 day {hours} h"),
            (_, _, _) => write!(f, "{days} days {hours} h"),
        }
    }
}

/// How long ago something was; the clock may have been set back since.
pub(super) fn ago(now: OffsetDateTime, then: OffsetDateTime) -> String {
    match Duration::try_from(now - then) {
        Ok(span) if span.as_secs() >= 60 => format!("{} ago", Span(span)),
        Ok(_) | Err(_) => "just now".to_owned(),
    }
}

/// A moment to the second, in UTC.
pub(super) fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(MOMENT).unwrap_or_default()
}

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

/// A value of VR DA with dashes (PS3.5 §6.2); anything else as it is.
pub(super) fn date(value: &str) -> String {
    match value.split_at_checked(4).and_then(|(year, rest)| Some((year, rest.split_at_checked(2)?))) {
        Some((year, (month, day))) if value.len() == 8 && value.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{year}-{month}-{day}")
        }
        // What is no date may be anything, a name too.
        Some(_) | None => String::new(),
    }
}

/// A modality (PS3.3 §C.7.3.1.1.1), or nothing when the text cannot be one.
pub(super) fn modality(value: &str) -> &str {
    let is_code = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if value.len() <= 8 && value.bytes().all(is_code) { value } else { "" }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn groups_digits() {
        let count = |count| Count(count).to_string().replace('\u{2009}', " ");
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1 000", "1 234 567"]
        );
    }

    #[test]
    fn chooses_a_unit() {
        let bytes = |bytes| Bytes(bytes).to_string().replace('\u{A0}', " ");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(150 << 30), "150 GiB");
        assert_eq!(bytes(u64::MAX), "16383 PiB");
    }

    #[test]
    fn says_spans_as_people_do() {
        let span = |seconds| Span(Duration::from_secs(seconds)).to_string();
        assert_eq!(span(59), "59 s");
        assert_eq!(span(61), "1 min");
        assert_eq!(span(3_661), "1 h 1 min");
        assert_eq!(span(90_000), "1 day 1 h");
        assert_eq!(span(864_000), "10 days 0 h");
    }

    #[test]
    fn tells_age_and_moment() {
        let then = datetime!(2026-01-31 23:59:58 +1);
        assert_eq!(moment(then), "2026-01-31 22:59:58 UTC");
        assert_eq!(ago(then + Duration::from_secs(120), then), "2 min ago");
        assert_eq!(ago(then, then + Duration::from_secs(120)), "just now");
    }

    #[test]
    fn only_dates_and_modalities_are_shown() {
        assert_eq!(date("20260131"), "2026-01-31");
        assert_eq!(date("2026"), "");
        assert_eq!(date("\u{e9}\u{e9}\u{e9}\u{e9}"), "");
        assert_eq!((modality("CT"), modality("Doe^Jane"), modality("CT OF JOHN DOE")), ("CT", "", ""));
    }
}
