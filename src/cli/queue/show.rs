use archive::LaneSummary;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::format::{Grid, ago, clean, rfc3339, until, wrap};
use crate::config::Config;

/// One object per destination.
pub(super) fn json(lanes: &[LaneSummary]) -> String {
    let lanes = lanes.iter().map(|lane| {
        json!({
            "destination": lane.destination.as_str(),
            "ready": lane.ready,
            "leased": lane.leased,
            "retrying": lane.retrying,
            "dead": lane.dead,
            "delivered": lane.delivered,
            "withheld": lane.withheld,
            "verifying": lane.verifying,
            "oldest": lane.oldest.map(rfc3339),
            "last_error": lane.last_error.as_ref().map(|(reason, at)| json!({ "reason": reason, "at": rfc3339(*at) })),
            "next_probe": lane.circuit_open.map(rfc3339),
        })
    });
    format!("{:#}", Value::Array(lanes.collect()))
}

/// A line of numbers per destination, and below it what is wrong with it.
pub(super) fn table(lanes: &[LaneSummary], config: &Config) -> String {
    if lanes.is_empty() {
        return match config.destinations.is_empty() {
            true => "no destination is configured".to_owned(),
            false => "the server has not run with a destination yet".to_owned(),
        };
    }
    let now = OffsetDateTime::now_utc();
    let mut grid = Grid::new(["destination", "ready", "leased", "retrying", "dead", "delivered", "oldest"]);
    for lane in lanes {
        let numbers = [lane.ready, lane.leased, lane.retrying, lane.dead, lane.delivered];
        let oldest = lane.oldest.map_or_else(|| "-".to_owned(), |queued| ago(queued, now));
        let name = [lane.destination.to_string()];
        grid.row(name.into_iter().chain(numbers.map(|number| number.to_string())).chain([oldest]));
        for note in notes(lane, config, now) {
            grid.note(wrap(&note, 4, 4));
        }
    }
    grid.to_string()
}

fn notes(lane: &LaneSummary, config: &Config, now: OffsetDateTime) -> Vec<String> {
    let is_configured = config.destinations.iter().any(|known| known.name == lane.destination);
    let waits = lane.ready + lane.retrying + lane.leased + lane.verifying > 0;
    let gone = (!is_configured && waits).then(|| {
        format!(
            "[destination.{}] is no longer in the configuration: what waits for it stays until it is back",
            lane.destination
        )
    });
    let down = lane.circuit_open.map(|probe| format!("down; next try {}", until(probe, now)));
    let failed = lane.last_error.as_ref();
    let failed = failed.map(|(reason, at)| format!("last error {} ago: {}", ago(*at, now), clean(reason)));
    let verifying = (lane.verifying > 0)
        .then(|| format!("{} stored there, to be delivered once storage is committed to", lane.verifying));
    let withheld = (lane.withheld > 0)
        .then(|| format!("{} withheld: they came from where they would have gone", lane.withheld));
    let dead = (lane.dead > 0).then(|| {
        format!("dead letters stay until `gantry queue retry --dead --destination {}`", lane.destination)
    });
    [gone, down, failed, verifying, dead, withheld].into_iter().flatten().collect()
}
