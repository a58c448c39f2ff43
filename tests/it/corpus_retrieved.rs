//! Public files that nobody here wrote: in by `gantry send`, back by C-GET and by C-MOVE, the same data set bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use model::SopInstanceUid;
use serde_json::{Value, json};

use crate::corpus::{Row, manifest, reason_against, send, split};
use crate::harness::{Server, corpus, say};
use crate::retrieving::{Retrieved, retrieve};
use crate::sinks::StoreScp;
use crate::transcoding::{compare, instance};

/// Presentation contexts that one association has for storage, beside that of the service.
const CONTEXTS: usize = 127;
/// Transfer syntaxes of the corpus that storescp 3.6.7 does not take: it gets copies in Explicit VR Little Endian.
const UNKNOWN_TO_DCMTK: [&str; 8] = [
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.8.1",
    "1.3.6.1.4.1.99999.7.2",
];
/// Those of them that are not decoded.
const NOT_DECODED: [&str; 2] = ["1.2.840.10008.1.2.4.94", "1.3.6.1.4.1.99999.7.2"];
/// Files that come back by C-GET, those of them that storescp is moved, and the copies among these.
const RETRIEVED: (usize, (usize, usize)) = (323, (314, 7));

#[test]
fn every_sound_file_is_retrieved_bit_exact() {
    let Some(corpus) = corpus() else { return };
    let files = sound(&corpus);
    let destination = StoreScp::with(&["+xa", "--promiscuous"]);
    let peer = format!("[peer.storescp]\nae_title = \"STORESCP\"\naddress = \"{}\"\n", destination.address);
    let server = Server::with("", "", &peer);
    send(&server, files.values().map(|(row, _)| corpus.join(&row.path)));
    let got = get(&server, &files);
    say(&format!("corpus: {got} public files came back by C-GET"));
    let moved = relay(&server, &destination, &files);
    say(&format!("corpus: {} and {} copies of public files came to storescp by C-MOVE", moved.0, moved.1));
    assert_eq!((got, moved), RETRIEVED);
}

/// By SOP Instance UID; of several files with one, the first.
pub(crate) type Files = BTreeMap<String, (Row, Vec<u8>)>;

fn sound(corpus: &Path) -> Files {
    let mut files = Files::new();
    for row in manifest(&corpus.join("MANIFEST.csv")) {
        let file = fs::read(corpus.join(&row.path)).unwrap();
        // pynetdicom aborts where it is told of a UID that is none.
        let is_told = is_uid(&row.sop_instance) && is_uid(&row.sop_class);
        if reason_against(&row, &file).is_none() && is_told {
            files.entry(row.sop_instance.clone()).or_insert((row, file));
        }
    }
    files
}

/// As PS3.5 §9.1 has it, without leading zeros in a component.
pub(crate) fn is_uid(text: &str) -> bool {
    SopInstanceUid::parse(text).is_ok() && text.split('.').all(|part| part == "0" || !part.starts_with('0'))
}

/// What pynetdicom gets is what was sent; how many instances that are.
fn get(server: &Server, files: &Files) -> usize {
    let got = get_all(server, files);
    for (uid, data_set) in &got {
        let (row, file) = &files[uid];
        assert!(*data_set == padded(file), "{}", row.path);
    }
    got.len()
}

/// What pynetdicom gets of these: it takes any transfer syntax of any SOP class.
pub(crate) fn get_all(server: &Server, files: &Files) -> BTreeMap<String, Vec<u8>> {
    let kind = |row: &Row| (row.sop_class.clone(), row.transfer_syntax.clone());
    let kinds: BTreeSet<_> = files.values().map(|(row, _)| kind(row)).collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    let mut got = BTreeMap::new();
    for kinds in kinds.chunks(CONTEXTS) {
        let meant: Vec<&String> =
            files.iter().filter(|(_, (row, _))| kinds.contains(&kind(row))).map(|(uid, _)| uid).collect();
        let contexts: Value = kinds.iter().map(|(class, syntax)| json!([class, syntax])).collect();
        let orders = json!({
            "service": "get", "contexts": contexts,
            "keys": {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": meant},
        });
        let Retrieved { responses, data_sets } = retrieve(server, &orders);
        let last = responses.last().unwrap();
        assert_eq!(last["status"].as_u64(), Some(0), "{last}");
        got.extend(data_sets);
    }
    got
}

/// How many come bit by bit, and how many as copies.
fn relay(server: &Server, destination: &StoreScp, files: &Files) -> (usize, usize) {
    let meant: Vec<&String> = files.keys().collect();
    let orders = json!({
        "service": "move", "destination": "STORESCP",
        "keys": {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": meant},
    });
    let last = retrieve(server, &orders).responses.pop().unwrap();
    let failed: BTreeSet<&str> =
        last["failed_uids"].as_array().into_iter().flatten().map(|uid| uid.as_str().unwrap()).collect();
    let refused: BTreeSet<&str> = failed.iter().map(|uid| files[*uid].0.transfer_syntax.as_str()).collect();
    assert_eq!(refused, BTreeSet::from(NOT_DECODED));
    let mut found: BTreeMap<Vec<u8>, PathBuf> = BTreeMap::new();
    for path in destination.files() {
        let file = fs::read(&path).unwrap();
        assert!(found.insert(split(&file).unwrap().1.to_vec(), path).is_none());
    }
    let arrived = files.values().filter(|(row, _)| !failed.contains(row.sop_instance.as_str()));
    let (copied, as_kept): (Vec<_>, Vec<_>) =
        arrived.partition(|(row, _)| UNKNOWN_TO_DCMTK.contains(&row.transfer_syntax.as_str()));
    for (row, file) in &as_kept {
        assert!(found.remove(&padded(file)).is_some(), "{}: bit by bit", row.path);
    }
    let copies: BTreeMap<String, PathBuf> =
        found.into_values().map(|path| (instance(&path).1, path)).collect();
    let corpus = corpus().unwrap();
    let pairs: Vec<_> =
        copied.iter().map(|(row, _)| (corpus.join(&row.path), copies[&row.sop_instance].clone())).collect();
    assert_eq!(pairs.len(), copies.len(), "{last}");
    for (path, verdict) in compare(&pairs) {
        assert!(verdict.starts_with("equal") || verdict.starts_with("within 1 "), "{path}: {verdict}");
    }
    (as_kept.len(), copies.len())
}

/// The data set of a file, of even length.
pub(crate) fn padded(file: &[u8]) -> Vec<u8> {
    let (_, data_set) = split(file).unwrap();
    [data_set, &[0][..data_set.len() % 2]].concat()
}
