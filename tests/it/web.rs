//! QIDO-RS, WADO-RS and the operator's pages, over the real server.

use crate::harness::Server;
use crate::synthetic::{EXPLICIT, Object, data_set_of};

const STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";

#[test]
fn qido_answers_at_all_six_resources() {
    let server = filled();
    for (path, rows) in [
        ("/studies", 3),
        ("/studies/2.25.1/series", 2),
        ("/studies/2.25.1/instances", 3),
        ("/studies/2.25.1/series/2.25.1.1/instances", 2),
        ("/series", 4),
        ("/instances", 5),
        ("/studies?PatientID=P2", 1),
        ("/studies?00100020=P2", 1),
        ("/studies?PatientName=test*", 3),
        ("/studies?PatientName=TEST%31%5Eperson", 1),
        ("/studies?StudyDate=20260101-20260105", 3),
        ("/studies?StudyInstanceUID=2.25.1,2.25.2", 2),
        ("/studies?ModalitiesInStudy=CT&limit=2", 2),
        ("/studies?limit=2&offset=2", 1),
        ("/series?Modality=MR", 0),
        ("/studies/2.25.404/series", 0),
        ("/instances?InstanceNumber=2", 1),
    ] {
        let answer = server.get(&format!("/dicom-web{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("application/dicom+json"), "{path}");
        assert_eq!(answer.json().as_array().unwrap().len(), rows, "{path}");
    }
}

#[test]
fn qido_refuses_what_it_cannot_read_and_says_what_it_ignores() {
    let server = filled();
    for path in [
        "/studies?NoSuchKeyword=1",
        "/studies?limit=x",
        "/studies?offset=-1",
        "/studies?includefield=Nonsense",
        "/studies?StudyDate=yesterday",
    ] {
        let answer = server.get(&format!("/dicom-web{path}"));
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.header("content-type").contains("json"), "{path}");
    }
    let fuzzy = server.get("/dicom-web/studies?PatientName=test1*&fuzzymatching=true");
    assert_eq!((fuzzy.status, fuzzy.json().as_array().unwrap().len()), (200, 1));
    assert!(fuzzy.headers.get("warning").is_none(), "{fuzzy:?}");
    let ignored = server.get("/dicom-web/studies?PatientName=test1*&BodyPartExamined=HEAD");
    assert_eq!((ignored.status, ignored.json().as_array().unwrap().len()), (200, 1));
    assert!(ignored.header("warning").starts_with("299"), "{ignored:?}");
}

#[test]
fn includefield_adds_attributes() {
    let server = filled();
    let row = |query: &str| {
        server.get(&format!("/dicom-web/instances?SOPInstanceUID=2.25.1.1.1{query}")).json()[0].clone()
    };
    assert!(row("").get("00280101").is_none());
    assert_eq!(row("&includefield=BitsStored")["00280101"]["Value"][0], 16);
    let several = row("&includefield=00280101,PixelRepresentation&includefield=HighBit");
    assert_eq!((&several["00280103"]["Value"][0], &several["00280102"]["Value"][0]), (&0.into(), &15.into()));
    assert_eq!(row("&includefield=all")["00280004"]["Value"][0], "MONOCHROME2");
}

#[test]
fn wado_returns_what_was_stored() {
    let server = filled();
    for (path, parts) in [
        ("/studies/2.25.1", 3),
        ("/studies/2.25.1/series/2.25.1.1", 2),
        ("/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.2", 1),
    ] {
        for accept in [STORED, "", "*/*", "multipart/related; type=\"application/dicom\""] {
            let answer = server.get_as(&format!("/dicom-web{path}"), accept);
            assert_eq!(answer.status, 200, "{path} {accept}");
            if answer.header("content-type").starts_with("multipart/related") {
                assert_eq!(answer.parts().len(), parts, "{path} {accept}");
            }
        }
    }
    let object = Object::new(1, 1, 2);
    let path = "/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.2";
    let single = server.get_as(path, "application/dicom");
    assert!(data_set_of(&single.body) == object.data_set());
    assert_eq!(server.get_as(path, &format!("application/dicom; transfer-syntax={EXPLICIT}")).status, 200);
    assert_eq!(server.get_as(path, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.91").status, 406);
    assert_eq!(server.get_as(path, "image/png").status, 406);
    assert_eq!(server.get("/dicom-web/studies/2.25.404").status, 404);
    assert_eq!(server.get("/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.2").status, 404);
}

#[test]
fn metadata_names_bulk_data_that_can_be_fetched() {
    let server = filled();
    let rows = server.get("/dicom-web/studies/2.25.1/metadata").json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    for row in rows.as_array().unwrap() {
        let url = row["7FE00010"]["BulkDataURI"].as_str().unwrap();
        let bulk = server.get_as(url, "application/octet-stream");
        assert_eq!((bulk.status, bulk.body.len()), (200, 2048), "{url}");
        assert!(row.get("00020010").is_none() && row["0020000D"]["Value"][0] == "2.25.1");
    }
    assert_eq!(
        server.get("/dicom-web/studies/2.25.1/series/2.25.1.1/metadata").json().as_array().unwrap().len(),
        2
    );
    assert_eq!(server.get("/dicom-web/studies/2.25.404/metadata").status, 404);
}

#[test]
fn frames_are_cut_out_by_number() {
    let server = Server::start();
    let mut object = Object { pixel_bytes: 4096, ..Object::new(1, 1, 1) };
    object.fill = 3;
    let mut data = object.data_set();
    // Two frames of 32 rows: NumberOfFrames goes in before Rows, and Rows is halved.
    let rows = data.windows(6).position(|window| window == [0x28, 0, 0x10, 0, b'U', b'S']).unwrap();
    data[rows + 8..rows + 10].copy_from_slice(&32_u16.to_le_bytes());
    let data = [&data[..rows], &crate::scu::element(0x28, 8, "IS", "2"), &data[rows..]].concat();
    let file = crate::synthetic::part10(crate::synthetic::CT, &object.instance, EXPLICIT, &data);
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    let frames = "/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.1/frames";
    let both =
        server.get_as(&format!("{frames}/2,1"), "multipart/related; type=\"application/octet-stream\"");
    let parts = both.parts();
    let pixels = &data[data.len() - 4096..];
    assert!(parts[0].1 == pixels[2048..] && parts[1].1 == pixels[..2048]);
    assert_eq!(server.get(&format!("{frames}/3")).status, 404);
    for bad in ["0", "x", "1,,2", ""] {
        assert!(matches!(server.get(&format!("{frames}/{bad}")).status, 400 | 404), "{bad}");
    }
    assert_eq!(server.get_as(&format!("{frames}/1"), "multipart/related; type=\"image/jxl\"").status, 406);
    let jls = server.get_as(&format!("{frames}/1"), "image/jls");
    assert_eq!(jls.header("content-type"), "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80");
}

#[test]
fn big_endian_frames_that_end_inside_a_word_come_out_right() {
    let server = Server::start();
    let big = |group: u16, number: u16, vr: &str, value: &[u8]| {
        let head = [group.to_be_bytes(), number.to_be_bytes(), vr.as_bytes().try_into().unwrap()].concat();
        let length = value.len() as u16;
        let length = if vr == "OW" {
            [&[0, 0, 0, 0][..], &length.to_be_bytes()].concat()
        } else {
            length.to_be_bytes().to_vec()
        };
        [head, length, value.to_vec()].concat()
    };
    // Two frames of 3 × 3 bytes, 1 to 18, in words whose bytes are exchanged.
    let pixels: Vec<u8> = (1..=18).map(|n: u8| if n % 2 == 1 { n + 1 } else { n - 1 }).collect();
    let data = [
        big(0x0008, 0x0016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        big(0x0008, 0x0018, "UI", b"2.25.5.1.1\0\0"),
        big(0x0020, 0x000D, "UI", b"2.25.5"),
        big(0x0020, 0x000E, "UI", b"2.25.5.1"),
        big(0x0028, 0x0002, "US", &[0, 1]),
        big(0x0028, 0x0008, "IS", b"2 "),
        big(0x0028, 0x0010, "US", &[0, 3]),
        big(0x0028, 0x0011, "US", &[0, 3]),
        big(0x0028, 0x0100, "US", &[0, 8]),
        big(0x7FE0, 0x0010, "OW", &pixels),
    ];
    let file = crate::synthetic::part10(
        "1.2.840.10008.5.1.4.1.1.7",
        "2.25.5.1.1",
        "1.2.840.10008.1.2.2",
        &data.concat(),
    );
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    let frames = "/dicom-web/studies/2.25.5/series/2.25.5.1/instances/2.25.5.1.1/frames";
    let parts = server.get(&format!("{frames}/1,2")).parts();
    assert_eq!(
        (&parts[0].1[..], &parts[1].1[..]),
        (&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[10, 11, 12, 13, 14, 15, 16, 17, 18][..])
    );
}

#[test]
fn operators_see_health_metrics_and_a_page() {
    let server = filled();
    assert_eq!(server.get("/livez").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    assert!(
        metrics.contains("gantry_instances_received_total{door=\"web\",status=\"stored\"} 5"),
        "{metrics}"
    );
    let page = server.get("/");
    assert!(page.header("content-type").starts_with("text/html"));
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("2.25.1") && page.contains(&server.dimse.to_string()), "{page}");
}

#[test]
fn browsers_of_configured_origins_are_let_in() {
    let server = Server::with("", "", "cors_origins = [\"https://viewer.example.org\"]");
    let ask = |origin: &str, method: &str| {
        let url = format!("http://{}/dicom-web/studies", server.web);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(())
            .unwrap();
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
        ureq::Agent::new_with_config(config.build()).run(request).unwrap()
    };
    let allowed = |answer: &ureq::http::Response<ureq::Body>| {
        answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    };
    for method in ["GET", "OPTIONS"] {
        let answer = ask("https://viewer.example.org", method);
        assert!(answer.status().is_success(), "{method}");
        assert_eq!(allowed(&answer).as_deref(), Some("https://viewer.example.org"), "{method}");
        assert_eq!(allowed(&ask("https://elsewhere.example.org", method)), None, "{method}");
    }
}

/// Two series in the first of three studies, five instances in all.
fn filled() -> Server {
    let server = Server::start();
    let objects = [
        Object::new(1, 1, 1),
        Object::new(1, 1, 2),
        Object::new(1, 2, 1),
        Object::new(2, 1, 1),
        Object::new(3, 1, 1),
    ];
    let files: Vec<_> = objects.iter().map(Object::file).collect();
    let files: Vec<_> = files.iter().map(Vec::as_slice).collect();
    assert_eq!(server.stow("/dicom-web/studies", &files).status, 200);
    server
}
