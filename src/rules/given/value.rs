use model::syntax::Encoding;
use model::{Tag, Vr, charset, element, vr};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};
use toml::value::{Date, Datetime, Offset, Time};

use super::key::{self, Key};
use super::{DataSet, ITEM};
use crate::finding::Finder;
use crate::table::noun;

/// The bytes of an element's value and its VR, which that of `given` decides where the dictionary has none; `None` when the value
/// does not fit, which is noted.
///
/// A list is the values of the element, or the items of a sequence.
pub(super) fn read(
    key: &Key,
    name: &str,
    given: &Spanned<DeValue<'_>>,
    finder: &mut Finder<'_>,
) -> Option<(Vr, Vec<u8>)> {
    let values: Vec<&Spanned<DeValue<'_>>> = match given.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![given],
    };
    let is_negative =
        |value: &&Spanned<DeValue<'_>>| value.get_ref().as_integer().and_then(integer).is_some_and(|n| n < 0);
    let vr = settle(key.vr(values.iter().any(is_negative)), &values);
    if vr == Vr::SQ {
        return Some((vr, items(name, given, finder)?));
    }
    if vr::is_binary(vr) {
        finder.error(&given.span(), format!("{name} holds bytes, which a test cannot give"), None);
        return None;
    }
    if vr::is_text(vr) && !vr::is_multi_valued_text(vr) && values.len() > 1 {
        finder.error(&given.span(), format!("{name} ({vr:?}) has one value"), None);
        return None;
    }
    let mut parts = Vec::new();
    let mut is_whole = true;
    for value in values {
        match part(vr, value.get_ref()) {
            Ok(bytes) => parts.push(bytes),
            Err(Misfit { message, help }) => {
                finder.error(&value.span(), format!("{name} ({vr:?}) {message}"), help);
                is_whole = false;
            }
        }
    }
    let delimiter: &[u8] = if vr::is_text(vr) { b"\\" } else { b"" };
    is_whole.then(|| (vr, parts.join(delimiter)))
}

/// The VR where the dictionary leaves a choice.
fn settle(vr: Vr, values: &[&Spanned<DeValue<'_>>]) -> Vr {
    let first = values.first().map(|value| value.get_ref());
    match (vr, first) {
        (Vr::UN, Some(DeValue::Integer(_))) => {
            let fits = |value: &&Spanned<DeValue<'_>>| {
                value.get_ref().as_integer().and_then(integer).is_none_or(|n| i32::try_from(n).is_ok())
            };
            if values.iter().all(fits) { Vr::SL } else { Vr::SV }
        }
        (Vr::UN, Some(DeValue::Float(_))) => Vr::FD,
        (Vr::UN, Some(DeValue::Table(_))) => Vr::SQ,
        (Vr::UN, Some(DeValue::Datetime(given))) => match (given.date, given.time) {
            (Some(_), None) => Vr::DA,
            (None, _) => Vr::TM,
            (Some(_), Some(_)) => Vr::DT,
        },
        (Vr::UN, _) => Vr::LO,
        (vr, _) => vr,
    }
}

fn items(key: &str, given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) -> Option<Vec<u8>> {
    let help = || format!("a sequence is a list of items: {key} = [{{ CodeValue = \"T-D4000\" }}]");
    let DeValue::Array(list) = given.get_ref() else {
        let message = format!("{key} needs a list of tables, not {}", noun(given.get_ref()));
        finder.error(&given.span(), message, help());
        return None;
    };
    let mut bytes = Some(Vec::new());
    for item in list {
        let DeValue::Table(entries) = item.get_ref() else {
            let message = format!("an item of {key} is a table, not {}", noun(item.get_ref()));
            finder.error(&item.span(), message, help());
            bytes = None;
            continue;
        };
        match (DataSet::read(entries.iter(), finder), &mut bytes) {
            (Some(content), Some(bytes)) => put_item(bytes, &content.into_bytes()),
            _ => bytes = None,
        }
    }
    bytes
}

/// PS3.5 §7.5.1.
fn put_item(out: &mut Vec<u8>, content: &[u8]) {
    // An item is laid out as an element without a VR.
    element::put(out, Encoding::ImplicitLittle, ITEM, Vr::UN, content);
}

/// Why a value does not fit its element.
struct Misfit {
    message: String,
    help: Option<String>,
}

fn misfit<T>(message: impl Into<String>, help: Option<String>) -> Result<T, Misfit> {
    Err(Misfit { message: message.into(), help })
}

fn part(vr: Vr, given: &DeValue<'_>) -> Result<Vec<u8>, Misfit> {
    match given {
        DeValue::String(text) => text_part(vr, text),
        DeValue::Integer(number) => integer_part(vr, number),
        DeValue::Float(number) => float_part(vr, number.as_str()),
        DeValue::Datetime(moment) => match moment_text(vr, moment) {
            Some(text) => Ok(text.into_bytes()),
            None => misfit(format!("needs {}, not {moment}", needs(vr)), None),
        },
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
            let help = (vr == Vr::PN).then(|| "the whole name: \"Family^Given\"".to_owned());
            misfit(format!("needs {}, not {}", needs(vr), noun(given)), help)
        }
    }
}

