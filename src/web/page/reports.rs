use pipeline::{CommitmentRecord, CommitmentState};
use time::OffsetDateTime;

use super::format::{Count, ago, moment};
use super::html::Html;

/// The section of storage commitment reports that are owed; nothing when there are none.
pub(super) fn reports(html: &mut Html, records: &[CommitmentRecord], now: OffsetDateTime) {
    if records.is_empty() {
        return;
    }
    html.raw("<section id=reports><h2>Storage commitment reports</h2>");
    html.raw("<p class=note>Owed to who asked, and not sent yet or given up. ");
    html.raw(
        "<code>gantry queue commitments</code> tells more, with <code>--retry</code> sends them now.</p>",
    );
    html.raw("<div class=scroll><table><thead><tr><th>Asked<th>By<th>State<th class=n>Instances");
    html.raw("<th class=n>Attempts<th>Reason<th>Transaction UID<tbody>");
    for record in records {
        html.raw("<tr><td class=when><time title='").text(moment(record.requested)).raw("'>");
        html.text(ago(now, record.requested)).raw("</time><td><b>");
        match &record.aet {
            Some(title) => html.text(title),
            None => html.raw("-"),
        };
        html.raw("</b><td>");
        match record.state {
            CommitmentState::GivenUp => html.raw("<span class='word bad'>given up</span>"),
            CommitmentState::Waiting | CommitmentState::Reported => {
                html.raw("<span class=word>waiting</span>")
            }
        };
        html.raw("<td class=n>").text(Count(record.instances));
        html.raw("<td class=n>").text(record.attempts).raw("<td>").text(&record.status);
        html.raw("<td><code>").text(&record.transaction).raw("</code>");
    }
    html.raw("</table></div></section>");
}
