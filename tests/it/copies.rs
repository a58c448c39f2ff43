//! C-GET and C-MOVE where the other end does not take what is stored: it gets copies, compared by decoders that nobody here wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, corpus, dcmtk, eventually, files_below, run};
use crate::retrieving::{assert_last, ct_in, retrieve, study};
use crate::sinks::{Scripted, StoreScp};
use crate::synthetic::{CT, Object, data_set_of, part10};
use crate::transcoding::{compare, instance};

const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const RLE: &str = "1.2.840.10008.1.2.5";
/// In JPEG 2000, RLE, deflated, and in JPEG with losses.
const FILES: [&str; 4] = [
    "pydicom__pydicom/MR_small_jp2klossless.dcm",
    "pydicom__pydicom/SC_rgb_rle_2frame.dcm",
    "pydicom__pydicom/image_dfl.dcm",
    "pydicom__pylibjpeg-data/JPEGBaseline_1s_1f_u_08_08.dcm",
];
/// Its single bits are not decoded.
const NOT_DECODED: &str = "pydicom__pydicom-data/liver_rle.dcm";

/// Stores public files; by SOP Instance UID.
fn store(server: &Server, names: &[&str]) -> Option<BTreeMap<String, PathBuf>> {
    let root = corpus()?.join("files");
    let paths: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    let bodies: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    assert_eq!(server.stow("/dicom-web/studies", &bodies).status, 200);
    Some(paths.into_iter().map(|path| (instance(&path).1, path)).collect())
}

