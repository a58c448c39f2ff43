use bytes::{Buf, BufMut};
use dimse::Fragment;
use pipeline::BodyError;
use ul::Event;

use super::{Drive, read};
use crate::end::{End, Wait};

/// What is known of a data set that is being received.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Bytes of the current fragment that have not been taken.
    fragment: usize,
    is_last: bool,
}

impl Drive {
    /// Appends the next bytes of the message's data set to `buf` until its spare capacity is used up or the data set ends;
    /// `true` when it has ended. Returns `true` at once for a message without one.
    ///
    /// Bytes go from the socket straight into `buf`. Not cancel safe.
    pub(crate) async fn read_data(&mut self, buf: &mut Vec<u8>) -> Result<bool, End> {
        let read = self.fill(buf).await;
        self.progress.pause();
        read
    }

    async fn fill(&mut self, buf: &mut Vec<u8>) -> Result<bool, End> {
        loop {
            if !self.has_data() {
                return Ok(true);
            }
            let Some(rest) = &mut self.rest else { return Ok(true) };
            if rest.fragment == 0 && rest.is_last {
                self.rest = None;
                return Ok(true);
            }
            let room = buf.capacity() - buf.len();
            if room == 0 {
                return Ok(false);
            }
            if rest.fragment == 0 {
                self.begin_data_fragment().await?;
                continue;
            }
            let wanted = rest.fragment.min(room);
            if self.input.is_empty() {
                self.read_straight(buf, wanted, room).await?;
            } else {
                let ready = self.input.get(..wanted).unwrap_or(&self.input);
                buf.extend_from_slice(ready);
                let taken = ready.len();
                self.input.advance(taken);
                rest.fragment -= taken;
            }
        }
    }

    /// Reads the message's data set to its end and drops it; how many bytes there were.
    pub(crate) async fn drain(&mut self) -> Result<u64, End> {
        let mut bytes = 0;
        if self.has_data() {
            let mut scratch = Vec::with_capacity(DRAIN_BYTES);
            while !self.read_data(&mut scratch).await? {
                bytes += scratch.len() as u64;
                scratch.clear();
            }
            bytes += scratch.len() as u64;
        }
        Ok(bytes)
    }

    /// Whether the message that was handed out last has a data set that is not read. One that comes may be of a message that is kept.
    fn has_data(&self) -> bool {
        self.rest.is_some() && self.kept.back().is_none_or(|last| !last.has_data_set)
    }

    /// Drops `bytes` bytes of the connection.
    pub(super) async fn skip(&mut self, bytes: u32) -> Result<(), End> {
        let mut left = bytes as usize; // lossless: usize has at least 32 bits wherever tokio runs
        while left > 0 {
            if self.input.is_empty() {
                self.read_ahead(DRAIN_BYTES).await?;
            }
            let skipped = left.min(self.input.len());
            self.input.advance(skipped);
            left -= skipped;
        }
        Ok(())
    }

    /// One read into `buf`, of at most `wanted` bytes of the fragment. Where there is room, the head of the next fragment is read
    /// with it and moved to the input: a read less for each PDU.
    async fn read_straight(&mut self, buf: &mut Vec<u8>, wanted: usize, room: usize) -> Result<(), End> {
        let wait = self.arm();
        let before = buf.len();
        let mut target = (&mut *buf).limit(room.min(wanted + ul::pdata::HEADER_BYTES));
        let read = read(&mut self.stream, &mut self.timer, &mut target).await;
        let bytes = self.account(read, wait)?.min(wanted);
        self.input.extend_from_slice(buf.get(before + bytes..).unwrap_or_default());
        buf.truncate(before + bytes);
        if let Some(rest) = &mut self.rest {
            rest.fragment -= bytes;
        }
        Ok(())
    }

    async fn begin_data_fragment(&mut self) -> Result<(), End> {
        match self.event(FRAGMENT_READ_BYTES).await? {
            Event::Data(pdv) => match self.assembler.begin(&pdv)? {
                Fragment::Data { is_last } => {
                    self.rest = Some(Rest { fragment: pdv.bytes as usize, is_last }); // lossless, as above
                    Ok(())
                }
                Fragment::Command => Err(End::OutOfTurn("command")),
            },
            Event::ReleaseRequested => Err(self.released()),
            other => Err(super::unexpected(&other)),
        }
    }
}

/// The data set of the message that was read last, for [`pipeline::Pipeline::ingest`]. Keeps why it broke off.
pub(crate) struct Incoming<'a> {
    drive: &'a mut Drive,
    end: Option<End>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(drive: &'a mut Drive) -> Self {
        Self { drive, end: None }
    }

    /// Reads what was left unread, so that the next message can be seen; or says how the association ended.
    pub(crate) async fn finish(self) -> Result<(), End> {
        match self.end {
            Some(end) => Err(end),
            None => self.drive.drain().await.map(|_| ()),
        }
    }
}

impl pipeline::Body for Incoming<'_> {
    async fn fill(&mut self, buf: &mut Vec<u8>) -> Result<bool, BodyError> {
        match self.drive.read_data(buf).await {
            Ok(has_ended) => Ok(has_ended),
            Err(end) => {
                let error =
                    if let End::TimedOut(Wait::Request | Wait::Message | Wait::Progress | Wait::Standstill) =
                        end
                    {
                        BodyError::Stalled
                    } else {
                        BodyError::Ended
                    };
                self.end = Some(end);
                Err(error)
            }
        }
    }
}

/// Read at once where only the head of a fragment is wanted: what follows it is better read straight to where it belongs.
const FRAGMENT_READ_BYTES: usize = 4 << 10;
const DRAIN_BYTES: usize = 64 << 10;