fn text_part(vr: Vr, text: &str) -> Result<Vec<u8>, Misfit> {
    match vr {
        Vr::DA | Vr::TM | Vr::DT => match text.parse::<Datetime>() {
            Ok(moment) => match moment_text(vr, &moment) {
                Some(text) => Ok(text.into_bytes()),
                None => misfit(format!("needs {}, not {text:?}", needs(vr)), None),
            },
            // As it is, so that a test can show what happens to a damaged value.
            Err(_) => Ok(text.as_bytes().to_vec()),
        },
        Vr::AT => match key::tag(text).or_else(|| vr::tag_of_keyword(text).map(|(tag, _)| tag)) {
            Some(Tag(group, element)) => Ok([group.to_le_bytes(), element.to_le_bytes()].concat()),
            None => misfit(format!("needs a tag, not {text:?}"), Some("for example \"00181063\"".to_owned())),
        },
        _ if !vr::is_text(vr) => {
            let number = text.parse::<f64>().is_ok().then(|| format!("write {text} without quotes"));
            misfit("needs a number, not a text", number)
        }
        _ if !text.is_ascii() && !charset::is_affected(vr) => misfit("has ASCII only", None),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

fn integer_part(vr: Vr, number: &DeInteger<'_>) -> Result<Vec<u8>, Misfit> {
    let Some(value) = integer(number) else {
        return misfit("does not hold a number as large", None);
    };
    macro_rules! bytes {
        ($number:ty) => {
            match <$number>::try_from(value) {
                Ok(value) => Ok(value.to_le_bytes().to_vec()),
                Err(_) => {
                    misfit(format!("holds numbers from {} to {}", <$number>::MIN, <$number>::MAX), None)
                }
            }
        };
    }
    match vr {
        Vr::IS | Vr::DS => Ok(value.to_string().into_bytes()),
        Vr::US => bytes!(u16),
        Vr::SS => bytes!(i16),
        Vr::UL => bytes!(u32),
        Vr::SL => bytes!(i32),
        Vr::UV => bytes!(u64),
        Vr::SV => bytes!(i64),
        Vr::FL | Vr::FD => float_part(vr, &value.to_string()),
        _ => misfit(
            format!("needs {}, not a whole number", needs(vr)),
            vr::is_text(vr).then(|| format!("write \"{value}\" in quotes")),
        ),
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn float_part(vr: Vr, text: &str) -> Result<Vec<u8>, Misfit> {
    let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) else {
        return misfit("needs a number", None);
    };
    match vr {
        Vr::DS => Ok(text.as_bytes().to_vec()),
        Vr::FD => Ok(value.to_le_bytes().to_vec()),
        Vr::FL => {
            #[expect(clippy::cast_possible_truncation, reason = "a single is what the element holds")]
            let single = value as f32;
            Ok(single.to_le_bytes().to_vec())
        }
        _ => misfit(format!("needs {}, not a number with a fraction", needs(vr)), None),
    }
}

/// A date or time as DICOM writes it; `None` where it is not what the VR holds.
fn moment_text(vr: Vr, moment: &Datetime) -> Option<String> {
    match (vr, moment.date, moment.time, moment.offset) {
        (Vr::DA, Some(date), None, None) => Some(date_text(date)),
        (Vr::TM, None, Some(time), None) => Some(time_text(time)),
        (Vr::DT, Some(date), time, offset) => {
            let time = time.map(time_text).unwrap_or_default();
            let offset = match offset {
                None => String::new(),
                Some(Offset::Z) => "+0000".to_owned(),
                Some(Offset::Custom { minutes }) => {
                    let (hours, rest) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
                    format!("{}{hours:02}{rest:02}", if minutes < 0 { '-' } else { '+' })
                }
            };
            Some(format!("{}{time}{offset}", date_text(date)))
        }
        _ => None,
    }
}

fn date_text(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year, date.month, date.day)
}

fn time_text(time: Time) -> String {
    let second = time.second.map(|second| format!("{second:02}")).unwrap_or_default();
    let fraction = time.nanosecond.filter(|nanos| *nanos > 0).map(|nanos| format!(".{:06}", nanos / 1000));
    format!("{:02}{:02}{second}{}", time.hour, time.minute, fraction.unwrap_or_default())
}

fn needs(vr: Vr) -> &'static str {
    match vr {
        Vr::DA => "a date",
        Vr::TM => "a time",
        Vr::DT => "a date and time",
        Vr::AT => "a tag",
        Vr::DS | Vr::FL | Vr::FD => "a number",
        Vr::IS | Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV => "a whole number",
        _ => "a text",
    }
}
