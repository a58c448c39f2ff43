use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::pace::Pace;

/// A connection whose writes fail once the peer takes nothing, or too little, for a while.
///
/// Reads are left alone: waiting for a request's head and for its body have limits of their own.
pub(crate) struct Stall<S> {
    inner: S,
    pace: Pace,
    /// Runs while a write waits, since the given time.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Stall<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, pace: Pace::new(), waiting: None }
    }

    /// Passes progress on, and turns waiting into an error when it has lasted too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = result {
            let waited = self.waiting.take().map(|(since, _)| since.elapsed()).unwrap_or_default();
            self.pace.moved(waited, result.as_ref().map_or(0, bytes));
            return Poll::Ready(result);
        }
        let patience = self.pace.patience();
        let (_, timer) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + patience)))
        });
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, result, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, result, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, result, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, result, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::limits::HTTP_STALL_TIMEOUT as LIMIT;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_peer_that_takes_nothing() {
        let (near, _far) = tokio::io::duplex(8);
        let started = Instant::now();
        let error = Stall::new(near).write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= LIMIT && started.elapsed() < LIMIT * 2);
    }

    /// Writes to a peer that takes `bytes` every 20 seconds, 30 times.
    async fn write_to(bytes: usize) -> io::Result<()> {
        let (near, mut far) = tokio::io::duplex(bytes);
        let reader = async move {
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                far.read_exact(&mut vec![0; bytes]).await.unwrap();
            }
        };
        let all = vec![0; 30 * bytes];
        let mut near = Stall::new(near);
        tokio::select! {
            written = near.write_all(&all) => written,
            () = reader => Ok(()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn has_patience_with_a_slow_peer_but_not_with_a_trickle() {
        assert!(write_to(200 << 10).await.is_ok());
        assert_eq!(write_to(100).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(write_to(20 << 10).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
