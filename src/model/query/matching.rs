use super::moment::{datetime, match_date, match_moment, time};
use super::{Matching, Mechanisms, QueryError};
use crate::{Vr, limits, vr};

impl Matching {
    /// Reads the value of a key; `None` is universal matching: an empty value, or one of nothing but `*`.
    ///
    /// UIDs of a list are parted by `\` or, as in URLs, `,`. `*` and `?` are wildcards where the VR has wildcard
    /// matching (AE, CS, LO, LT, PN, SH, ST, UC, UR, UT). Of the mechanisms, those for empty and multiple values are
    /// heeded: with them `""` is [`Matching::Empty`], and what stands between `\` is matched each for itself where the VR
    /// has several values. A part that is universal makes the whole so; parts that are empty are left out.
    ///
    /// # Errors
    /// [`QueryError::Value`] when the VR has no matching on values (SQ, OB … OW, UN), or the value is none of the VR:
    /// a date that is not in the calendar, a range with its ends the wrong way round, a wildcard where there is no
    /// wildcard matching, several values where only one may be, a pattern longer than [`limits::PATTERN_BYTES`].
    /// [`QueryError::Alternatives`] when there are more patterns and ranges than [`limits::KEY_ALTERNATIVES`].
    ///
    /// PS3.4 §C.2.2.2.1 to §C.2.2.2.5, §C.2.2.2.7, §C.2.2.2.8; PS3.18 §8.3.4.1.
    pub fn parse(vr: Vr, value: &str, mechanisms: Mechanisms) -> Result<Option<Self>, QueryError> {
        let value = value.trim_matches(PADDING);
        if mechanisms.multiple_values && vr::is_multi_valued(vr) && value.contains('\\') {
            return several(vr, value, mechanisms);
        }
        one(vr, value, mechanisms)
    }
}

/// A key without multiple value matching.
fn one(vr: Vr, value: &str, mechanisms: Mechanisms) -> Result<Option<Matching>, QueryError> {
    let error = || QueryError::Value { tag: None, vr };
    // deviation: PS3.4 §C.2.2.2.4: `*` alone is universal in every VR, because peers send it for dates and UIDs too.
    if value.bytes().all(|byte| byte == b'*') {
        return Ok(None);
    }
    if mechanisms.empty_values && value == EMPTY {
        return Ok(Some(Matching::Empty));
    }
    let matching = match vr {
        Vr::UI => return list(value, ['\\', ',']).ok_or_else(error),
        Vr::CS if value.contains('\\') => return list(value, ['\\', '\\']).ok_or_else(error),
        Vr::DA => match_date(value),
        Vr::TM => match_moment(value, time),
        Vr::DT => match_moment(value, datetime),
        Vr::AE | Vr::CS | Vr::LO | Vr::PN | Vr::SH | Vr::UC => {
            Some(value).filter(|value| !value.contains('\\')).and_then(text)
        }
        Vr::LT | Vr::ST | Vr::UR | Vr::UT => text(value),
        Vr::AS | Vr::AT => Some(value).filter(|value| !has_wildcard(value)).map(single),
        Vr::IS | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => {
            value.parse::<i128>().ok().map(|number| single(&number.to_string()))
        }
        Vr::DS | Vr::FD | Vr::FL => {
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(|number| single(&number.to_string()))
        }
        Vr::SQ | Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => None,
    };
    matching.map(Some).ok_or_else(error)
}

/// Multiple value matching: values without wildcards become one list but for names, which are compared folded.
fn several(vr: Vr, value: &str, mechanisms: Mechanisms) -> Result<Option<Matching>, QueryError> {
    let (mut list, mut others) = (Vec::new(), Vec::new());
    for part in value.split('\\').map(|part| part.trim_matches(PADDING)).filter(|part| !part.is_empty()) {
        match one(vr, part, mechanisms)? {
            None => return Ok(None),
            Some(Matching::Single(value)) if vr != Vr::PN => list.push(value),
            Some(Matching::UidList(values)) => list.extend(values),
            Some(other) => others.push(other),
        }
        if others.len() > limits::KEY_ALTERNATIVES {
            return Err(QueryError::Alternatives { tag: None });
        }
    }
    let list = match list.len() {
        0 => None,
        1 => list.pop().map(Matching::Single),
        _ => Some(Matching::UidList(list)),
    };
    others.extend(list);
    Ok(if others.len() > 1 { Some(Matching::AnyOf(others)) } else { others.pop() })
}

