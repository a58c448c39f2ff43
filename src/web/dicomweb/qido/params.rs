#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::borrow::Cow;

use model::query::{self, Include, Key, Matching, Query};
use model::{QueryRetrieveLevel, Tag, Vr};
use percent_encoding::percent_decode_str;
use pipeline::Support;

use crate::dicomweb::target::Target;
use crate::problem::Problem;

/// What a URL asks for, and what of it is not done.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) query: Query,
    /// Texts for Warning: 299 headers.
    pub(super) warnings: Vec<&'static str>,
}

/// Reads the path and the query of a search URL.
///
/// `support` tells what the index can do with an attribute; a well-formed attribute that it cannot match is passed over with a warning.
///
/// # Errors
/// 400, naming the parameter but not its value, for a parameter that is no attribute or has no sense.
///
/// PS3.18 §10.6.1.2, §8.3.4.
pub(super) fn parse(
    level: QueryRetrieveLevel,
    target: &Target,
    query: &str,
    support: impl Fn(Tag) -> Support,
) -> Result<Search, Problem> {
    let mut reader =
        Reader { level, support, keys: path_keys(target), include: defaults(), warnings: Vec::new() };
    let (mut limit, mut offset) = (None, None);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decode(name)
            .ok_or_else(|| Problem::bad_request("a parameter's name is not percent-encoded UTF-8"))?;
        let value = decode(value).ok_or_else(|| refused(&name, "is not percent-encoded UTF-8"))?;
        match &*name {
            "limit" => set_once(&mut limit, &name, &value)?,
            "offset" => set_once(&mut offset, &name, &value)?,
            "includefield" => reader.include(&value)?,
            "fuzzymatching" => reader.flag(&name, &value, NO_FUZZY_MATCHING)?,
            "emptyvaluematching" => reader.flag(&name, &value, NO_EMPTY_VALUE_MATCHING)?,
            "multiplevaluematching" => reader.flag(&name, &value, NO_MULTIPLE_VALUE_MATCHING)?,
            // Negotiated elsewhere, or of no consequence: answers are UTF-8 (PS3.18 §8.3.3).
            "accept" | "charset" => {}
            _ => reader.key(&name, &value)?,
        }
    }
    let Reader { keys, include, warnings, .. } = reader;
    let query = Query { level, keys, include, limit, offset: offset.unwrap_or(0) };
    Ok(Search { query, warnings })
}

struct Reader<F> {
    level: QueryRetrieveLevel,
    support: F,
    keys: Vec<Key>,
    include: Include,
    warnings: Vec<&'static str>,
}

impl<F: Fn(Tag) -> Support> Reader<F> {
    fn key(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let unknown = || refused(name, "is neither a parameter of this resource nor an attribute");
        let (tag, vr, is_nested) = attribute(name).ok_or_else(unknown)?;
        if is_nested || (self.support)(tag) != Support::Match {
            self.warn(NOT_A_KEY);
            return Ok(());
        }
        self.include.tags.insert(tag);
        let matching = Matching::parse(vr, value);
        let matching = matching
            .map_err(|_| refused(name, &format!("has a value that is not valid for matching as {vr}")))?;
        let Some(matching) = matching else { return Ok(()) };
        self.keys.push(Key { tag, vr, matching });
        if self.keys.len() > MOST_KEYS { Err(refused(name, "is one key too many")) } else { Ok(()) }
    }

    fn include(&mut self, value: &str) -> Result<(), Problem> {
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "all" {
                self.include.all = true;
                continue;
            }
            let unknown = || refused("includefield", "names something that is not an attribute");
            let (tag, _, _) = attribute(name).ok_or_else(unknown)?;
            if self.level != QueryRetrieveLevel::Image && (self.support)(tag) == Support::No {
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

    /// A switch for something that is not done: taken when off, answered with a warning when on.
    fn flag(&mut self, name: &str, value: &str, warning: &'static str) -> Result<(), Problem> {
        match value {
            "true" => self.warn(warning),
            "false" => {}
            _ => return Err(refused(name, "is true or false")),
        }
        Ok(())
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
/// Gives the first of them, its VR, and whether others follow.
fn attribute(name: &str) -> Option<(Tag, Vr, bool)> {
    let mut names = name.split('.').map(query::attribute);
    let (tag, vr) = names.next()??;
    let inner = names.collect::<Option<Vec<_>>>()?;
    Some((tag, vr, !inner.is_empty()))
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

const NO_FUZZY_MATCHING: &str =
    "The fuzzymatching parameter is not supported. Only literal matching has been performed.";
const NO_EMPTY_VALUE_MATCHING: &str = "The emptyvaluematching parameter is not supported.";
const NO_MULTIPLE_VALUE_MATCHING: &str = "The multiplevaluematching parameter is not supported.";
const NOT_A_KEY: &str = "Attributes that are not indexed at this level were not matched.";
const NOT_RETURNED: &str = "Attributes that are not indexed at this level are not returned.";

/// More keys than there are attributes to match are no honest search.
const MOST_KEYS: usize = 64;
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
