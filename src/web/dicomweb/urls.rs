use model::{InstanceIds, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

use crate::PublicUrl;

/// Makes the URLs of our resources: absolute below the public URL, else relative to the server.
#[derive(Debug, Clone)]
pub(super) struct Urls(String);

impl Urls {
    pub(super) fn new(public: Option<&PublicUrl>) -> Self {
        Self(public.map_or_else(String::new, |url| url.as_str().to_owned()))
    }

    /// What stands before `/dicom-web` in every URL; empty for relative ones.
    pub(super) fn base(&self) -> &str {
        &self.0
    }

    pub(super) fn study(&self, study: &StudyInstanceUid) -> String {
        format!("{}/dicom-web/studies/{}", self.0, study.path_component())
    }

    pub(super) fn series(&self, study: &StudyInstanceUid, series: &SeriesInstanceUid) -> String {
        format!("{}/series/{}", self.study(study), series.path_component())
    }

    pub(super) fn instance(
        &self,
        study: &StudyInstanceUid,
        series: &SeriesInstanceUid,
        instance: &SopInstanceUid,
    ) -> String {
        format!("{}/instances/{}", self.series(study, series), instance.path_component())
    }

    pub(super) fn of(&self, ids: &InstanceIds) -> String {
        self.instance(&ids.study, &ids.series, &ids.sop_instance)
    }
}
