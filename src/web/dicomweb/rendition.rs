use std::vec;

use axum::response::Response;
use model::{TransferSyntaxUid, syntax};
use pipeline::{Error, Pipeline, Rendition, StoredInstance};

use super::accept::{Accept, Offer};
use super::elsewhere::Elsewhere;
use super::multipart::{self, Part, Parts};
use super::target::Target;
use crate::app::App;
use crate::problem::Problem;

/// The one instance that a path names.
pub(super) async fn instance(app: &App, target: Target) -> Result<StoredInstance, Problem> {
    let scope = target.scope()?;
    let elsewhere = Elsewhere::fetch(app, &scope).await?;
    let page = app.pipeline.instances(&scope, None).await.map_err(|error| elsewhere.problem(error))?;
    page.rows.into_iter().next().ok_or_else(Problem::not_found)
}

/// How a resource prefers to be sent when the request leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Frames: as parts, also one.
    Frames,
    /// Bulk data: one value as the whole body.
    BulkData,
}

/// Answers with values of an instance: several as multipart/related, one as the request prefers.
///
/// # Errors
/// 406 when the request takes neither the media type nor the transfer syntax in which they are.
pub(super) async fn respond(
    app: &App,
    kind: Kind,
    instance: StoredInstance,
    rendition: Rendition,
    locations: Vec<String>,
    accept: &Accept,
) -> Result<Response, Problem> {
    let offers = offers(kind, &rendition);
    let offer = accept.choose(&offers).ok_or_else(|| refusal(&rendition))?;
    let is_multipart = offer.is_multipart();
    let media_type = rendition.media_type;
    let mut values = Values {
        pipeline: app.pipeline.clone(),
        instance,
        media_type,
        transfer_syntax: rendition.transfer_syntax,
        parts: rendition.parts.into_iter().zip(locations).collect::<Vec<_>>().into_iter(),
    };
    if is_multipart {
        return Ok(multipart::response(media_type, values));
    }
    let part = values.next().await?.ok_or_else(Problem::not_found)?;
    Ok(multipart::single(part))
}

pub(super) fn refusal(rendition: &Rendition) -> Problem {
    Problem::not_acceptable(format!(
        "these values are kept as {} in transfer syntax {}, and not sent as asked for",
        rendition.media_type, rendition.transfer_syntax
    ))
}

/// The ways to send a rendition as it is kept, the best first.
pub(super) fn offers(kind: Kind, rendition: &Rendition) -> Vec<Offer<'_>> {
    let syntax = Some(&rendition.transfer_syntax);
    let mut offers = vec![Offer::multipart(rendition.media_type, syntax)];
    if rendition.parts.len() == 1 {
        let place = match kind {
            Kind::Frames => 1,
            Kind::BulkData => 0,
        };
        offers.insert(place, Offer::single(rendition.media_type, syntax));
    }
    if rendition.media_type != syntax::OCTET_STREAM {
        let as_stored = Offer::multipart(syntax::OCTET_STREAM, syntax);
        offers.push(match kind {
            // deviation: PS3.18 Table 8.7.3-5: application/octet-stream with transfer-syntax=* takes compressed frames too, since OHIF
            // and Cornerstone ask so for frames as they are stored.
            Kind::Frames => as_stored.only_for_any_syntax(),
            // deviation: PS3.18 Table 8.7.3-5: application/octet-stream takes compressed values too, under their own media type:
            // bulk data is sent as it is kept, and every BulkDataURI has to lead somewhere.
            Kind::BulkData => as_stored.for_every_syntax(),
        });
    }
    offers
}

/// Values of one instance, in the order asked for.
struct Values {
    pipeline: Pipeline,
    instance: StoredInstance,
    media_type: &'static str,
    transfer_syntax: TransferSyntaxUid,
    parts: vec::IntoIter<(pipeline::Part, String)>,
}

impl Parts for Values {
    async fn next(&mut self) -> Result<Option<Part>, Error> {
        let Some((part, location)) = self.parts.next() else { return Ok(None) };
        Ok(Some(Part {
            media_type: self.media_type,
            transfer_syntax: self.transfer_syntax.clone(),
            location,
            reader: self.pipeline.open_part(&self.instance, &part).await?,
        }))
    }
}
