use std::future::Future;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use model::limits;
use pipeline::{Cursor, Error, Page};

use super::pages::{Pages, Slot, Taken};
use super::stream::{self, Pieces};

/// An answer that is one JSON array, made page by page.
pub(super) trait Source: Send + Sync + 'static {
    /// What becomes an element of the array.
    type Row: Send;

    /// Whether pages are made of whole stored objects, and so may be long.
    fn is_of_objects(&self) -> bool;

    /// The page after a cursor.
    fn fetch(&self, after: Option<Cursor>) -> impl Future<Output = Result<Page<Self::Row>, Error>> + Send;

    /// Writes an element.
    fn write(&self, row: Self::Row, out: &mut Vec<u8>);

    /// Notes that so many elements are about to be sent.
    fn sending(&mut self, rows: usize);
}

/// Makes the first page, so that what is wrong has its status, and a body of it and those that follow.
///
/// Memory: a piece for each connection; what is longer is kept in `pages`.
///
/// # Errors
/// As the source, for the first page.
pub(super) async fn body<S: Source>(source: S, pages: Arc<Pages>) -> Result<Body, Error> {
    let mut answer = Answer { source, pages, current: None };
    answer.go_to(None).await?;
    Ok(stream::body(answer))
}

struct Answer<S> {
    source: S,
    pages: Arc<Pages>,
    current: Option<Current>,
}

/// The page that is being sent.
struct Current {
    after: Option<Cursor>,
    next: Option<Cursor>,
    body: Kept,
}

enum Kept {
    /// A page that is a single piece.
    Piece(Bytes),
    /// One that is longer, sent up to an offset.
    Slot { slot: Slot, offset: usize, digest: u64 },
    /// One that has been sent.
    Sent,
}

/// A page of the array as text.
struct Made {
    text: Vec<u8>,
    rows: usize,
    next: Option<Cursor>,
}

impl<S: Source> Pieces for Answer<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(current) = &mut self.current else { return Ok(None) };
            match &mut current.body {
                Kept::Piece(piece) => {
                    let piece = std::mem::take(piece);
                    current.body = Kept::Sent;
                    return Ok(Some(piece));
                }
                Kept::Slot { slot, offset, .. } => match slot.take(*offset) {
                    Taken::Piece(piece) => {
                        *offset += piece.len();
                        return Ok(Some(piece));
                    }
                    Taken::End => current.body = Kept::Sent,
                    Taken::Dropped => self.make_again().await?,
                },
                Kept::Sent => match current.next.take() {
                    Some(next) => self.go_to(Some(next)).await?,
                    None => self.current = None,
                },
            }
        }
    }
}

impl<S: Source> Answer<S> {
    /// Makes the page after a cursor the current one.
    async fn go_to(&mut self, after: Option<Cursor>) -> Result<(), Error> {
        let turn = match self.source.is_of_objects() {
            true => Some(self.pages.make().await),
            false => None,
        };
        let Made { text, rows, next } = make(&self.source, after.clone()).await?;
        let body = if text.len() <= limits::HTTP_PIECE_BYTES {
            Kept::Piece(text.into())
        } else {
            let digest = digest(&text);
            Kept::Slot { slot: self.pages.keep(text), offset: 0, digest }
        };
        drop(turn);
        self.source.sending(rows);
        self.current = Some(Current { after, next, body });
        Ok(())
    }

    /// Makes the current page again.
    ///
    /// # Errors
    /// As the source; [`Error::Busy`] when the archive answers differently now, so that what was sent cannot be continued.
    async fn make_again(&mut self) -> Result<(), Error> {
        let Some(Current { after, body: Kept::Slot { slot, digest: sent, .. }, .. }) = &mut self.current
        else {
            return Ok(());
        };
        let _turn = match self.source.is_of_objects() {
            true => Some(self.pages.make().await),
            false => None,
        };
        let made = make(&self.source, after.clone()).await?;
        if digest(&made.text) != *sent {
            return Err(Error::Busy);
        }
        *slot = self.pages.keep(made.text);
        Ok(())
    }
}

async fn make<S: Source>(source: &S, after: Option<Cursor>) -> Result<Made, Error> {
    let mut is_first = after.is_none();
    let page = source.fetch(after).await?;
    let rows = page.rows.len();
    let mut text = Vec::new();
    if is_first {
        text.push(b'[');
    }
    for row in page.rows {
        if !std::mem::take(&mut is_first) {
            text.push(b',');
        }
        source.write(row, &mut text);
    }
    if page.next.is_none() {
        text.push(b']');
    }
    text.shrink_to_fit();
    Ok(Made { text, rows, next: page.next })
}

fn digest(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use http_body_util::BodyExt;

    use super::*;

    /// One long row, whose text can change.
    struct Long(Arc<AtomicU8>);

    impl Source for Long {
        type Row = u8;

        fn is_of_objects(&self) -> bool {
            true
        }

        async fn fetch(&self, _after: Option<Cursor>) -> Result<Page<u8>, Error> {
            Ok(Page { rows: vec![self.0.load(Ordering::Relaxed), b'z'], next: None })
        }

        fn write(&self, row: u8, out: &mut Vec<u8>) {
            out.extend(std::iter::repeat_n(row, LENGTH));
        }

        fn sending(&mut self, _rows: usize) {}
    }

    const LENGTH: usize = 150_000;

    async fn long(pages: &Arc<Pages>) -> (Body, Arc<AtomicU8>) {
        let text = Arc::new(AtomicU8::new(b'a'));
        (body(Long(text.clone()), pages.clone()).await.unwrap(), text)
    }

    async fn piece(body: &mut Body) -> Bytes {
        body.frame().await.unwrap().unwrap().into_data().unwrap()
    }

    #[tokio::test]
    async fn peers_that_do_not_read_take_no_more_than_the_limit_and_get_all_when_they_do() {
        let pages = Pages::with_limit(LENGTH * 7);
        let mut waiting = Vec::new();
        for _ in 0..60 {
            let (mut body, _) = long(&pages).await;
            let begun = piece(&mut body).await.to_vec();
            waiting.push((body, begun));
            assert!(pages.kept_bytes() <= LENGTH * 7);
        }
        let whole = [b"[", &[b'a'; LENGTH][..], b",", &[b'z'; LENGTH], b"]"].concat();
        for (body, mut found) in waiting {
            found.extend(body.collect().await.unwrap().to_bytes());
            assert!(found == whole);
        }
        assert_eq!(pages.kept_bytes(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_continued_is_cut() {
        let pages = Pages::with_limit(LENGTH * 3);
        let (mut body, text) = long(&pages).await;
        piece(&mut body).await;
        let _other = long(&pages).await;
        text.store(b'b', Ordering::Relaxed);
        assert!(body.collect().await.is_err());
    }
}
