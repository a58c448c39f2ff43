use http::Method;

use super::object::Object;
use super::server::Server;

fn object(name: &'static str) -> Object {
    Object::new("2.1", "2.1.1", "2.1.1.1").name(name)
}

#[tokio::test]
async fn is_ready_once_both_doors_accept() {
    let server = Server::new();
    assert_eq!(server.get("/livez").await.status, 200);
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "not accepting: dimse, web");
    server.readiness.set("dimse", true);
    server.readiness.set("web", true);
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_str()), (200, Some("ready")));
    server.archive.close().await.unwrap();
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reason"], "the index cannot be written");
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let server = Server::new();
    server.get("/dicom-web/studies/2.1/series?PatientName=Secret").await;
    server.get("/dicom-web/studies/2.1").await;
    server.get("/nonsense").await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.header("content-type"), telemetry::CONTENT_TYPE);
    let text = answer.text();
    for line in [
        r#"gantry_http_requests_total{route="/dicom-web/studies/{study}/series",status="200"} 1"#,
        r#"gantry_http_requests_total{route="/dicom-web/studies/{study}",status="404"} 1"#,
        r#"gantry_http_requests_total{route="other",status="404"} 1"#,
        r#"gantry_query_seconds_count{door="web",level="series"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("Secret") && !text.contains("nonsense"));
}

#[tokio::test]
async fn the_page_shows_studies_and_conflicts_but_no_patients() {
    let server = Server::new();
    let empty = server.get("/").await;
    assert_eq!(empty.status, 200);
    assert!(empty.text().contains("Nothing has been received yet"));
    server.readiness.set("dimse", true);
    server.readiness.set("web", true);
    server.store(&[object("Secret^One").file()]).await;
    server.store(&[object("Secret^Two").file()]).await;
    let page = server.get("/").await;
    let text = page.text();
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(text.contains("GANTRY") && text.contains("Ready") && text.contains("127.0.0.1:11112"));
    assert!(text.contains("2.1.1.1") && text.contains("Latest conflicts"));
    assert!(!text.contains("Secret") && !text.contains("<script"), "{text}");
}

#[tokio::test]
async fn the_page_says_that_the_disk_is_full() {
    let server = Server::with_min_free_bytes(u64::MAX / 2, |_| {});
    server.readiness.set("dimse", true);
    server.readiness.set("web", true);
    assert!(server.get("/").await.text().contains("Disk full: new images are refused"));
    assert_eq!(server.get("/readyz").await.status, 200, "what is stored can be read");
}

#[tokio::test]
async fn the_page_shows_no_text_that_peers_made_up() {
    let server = Server::new();
    let odd = Object::new("<b>\"'&", "2.1", "2.1.1");
    server.store(&[odd.file()]).await;
    let text = server.get("/").await.text();
    assert!(text.contains("<code>x-") && !text.contains("<b>\"") && !text.contains("&lt;b"), "{text}");
}

#[tokio::test]
async fn scripts_of_configured_origins_are_let_in() {
    let server =
        Server::with(|config| config.cors_origins = vec!["https://viewer.example.org".parse().unwrap()]);
    let ours = ("origin", "https://viewer.example.org");
    let preflight =
        [ours, ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
    let answer = server.request(Method::OPTIONS, "/dicom-web/studies", &preflight, Vec::new()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), ours.1);
    assert_eq!(answer.header("access-control-allow-headers"), "content-type");
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    let answer = server.request(Method::GET, "/dicom-web/studies", &[ours], Vec::new()).await;
    assert_eq!(answer.header("access-control-allow-origin"), ours.1);
    assert!(answer.header("access-control-expose-headers").contains("Warning"));
    let missing = server.request(Method::GET, "/dicom-web/studies/9.9", &[ours], Vec::new()).await;
    assert_eq!((missing.status.as_u16(), missing.header("access-control-allow-origin")), (404, ours.1));
    for nowhere in ["/dicom-web", "/dicom-web/", "/dicom-web/nonsense", "/dicom-web/studies/2.1/nonsense/3"] {
        let answer = server.request(Method::GET, nowhere, &[ours], Vec::new()).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (404, ours.1));
        assert_eq!(answer.header("content-type"), "application/problem+json", "{nowhere}");
        let answer = server.request(Method::OPTIONS, nowhere, &preflight, Vec::new()).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (204, ours.1));
    }
    let other = [("origin", "https://other.example.org"), ("access-control-request-method", "GET")];
    let answer = server.request(Method::OPTIONS, "/dicom-web/studies", &other, Vec::new()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("vary"), "origin");
    let page = server.request(Method::GET, "/", &[ours], Vec::new()).await;
    assert_eq!(page.header("access-control-allow-origin"), "");
}
