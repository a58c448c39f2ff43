use std::time::Duration;

use axum::extract::State;
use axum::response::{Html as HtmlResponse, IntoResponse, Response};
use http::{StatusCode, header};
use pipeline::{CommitmentRecord, Error, Overview, UpstreamSummary};
use time::OffsetDateTime;

use super::format::{Bytes, Count, Span, ago, date, modality, moment};
use super::html::Html;
use super::lanes::Lanes;
use super::reports::reports;
use super::upstreams::upstreams;
use crate::app::App;
use crate::health::{self, Unready};
use crate::{Product, problem};

/// The state of the server for an operator: no patient data, no scripts, no other files.
pub(crate) async fn status(State(app): State<App>) -> Response {
    let ready = health::check(&app).await;
    let (overview, lanes, reports) = match look(&app).await {
        Ok((overview, lanes, reports)) => (Some(overview), lanes, reports),
        Err(error) => {
            tracing::error!(error = %problem::chain(&error), "overview failed");
            (None, Lanes { lanes: Vec::new(), dead_letters: Vec::new() }, Vec::new())
        }
    };
    let code = if overview.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let view = View {
        product: &app.config.product,
        web: match &app.config.public_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}", app.config.listen),
        },
        missing: app.readiness.missing(),
        ready,
        overview,
        lanes,
        reports,
        upstreams: app.pipeline.upstreams(),
        uptime: app.started.elapsed(),
        now: OffsetDateTime::now_utc(),
    };
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (code, headers, HtmlResponse(view.render())).into_response()
}

async fn look(app: &App) -> Result<(Overview, Lanes, Vec<CommitmentRecord>), Error> {
    let overview = app.pipeline.overview().await?;
    let lanes = app.pipeline.lanes().await?;
    let dead_letters = app.pipeline.dead_letters(DEAD_LETTERS).await?;
    let reports = app.pipeline.commitments(DEAD_LETTERS).await?;
    Ok((overview, Lanes { lanes, dead_letters }, reports))
}

/// Dead letters, and reports of each state, that are listed.
const DEAD_LETTERS: u32 = 20;

/// Nothing but the document itself, its style and its icon.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

struct View<'a> {
    product: &'a Product,
    web: String,
    missing: Vec<&'static str>,
    ready: Result<(), Unready>,
    overview: Option<Overview>,
    lanes: Lanes,
    /// Storage commitment reports that are owed.
    reports: Vec<CommitmentRecord>,
    upstreams: Vec<UpstreamSummary>,
    uptime: Duration,
    now: OffsetDateTime,
}

