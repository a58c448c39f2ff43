use http::Method;
use model::{Tag, Vr, syntax};

use super::object::{JPEG_BASELINE, Object};
use super::server::Server;

const ANY: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";

fn native() -> Object {
    Object::new("2.1", "2.1.1", "2.1.1.1").native(syntax::EXPLICIT_VR_LITTLE_ENDIAN)
}

fn big() -> Object {
    Object::new("2.1", "2.1.2", "2.1.2.1").native(syntax::EXPLICIT_VR_BIG_ENDIAN)
}

fn jpeg() -> Object {
    Object::new("2.2", "2.2.1", "2.2.1.1").encapsulated(JPEG_BASELINE, &[b"\xFF\xD8one!", b"\xFF\xD8two!"])
}

async fn server() -> Server {
    let server = Server::new();
    server.store(&[native().file(), big().file(), jpeg().file()]).await;
    server
}

#[tokio::test]
async fn one_object_comes_back_as_it_was_stored() {
    let server = server().await;
    for object in [native(), big(), jpeg()] {
        // One that is no JPEG stream comes as it is to those who say nothing of the transfer syntax.
        let open = ["", "*/*", "application/dicom"];
        let accepts = if object.url() == big().url() { &[][..] } else { &open };
        for accept in accepts.iter().chain(&["application/dicom; transfer-syntax=*"]) {
            let answer = server.get_as(&object.url(), accept).await;
            assert_eq!(answer.status, 200, "{accept}");
            assert!(answer.header("content-type").starts_with("application/dicom; transfer-syntax="));
            assert_eq!(answer.header("content-length"), object.file().len().to_string());
            assert_eq!(answer.header("content-location"), object.url());
            assert_eq!(answer.body, object.file());
        }
        let parts = server.get_as(&object.url(), ANY).await.parts();
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].1, object.file());
    }
}

#[tokio::test]
async fn the_default_is_explicit_little_endian() {
    let server = server().await;
    let big_url = big().url();
    for accept in ["", "*/*", "application/dicom", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"] {
        let answer = server.get_as(&big_url, accept).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(
            answer.header("content-type"),
            "application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
            "{accept}"
        );
        let pixels = (0..12u16).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        assert!(answer.body.ends_with(&pixels) && answer.body.len() > 300, "{accept}");
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with("W/"), "{tag}");
        let headers = [("if-none-match", tag.as_str()), ("accept", "application/dicom")];
        assert_eq!(server.request(Method::GET, &big_url, &headers, Vec::new()).await.status, 304);
    }
    assert_eq!(server.get_as(&big_url, "application/dicom; transfer-syntax=*").await.body, big().file());
}

#[tokio::test]
async fn named_transfer_syntaxes_are_made() {
    let server = server().await;
    let frame = |first: u16| (first..first + 6).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for (media_type, syntax) in [
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ] {
        for object in [native(), big()] {
            let dicom = format!("application/dicom; transfer-syntax={syntax}");
            let answer = server.get_as(&object.url(), &dicom).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, dicom.as_str()));
            // What is made is taken, and given back as it was.
            let study = answer.body;
            let other = Server::new();
            other.store(&[study]).await;
            let back = other.get_as(&format!("{}/frames/1,2", object.url()), OCTETS).await.parts();
            let frames: Vec<_> = back.into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(frames, [frame(0), frame(6)], "{syntax}");
            for accept in [
                format!("multipart/related; type=\"{media_type}\""),
                format!("multipart/related; type=\"{media_type}\"; transfer-syntax={syntax}"),
            ] {
                let parts = server.get_as(&format!("{}/frames/2,1", object.url()), &accept).await.parts();
                assert_eq!(parts.len(), 2, "{accept}");
                assert_eq!(parts[0].0, format!("{media_type}; transfer-syntax={syntax}"));
            }
            let single = server.get_as(&format!("{}/frames/2", object.url()), media_type).await;
            assert_eq!(single.header("content-type"), format!("{media_type}; transfer-syntax={syntax}"));
        }
    }
    let lossy = format!("{}/frames/1", native().url());
    assert_eq!(server.get_as(&lossy, "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50").await.status, 406);
    assert_eq!(
        server
            .get_as(&jpeg().url(), "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90")
            .await
            .status,
        406
    );
}