fn text(value: &str) -> Option<Matching> {
    if !has_wildcard(value) {
        return Some(single(value));
    }
    (value.len() <= limits::PATTERN_BYTES).then(|| Matching::Wildcard(value.to_owned()))
}

fn single(value: &str) -> Matching {
    Matching::Single(value.to_owned())
}

/// One value, a list of them, or universal matching when nothing stands between the separators.
fn list(value: &str, separators: [char; 2]) -> Option<Option<Matching>> {
    if has_wildcard(value) {
        return None;
    }
    let values =
        value.split(separators).map(|value| value.trim_matches(PADDING)).filter(|value| !value.is_empty());
    let mut values: Vec<String> = values.map(str::to_owned).collect();
    Some(match values.len() {
        0 => None,
        1 => values.pop().map(Matching::Single),
        _ => Some(Matching::UidList(values)),
    })
}

fn has_wildcard(value: &str) -> bool {
    value.contains(['*', '?'])
}

const PADDING: [char; 2] = [' ', '\0'];

/// What stands for "no value" (PS3.4 §C.2.2.2.7).
const EMPTY: &str = "\"\"";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Mechanisms = Mechanisms {
        relational: false,
        combined_datetime: false,
        fuzzy_names: false,
        timezone: false,
        empty_values: false,
        multiple_values: false,
    };

    fn parse(vr: Vr, value: &str) -> Option<Matching> {
        Matching::parse(vr, value, NONE).unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    fn refuses(vr: Vr, value: &str) -> bool {
        Matching::parse(vr, value, NONE).is_err()
    }

    fn range(from: &str, to: &str) -> Option<Matching> {
        let end = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(Matching::Range { from: end(from), to: end(to) })
    }

    #[test]
    fn nothing_and_stars_are_universal() {
        for vr in [Vr::PN, Vr::UI, Vr::DA, Vr::TM, Vr::IS, Vr::SQ, Vr::OB] {
            for value in ["", "  ", "*", "**", "\0"] {
                assert_eq!(parse(vr, value), None, "{vr} {value}");
            }
        }
        assert_eq!(parse(Vr::UI, "\\"), None);
    }

    #[test]
    fn text_is_single_or_has_wildcards() {
        assert_eq!(parse(Vr::LO, "A 1 "), Some(single("A 1")));
        assert_eq!(parse(Vr::PN, "Doe^J*"), Some(Matching::Wildcard("Doe^J*".into())));
        assert_eq!(parse(Vr::LT, "a\\b?"), Some(Matching::Wildcard("a\\b?".into())));
        assert!(refuses(Vr::PN, "Doe\\Roe"));
        assert!(refuses(Vr::AS, "04?Y"));
        assert!(refuses(Vr::UT, &format!("*{}", "a".repeat(2000))));
        assert!(!refuses(Vr::UT, &"a".repeat(2000)));
    }

    #[test]
    fn uids_and_codes_come_in_lists() {
        let list = |values: &[&str]| Some(Matching::UidList(values.iter().map(|&v| v.to_owned()).collect()));
        assert_eq!(parse(Vr::UI, "1.2\0"), Some(single("1.2")));
        assert_eq!(parse(Vr::UI, "1.2\\1.3 \\"), list(&["1.2", "1.3"]));
        assert_eq!(parse(Vr::UI, "1.2,1.3"), list(&["1.2", "1.3"]));
        assert_eq!(parse(Vr::CS, "CT\\MR"), list(&["CT", "MR"]));
        assert_eq!(parse(Vr::CS, "CT,MR"), Some(single("CT,MR")));
        assert!(refuses(Vr::UI, "1.2.*"));
        assert!(refuses(Vr::CS, "CT\\M*"));
    }

    #[test]
    fn dates_are_single_or_ranges() {
        assert_eq!(parse(Vr::DA, "20200101"), Some(single("20200101")));
        assert_eq!(parse(Vr::DA, "2020.01.01"), Some(single("20200101")));
        assert_eq!(parse(Vr::DA, "20200101-20200131"), range("20200101", "20200131"));
        assert_eq!(parse(Vr::DA, "20200101 - 2020.01.31"), range("20200101", "20200131"));
        assert_eq!(parse(Vr::DA, "-20200131"), range("", "20200131"));
        assert_eq!(parse(Vr::DA, "20200101-"), range("20200101", ""));
        for value in [
            "-",
            "--",
            "20200131-20200101",
            "2020",
            "202001*",
            "20200101-x",
            "2020-01-01",
            "20200101-20200102-",
        ] {
            assert!(refuses(Vr::DA, value), "{value}");
        }
    }

    #[test]
    fn times_are_ranges_of_their_precision() {
        assert_eq!(parse(Vr::TM, "1015"), range("101500.000000", "101559.999999"));
        assert_eq!(parse(Vr::TM, "10-1130"), range("100000.000000", "113059.999999"));
        assert_eq!(parse(Vr::TM, "-1130"), range("", "113059.999999"));
        assert_eq!(parse(Vr::TM, "1130-1130"), range("113000.000000", "113059.999999"));
        for value in ["25", "1130-10", "10:15:99", "abc"] {
            assert!(refuses(Vr::TM, value), "{value}");
        }
    }

    #[test]
    fn a_hyphen_in_a_datetime_may_be_a_sign() {
        let day = "20200101050000.000000";
        assert_eq!(parse(Vr::DT, "2020010100-0500"), range(day, "20200101055959.999999"));
        assert_eq!(parse(Vr::DT, "2020010100-0500-"), range(day, ""));
        assert_eq!(parse(Vr::DT, "2019-2020"), range("20190101000000.000000", "20201231235959.999999"));
        assert_eq!(parse(Vr::DT, "2020010100-0500-2020010101-0500"), range(day, "20200101065959.999999"));
        assert_eq!(parse(Vr::DT, "-2020"), range("", "20201231235959.999999"));
        assert!(refuses(Vr::DT, "2020-2019"));
    }

    #[test]
    fn two_quotation_marks_ask_for_no_value_where_that_was_agreed() {
        let empty = Mechanisms { empty_values: true, ..NONE };
        for vr in [Vr::LO, Vr::PN, Vr::DA, Vr::TM, Vr::UI, Vr::IS, Vr::US, Vr::SQ, Vr::UT] {
            assert_eq!(Matching::parse(vr, "\"\" ", empty), Ok(Some(Matching::Empty)), "{vr}");
            assert_eq!(Matching::parse(vr, "", empty), Ok(None));
        }
        assert_eq!(parse(Vr::LO, "\"\""), Some(single("\"\"")));
        assert!(refuses(Vr::DA, "\"\""));
        assert_eq!(Matching::parse(Vr::LO, "\"\"x", empty), Ok(Some(single("\"\"x"))));
    }

    #[test]
    fn several_values_match_each_for_itself_where_that_was_agreed() {
        let several = |vr, value: &str| {
            Matching::parse(vr, value, Mechanisms { empty_values: true, multiple_values: true, ..NONE })
        };
        let list = |values: &[&str]| Matching::UidList(values.iter().map(|&v| v.to_owned()).collect());
        let wildcard = |pattern: &str| Matching::Wildcard(pattern.to_owned());
        assert_eq!(several(Vr::LO, "A \\B"), Ok(Some(list(&["A", "B"]))));
        assert_eq!(
            several(Vr::LO, "A\\B*\\\\C"),
            Ok(Some(Matching::AnyOf(vec![wildcard("B*"), list(&["A", "C"])])))
        );
        assert_eq!(several(Vr::LO, "\"\"\\A"), Ok(Some(Matching::AnyOf(vec![Matching::Empty, single("A")]))));
        assert_eq!(several(Vr::PN, "A\\B"), Ok(Some(Matching::AnyOf(vec![single("A"), single("B")]))));
        assert_eq!(several(Vr::UI, "1.2,1.3\\1.4"), Ok(Some(list(&["1.2", "1.3", "1.4"]))));
        assert_eq!(several(Vr::DA, "20200101\\2020.02.01"), Ok(Some(list(&["20200101", "20200201"]))));
        let ranges = vec![range("20200101", "").unwrap(), single("20190101")];
        assert_eq!(several(Vr::DA, "20200101-\\20190101"), Ok(Some(Matching::AnyOf(ranges))));
        assert_eq!(several(Vr::IS, "07\\8"), Ok(Some(list(&["7", "8"]))));
        assert_eq!(several(Vr::LO, "A\\*"), Ok(None), "one of them matches everything");
        assert_eq!(several(Vr::LO, "\\ \\"), Ok(None));
        assert_eq!(several(Vr::LO, "\\A"), Ok(Some(single("A"))));
        assert_eq!(several(Vr::LT, "a\\b"), Ok(Some(single("a\\b"))), "one text");
        assert!(several(Vr::DA, "20200101\\x").is_err());
        let patterns = |count: usize| "a*\\".repeat(count);
        assert!(several(Vr::LO, &patterns(limits::KEY_ALTERNATIVES)).is_ok());
        assert_eq!(
            several(Vr::LO, &patterns(limits::KEY_ALTERNATIVES + 1)),
            Err(QueryError::Alternatives { tag: None })
        );
    }

    #[test]
    fn numbers_lose_their_leading_zeros() {
        assert_eq!(parse(Vr::IS, "+007"), Some(single("7")));
        assert_eq!(parse(Vr::US, "512"), Some(single("512")));
        assert_eq!(parse(Vr::DS, "01.50"), Some(single("1.5")));
        for (vr, value) in
            [(Vr::IS, "7*"), (Vr::IS, "x"), (Vr::DS, "NaN"), (Vr::SQ, "x"), (Vr::UN, "x"), (Vr::OB, "x")]
        {
            assert!(refuses(vr, value), "{vr} {value}");
        }
    }

    #[test]
    fn a_long_value_is_no_range() {
        for value in [
            "-".repeat(60_000),
            format!("{}-", "\t".repeat(60_000)),
            format!("{}{}", "\t".repeat(100), "-".repeat(100)),
        ] {
            for vr in [Vr::DA, Vr::TM, Vr::DT] {
                assert!(refuses(vr, &value));
            }
        }
        let spaced = format!("20200101{}-{}20200102", " ".repeat(20), " ".repeat(20));
        assert_eq!(parse(Vr::DA, &spaced), range("20200101", "20200102"));
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(value in "[-0-9*?.+: \\\\a,]{0,24}|\\PC{0,12}") {
            for vr in [Vr::PN, Vr::UI, Vr::DA, Vr::TM, Vr::DT, Vr::IS, Vr::DS, Vr::CS] {
                if let Ok(Some(Matching::Range { from, to })) = Matching::parse(vr, &value, NONE) {
                    prop_assert!(from.is_some() || to.is_some());
                    if let (Some(from), Some(to)) = (from, to) {
                        prop_assert!(from <= to);
                    }
                }
                let both = Mechanisms { empty_values: true, multiple_values: true, ..NONE };
                if let Ok(Some(Matching::AnyOf(parts))) = Matching::parse(vr, &value, both) {
                    prop_assert!((2..=limits::KEY_ALTERNATIVES + 1).contains(&parts.len()));
                }
            }
        }
    }
}
