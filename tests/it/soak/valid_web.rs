//! What clients of DICOMweb do right.

use super::pool::{INSTANCES, LARGE, SERIES, native};
use super::{Random, Stage, Valid};
use crate::synthetic::{DEFLATED, IMPLICIT, Object, data_set_of};

pub(super) const ACTS: &[(&str, Valid)] = &[
    ("STOW-RS", stow),
    ("QIDO-RS", qido),
    ("WADO-RS", wado),
    ("WADO-RS transcoded", transcoded),
    ("WADO-RS frames", frames),
    ("WADO-RS metadata", metadata),
    ("WADO-RS of some MiB", large),
    ("status page", operator),
];

fn stow(stage: &Stage, random: &mut Random) {
    let files: Vec<_> = (0..=random.below(5)).map(|_| stage.pool.other(random).file()).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let answer = stage.peers.server().stow("/dicom-web/studies", &files);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

fn qido(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let per_study = (SERIES * INSTANCES) as usize;
    for (path, rows) in [
        (format!("/studies?PatientName={}*", object.patient_name.to_lowercase()), 1),
        (format!("/studies/{}/series", object.study), SERIES as usize),
        (format!("/studies/{}/instances?includefield=all", object.study), per_study),
    ] {
        let answer = stage.peers.server().get(&format!("/dicom-web{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json().as_array().unwrap().len(), rows, "{path}");
    }
}

fn wado(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let server = stage.peers.server();
    let one = server.get_as(&path(&object), "application/dicom; transfer-syntax=*");
    assert!(one.status == 200 && data_set_of(&one.body) == object.data_set());
    let study = server.get(&format!("/dicom-web/studies/{}", object.study));
    assert_eq!((study.status, study.parts().len()), (200, (SERIES * INSTANCES) as usize));
}

fn transcoded(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let to = random.of(&SYNTAXES);
    let accept = format!("application/dicom; transfer-syntax={to}");
    let answer = stage.peers.server().get_as(&path(&object), &accept);
    assert_eq!(answer.status, 200, "{to}");
    let sent = object.data_set();
    assert!(native(&answer.body).ends_with(&sent[sent.len() - object.pixel_bytes..]), "{to}");
}

fn frames(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let url = format!("{}/frames/1", path(&object));
    let native = stage.peers.server().get_as(&url, "multipart/related; type=\"application/octet-stream\"");
    assert!(object.data_set().ends_with(&native.parts()[0].1));
    let made =
        stage.peers.server().get_as(&url, random.of::<&str>(&["image/jls", "image/jp2", "image/dicom-rle"]));
    assert!(matches!(made.status, 200 | 406), "{}", made.status);
}

fn metadata(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let rows = stage.peers.server().get(&format!("{}/metadata", path(&object))).json();
    assert_eq!(rows[0]["00080018"]["Value"][0], object.instance.as_str());
}

fn large(stage: &Stage, _: &mut Random) {
    let answer = stage.peers.server().get_as(LARGE, "application/dicom; transfer-syntax=*");
    assert!(answer.status == 200 && answer.body.len() > 4 << 20);
}

fn operator(stage: &Stage, _: &mut Random) {
    for path in ["/", "/livez", "/readyz", "/metrics"] {
        assert_eq!(stage.peers.server().get(path).status, 200, "{path}");
    }
}

fn path(object: &Object) -> String {
    format!("/dicom-web/studies/{}/series/{}/instances/{}", object.study, object.series, object.instance)
}

const SYNTAXES: [&str; 7] = [
    IMPLICIT,
    DEFLATED,
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
];
