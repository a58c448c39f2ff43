#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::borrow::Cow;

use model::query::{self, Include, Key, Keys, Matching, Mechanisms, Query, QueryError, Zone};
use model::{QueryRetrieveLevel, Tag, Vr};
use percent_encoding::percent_decode_str;
use pipeline::Support;

use crate::dicomweb::target::Target;
use crate::problem::Problem;

/// What a URL asks for, and what of it is not done.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) query: Query,
    /// Whether rows have Retrieve AE Title.
    pub(super) tells_ae_titles: bool,
    /// Texts for Warning: 299 headers.
    pub(super) warnings: Vec<&'static str>,
}

/// Reads the path and the query of a search URL.
///
/// `support` tells what can be done with an attribute, behind the sequences it stands in; a well-formed one that cannot be matched is
/// passed over with a warning.
///
/// # Errors
/// 400, naming the parameter but not its value, for a parameter that is no attribute or has no sense.
///
/// PS3.18 §10.6.1.2, §8.3.4.
pub(super) fn parse(
    level: QueryRetrieveLevel,
    target: &Target,
    query: &str,
    support: impl Fn(&[Tag]) -> Support,
) -> Result<Search, Problem> {
    let parameters = parameters(query)?;
    let mechanisms = mechanisms(&parameters)?;
    let mut reader = Reader {
        level,
        support,
        keys: Keys::new(mechanisms),
        zone: None,
        include: defaults(),
        tells_ae_titles: false,
        warnings: Vec::new(),
    };
    let (mut limit, mut offset) = (None, None);
    for (name, value) in &parameters {
        match &**name {
            "limit" => set_once(&mut limit, name, value)?,
            "offset" => set_once(&mut offset, name, value)?,
            "includefield" => reader.include(value)?,
            // Read before.
            "fuzzymatching" | "emptyvaluematching" | "multiplevaluematching" => {}
            // Negotiated elsewhere, or of no consequence: answers are UTF-8 (PS3.18 §8.3.3).
            "accept" | "charset" => {}
            _ => reader.key(name, value)?,
        }
    }
    let Reader { keys: found, include, tells_ae_titles, warnings, zone, .. } = reader;
    let mut keys = path_keys(target);
    keys.extend(found.finish().map_err(|error| invalid(&error))?);
    let (fuzzy, offset) = (mechanisms.fuzzy_names, offset.unwrap_or(0));
    let query = Query { level, keys, include, relational: false, fuzzy, zone, limit, offset };
    Ok(Search { query, tells_ae_titles, warnings })
}

struct Reader<F> {
    level: QueryRetrieveLevel,
    support: F,
    keys: Keys,
    /// The zone of dates and times in the keys.
    zone: Option<Zone>,
    include: Include,
    tells_ae_titles: bool,
    warnings: Vec<&'static str>,
}

impl<F: Fn(&[Tag]) -> Support> Reader<F> {
    fn key(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let unknown = || refused(name, "is neither a parameter of this resource nor an attribute");
        let path = attribute(name).ok_or_else(unknown)?;
        let tags: Vec<Tag> = path.iter().map(|(tag, _)| *tag).collect();
        if tags == [TIMEZONE_OFFSET] {
            return self.zone(name, value);
        }
        if (self.support)(&tags) != Support::Match {
            self.warn(NOT_A_KEY);
            return Ok(());
        }
        let added = match *path {
            [(tag, vr)] => {
                self.include.tags.insert(tag);
                self.keys.add(tag, vr, value)
            }
            [(sequence, _), (tag, vr)] => {
                self.include.tags.insert(sequence);
                let mut inner = self.keys.of_item();
                let read = inner.add(tag, vr, value).and_then(|()| inner.finish());
                read.map(|keys| self.keys.add_within(sequence, keys))
            }
            _ => Ok(()),
        };
        added.map_err(|error| match error {
            QueryError::Alternatives { .. } => refused(name, "has too many patterns, ranges or words"),
            QueryError::Level | QueryError::Value { .. } | QueryError::Items { .. } | QueryError::Keys => {
                refused(name, "has a value that is not valid for matching")
            }
        })?;
        if self.keys.len() > MOST_KEYS { Err(refused(name, "is one key too many")) } else { Ok(()) }
    }

    /// The plus of an offset may have come as the space that forms write for it.
    fn zone(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        self.include.tags.insert(TIMEZONE_OFFSET);
        if !value.is_empty() {
            let zone = Zone::parse(&value.replacen(' ', "+", 1));
            self.zone = Some(zone.ok_or_else(|| refused(name, "is an offset such as +0100"))?);
        }
        Ok(())
    }

