//! Which key a query starts from. Fixed here, so that plans do not hang on statistics that a young index does not
//! have.

use std::collections::BTreeSet;

use model::QueryRetrieveLevel::{self, Image, Patient, Series, Study};
use model::Tag;
use model::query::{Key, Matching, Query, days_after};
use rusqlite::Connection;

use crate::Error;
use crate::attribute::{Attribute, Kind, Terms, find};
use crate::below::{TOLD_BY_STUDY, exists, level_below};
use crate::condition::{
    Condition, OnTerms, json, literal_prefix, nothing, on_column, on_moments, on_terms, on_texts, sounds_of,
    text,
};
use crate::items::{self, one_item};
use crate::page::Cursor;
use crate::probe::Probe;
use crate::scope::actual_uid;
use crate::start::{Start, indexed, item_owner, owner, table, through_owners, through_owners_of_items, walk};
use crate::stream::{Days, Stream};
use crate::zoned::Zoned;

/// The keys of a query as SQL, and where to start.
pub(crate) struct Plan {
    pub(crate) start: Start,
    /// What is gone through before the table of the start, as something to select from: keys, or a merged stream.
    pub(crate) source: Option<Condition>,
    pub(crate) conditions: Vec<Condition>,
}

/// Chooses the start that leaves the fewest rows to look at, for the page after a cursor.
pub(crate) fn plan(connection: &Connection, query: &Query, after: Option<&Cursor>) -> Result<Plan, Error> {
    let level = query.level;
    let days = Days::of(query, after.is_some());
    let mut plan = Planning::new(Probe::new(connection, query), level, after, days);
    let mut below = Vec::new();
    for key in &query.keys {
        match level_below(level, key).filter(|_| query.relational) {
            Some(of) => below.push((of, key)),
            None => plan.key(query, key)?,
        }
    }
    plan.below(query, &below)?;
    Ok(plan.finish())
}

struct Planning<'a> {
    probe: Probe<'a>,
    level: QueryRetrieveLevel,
    /// An upper bound of the date is given by the page.
    after: Option<&'a Cursor>,
    days: Days,
    conditions: Vec<Condition>,
    best: Offer,
}

/// A start that a key offers.
struct Offer {
    /// The lower, the fewer rows are left to look at.
    rank: u32,
    start: Start,
    by: By,
}

/// What a start goes by.
enum By {
    /// Nothing but its order.
    Itself,
    /// Its index, by the condition at this place.
    Index(usize),
    /// The value of the condition at this place, which has the keys to go through.
    Keys(usize),
    /// A stream; where it is exact, the condition at this place has nothing to add.
    Stream(Stream, usize),
}

impl<'a> Planning<'a> {
    /// Without a key yet.
    fn new(probe: Probe<'a>, level: QueryRetrieveLevel, after: Option<&'a Cursor>, days: Days) -> Self {
        let best = Offer { rank: u32::MAX, start: walk(level), by: By::Itself };
        Self { probe, level, after, days, conditions: Vec::new(), best }
    }

    /// One key, of the level or above it.
    fn key(&mut self, query: &Query, key: &Key) -> Result<(), Error> {
        let level = self.level;
        if let Matching::Item(inner) = &key.matching {
            return self.items(key.tag, inner);
        }
        let Some(attribute) = find(level, key.tag) else { return Ok(()) };
        let key = resolved(self.probe.connection, attribute, &key.matching)?;
        if let Some(zone) = query.zone
            && let Some(zoned) = Zoned::of(attribute, level, zone)
        {
            return self.in_zone(attribute, &zoned, &key);
        }
        if let Matching::Moments { time, from, to } = &key {
            return self.moments(attribute, *time, from.as_ref(), to.as_ref());
        }
        if query.fuzzy
            && let Kind::Name(_) = attribute.kind
            && self.sounds(attribute, &key)?
        {
            return Ok(());
        }
        match attribute.kind {
            Kind::Count => Ok(()),
            Kind::Constant(value) if key.is_met_by(value) => Ok(()),
            Kind::Constant(_) => {
                self.conditions.push(nothing());
                Ok(())
            }
            Kind::Name(_) | Kind::Terms(_) => self.terms(attribute, &key),
            Kind::Date if self.is_bound_by_page(attribute) => self.column(attribute, &without_end(key)),
            Kind::Text
            | Kind::Texts
            | Kind::Number
            | Kind::Decimal
            | Kind::Date
            | Kind::Time
            | Kind::Uid
            | Kind::Own => self.column(attribute, &key),
        }
    }

