//! Names → numbers: destinations, rules, and the rules that were loaded together. Each is kept for good.

use model::{DestinationName, RuleName};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::now_microseconds;
use crate::metadata::pack_plain;
use crate::{DestinationId, Error, RuleId, RuleSetId};

pub(crate) fn destinations(
    connection: &Connection,
    names: &[DestinationName],
) -> Result<Vec<DestinationId>, Error> {
    names
        .iter()
        .map(|name| {
            connection
                .prepare_cached("INSERT INTO destination (name) VALUES (?1) ON CONFLICT (name) DO NOTHING")?
                .execute([name.as_str()])?;
            destination(connection, name)?.ok_or(Error::Damaged)
        })
        .collect()
}

pub(crate) fn destination(
    connection: &Connection,
    name: &DestinationName,
) -> Result<Option<DestinationId>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT destination_pk FROM destination WHERE name = ?1")?;
    Ok(statement.query_row([name.as_str()], |row| Ok(DestinationId(row.get(0)?))).optional()?)
}

/// Rules that are known by their version keep their sources and the time when they were first loaded.
pub(crate) fn rules(
    connection: &Connection,
    version: &str,
    sources: &[(String, String)],
    rules: &[(RuleName, String)],
) -> Result<(RuleSetId, Vec<RuleId>), Error> {
    let packed = pack_plain(serde_json::json!(sources).to_string().as_bytes());
    connection
        .prepare_cached(
            "INSERT INTO rule_set (version, loaded, sources) VALUES (?1, ?2, ?3) ON CONFLICT (version) DO NOTHING",
        )?
        .execute(params![version, now_microseconds(), packed])?;
    let rule_set = connection
        .prepare_cached("SELECT rule_set_pk FROM rule_set WHERE version = ?1")?
        .query_row([version], |row| Ok(RuleSetId(row.get(0)?)))?;
    let ids =
        rules.iter().map(|(name, version)| rule(connection, name, version)).collect::<Result<_, _>>()?;
    Ok((rule_set, ids))
}

fn rule(connection: &Connection, name: &RuleName, version: &str) -> Result<RuleId, Error> {
    connection
        .prepare_cached(
            "INSERT INTO rule (name, version) VALUES (?1, ?2) ON CONFLICT (name, version) DO NOTHING",
        )?
        .execute([name.as_str(), version])?;
    let mut statement =
        connection.prepare_cached("SELECT rule_pk FROM rule WHERE name = ?1 AND version = ?2")?;
    Ok(statement.query_row([name.as_str(), version], |row| Ok(RuleId(row.get(0)?)))?)
}
