use std::future::Future;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use pipeline::{Cursor, Error, Page};

use crate::problem;

/// A body that is made piece by piece.
pub(super) trait Pieces: Send + 'static {
    /// The next piece; `None` at the end. Called again only after it returned `Some`.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;
}

/// What of an answer in pages has not been sent.
pub(super) enum Rest<T> {
    /// This page and what follows it.
    Page(Page<T>),
    /// What follows a page that has been sent.
    After(Cursor),
    /// Nothing.
    Nothing,
}

impl<T> Rest<T> {
    /// Takes the next page, which `fetch` gets when it is not there yet; `None` after the last.
    ///
    /// # Errors
    /// As `fetch`; nothing is left then.
    pub(super) async fn take_page<F>(
        &mut self,
        fetch: impl FnOnce(Cursor) -> F,
    ) -> Result<Option<TakenPage<T>>, Error>
    where
        F: Future<Output = Result<Page<T>, Error>>,
    {
        let page = match std::mem::replace(self, Self::Nothing) {
            Self::Page(page) => page,
            Self::After(cursor) => fetch(cursor).await?,
            Self::Nothing => return Ok(None),
        };
        let is_last = page.next.is_none();
        *self = page.next.map_or(Self::Nothing, Self::After);
        Ok(Some(TakenPage { rows: page.rows, is_last }))
    }
}

/// The rows of one page.
pub(super) struct TakenPage<T> {
    pub(super) rows: Vec<T>,
    /// Whether no page follows.
    pub(super) is_last: bool,
}

/// Sends pieces as they are made, no faster than the peer takes them.
///
/// The status has gone out by then: an error cuts the connection, so that the peer cannot take the part for the whole.
pub(super) fn body(pieces: impl Pieces) -> Body {
    Body::from_stream(stream::try_unfold(pieces, async |mut pieces| match pieces.next().await {
        Ok(piece) => Ok(piece.map(|piece| (piece, pieces))),
        Err(error) => {
            tracing::error!(error = %problem::chain(&error), "an answer was cut short");
            Err(error)
        }
    }))
}
