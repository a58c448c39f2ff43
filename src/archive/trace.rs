//! Where instances came from and where they went.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::{AeTitle, DestinationName, PeerName, RuleName, limits};
use rusqlite::{Connection, OptionalExtension, Row, params};
use telemetry::Door;
use time::OffsetDateTime;

use crate::clock::{moment, moment_or_none};
use crate::files::Files;
use crate::scope::actual_uid;
use crate::{DeliveryState, Error, StoredInstance, stored};

/// What is known of the instances of a UID; nothing when the UID is not known.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every version of every instance, at most [`limits::TRACED`].
    pub instances: Vec<Traced>,
    /// There are more.
    pub is_cut: bool,
}

/// One version of an instance: where it came from and where it went.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The instance.
    pub instance: StoredInstance,
    /// Its version, from 1.
    pub version: u32,
    /// When it came first.
    pub received: OffsetDateTime,
    /// The door it came in by.
    pub door: Door,
    /// The AE title that the sender gave itself.
    pub calling_aet: Option<AeTitle>,
    /// The AE title that the sender called.
    pub called_aet: Option<AeTitle>,
    /// The sender's address.
    pub address: Option<IpAddr>,
    /// The sender, where it was one of the configured peers.
    pub peer: Option<PeerName>,
    /// The rules that decided about it first; `None` when there were none.
    pub rule_set: Option<Arc<LoadedRules>>,
    /// Where it goes and went, in the order in which that was decided.
    pub deliveries: Vec<DeliveryRecord>,
}

/// Rules as they were loaded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRules {
    /// Their version.
    pub version: String,
    /// When they were loaded first.
    pub loaded: OffsetDateTime,
    /// Name and text of each file.
    pub sources: Vec<(String, String)>,
}

/// A delivery in the ledger.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// Where it goes.
    pub destination: DestinationName,
    /// Where it stands.
    pub state: DeliveryState,
    /// The rule that sends it, and that rule's version; `None`: a person did.
    pub rule: Option<(RuleName, String)>,
    /// How often it was tried, since a person last sent it.
    pub attempts: u32,
    /// When it was queued, by rules or a person.
    pub queued: OffsetDateTime,
    /// Retrying: when it is tried again. Leased: when its lease ends. Dead: since when.
    pub due: OffsetDateTime,
    /// When the last attempt ended; delivered: when it was delivered.
    pub done: Option<OffsetDateTime>,
    /// How that ended, in words; empty when it was not tried, as far as is known.
    pub status: String,
    /// SHA-256 of what was delivered last.
    pub sent: Option<[u8; 32]>,
}

