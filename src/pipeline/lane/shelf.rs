use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use archive::Parcel;
use model::{SopClassUid, TransferSyntaxUid, limits};
use tokio::sync::Notify;

use crate::{Outcome, Waiting};

/// What a lane has claimed and not begun; its couriers take from here by themselves.
///
/// Whoever came last to wait is the first to be served: where little comes, one courier carries all of it, and what it keeps, such as
/// an association, stays in use.
pub(crate) struct Shelf {
    state: Mutex<State>,
    /// Something is there.
    filled: Notify,
    /// Somebody may take part again.
    admitted: Notify,
}

struct State {
    stock: VecDeque<Parcel>,
    /// The kinds that came last, the latest first.
    met: VecDeque<Kind>,
    seats: Vec<Seat>,
    is_closed: bool,
}

type Kind = (SopClassUid, TransferSyntaxUid);

/// How one courier is doing.
#[derive(Clone, Copy, Default)]
struct Seat {
    /// Since when it has been busy.
    begun: Option<Instant>,
    /// When the destination last answered it; `None` if it did worse since.
    well: Option<Instant>,
    /// It gets nothing.
    is_barred: bool,
}

enum Taken {
    Parcel(Box<Parcel>),
    Nothing,
    Barred,
    Closed,
}

impl Shelf {
    pub(crate) fn new(seats: usize) -> Self {
        let seats = vec![Seat::default(); seats];
        let state = State { stock: VecDeque::new(), met: VecDeque::new(), seats, is_closed: false };
        Self { state: Mutex::new(state), filled: Notify::new(), admitted: Notify::new() }
    }

    pub(crate) fn put(&self, parcels: Vec<Parcel>) {
        let mut state = self.state();
        for parcel in parcels {
            state.meet(&parcel);
            state.stock.push_back(parcel);
        }
        drop(state);
        // Whoever takes one of several wakes the next.
        self.filled.notify_last();
    }

    /// Takes everything back that nobody has begun.
    pub(crate) fn clear(&self) -> Vec<Parcel> {
        self.state().stock.drain(..).collect()
    }

    /// Sends the couriers home, each after what it carries. Gives what nobody has begun.
    pub(crate) fn close(&self) -> Vec<Parcel> {
        self.state().is_closed = true;
        self.filled.notify_waiters();
        self.admitted.notify_waiters();
        self.clear()
    }

    /// Waits for the next parcel; `None` when there will be none. Cancel safe.
    pub(crate) async fn take(&self, seat: usize) -> Option<Parcel> {
        loop {
            // Whoever may not take must not wait for what comes: it would be woken in place of another.
            self.admitted(seat).await;
            let mut filled = pin!(self.filled.notified());
            // From here on it is woken by what comes after the look.
            filled.as_mut().enable();
            match self.try_take(seat) {
                Taken::Parcel(parcel) => return Some(*parcel),
                Taken::Closed => return None,
                Taken::Nothing => filled.await,
                Taken::Barred => {}
            }
        }
    }

    /// Waits until a courier may take part, or the shelf is closed. Cancel safe.
    async fn admitted(&self, seat: usize) {
        loop {
            let admitted = self.admitted.notified();
            if !self.state().is_barred(seat) {
                return;
            }
            admitted.await;
        }
    }

    /// Takes notice of how a courier fared. One that found the destination down gets nothing more until it is admitted again.
    ///
    /// Whether another courier was well received in the meantime, or is busy there and was before.
    pub(crate) fn report(&self, seat: usize, outcome: &Outcome) -> bool {
        let is_well =
            matches!(outcome, Outcome::Delivered { .. } | Outcome::Stored { .. } | Outcome::Refused { .. });
        let is_barred = matches!(outcome, Outcome::Down { .. });
        let mut state = self.state();
        let Some(own) = state.seats.get_mut(seat) else { return false };
        let begun = own.begun;
        *own = Seat { begun: None, well: is_well.then(Instant::now), is_barred };
        let does_well = |other: &Seat| {
            other.well.is_some_and(|well| other.begun.is_some() || begun.is_some_and(|begun| well > begun))
        };
        state.seats.iter().enumerate().any(|(number, other)| number != seat && does_well(other))
    }

    /// Lets a courier take part again.
    pub(crate) fn admit(&self, seat: usize) {
        if let Some(seat) = self.state().seats.get_mut(seat) {
            seat.is_barred = false;
        }
        self.admitted.notify_waiters();
    }

    fn try_take(&self, seat: usize) -> Taken {
        let mut state = self.state();
        if state.is_closed {
            return Taken::Closed;
        }
        if state.is_barred(seat) {
            return Taken::Barred;
        }
        let Some(parcel) = state.stock.pop_front() else { return Taken::Nothing };
        if let Some(seat) = state.seats.get_mut(seat) {
            seat.begun = Some(Instant::now());
        }
        let is_more = !state.stock.is_empty();
        drop(state);
        if is_more {
            self.filled.notify_last();
        }
        Taken::Parcel(Box::new(parcel))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_barred(&self, seat: usize) -> bool {
        !self.is_closed && self.seats.get(seat).is_none_or(|seat| seat.is_barred)
    }

    fn meet(&mut self, parcel: &Parcel) {
        let is_kind = |(class, syntax): &Kind| {
            *class == parcel.instance.ids.sop_class && *syntax == parcel.instance.transfer_syntax
        };
        match self.met.iter().position(is_kind) {
            Some(0) => {}
            Some(at) => {
                if let Some(kind) = self.met.remove(at) {
                    self.met.push_front(kind);
                }
            }
            None => {
                self.met.truncate(limits::KINDS_MET - 1);
                self.met.push_front(kind(parcel));
            }
        }
    }
}

impl Waiting for Shelf {
    fn kinds(&self) -> Vec<Kind> {
        let state = self.state();
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in state.stock.iter().map(kind).chain(state.met.iter().cloned()) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }
}

fn kind(parcel: &Parcel) -> Kind {
    (parcel.instance.ids.sop_class.clone(), parcel.instance.transfer_syntax.clone())
}
