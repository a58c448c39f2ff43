use std::vec;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use model::syntax::EXPLICIT_VR_LITTLE_ENDIAN;
use model::{Scope, TransferSyntaxUid};
use pipeline::{Cursor, Error, NotTranscoded, Page, Pipeline, StoredInstance, transcoding_targets};

use super::accept::{Accept, Offer};
use super::elsewhere::Elsewhere;
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

async fn retrieve(
    State(app): State<App>,
    target: Target,
    accept: Accept,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = target.scope()?;
    let elsewhere = Elsewhere::fetch(&app, &scope).await?;
    let page = app.pipeline.instances(&scope, None).await.map_err(|error| elsewhere.problem(error))?;
    let response = match (&scope.instance, page.rows.as_slice()) {
        (Some(_), [instance]) => retrieve_one(&app, instance, &accept, &headers).await,
        (Some(_) | None, _) => retrieve_all(&app, scope, page, &accept).await,
    };
    response.map(|response| elsewhere.mark(response))
}

async fn retrieve_one(
    app: &App,
    instance: &StoredInstance,
    accept: &Accept,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let sending = Sending::choose(accept, instance, true).ok_or_else(|| refusal(instance))?;
    let urls = app.urls();
    if sending.is_multipart {
        let page = Page { rows: vec![instance.clone()], next: None };
        let scope = Scope {
            study: instance.ids.study.clone(),
            series: Some(instance.ids.series.clone()),
            instance: Some(instance.ids.sop_instance.clone()),
        };
        let parts = Instances::new(app.pipeline.clone(), urls, scope, page, accept);
        return Ok(([VARY], multipart::response(DICOM, parts)).into_response());
    }
    let tag = entity_tag(instance, sending.target.as_ref());
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| names_tag(known, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag.as_str()), VARY]).into_response());
    }
    let part = sending.part(&app.pipeline, &urls, instance).await.map_err(not_made)?;
    let mut response = multipart::single(part);
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
    let instances = Instances::new(app.pipeline.clone(), app.urls(), scope, first, accept);
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
            if Sending::choose(accept, instance, false).is_none() {
                return Err(refusal(instance));
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        page = pipeline.instances(scope, Some(next)).await?;
    }
}

fn refusal(instance: &StoredInstance) -> Problem {
    Problem::not_acceptable(format!(
        "objects are sent as application/dicom; this one, stored in transfer syntax {}, is not sent as asked for",
        instance.transfer_syntax
    ))
}

fn not_made(reason: NotTranscoded) -> Problem {
    match reason {
        NotTranscoded::Cannot(reason) => {
            Problem::not_acceptable(format!("this object cannot be transcoded: {reason}"))
        }
        NotTranscoded::Failed(error) => error.into(),
    }
}

/// How one instance is sent.
struct Sending {
    is_multipart: bool,
    /// The transfer syntax that it is transcoded into; `None` for the one in which it is stored.
    target: Option<TransferSyntaxUid>,
    /// The request says nothing of the transfer syntax.
    is_open: bool,
}

impl Sending {
    /// As the request wants it, of what can be done; `None` when it wants nothing of that.
    ///
    /// PS3.18 §8.7.3.
    fn choose(accept: &Accept, instance: &StoredInstance, is_one: bool) -> Option<Self> {
        let stored = &instance.transfer_syntax;
        let targets = transcoding_targets(stored);
        let is_default = |uid: &TransferSyntaxUid| uid.as_str() == EXPLICIT_VR_LITTLE_ENDIAN;
        let forms = |syntax| {
            let single = is_one.then(|| Offer::single(DICOM, Some(syntax)));
            single.into_iter().chain([Offer::multipart(DICOM, Some(syntax))])
        };
        let mut offers = Vec::new();
        for target in targets.iter().filter(|uid| is_default(uid)) {
            offers.extend(forms(target).map(|offer| (offer.when_named(true), Some(target))));
        }
        // deviation: PS3.18 §8.7.3: what cannot be decoded is sent as it is stored to those who say nothing of the transfer syntax: a
        // refusal would keep it from most clients.
        let has_default = !offers.is_empty();
        offers.extend(
            forms(stored).map(|offer| (if has_default { offer.when_named_or_any() } else { offer }, None)),
        );
        for target in targets.iter().filter(|uid| !is_default(uid)) {
            offers.extend(forms(target).map(|offer| (offer.when_named(false), Some(target))));
        }
        let places: Vec<Offer<'_>> = offers.iter().map(|(offer, _)| *offer).collect();
        let (offer, target) = offers.get(accept.choose_place(&places)?)?;
        let open =
            if offer.is_multipart() { Offer::multipart(DICOM, None) } else { Offer::single(DICOM, None) };
        let is_open = accept.choose(&[open.only_for_no_syntax()]).is_some();
        Some(Self { is_multipart: offer.is_multipart(), target: target.cloned(), is_open })
    }

