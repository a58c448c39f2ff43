use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::limits;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Pages of answers while their peers read them, within [`limits::HTTP_PAGES_BYTES`] all together.
///
/// A peer that does not read can make us drop its page, never keep others from theirs.
pub(crate) struct Pages {
    kept: Mutex<Kept>,
    limit: usize,
    making: Semaphore,
}

#[derive(Default)]
struct Kept {
    pages: HashMap<u64, Page>,
    bytes: usize,
    /// Counts what happens, to tell what was left alone for longest.
    now: u64,
}

struct Page {
    bytes: Vec<u8>,
    /// When a piece was taken last.
    used: u64,
}

/// A page that is sent piece by piece. Its place is free again when this is dropped.
pub(super) struct Slot {
    pages: Arc<Pages>,
    id: u64,
}

/// What there is at some place of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// These bytes, at most [`limits::HTTP_PIECE_BYTES`].
    Piece(Bytes),
    /// Nothing: the page ends here.
    End,
    /// The page was dropped to make room and has to be made again.
    Dropped,
}

impl Pages {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_limit(limits::HTTP_PAGES_BYTES)
    }

    pub(super) fn with_limit(limit: usize) -> Arc<Self> {
        let making = Semaphore::new(limits::HTTP_PAGES_MADE);
        Arc::new(Self { kept: Mutex::default(), limit, making })
    }

    /// Waits for the turn to make a page. Nobody holds one while waiting for a peer. Cancel safe.
    pub(super) async fn make(&self) -> SemaphorePermit<'_> {
        self.making.acquire().await.expect("the semaphore is never closed")
    }

    /// Keeps a page, dropping others for it if need be.
    pub(super) fn keep(self: &Arc<Self>, bytes: Vec<u8>) -> Slot {
        let mut kept = self.lock();
        kept.now += 1;
        let id = kept.now;
        kept.bytes += bytes.capacity();
        while kept.bytes > self.limit {
            let idle = kept.pages.iter().min_by_key(|(_, page)| page.used).map(|(id, _)| *id);
            let Some(idle) = idle else { break };
            kept.remove(idle);
        }
        kept.pages.insert(id, Page { bytes, used: id });
        Slot { pages: self.clone(), id }
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, id: u64) {
        if let Some(page) = self.pages.remove(&id) {
            self.bytes -= page.bytes.capacity();
        }
    }
}

impl Slot {
    /// Copies the piece that begins at `offset`: a part of the page itself would keep all of it in memory.
    pub(super) fn take(&self, offset: usize) -> Taken {
        let mut kept = self.pages.lock();
        kept.now += 1;
        let now = kept.now;
        let Some(page) = kept.pages.get_mut(&self.id) else { return Taken::Dropped };
        page.used = now;
        let rest = page.bytes.get(offset..).unwrap_or_default();
        match rest.get(..limits::HTTP_PIECE_BYTES).unwrap_or(rest) {
            [] => Taken::End,
            piece => Taken::Piece(Bytes::copy_from_slice(piece)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pages.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_left_alone_for_longest_makes_room() {
        let pages = Pages::with_limit(300);
        let first = pages.keep(vec![1; 100]);
        let second = pages.keep(vec![2; 100]);
        let third = pages.keep(vec![3; 100]);
        assert_eq!(first.take(90), Taken::Piece(Bytes::from(vec![1; 10])));
        let fourth = pages.keep(vec![4; 100]);
        assert_eq!(second.take(0), Taken::Dropped);
        for slot in [&first, &third, &fourth] {
            assert!(matches!(slot.take(0), Taken::Piece(_)));
        }
        assert_eq!(pages.kept_bytes(), 300);
        drop((first, second));
        assert_eq!(pages.kept_bytes(), 200);
        let huge = pages.keep(vec![5; 1000]);
        assert_eq!((third.take(0), fourth.take(0)), (Taken::Dropped, Taken::Dropped));
        assert!(matches!(huge.take(0), Taken::Piece(_)), "one page is always kept");
        drop(huge);
        assert_eq!(pages.kept_bytes(), 0);
    }

    #[test]
    fn a_page_comes_in_pieces() {
        let page: Vec<u8> = (0..limits::HTTP_PIECE_BYTES * 2 + 5).map(|at| at.to_le_bytes()[0]).collect();
        let slot = Pages::new().keep(page.clone());
        let mut found = Vec::new();
        while let Taken::Piece(piece) = slot.take(found.len()) {
            assert!(piece.len() <= limits::HTTP_PIECE_BYTES);
            found.extend(piece);
        }
        assert!(found == page && slot.take(found.len()) == Taken::End);
    }
}
