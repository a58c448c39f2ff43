use memchr::memmem;
use model::{InstanceIds, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

use crate::PublicUrl;

/// Makes the URLs of our resources: absolute below the public URL, else relative to the server.
#[derive(Debug, Clone)]
pub(super) struct Urls(String);

impl Urls {
    pub(super) fn new(public: Option<&PublicUrl>) -> Self {
        Self(public.map_or_else(String::new, |url| url.as_str().to_owned()))
    }

    /// Copies a stored DICOM JSON object, with what is ours before each BulkDataURI, which is stored relative to the server.
    ///
    /// Inside a string of the object the searched bytes cannot stand: their quotes would be escaped.
    pub(super) fn write_absolute(&self, object: &[u8], out: &mut Vec<u8>) {
        let mut rest = object;
        if !self.0.is_empty() {
            while let Some(place) = memmem::find(rest, BULK_DATA_URI) {
                let (before, after) = rest.split_at(place + BULK_DATA_URI.len());
                out.extend_from_slice(before);
                out.extend_from_slice(self.0.as_bytes());
                rest = after;
            }
        }
        out.extend_from_slice(rest);
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

const BULK_DATA_URI: &[u8] = br#""BulkDataURI":""#;

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(object: &str, base: &str) -> String {
        let urls = Urls::new((!base.is_empty()).then(|| base.parse().unwrap()).as_ref());
        let mut out = Vec::new();
        urls.write_absolute(object.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn puts_the_public_url_before_bulk_data_only() {
        let object = r#"{"00081190":{"vr":"UR","Value":["/x"]},"7FE00010":{"vr":"OW","BulkDataURI":"/dicom-web/a"},"00084000":{"vr":"LT","Value":["\"BulkDataURI\":\"/no"]}}"#;
        assert_eq!(absolute(object, ""), object);
        assert_eq!(
            absolute(object, "https://pacs"),
            object.replace(r#":"/dicom-web/a"#, r#":"https://pacs/dicom-web/a"#)
        );
    }
}
