#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use memchr::memmem::Finder;

use crate::limits;

/// Takes a multipart body apart while it arrives.
///
/// Holds back no more than one delimiter line and [`limits::PART_HEADER_BYTES`], whatever the size of a part; where
/// the body is cut into inputs makes no difference but to the cuts of its data. What stands before the first part and
/// behind the last is dropped.
///
/// RFC 2046 §5.1.1.
#[derive(Debug)]
pub struct Parser {
    /// CR LF, two hyphens, the boundary. Only its first byte is a CR.
    delimiter: Finder<'static>,
    state: State,
    /// What may be the beginning of a delimiter line; data, if it turns out to be none.
    held: Vec<u8>,
    /// How many bytes at the front of `held` are a line break that is not the body's: a delimiter may also stand at
    /// the very beginning of the body, or share the line break that ends the fields of its part.
    assumed: usize,
    /// Whether `held` was told as data and is to be forgotten.
    told: bool,
    fields: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Fields,
    Data,
    Closing,
    End,
}

/// What the parser met.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part begins.
    PartBegin(Fields),
    /// The next bytes of the part; never empty.
    Data(&'a [u8]),
    /// The part is complete.
    PartEnd,
    /// The body is complete.
    End,
}

/// Why a body is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The fields of a part exceed [`limits::PART_HEADER_BYTES`].
    #[error("the header fields of a part are too long")]
    LongFields,
    /// The body ended before its closing delimiter.
    #[error("the multipart body ends before its closing delimiter")]
    Truncated,
}

/// The header fields of one part, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of the first field with this name, in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Lines without a colon are left out; one that begins with white space continues the line before it (RFC 5322 §2.2.3).
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ").replace("\r\n\t", " ");
        let fields = text.split("\r\n").filter_map(|line| line.split_once(':'));
        Self(
            fields.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect(),
        )
    }
}

