//! Queries of foreign clients beyond the plain ones: extended negotiation, sequences, any attribute as return key.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Server, dcmtk, python, run};
use crate::scu::element;
use crate::sinks::script;
use crate::synthetic::{CT, EXPLICIT, Object, part10};

#[test]
fn pynetdicom_negotiates_matches_and_gets_what_it_asks_for() {
    let server = Server::start();
    let (ok, printed) = run(python().arg(script("queries.py")).arg(server.dimse.port().to_string()));
    assert!(ok, "{printed}");
}

#[test]
fn findscu_is_returned_what_only_the_stored_object_knows() {
    let server = Server::start();
    let object = Object::new(31, 1, 1);
    let data_set = object.data_set();
    // Between Modality and Patient's Name, and behind Patient ID.
    let at = data_set.windows(4).position(|window| window == [0x10, 0, 0x10, 0]).unwrap();
    let uids = data_set.windows(4).position(|window| window == [0x20, 0, 0x0D, 0]).unwrap();
    let pixels = data_set.windows(4).position(|window| window == [0xE0, 0x7F, 0x10, 0]).unwrap();
    let data_set = [
        &data_set[..at],
        &element(0x0008, 0x1048, "PN", "Record^Physician"),
        &data_set[at..uids],
        &element(0x0018, 0x0050, "DS", "2.50"),
        &element(0x0018, 0x1000, "LO", "SN-31"),
        &data_set[uids..pixels],
        &[0x40, 0, 0x75, 0x02, b'S', b'Q', 0, 0, 34, 0, 0, 0, 0xFE, 0xFF, 0, 0xE0, 26, 0, 0, 0],
        &element(0x0040, 0x0009, "SH", "SPS31"),
        &element(0x0040, 0x1001, "SH", "RP31"),
        &data_set[pixels..],
    ]
    .concat();
    let file = part10(CT, &object.instance, EXPLICIT, &data_set);
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);

    let find = |level: &str, keys: &[&str]| {
        let folder = TempDir::new().unwrap();
        let mut findscu = dcmtk("findscu");
        findscu.args(["-v", "-X", "-od"]).arg(folder.path()).args(["-S", "-aec", "GANTRY"]);
        for key in keys.iter().chain(&[&*format!("QueryRetrieveLevel={level}")]) {
            findscu.args(["-k", key]);
        }
        let (ok, printed) = run(findscu.args(["127.0.0.1", &server.dimse.port().to_string()]));
        assert!(ok, "{printed}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{printed}");
        let (ok, dumped) = run(dcmtk("dcmdump").args(["+fo", "-q", "+sd"]).arg(folder.path()));
        assert!(ok, "{dumped}");
        dumped
    };
    let request = "RequestAttributesSequence[0].ScheduledProcedureStepID";
    let series = find("SERIES", &["StudyInstanceUID=2.25.31", &format!("{request}=SPS*")]);
    assert!(series.contains("[SPS31]") && !series.contains("[RP31]"), "{series}");
    let study = find("STUDY", &["PatientID=P31", "PhysiciansOfRecord", "RetrieveAETitle=GAN*"]);
    assert!(study.contains("[Record^Physician]") && study.contains("[GANTRY]"), "{study}");
    let series = find("SERIES", &["StudyInstanceUID=2.25.31", "DeviceSerialNumber", "PhysiciansOfRecord"]);
    assert!(series.contains("[SN-31]") && series.contains("[Record^Physician]"), "{series}");
    let image =
        find("IMAGE", &["SOPInstanceUID=2.25.31.1.1", "SliceThickness", "BitsStored", "PixelSpacing"]);
    assert!(image.contains("[2.50]") && image.contains("US 16"), "{image}");
    assert!(image.contains("(0028,0030) DS (no value available)"), "{image}");
}
