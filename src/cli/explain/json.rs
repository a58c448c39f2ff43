//! Accounts for programs.

use archive::{DeliveryRecord, Traced};
use rules::{Explained, Step, Verdict};
use serde_json::{Value, json};

use super::super::format::rfc3339;
use super::account::Account;
use super::{Subject, origin};

pub(super) fn accounts(accounts: &[Account]) -> String {
    format!("{:#}", json!({ "instances": accounts.iter().map(account).collect::<Vec<_>>(), "cut": false }))
}

/// Of a study or series: where its instances went, without the rules.
pub(super) fn many(found: &archive::Trace) -> String {
    let instances: Vec<Value> = found.instances.iter().map(stored).collect();
    format!("{:#}", json!({ "instances": instances, "cut": found.is_cut }))
}

fn account(account: &Account) -> Value {
    let mut object = match &account.subject {
        Subject::File(path) => {
            json!({ "file": path.display().to_string(), "sop_instance_uid": account.ids.sop_instance.as_str() })
        }
        Subject::Stored(traced) => stored(traced),
    };
    let ruling = &account.ruling;
    object["rule_set"] = json!({ "version": ruling.version, "note": ruling.note });
    match &ruling.explanation {
        Ok(explanation) => object["rules"] = explanation.rules.iter().map(rule).collect(),
        Err(reason) => object["no_rules_because"] = json!(reason),
    }
    object
}

fn stored(traced: &Traced) -> Value {
    let ids = &traced.instance.ids;
    json!({
        "sop_instance_uid": ids.sop_instance.as_str(),
        "series_instance_uid": ids.series.as_str(),
        "study_instance_uid": ids.study.as_str(),
        "sop_class_uid": ids.sop_class.as_str(),
        "transfer_syntax_uid": traced.instance.transfer_syntax.as_str(),
        "version": traced.version,
        "received": rfc3339(traced.received),
        "from": {
            "service": origin::service(traced.door),
            "aet": traced.calling_aet.as_ref().map(|title| title.as_str()),
            "ip": traced.address.map(|address| address.to_string()),
            "called": traced.called_aet.as_ref().map(|title| title.as_str()),
            "peer": traced.peer.as_ref().map(|name| name.as_str()),
        },
        "deliveries": traced.deliveries.iter().map(delivery).collect::<Vec<_>>(),
    })
}

fn rule(explained: &Explained) -> Value {
    let (verdict, by) = match explained.verdict {
        Verdict::Matched => ("matched", None),
        Verdict::NotMatched => ("not_matched", None),
        Verdict::GivenUp => ("given_up", None),
        Verdict::OtherwiseTaken => ("otherwise_taken", None),
        Verdict::OtherwiseNotTaken { matched } => ("otherwise_not_taken", Some(matched)),
        Verdict::NotReached { stopped_by } => ("not_reached", Some(stopped_by)),
    };
    json!({
        "number": explained.rule + 1,
        "name": explained.name.as_str(),
        "file": explained.file,
        "line": explained.line,
        "verdict": verdict,
        "because_of_rule": by.map(|index| index + 1),
        "sends": explained.sends.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "steps": explained.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    let references = step.references.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "depth": step.depth,
        "text": step.text,
        "value": step.value,
        "references": references.collect::<Vec<_>>(),
    })
}

fn delivery(delivery: &DeliveryRecord) -> Value {
    json!({
        "destination": delivery.destination.as_str(),
        "state": delivery.state.label(),
        "rule": delivery.rule.as_ref().map(|(name, version)| json!({ "name": name.as_str(), "version": version })),
        "attempts": delivery.attempts,
        "queued": rfc3339(delivery.queued),
        "due": rfc3339(delivery.due),
        "done": delivery.done.map(rfc3339),
        "status": delivery.status,
        "sent_sha256": delivery.sent.as_ref().map(|sent| super::text::hex(sent)),
    })
}
