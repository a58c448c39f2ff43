//! A study or series: how many of its instances are where, and what is not there yet.

use std::collections::BTreeMap;

use archive::{DeliveryRecord, DeliveryState, Trace, Traced};

use super::super::format::{Grid, clean, count, wrap};

pub(super) fn table(found: &Trace, uid: &str) -> String {
    let is_study = found.instances.iter().any(|traced| traced.instance.ids.study.as_str() == uid);
    let level = if is_study { "Study" } else { "Series" };
    let number = count(found.instances.len() as u64, "instance", "instances");
    let cut = if found.is_cut { ", the first of more" } else { "" };
    let mut parts = vec![format!("{level} {uid}: {number}{cut}")];
    let destinations = destinations(found);
    if destinations.is_empty() {
        parts.push("  nothing of it was routed anywhere".to_owned());
    } else {
        parts.push(lanes(&destinations));
    }
    parts.extend(late(found));
    if let Some(first) = found.instances.first() {
        parts.push(format!("Why: gantry explain {}", first.instance.ids.sop_instance));
    }
    parts.join("\n\n")
}

/// The deliveries to each destination.
fn destinations(found: &Trace) -> BTreeMap<&str, Vec<&DeliveryRecord>> {
    let mut destinations: BTreeMap<&str, Vec<&DeliveryRecord>> = BTreeMap::new();
    for delivery in found.instances.iter().flat_map(|traced| &traced.deliveries) {
        destinations.entry(delivery.destination.as_str()).or_default().push(delivery);
    }
    destinations
}

fn lanes(destinations: &BTreeMap<&str, Vec<&DeliveryRecord>>) -> String {
    let head = ["destination", "delivered", "verifying", "ready", "leased", "retrying", "dead", "withheld"];
    let mut grid = Grid::new(head);
    for (name, deliveries) in destinations {
        let numbers = STATES
            .map(|state| deliveries.iter().filter(|delivery| delivery.state == state).count().to_string());
        grid.row([(*name).to_owned()].into_iter().chain(numbers));
        let mut rules: BTreeMap<String, usize> = BTreeMap::new();
        for delivery in deliveries {
            let rule = match &delivery.rule {
                Some((rule, _)) => format!("rule \"{}\"", clean(rule.as_str())),
                None => "hand (gantry resend)".to_owned(),
            };
            *rules.entry(rule).or_default() += 1;
        }
        let rules: Vec<String> =
            rules.into_iter().map(|(rule, count)| format!("{count} by {rule}")).collect();
        grid.note(wrap(&rules.join(", "), 4, 4));
    }
    grid.to_string()
}

/// The first of what is not where it should be.
fn late(found: &Trace) -> Option<String> {
    let late: Vec<(&Traced, &DeliveryRecord)> = found
        .instances
        .iter()
        .flat_map(|traced| traced.deliveries.iter().map(move |delivery| (traced, delivery)))
        .filter(|(_, delivery)| is_late(delivery.state))
        .collect();
    if late.is_empty() {
        return None;
    }
    let lines = late.iter().take(SHOWN).map(|(traced, delivery)| {
        let uid = &traced.instance.ids.sop_instance;
        let said = format!("{} to {}: {}", uid, delivery.destination, delivery.state.label());
        match Some(delivery.status.as_str()).filter(|status| !status.is_empty()) {
            Some(status) => wrap(&format!("{said}, {}", clean(status)), 2, 4),
            None => wrap(&said, 2, 4),
        }
    });
    let lines: Vec<String> = lines.collect();
    let more = late.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    Some(format!("Not there yet\n{}{more}", lines.join("\n")))
}

fn is_late(state: DeliveryState) -> bool {
    match state {
        DeliveryState::Ready
        | DeliveryState::Retrying
        | DeliveryState::Leased
        | DeliveryState::Dead
        | DeliveryState::Verifying => true,
        DeliveryState::Delivered | DeliveryState::Withheld => false,
    }
}

/// In the order of the columns.
const STATES: [DeliveryState; 7] = [
    DeliveryState::Delivered,
    DeliveryState::Verifying,
    DeliveryState::Ready,
    DeliveryState::Leased,
    DeliveryState::Retrying,
    DeliveryState::Dead,
    DeliveryState::Withheld,
];

/// What is late, as far as it is listed.
const SHOWN: usize = 20;
