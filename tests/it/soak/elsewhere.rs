//! What stands in other archives, of which two are well, one mute, and one gives nothing without damage; and storage commitment
//! reports that go over associations of the server's.

use std::io::Write;
use std::time::Duration;

use super::hostile::keep;
use super::pool::{FAR, FAR_INSTANCES, ODD, ODD_STUDIES, identifier, object};
use super::valid::{FIND, GET, MOVE, ask, counter, get_scu, got, holds, last_of};
use super::{Held, Hostile, Random, Stage, Valid};
use crate::commitment::{COMMITMENT, action, n_action};
use crate::harness::{eventually, say};
use crate::scu::{Scu, associate_rq, padded};
use crate::synthetic::{EXPLICIT, data_set_of};

pub(super) const ACTS: &[(&str, Valid)] = &[
    ("C-FIND of what is elsewhere", find),
    ("QIDO-RS of what is elsewhere", qido),
    ("C-GET of what is elsewhere", get),
    ("C-MOVE of what is elsewhere", move_),
    ("WADO-RS of what is elsewhere", wado),
    ("storage commitment over two associations", commit),
];

pub(super) const HARM: &[(&str, Hostile)] = &[
    ("damaged rows", damaged_rows),
    ("damaged retrieve", damaged_retrieve),
    ("damaged commitment", damaged_commitment),
    ("commitment to thousands", commitment_to_thousands),
    ("gone before the report", gone_before_the_report),
];

/// A study of ours and one that is never fetched: each once, ours first.
fn find(stage: &Stage, random: &mut Random) {
    let ours = stage.pool.fixed(random).study;
    let theirs = object(FAR, 1, 1).study;
    let mut scu = stage.peers.associate(&[(FIND, &[EXPLICIT])]);
    let uids = format!("{theirs}\\{ours}");
    let keys = [(0x20, 0x0D, "UI", uids.as_str()), (0x08, 0x54, "AE", ""), (0x08, 0x56, "CS", "")];
    let rows = scu.find(1, FIND, &identifier("STUDY", &keys)).unwrap();
    let (last, rows) = rows.split_last().unwrap();
    assert_eq!((last.status(), rows.len()), (0, 2), "{last:?}");
    for (row, words) in rows.iter().zip([[&ours, "GANTRY", "ONLINE"], [&theirs, "GANTRY\\FAR", "NEARLINE"]]) {
        assert!(words.iter().all(|word| holds(row.data.as_deref(), word)), "{words:?}");
    }
    scu.release().unwrap();
}

fn qido(stage: &Stage, _: &mut Random) {
    let theirs = object(FAR, 1, 1);
    for (path, count) in [
        (format!("/studies?PatientID={}", theirs.patient_id), 1),
        (format!("/studies/{}/series", theirs.study), 1),
        (format!("/studies/{}/instances", theirs.study), FAR_INSTANCES as usize),
    ] {
        let answer = stage.peers.server().get(&format!("/dicom-web{path}"));
        let rows = answer.json();
        assert_eq!((answer.status, rows.as_array().unwrap().len()), (200, count), "{path}");
        assert_eq!(rows[0]["00080056"]["Value"][0], "NEARLINE", "{path}");
    }
}

fn get(stage: &Stage, random: &mut Random) {
    let study = stage.pool.elsewhere(random).study;
    got(stage, &study, FAR_INSTANCES as u16);
}

fn move_(stage: &Stage, random: &mut Random) {
    let study = stage.pool.elsewhere(random).study;
    let mut scu = stage.peers.associate(&[(MOVE, &[EXPLICIT])]);
    ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"STORESCP")], &study);
    let last = last_of(&mut scu);
    assert_eq!((last.status(), counter(&last, 0x1021)), (0, FAR_INSTANCES as u16), "{study}: {last:?}");
    scu.release().unwrap();
}

fn wado(stage: &Stage, random: &mut Random) {
    let object = stage.pool.elsewhere(random);
    let url = format!("/dicom-web/studies/{}", object.study);
    let one = format!("{url}/series/{}/instances/{}", object.series, object.instance);
    let one = stage.peers.server().get_as(&one, "application/dicom; transfer-syntax=*");
    assert_eq!(one.status, 200, "{}: {one:?}", object.instance);
    assert!(data_set_of(&one.body) == object.data_set(), "{}", object.instance);
    let study = stage.peers.server().get(&url);
    assert_eq!((study.status, study.parts().len()), (200, FAR_INSTANCES as usize), "{url}");
}

fn commit(stage: &Stage, random: &mut Random) {
    let known = stage.pool.fixed(random).instance;
    let transaction = format!("2.25.77.{}", stage.number());
    let unknown = format!("2.25.78.{}", random.below(100));
    let is_all = random.is_one_in(2);
    let instances = if is_all { vec![known.as_str()] } else { vec![known.as_str(), unknown.as_str()] };
    let mut scu = called(stage, "MODALITY");
    assert_eq!(n_action(&mut scu, &transaction, &instances), 0);
    scu.release().unwrap();
    let mut report = None;
    eventually("the report comes", || {
        report = stage.peers.called.report(&transaction);
        report.is_some()
    });
    let report = report.unwrap();
    assert_eq!(counter(&report, 0x1002), if is_all { 1 } else { 2 });
    assert!(instances.iter().all(|uid| holds(report.data.as_deref(), uid)));
}

