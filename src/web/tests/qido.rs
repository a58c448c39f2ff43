use model::{Tag, Vr};
use serde_json::{Value, json};

use super::object::Object;
use super::server::Server;

const MODALITY: Tag = Tag(0x0008, 0x0060);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const IMAGE_COMMENTS: Tag = Tag(0x0020, 0x4000);

async fn server() -> Server {
    let server = Server::new();
    let first = |series, instance, modality| {
        Object::new("2.1", series, instance)
            .name("Müller^Jürgen")
            .text(MODALITY, Vr::CS, modality)
            .text(STUDY_DATE, Vr::DA, "20260131")
            .text(PATIENT_ID, Vr::LO, "A1")
            .text(IMAGE_COMMENTS, Vr::LT, "beyond the index")
    };
    let second = Object::new("2.2", "2.2.1", "2.2.1.1")
        .text(MODALITY, Vr::CS, "MR")
        .text(STUDY_DATE, Vr::DA, "20251231")
        .text(PATIENT_ID, Vr::LO, "B2");
    let objects = [
        first("2.1.1", "2.1.1.1", "CT"),
        first("2.1.1", "2.1.1.2", "CT"),
        first("2.1.2", "2.1.2.1", "SR"),
        second,
    ];
    server.store(&objects.map(|object| object.file())).await;
    server
}

/// The values of a UID in each row.
fn column(rows: &Value, key: &str) -> Vec<String> {
    let mut values: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[key]["Value"][0].as_str().unwrap_or_default().to_owned())
        .collect();
    values.sort();
    values
}

#[tokio::test]
async fn each_resource_gives_its_level() {
    let server = server().await;
    for (path, key, expected) in [
        ("/dicom-web/studies", "0020000D", vec!["2.1", "2.2"]),
        ("/dicom-web/series", "0020000E", vec!["2.1.1", "2.1.2", "2.2.1"]),
        ("/dicom-web/studies/2.1/series", "0020000E", vec!["2.1.1", "2.1.2"]),
        ("/dicom-web/instances", "00080018", vec!["2.1.1.1", "2.1.1.2", "2.1.2.1", "2.2.1.1"]),
        ("/dicom-web/studies/2.1/instances", "00080018", vec!["2.1.1.1", "2.1.1.2", "2.1.2.1"]),
        ("/dicom-web/studies/2.1/series/2.1.1/instances", "00080018", vec!["2.1.1.1", "2.1.1.2"]),
        ("/dicom-web/studies/2.2/series/2.1.1/instances", "00080018", vec![]),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "application/dicom+json");
        assert_eq!(column(&answer.json(), key), expected, "{path}");
    }
}

#[tokio::test]
async fn rows_say_where_to_retrieve() {
    let server = server().await;
    for (path, url) in [
        ("/dicom-web/studies?PatientID=B2", "/dicom-web/studies/2.2"),
        ("/dicom-web/series?PatientID=B2", "/dicom-web/studies/2.2/series/2.2.1"),
        ("/dicom-web/instances?PatientID=B2", "/dicom-web/studies/2.2/series/2.2.1/instances/2.2.1.1"),
    ] {
        let rows = server.get(path).await.json();
        assert_eq!(rows[0]["00081190"]["vr"], "UR");
        assert_eq!(column(&rows, "00081190"), [url]);
    }
}

