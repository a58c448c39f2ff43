use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use model::AeTitle;
use pipeline::Pipeline;
use serde_json::Value;
use telemetry::Telemetry;
use tempfile::TempDir;

use crate::app::App;
use crate::{Config, Product, Readiness, routes};

/// The HTTP door over an archive of its own.
pub(super) struct Server {
    router: Router,
    pub(super) archive: archive::Archive,
    pub(super) folder: TempDir,
    pub(super) readiness: Readiness,
}

/// An archive in a folder that goes with the second value.
pub(super) fn archive(min_free_bytes: u64, telemetry: &Telemetry) -> (archive::Archive, TempDir) {
    let folder = TempDir::new().unwrap();
    let config = archive::Config { data_dir: folder.path().to_owned(), min_free_bytes };
    (archive::Archive::open(config, telemetry.clone()).unwrap(), folder)
}

/// A configuration that lets the system choose the port.
pub(super) fn config(min_free_bytes: u64) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        cors_origins: Vec::new(),
        public_url: None,
        product: Product {
            version: "0.0.0-test",
            ae_title: AeTitle::parse("GANTRY").unwrap(),
            dimse: "127.0.0.1:11112".parse().unwrap(),
            min_free_bytes,
        },
    }
}

/// An answer with its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Server {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_min_free_bytes(0, change)
    }

    pub(super) fn with_min_free_bytes(min_free_bytes: u64, change: impl FnOnce(&mut Config)) -> Self {
        let telemetry = Telemetry::new();
        let (archive, folder) = archive(min_free_bytes, &telemetry);
        let mut config = config(min_free_bytes);
        change(&mut config);
        let readiness = Readiness::new(["dimse", "web"]);
        let pipeline = Pipeline::new(archive.clone(), telemetry.clone());
        let router = routes::router(App::new(config, pipeline, telemetry, readiness.clone()));
        Self { router, archive, folder, readiness }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], Vec::new()).await
    }

    pub(super) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.request(Method::GET, path, &[("accept", accept)], Vec::new()).await
    }

    /// Stores objects in one request.
    pub(super) async fn post(&self, path: &str, objects: &[Vec<u8>]) -> Answer {
        let mut body = Vec::new();
        for object in objects {
            body.extend(model::multipart::part_head("b-1", &[("Content-Type", "application/dicom")]));
            body.extend(object);
        }
        body.extend(model::multipart::close("b-1"));
        let content_type = "multipart/related; type=\"application/dicom\"; boundary=b-1";
        self.request(Method::POST, path, &[("content-type", content_type)], body).await
    }

    /// Stores objects that are all taken.
    pub(super) async fn store(&self, objects: &[Vec<u8>]) {
        let answer = self.post("/dicom-web/studies", objects).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The parts of a multipart answer: content type and bytes.
    pub(super) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        use model::multipart::{Event, Parser};
        let boundary = model::multipart::boundary(self.header("content-type")).expect("a multipart answer");
        let mut parser = Parser::new(&boundary);
        let mut input = self.body.as_slice();
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        while let Some(event) = parser.next(&mut input).unwrap() {
            match event {
                Event::PartBegin(fields) => {
                    parts.push((fields.get("content-type").unwrap_or_default().to_owned(), Vec::new()));
                }
                Event::Data(data) => parts.last_mut().unwrap().1.extend(data),
                Event::PartEnd | Event::End => {}
            }
        }
        parser.finish().unwrap();
        parts
    }
}
