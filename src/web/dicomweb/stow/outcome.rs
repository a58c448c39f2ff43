use bytes::Bytes;
use http::StatusCode;
use model::{InstanceIds, SopClassUid, SopInstanceUid, StudyInstanceUid, limits};
use pipeline::{Error, IngestError, Stored};
use serde_json::{Value, json};

use crate::dicomweb::urls::Urls;
use crate::problem;

/// What became of the parts of one request: its answer, as far as it can be written.
pub(super) struct Outcome {
    urls: Urls,
    stored: Items,
    failed: Items,
    /// The study of the first stored instance, while all others are of it too.
    only_study: Option<StudyInstanceUid>,
    /// Whether a part failed for want of disk space.
    is_out_of_space: bool,
    not_taken: u64,
}

/// Items of a sequence, as JSON with commas between them.
#[derive(Default)]
struct Items {
    count: usize,
    json: Vec<u8>,
}

impl Outcome {
    pub(super) fn new(urls: Urls) -> Self {
        let (stored, failed) = (Items::default(), Items::default());
        Self { urls, stored, failed, only_study: None, is_out_of_space: false, not_taken: 0 }
    }

    /// Whether the request had no parts.
    pub(super) fn is_empty(&self) -> bool {
        self.stored.count + self.failed.count == 0
    }

    /// Whether the answer can name no further part.
    pub(super) fn is_full(&self) -> bool {
        self.stored.count + self.failed.count >= limits::STOW_PARTS
            || self.stored.json.len() + self.failed.json.len() >= limits::STOW_ANSWER_BYTES
    }

    /// Whether nothing was stored because the disk is full: the same request may succeed later.
    pub(super) fn is_refused_for_space(&self) -> bool {
        self.stored.count == 0 && self.is_out_of_space
    }

    pub(super) fn add(&mut self, result: Result<Stored, IngestError>) {
        match result {
            Ok(stored) => self.add_stored(&stored.ids),
            Err(IngestError { error, sop_class, sop_instance }) => {
                let reason = problem::failure_reason(&error);
                self.is_out_of_space |= matches!(error, Error::NoSpace | Error::Busy);
                self.add_failed(sop_class.as_ref(), sop_instance.as_ref(), reason);
            }
        }
    }

    /// Notes a part that is no DICOM object.
    pub(super) fn add_foreign(&mut self) {
        // Error: cannot understand.
        self.add_failed(None, None, 0xC000);
    }

    /// Counts a part that came when the answer was full.
    pub(super) fn add_not_taken(&mut self) {
        self.not_taken += 1;
    }

    /// What the answer cannot name, in words.
    pub(super) fn warning(&self) -> Option<String> {
        let taken = self.stored.count + self.failed.count;
        let not_taken = self.not_taken;
        (not_taken > 0)
            .then(|| format!("only the first {taken} parts were taken, {not_taken} were not stored"))
    }

    fn add_stored(&mut self, ids: &InstanceIds) {
        match self.stored.count {
            0 => self.only_study = Some(ids.study.clone()),
            _ => self.only_study = self.only_study.take().filter(|study| *study == ids.study),
        }
        let mut item = references(Some(&ids.sop_class), Some(&ids.sop_instance));
        item[RETRIEVE_URL] = element("UR", self.urls.of(ids));
        self.stored.push(&item);
    }

    fn add_failed(
        &mut self,
        sop_class: Option<&SopClassUid>,
        sop_instance: Option<&SopInstanceUid>,
        reason: u16,
    ) {
        let mut item = references(sop_class, sop_instance);
        item[FAILURE_REASON] = element("US", reason);
        self.failed.push(&item);
    }

    /// 200 when all were stored, 202 when some were, 409 when none (PS3.18 Table 10.5.3-1).
    pub(super) fn status(&self) -> StatusCode {
        match (self.stored.count, self.failed.count, self.not_taken) {
            (0, _, _) => StatusCode::CONFLICT,
            (_, 0, 0) => StatusCode::OK,
            (_, _, _) => StatusCode::ACCEPTED,
        }
    }

