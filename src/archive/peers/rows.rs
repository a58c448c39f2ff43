//! The rows of what is remembered.

use std::collections::{BTreeMap, HashMap};

use model::{AeTitle, SopClassUid, TransferSyntaxUid, limits};
use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::{Accepted, Called, Caller, Implementation, Manner, PeerKey, PeerRecord, Taken};
use crate::Error;
use crate::clock::{microseconds, moment, moment_or_none};

type Contexts = HashMap<(SopClassUid, TransferSyntaxUid), Taken>;

/// All of them, by name. A row that says what cannot be is passed over: it will be learned again.
pub(crate) fn records(connection: &Connection) -> Result<Vec<PeerRecord>, Error> {
    let mut found: BTreeMap<PeerKey, PeerRecord> = BTreeMap::new();
    let mut contexts = contexts(connection)?;
    let mut statement = connection.prepare_cached(CALLED)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let peer = PeerKey(row.get(0)?);
        if let Some(manner) = manner(row)? {
            let called = called(row, manner, contexts.remove(&peer).unwrap_or_default())?;
            found.entry(peer.clone()).or_insert_with(|| nobody(peer)).called = Some(called);
        }
    }
    let mut statement = connection.prepare_cached(CALLERS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let peer = PeerKey(row.get(0)?);
        if let Some(caller) = caller(row)? {
            found.entry(peer.clone()).or_insert_with(|| nobody(peer)).caller = Some(caller);
        }
    }
    Ok(found.into_values().collect())
}

pub(super) fn write(connection: &Connection, records: &[PeerRecord]) -> Result<(), Error> {
    for record in records {
        if let Some(called) = &record.called {
            write_called(connection, &record.peer, called)?;
        }
        if let Some(caller) = &record.caller {
            write_caller(connection, &record.peer, caller)?;
        }
    }
    connection.prepare_cached(PRUNE)?.execute([limits::STRANGERS])?;
    Ok(())
}

/// Forgets a peer; whether anything was known of it. A running server looks for those that are forgotten.
pub(crate) fn forget(connection: &Connection, peer: &str) -> Result<bool, Error> {
    let mut known = 0;
    for statement in FORGET {
        known += connection.prepare_cached(statement)?.execute([peer])?;
    }
    connection.prepare_cached("INSERT OR IGNORE INTO peer_forgotten (peer) VALUES (?1)")?.execute([peer])?;
    Ok(known > 0)
}

pub(super) fn forgotten(connection: &Connection) -> Result<Vec<PeerKey>, Error> {
    let mut statement = connection.prepare_cached("SELECT peer FROM peer_forgotten")?;
    let peers = statement.query_map([], |row| Ok(PeerKey(row.get(0)?)))?;
    Ok(peers.collect::<Result<_, _>>()?)
}

pub(super) fn have_forgotten(connection: &Connection, peers: &[PeerKey]) -> Result<(), Error> {
    for peer in peers {
        for statement in FORGET.iter().chain(&["DELETE FROM peer_forgotten WHERE peer = ?1"]) {
            connection.prepare_cached(statement)?.execute([peer.as_str()])?;
        }
    }
    Ok(())
}

/// A start has nothing in mind that could be forgotten.
pub(crate) fn resume(connection: &Connection) -> Result<(), Error> {
    connection.execute("DELETE FROM peer_forgotten", [])?;
    Ok(())
}

fn nobody(peer: PeerKey) -> PeerRecord {
    PeerRecord { peer, called: None, caller: None }
}

fn contexts(connection: &Connection) -> Result<HashMap<PeerKey, Contexts>, Error> {
    let mut found: HashMap<PeerKey, Contexts> = HashMap::new();
    let mut statement = connection.prepare_cached(CONTEXTS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let class = SopClassUid::lenient(&row.get::<_, String>(1)?);
        let syntax = TransferSyntaxUid::lenient(&row.get::<_, String>(2)?);
        if let Some(kind) = class.zip(syntax) {
            let taken = Taken { refusal: row.get(3)?, learned: moment(row.get(4)?) };
            found.entry(PeerKey(row.get(0)?)).or_default().insert(kind, taken);
        }
    }
    Ok(found)
}

fn manner(row: &Row<'_>) -> Result<Option<Manner>, Error> {
    let title =
        |at| -> Result<Option<AeTitle>, Error> { Ok(AeTitle::parse(&row.get::<_, String>(at)?).ok()) };
    let (Some(aet), Some(calling)) = (title(1)?, title(3)?) else { return Ok(None) };
    Ok(Some(Manner { aet, address: row.get(2)?, calling, identity: row.get(4)? }))
}