    /// Keys of the levels below. Where one of them leaves few rows there, the query may start from what is above these; else a study
    /// that says itself what it has of an attribute is found by that.
    fn below(&mut self, query: &Query, keys: &[(QueryRetrieveLevel, &Key)]) -> Result<(), Error> {
        let Some(lowest) = keys.iter().map(|(of, _)| *of).max() else { return Ok(()) };
        let Self { probe, level, .. } = *self;
        let mut below = Vec::new();
        for (_, key) in keys {
            let mut own = Planning::new(probe, Image, None, Days::default());
            own.key(query, key)?;
            below.push(own);
        }
        below.sort_by_key(|own| own.best.rank);
        let mut few = None;
        // Only lists of UIDs and a Modality may turn out to leave many.
        for Planning { best, conditions, .. } in below.iter() {
            if let By::Index(at) | By::Keys(at) = best.by {
                few = probe.few_above(level, best.start.level(), &conditions[at])?;
            }
            if few.is_some() {
                break;
            }
        }
        match few {
            Some(rows) => self.choose(key_of(level), rows, walk(level).through_chosen()),
            None if level == Study => self.told_by_study(keys)?,
            None => {}
        }
        let conditions = below.into_iter().flat_map(|own| own.conditions).collect();
        self.conditions.push(exists(level, lowest, conditions));
        Ok(())
    }

