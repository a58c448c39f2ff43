use pipeline::UpstreamSummary;
use time::OffsetDateTime;

use super::format::{ago, moment};
use super::html::Html;

/// The section of upstream archives; nothing when none is configured.
pub(super) fn upstreams(html: &mut Html, all: &[UpstreamSummary], now: OffsetDateTime) {
    if all.is_empty() {
        return;
    }
    html.raw("<section id=upstreams><h2>Upstream archives</h2><div class=scroll><table><thead><tr>");
    html.raw("<th>Archive<th>State<th>Used for<th>Last answer<th>Last failure<tbody>");
    for one in all {
        html.raw("<tr><td><b>").text(&one.name).raw("</b><td>");
        html.raw(match (one.is_down, one.answered) {
            (true, _) => "<span class='word bad'>silent</span>",
            (false, Some(_)) => "<span class='word good'>answers</span>",
            (false, None) => "<span class=word>not asked yet</span>",
        });
        html.raw("<td>").text(match (one.finds, one.fetches) {
            (true, true) => "queries, retrieves",
            (true, false) => "queries",
            (false, true) => "retrieves",
            (false, false) => "nothing",
        });
        html.raw("<td class=when>");
        if let Some(at) = one.answered {
            html.raw("<time title='").text(moment(at)).raw("'>").text(ago(now, at)).raw("</time>");
        }
        html.raw("<td>");
        if let Some((reason, at)) = &one.failure {
            html.text(reason).raw(" <span class=soft>").text(ago(now, *at)).raw("</span>");
        }
    }
    html.raw("</table></div></section>");
}

#[cfg(test)]
mod tests {
    use model::UpstreamName;

    use super::*;

    #[test]
    fn each_archive_is_shown_with_what_it_failed_at() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let one = |name: &str, is_down: bool, answered, failure: Option<&str>| UpstreamSummary {
            name: UpstreamName::new(name),
            finds: true,
            fetches: !is_down,
            is_down,
            answered,
            failure: failure.map(|reason| (reason.to_owned(), now)),
        };
        let mut html = Html::default();
        upstreams(&mut html, &[], now);
        assert_eq!(html.finish(), "");
        let mut html = Html::default();
        let all = [one("old", true, None, Some("nothing <listens>")), one("new", false, Some(now), None)];
        upstreams(&mut html, &all, now);
        let text = html.finish();
        let part =
            |text: &str, name: &str| text.split("<tr>").find(|row| row.contains(name)).unwrap().to_owned();
        let (old, new) = (part(&text, "old"), part(&text, "new"));
        assert!(old.contains("silent") && old.contains("nothing &lt;listens&gt;"), "{old}");
        assert!(new.contains("answers") && new.contains("queries, retrieves"), "{new}");
    }
}
