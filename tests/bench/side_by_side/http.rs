//! A blocking HTTP/1.1 client for one connection: enough for DICOMweb, nothing more.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use socket2::SockRef;

/// Longest wait for a response.
const PATIENCE: Duration = Duration::from_secs(120);
const CHUNK_BYTES: usize = 256 << 10;

/// A connection that is opened when needed and kept while the server keeps it.
pub(crate) struct Http {
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What came back; the body's bytes have gone to the caller's sink.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
}

/// How the end of a body is known.
enum Framing {
    Length(u64),
    Chunked,
    Close,
}

impl Http {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, connection: None }
    }

    /// GETs a body into memory; any status but 200 is an error.
    pub(crate) fn get(&mut self, path: &str, accept: &str) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let answer = self.get_into(path, accept, &mut |bytes| body.extend_from_slice(bytes))?;
        ensure!(answer.status == 200, "GET {path} was answered {}", answer.status);
        Ok(body)
    }

    /// GETs a body piece by piece.
    pub(crate) fn get_into(
        &mut self,
        path: &str,
        accept: &str,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Answer> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n\r\n", self.server);
        self.exchange(&head, &[], sink)
    }

    /// POSTs the concatenation of `parts`.
    pub(crate) fn post(&mut self, path: &str, content_type: &str, parts: &[&[u8]]) -> Result<Answer> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/dicom+json\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n",
            self.server
        );
        self.exchange(&head, parts, &mut |_| {})
    }

    fn exchange(&mut self, head: &str, parts: &[&[u8]], sink: &mut dyn FnMut(&[u8])) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.server)?,
        };
        connection.get_mut().write_all(head.as_bytes()).context("send a request")?;
        for part in parts {
            connection.get_mut().write_all(part).context("send a request body")?;
        }
        SockRef::from(connection.get_ref()).set_tcp_quickack(true)?;
        let (status, framing, keep) = read_head(&mut connection)?;
        let body_bytes = read_body(&mut connection, &framing, sink)?;
        if keep && !matches!(framing, Framing::Close) {
            self.connection = Some(connection);
        }
        Ok(Answer { status, body_bytes })
    }
}

fn connect(server: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(server).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::with_capacity(CHUNK_BYTES, stream))
}

/// Status, framing of the body, and whether the connection lives on.
fn read_head(connection: &mut BufReader<TcpStream>) -> Result<(u16, Framing, bool)> {
    let first = read_line(connection)?;
    let status = first.split(' ').nth(1).context("no status line")?.parse()?;
    let (mut framing, mut keep) = (Framing::Close, !first.starts_with("HTTP/1.0"));
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            return Ok((status, framing, keep));
        }
        let (name, value) = line.split_once(':').context("a header line without colon")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => framing = Framing::Length(value.parse()?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => framing = Framing::Chunked,
            "connection" => keep = value.eq_ignore_ascii_case("keep-alive"),
            _ => {}
        }
    }
}

fn read_body(
    connection: &mut BufReader<TcpStream>,
    framing: &Framing,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<u64> {
    match framing {
        Framing::Length(length) => {
            copy(connection, *length, sink)?;
            Ok(*length)
        }
        Framing::Chunked => {
            let mut total = 0;
            loop {
                let line = read_line(connection)?;
                let size = line.split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size.trim(), 16).context("a chunk without size")?;
                copy(connection, size, sink)?;
                ensure!(read_line(connection)?.is_empty(), "a chunk does not end where it says");
                if size == 0 {
                    return Ok(total);
                }
                total += size;
            }
        }
        Framing::Close => {
            let mut buffer = vec![0; CHUNK_BYTES];
            let mut total = 0;
            loop {
                let read = connection.read(&mut buffer)?;
                if read == 0 {
                    return Ok(total);
                }
                sink(buffer.get(..read).unwrap_or_default());
                total += u64::try_from(read)?;
            }
        }
    }
}

fn copy(connection: &mut BufReader<TcpStream>, mut length: u64, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
    while length > 0 {
        let available = connection.fill_buf().context("read a body")?;
        if available.is_empty() {
            bail!("the connection ended {length} bytes early");
        }
        let take = available.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        sink(available.get(..take).unwrap_or_default());
        connection.consume(take);
        length -= u64::try_from(take)?;
    }
    Ok(())
}

fn read_line(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).context("read a header line")?;
    ensure!(line.ends_with('\n'), "the connection ended within a header");
    Ok(line.trim_end().to_owned())
}