    /// What keys of series and instances come to on what their studies say of them.
    fn told_by_study(&mut self, keys: &[(QueryRetrieveLevel, &Key)]) -> Result<(), Error> {
        for (below, own) in TOLD_BY_STUDY {
            let key = keys.iter().map(|(_, key)| *key).find(|key| key.tag == below);
            let (Some(key), Some(attribute), Some(own)) = (key, find(Image, below), find(Study, own)) else {
                continue;
            };
            let matching = resolved(self.probe.connection, attribute, &key.matching)?;
            // A study says nothing of what has no value.
            if matches!(matching, Matching::Single(_) | Matching::UidList(_) | Matching::Wildcard(_)) {
                self.terms(own, &matching)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Plan {
        let Self { mut conditions, best: Offer { start, by, .. }, days, after, .. } = self;
        let mut source = None;
        match by {
            By::Itself | By::Index(_) => {}
            // The loop itself sees to that condition.
            By::Keys(at) => source = Some(Condition::new("json_each(?)", conditions.remove(at).values)),
            By::Stream(stream, at) => {
                if stream.is_exact {
                    conditions.remove(at);
                }
                if stream.is_merged() {
                    source = Some(stream.merged(&days, after));
                } else {
                    conditions.splice(0..0, stream.conditions(&days));
                }
            }
        }
        Plan { start, source, conditions }
    }

    fn column(&mut self, attribute: &Attribute, matching: &Matching) -> Result<(), Error> {
        let table = table(attribute, self.level);
        let column = format!("{table}.{}", attribute.column);
        if let Matching::AnyOf(parts) = matching {
            return self.any_of(attribute, table, &column, parts);
        }
        let condition = within_index(attribute, table, on_column(attribute, &column, matching));
        if let Some((rank, start)) = self.by_index(attribute, matching, table, &condition)? {
            self.offer(Offer { rank, start, by: By::Index(self.conditions.len()) });
            self.conditions.push(condition);
        } else {
            self.conditions.push(on_column(attribute, &column, matching));
        }
        Ok(())
    }

    /// Multiple value matching. Few rows are had from the index of each value.
    fn any_of(
        &mut self,
        attribute: &Attribute,
        table: &str,
        column: &str,
        parts: &[Matching],
    ) -> Result<(), Error> {
        let is_range = |part: &Matching| match part {
            Matching::Wildcard(pattern) => !literal_prefix(pattern).is_empty(),
            // Patients without Patient ID are not in its index.
            Matching::Empty => table != "patient",
            Matching::Single(_) | Matching::UidList(_) | Matching::Range { .. } => true,
            Matching::Moments { .. } | Matching::Item(_) | Matching::AnyOf(_) => false,
        };
        if let Some((_, start)) = indexed(attribute.column, table)
            && parts.iter().all(is_range)
        {
            let of_part = |part| within_index(attribute, table, on_column(attribute, column, part));
            let alternatives: Vec<Condition> = parts.iter().map(of_part).collect();
            if let Some(rows) = self.probe.few_rows(table, &alternatives)? {
                self.choose(&format!("{table}.{table}_pk"), rows, start.through_chosen());
                return Ok(());
            }
        }
        if attribute.kind == Kind::Date {
            let (from, to) = hull(parts);
            self.days(attribute, from, to)?;
        }
        // The plus keeps SQLite from an index for each value: it would have to sort all that it finds there.
        let parts = parts.iter().map(|part| on_column(attribute, &format!("+{column}"), part));
        self.conditions.extend(Condition::any(parts.collect()));
        Ok(())
    }

    fn by_index(
        &self,
        attribute: &Attribute,
        matching: &Matching,
        table: &str,
        condition: &Condition,
    ) -> Result<Option<(u32, Start)>, Error> {
        let is_exact = matches!(matching, Matching::Single(_) | Matching::UidList(_));
        let Some((rank, start)) = indexed(attribute.column, table) else { return Ok(None) };
        let is_unique_key = attribute.kind == Kind::Own;
        let is_usable = match matching {
            Matching::Single(_) if attribute.column == "study_date" && self.level == Study => false,
            Matching::Single(_) if self.level > Study && MANY_MAY_HAVE.contains(&attribute.column) => {
                self.probe.are_few(table, condition)?
            }
            Matching::Single(_) => true,
            Matching::UidList(_) if is_unique_key => true,
            // Patients without Patient ID are not in its index.
            Matching::Empty if table == "patient" => false,
            Matching::Empty if self.level == Study && attribute.column != "study_date" => true,
            Matching::UidList(_) | Matching::Empty => self.probe.are_few(table, condition)?,
            Matching::Wildcard(pattern) => {
                !literal_prefix(pattern).is_empty() && self.probe.are_few(table, condition)?
            }
            // The others are never of one column.
            Matching::AnyOf(_) | Matching::Moments { .. } | Matching::Item(_) => false,
            // Studies come by date anyway.
            Matching::Range { .. } => {
                (self.level > Study || attribute.column != "study_date")
                    && self.probe.are_few(table, condition)?
            }
        };
        Ok(is_usable.then_some((if is_exact { rank } else { rank.max(RANK_OF_FEW) }, start)))
    }

    /// Days bound what is looked at, the times with them decide.
    fn moments(
        &mut self,
        date: &Attribute,
        time: Tag,
        from: Option<&(String, String)>,
        to: Option<&(String, String)>,
    ) -> Result<(), Error> {
        let Some(time) = find(self.level, time) else { return Ok(()) };
        let day = |end: Option<&(String, String)>| end.map(|(day, _)| day.clone());
        self.days(date, day(from), day(to))?;
        let table = table(date, self.level);
        let column = |attribute: &Attribute| format!("{table}.{}", attribute.column);
        self.conditions.push(on_moments(&column(date), &column(time), from, to));
        Ok(())
    }

    /// Bounds what is looked at by days, but where the page does that.
    fn days(&mut self, date: &Attribute, from: Option<String>, to: Option<String>) -> Result<(), Error> {
        let to = to.filter(|_| !self.is_bound_by_page(date));
        if from.is_none() && to.is_none() {
            return Ok(());
        }
        self.column(date, &Matching::Range { from, to })
    }

    /// Whether the page that is continued gives an upper bound of an attribute.
    fn is_bound_by_page(&self, attribute: &Attribute) -> bool {
        self.after.is_some() && self.level == Study && attribute.column == "study_date"
    }

    /// A key on a date or time that is meant in another zone than what is stored. What is stored some days off may be meant.
    fn in_zone(&mut self, attribute: &Attribute, zoned: &Zoned, key: &Matching) -> Result<(), Error> {
        let earliest = |day: &String| days_after(day, -MOST_DAYS_OFF);
        let latest = |day: &String| days_after(day, MOST_DAYS_OFF);
        if attribute.kind == Kind::Date {
            match key {
                Matching::Single(day) => self.days(attribute, earliest(day), latest(day))?,
                Matching::Range { from, to } => {
                    self.days(attribute, from.as_ref().and_then(earliest), to.as_ref().and_then(latest))?;
                }
                Matching::Moments { from, to, .. } => {
                    let day = |end: &Option<(String, String)>| end.as_ref().map(|(day, _)| day.clone());
                    let (from, to) = (day(from), day(to));
                    self.days(attribute, from.as_ref().and_then(earliest), to.as_ref().and_then(latest))?;
                }
                Matching::UidList(_)
                | Matching::Wildcard(_)
                | Matching::AnyOf(_)
                | Matching::Empty
                | Matching::Item(_) => {}
            }
        }
        self.conditions.push(zoned.condition(attribute, key));
        Ok(())
    }

    /// Fuzzy semantic matching of a name; whether the key can be matched so.
    fn sounds(&mut self, attribute: &Attribute, key: &Matching) -> Result<bool, Error> {
        let (Some(terms), Some(alternatives)) = (attribute.terms(self.level), sounds_of(key)) else {
            return Ok(false);
        };
        let owner = owner(terms);
        let in_terms = |sound: &Condition| {
            let sql = format!(
                "EXISTS (SELECT 1 FROM term INDEXED BY term_by_owner WHERE kind = {} AND owner = {owner} AND {})",
                terms.sound_code(),
                sound.sql
            );
            Condition::new(sql, sound.values.clone())
        };
        if let [sounds] = &alternatives[..] {
            for sound in sounds {
                let alternative = std::slice::from_ref(sound);
                match self.probe.few_owners("term", terms.sound_code(), alternative)? {
                    Some(owners) => self.choose(owner, owners, through_owners(terms)),
                    None => {
                        let stream = sound.equal_text().filter(|_| Terms::OF_STUDIES.contains(&terms));
                        let stream = stream.map(|value| Stream::of_value(terms.sound_code(), value));
                        self.stream(stream, in_terms(sound))?;
                    }
                }
            }
            return Ok(true);
        }
        let firsts: Vec<Condition> =
            alternatives.iter().filter_map(|sounds| sounds.first().cloned()).collect();
        if let Some(owners) = self.probe.few_owners("term", terms.sound_code(), &firsts)? {
            self.choose(owner, owners, through_owners(terms));
            if alternatives.iter().all(|sounds| sounds.len() == 1) {
                return Ok(true);
            }
        }
        let alternatives =
            alternatives.iter().filter_map(|sounds| Condition::all(sounds.iter().map(in_terms)));
        self.conditions.extend(Condition::any(alternatives.collect()));
        Ok(true)
    }

    fn terms(&mut self, attribute: &Attribute, matching: &Matching) -> Result<(), Error> {
        let Some(terms) = attribute.terms(self.level) else { return Ok(()) };
        let Some(OnTerms { alternatives, or_none, by_group }) = on_terms(attribute, matching) else {
            return Ok(());
        };
        let owner = owner(terms);
        let within_days = |condition: &Condition| self.within_days(terms, matching, condition);
        let owners = match or_none {
            true => None,
            false => {
                let alternatives: Vec<Condition> = alternatives.iter().map(within_days).collect();
                self.probe.few_owners("term", terms.code(), &alternatives)?
            }
        };
        if let Some(owners) = owners {
            self.choose(owner, owners, through_owners(terms));
        } else {
            let of_owner = format!(
                "SELECT 1 FROM term INDEXED BY term_by_owner WHERE kind = {} AND owner = {owner}",
                terms.code()
            );
            let exists = Condition::any(alternatives)
                .map(|found| Condition::new(format!("EXISTS ({of_owner} AND {})", found.sql), found.values));
            let none = or_none.then(|| Condition::new(format!("NOT EXISTS ({of_owner})"), []));
            let is_name = matches!(attribute.kind, Kind::Name(_));
            let stream = match matching {
                _ if or_none => None,
                key if is_name => Stream::of_name(terms, key),
                Matching::Single(value) => Some(Stream::of_value(terms.code(), value)),
                Matching::UidList(values) => Stream::of_values(terms.code(), values),
                Matching::Wildcard(_) | Matching::Range { .. } | Matching::Moments { .. } => None,
                Matching::Item(_) | Matching::Empty | Matching::AnyOf(_) => None,
            };
            if let Some(condition) = Condition::any(exists.into_iter().chain(none).collect()) {
                self.stream(stream, condition)?;
            }
        }
        if let Some(by_group) = by_group {
            let column = format!("{}.{}", table(attribute, self.level), attribute.column);
            self.conditions.push(Condition::new(format!("name_matches({column}, ?)"), [by_group]));
        }
        Ok(())
    }

    /// Sequence matching: one item of the owner must meet all.
    fn items(&mut self, sequence: Tag, keys: &[Key]) -> Result<(), Error> {
        let level = self.level;
        let wanted =
            keys.iter().filter_map(|key| Some((items::find(level, sequence, key.tag)?, &key.matching)));
        let wanted: Vec<_> = wanted.collect();
        let Some((attribute, _)) = wanted.first() else { return Ok(()) };
        let (owner, owner_level) = item_owner(attribute, level);
        let mut is_decided = false;
        for (attribute, matching) in &wanted {
            let (alternatives, false) = on_texts("value", matching) else { continue };
            if let Some(owners) = self.probe.few_owners("item", attribute.code(owner_level), &alternatives)? {
                self.choose(owner, owners, through_owners_of_items(owner_level));
                is_decided = wanted.len() == 1;
            }
        }
        if !is_decided {
            let wanted = wanted.iter().map(|(attribute, matching)| (attribute.code(owner_level), *matching));
            self.conditions.extend(one_item(owner, &wanted.collect::<Vec<_>>()));
        }
        Ok(())
    }

    /// Has few rows chosen by their keys, and offers to start from them.
    fn choose(&mut self, key: &str, rows: BTreeSet<i64>, start: Start) {
        let by = By::Keys(self.conditions.len());
        let sql = format!("{key} IN (SELECT value FROM json_each(?))");
        self.conditions.push(Condition::new(sql, [json(rows.into_iter())]));
        self.offer(Offer { rank: RANK_OF_FEW, start, by });
    }

    /// Adds a condition, and offers to start from the stream of what may meet it.
    fn stream(&mut self, stream: Option<Stream>, condition: Condition) -> Result<(), Error> {
        let at = self.conditions.len();
        self.conditions.push(condition);
        let Some(stream) = stream else { return Ok(()) };
        let Some(start) = stream.start(self.level).filter(|_| !self.probe.is_settled) else { return Ok(()) };
        let count = self.probe.length(&stream, &self.days, COUNTED)?;
        // The worth tells long ones apart; nobody counts those to their end.
        let worth = if count < COUNTED { 0 } else { stream.worth() };
        let rank =
            RANK_OF_STREAMS.saturating_add(u32::try_from(count).unwrap_or(u32::MAX)).saturating_add(worth);
        self.offer(Offer { rank, start, by: By::Stream(stream, at) });
        Ok(())
    }

    /// Of terms of studies with given values those of the days that are asked for: their index has them together.
    fn within_days(&self, terms: Terms, matching: &Matching, condition: &Condition) -> Condition {
        let is_of_values = matches!(matching, Matching::Single(_) | Matching::UidList(_));
        if self.level != Study || !is_of_values || !Terms::OF_STUDIES.contains(&terms) {
            return condition.clone();
        }
        let end = |day: &Option<String>, comparison: &str| {
            Some(Condition::new(format!("study_date {comparison} ?"), [text(day.as_ref()?)]))
        };
        let ends = end(&self.days.from, ">=").into_iter().chain(end(&self.days.to, "<="));
        Condition::all(std::iter::once(condition.clone()).chain(ends)).unwrap_or_else(|| condition.clone())
    }

    fn offer(&mut self, offer: Offer) {
        if offer.rank < self.best.rank {
            self.best = offer;
        }
    }
}

/// The key of the rows of a level.
fn key_of(level: QueryRetrieveLevel) -> &'static str {
    match level {
        Patient => "patient.patient_pk",
        Study => "study.study_pk",
        Series => "series.series_pk",
        Image => "instance.instance_pk",
    }
}

/// A condition as the index of its column can be told it: that of patients has none without Patient ID.
fn within_index(attribute: &Attribute, table: &str, condition: Condition) -> Condition {
    if (attribute.column, table) != ("patient_id", "patient") {
        return condition;
    }
    let Condition { sql, values } = condition;
    Condition::new(format!("patient.patient_id <> '' AND {sql}"), values)
}

/// The days between which all of several keys on a date are; an end is `None` where it is open.
fn hull(parts: &[Matching]) -> (Option<String>, Option<String>) {
    let ends = |part: &Matching| match part {
        Matching::Single(day) => Some((Some(day.clone()), Some(day.clone()))),
        Matching::UidList(days) => Some((days.iter().min().cloned(), days.iter().max().cloned())),
        Matching::Range { from, to } => Some((from.clone(), to.clone())),
        Matching::Wildcard(_) | Matching::Moments { .. } | Matching::Item(_) => None,
        Matching::Empty | Matching::AnyOf(_) => None,
    };
    let Some(ends) = parts.iter().map(ends).collect::<Option<Vec<_>>>() else { return (None, None) };
    let (from, to): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
    // Of no day at all is less than any; so the least is open where one is.
    let from = from.into_iter().min().flatten();
    let to = to.into_iter().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    (from, to)
}

/// UIDs may be given by the path component of an odd one.
fn resolved(connection: &Connection, attribute: &Attribute, matching: &Matching) -> Result<Matching, Error> {
    if attribute.kind != Kind::Own {
        return Ok(matching.clone());
    }
    Ok(match matching {
        Matching::Single(uid) => Matching::Single(actual_uid(connection, uid)?),
        Matching::UidList(uids) => {
            Matching::UidList(uids.iter().map(|uid| actual_uid(connection, uid)).collect::<Result<_, _>>()?)
        }
        Matching::Wildcard(_)
        | Matching::Range { .. }
        | Matching::Moments { .. }
        | Matching::Item(_)
        | Matching::Empty
        | Matching::AnyOf(_) => matching.clone(),
    })
}

/// What the last page ended with is an earlier end than that of the range, and two ends on one column would hide it
/// from the index.
fn without_end(matching: Matching) -> Matching {
    match matching {
        Matching::Range { from, to: _ } => Matching::Range { from, to: None },
        Matching::Single(_)
        | Matching::UidList(_)
        | Matching::Wildcard(_)
        | Matching::Moments { .. }
        | Matching::Item(_)
        | Matching::Empty
        | Matching::AnyOf(_) => matching,
    }
}

/// Columns of studies of which any number may have the same value. The rows below those studies must be sorted.
const MANY_MAY_HAVE: [&str; 4] = ["accession_number", "patient_birth_date", "study_date", "study_id"];

/// Between the indexes that leave a handful and those that may leave many, see [`indexed`].
const RANK_OF_FEW: u32 = 5;

/// What is written down as a day may be so many days off elsewhere: offsets from UTC differ by up to 26 hours.
pub(crate) const MOST_DAYS_OFF: i64 = 2;

/// Streams are worth less than every index but that of the date, which they have themselves.
const RANK_OF_STREAMS: u32 = 10;

/// Rows of a stream that are counted to tell which is shorter.
const COUNTED: usize = 1000;
