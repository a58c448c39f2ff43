//! SQL functions of ours: what matching needs that SQL cannot say.

use std::collections::HashSet;

use model::query::{Zone, matches_wildcard};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::Error;
use crate::names::Alternatives;

/// Makes the functions known to a connection.
pub(crate) fn register(connection: &Connection) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_UTF8;
    connection.create_scalar_function("name_matches", 2, flags, name_matches)?;
    connection.create_scalar_function("has_one_of", 2, flags, has_one_of)?;
    connection.create_scalar_function("has_one_like", 2, flags, has_one_like)?;
    connection.create_scalar_function("date_in_zone", 4, flags, |context| in_zone(context, Part::Date))?;
    connection.create_scalar_function("time_in_zone", 4, flags, |context| in_zone(context, Part::Time))?;
    Ok(())
}

/// `name_matches(column, alternatives)`: whether a person name meets one of the alternatives, as [`Alternatives`] are written.
fn name_matches(context: &mut Context<'_>) -> rusqlite::Result<bool> {
    let alternatives = context.get_or_create_aux(1, |value| -> Result<Alternatives, Failure> {
        Ok(Alternatives::read(value.as_str()?)?)
    })?;
    let name = context.get_raw(0).as_str()?;
    Ok(alternatives.are_met_by(name))
}

/// `has_one_of(column, list)`: whether one of the values in a column is in a list, which is JSON and read once a statement.
fn has_one_of(context: &mut Context<'_>) -> rusqlite::Result<bool> {
    let list = context.get_or_create_aux(1, |value| -> Result<HashSet<String>, Failure> {
        Ok(serde_json::from_str(value.as_str()?)?)
    })?;
    let column = context.get_raw(0).as_str()?;
    Ok(!column.is_empty() && column.split('\\').any(|value| list.contains(value)))
}

/// `has_one_like(column, pattern)`: whether one of the values in a column meets a pattern with wildcards.
fn has_one_like(context: &mut Context<'_>) -> rusqlite::Result<bool> {
    let (column, pattern) = (context.get_raw(0).as_str()?, context.get_raw(1).as_str()?);
    Ok(!column.is_empty() && column.split('\\').any(|value| matches_wildcard(pattern, value)))
}

/// What is asked of a moment.
#[derive(Clone, Copy)]
enum Part {
    Date,
    Time,
}

/// `date_in_zone(date, time, offset, minutes)`: the day of a moment in the zone so many minutes east of UTC, when its date and time are
/// of a zone with that offset; as it stands where that is not known. `time_in_zone`: its time.
fn in_zone(context: &mut Context<'_>, part: Part) -> rusqlite::Result<String> {
    let text = |at: usize| context.get_raw(at).as_str();
    let (date, time, offset) = (text(0)?, text(1)?, text(2)?);
    let zone = i16::try_from(context.get_raw(3).as_i64()?).ok().and_then(Zone::from_minutes);
    let local = zone.and_then(|zone| zone.local(date, time, offset));
    Ok(match (part, local) {
        (Part::Date, Some((date, _))) => date,
        (Part::Time, Some((_, time))) => time,
        (Part::Date, None) => date.to_owned(),
        (Part::Time, None) => time.to_owned(),
    })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
