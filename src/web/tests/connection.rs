use std::time::Duration;

use model::limits;
use model::multipart::{close, part_head};
use pipeline::Pipeline;
use telemetry::Telemetry;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::object::Object;
use super::server;
use crate::connections::Connections;
use crate::{Listener, Readiness};

/// A listening door.
struct Door {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    tracker: TaskTracker,
    _folder: TempDir,
}

impl Door {
    async fn open() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Listener)) -> Self {
        let telemetry = Telemetry::new();
        let (archive, folder) = server::archive(0, &telemetry);
        let pipeline = Pipeline::new(archive, telemetry.clone());
        let config = server::config(0);
        let mut listener = Listener::bind(config, pipeline, telemetry, Readiness::new([])).await.unwrap();
        change(&mut listener);
        let (shutdown, tracker) = (CancellationToken::new(), TaskTracker::new());
        let address = listener.local_addr();
        tracker.spawn(listener.serve(shutdown.clone(), tracker.clone()));
        Self { address, shutdown, tracker, _folder: folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits for every task of the door to end.
    async fn drained(&self) {
        self.tracker.close();
        timeout(Duration::from_secs(10), self.tracker.wait()).await.expect("the door drains");
    }
}

/// Reads one answer with Content-Length.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return text.into_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the answer is complete: {bytes:?}");
    }
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    answer(stream).await
}

/// Waits for the server to close the connection.
async fn closed(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    for _ in 0..3 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn shutdown_closes_idle_connections_at_once() {
    let door = Door::open().await;
    let (mut used, mut silent) = (door.connect().await, door.connect().await);
    ask(&mut used).await;
    silent.write_all(b"GET /li").await.unwrap();
    door.shutdown.cancel();
    assert_eq!(closed(&mut used).await, "");
    door.drained().await;
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn shutdown_lets_a_request_finish() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    let mut body = part_head("b-1", &[]);
    body.extend(Object::new("2.1", "2.1.1", "2.1.1.1").file());
    body.extend(close("b-1"));
    let head = format!(
        "POST /dicom-web/studies HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\
         content-type: multipart/related; type=\"application/dicom\"; boundary=b-1\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Once asked to continue, the request is in progress.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    door.shutdown.cancel();
    stream.write_all(&body).await.unwrap();
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    door.drained().await;
}

#[tokio::test]
async fn a_request_that_waits_to_be_refused_sends_no_body() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    let head = "POST /dicom-web/studies HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\
                content-type: application/dicom\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

#[tokio::test]
async fn a_refused_upload_still_reads_its_answer() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    let head = "POST /dicom-web/studies HTTP/1.1\r\nhost: a\r\ncontent-length: 20000000\r\n\
                content-type: application/dicom\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        stream.write_all(&[0; 1_000_000]).await.unwrap();
    }
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 415"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_its_head_is_closed() {
    let door = Door::open().await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nx: ").await.unwrap();
    let started = Instant::now();
    closed(&mut stream).await;
    assert!(started.elapsed() >= limits::HTTP_HEAD_TIMEOUT);
}

#[tokio::test]
async fn slow_uploads_do_not_keep_health_from_answering() {
    let door = Door::with(|listener| listener.connections = Connections::new(4, 2)).await;
    let head = "POST /dicom-web/studies HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\
                content-type: multipart/related; type=\"application/dicom\"; boundary=b-1\r\n\r\n--b-1\r\n";
    let mut slow = Vec::new();
    for _ in 0..12 {
        let mut stream = door.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..3 {
        let mut asking = door.connect().await;
        let answer = timeout(Duration::from_secs(5), ask(&mut asking)).await.expect("health answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    for stream in &mut slow {
        // Those in progress go on: nothing comes from them.
        let mut byte = [0];
        let read = timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
        assert!(!matches!(read, Ok(Ok(1..))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_turn_does_not_come_is_told_to_come_again() {
    let door = Door::with(|listener| listener.connections = Connections::new(4, 0)).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /dicom-web/studies HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let started = Instant::now();
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(started.elapsed() >= limits::HTTP_TURN_TIMEOUT);
}