fn called(row: &Row<'_>, manner: Manner, contexts: Contexts) -> Result<Called, Error> {
    let accepted = match moment_or_none(row.get(5)?) {
        Some(at) => Some(Accepted {
            at,
            tls: row.get(6)?,
            implementation: Implementation { class_uid: row.get(7)?, version_name: row.get(8)? },
            max_pdu_bytes: row.get(9)?,
            operations: row.get(10)?,
            knows_user: row.get(11)?,
        }),
        None => None,
    };
    let told = |at: usize| -> Result<Option<(OffsetDateTime, String)>, Error> {
        let words = row.get(at + 1)?;
        Ok(moment_or_none(row.get(at)?).map(|at| (at, words)))
    };
    Ok(Called { manner, accepted, rejected: told(12)?, failed: told(14)?, contexts })
}

fn caller(row: &Row<'_>) -> Result<Option<Caller>, Error> {
    let Ok(address) = row.get::<_, String>(2)?.parse() else { return Ok(None) };
    Ok(Some(Caller {
        aet: AeTitle::parse(&row.get::<_, String>(1)?).ok(),
        address,
        at: moment(row.get(3)?),
        implementation: Implementation { class_uid: row.get(4)?, version_name: row.get(5)? },
        proposed: row.get(6)?,
        accepted: row.get(7)?,
    }))
}

fn write_called(connection: &Connection, peer: &PeerKey, called: &Called) -> Result<(), Error> {
    let Called { manner, accepted, rejected, failed, contexts } = called;
    let accepted = accepted.as_ref();
    let told = |told: &Option<(OffsetDateTime, String)>| match told {
        Some((at, words)) => (microseconds(*at), words.clone()),
        None => (0, String::new()),
    };
    let ((rejected, rejection), (failed, failure)) = (told(rejected), told(failed));
    connection.prepare_cached(WRITE_CALLED)?.execute(params![
        peer.as_str(),
        manner.aet.as_str(),
        manner.address,
        manner.calling.as_str(),
        manner.identity,
        accepted.map_or(0, |accepted| microseconds(accepted.at)),
        accepted.and_then(|accepted| accepted.tls.as_deref()),
        accepted.and_then(|accepted| accepted.implementation.class_uid.as_deref()),
        accepted.and_then(|accepted| accepted.implementation.version_name.as_deref()),
        accepted.map_or(0, |accepted| accepted.max_pdu_bytes),
        accepted.map_or(0, |accepted| accepted.operations),
        accepted.is_some_and(|accepted| accepted.knows_user),
        rejected,
        rejection,
        failed,
        failure,
    ])?;
    connection.prepare_cached(CLEAR_CONTEXTS)?.execute([peer.as_str()])?;
    let mut write = connection.prepare_cached(WRITE_CONTEXT)?;
    for ((class, syntax), taken) in contexts {
        let learned = microseconds(taken.learned);
        write.execute(params![peer.as_str(), class.as_str(), syntax.as_str(), taken.refusal, learned])?;
    }
    Ok(())
}

fn write_caller(connection: &Connection, peer: &PeerKey, caller: &Caller) -> Result<(), Error> {
    connection.prepare_cached(WRITE_CALLER)?.execute(params![
        peer.as_str(),
        caller.aet.as_ref().map_or("", AeTitle::as_str),
        caller.address.to_string(),
        microseconds(caller.at),
        caller.implementation.class_uid,
        caller.implementation.version_name,
        caller.proposed,
        caller.accepted,
    ])?;
    Ok(())
}

const CALLED: &str = "SELECT peer, aet, address, calling, identity, accepted, tls, implementation_class_uid,
    implementation_version_name, max_pdu_bytes, operations, knows_user, rejected, rejection, failed, failure FROM peer_called";

const CONTEXTS: &str = "SELECT peer, sop_class_uid, transfer_syntax_uid, refusal, learned FROM peer_context";

const CALLERS: &str =
    "SELECT peer, aet, address, called, implementation_class_uid, implementation_version_name,
    proposed, accepted FROM peer_caller";

const WRITE_CALLED: &str = "INSERT OR REPLACE INTO peer_called (peer, aet, address, calling, identity, accepted, tls,
    implementation_class_uid, implementation_version_name, max_pdu_bytes, operations, knows_user, rejected, rejection, failed, failure)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

const CLEAR_CONTEXTS: &str = "DELETE FROM peer_context WHERE peer = ?1";

const WRITE_CONTEXT: &str =
    "INSERT INTO peer_context (peer, sop_class_uid, transfer_syntax_uid, refusal, learned)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const WRITE_CALLER: &str =
    "INSERT OR REPLACE INTO peer_caller (peer, aet, address, called, implementation_class_uid,
    implementation_version_name, proposed, accepted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Of strangers, those that have not called for longest.
const PRUNE: &str = "DELETE FROM peer_caller WHERE peer IN (
    SELECT peer FROM peer_caller INDEXED BY peer_caller_by_time WHERE instr(peer, '@') > 0
    ORDER BY called DESC LIMIT -1 OFFSET ?1)";

const FORGET: [&str; 3] =
    ["DELETE FROM peer_called WHERE peer = ?1", CLEAR_CONTEXTS, "DELETE FROM peer_caller WHERE peer = ?1"];
