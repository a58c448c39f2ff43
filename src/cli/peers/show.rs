use archive::peers::{Accepted, Called, Caller, Implementation, Taken};
use model::{AeTitle, SopClassUid, TransferSyntaxUid, sop, syntax};
use time::OffsetDateTime;

use super::super::format::{Grid, ago, clean, count, moment, wrap};
use super::Known;

/// A line per peer, and below it why there was no association, if that was the last.
pub(super) fn list(known: &[Known<'_>]) -> String {
    if known.is_empty() {
        return "no peer is configured, and none has called".to_owned();
    }
    let now = OffsetDateTime::now_utc();
    let mut grid = Grid::new(["peer", "takes", "refuses", "last accepted", "last called us", "software"]);
    for one in known {
        let called = one.record.and_then(|record| record.called.as_ref());
        let caller = one.record.and_then(|record| record.caller.as_ref());
        let accepted = called.and_then(|called| called.accepted.as_ref());
        let number = |is_taken: bool| match called {
            Some(called) => called
                .contexts
                .values()
                .filter(|taken| taken.refusal.is_none() == is_taken)
                .count()
                .to_string(),
            None => "-".to_owned(),
        };
        let since = |at: Option<OffsetDateTime>| at.map_or_else(|| "-".to_owned(), |at| ago(at, now));
        let said = accepted.map(|accepted| &accepted.implementation);
        let software = said.or(caller.map(|caller| &caller.implementation)).and_then(name);
        grid.row([
            clean(one.key),
            number(true),
            number(false),
            since(accepted.map(|accepted| accepted.at)),
            since(caller.map(|caller| caller.at)),
            software.unwrap_or_else(|| "-".to_owned()),
        ]);
        for trouble in called.into_iter().flat_map(|called| troubles(called, now)) {
            grid.note(wrap(&trouble, 4, 4));
        }
        if one.configured.is_none() && called.is_some() {
            grid.note(wrap("it is no longer in the configuration", 4, 4));
        }
    }
    grid.to_string()
}

/// All that is known of one peer.
pub(super) fn one(known: &Known<'_>) -> String {
    let now = OffsetDateTime::now_utc();
    let mut lines = vec![clean(known.key)];
    let record = known.record;
    if record.is_none() {
        lines.push("  nothing is remembered: it was not called yet, and has not called".to_owned());
    }
    if let Some(called) = record.and_then(|record| record.called.as_ref()) {
        lines.extend(as_called(called, now));
        lines.extend(contexts(called, now));
        if called.contexts.values().any(|taken| taken.refusal.is_some()) {
            let hint = format!(
                "What it refuses it is not asked for again for a day where it takes the same in another form; \
                 `gantry peer forget {}` has it asked at once",
                known.key
            );
            lines.push(wrap(&hint, 2, 2));
        }
    }
    if let Some(caller) = record.and_then(|record| record.caller.as_ref()) {
        lines.push(wrap(&as_caller(caller, now), 2, 4));
    }
    lines.join("\n")
}

/// What it said to each SOP class in each transfer syntax, by name.
pub(super) fn in_order(called: &Called) -> Vec<(&(SopClassUid, TransferSyntaxUid), &Taken)> {
    let mut contexts: Vec<_> = called.contexts.iter().collect();
    contexts.sort_by_key(|((class, syntax), _)| (class_name(class), syntax.as_str().to_owned()));
    contexts
}

fn as_called(called: &Called, now: OffsetDateTime) -> Vec<String> {
    let manner = &called.manner;
    let identity = manner.identity.as_deref().filter(|identity| !identity.is_empty());
    let user =
        identity.map_or_else(String::new, |identity| format!(", with the identity of {}", clean(identity)));
    let address = clean(&manner.address);
    let how = format!("called as {} at {address}, by {}{user}", manner.aet, manner.calling);
    let mut lines = vec![wrap(&how, 2, 4)];
    let accepted = called.accepted.as_ref();
    lines.extend(accepted.map(|accepted| wrap(&as_accepted(accepted, manner.identity.is_some(), now), 2, 4)));
    if let Some((at, words)) = &called.rejected {
        lines.push(wrap(&format!("rejected an association {} ago: {}", ago(*at, now), clean(words)), 2, 4));
    }
    if let Some((at, words)) = &called.failed {
        lines.push(wrap(&format!("no association {} ago: {}", ago(*at, now), clean(words)), 2, 4));
    }
    lines
}

fn as_accepted(accepted: &Accepted, shows_user: bool, now: OffsetDateTime) -> String {
    let pdu = match accepted.max_pdu_bytes {
        0 => "PDUs of any length".to_owned(),
        bytes => format!("PDUs of up to {bytes} bytes"),
    };
    let operations = match accepted.operations {
        0 => "any number of operations at a time".to_owned(),
        number => format!("{} at a time", count(number.into(), "operation", "operations")),
    };
    let tls = accepted.tls.as_deref().map_or_else(|| "no TLS".to_owned(), clean);
    let user = match (shows_user, accepted.knows_user) {
        (false, _) => "",
        (true, true) => "; it looked at the user identity",
        (true, false) => "; it does not say that it looked at the user identity",
    };
    format!(
        "accepted an association {} ago ({}): {}; {pdu}, {operations}, {tls}{user}",
        ago(accepted.at, now),
        moment(accepted.at),
        software(&accepted.implementation),
    )
}

fn as_caller(caller: &Caller, now: OffsetDateTime) -> String {
    let title = caller.aet.as_ref().map_or("(no AE title)", AeTitle::as_str);
    format!(
        "called us {} ago as {title} from {}: {}; {} of {} taken",
        ago(caller.at, now),
        caller.address,
        software(&caller.implementation),
        caller.accepted,
        count(caller.proposed.into(), "presentation context", "presentation contexts"),
    )
}

/// By SOP class: what is taken, and what is not.
fn contexts(called: &Called, now: OffsetDateTime) -> Vec<String> {
    let mut lines = Vec::new();
    let mut last = None;
    for ((class, uid), taken) in in_order(called) {
        if last != Some(class) {
            lines.push(format!("  {}", class_name(class)));
            last = Some(class);
        }
        let name = syntax::name(uid.as_str()).map_or_else(|| clean(uid.as_str()), str::to_owned);
        let learned = ago(taken.learned, now);
        let line = match &taken.refusal {
            None => format!("takes {name} ({learned} ago)"),
            Some(reason) => format!("refuses {name}: {} ({learned} ago)", clean(reason)),
        };
        lines.push(wrap(&line, 4, 6));
    }
    lines
}

/// Why there was no association since the last one.
fn troubles(called: &Called, now: OffsetDateTime) -> Vec<String> {
    let accepted = called.accepted.as_ref().map(|accepted| accepted.at);
    let since = |told: &Option<(OffsetDateTime, String)>| told.clone().filter(|(at, _)| Some(*at) > accepted);
    let rejected = since(&called.rejected)
        .map(|(at, words)| format!("rejected an association {} ago: {}", ago(at, now), clean(&words)));
    let failed = since(&called.failed)
        .map(|(at, words)| format!("no association {} ago: {}", ago(at, now), clean(&words)));
    rejected.into_iter().chain(failed).collect()
}

fn software(implementation: &Implementation) -> String {
    let uid = implementation.class_uid.as_deref().map(clean);
    match (name(implementation), uid) {
        (Some(name), Some(uid)) => format!("software {name} ({uid})"),
        (Some(name), None) | (None, Some(name)) => format!("software {name}"),
        (None, None) => "it does not say which software it is".to_owned(),
    }
}

fn name(implementation: &Implementation) -> Option<String> {
    implementation.version_name.as_deref().map(clean).filter(|name| !name.is_empty())
}

fn class_name(class: &SopClassUid) -> String {
    sop::name(class.as_str()).map_or_else(|| clean(class.as_str()), str::to_owned)
}
