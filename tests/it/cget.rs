//! C-GET by clients that nobody here wrote.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Server, dcmtk, files_below, run};
use crate::retrieving::{JPEG, Kept, assert_last, ct_in, fill, retrieve, study};
use crate::synthetic::{DEFLATED, EXPLICIT, IMPLICIT, Object, data_set_of};
use crate::transcoding::instance;

const ALL: [&str; 4] = [EXPLICIT, IMPLICIT, DEFLATED, JPEG];

#[test]
fn pynetdicom_gets_every_level_of_both_roots_bit_by_bit() {
    let server = Server::start();
    let kept = fill(&server, 1, 3);
    fill(&server, 2, 1);
    let of = |uids: &[&str]| -> BTreeMap<String, Vec<u8>> {
        let is_meant = |uid: &str| uids.iter().any(|start| uid.starts_with(start));
        kept.iter()
            .filter(|kept| is_meant(&kept.instance))
            .map(|kept| (kept.instance.clone(), kept.sent()))
            .collect()
    };
    let whole = of(&["2.25.1."]);
    for (root, keys, expected) in [
        ("patient", json!({"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}), whole.clone()),
        (
            "patient",
            json!({"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "2.25.1"}),
            whole.clone(),
        ),
        ("study", study(1), whole),
        (
            "study",
            json!({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.1.2"}),
            of(&["2.25.1.2."]),
        ),
        (
            "patient",
            json!({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ["2.25.1.2", "2.25.9"]}),
            of(&["2.25.1.2."]),
        ),
        (
            "study",
            json!({
                "QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.1.1",
                "SOPInstanceUID": ["2.25.1.1.1", "2.25.1.1.3"],
            }),
            of(&["2.25.1.1.1", "2.25.1.1.3"]),
        ),
        (
            "study",
            json!({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "2.25.1.2.3"}),
            of(&["2.25.1.2.3"]),
        ),
        (
            "patient",
            json!({"QueryRetrieveLevel": "STUDY", "PatientID": "P2", "StudyInstanceUID": "2.25.1"}),
            of(&[]),
        ),
    ] {
        let orders = json!({"service": "get", "root": root, "keys": keys, "contexts": ct_in(&ALL)});
        let got = retrieve(&server, &orders);
        assert_last(got.last(), 0x0000, [expected.len() as u64, 0, 0]);
        assert!(got.data_sets == expected, "{keys}: {:?}", got.data_sets.keys());
    }
}

#[test]
fn what_becomes_of_no_context_or_is_refused_is_listed_and_the_rest_comes() {
    let server = Server::start();
    fill(&server, 1, 4);
    let orders = json!({
        "service": "get", "keys": study(1), "contexts": ct_in(&[EXPLICIT]),
        "statuses": {"2.25.1.1.2": 0xA700, "2.25.1.1.3": 0xB000},
    });
    let got = retrieve(&server, &orders);
    assert_last(got.last(), 0xB000, [5, 2, 1]);
    let mut failed: Vec<&str> =
        got.last()["failed_uids"].as_array().unwrap().iter().map(|uid| uid.as_str().unwrap()).collect();
    failed.sort_unstable();
    // The frames of the JPEG are none.
    assert_eq!(failed, ["2.25.1.1.2", "2.25.1.2.3"]);
    for n in [1, 2] {
        let Object { instance, .. } = &Object::new(1, 2, n);
        assert!(got.data_sets[instance] == Object::new(1, 2, n).data_set(), "{instance}");
    }
    let pending = &got.responses[0];
    assert_eq!(
        (pending["status"].as_u64(), pending["remaining"].as_u64()),
        (Some(0xFF00), Some(7)),
        "{pending}"
    );
    for reason in
        ["answered A700H", "takes no CT Image Storage in JPEG Baseline (Process 1); not transcoded: "]
    {
        assert!(server.log().contains(reason), "{reason}");
    }

    let orders =
        json!({"service": "get", "keys": study(1), "contexts": ct_in(&[EXPLICIT]), "no_roles": true});
    let got = retrieve(&server, &orders);
    assert_last(got.last(), 0xA702, [0, 8, 0]);
    assert_eq!(got.last()["failed_uids"].as_array().unwrap().len(), 8);
    assert_eq!(got.last()["comment"], "the requestor is SCP of no storage class: it must propose the ro");
}

#[test]
fn wrong_keys_and_levels_are_refused_with_the_status_that_says_so() {
    let server = Server::start();
    fill(&server, 1, 1);
    for (root, keys, status, comment) in [
        ("study", json!({"StudyInstanceUID": "2.25.1"}), 0xA900_u64, "query/retrieve level is missing"),
        (
            "study",
            json!({"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}),
            0xA900,
            "query/retrieve level",
        ),
        ("patient", json!({"QueryRetrieveLevel": "PATIENT"}), 0xA900, "PatientID (0010,0020) is missing"),
        (
            "study",
            json!({"QueryRetrieveLevel": "STUDY", "PatientID": "P1"}),
            0xA900,
            "StudyInstanceUID (0020,000D) is missing",
        ),
        (
            "study",
            json!({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.*"}),
            0xA900,
            "StudyInstanceUID",
        ),
        (
            "study",
            json!({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.1", "SOPInstanceUID": "2.25.1.1.1"}),
            0xA900,
            "SOPInstanceUID (0008,0018) is below the query/retrieve level",
        ),
        (
            "study",
            json!({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.1", "PatientComments": "x".repeat(2 << 20)}),
            0xC000,
            "identifier is too large",
        ),
    ] {
        let orders = json!({"service": "get", "root": root, "keys": keys, "contexts": ct_in(&[EXPLICIT])});
        let refused = retrieve(&server, &orders);
        assert_eq!(refused.responses.len(), 1);
        assert_eq!(refused.last()["status"].as_u64(), Some(status), "{}", refused.last());
        assert!(refused.last()["comment"].as_str().unwrap().starts_with(comment), "{}", refused.last());
        assert!(refused.data_sets.is_empty());
        let (log, status) = (server.log(), format!("status={status:04X}H"));
        let is_told =
            |line: &str| line.contains("not done") && line.contains(&status) && line.contains(comment);
        assert!(log.lines().any(|line| line.contains("level=info") && is_told(line)), "{comment}:\n{log}");
    }
}

#[test]
fn a_cancel_ends_it() {
    let server = Server::start();
    fill(&server, 1, 1_000);
    let orders = json!({"service": "get", "keys": study(1), "contexts": ct_in(&ALL), "cancel_after": 1});
    let got = retrieve(&server, &orders);
    let last = got.last();
    assert_eq!(last["status"].as_u64(), Some(0xFE00), "{last}");
    let [remaining, completed] = ["remaining", "completed"].map(|key| last[key].as_u64().unwrap());
    assert!(remaining > 0 && remaining + completed == 1_004, "{last}");
    assert_eq!(got.data_sets.len() as u64, completed);
}

#[test]
fn getscu_gets_what_its_contexts_take_and_copies_of_what_they_do_not() {
    let server = Server::start();
    let kept = fill(&server, 1, 5);
    let (of_series, of_study, of_patient) = (
        ["-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "SeriesInstanceUID=2.25.1.1"],
        ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.1"],
        ["-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P1"],
    );
    // Of what getscu offers in one context, what most of the CT can be sent in as they are is taken, not what it offers first and one is
    // stored in. The JPEG is no JPEG and fails.
    for (keys, proposes, syntax, as_kept, copies) in [
        (of_series, "+xe", EXPLICIT, 5, 0),
        (of_study, "+xe", EXPLICIT, 6, 2),
        (of_patient, "+xy", EXPLICIT, 6, 2),
        (of_study, "+xd", EXPLICIT, 6, 2),
    ] {
        let folder = TempDir::new().unwrap();
        let mut getscu = dcmtk("getscu");
        getscu.args(["-v", "+B", proposes, "-aec", "GANTRY", "-od"]).arg(folder.path()).args(keys);
        let (ok, printed) = run(getscu.args(["127.0.0.1", &server.dimse.port().to_string()]));
        // Where some failed, it does not read the list of these, which then is in the way when it releases.
        assert!(ok || copies > 0, "{printed}");
        let files = files_below(folder.path());
        assert_eq!(files.len(), as_kept + copies, "{proposes}: {printed}");
        assert!(files.iter().all(|path| instance(path).0 == syntax), "{proposes}: {printed}");
        let start = if keys == of_series { "2.25.1.1." } else { "2.25.1." };
        let is_meant = |kept: &&Kept| kept.syntax == syntax && kept.instance.starts_with(start);
        let expected: Vec<&Kept> = kept.iter().filter(is_meant).collect();
        assert_eq!(expected.len(), as_kept);
        for kept in expected {
            let file =
                files.iter().find(|path| path.display().to_string().ends_with(&kept.instance)).unwrap();
            assert!(data_set_of(&fs::read(file).unwrap()) == kept.sent(), "{proposes}: bit by bit");
        }
    }
}

#[test]
fn two_thousand_instances_cost_no_memory() {
    let server = Server::start();
    fill(&server, 1, 200);
    let get = |study_number| {
        let orders = json!({"service": "get", "keys": study(study_number), "contexts": ct_in(&ALL)});
        retrieve(&server, &orders)
    };
    get(1);
    fill(&server, 2, 2_200);
    server.reset_peak();
    let before = server.resident_bytes();
    let got = get(2);
    assert_last(got.last(), 0x0000, [2_204, 0, 0]);
    let growth = server.peak_resident_bytes().saturating_sub(before);
    assert!(growth < 8 << 20, "it grew by {growth} bytes");
}
