use http::Method;
use model::{Tag, Vr, limits};

use super::object::{Object, SOP_CLASS};
use super::server::Server;

const CONTENT_TYPE: &str = "multipart/related; type=\"application/dicom\"; boundary=b-1";

fn object() -> Object {
    Object::new("2.1", "2.1.1", "2.1.1.1")
}

async fn post_raw(server: &Server, content_type: &str, body: &[u8]) -> u16 {
    let headers = [("content-type", content_type)];
    server.request(Method::POST, "/dicom-web/studies", &headers, body.to_vec()).await.status.as_u16()
}

#[tokio::test]
async fn what_is_stored_is_listed_and_can_be_retrieved() {
    let server = Server::new();
    let answer = server.post("/dicom-web/studies", &[object().file()]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/dicom+json");
    let json = answer.json();
    assert_eq!(json["00081190"]["Value"][0], "/dicom-web/studies/2.1");
    let stored = &json["00081199"]["Value"][0];
    assert_eq!(stored["00081150"]["Value"][0], SOP_CLASS);
    assert_eq!(stored["00081155"]["Value"][0], object().instance);
    let url = stored["00081190"]["Value"][0].as_str().unwrap();
    assert_eq!(server.get(url).await.body, object().file());
    assert_eq!(server.post("/dicom-web/studies", &[object().file()]).await.status, 200, "the same again");
}

#[tokio::test]
async fn one_bad_part_does_not_keep_the_others_out() {
    let server = Server::new();
    let no_series = Object::new("2.1", "", "2.1.1.2").file();
    let last = Object::new("2.1", "2.1.1", "2.1.1.3").file();
    let answer =
        server.post("/dicom-web/studies", &[b"nonsense".to_vec(), object().file(), no_series, last]).await;
    assert_eq!(answer.status, 202);
    let json = answer.json();
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 2);
    let failed = &json["00081198"]["Value"];
    assert_eq!(failed[0]["00081197"]["Value"][0], 0xC000);
    assert_eq!(failed[1]["00081155"]["Value"][0], "2.1.1.2");
    assert_eq!(failed[1]["00081197"]["Value"][0], 0xC000);
    assert_eq!(server.get("/dicom-web/instances").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_object_without_a_study_fails_alone() {
    let server = Server::new();
    let hanging_protocol = "1.2.840.10008.5.1.4.38.1";
    let none = Object::new("", "", "2.1.1.9").text(Tag(0x0008, 0x0016), Vr::UI, hanging_protocol);
    let answer = server.post("/dicom-web/studies", &[none.file(), object().file()]).await;
    assert_eq!(answer.status, 202);
    let json = answer.json();
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 1);
    let failed = &json["00081198"]["Value"][0];
    assert_eq!(failed["00081150"]["Value"][0], hanging_protocol);
    assert_eq!(failed["00081155"]["Value"][0], "2.1.1.9");
    assert_eq!(failed["00081197"]["Value"][0], 0xC000);
    assert_eq!(server.post("/dicom-web/studies", &[none.file()]).await.status, 409);
}

#[tokio::test]
async fn an_instance_of_another_study_fails() {
    let server = Server::new();
    let other = Object::new("2.2", "2.2.1", "2.2.1.1");
    let answer = server.post("/dicom-web/studies/2.1", &[object().file(), other.file()]).await;
    assert_eq!(answer.status, 202);
    let failed = answer.json()["00081198"]["Value"][0].clone();
    assert_eq!(failed["00081155"]["Value"][0], "2.2.1.1");
    assert_eq!(failed["00081197"]["Value"][0], 0xA900);
    assert_eq!(server.get("/dicom-web/studies/2.2").await.status, 404);
    assert_eq!(server.post("/dicom-web/studies/2.1", &[other.file()]).await.status, 409);
}

#[tokio::test]
async fn requests_that_are_no_multipart_of_dicom_are_refused() {
    let server = Server::new();
    let file = object().file();
    assert_eq!(post_raw(&server, "application/dicom", &file).await, 415);
    assert_eq!(
        post_raw(&server, "multipart/related; type=\"application/dicom+json\"; boundary=b-1", b"").await,
        415
    );
    assert_eq!(post_raw(&server, "multipart/related; type=\"application/dicom\"", b"").await, 400);
    assert_eq!(post_raw(&server, CONTENT_TYPE, b"").await, 400);
    assert_eq!(post_raw(&server, CONTENT_TYPE, b"--b-1--\r\n").await, 400);
    assert_eq!(post_raw(&server, CONTENT_TYPE, b"--other\r\n\r\nx\r\n--other--\r\n").await, 400);
    let headers = [("content-type", CONTENT_TYPE), ("accept", "application/dicom+xml")];
    assert_eq!(server.request(Method::POST, "/dicom-web/studies", &headers, Vec::new()).await.status, 406);
}

#[tokio::test]
async fn a_part_of_another_type_fails_alone() {
    let server = Server::new();
    let mut body = b"--b-1\r\nContent-Type: application/json\r\n\r\n{}\r\n--b-1\r\n\r\n".to_vec();
    body.extend(object().file());
    body.extend(b"\r\n--b-1--");
    assert_eq!(post_raw(&server, CONTENT_TYPE, &body).await, 202);
    assert_eq!(server.get("/dicom-web/instances").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn parts_beyond_the_limit_are_counted_and_what_was_done_is_told() {
    let server = Server::new();
    let mut body = b"--b-1\r\n\r\n".to_vec();
    body.extend(object().file());
    body.extend(b"\r\n--b-1\r\nContent-Type: a/b\r\n\r\n".repeat(limits::STOW_PARTS + 9));
    body.extend(b"\r\n--b-1--");
    let headers = [("content-type", CONTENT_TYPE)];
    let answer = server.request(Method::POST, "/dicom-web/studies", &headers, body).await;
    assert_eq!(answer.status, 202);
    let words = "299 gantry \"only the first 20000 parts were taken, 10 were not stored\"";
    assert_eq!(answer.header("warning"), words);
    let json = answer.json();
    assert_eq!(json["00081199"]["Value"][0]["00081155"]["Value"][0], object().instance);
    assert_eq!(json["00081198"]["Value"].as_array().unwrap().len(), limits::STOW_PARTS - 1);
}

#[tokio::test]
async fn what_came_before_a_truncation_stays() {
    let server = Server::new();
    let mut body = b"--b-1\r\n\r\n".to_vec();
    body.extend(object().file());
    body.extend(b"\r\n--b-1\r\n\r\n");
    body.extend(&Object::new("2.1", "2.1.1", "2.1.1.2").file()[..200]);
    assert_eq!(post_raw(&server, CONTENT_TYPE, &body).await, 400);
    assert_eq!(server.get("/dicom-web/instances").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_disk_is_a_reason_to_come_back() {
    let server = Server::with_min_free_bytes(u64::MAX / 2, |_| {});
    let answer = server.post("/dicom-web/studies", &[object().file(), object().file()]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(server.get("/dicom-web/instances").await.body, b"[]");
}

#[tokio::test]
async fn a_large_object_streams_through() {
    let server = Server::new();
    let frame = vec![0x5A; 8 << 20];
    let large = object().encapsulated(super::object::JPEG_BASELINE, &[&frame]);
    server.store(&[large.file()]).await;
    assert!(server.get(&large.url()).await.body == large.file());
    let parts = server.get(&format!("{}/frames/1", large.url())).await.parts();
    assert!(parts[0].1 == frame);
}