impl Parser {
    /// Begins a body with this boundary, as [`boundary`](super::boundary) gives it.
    pub fn new(boundary: &str) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Self {
            delimiter: Finder::new(&delimiter).into_owned(),
            state: State::Preamble,
            held: LINE_BREAK.to_vec(),
            assumed: LINE_BREAK.len(),
            told: false,
            fields: Vec::new(),
        }
    }

    /// Takes from the front of `input` up to the next event; `None` when all of it is taken. To be called until then.
    ///
    /// # Errors
    /// [`Error::LongFields`]; the parser is of no use after that.
    pub fn next<'e, 'i: 'e>(&'e mut self, input: &mut &'i [u8]) -> Result<Option<Event<'e>>, Error> {
        if std::mem::take(&mut self.told) {
            self.held.clear();
        }
        loop {
            match self.state {
                State::Fields => return Ok(self.take_fields(input)?.map(Event::PartBegin)),
                State::Closing => {
                    self.state = State::End;
                    return Ok(Some(Event::End));
                }
                State::End => {
                    *input = &[];
                    return Ok(None);
                }
                State::Preamble | State::Data => {}
            }
            let in_part = self.state == State::Data;
            if self.held.is_empty() {
                let (data, rest) = input.split_at_checked(self.candidate(input)).unwrap_or((input, &[]));
                *input = rest;
                if in_part && !data.is_empty() {
                    return Ok(Some(Event::Data(data)));
                }
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            self.held.push(byte);
            self.state = match self.judge() {
                Line::Unfinished => {
                    *input = rest;
                    continue;
                }
                Line::Other => {
                    // The byte may begin the next candidate, so it stays in the input.
                    self.held.pop();
                    let assumed = std::mem::take(&mut self.assumed);
                    if in_part && self.held.len() > assumed {
                        self.told = true;
                        return Ok(self.held.get(assumed..).map(Event::Data));
                    }
                    self.held.clear();
                    continue;
                }
                Line::Delimiter => State::Fields,
                Line::Close => State::Closing,
            };
            *input = rest;
            self.held.clear();
            self.assumed = 0;
            if in_part {
                return Ok(Some(Event::PartEnd));
            }
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`Error::Truncated`] when [`Event::End`] was not met; a part that had begun is then incomplete.
    pub fn finish(self) -> Result<(), Error> {
        if self.state == State::End { Ok(()) } else { Err(Error::Truncated) }
    }

    /// Where in the input a delimiter begins, or what may become one; its length when nowhere.
    fn candidate(&self, input: &[u8]) -> usize {
        if let Some(at) = self.delimiter.find(input) {
            return at;
        }
        // A delimiter has no CR but its first byte, so only the last CR can begin one that goes on behind the input.
        memchr::memrchr(b'\r', input)
            .filter(|&at| input.get(at..).is_some_and(|tail| self.delimiter.needle().starts_with(tail)))
            .unwrap_or(input.len())
    }

    /// What `held` is, of which all but the last byte was unfinished.
    fn judge(&self) -> Line {
        let delimiter = self.delimiter.needle();
        let Some(line) = self.held.get(delimiter.len()..).filter(|line| !line.is_empty()) else {
            let at = self.held.len() - 1;
            return if self.held.last() == delimiter.get(at) { Line::Unfinished } else { Line::Other };
        };
        let padding = line.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
        match line.get(padding..).unwrap_or_default() {
            b"" | b"\r" if padding <= PADDING => Line::Unfinished,
            b"\r\n" => Line::Delimiter,
            b"-" if padding == 0 => Line::Unfinished,
            b"--" if padding == 0 => Line::Close,
            _ => Line::Other,
        }
    }

    fn take_fields(&mut self, input: &mut &[u8]) -> Result<Option<Fields>, Error> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.fields.push(byte);
            if self.fields.ends_with(b"\r\n\r\n") || self.fields == LINE_BREAK {
                let fields = Fields::parse(&self.fields);
                self.fields.clear();
                self.state = State::Data;
                self.held.extend_from_slice(LINE_BREAK);
                self.assumed = LINE_BREAK.len();
                return Ok(Some(fields));
            }
            if self.fields.len() > limits::PART_HEADER_BYTES {
                return Err(Error::LongFields);
            }
        }
        Ok(None)
    }
}

/// What a line that begins with a delimiter turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Unfinished,
    Delimiter,
    Close,
    /// Data that begins like a delimiter.
    Other,
}

const LINE_BREAK: &[u8] = b"\r\n";

/// White space that a delimiter line may have at its end.
const PADDING: usize = 64;

/// Parses the data after the first byte in one piece and in pieces whose length the first byte picks. For fuzzing.
///
/// # Panics
/// When both do not give the same parts.
pub fn fuzz_multipart(data: &[u8]) {
    let Some((&selector, body)) = data.split_first() else { return };
    let boundary = if selector & 1 == 0 { "b" } else { "--a b" };
    assert_eq!(
        collect(boundary, body, body.len().max(1)),
        collect(boundary, body, usize::from(selector / 8).max(1))
    );
}

/// A part as a whole: its fields, its data, and whether its end was met.
type Part = (Fields, Vec<u8>, bool);

/// The parts of a body that is fed in pieces, and how it ended.
fn collect(boundary: &str, body: &[u8], piece: usize) -> (Vec<Part>, Result<(), Error>) {
    let mut parser = Parser::new(boundary);
    let mut parts: Vec<Part> = Vec::new();
    for mut input in body.chunks(piece) {
        loop {
            match parser.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::PartBegin(fields))) => parts.push((fields, Vec::new(), false)),
                Ok(Some(Event::Data(data))) => {
                    assert!(!data.is_empty());
                    parts.last_mut().expect("data belongs to a part").1.extend_from_slice(data);
                }
                Ok(Some(Event::PartEnd)) => parts.last_mut().expect("a part ends").2 = true,
                Ok(Some(Event::End)) => {}
                Err(error) => return (parts, Err(error)),
            }
        }
    }
    (parts, parser.finish())
}

#[cfg(test)]
mod tests;