impl View<'_> {
    fn render(&self) -> String {
        let mut html = Html::default();
        html.raw(HEAD).text(&self.product.ae_title).raw("</title><style>").raw(STYLE).raw("</style><body>");
        self.banner(&mut html);
        html.raw("<main>");
        match &self.overview {
            Some(overview) => {
                Self::damage(&mut html, overview);
                self.cards(&mut html, overview);
                self.lanes.destinations(&mut html, self.now);
                self.lanes.dead_letters(&mut html, self.now);
                upstreams(&mut html, &self.upstreams, self.now);
                reports(&mut html, &self.reports, self.now);
                self.studies(&mut html, overview);
                self.conflicts(&mut html, overview);
            }
            None => {
                html.raw("<p class=alarm role=alert>The index cannot be read. The log has the cause.</p>");
            }
        }
        html.raw("</main>");
        self.footer(&mut html);
        html.finish()
    }

    fn banner(&self, html: &mut Html) {
        html.raw("<header><div class=name>")
            .raw(MARK)
            .raw("<h1>")
            .text(&self.product.ae_title)
            .raw("</h1><span>Gantry ");
        html.text(self.product.version).raw("</span></div>");
        match &self.ready {
            Ok(()) if self.overview.as_ref().is_some_and(|overview| self.is_full(overview)) => {
                html.raw("<p class='state bad' role=alert>Disk full: new images are refused</p>")
            }
            Ok(()) => html.raw("<p class='state good'>Ready</p>"),
            Err(reason) => html.raw("<p class='state bad' role=alert>Not ready: ").text(reason).raw("</p>"),
        };
        html.raw("</header>");
    }

    fn damage(html: &mut Html, overview: &Overview) {
        if overview.damaged_files > 0 {
            html.raw("<p class=alarm role=alert>").text(Count(overview.damaged_files));
            html.raw(
                " stored files are missing or damaged: the log names them. Send these instances again.</p>",
            );
        }
    }

    fn cards(&self, html: &mut Html, overview: &Overview) {
        html.raw("<section class=cards aria-label='At a glance'>");
        self.listeners(html);
        html.raw("<div class=card><h2>Archive</h2><dl class=counts>");
        for (name, count) in [
            ("Patients", overview.patients),
            ("Studies", overview.studies),
            ("Series", overview.series),
            ("Instances", overview.instances),
        ] {
            html.raw("<div><dt>").text(name).raw("</dt><dd>").text(Count(count)).raw("</dd></div>");
        }
        html.raw("</dl></div>");
        Self::conflict_count(html, overview);
        self.disk(html, overview);
        html.raw("</section>");
    }

    fn listeners(&self, html: &mut Html) {
        html.raw("<div class=card><h2>Listeners</h2><ul class=listeners>");
        self.listener(html, "dimse", "DICOM");
        html.raw("<code>").text(&self.product.ae_title).raw("@").text(self.product.dimse).raw("</code></li>");
        self.listener(html, "web", "DICOMweb");
        html.raw("<code>").text(&self.web).raw("<wbr><span class=whole>/dicom-web</span></code></li>");
        html.raw("</ul><p class=note>Up for ").text(Span(self.uptime)).raw("</p></div>");
    }

    fn listener(&self, html: &mut Html, part: &str, name: &str) {
        if self.missing.contains(&part) {
            html.raw("<li class=bad><b>").text(name).raw("</b><em>not accepting</em>");
        } else {
            html.raw("<li class=good><b>").text(name).raw("</b><em>accepting</em>");
        }
    }

    fn is_full(&self, overview: &Overview) -> bool {
        overview.free_bytes < self.product.min_free_bytes
    }

    fn disk(&self, html: &mut Html, overview: &Overview) {
        let Overview { free_bytes: free, total_bytes: total, .. } = *overview;
        let is_full = self.is_full(overview);
        html.raw(if is_full {
            "<div class='card full'><h2>Disk</h2>"
        } else {
            "<div class=card><h2>Disk</h2>"
        });
        html.raw("<p class=figure><b>").text(Bytes(free)).raw("</b> free of ").text(Bytes(total)).raw("</p>");
        html.raw("<svg class=bar viewBox='0 0 1000 10' preserveAspectRatio=none aria-hidden=true>");
        html.raw("<rect class=all width=1000 height=10 /><rect class=used height=10 width='");
        html.text(per_mille(total.saturating_sub(free), total)).raw("'/></svg>");
        html.raw("<p class=note>Images ").text(Bytes(overview.bytes)).raw(", index ");
        html.text(Bytes(overview.index_bytes)).raw("</p><p class=note>");
        html.raw(if is_full {
            "New images are refused: less than "
        } else {
            "New images are refused below "
        });
        html.text(Bytes(self.product.min_free_bytes)).raw(" free</p></div>");
    }

    fn conflict_count(html: &mut Html, overview: &Overview) {
        let is_clean = overview.conflicts == 0;
        html.raw(if is_clean { "<div class=card>" } else { "<div class='card attention'>" });
        html.raw("<h2>Conflicts</h2><p class=figure><b>").text(Count(overview.conflicts)).raw("</b></p>");
        html.raw(if is_clean {
            "<p class=note>No instance has come again with other content.</p>"
        } else {
            "<p class=note>Instances that came again with <a href=#conflicts>other content</a></p>"
        });
        if overview.disagreements > 0 {
            html.raw("<p class=note>").text(Count(overview.disagreements));
            html.raw(" instances disagree with earlier ones on their patient, study or series</p>");
        }
        if overview.repaired_files > 0 {
            html.raw("<p class=note>").text(Count(overview.repaired_files));
            html.raw(" lost files came back by sending them again</p>");
        }
        html.raw("</div>");
    }

    fn conflicts(&self, html: &mut Html, overview: &Overview) {
        if overview.latest_conflicts.is_empty() {
            return;
        }
        html.raw("<section id=conflicts><h2>Latest conflicts</h2>");
        html.raw("<p class=note>The first version of an instance is served; the others are kept.</p>");
        html.raw("<div class=scroll><table><thead><tr><th>Received<th class=n>Version");
        html.raw("<th>SOP Instance UID and its Study Instance UID<tbody>");
        for conflict in &overview.latest_conflicts {
            self.when(html, conflict.received);
            html.raw("<td class=n>").text(conflict.version);
            html.raw("<td><code>").text(&conflict.sop_instance).raw("</code><br><code class=soft>");
            html.text(&conflict.study).raw("</code>");
        }
        html.raw("</table></div></section>");
    }

    fn studies(&self, html: &mut Html, overview: &Overview) {
        html.raw("<section><h2>Recent studies</h2>");
        if overview.recent_studies.is_empty() {
            html.raw("<p class=note>Nothing has been received yet. Send a study to <code>");
            html.text(&self.product.ae_title).raw("@").text(self.product.dimse).raw("</code>.</p></section>");
            return;
        }
        html.raw("<div class=scroll><table><thead><tr><th>Received<th>Study date<th>Modalities<th class=n>Series<th class=n>Instances<th>Study Instance UID<tbody>");
        for study in &overview.recent_studies {
            self.when(html, study.received);
            html.raw("<td class=date>").text(date(&study.date)).raw("<td>");
            for code in &study.modalities {
                html.raw("<span class=tag>").text(modality(code)).raw("</span> ");
            }
            html.raw("<td class=n>").text(Count(study.series));
            html.raw("<td class=n>").text(Count(study.instances));
            html.raw("<td><code>").text(&study.study).raw("</code>");
        }
        html.raw("</table></div></section>");
    }

    /// Begins a table row with a moment.
    fn when(&self, html: &mut Html, at: OffsetDateTime) {
        html.raw("<tr><td class=when><time title='").text(moment(at)).raw("'>");
        html.text(ago(self.now, at)).raw("</time>");
    }

    fn footer(&self, html: &mut Html) {
        html.raw("<footer><span>As of ").text(moment(self.now)).raw(", renewed every 30 seconds</span>");
        html.raw("<nav><a href=/readyz>readiness</a> <a href=/metrics>metrics</a></nav></footer>");
    }
}

/// A share in thousandths, for a bar of that width.
fn per_mille(part: u64, whole: u64) -> u128 {
    if whole == 0 { 0 } else { u128::from(part.min(whole)) * 1000 / u128::from(whole) }
}

const HEAD: &str = concat!(
    "<!doctype html><html lang=en><meta charset=utf-8>",
    "<meta name=viewport content='width=device-width, initial-scale=1'>",
    "<meta name=color-scheme content='light dark'><meta http-equiv=refresh content=30>",
    "<link rel=icon href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E",
    "%3Cpath d='M2 15V5a6 4 0 0 1 12 0v10h-3V6a3 2 0 0 0-6 0v9z' fill='%230d9488'/%3E%3C/svg%3E\">",
    "<title>Gantry "
);
/// The arch of the icon, drawn in the colour of the page.
const MARK: &str = concat!(
    "<svg class=mark viewBox='0 0 16 16' aria-hidden=true>",
    "<path d='M2 15V5a6 4 0 0 1 12 0v10h-3V6a3 2 0 0 0-6 0v9z'/></svg>"
);
const STYLE: &str = include_str!("style.css");
