use std::time::Duration;

use pipeline::{DeadLetter, LaneSummary};
use time::OffsetDateTime;

use super::format::{Count, Span, ago, moment};
use super::html::Html;

/// What goes where: a row for each destination, and what was given up.
pub(super) struct Lanes {
    pub(super) lanes: Vec<LaneSummary>,
    /// The latest of them.
    pub(super) dead_letters: Vec<DeadLetter>,
}

impl Lanes {
    /// The section of destinations; nothing when none is configured.
    pub(super) fn destinations(&self, html: &mut Html, now: OffsetDateTime) {
        if self.lanes.is_empty() {
            return;
        }
        html.raw("<section id=destinations><h2>Destinations</h2><div class=scroll><table><thead><tr>");
        html.raw("<th>Destination<th>State<th class=n>Waiting<th class=n>Retrying<th class=n>Dead");
        html.raw("<th class=n>Delivered<th>Oldest<th>Last failure<tbody>");
        for lane in &self.lanes {
            html.raw("<tr><td><b>").text(&lane.destination).raw("</b><td>");
            state(html, lane, now);
            for count in [lane.ready + lane.leased, lane.retrying] {
                html.raw("<td class=n>").text(Count(count));
            }
            if lane.dead > 0 {
                html.raw("<td class='n bad'><a href=#dead-letters>").text(Count(lane.dead)).raw("</a>");
            } else {
                html.raw("<td class=n>0");
            }
            html.raw("<td class=n>").text(Count(lane.delivered)).raw("<td class=when>");
            if let Some(oldest) = lane.oldest {
                html.text(age(now, oldest));
            }
            html.raw("<td>");
            if let Some((reason, at)) = &lane.last_error {
                html.text(reason).raw(" <span class=soft>").text(ago(now, *at)).raw("</span>");
            }
        }
        html.raw("</table></div></section>");
    }

    /// The section of dead letters; nothing when there are none.
    pub(super) fn dead_letters(&self, html: &mut Html, now: OffsetDateTime) {
        if self.dead_letters.is_empty() {
            return;
        }
        html.raw("<section id=dead-letters><h2>Latest dead letters</h2>");
        html.raw("<p class=note>Kept here and not tried again by itself. <code>gantry explain UID</code> tells more, ");
        html.raw("<code>gantry queue retry --dead</code> tries again.</p>");
        html.raw(
            "<div class=scroll><table><thead><tr><th>Since<th>Destination<th class=n>Attempts<th>Reason",
        );
        html.raw("<th>SOP Instance UID and its Study Instance UID<tbody>");
        for letter in &self.dead_letters {
            html.raw("<tr><td class=when><time title='").text(moment(letter.died)).raw("'>");
            html.text(ago(now, letter.died)).raw("</time><td>").text(&letter.destination);
            html.raw("<td class=n>").text(letter.attempts).raw("<td>").text(&letter.reason);
            html.raw("<td><code>").text(&letter.ids.sop_instance);
            html.raw("</code><br><code class=soft>").text(&letter.ids.study).raw("</code>");
        }
        html.raw("</table></div></section>");
    }
}

fn state(html: &mut Html, lane: &LaneSummary, now: OffsetDateTime) {
    match lane.circuit_open {
        Some(probe) => {
            html.raw("<span class='word bad'>down</span> <span class=soft>");
            match Duration::try_from(probe - now) {
                Ok(left) if left.as_secs() > 0 => html.raw("next try in ").text(Span(left)),
                Ok(_) | Err(_) => html.raw("trying again"),
            };
            html.raw("</span>");
        }
        None if lane.leased > 0 => {
            html.raw("<span class='word good'>delivering</span>");
        }
        None if lane.ready + lane.retrying > 0 => {
            html.raw("<span class=word>waiting</span>");
        }
        None => {
            html.raw("<span class='word good'>idle</span>");
        }
    }
    if lane.verifying > 0 {
        html.raw(" <span class=soft>").text(Count(lane.verifying)).raw(" to be committed to</span>");
    }
}

/// How long something has waited.
fn age(now: OffsetDateTime, since: OffsetDateTime) -> String {
    Span(Duration::try_from(now - since).unwrap_or_default()).to_string()
}
