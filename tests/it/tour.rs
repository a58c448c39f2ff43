//! The tour of routing in README, with its files: a study from storescu to a PACS and a bucket, and why it went there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Launch, Server, dcmtk, files_below, run};
use crate::routed::S3_KEYS;
use crate::seaweed::SeaweedFs;
use crate::sinks::Orthanc;
use crate::synthetic::data_set_of;

#[test]
fn a_study_goes_from_storescu_to_orthanc_and_seaweedfs_and_is_explained() {
    let seaweed = SeaweedFs::start();
    let orthanc = Orthanc::start(seaweed.s3);
    let tables = read("deploy/tour/gantry.toml")
        .replace("127.0.0.1:4242", &orthanc.dicom.to_string())
        .replace("127.0.0.1:8333", &seaweed.s3.to_string());
    let files = [("rules.toml", &*read("deploy/tour/rules.toml"))];
    let launch = Launch { environment: S3_KEYS, ..Launch::default() };
    let server = Server::furnished(&files, ["", "", &tables], launch);
    assert!(server.command(&["check"]).printed.contains("2 rules, 1 test passes"));
    assert_eq!(server.command(&["rules", "test"]).code, 0);

    let study = in_project("testdata/study");
    let port = server.dimse.port().to_string();
    let mut storescu = dcmtk("storescu");
    storescu.args(["-aet", "ER_CT1", "-aec", "GANTRY", "+sd", "+r", "127.0.0.1", &port]).arg(&study);
    let (sent, printed) = run(&mut storescu);
    assert!(sent, "{printed}");
    let images = files_below(&study);
    server.wait_until_delivered("pacs", images.len());
    server.wait_until_delivered("cloud", images.len());

    let statistics = orthanc.get("/statistics");
    assert_eq!(
        (&statistics["CountInstances"], &statistics["CountSeries"]),
        (&images.len().into(), &2.into())
    );
    let stored: Vec<_> = seaweed.objects("v1/").iter().map(|stored| seaweed.get(&stored.key)).collect();
    assert_eq!(stored.len(), images.len());
    for image in images {
        let image = fs::read(&image).unwrap();
        assert!(stored.iter().any(|stored| data_set_of(stored) == data_set_of(&image)));
    }

    let explain = |subject: &str, expected: &[&str]| {
        let ran = server.command(&["explain", subject]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        for words in expected {
            assert!(ran.printed.contains(words), "{words:?} is not in\n{}", ran.printed);
        }
    };
    // What README shows, but for times.
    let readme = read("README.md");
    let (_, shown) = readme.split_once("```\nRules\n").expect("README shows what explain prints");
    let (shown, _) = shown.split_once("```").unwrap();
    let shown: Vec<_> =
        shown.lines().filter(|line| !line.contains("ms after") && !line.ends_with('…')).collect();
    assert!(shown.len() > 8, "{shown:?}");
    explain("2.25.7412960331.2.1", &shown);
    explain("2.25.7412960331", &["4 instances", "ER chest CT", "pacs", "cloud", "delivered"]);
    let file = study.join("series-1/1.dcm").display().to_string();
    explain(&file, &["ER chest CT", "contains(StudyDescription, \"phantom\")"]);
    assert_eq!(server.command(&["reload"]).code, 0);
    assert_eq!(server.command(&["resend", "2.25.7412960331", "--to", "copy"]).code, 0);
    server.wait_until_delivered("copy", 4);
    assert_eq!(files_below(&server.dir().join("copies")).len(), 4);
}

fn read(name: &str) -> String {
    fs::read_to_string(in_project(name)).unwrap()
}

fn in_project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
