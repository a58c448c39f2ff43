use std::collections::BTreeMap;

use model::attributes::Attributes;
use model::query::Include;
use model::{Tag, Vr, json};
use pipeline::Row;
use serde_json::value::RawValue;

use crate::dicomweb::urls::Urls;

/// Writes one match as a DICOM JSON object (PS3.18 §10.6.3.3, §F.2).
///
/// What the index has comes first; where more was asked for, it is taken from the instance's stored object.
pub(super) fn write(mut row: Row, include: &Include, urls: &Urls, out: &mut Vec<u8>) {
    if let Some(url) = retrieve_url(&row, urls) {
        row.attributes.insert(RETRIEVE_URL, Vr::UR, vec![url]);
    }
    match row.json.and_then(|stored| merge(&stored, &row.attributes, include)) {
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

/// The members of `stored` that are asked for, and `attributes` over them; in ascending order, as PS3.18 §F.2.2 wants them.
fn merge(stored: &[u8], attributes: &Attributes, include: &Include) -> Option<Vec<u8>> {
    let mut indexed = Vec::new();
    json::write_attributes(attributes, &mut indexed);
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_slice(stored).ok()?;
    if !include.all {
        members.retain(|key, _| key_tag(key).is_some_and(|tag| include.tags.contains(&tag)));
    }
    members.extend(serde_json::from_slice::<BTreeMap<&str, &RawValue>>(&indexed).ok()?);
    serde_json::to_vec(&members).ok()
}

fn key_tag(key: &str) -> Option<Tag> {
    let (group, element) = key.split_at_checked(4)?;
    Some(Tag(u16::from_str_radix(group, 16).ok()?, u16::from_str_radix(element, 16).ok()?))
}

/// Retrieve URL.
const RETRIEVE_URL: Tag = Tag(0x0008, 0x1190);
