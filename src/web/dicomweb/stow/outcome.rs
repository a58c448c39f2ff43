use http::StatusCode;
use model::{InstanceIds, SopClassUid, SopInstanceUid, StudyInstanceUid};
use pipeline::{Error, IngestError, Stored};
use serde_json::{Map, Value, json};

use crate::dicomweb::urls::Urls;
use crate::problem;

/// What became of the parts of one request.
#[derive(Default)]
pub(super) struct Outcome {
    stored: Vec<InstanceIds>,
    failed: Vec<Failed>,
    /// Whether a part failed for want of disk space.
    is_out_of_space: bool,
}

struct Failed {
    sop_class: Option<SopClassUid>,
    sop_instance: Option<SopInstanceUid>,
    reason: u16,
}

impl Outcome {
    /// Parts so far.
    pub(super) fn len(&self) -> usize {
        self.stored.len() + self.failed.len()
    }

    /// Whether nothing was stored because the disk is full: the same request may succeed later.
    pub(super) fn is_refused_for_space(&self) -> bool {
        self.stored.is_empty() && self.is_out_of_space
    }

    pub(super) fn add(&mut self, result: Result<Stored, IngestError>) {
        match result {
            Ok(stored) => self.stored.push(stored.ids),
            Err(IngestError { error, sop_class, sop_instance }) => {
                let reason = problem::failure_reason(&error);
                self.is_out_of_space |= matches!(error, Error::NoSpace | Error::Busy);
                self.failed.push(Failed { sop_class, sop_instance, reason });
            }
        }
    }

    /// Notes a part that is no DICOM object.
    pub(super) fn add_foreign(&mut self) {
        // Error: cannot understand.
        self.failed.push(Failed { sop_class: None, sop_instance: None, reason: 0xC000 });
    }

    /// 200 when all were stored, 202 when some were, 409 when none (PS3.18 Table 10.5.3-1).
    pub(super) fn status(&self) -> StatusCode {
        match (self.stored.is_empty(), self.failed.is_empty()) {
            (false, true) => StatusCode::OK,
            (false, false) => StatusCode::ACCEPTED,
            (true, _) => StatusCode::CONFLICT,
        }
    }

    /// The Store Instances Response Module (PS3.18 Table I.1-1).
    pub(super) fn to_json(&self, urls: &Urls) -> String {
        let mut module = Map::new();
        // Type 2: there, but empty when no one study can be named.
        let retrieve_url = match self.only_study() {
            Some(study) => element("UR", urls.study(study)),
            None => json!({ "vr": "UR" }),
        };
        module.insert(RETRIEVE_URL.into(), retrieve_url);
        if !self.failed.is_empty() {
            let items = self.failed.iter().map(|failed| {
                let mut item = references(failed.sop_class.as_ref(), failed.sop_instance.as_ref());
                item.insert(FAILURE_REASON.into(), element("US", failed.reason));
                Value::Object(item)
            });
            module.insert(FAILED_SOP_SEQUENCE.into(), sequence(items));
        }
        if !self.stored.is_empty() {
            let items = self.stored.iter().map(|ids| {
                let mut item = references(Some(&ids.sop_class), Some(&ids.sop_instance));
                item.insert(RETRIEVE_URL.into(), element("UR", urls.of(ids)));
                Value::Object(item)
            });
            module.insert(REFERENCED_SOP_SEQUENCE.into(), sequence(items));
        }
        Value::Object(module).to_string()
    }

    /// The study that all stored instances belong to.
    fn only_study(&self) -> Option<&StudyInstanceUid> {
        let study = &self.stored.first()?.study;
        self.stored.iter().all(|ids| ids.study == *study).then_some(study)
    }
}

fn references(sop_class: Option<&SopClassUid>, sop_instance: Option<&SopInstanceUid>) -> Map<String, Value> {
    let mut item = Map::new();
    if let Some(uid) = sop_class {
        item.insert(REFERENCED_SOP_CLASS_UID.into(), element("UI", uid.as_str()));
    }
    if let Some(uid) = sop_instance {
        item.insert(REFERENCED_SOP_INSTANCE_UID.into(), element("UI", uid.as_str()));
    }
    item
}

fn element(vr: &str, value: impl Into<Value>) -> Value {
    json!({ "vr": vr, "Value": [value.into()] })
}

fn sequence(items: impl Iterator<Item = Value>) -> Value {
    json!({ "vr": "SQ", "Value": items.collect::<Vec<_>>() })
}

const REFERENCED_SOP_CLASS_UID: &str = "00081150";
const REFERENCED_SOP_INSTANCE_UID: &str = "00081155";
const RETRIEVE_URL: &str = "00081190";
const FAILURE_REASON: &str = "00081197";
const FAILED_SOP_SEQUENCE: &str = "00081198";
const REFERENCED_SOP_SEQUENCE: &str = "00081199";

#[cfg(test)]
mod tests {
    use model::Uid;

    use super::*;

    fn stored(study: &str, instance: &str) -> InstanceIds {
        InstanceIds {
            study: Uid::lenient(study).unwrap(),
            series: Uid::lenient("2.3").unwrap(),
            sop_class: Uid::lenient("1.2.840.10008.5.1.4.1.1.7").unwrap(),
            sop_instance: Uid::lenient(instance).unwrap(),
        }
    }

    #[test]
    fn says_what_was_stored_and_what_was_not() {
        let mut outcome = Outcome::default();
        assert_eq!(outcome.status(), StatusCode::CONFLICT);
        outcome.stored.push(stored("2.1", "2.4"));
        assert_eq!(outcome.status(), StatusCode::OK);
        outcome.add(Err(Error::MissingUid("Study Instance UID").into()));
        outcome.add_foreign();
        assert_eq!((outcome.status(), outcome.len()), (StatusCode::ACCEPTED, 3));
        let module: Value = serde_json::from_str(&outcome.to_json(&Urls::new(None))).unwrap();
        let url = "/dicom-web/studies/2.1/series/2.3/instances/2.4";
        assert_eq!(module[RETRIEVE_URL]["Value"][0], "/dicom-web/studies/2.1");
        let stored = &module[REFERENCED_SOP_SEQUENCE]["Value"][0];
        assert_eq!(stored[RETRIEVE_URL], json!({ "vr": "UR", "Value": [url] }));
        assert_eq!(stored[REFERENCED_SOP_INSTANCE_UID], json!({ "vr": "UI", "Value": ["2.4"] }));
        let failed = &module[FAILED_SOP_SEQUENCE]["Value"];
        assert_eq!(failed[1], json!({ FAILURE_REASON: { "vr": "US", "Value": [0xC000] } }));
    }

    #[test]
    fn names_a_study_only_when_there_is_one() {
        let stored = vec![stored("2.1", "2.4"), stored("2.2", "2.5")];
        let outcome = Outcome { stored, ..Outcome::default() };
        let module: Value = serde_json::from_str(&outcome.to_json(&Urls::new(None))).unwrap();
        assert_eq!(module[RETRIEVE_URL], json!({ "vr": "UR" }));
    }

    #[test]
    fn a_full_disk_is_a_refusal_only_when_nothing_was_stored() {
        let mut outcome = Outcome::default();
        outcome.add(Err(Error::NoSpace.into()));
        assert!(outcome.is_refused_for_space());
        outcome.stored.push(stored("2.1", "2.4"));
        assert!(!outcome.is_refused_for_space());
    }
}
