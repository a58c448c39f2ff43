use std::collections::BTreeMap;

use model::attributes::Attributes;
use model::{Tag, Vr, json};
use pipeline::Row;
use serde_json::value::RawValue;

use super::params::RETRIEVE_AE_TITLE;
use crate::dicomweb::urls::Urls;

/// Writes one match as a DICOM JSON object (PS3.18 §10.6.3.3, §F.2): what the index has, and what it took from a stored
/// object; and from which AE titles it can be retrieved, if there are any to tell.
pub(super) fn write(mut row: Row, urls: &Urls, ae_titles: Vec<String>, out: &mut Vec<u8>) {
    if !ae_titles.is_empty() {
        row.attributes.insert(RETRIEVE_AE_TITLE, Vr::AE, ae_titles);
    }
    if let Some(url) = retrieve_url(&row, urls) {
        row.attributes.insert(RETRIEVE_URL, Vr::UR, vec![url]);
    }
    match row.json.and_then(|stored| merge(&stored, row.attributes.clone())) {
        Some(merged) => urls.write_absolute(&merged, out),
        None => json::write_attributes(&row.attributes, out),
    }
}

/// Where the match can be retrieved (PS3.18 Table 10.6.3-3 ff.).
fn retrieve_url(row: &Row, urls: &Urls) -> Option<String> {
    let study = row.ids.study.as_ref()?;
    Some(match (&row.ids.series, &row.ids.instance) {
        (None, _) => urls.study(study),
        (Some(series), None) => urls.series(study, series),
        (Some(series), Some(instance)) => urls.instance(study, series, instance),
    })
}

/// The members of both, in ascending order, as PS3.18 §F.2.2 wants them.
fn merge(stored: &[u8], mut attributes: Attributes) -> Option<Vec<u8>> {
    if !stored.is_ascii() {
        attributes.insert(SPECIFIC_CHARACTER_SET, Vr::CS, Vec::new());
    }
    let mut indexed = Vec::new();
    json::write_attributes(&attributes, &mut indexed);
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_slice(stored).ok()?;
    members.extend(serde_json::from_slice::<BTreeMap<&str, &RawValue>>(&indexed).ok()?);
    serde_json::to_vec(&members).ok()
}

/// Its presence makes the writer say that the text is UTF-8.
const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// Retrieve URL.
const RETRIEVE_URL: Tag = Tag(0x0008, 0x1190);
