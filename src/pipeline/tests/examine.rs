use std::path::Path;

use model::{Scope, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, part10, syntax};

use super::{CT, Home, data_set, uid};
use crate::{Error, Examined, examine, examine_stored};

fn examined(bytes: &[u8]) -> Result<Examined, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.dcm");
    std::fs::write(&path, bytes).unwrap();
    examine(&path)
}

fn file() -> Vec<u8> {
    let ids = (&SopClassUid::parse(CT).unwrap(), &SopInstanceUid::parse(&uid(7)).unwrap());
    let explicit = TransferSyntaxUid::parse(syntax::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
    [part10::write(ids, &explicit, None), data_set(7, CT, "seen")].concat()
}

#[test]
fn a_file_is_seen_as_it_would_be_when_received() {
    let seen = examined(&file()).unwrap();
    assert_eq!((seen.ids.sop_instance.as_str(), seen.ids.study.as_str()), (uid(7).as_str(), "2.25.1"));
    assert_eq!(seen.transfer_syntax.as_str(), syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    assert_eq!(seen.header.text(Tag(0x0020, 0x4000)).as_deref(), Some("seen"));
}

#[test]
fn what_cannot_be_received_is_refused_for_the_same_reason() {
    assert!(matches!(examined(b"").unwrap_err(), Error::NotPart10));
    assert!(matches!(examined(b"#!/bin/sh\n").unwrap_err(), Error::NotPart10));
    assert!(matches!(examined(&data_set(7, CT, "")).unwrap_err(), Error::NotPart10));
    assert!(matches!(examined(&file()[..150]).unwrap_err(), Error::NotPart10 | Error::Part10(_)));
    let meta_only = file().len() - data_set(7, CT, "seen").len();
    assert!(matches!(examined(&file()[..meta_only]).unwrap_err(), Error::MissingUid(_)));
    assert!(matches!(examine(Path::new("/nowhere/at/all")).unwrap_err(), Error::File(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_instance_is_seen_again() {
    let home = Home::new(&[]).await;
    home.store(7, CT).await;
    let scope = Scope { study: StudyInstanceUid::parse("2.25.1").unwrap(), series: None, instance: None };
    let page = home.pipeline.instances(&scope, None).await.unwrap();
    let seen = examine_stored(&page.rows[0]).unwrap();
    assert_eq!(
        (seen.ids, seen.transfer_syntax),
        (page.rows[0].ids.clone(), page.rows[0].transfer_syntax.clone())
    );
    assert_eq!(seen.header.elements().count(), 5);
}