#[tokio::test]
async fn keys_select() {
    let server = server().await;
    for (query, expected) in [
        ("PatientID=A1", vec!["2.1"]),
        ("PatientName=muller*", vec!["2.1"]),
        ("PatientName=M%C3%BCller%5EJ%C3%BCrgen", vec!["2.1"]),
        ("00080020=20260101-", vec!["2.1"]),
        ("StudyDate=-20251231", vec!["2.2"]),
        ("StudyInstanceUID=2.1,2.2,2.3", vec!["2.1", "2.2"]),
        ("ModalitiesInStudy=SR", vec!["2.1"]),
        ("PatientID=A1&PatientID=B2", vec![]),
        ("PatientID=A1%5CB*&multiplevaluematching=true", vec!["2.1", "2.2"]),
        ("PatientName=Miller%5EJurgen&fuzzymatching=true", vec!["2.1"]),
        ("PatientName=Miller%5EJurgen", vec![]),
        ("PatientName=%22%22&emptyvaluematching=true", vec![]),
        ("AccessionNumber=%22%22&emptyvaluematching=true&StudyDate=20260101-", vec!["2.1"]),
        ("PatientID=nobody", vec![]),
    ] {
        let answer = server.get(&format!("/dicom-web/studies?{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(column(&answer.json(), "0020000D"), expected, "{query}");
    }
    assert_eq!(server.get("/dicom-web/studies?PatientID=nobody").await.body, b"[]");
}

#[tokio::test]
async fn limit_and_offset_cut_a_window() {
    let server = server().await;
    let all = server.get("/dicom-web/instances").await.json();
    let all = all.as_array().unwrap();
    for (limit, offset) in [(0, 0), (1, 0), (2, 1), (10, 3), (1, 10)] {
        let path = format!("/dicom-web/instances?limit={limit}&offset={offset}");
        let window = server.get(&path).await.json();
        let expected: Vec<_> = all.iter().skip(offset).take(limit).cloned().collect();
        assert_eq!(window, Value::Array(expected), "{path}");
    }
}

#[tokio::test]
async fn a_long_answer_comes_in_pages() {
    let server = Server::new();
    let count = 600;
    let objects: Vec<_> = (0..count)
        .map(|n| Object::new("2.1", "2.1.1", Box::leak(format!("2.1.1.{n}").into_boxed_str())).file())
        .collect();
    server.store(&objects).await;
    let all = column(&server.get("/dicom-web/instances").await.json(), "00080018");
    assert_eq!(all.len(), count);
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    let window = server.get("/dicom-web/instances?limit=300&offset=256").await.json();
    assert_eq!(window.as_array().unwrap().len(), 300);
    assert_eq!(server.get("/dicom-web/studies/2.1/metadata").await.json().as_array().unwrap().len(), count);
    assert_eq!(server.get("/dicom-web/studies/2.1").await.parts().len(), count);
}

#[tokio::test]
async fn include_fields_add_what_is_asked() {
    let server = server().await;
    let comments = "00204000";
    let row = |query: &str| {
        let path = format!("/dicom-web/instances?SOPInstanceUID=2.1.1.1&{query}");
        let server = &server;
        async move { server.get(&path).await.json()[0].clone() }
    };
    assert_eq!(row("").await.get(comments), None);
    let asked = row("includefield=ImageComments").await;
    assert_eq!(asked[comments]["Value"][0], "beyond the index");
    assert!(asked.get("00081190").is_some() && asked.get("00080018").is_some());
    let title = "00080054";
    assert_eq!(asked.get(title), None);
    assert_eq!(row("includefield=RetrieveAETitle").await[title], json!({"vr": "AE", "Value": ["GANTRY"]}));
    let all = row("includefield=all").await;
    assert_eq!(all[title]["Value"][0], "GANTRY");
    assert_eq!(all[comments]["Value"][0], "beyond the index");
    let keys: Vec<_> = all.as_object().unwrap().keys().cloned().collect();
    let text = server.get("/dicom-web/instances?SOPInstanceUID=2.1.1.1&includefield=all").await.text();
    let mut places: Vec<_> = keys.iter().map(|key| text.find(&format!("\"{key}\":{{")).unwrap()).collect();
    let sent = places.clone();
    places.sort_unstable();
    assert_eq!(sent, places, "members come by ascending tag");
}

#[tokio::test]
async fn what_is_not_done_is_answered_with_a_warning() {
    let server = server().await;
    let path = "/dicom-web/studies?fuzzymatching=true&BodyPartExamined=HEAD&includefield=SliceThickness";
    let answer = server.get(path).await;
    assert_eq!(answer.status, 200);
    let warnings: Vec<_> =
        answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|warning| warning.starts_with("299 gantry \"")), "{warnings:?}");
    assert!(server.get("/dicom-web/studies?PatientID=A1").await.headers.get("warning").is_none());
}

#[tokio::test]
async fn bad_requests_are_told() {
    let server = server().await;
    let answer = server.get("/dicom-web/studies?StudyDate=tomorrow").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.text().contains("StudyDate") && !answer.text().contains("tomorrow"));
    assert_eq!(server.get_as("/dicom-web/studies", "application/dicom+xml").await.status, 406);
    assert_eq!(
        server.get_as("/dicom-web/studies", "application/json").await.header("content-type"),
        "application/json"
    );
    assert_eq!(
        server.get("/dicom-web/studies?accept=application/json").await.header("content-type"),
        "application/json"
    );
}