    /// The instance, transcoded where that is chosen; as it is stored where it turns out that it cannot be, and nobody asked for
    /// another transfer syntax.
    async fn part(
        &self,
        pipeline: &Pipeline,
        urls: &Urls,
        instance: &StoredInstance,
    ) -> Result<Part, NotTranscoded> {
        let copy = match &self.target {
            None => None,
            Some(target) => match pipeline.transcoder().transcode(instance, target).await {
                Ok(copy) => Some(copy),
                Err(error) if self.is_open && error.is_of_codecs() => {
                    let reason = error.reason();
                    tracing::debug!(instance = %instance.ids.sop_instance, reason, "sent as it is stored");
                    None
                }
                Err(error) => return Err(error),
            },
        };
        let sent = copy.as_ref().map_or(instance, |copy| &copy.instance);
        Ok(Part {
            media_type: DICOM,
            transfer_syntax: sent.transfer_syntax.clone(),
            location: urls.of(&instance.ids),
            // Once open, a copy needs no name any more.
            reader: pipeline.open(sent).await?,
        })
    }
}

/// Version 1 of an instance never changes, so its content names it for good. A copy in another transfer syntax says the same.
fn entity_tag(instance: &StoredInstance, target: Option<&TransferSyntaxUid>) -> String {
    let digits = instance.sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match target {
        None => format!("\"{digits}\""),
        Some(target) => format!("W/\"{digits}-{target}\""),
    }
}

/// Whether a value of If-None-Match lists the tag (RFC 9110 §13.1.2).
fn names_tag(value: &HeaderValue, tag: &str) -> bool {
    let Ok(list) = value.to_str() else { return false };
    list.split(',')
        .map(|entry| entry.trim().trim_start_matches("W/"))
        .any(|entry| entry == tag.trim_start_matches("W/") || entry == "*")
}

const NOT_SENT: &str = "an object cannot be sent in the transfer syntax asked for";
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
    accept: Accept,
}

impl Instances {
    fn new(
        pipeline: Pipeline,
        urls: Urls,
        scope: Scope,
        first: Page<StoredInstance>,
        accept: &Accept,
    ) -> Self {
        let (rows, accept) = (first.rows.into_iter(), accept.clone());
        Self { pipeline, urls, scope, rows, next: first.next, accept }
    }

    async fn part(&self, instance: &StoredInstance) -> Result<Part, Error> {
        let sending = Sending::choose(&self.accept, instance, false).ok_or(Error::NotAvailable(NOT_SENT))?;
        sending.part(&self.pipeline, &self.urls, instance).await.map_err(|reason| match reason {
            NotTranscoded::Failed(error) => error,
            NotTranscoded::Cannot(reason) => {
                tracing::warn!(instance = %instance.ids.sop_instance, reason, "cannot be transcoded");
                Error::NotAvailable(NOT_SENT)
            }
        })
    }
}

impl Parts for Instances {
    async fn next(&mut self) -> Result<Option<Part>, Error> {
        loop {
            if let Some(instance) = self.rows.next() {
                return self.part(&instance).await.map(Some);
            }
            let Some(next) = self.next.take() else { return Ok(None) };
            let page = self.pipeline.instances(&self.scope, Some(next)).await?;
            self.rows = page.rows.into_iter();
            self.next = page.next;
        }
    }
}
