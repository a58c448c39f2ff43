use std::future::Future;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use pipeline::Error;

use crate::problem;

/// A body that is made piece by piece.
pub(super) trait Pieces: Send + 'static {
    /// The next piece; `None` at the end. Called again only after it returned `Some`.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;
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