    /// The Store Instances Response Module (PS3.18 Table I.1-1), in pieces.
    pub(super) fn into_json(self) -> Vec<Bytes> {
        // Type 2: there, but empty when no one study can be named.
        let retrieve_url = match &self.only_study {
            Some(study) => element("UR", self.urls.study(study)),
            None => json!({ "vr": "UR" }),
        };
        let mut pieces = vec![Bytes::from(format!("{{\"{RETRIEVE_URL}\":{retrieve_url}"))];
        for (key, items) in [(FAILED_SOP_SEQUENCE, self.failed), (REFERENCED_SOP_SEQUENCE, self.stored)] {
            if items.count > 0 {
                pieces.push(format!(",\"{key}\":{{\"vr\":\"SQ\",\"Value\":[").into());
                pieces.push(items.json.into());
                pieces.push(Bytes::from_static(b"]}"));
            }
        }
        pieces.push(Bytes::from_static(b"}"));
        pieces
    }
}

impl Items {
    fn push(&mut self, item: &Value) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        self.json.extend_from_slice(item.to_string().as_bytes());
    }
}

fn references(sop_class: Option<&SopClassUid>, sop_instance: Option<&SopInstanceUid>) -> Value {
    let mut item = json!({});
    if let Some(uid) = sop_class {
        item[REFERENCED_SOP_CLASS_UID] = element("UI", uid.as_str());
    }
    if let Some(uid) = sop_instance {
        item[REFERENCED_SOP_INSTANCE_UID] = element("UI", uid.as_str());
    }
    item
}

fn element(vr: &str, value: impl Into<Value>) -> Value {
    json!({ "vr": vr, "Value": [value.into()] })
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

    fn module(outcome: Outcome) -> Value {
        serde_json::from_slice(&outcome.into_json().concat()).unwrap()
    }

    #[test]
    fn takes_no_more_than_the_answer_can_name() {
        let mut outcome = Outcome::new(Urls::new(None));
        for _ in 0..limits::STOW_PARTS {
            assert!(!outcome.is_full());
            outcome.add_foreign();
        }
        assert!(outcome.is_full() && outcome.failed.json.capacity() < limits::STOW_PARTS * 150);
        let mut outcome = Outcome::new(Urls::new(None));
        let long = "1".repeat(limits::STOW_ANSWER_BYTES / 4);
        for _ in 0..4 {
            assert!(!outcome.is_full());
            outcome.add_failed(None, Uid::lenient(&long).as_ref(), 0xC000);
        }
        assert!(outcome.is_full());
    }

    #[test]
    fn says_what_was_stored_and_what_was_not() {
        let mut outcome = Outcome::new(Urls::new(None));
        assert_eq!(outcome.status(), StatusCode::CONFLICT);
        outcome.add_stored(&stored("2.1", "2.4"));
        assert_eq!(outcome.status(), StatusCode::OK);
        outcome.add(Err(Error::MissingUid("Study Instance UID").into()));
        outcome.add_foreign();
        assert_eq!((outcome.status(), outcome.warning()), (StatusCode::ACCEPTED, None));
        let module = module(outcome);
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
        let mut outcome = Outcome::new(Urls::new(None));
        for study in ["2.1", "2.2", "2.1"] {
            outcome.add_stored(&stored(study, "2.4"));
        }
        let module = module(outcome);
        assert_eq!(module[RETRIEVE_URL], json!({ "vr": "UR" }));
    }

    #[test]
    fn a_full_disk_is_a_refusal_only_when_nothing_was_stored() {
        let mut outcome = Outcome::new(Urls::new(None));
        outcome.add(Err(Error::NoSpace.into()));
        assert!(outcome.is_refused_for_space());
        outcome.add_stored(&stored("2.1", "2.4"));
        assert!(!outcome.is_refused_for_space());
    }
}
