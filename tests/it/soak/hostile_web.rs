//! What clients do wrong over HTTP.

use std::io::{Read, Write};

use super::hostile::keep;
use super::pool::LARGE;
use super::{Held, Hostile, Random, Stage};
use crate::synthetic::EXPLICIT;

pub(super) const ACTS: &[(&str, Hostile)] = &[
    ("damaged upload", damaged_upload),
    ("broken multipart", broken_multipart),
    ("broken HTTP", broken_http),
    ("slow HTTP", slow_http),
    ("strange URL", strange_url),
    ("lying pixels", lying_pixels),
];

fn damaged_upload(stage: &Stage, random: &mut Random) -> Option<Held> {
    let files: Vec<_> = (0..=random.below(4)).map(|_| stage.pool.damaged(random)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let answer = stage.peers.server().stow("/dicom-web/studies", &files);
    assert!(matches!(answer.status, 200 | 202 | 400 | 409), "{}", answer.status);
    None
}

fn broken_multipart(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut body = b"--part\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend(stage.pool.fixed(random).file());
    body.extend(b"\r\n--part--\r\n");
    // In the frame of the part, not in the object.
    let mut head = body[..44].to_vec();
    random.damage(&mut head);
    let rest = &body[44..body.len() - random.below(40)];
    let content_type = *random.of(&[
        "multipart/related; type=\"application/dicom\"; boundary=part",
        "multipart/related; boundary=",
        "application/dicom+json",
        "text/plain",
    ]);
    let answer = stage.peers.server().post("/dicom-web/studies", content_type, &[&head, rest].concat());
    assert!(answer.status < 500, "{}", answer.status);
    None
}

fn broken_http(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut stream = stage.peers.connect(stage.peers.server().web);
    let chunked = "POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=x\r\n\r\n";
    let length = random.below(2_000);
    let bytes = match random.below(6) {
        0 => random.bytes(length),
        1 => format!("{chunked}zz\r\n").into_bytes(),
        2 => format!("{chunked}ffffffffffffffff\r\nx").into_bytes(),
        3 => format!("GET /dicom-web/studies HTTP/1.1\r\n{}", "a: b\r\n".repeat(30_000)).into_bytes(),
        4 => b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0".to_vec(),
    };
    drop(stream.write_all(&bytes));
    drop(stream.read(&mut [0; 512]));
    keep(random, stream)
}

/// Half a request, or a request whose answer is not read.
fn slow_http(stage: &Stage, random: &mut Random) -> Option<Held> {
    let mut stream = stage.peers.connect(stage.peers.server().web);
    let request = match random.below(4) {
        0 => "GET /dicom-web/studies HTTP/1.1\r\nHo".to_owned(),
        1 => "POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=x\r\n\r\n--x\r\n".to_owned(),
        2 => format!("GET {LARGE} HTTP/1.1\r\nHost: a\r\nAccept: application/dicom; transfer-syntax=*\r\n\r\n"),
        _ => "GET /dicom-web/instances?includefield=all HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    };
    drop(stream.write_all(request.as_bytes()));
    drop(stream.read(&mut [0; 100]));
    keep(random, stream)
}

fn strange_url(stage: &Stage, random: &mut Random) -> Option<Held> {
    let long = "9".repeat(9_000);
    let paths = [
        "/studies?PatientName=%FF%FE".to_owned(),
        format!("/studies?PatientName={long}"),
        format!("/studies/{long}/series"),
        format!("/studies?{}", "00100020=A&".repeat(500)),
        "/studies?limit=99999999999999999999".to_owned(),
        "/studies?StudyDate=00000000-99999999".to_owned(),
        "/studies/../../../etc/passwd".to_owned(),
        format!("/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.1/frames/{}", "1,".repeat(2_000)),
        "/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.1/bulkdata/7FE00010/x/y".to_owned(),
    ];
    let path = format!("/dicom-web{}", random.of(&paths));
    let answer = stage.peers.server().get(&path);
    assert!(answer.status < 500, "{path:.80}: {}", answer.status);
    None
}

/// Objects whose frames are not what the object says are not made into others, whatever is asked for.
fn lying_pixels(stage: &Stage, random: &mut Random) -> Option<Held> {
    let server = stage.peers.server();
    let path = stage.pool.liar(random);
    let answer = server.get_as(&path, &format!("application/dicom; transfer-syntax={EXPLICIT}"));
    assert!(matches!(answer.status, 406 | 200), "{path}: {}", answer.status);
    let url = format!("{path}/frames/1");
    let frame = server.get_as(&url, "multipart/related; type=\"application/octet-stream\"");
    assert!(frame.status < 500, "{url}: {}", frame.status);
    None
}
