use super::moment::{datetime, match_date, match_moment, time};
use super::{Matching, QueryError};
use crate::{Vr, limits};

impl Matching {
    /// Reads the value of a key; `None` is universal matching: an empty value, or one of nothing but `*`.
    ///
    /// UIDs of a list are parted by `\` or, as in URLs, `,`. `*` and `?` are wildcards where the VR has wildcard
    /// matching (AE, CS, LO, LT, PN, SH, ST, UC, UR, UT).
    ///
    /// # Errors
    /// [`QueryError::Value`] when the VR has no matching on values (SQ, OB … OW, UN), or the value is none of the VR:
    /// a date that is not in the calendar, a range with its ends the wrong way round, a wildcard where there is no
    /// wildcard matching, several values other than of UI and CS, a pattern longer than [`limits::PATTERN_BYTES`].
    ///
    /// PS3.4 §C.2.2.2.1 to §C.2.2.2.5; PS3.18 §8.3.4.1.
    pub fn parse(vr: Vr, value: &str) -> Result<Option<Self>, QueryError> {
        let value = value.trim_matches([' ', '\0']);
        // deviation: PS3.4 §C.2.2.2.4: `*` alone is universal in every VR, because peers send it for dates and UIDs too.
        if value.bytes().all(|byte| byte == b'*') {
            return Ok(None);
        }
        let matching = match vr {
            Vr::UI => return list(value, ['\\', ',']).ok_or(QueryError::Value { tag: None, vr }),
            Vr::CS if value.contains('\\') => {
                return list(value, ['\\', '\\']).ok_or(QueryError::Value { tag: None, vr });
            }
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
            Vr::DS | Vr::FD | Vr::FL => value
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .map(|number| single(&number.to_string())),
            Vr::SQ | Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW | Vr::UN => None,
        };
        matching.map(Some).ok_or(QueryError::Value { tag: None, vr })
    }
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
    let values = value
        .split(separators)
        .map(|value| value.trim_matches([' ', '\0']))
        .filter(|value| !value.is_empty());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(vr: Vr, value: &str) -> Option<Matching> {
        Matching::parse(vr, value).unwrap_or_else(|error| panic!("{value}: {error}"))
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
        assert!(Matching::parse(Vr::PN, "Doe\\Roe").is_err());
        assert!(Matching::parse(Vr::AS, "04?Y").is_err());
        assert!(Matching::parse(Vr::UT, &format!("*{}", "a".repeat(2000))).is_err());
        assert!(Matching::parse(Vr::UT, &"a".repeat(2000)).is_ok());
    }

    #[test]
    fn uids_and_codes_come_in_lists() {
        let list = |values: &[&str]| Some(Matching::UidList(values.iter().map(|&v| v.to_owned()).collect()));
        assert_eq!(parse(Vr::UI, "1.2\0"), Some(single("1.2")));
        assert_eq!(parse(Vr::UI, "1.2\\1.3 \\"), list(&["1.2", "1.3"]));
        assert_eq!(parse(Vr::UI, "1.2,1.3"), list(&["1.2", "1.3"]));
        assert_eq!(parse(Vr::CS, "CT\\MR"), list(&["CT", "MR"]));
        assert_eq!(parse(Vr::CS, "CT,MR"), Some(single("CT,MR")));
        assert!(Matching::parse(Vr::UI, "1.2.*").is_err());
        assert!(Matching::parse(Vr::CS, "CT\\M*").is_err());
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
            assert!(Matching::parse(Vr::DA, value).is_err(), "{value}");
        }
    }

    #[test]
    fn times_are_ranges_of_their_precision() {
        assert_eq!(parse(Vr::TM, "1015"), range("101500.000000", "101559.999999"));
        assert_eq!(parse(Vr::TM, "10-1130"), range("100000.000000", "113059.999999"));
        assert_eq!(parse(Vr::TM, "-1130"), range("", "113059.999999"));
        assert_eq!(parse(Vr::TM, "1130-1130"), range("113000.000000", "113059.999999"));
        for value in ["25", "1130-10", "10:15:99", "abc"] {
            assert!(Matching::parse(Vr::TM, value).is_err(), "{value}");
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
        assert!(Matching::parse(Vr::DT, "2020-2019").is_err());
    }

    #[test]
    fn numbers_lose_their_leading_zeros() {
        assert_eq!(parse(Vr::IS, "+007"), Some(single("7")));
        assert_eq!(parse(Vr::US, "512"), Some(single("512")));
        assert_eq!(parse(Vr::DS, "01.50"), Some(single("1.5")));
        for (vr, value) in
            [(Vr::IS, "7*"), (Vr::IS, "x"), (Vr::DS, "NaN"), (Vr::SQ, "x"), (Vr::UN, "x"), (Vr::OB, "x")]
        {
            assert!(Matching::parse(vr, value).is_err(), "{vr} {value}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(value in "[-0-9*?.+: \\\\a,]{0,24}|\\PC{0,12}") {
            for vr in [Vr::PN, Vr::UI, Vr::DA, Vr::TM, Vr::DT, Vr::IS, Vr::DS, Vr::CS] {
                if let Ok(Some(Matching::Range { from, to })) = Matching::parse(vr, &value) {
                    prop_assert!(from.is_some() || to.is_some());
                    if let (Some(from), Some(to)) = (from, to) {
                        prop_assert!(from <= to);
                    }
                }
            }
        }
    }
}
