//! A server that answers what a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a request is answered with, given its first line; nothing closes the connection.
pub(super) type Script = dyn Fn(&str) -> Vec<u8> + Send + Sync;

pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
    /// Bytes of the bodies that have come and are not answered yet, and the most that they have been.
    held: usize,
    most_held: usize,
}

impl Scripted {
    /// A server that takes `pause` for each answer.
    pub(super) async fn start(
        pause: Duration,
        script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let script: Arc<Script> = Arc::new(script);
        let mut server = JoinSet::new();
        let handed = seen.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, pause, script.clone(), handed.clone()));
            }
        });
        Self { address, seen, _server: server }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first lines of all requests, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    pub(super) fn most_held(&self) -> usize {
        self.seen.lock().unwrap().most_held
    }
}

/// An HTTP answer.
pub(super) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

async fn serve(stream: TcpStream, pause: Duration, script: Arc<Script>, seen: Arc<Mutex<Seen>>) {
    let mut stream = BufReader::new(stream);
    while let Some((line, length)) = read_head(&mut stream).await {
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(line.clone());
            seen.held += length;
            seen.most_held = seen.most_held.max(seen.held);
        }
        tokio::time::sleep(pause).await;
        seen.lock().unwrap().held -= length;
        let answer = script(&line);
        if answer.is_empty() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The first line of a request and the length of its body.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<(String, usize)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let length = headers.lines().find_map(|header| header.strip_prefix("content-length: ")?.parse().ok());
    Some((line.to_owned(), length.unwrap_or(0)))
}
