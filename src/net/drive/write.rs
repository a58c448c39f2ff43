use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;
use dimse::Command;
use tokio::io::AsyncWrite;

use super::{Drive, FIRST_READ_BYTES};
use crate::end::{End, Wait};

impl Drive {
    /// Puts a message into the output; [`Drive::flush`] writes it, together with all that was queued before it.
    pub(crate) fn queue(
        &mut self,
        context_id: u8,
        command: &Command,
        data_set: Option<&[u8]>,
    ) -> Result<(), End> {
        self.association.send(context_id, true, &command.to_bytes())?;
        if let Some(data_set) = data_set {
            self.association.send(context_id, false, data_set)?;
        }
        Ok(())
    }

    /// Bytes that wait for [`Drive::flush`].
    pub(crate) fn queued_bytes(&mut self) -> usize {
        self.association.output().len()
    }

    /// Takes what is queued, to be written in front of data that never passes through the output.
    pub(crate) fn take_queued(&mut self) -> BytesMut {
        self.association.output().split()
    }

    /// Writes all that is queued. Not cancel safe.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        let queued = self.take_queued();
        self.write(&mut [IoSlice::new(&queued)]).await
    }

    /// Writes `pieces` one after the other, in as few writes as the socket allows. Not cancel safe.
    pub(crate) async fn write(&mut self, mut pieces: &mut [IoSlice<'_>]) -> Result<(), End> {
        self.progress.restart();
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let written = self.write_once(pieces).await?;
            IoSlice::advance_slices(&mut pieces, written);
            self.progress.add(written);
        }
        if self.stream.holds_back() { self.push().await } else { Ok(()) }
    }

    /// Writes what TLS still holds of what it took. Not cancel safe.
    async fn push(&mut self) -> Result<(), End> {
        self.timer.set(self.progress.deadline());
        let (stream, timer) = (&mut self.stream, &mut self.timer);
        let pushed = poll_fn(|cx| match Pin::new(&mut *stream).poll_flush(cx) {
            Poll::Ready(pushed) => Poll::Ready(Some(pushed)),
            Poll::Pending => timer.poll(cx).map(|()| None),
        });
        match pushed.await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(self.last_word(error).await),
            None => Err(End::TimedOut(Wait::Progress)),
        }
    }

    async fn write_once(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize, End> {
        self.timer.set(self.progress.deadline());
        let (stream, timer) = (&mut self.stream, &mut self.timer);
        let written = poll_fn(|cx| match Pin::new(&mut *stream).poll_write_vectored(cx, pieces) {
            Poll::Ready(written) => Poll::Ready(Some(written)),
            Poll::Pending => timer.poll(cx).map(|()| None),
        });
        match written.await {
            Some(Ok(written)) if written > 0 => Ok(written),
            Some(Ok(_)) => Err(self.last_word(io::ErrorKind::WriteZero.into()).await),
            Some(Err(error)) => Err(self.last_word(error).await),
            None => Err(End::TimedOut(Wait::Progress)),
        }
    }

    /// Why the connection broke under a write: a peer that aborts has often closed before we notice, and its reason is still to
    /// be read.
    async fn last_word(&mut self, error: io::Error) -> End {
        match self.event(FIRST_READ_BYTES).await {
            Err(end @ End::Aborted(_)) => end,
            Ok(_) | Err(_) => End::Lost(error),
        }
    }
}
