//! The tour: a study from storescu to a PACS and a bucket, and why it went there.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Server, dcmtk, run};
use crate::routed::{dicom, s3};
use crate::seaweed::SeaweedFs;
use crate::sinks::Orthanc;
use crate::synthetic::{Object, data_set_of};

#[test]
fn a_study_goes_from_storescu_to_orthanc_and_seaweedfs_and_is_explained() {
    let seaweed = SeaweedFs::start();
    let orthanc = Orthanc::start(seaweed.s3);
    let rules = r#"
        [[rule]]
        name = "ER chest CT"
        when = '''
          from.aet in ["ER_CT1", "ER_CT2"]
          && Modality == "CT" && startsWith(PatientName.family, "test")
        '''
        send = ["pacs", "cloud"]
    "#;
    let tables = dicom("pacs", "ORTHANC", orthanc.dicom) + &s3("cloud", seaweed.s3);
    let server = Server::routed(rules, &tables);
    let study = TempDir::new().unwrap();
    let objects: Vec<_> = (1..=12).map(|n| Object::new(1, n % 3, n)).collect();
    for object in &objects {
        fs::write(study.path().join(&object.instance), object.file()).unwrap();
    }
    let port = server.dimse.port().to_string();
    let mut storescu = dcmtk("storescu");
    storescu.args(["-aet", "ER_CT2", "-aec", "GANTRY", "+sd", "127.0.0.1", &port]).arg(study.path());
    let (sent, printed) = run(&mut storescu);
    assert!(sent, "{printed}");
    server.wait_until_delivered("pacs", objects.len());
    server.wait_until_delivered("cloud", objects.len());

    let at_pacs = orthanc.get("/instances");
    assert_eq!(at_pacs.as_array().unwrap().len(), objects.len());
    let series = orthanc.get("/series");
    assert_eq!(series.as_array().unwrap().len(), 3);
    let stored = seaweed.objects("v1/");
    assert_eq!(stored.len(), objects.len());
    for stored in stored {
        let object = objects.iter().find(|object| stored.key.ends_with(&format!("/{}.dcm", object.instance)));
        let object = object.unwrap_or_else(|| panic!("{}", stored.key));
        assert!(data_set_of(&seaweed.get(&stored.key)) == object.data_set(), "{}", stored.key);
    }
    let explain = |uid: &str, expected: &[&str]| {
        let ran = server.command(&["explain", uid]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        for words in expected {
            assert!(ran.printed.contains(words), "{words:?} is not in\n{}", ran.printed);
        }
    };
    let why = [
        "ER chest CT",
        "from.aet in [\"ER_CT1\", \"ER_CT2\"]",
        "ER_CT2",
        "startsWith(PatientName.family, \"test\")",
        "Test1",
        "pacs",
        "cloud",
        "delivered",
    ];
    explain(&objects[4].instance, &why);
    explain(&objects[4].series, &["4 instances", "ER chest CT", "pacs", "cloud", "delivered"]);
    explain(&objects[4].study, &["12 instances", "ER chest CT", "pacs", "cloud", "delivered"]);
}