/// The keys of the instances of a study, series or instance by its UID, in the order of arrival; of at most so many.
pub(crate) fn instances_of(connection: &Connection, uid: &str, limit: u32) -> Result<Vec<i64>, Error> {
    let uid = actual_uid(connection, uid)?;
    for statement in [OF_STUDY, OF_SERIES, OF_INSTANCE] {
        let mut statement = connection.prepare_cached(statement)?;
        let found = statement.query_map(params![uid, limit], |row| row.get(0))?;
        let found = found.collect::<Result<Vec<i64>, _>>()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Every version of the instances of a UID, with its deliveries.
pub(crate) fn trace(connection: &Connection, files: &Files, uid: &str) -> Result<Trace, Error> {
    let mut tracer = Tracer { connection, files, rule_sets: HashMap::new() };
    let mut trace = Trace::default();
    let some_more = u32::try_from(limits::TRACED).unwrap_or(u32::MAX).saturating_add(1);
    for instance_pk in instances_of(connection, uid, some_more)? {
        let mut versions = connection.prepare_cached(VERSIONS)?;
        let mut versions = versions.query([instance_pk])?;
        while let Some(version) = versions.next()? {
            if trace.instances.len() == limits::TRACED {
                trace.is_cut = true;
                return Ok(trace);
            }
            trace.instances.push(tracer.traced(instance_pk, version.get(0)?, version)?);
        }
    }
    Ok(trace)
}

struct Tracer<'a> {
    connection: &'a Connection,
    files: &'a Files,
    rule_sets: HashMap<i64, Arc<LoadedRules>>,
}

impl Tracer<'_> {
    /// `row` is one of [`VERSIONS`].
    fn traced(&mut self, instance_pk: i64, version: u32, row: &Row<'_>) -> Result<Traced, Error> {
        let title = |at: usize| -> Result<Option<AeTitle>, Error> {
            Ok(AeTitle::parse(&row.get::<_, String>(at)?).ok())
        };
        let peer: String = row.get(6)?;
        let rule_set: Option<i64> = row.get(7)?;
        Ok(Traced {
            instance: stored::version(self.connection, self.files, instance_pk, version)?,
            version,
            received: moment(row.get(1)?),
            door: door(&row.get::<_, String>(2)?)?,
            calling_aet: title(3)?,
            called_aet: title(4)?,
            address: row.get::<_, String>(5)?.parse().ok(),
            peer: (!peer.is_empty()).then(|| PeerName::new(&peer)),
            rule_set: rule_set.map(|pk| self.rule_set(pk)).transpose()?,
            deliveries: self.deliveries(instance_pk, version)?,
        })
    }

    fn rule_set(&mut self, pk: i64) -> Result<Arc<LoadedRules>, Error> {
        if let Some(known) = self.rule_sets.get(&pk) {
            return Ok(known.clone());
        }
        let found: Option<(String, i64, Vec<u8>)> = self
            .connection
            .prepare_cached("SELECT version, loaded, sources FROM rule_set WHERE rule_set_pk = ?1")?
            .query_row([pk], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let (version, loaded, packed) = found.ok_or(Error::Damaged)?;
        let json = zstd::decode_all(packed.as_slice()).map_err(|_| Error::Damaged)?;
        let sources = serde_json::from_slice(&json).map_err(|_| Error::Damaged)?;
        let rules = Arc::new(LoadedRules { version, loaded: moment(loaded), sources });
        self.rule_sets.insert(pk, rules.clone());
        Ok(rules)
    }

    fn deliveries(&self, instance_pk: i64, version: u32) -> Result<Vec<DeliveryRecord>, Error> {
        let read = |row: &Row<'_>| {
            let rule: Option<String> = row.get(2)?;
            let sent: Vec<u8> = row.get(9)?;
            Ok(DeliveryRecord {
                destination: DestinationName::new(&row.get::<_, String>(0)?),
                state: row.get(1)?,
                rule: rule
                    .map(|name| Ok::<_, rusqlite::Error>((RuleName::new(&name), row.get(3)?)))
                    .transpose()?,
                attempts: row.get(4)?,
                queued: moment(row.get(5)?),
                due: moment(row.get(6)?),
                done: moment_or_none(row.get(7)?),
                status: row.get(8)?,
                sent: sent.try_into().ok(),
            })
        };
        let mut statement = self.connection.prepare_cached(DELIVERIES)?;
        let found = statement.query_map(params![instance_pk, version], read)?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

fn door(label: &str) -> Result<Door, Error> {
    [Door::Dimse, Door::Web].into_iter().find(|door| door.label() == label).ok_or(Error::Damaged)
}

pub(crate) const OF_STUDY: &str = "SELECT instance_pk FROM study INDEXED BY study_by_uid
    CROSS JOIN series INDEXED BY series_by_study USING (study_pk)
    CROSS JOIN instance INDEXED BY instance_by_series USING (series_pk)
    WHERE study_instance_uid = ?1 ORDER BY series_pk, instance_pk LIMIT ?2";

pub(crate) const OF_SERIES: &str = "SELECT instance_pk FROM series INDEXED BY series_by_uid
    CROSS JOIN instance INDEXED BY instance_by_series USING (series_pk)
    WHERE series_instance_uid = ?1 ORDER BY series_pk, instance_pk LIMIT ?2";

pub(crate) const OF_INSTANCE: &str = "SELECT instance_pk FROM instance INDEXED BY instance_by_uid
    WHERE sop_instance_uid = ?1 LIMIT ?2";

/// Version 1, and those beyond.
pub(crate) const VERSIONS: &str =
    "SELECT 1 AS version, received, door, calling_aet, called_aet, address, peer, rule_set_pk
    FROM instance WHERE instance_pk = ?1
    UNION ALL SELECT version, received, door, calling_aet, called_aet, address, peer, rule_set_pk
    FROM conflict INDEXED BY conflict_by_version WHERE instance_pk = ?1 ORDER BY version";

pub(crate) const DELIVERIES: &str =
    "SELECT destination.name, state, rule.name, rule.version, attempts, queued, due, done, status, sent
    FROM delivery INDEXED BY delivery_by_version CROSS JOIN destination USING (destination_pk)
    LEFT JOIN rule USING (rule_pk)
    WHERE instance_pk = ?1 AND delivery.version = ?2 ORDER BY delivery_pk";