#[tokio::test]
async fn a_named_transfer_syntax_is_the_stored_one_or_made_or_refused() {
    let server = server().await;
    let named = |uid: &str| format!("multipart/related; type=\"application/dicom\"; transfer-syntax={uid}");
    let jpeg_named = named(JPEG_BASELINE);
    assert_eq!(server.get_as(&jpeg().url(), &jpeg_named).await.status, 200);
    assert_eq!(server.get_as(&native().url(), &jpeg_named).await.status, 406);
    assert_eq!(server.get_as("/dicom-web/studies/2.2", &jpeg_named).await.status, 200);
    let little = named(syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    assert_eq!(server.get_as("/dicom-web/studies/2.1/series/2.1.1", &little).await.status, 200);
    assert_eq!(server.get_as("/dicom-web/studies/2.1", &little).await.parts().len(), 2);
    let refused = server.get_as("/dicom-web/studies/2.1", &jpeg_named).await;
    assert_eq!(refused.status, 406);
    assert_eq!(refused.json()["status"], 406);
    // It says what it is, and is no JPEG stream.
    let undecodable =
        server.get_as(&jpeg().url(), "application/dicom; transfer-syntax=1.2.840.10008.1.2.1").await;
    assert_eq!(undecodable.status, 406);
    let both = format!("{little}, {}", named(syntax::EXPLICIT_VR_BIG_ENDIAN));
    assert_eq!(server.get_as("/dicom-web/studies/2.1", &both).await.parts().len(), 2);
    assert_eq!(server.get_as("/dicom-web/studies/2.1", "application/dicom+xml").await.status, 406);
}

#[tokio::test]
async fn studies_and_series_come_as_parts() {
    let server = server().await;
    for (path, objects) in [
        ("/dicom-web/studies/2.1", vec![native(), big()]),
        ("/dicom-web/studies/2.1/series/2.1.2", vec![big()]),
        ("/dicom-web/studies/2.2", vec![jpeg()]),
    ] {
        for accept in ["", ANY, "application/dicom"] {
            let answer = server.get_as(path, accept).await;
            assert!(
                answer.header("content-type").starts_with("multipart/related; type=\"application/dicom\"")
            );
            if accept != ANY && path.starts_with("/dicom-web/studies/2.1") {
                let little = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1";
                let parts = answer.parts();
                assert_eq!(parts.len(), objects.len());
                assert!(parts.iter().all(|(content_type, _)| content_type == little), "{path}");
                continue;
            }
            let files: Vec<_> = answer.parts().into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(files, objects.iter().map(Object::file).collect::<Vec<_>>(), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = server().await;
    let instance = native().url();
    for path in [
        "/dicom-web/studies/9.9".to_owned(),
        "/dicom-web/studies/2.1/series/9.9".to_owned(),
        "/dicom-web/studies/2.2/series/2.1.1".to_owned(),
        "/dicom-web/studies/2.1/series/2.1.1/instances/9.9".to_owned(),
        "/dicom-web/studies/9.9/metadata".to_owned(),
        "/dicom-web/studies/%20".to_owned(),
        format!("{instance}/frames/3"),
        format!("{instance}/bulkdata/00420011"),
        format!("{instance}/bulkdata/nonsense"),
        "/dicom-web/nonsense".to_owned(),
        "/nonsense".to_owned(),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(server.get("/dicom-web/studies/%FF").await.status, 400);
    assert_eq!(server.request(Method::DELETE, "/dicom-web/studies/2.1", &[], Vec::new()).await.status, 405);
}

#[tokio::test]
async fn head_says_what_get_would() {
    let server = server().await;
    let answer = server.request(Method::HEAD, &native().url(), &[], Vec::new()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), native().file().len().to_string());
    assert!(answer.body.is_empty());
    assert_eq!(server.request(Method::HEAD, "/dicom-web/studies/9.9", &[], Vec::new()).await.status, 404);
}

#[tokio::test]
async fn a_known_object_is_not_sent_again() {
    let server = server().await;
    let tag = server.get(&native().url()).await.header("etag").to_owned();
    for (known, status) in
        [(tag.as_str(), 304), ("\"other\"", 200), (&format!("\"other\", W/{tag}"), 304), ("*", 304)]
    {
        let headers = [("if-none-match", known)];
        let answer = server.request(Method::GET, &native().url(), &headers, Vec::new()).await;
        assert_eq!(answer.status, status, "{known}");
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.header("vary"), "accept");
    }
    assert_eq!(server.get_as(&native().url(), ANY).await.header("vary"), "accept");
    assert_ne!(server.get(&big().url()).await.header("etag"), tag);
}

#[tokio::test]
async fn native_frames_are_little_endian() {
    let server = server().await;
    let frame = |first: u16| (first..first + 6).flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for object in [native(), big()] {
        let answer = server.get_as(&format!("{}/frames/2,1", object.url()), OCTETS).await;
        let parts = answer.parts();
        let content_type = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1".to_owned();
        assert_eq!(parts, [(content_type.clone(), frame(6)), (content_type, frame(0))]);
        let url = format!("{}/frames/1", object.url());
        for accept in ["", "*/*", OCTETS, "multipart/related; type=\"*/*\""] {
            assert_eq!(server.get_as(&url, accept).await.parts().len(), 1, "{accept}");
        }
        let single = server.get_as(&url, "application/octet-stream").await;
        assert_eq!((single.header("content-length"), &single.body), ("12", &frame(0)));
    }
}

#[tokio::test]
async fn frames_that_cannot_be_decoded_are_sent_as_stored() {
    let server = server().await;
    let url = format!("{}/frames/2", jpeg().url());
    for accept in
        ["", "*/*", "multipart/related; type=\"image/jpeg\"", &format!("{OCTETS}; transfer-syntax=*")]
    {
        let answer = server.get_as(&url, accept).await;
        assert!(answer.header("content-type").contains("type=\"image/jpeg\""), "{accept}");
        let content_type = format!("image/jpeg; transfer-syntax={JPEG_BASELINE}");
        assert_eq!(answer.parts(), [(content_type, b"\xFF\xD8two!".to_vec())]);
    }
    for accept in [OCTETS, "multipart/related; type=\"image/jp2\"", "image/png", "application/dicom+json"] {
        assert_eq!(server.get_as(&url, accept).await.status, 406, "{accept}");
    }
}

#[tokio::test]
async fn frame_lists_are_checked() {
    let server = server().await;
    for (list, status) in
        [("0", 400), ("a", 400), ("1,", 400), ("1-2", 400), ("3", 404), ("1,3", 404), ("1%2C2", 200)]
    {
        let answer = server.get(&format!("{}/frames/{list}", native().url())).await;
        assert_eq!(answer.status, status, "{list}");
    }
}

#[tokio::test]
async fn metadata_leads_to_bulk_data() {
    let server = server().await;
    for (object, pixels) in [
        (native(), (0..12u16).flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        (big(), (0..12u16).flat_map(u16::to_le_bytes).collect()),
    ] {
        let answer = server.get(&format!("{}/metadata", object.url())).await;
        assert_eq!(answer.header("content-type"), "application/dicom+json");
        let json = answer.json();
        assert_eq!(json[0]["00100010"]["Value"][0]["Alphabetic"], "Mustermann^Max");
        let url = json[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
        assert_eq!(url, format!("{}/bulkdata/7FE00010", object.url()));
        for accept in ["", "application/octet-stream"] {
            let bulk = server.get_as(url, accept).await;
            assert_eq!(bulk.header("content-length"), "24");
            assert_eq!(bulk.body, pixels, "{accept}");
        }
        assert_eq!(server.get_as(url, OCTETS).await.parts()[0].1, pixels);
        assert_eq!(server.get_as(url, "image/jpeg").await.status, 406);
    }
    let url = format!("{}/bulkdata/7FE00010", jpeg().url());
    for accept in ["", OCTETS, "multipart/related; type=\"image/jpeg\"", "application/octet-stream"] {
        let parts = server.get_as(&url, accept).await.parts();
        assert_eq!(parts.len(), 2, "{accept}");
        assert_eq!(parts[1].1, b"\xFF\xD8two!");
    }
}

#[tokio::test]
async fn metadata_comes_at_three_levels() {
    let server = server().await;
    for (path, count) in [
        ("/dicom-web/studies/2.1/metadata".to_owned(), 2),
        ("/dicom-web/studies/2.1/series/2.1.2/metadata".to_owned(), 1),
        (format!("{}/metadata", jpeg().url()), 1),
    ] {
        assert_eq!(server.get(&path).await.json().as_array().unwrap().len(), count, "{path}");
        assert_eq!(server.get_as(&path, "application/json").await.header("content-type"), "application/json");
        assert_eq!(server.get_as(&path, "application/dicom+xml").await.status, 406);
    }
}

#[tokio::test]
async fn urls_are_absolute_below_the_public_url() {
    let server =
        Server::with(|config| config.public_url = Some("https://pacs.example.org/gantry/".parse().unwrap()));
    server.store(&[native().file()]).await;
    let json = server.get(&format!("{}/metadata", native().url())).await.json();
    let base = format!("https://pacs.example.org/gantry{}", native().url());
    assert_eq!(json[0]["7FE00010"]["BulkDataURI"], format!("{base}/bulkdata/7FE00010"));
    let found = server.get("/dicom-web/instances").await.json();
    assert_eq!(found[0]["00081190"]["Value"][0], base);
    for include in ["all", "PixelData"] {
        let found = server.get(&format!("/dicom-web/instances?includefield={include}")).await.json();
        assert_eq!(found[0]["7FE00010"]["BulkDataURI"], format!("{base}/bulkdata/7FE00010"), "{include}");
    }
    assert_eq!(server.get(&native().url()).await.header("content-location"), base);
}

#[tokio::test]
async fn odd_uids_are_reached_by_their_text_and_by_what_stands_for_it() {
    let server = Server::new();
    let odd = Object::new("2.1/a b", "2.1.ü", "2.1.1.1").text(Tag(0x0008, 0x0060), Vr::CS, "OT");
    server.store(&[odd.file()]).await;
    let found = server.get("/dicom-web/instances").await.json();
    let url = found[0]["00081190"]["Value"][0].as_str().unwrap().to_owned();
    assert!(url.starts_with("/dicom-web/studies/x-"), "{url}");
    assert_eq!(server.get(&url).await.body, odd.file());
    assert_eq!(server.get("/dicom-web/studies/2.1%2Fa%20b").await.parts()[0].1, odd.file());
    let study = url.split("/series").next().unwrap();
    for path in [format!("{study}/series"), "/dicom-web/studies/2.1%2Fa%20b/instances".to_owned()] {
        assert_eq!(server.get(&path).await.json().as_array().unwrap().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_an_error_of_ours() {
    let server = server().await;
    let mut files = Vec::new();
    let mut folders = vec![server.folder.path().join("instances")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
    let answer = server.get(&native().url()).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("instances"), "{}", answer.text());
}
