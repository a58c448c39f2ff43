#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use model::limits;
use model::multipart::{Error as Malformed, Event, Fields, Parser};
use pipeline::BodyError;
use tokio::time::{Instant, timeout};

use crate::pace::Pace;
use crate::problem::Problem;

/// The parts of a request, one after the other, as they arrive. Memory: one chunk of the connection.
pub(super) struct Parts {
    body: Incoming,
    parser: Parser,
    /// Received and not yet parsed.
    chunk: Bytes,
    /// Parsed and not yet taken; shorter than a delimiter line.
    pending: Vec<u8>,
    is_in_part: bool,
}

/// Why there is no next part, though the closing delimiter has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The body stopped.
    Body(BodyError),
    /// The body is no multipart.
    Malformed(Malformed),
}

/// What to do after an event on the way to the next part.
enum Step {
    Done(Option<Fields>),
    /// The parser may have another event without more input.
    More,
    Receive,
}

impl Parts {
    pub(super) fn new(body: Body, boundary: &str) -> Self {
        let parser = Parser::new(boundary);
        Self {
            body: Incoming::new(body),
            parser,
            chunk: Bytes::new(),
            pending: Vec::new(),
            is_in_part: false,
        }
    }

    /// Goes to the next part, over what is left of the one before; `None` after the last. Not cancel safe.
    ///
    /// # Errors
    /// [`Stop`] when the body ends before its closing delimiter, stalls, or is malformed.
    pub(super) async fn next(&mut self) -> Result<Option<Fields>, Stop> {
        self.pending.clear();
        loop {
            let mut input: &[u8] = &self.chunk;
            let event = self.parser.next(&mut input).map_err(Stop::Malformed)?;
            let taken = self.chunk.len() - input.len();
            let step = match event {
                Some(Event::PartBegin(fields)) => Step::Done(Some(fields)),
                Some(Event::End) => Step::Done(None),
                Some(Event::Data(_) | Event::PartEnd) => Step::More,
                None => Step::Receive,
            };
            self.chunk.advance(taken);
            match step {
                Step::Done(fields) => {
                    self.is_in_part = fields.is_some();
                    return Ok(fields);
                }
                Step::More => {}
                Step::Receive => {
                    self.chunk = self.body.receive().await.map_err(Stop::Body)?.ok_or(TRUNCATED)?;
                }
            }
        }
    }

    /// Throws away what follows the last part, so that the connection can be used again. Not cancel safe.
    pub(super) async fn finish(self) {
        self.body.drain().await;
    }

    fn take_pending(&mut self, buf: &mut Vec<u8>) {
        let count = self.pending.len().min(spare(buf));
        buf.extend(self.pending.drain(..count));
    }
}

impl pipeline::Body for Parts {
    async fn fill(&mut self, buf: &mut Vec<u8>) -> Result<bool, BodyError> {
        loop {
            self.take_pending(buf);
            let room = spare(buf);
            if room == 0 || !self.is_in_part {
                return Ok(!self.is_in_part && self.pending.is_empty());
            }
            if self.chunk.is_empty() {
                self.chunk = self.body.receive().await?.ok_or(BodyError::Ended)?;
            }
            let window = self.chunk.len().min(room);
            let mut input = self.chunk.get(..window).unwrap_or_default();
            match self.parser.next(&mut input).map_err(|_| BodyError::Ended)? {
                // What the parser had held back may go beyond the window.
                Some(Event::Data(data)) => {
                    let (fits, rest) = data.split_at(data.len().min(room));
                    buf.extend_from_slice(fits);
                    self.pending.extend_from_slice(rest);
                }
                Some(Event::PartEnd | Event::PartBegin(_) | Event::End) => self.is_in_part = false,
                None => {}
            }
            let taken = window - input.len();
            self.chunk.advance(taken);
        }
    }
}

/// Reads a body and throws it away, up to a limit: a peer that is still sending would not see the answer.
pub(super) async fn drain(body: Body) {
    Incoming::new(body).drain().await;
}

/// A body as it comes in.
struct Incoming {
    body: Body,
    pace: Pace,
}

impl Incoming {
    fn new(body: Body) -> Self {
        Self { body, pace: Pace::new() }
    }

    /// The next bytes; `None` at the end.
    async fn receive(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let since = Instant::now();
            match timeout(self.pace.patience(), self.body.frame()).await {
                Err(_) => return Err(BodyError::Stalled),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(BodyError::Ended),
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.pace.moved(since.elapsed(), data.len());
                    if !data.is_empty() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn drain(mut self) {
        let mut left = limits::HTTP_DRAINED_BYTES;
        while let Ok(Some(chunk)) = self.receive().await {
            left = left.saturating_sub(chunk.len() as u64);
            if left == 0 {
                break;
            }
        }
    }
}

fn spare(buf: &Vec<u8>) -> usize {
    buf.capacity() - buf.len()
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Body(error) => Self::from(pipeline::Error::Body(error)),
            Stop::Malformed(error) => Self::bad_request(error.to_string()),
        }
    }
}

const TRUNCATED: Stop = Stop::Malformed(Malformed::Truncated);
