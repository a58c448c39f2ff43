//! Frames in another transfer syntax than that in which they are kept.

use std::vec;

use axum::response::Response;
use model::TransferSyntaxUid;
use model::syntax::{self, EXPLICIT_VR_LITTLE_ENDIAN};
use pipeline::{Error, NotTranscoded, PartReader, Pipeline, Rendition, StoredInstance, transcoding_targets};

use super::accept::{Accept, Offer};
use super::multipart::{self, Part, Parts};
use super::rendition::{self, Kind};
use crate::app::App;
use crate::problem::Problem;

/// A transfer syntax into which frames can be made, with the media type of such frames.
struct Target {
    transfer_syntax: TransferSyntaxUid,
    media_type: &'static str,
}

/// Answers with frames as the request wants them: native ones in little endian to those who leave it open, as kept to those who take
/// that, else made so.
///
/// # Errors
/// 406 when the request takes nothing that can be made, or the first frame cannot be made so.
///
/// PS3.18 §8.7.3.
pub(super) async fn respond(
    app: &App,
    instance: StoredInstance,
    (rendition, numbers): (Rendition, Vec<u32>),
    locations: Vec<String>,
    accept: &Accept,
) -> Result<Response, Problem> {
    let Some((target, is_multipart)) = choose(&rendition, &instance, accept)? else {
        return rendition::respond(app, Kind::Frames, instance, rendition, locations, accept).await;
    };
    let all_locations = locations.clone();
    let mut frames = Frames {
        pipeline: app.pipeline.clone(),
        instance,
        target,
        first: None,
        wanted: numbers.into_iter().zip(locations).collect::<Vec<_>>().into_iter(),
    };
    // What can be said with a status is said now.
    let first = match frames.make_next().await {
        Ok(first) => first.ok_or_else(Problem::not_found)?,
        // deviation: PS3.18 §8.7.3: to those who leave it open, what cannot be decoded is sent as it is kept.
        Err(error)
            if error.is_of_codecs()
                && accept.choose(&rendition::offers(Kind::Frames, &rendition)).is_some() =>
        {
            let Frames { instance, .. } = frames;
            return rendition::respond(app, Kind::Frames, instance, rendition, all_locations, accept).await;
        }
        Err(NotTranscoded::Failed(error)) => return Err(error.into()),
        Err(NotTranscoded::Cannot(reason)) => {
            return Err(Problem::not_acceptable(format!("these frames cannot be transcoded: {reason}")));
        }
    };
    if is_multipart {
        let media_type = frames.target.media_type;
        frames.first = Some(first);
        return Ok(multipart::response(media_type, frames));
    }
    Ok(multipart::single(first))
}

/// What is to be made, and whether in parts; `None` when the request takes frames as they are kept, or nothing.
fn choose(
    rendition: &Rendition,
    instance: &StoredInstance,
    accept: &Accept,
) -> Result<Option<(Target, bool)>, Problem> {
    let targets: Vec<Target> = targets(rendition, instance);
    let is_native = |target: &Target| target.media_type == syntax::OCTET_STREAM;
    let is_single = rendition.parts.len() == 1;
    let (native, compressed): (Vec<&Target>, Vec<&Target>) =
        targets.iter().partition(|target| is_native(target));
    let mut offers = Vec::new();
    for target in native {
        offers.extend(forms(target, is_single).map(|offer| (offer.when_named(true), Some(target))));
    }
    offers.extend(rendition::offers(Kind::Frames, rendition).into_iter().map(|offer| (offer, None)));
    for target in compressed {
        let is_default = is_default(target) && target.media_type != rendition.media_type;
        offers.extend(forms(target, is_single).map(|offer| (offer.when_named(is_default), Some(target))));
    }
    let places: Vec<Offer<'_>> = offers.iter().map(|(offer, _)| *offer).collect();
    let place = accept.choose_place(&places).ok_or_else(|| rendition::refusal(rendition))?;
    let Some((offer, Some(target))) = offers.get(place) else { return Ok(None) };
    let target = Target { transfer_syntax: target.transfer_syntax.clone(), media_type: target.media_type };
    Ok(Some((target, offer.is_multipart())))
}

/// What frames can be made into: of transfer syntaxes for native pixels, only the one that is the default.
fn targets(rendition: &Rendition, instance: &StoredInstance) -> Vec<Target> {
    let kept = &rendition.transfer_syntax;
    let possible = transcoding_targets(&instance.transfer_syntax).into_iter().filter(|uid| uid != kept);
    let target = |transfer_syntax: TransferSyntaxUid| {
        let media_type = syntax::frame_media_type(transfer_syntax.as_str());
        let is_sent =
            media_type != syntax::OCTET_STREAM || transfer_syntax.as_str() == EXPLICIT_VR_LITTLE_ENDIAN;
        is_sent.then_some(Target { transfer_syntax, media_type })
    };
    possible.filter_map(target).collect()
}

fn forms(target: &Target, is_single: bool) -> impl Iterator<Item = Offer<'_>> {
    let syntax = Some(&target.transfer_syntax);
    let multipart = Offer::multipart(target.media_type, syntax);
    [multipart].into_iter().chain(is_single.then(|| Offer::single(target.media_type, syntax)))
}

/// Whether a transfer syntax is meant by its media type alone (PS3.18 Table 8.7.3-5).
fn is_default(target: &Target) -> bool {
    let defaults = [
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.201",
        "1.2.840.10008.1.2.5",
    ];
    defaults.contains(&target.transfer_syntax.as_str())
}

/// Frames that are made one at a time.
struct Frames {
    pipeline: Pipeline,
    instance: StoredInstance,
    target: Target,
    first: Option<Part>,
    wanted: vec::IntoIter<(u32, String)>,
}

impl Frames {
    async fn make_next(&mut self) -> Result<Option<Part>, NotTranscoded> {
        let Some((number, location)) = self.wanted.next() else { return Ok(None) };
        let (transcoder, target) = (self.pipeline.transcoder(), &self.target);
        let index = u64::from(number.saturating_sub(1));
        let frame = transcoder.frame(&self.instance, index, &target.transfer_syntax).await?;
        Ok(Some(Part {
            media_type: target.media_type,
            transfer_syntax: target.transfer_syntax.clone(),
            location,
            reader: PartReader::of_bytes(frame),
        }))
    }
}

impl Parts for Frames {
    async fn next(&mut self) -> Result<Option<Part>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        self.make_next().await.map_err(|reason| match reason {
            NotTranscoded::Failed(error) => error,
            NotTranscoded::Cannot(reason) => {
                tracing::warn!(instance = %self.instance.ids.sop_instance, reason, "a frame cannot be transcoded");
                Error::NotAvailable("a frame cannot be transcoded")
            }
        })
    }
}
