use std::vec;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use model::Scope;
use pipeline::{Cursor, Error, Page, Pipeline, StoredInstance};

use super::accept::{Accept, Offer};
use super::multipart::{self, Part, Parts};
use super::paths;
use super::target::Target;
use super::urls::Urls;
use crate::app::App;
use crate::problem::Problem;

/// Stored objects of a study, a series, or one (PS3.18 §10.4).
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(paths::STUDY, get(retrieve))
        .route(paths::ONE_SERIES, get(retrieve))
        .route(paths::INSTANCE, get(retrieve))
}

// deviation: PS3.18 §8.7.3: no Accept, `*/*` and `application/dicom` without transfer-syntax give the stored bytes instead of Explicit VR
// Little Endian, because objects are not transcoded yet and refusing them would keep them from every client.
async fn retrieve(
    State(app): State<App>,
    target: Target,
    accept: Accept,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = target.scope()?;
    let page = app.pipeline.instances(&scope, None).await?;
    match (&scope.instance, page.rows.as_slice()) {
        (Some(_), [instance]) => retrieve_one(&app, instance, &accept, &headers).await,
        (Some(_) | None, _) => retrieve_all(&app, scope, page, &accept).await,
    }
}

async fn retrieve_one(
    app: &App,
    instance: &StoredInstance,
    accept: &Accept,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let syntax = Some(&instance.transfer_syntax);
    let offers = [Offer::single(DICOM, syntax), Offer::multipart(DICOM, syntax)];
    let offer = accept.choose(&offers).ok_or_else(|| refusal(instance))?;
    let urls = app.urls();
    if offer.is_multipart() {
        let page = Page { rows: vec![instance.clone()], next: None };
        let scope = Scope {
            study: instance.ids.study.clone(),
            series: Some(instance.ids.series.clone()),
            instance: Some(instance.ids.sop_instance.clone()),
        };
        let parts = Instances::new(app.pipeline.clone(), urls, scope, page);
        return Ok(([VARY], multipart::response(DICOM, parts)).into_response());
    }
    let tag = entity_tag(instance);
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| names_tag(known, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.as_str()), VARY]).into_response());
    }
    let mut response = multipart::single(part(&app.pipeline, &urls, instance).await?);
    response.headers_mut().append(VARY.0, HeaderValue::from_static(VARY.1));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

async fn retrieve_all(
    app: &App,
    scope: Scope,
    first: Page<StoredInstance>,
    accept: &Accept,
) -> Result<Response, Problem> {
    if accept.choose(&[Offer::multipart(DICOM, None)]).is_none() {
        every_syntax_is_accepted(&app.pipeline, &scope, first.clone(), accept).await?;
    }
    let instances = Instances::new(app.pipeline.clone(), app.urls(), scope, first);
    Ok(multipart::response(DICOM, instances))
}

/// Looks at every instance in the index before the first byte goes out: an answer that leaves some out would pass for the whole.
///
/// # Errors
/// 406 when the request does not take the transfer syntax of one of them.
async fn every_syntax_is_accepted(
    pipeline: &Pipeline,
    scope: &Scope,
    mut page: Page<StoredInstance>,
    accept: &Accept,
) -> Result<(), Problem> {
    loop {
        for instance in &page.rows {
            if accept.choose(&[Offer::multipart(DICOM, Some(&instance.transfer_syntax))]).is_none() {
                return Err(refusal(instance));
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        page = pipeline.instances(scope, Some(next)).await?;
    }
}

fn refusal(instance: &StoredInstance) -> Problem {
    Problem::not_acceptable(format!(
        "objects are sent as application/dicom in the transfer syntax in which they are stored, here {}",
        instance.transfer_syntax
    ))
}

async fn part(pipeline: &Pipeline, urls: &Urls, instance: &StoredInstance) -> Result<Part, Error> {
    Ok(Part {
        media_type: DICOM,
        transfer_syntax: instance.transfer_syntax.clone(),
        location: urls.of(&instance.ids),
        reader: pipeline.open(instance).await?,
    })
}

/// Version 1 of an instance never changes, so its content names it for good.
fn entity_tag(instance: &StoredInstance) -> String {
    let digits = instance.sha256.iter().map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", digits.collect::<String>())
}

/// Whether a value of If-None-Match lists the tag (RFC 9110 §13.1.2).
fn names_tag(value: &HeaderValue, tag: &str) -> bool {
    let Ok(list) = value.to_str() else { return false };
    list.split(',')
        .map(|entry| entry.trim().trim_start_matches("W/"))
        .any(|entry| entry == tag || entry == "*")
}

const DICOM: &str = "application/dicom";
/// One object has the same URL alone and as a part: caches must tell both apart.
const VARY: (HeaderName, &str) = (header::VARY, "accept");

/// The instances of a scope, page by page.
struct Instances {
    pipeline: Pipeline,
    urls: Urls,
    scope: Scope,
    rows: vec::IntoIter<StoredInstance>,
    next: Option<Cursor>,
}

impl Instances {
    fn new(pipeline: Pipeline, urls: Urls, scope: Scope, first: Page<StoredInstance>) -> Self {
        Self { pipeline, urls, scope, rows: first.rows.into_iter(), next: first.next }
    }
}

impl Parts for Instances {
    async fn next(&mut self) -> Result<Option<Part>, Error> {
        loop {
            if let Some(instance) = self.rows.next() {
                return part(&self.pipeline, &self.urls, &instance).await.map(Some);
            }
            let Some(next) = self.next.take() else { return Ok(None) };
            let page = self.pipeline.instances(&self.scope, Some(next)).await?;
            self.rows = page.rows.into_iter();
            self.next = page.next;
        }
    }
}