/// An association for storage commitment of a caller of this name.
fn called(stage: &Stage, title: &str) -> Scu {
    let request = associate_rq("GANTRY", title, &[(COMMITMENT, &[EXPLICIT])]);
    Scu::request(stage.peers.server().dimse, &request).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// Says what the server counted of the archives: each was met, and gave what it gives.
pub(super) fn assert_all_was_met(stage: &Stage) {
    let text = String::from_utf8(stage.peers.server().get("/metrics").body).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("gantry_upstream_") && !line.ends_with(" 0"));
    let counts: Vec<_> = lines.filter(|line| !line.contains("_seconds")).collect();
    say(&format!("soak: upstream archives\n  {}", counts.join("\n  ")));
    for count in [
        r#"queries_total{upstream="far",outcome="answered"}"#,
        r#"queries_total{upstream="mute",outcome="late"}"#,
        r#"queries_total{upstream="odd",outcome="answered"}"#,
        r#"fetched_instances_total{upstream="far"}"#,
        r#"fetched_instances_total{upstream="moved"}"#,
    ] {
        assert!(stage.peers.server().metric(&format!("gantry_upstream_{count}")) > 0, "{count}");
    }
}

fn odd(random: &mut Random) -> String {
    object(ODD * 100 + random.below(ODD_STUDIES) as u32, 1, 1).study
}

/// Whatever an archive says, a query has its end; and with it that it was not answered, at most.
fn damaged_rows(stage: &Stage, random: &mut Random) -> Option<Held> {
    let study = odd(random);
    if random.is_one_in(3) {
        let level = *random.of(&["", "/series", "/instances"]);
        let url = match level {
            "" => format!("/dicom-web/studies?StudyInstanceUID={study}&includefield=all"),
            level => format!("/dicom-web/studies/{study}{level}?includefield=all"),
        };
        let answer = stage.peers.server().get(&url);
        assert_eq!(answer.status, 200, "{url}: {answer:?}");
        answer.json();
        return None;
    }
    let mut scu = stage.peers.associate(&[(FIND, &[EXPLICIT])]);
    let keys = [
        (0x20, 0x0D, "UI", study.as_str()),
        (0x20, 0x0E, "UI", ""),
        (0x08, 0x18, "UI", ""),
        (0x10, 0x10, "PN", *random.of(&["", "Test*"])),
        (0x10, 0x4000, "LT", ""),
    ];
    let level = random.of::<&str>(&["STUDY", "SERIES", "IMAGE"]);
    let rows = scu.find(1, FIND, &identifier(level, &keys)).unwrap();
    assert!(matches!(rows.last().unwrap().status(), 0 | 0xA900), "{level}: {:?}", rows.last());
    keep(random, scu)
}

fn damaged_retrieve(stage: &Stage, random: &mut Random) -> Option<Held> {
    let study = odd(random);
    match random.below(3) {
        0 => {
            let answer = stage.peers.server().get(&format!("/dicom-web/studies/{study}"));
            assert!(matches!(answer.status, 200 | 206 | 404 | 406 | 502), "{answer:?}");
            None
        }
        1 => {
            let mut scu = stage.peers.associate(&[(MOVE, &[EXPLICIT])]);
            ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"STORESCP")], &study);
            last_of(&mut scu);
            keep(random, scu)
        }
        _ => {
            // It does not take what may come.
            let mut scu = get_scu(stage);
            ask(&mut scu, 0x0010, GET, &[], &study);
            drop(scu.receive());
            keep(random, scu)
        }
    }
}

fn damaged_commitment(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut data = action(&format!("2.25.79.{}", random.below(20)), &["2.25.1.1.1", "2.25.1.1.2"]);
    // Between the UIDs, so that it is no other request that is kept for long.
    let at = *random.of(&[2, 3, 4, 5, 6, 7, 20, 21, 22, 23, 24, 25, 30, 31, 32, 36, 37]);
    match random.below(3) {
        0 => data.truncate(random.below(data.len())),
        _ => data[at] = random.below(256) as u8,
    }
    let mut scu = stage.peers.associate(&[(COMMITMENT, &[EXPLICIT])]);
    scu.stream().set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let class = padded(COMMITMENT);
    let instance = padded("1.2.840.10008.1.20.1.1");
    let extra: [(u16, &[u8]); 3] = [(0x0003, &class), (0x1001, &instance), (0x1008, &[1, 0])];
    let command = scu.command(0x0130, COMMITMENT, &extra, true);
    drop(scu.send(1, true, &command));
    drop(scu.send(1, false, &data));
    drop(scu.receive());
    keep(random, scu)
}

/// Instances that nobody knows, and more than may be; some wait for the report and do not answer it.
fn commitment_to_thousands(stage: &Stage, random: &mut Random) -> Option<Held> {
    let which = random.below(10);
    let count = if which == 0 { 20_001 } else { 2_000 * which };
    let instances: Vec<String> = (0..count).map(|n| format!("2.25.80.{which}.{n}")).collect();
    let instances: Vec<&str> = instances.iter().map(String::as_str).collect();
    let mut scu = stage.peers.associate(&[(COMMITMENT, &[EXPLICIT])]);
    let status = n_action(&mut scu, &format!("2.25.80.{which}"), &instances);
    assert_eq!(status, if which == 0 { 0x0213 } else { 0 });
    if random.is_one_in(2) && which > 0 {
        let report = scu.receive().unwrap();
        assert_eq!(counter(&report, 0x1002), 2);
    }
    keep(random, scu)
}

/// The report goes to nobody, to a peer that is not there, to one that is mute, and to one that has forgotten what it asked for.
fn gone_before_the_report(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut scu = called(stage, random.of::<&str>(&["SOAK", "GONE", "MUTE", "MODALITY"]));
    // One after the other is tried at the mute one.
    let transaction = format!("2.25.81.{}", random.below(4));
    let instance = object(1, 1, 1).instance;
    assert_eq!(n_action(&mut scu, &transaction, &[&instance]), 0);
    match random.below(3) {
        0 => scu.release().unwrap(),
        1 => drop(scu.stream().write_all(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0])),
        _ => drop(scu),
    }
    None
}
