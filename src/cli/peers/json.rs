use archive::peers::{Called, Caller, Implementation, PeerRecord};
use model::{AeTitle, sop, syntax};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::format::rfc3339;
use super::Known;
use super::show::in_order;

/// One object per peer.
pub(super) fn list(known: &[Known<'_>]) -> String {
    format!("{:#}", Value::Array(known.iter().map(object).collect()))
}

/// The object of one peer.
pub(super) fn one(known: &Known<'_>) -> String {
    format!("{:#}", object(known))
}

fn object(known: &Known<'_>) -> Value {
    let record = known.record;
    json!({
        "peer": known.key,
        "configured": known.configured.is_some(),
        "as_called": record.and_then(|PeerRecord { called, .. }| called.as_ref()).map(called),
        "as_caller": record.and_then(|PeerRecord { caller, .. }| caller.as_ref()).map(caller),
    })
}

fn called(called: &Called) -> Value {
    let told = |told: &Option<(OffsetDateTime, String)>| {
        told.as_ref().map(|(at, words)| json!({ "at": rfc3339(*at), "reason": words }))
    };
    let accepted = called.accepted.as_ref().map(|accepted| {
        json!({
            "at": rfc3339(accepted.at),
            "tls": accepted.tls,
            "implementation": implementation(&accepted.implementation),
            "max_pdu_bytes": accepted.max_pdu_bytes,
            "operations": accepted.operations,
            "knows_user": accepted.knows_user,
        })
    });
    let contexts = in_order(called).into_iter().map(|((class, uid), taken)| {
        json!({
            "sop_class": class.as_str(),
            "sop_class_name": sop::name(class.as_str()),
            "transfer_syntax": uid.as_str(),
            "transfer_syntax_name": syntax::name(uid.as_str()),
            "accepted": taken.refusal.is_none(),
            "reason": taken.refusal,
            "learned": rfc3339(taken.learned),
        })
    });
    json!({
        "ae_title": called.manner.aet.as_str(),
        "address": called.manner.address,
        "calling": called.manner.calling.as_str(),
        "identity": called.manner.identity,
        "accepted": accepted,
        "rejected": told(&called.rejected),
        "failed": told(&called.failed),
        "contexts": contexts.collect::<Vec<_>>(),
    })
}

fn caller(caller: &Caller) -> Value {
    json!({
        "ae_title": caller.aet.as_ref().map(AeTitle::as_str),
        "address": caller.address.to_string(),
        "at": rfc3339(caller.at),
        "implementation": implementation(&caller.implementation),
        "contexts_proposed": caller.proposed,
        "contexts_accepted": caller.accepted,
    })
}

fn implementation(implementation: &Implementation) -> Value {
    json!({ "class_uid": implementation.class_uid, "version_name": implementation.version_name })
}
