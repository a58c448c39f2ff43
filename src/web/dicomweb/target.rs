#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use model::{Kind, Scope, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Uid};

use crate::problem::Problem;

/// What the path of a request names.
///
/// Any text is taken as a UID, because instances with UIDs that break PS3.5 §9.1 are kept too; they are also reached by the
/// [path component](Uid::path_component) that stands for their UID in our own URLs.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) study: Option<StudyInstanceUid>,
    pub(super) series: Option<SeriesInstanceUid>,
    pub(super) instance: Option<SopInstanceUid>,
    /// What follows the instance's sub-resource: a list of frames, or the path of an attribute.
    pub(super) rest: String,
}

impl Target {
    /// The study, and the series and instance if named.
    pub(super) fn scope(self) -> Result<Scope, Problem> {
        let Self { study, series, instance, .. } = self;
        Ok(Scope { study: study.ok_or_else(Problem::not_found)?, series, instance })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("the path is not UTF-8 after percent-decoding"))?;
        let mut target = Self::default();
        for (name, value) in &params {
            match name {
                "study" => target.study = Some(uid(value)?),
                "series" => target.series = Some(uid(value)?),
                "instance" => target.instance = Some(uid(value)?),
                _ => value.clone_into(&mut target.rest),
            }
        }
        Ok(target)
    }
}

fn uid<K: Kind>(text: &str) -> Result<Uid<K>, Problem> {
    Uid::lenient(text).ok_or_else(Problem::not_found)
}