    fn include(&mut self, value: &str) -> Result<(), Problem> {
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "all" {
                self.include.all = true;
                self.tells_ae_titles = true;
                continue;
            }
            let unknown = || refused("includefield", "names something that is not an attribute");
            let (tag, _) = *attribute(name).ok_or_else(unknown)?.first().ok_or_else(unknown)?;
            if tag == RETRIEVE_AE_TITLE {
                self.tells_ae_titles = true;
                continue;
            }
            if self.level != QueryRetrieveLevel::Image && (self.support)(&[tag]) == Support::No {
                self.warn(NOT_RETURNED);
            }
            // Of an attribute inside a sequence the whole sequence is returned.
            self.include.tags.insert(tag);
        }
        Ok(())
    }

    fn warn(&mut self, warning: &'static str) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// A key that is wrong together with another.
fn invalid(error: &QueryError) -> Problem {
    Problem::bad_request(error.to_string())
}

/// Name and value.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parameters of a URL, decoded.
fn parameters(query: &str) -> Result<Vec<Parameter<'_>>, Problem> {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decode(name)
            .ok_or_else(|| Problem::bad_request("a parameter's name is not percent-encoded UTF-8"))?;
        let value = decode(value).ok_or_else(|| refused(&name, "is not percent-encoded UTF-8"))?;
        Ok((name, value))
    });
    parameters.collect()
}

/// The extended matching that is asked for; it holds for keys before the parameter, too. A date and its time are always matched
/// together.
///
/// PS3.18 §8.3.4.1, §8.3.4.2, §8.3.4.5, §8.3.4.6.
fn mechanisms(parameters: &[Parameter<'_>]) -> Result<Mechanisms, Problem> {
    let mut mechanisms = Mechanisms { combined_datetime: true, ..Mechanisms::default() };
    for (name, value) in parameters {
        match &**name {
            "fuzzymatching" => mechanisms.fuzzy_names = flag(name, value)?,
            "emptyvaluematching" => mechanisms.empty_values = flag(name, value)?,
            "multiplevaluematching" => mechanisms.multiple_values = flag(name, value)?,
            _ => {}
        }
    }
    Ok(mechanisms)
}

fn flag(name: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(refused(name, "is true or false")),
    }
}

fn defaults() -> Include {
    Include { defaults: true, ..Include::default() }
}

fn path_keys(target: &Target) -> Vec<Key> {
    let uids = [
        (STUDY_INSTANCE_UID, target.study.as_ref().map(|uid| uid.as_str())),
        (SERIES_INSTANCE_UID, target.series.as_ref().map(|uid| uid.as_str())),
    ];
    let key = |(tag, uid): (Tag, Option<&str>)| {
        Some(Key { tag, vr: Vr::UI, matching: Matching::Single(uid?.to_owned()) })
    };
    uids.into_iter().filter_map(key).collect()
}

/// Reads an attribute's name: keywords or tags, with dots between them where it stands in sequences (PS3.18 §8.3.4.1).
///
/// Gives each of them with its VR, the outermost sequence first.
fn attribute(name: &str) -> Option<Vec<(Tag, Vr)>> {
    name.split('.').map(query::attribute).collect()
}

/// Undoes percent-encoding, and the `+` that forms write for a space; `None` for what is not so encoded.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        rest = after.strip_prefix(digits)?;
    }
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned()));
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// Reads a number that may be given once.
fn set_once(number: &mut Option<u32>, name: &str, value: &str) -> Result<(), Problem> {
    if number.is_some() {
        return Err(refused(name, "is given twice"));
    }
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused(name, "is a number from 0"));
    }
    // There are fewer rows than a u32 counts, so a greater number asks for the same.
    *number = Some(value.parse().unwrap_or(u32::MAX));
    Ok(())
}

/// Names the parameter where it has the form of a name; anything else may be a value that lost its way.
fn refused(name: &str, what: &str) -> Problem {
    let is_name = name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    Problem::bad_request(if is_name {
        format!("parameter {name} {what}")
    } else {
        format!("a parameter {what}")
    })
}

const NOT_A_KEY: &str = "Attributes that are not indexed at this level were not matched.";
const NOT_RETURNED: &str = "Attributes of a level below are not returned.";

/// More keys than there are attributes to match are no honest search.
const MOST_KEYS: usize = 64;
/// Retrieve AE Title.
pub(super) const RETRIEVE_AE_TITLE: Tag = Tag(0x0008, 0x0054);
const TIMEZONE_OFFSET: Tag = Tag(0x0008, 0x0201);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

/// Reads any bytes as the query of a search URL.
pub fn fuzz_qido(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    for level in [QueryRetrieveLevel::Study, QueryRetrieveLevel::Series, QueryRetrieveLevel::Image] {
        if let Ok(search) = parse(level, &Target::default(), query, |_| Support::Match) {
            assert!(search.query.keys.len() <= MOST_KEYS && search.query.level == level);
        }
    }
}