fn images(stored: &BTreeMap<String, PathBuf>) -> Value {
    json!({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": stored.keys().collect::<Vec<_>>()})
}

/// What came in other transfer syntaxes than these is one of them, in pixels that others decode alike; the rest is as it is stored.
fn assert_like(stored: &BTreeMap<String, PathBuf>, came: &[PathBuf], taken: &[&str]) {
    let mut pairs = Vec::new();
    for path in came {
        let (syntax, uid) = instance(path);
        let original = &stored[&uid];
        if instance(original).0 == syntax {
            let (kept, got) = (fs::read(original).unwrap(), fs::read(path).unwrap());
            assert!(data_set_of(&kept) == data_set_of(&got), "{}", original.display());
        }
        assert!(taken.contains(&syntax.as_str()), "{syntax}: {}", original.display());
        pairs.push((original.clone(), path.clone()));
    }
    for (path, verdict) in compare(&pairs) {
        assert!(verdict.starts_with("equal") || verdict.starts_with("within 1 "), "{path}: {verdict}");
    }
}

/// Writes what pynetdicom got in this transfer syntax as files.
fn as_files(folder: &Path, data_sets: &BTreeMap<String, Vec<u8>>, syntax: &str) -> Vec<PathBuf> {
    let write = |(uid, data): (&String, &Vec<u8>)| {
        let path = folder.join(uid);
        fs::write(&path, part10("1.2.840.10008.5.1.4.1.1.7", uid, syntax, data)).unwrap();
        path
    };
    data_sets.iter().map(write).collect()
}

#[test]
fn storescp_is_moved_what_it_can_read() {
    for (options, taken) in [
        (&["+xi"][..], &[IMPLICIT_VR_LITTLE_ENDIAN][..]),
        // These take the native ones as well.
        (&["+xe"], &[EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]),
        (&["+xr"], &[RLE, EXPLICIT_VR_LITTLE_ENDIAN]),
    ] {
        let destination = StoreScp::with(options);
        let peer = format!("[peer.pacs]\nae_title = \"STORESCP\"\naddress = \"{}\"\n", destination.address);
        let server = Server::with("", "", &peer);
        let names = [&FILES[..], &[NOT_DECODED]].concat();
        let Some(mut stored) = store(&server, &names) else { return };
        let orders = json!({"service": "move", "destination": "STORESCP", "keys": images(&stored)});
        let moved = retrieve(&server, &orders);
        let takes_rle = taken[0] == RLE;
        if takes_rle {
            assert_last(moved.last(), 0x0000, [5, 0, 0]);
        } else {
            assert_last(moved.last(), 0xB000, [4, 1, 0]);
            let failed = moved.last()["failed_uids"][0].as_str().unwrap();
            assert!(stored.remove(failed).unwrap().ends_with(NOT_DECODED));
            assert!(server.log().contains("in RLE Lossless; not transcoded: "), "{}", server.log());
        }
        let came = destination.files();
        assert_eq!(came.len(), stored.len());
        if !takes_rle {
            assert_like(&stored, &came, taken);
        }
        let copies = if takes_rle { "transcoded=3" } else { "transcoded=4" };
        assert!(server.log().contains(copies), "{}", server.log());
        assert!(files_below(&server.data_dir().join("transcoded")).is_empty(), "copies are removed");
    }
}

#[test]
fn getscu_and_pynetdicom_get_what_they_can_read() {
    let server = Server::start();
    let Some(stored) = store(&server, &FILES) else { return };
    let (folder, port) = (TempDir::new().unwrap(), server.dimse.port().to_string());
    for uid in stored.keys() {
        let key = format!("SOPInstanceUID={uid}");
        let (ok, printed) = run(dcmtk("getscu")
            // By which getscu proposes Explicit VR Little Endian only, whatever it is called.
            .args(["-v", "+B", "+xi", "-S", "-aec", "GANTRY", "-od"])
            .arg(folder.path())
            .args(["-k", "QueryRetrieveLevel=IMAGE", "-k", &key, "127.0.0.1", &port]));
        assert!(ok, "{printed}");
    }
    let came = files_below(folder.path());
    assert_eq!(came.len(), stored.len());
    assert_like(&stored, &came, &[EXPLICIT_VR_LITTLE_ENDIAN]);

    let classes = ["1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7", CT, "1.2.840.10008.5.1.4.1.1.1"];
    for syntax in [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN] {
        let contexts: Value = classes.iter().map(|class| json!([class, syntax])).collect();
        let got =
            retrieve(&server, &json!({"service": "get", "keys": images(&stored), "contexts": contexts}));
        assert_last(got.last(), 0x0000, [FILES.len() as u64, 0, 0]);
        let folder = TempDir::new().unwrap();
        assert_like(&stored, &as_files(folder.path(), &got.data_sets, syntax), &[syntax]);
    }
    assert!(files_below(&server.data_dir().join("transcoded")).is_empty(), "copies are removed");
}

#[test]
fn contexts_fit_what_is_stored() {
    let mut server = Server::start();
    let Some(stored) = store(&server, &FILES[..1]) else { return };
    let (uid, path) = stored.first_key_value().unwrap();
    let mr = "1.2.840.10008.5.1.4.1.1.4";
    for restarts in [false, true] {
        if restarts {
            server.terminate();
            server.start_again();
        }
        // One context, for which the requestor would take any of three.
        let contexts = json!([[mr, [EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000, IMPLICIT_VR_LITTLE_ENDIAN]]]);
        let orders = json!({"service": "get", "keys": images(&stored), "contexts": contexts});
        let got = retrieve(&server, &orders);
        assert_last(got.last(), 0x0000, [1, 0, 0]);
        assert!(got.data_sets[uid] == data_set_of(&fs::read(path).unwrap()), "as it is stored");
    }
}

#[test]
fn a_cancel_ends_what_is_being_transcoded() {
    let server = Server::start();
    for n in 1..=12 {
        // 65,472 rows of 32 pixels.
        let object = Object { pixel_bytes: 65_472 * 64, ..Object::new(1, 1, n) };
        assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    }
    let contexts = ct_in(&[JPEG_2000]);
    let orders = json!({"service": "get", "keys": study(1), "contexts": contexts, "cancel_after": 1});
    let started = Instant::now();
    let last = retrieve(&server, &orders).responses.pop().unwrap();
    assert_eq!(last["status"].as_u64(), Some(0xFE00), "{last}");
    assert!(last["remaining"].as_u64().unwrap() >= 8, "{last}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    eventually("what was being made is given up", || {
        files_below(&server.data_dir().join("transcoded")).is_empty()
    });
}

#[test]
fn what_the_destination_refuses_of_copies_is_listed_and_the_rest_arrives() {
    let destination = Scripted::start(json!({
        "syntaxes": [IMPLICIT_VR_LITTLE_ENDIAN], "statuses": {"2.25.1.1.3": 0xA700, "2.25.1.1.5": "abort"},
    }));
    let peer = format!("[peer.sink]\nae_title = \"SINK\"\naddress = \"{}\"\n", destination.address);
    let server = Server::with("", "", &peer);
    for n in 1..=30 {
        assert_eq!(server.stow("/dicom-web/studies", &[&Object::new(1, 1, n).file()]).status, 200);
    }
    let moved = retrieve(&server, &json!({"service": "move", "keys": study(1), "destination": "SINK"}));
    assert_last(moved.last(), 0xB000, [28, 2, 0]);
    let failed: Vec<&str> =
        moved.last()["failed_uids"].as_array().unwrap().iter().map(|uid| uid.as_str().unwrap()).collect();
    assert!(failed.contains(&"2.25.1.1.3") && failed.contains(&"2.25.1.1.5"), "{failed:?}");
    let mut found = destination.data_sets();
    let mut expected: Vec<Vec<u8>> = (1..=30)
        .filter(|n| ![3, 5].contains(n))
        .map(|n| crate::synthetic::implicit(&Object::new(1, 1, n).data_set()))
        .collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "{} data sets", found.len());
    assert!(files_below(&server.data_dir().join("transcoded")).is_empty(), "copies are removed");
}
