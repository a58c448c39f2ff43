use std::time::{Duration, Instant};

use archive::{Circuit, Parcel, Settlement, Turn, Turned};
use model::limits;
use telemetry::DeliveryEnd;

use super::parcels;
use crate::Outcome;
use crate::lane::Retry;
use crate::lane::agenda::{Agenda, Consequence, End};
use crate::lane::circuit::Change;

const RETRY: Retry = Retry {
    first: Duration::from_secs(10),
    factor: 2.0,
    max: Duration::from_secs(900),
    give_up: Duration::from_secs(259_200),
};

const WINDOW: usize = limits::LANE_WINDOW;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An agenda of a lane of two couriers, with the time that it believes it is.
struct Desk {
    agenda: Agenda,
    now: Instant,
}

impl Desk {
    /// After its first turn, which found nothing; so late that what is old is given up.
    fn new() -> Self {
        Self::after(limits::GRACE)
    }

    /// After its first turn, which was so long after the start.
    fn after(age: Duration) -> Self {
        let begin = Instant::now();
        let mut desk = Self { agenda: Agenda::new(RETRY, 2, begin), now: begin + age };
        let turn = desk.turn();
        assert_eq!((turn.claim, turn.circuit), (WINDOW, Some(Circuit::Closed)));
        assert!(desk.turned(Turned::default()).is_empty());
        desk
    }

    /// That holds these.
    fn with(parcels: &[Parcel]) -> Self {
        let mut desk = Self::new();
        desk.claim(parcels);
        desk
    }

    fn claim(&mut self, parcels: &[Parcel]) {
        self.agenda.has_more();
        self.pass(ms(5));
        assert_eq!(self.turn().claim, WINDOW);
        assert_eq!(self.turned(some(parcels)).len(), parcels.len());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets the time pass until there is a turn to take; how long that was.
    fn wait(&mut self) -> (Duration, Turn) {
        let begin = self.now;
        loop {
            if let Some(turn) = self.agenda.next_turn(self.now) {
                return (self.now - begin, turn);
            }
            let at = self.agenda.wake_at().expect("no turn is under way");
            assert!(at > self.now, "it would be asked again and again");
            self.now = at;
        }
    }

    fn turn(&mut self) -> Turn {
        self.agenda.next_turn(self.now).expect("there is something to do")
    }

    fn has_no_turn(&mut self) -> bool {
        self.agenda.next_turn(self.now).is_none()
    }

    fn turned(&mut self, turned: Turned) -> Vec<Parcel> {
        self.agenda.turned(turned, self.now)
    }

    fn ended(&mut self, parcel: &Parcel, outcome: Outcome) -> Consequence {
        let end = End {
            delivery: parcel.id,
            attempts: parcel.attempts,
            age: ms(30),
            outcome,
            others_do_well: false,
        };
        self.agenda.ended(end, self.now, 0.0)
    }
}

fn delivered() -> Outcome {
    Outcome::Delivered { answer: "0000H".to_owned(), sent: [1; 32] }
}

fn down() -> Outcome {
    Outcome::Down { reason: "refused".to_owned() }
}

fn retry() -> Outcome {
    Outcome::Retry { reason: "busy".to_owned(), after: None }
}

fn some(parcels: &[Parcel]) -> Turned {
    Turned { parcels: parcels.to_vec(), ..Turned::default() }
}

#[test]
fn an_idle_lane_looks_into_the_index_each_second_and_at_once_when_woken() {
    let mut desk = Desk::new();
    for _ in 0..3 {
        let (waited, turn) = desk.wait();
        assert!(waited <= limits::LANE_TICK && waited > ms(900), "{waited:?}");
        assert_eq!((turn.claim, turn.settled.len(), turn.give_up), (WINDOW, 0, None));
        desk.turned(Turned::default());
    }
    desk.pass(ms(500));
    assert!(desk.has_no_turn());
    desk.agenda.has_more();
    assert_eq!(desk.turn().claim, WINDOW);
}

#[test]
fn turns_in_a_row_leave_room_for_others() {
    let mut desk = Desk::new();
    desk.agenda.has_more();
    assert_eq!(desk.wait().0, limits::LANE_PAUSE);
}

#[test]
fn what_comes_while_a_turn_is_under_way_is_claimed_by_the_next() {
    let mut desk = Desk::new();
    desk.agenda.has_more();
    desk.wait();
    desk.agenda.has_more();
    assert!(desk.has_no_turn() && desk.agenda.wake_at().is_none());
    desk.turned(Turned::default());
    let (waited, turn) = desk.wait();
    assert_eq!((waited, turn.claim, turn.lease), (limits::LANE_PAUSE, WINDOW, limits::LEASE));
}

#[test]
fn claims_again_once_half_of_the_window_is_free() {
    let held = parcels(64);
    let mut desk = Desk::with(&held);
    desk.agenda.has_more();
    desk.pass(ms(10));
    for parcel in &held[..31] {
        assert!(desk.has_no_turn());
        desk.ended(parcel, delivered());
    }
    assert!(desk.has_no_turn());
    desk.ended(&held[31], delivered());
    let turn = desk.turn();
    assert_eq!((turn.settled.len(), turn.claim), (32, 32));
}

#[test]
fn outcomes_wait_a_little_for_company() {
    let held = parcels(3);
    let mut desk = Desk::with(&held);
    desk.ended(&held[0], delivered());
    desk.pass(ms(10));
    desk.ended(&held[1], delivered());
    let (waited, turn) = desk.wait();
    assert_eq!((waited, turn.settled.len(), turn.claim), (limits::SETTLE_DELAY - ms(10), 2, 0));
    let settled = Settlement::Delivered { answer: "0000H".to_owned(), sent: [1; 32] };
    assert_eq!(turn.settled[0], (held[0].id, settled));
}

#[test]
fn is_back_when_the_next_attempt_is_due() {
    let mut desk = Desk::new();
    desk.agenda.has_more();
    desk.wait();
    desk.turned(Turned { next_due: Some(ms(300)), ..Turned::default() });
    let (waited, turn) = desk.wait();
    assert_eq!((waited, turn.claim), (ms(300), WINDOW));
}

#[test]
fn leases_are_renewed_for_what_takes_long() {
    let held = parcels(2);
    let mut desk = Desk::with(&held);
    desk.pass(ms(50_000));
    desk.ended(&held[0], delivered());
    assert_eq!(desk.wait().1.renewed, []);
    desk.turned(Turned::default());
    desk.pass(ms(50_000));
    assert_eq!(desk.wait().1.renewed, [held[1].id]);
    desk.turned(Turned::default());
    desk.pass(ms(90_000));
    assert_eq!(desk.wait().1.renewed, []);
    desk.turned(Turned::default());
    desk.pass(ms(10_000));
    assert_eq!(desk.wait().1.renewed, [held[1].id]);
}

#[test]
fn a_renewal_that_failed_is_made_up_for() {
    let held = parcels(1);
    let mut desk = Desk::with(&held);
    desk.pass(limits::LEASE_RENEWAL);
    assert_eq!(desk.wait().1.renewed, [held[0].id]);
    desk.agenda.failed(desk.now);
    assert_eq!(desk.wait().1.renewed, [held[0].id]);
    desk.turned(Turned::default());
    desk.pass(ms(10_000));
    assert_eq!(desk.wait().1.renewed, []);
}

#[test]
fn what_nobody_could_try_is_not_given_up_for_its_age() {
    let held = parcels(2);
    let mut desk = Desk::after(Duration::ZERO);
    desk.claim(&held);
    let late = |desk: &mut Desk, parcel: &Parcel| {
        let (delivery, age) = (parcel.id, RETRY.give_up * 2);
        let end = End { delivery, attempts: 0, age, outcome: down(), others_do_well: false };
        desk.agenda.ended(end, desk.now, 0.0).end
    };
    assert_eq!(late(&mut desk, &held[0]), DeliveryEnd::Down);
    desk.wait();
    desk.turned(Turned::default());
    // It looks all the same, for a person may ask.
    let (waited, turn) = desk.wait();
    assert!(waited <= limits::LANE_TICK && turn.claim == 0 && turn.give_up.is_none());
    desk.turned(Turned::default());
    desk.pass(limits::GRACE - ms(3000));
    assert_eq!(desk.wait().1.give_up, None);
    desk.turned(Turned::default());
    desk.pass(ms(3000));
    assert_eq!(late(&mut desk, &held[1]), DeliveryEnd::GaveUp);
    assert!(desk.wait().1.give_up.is_some());
}

#[test]
fn a_destination_that_is_down_is_probed_with_one_at_a_time() {
    let held = parcels(4);
    let mut desk = Desk::with(&held[..2]);
    let consequence = desk.ended(&held[0], down());
    assert_eq!((consequence.end, consequence.change), (DeliveryEnd::Down, Some(Change::Opened)));
    desk.agenda.release([held[1].id], desk.now);
    let (_, turn) = desk.wait();
    assert_eq!(turn.claim, 0);
    assert_eq!(turn.settled[1], (held[1].id, Settlement::Released));
    let open = |seconds| {
        let probe_after = Duration::from_secs(seconds);
        Some(Circuit::Open { reason: "refused".to_owned(), probe_after })
    };
    assert_eq!(turn.circuit, open(10));
    desk.turned(Turned { ready_left: true, ..Turned::default() });
    // Until the probe it only looks for what has become too old.
    let begin = desk.now;
    let probe = loop {
        let (_, turn) = desk.wait();
        assert!(desk.now <= begin + Duration::from_secs(10));
        if turn.claim > 0 {
            break turn;
        }
        assert_eq!(turn.give_up, Some((RETRY.give_up, "gave up after 72 h".to_owned())));
        desk.turned(Turned { ready_left: true, ..Turned::default() });
    };
    assert_eq!((probe.claim, probe.hasten), (1, false));
    assert_eq!(desk.turned(some(&held[2..3])).len(), 1);
    desk.agenda.has_more();
    desk.pass(ms(10));
    assert!(desk.has_no_turn(), "one probe at a time");
    assert_eq!(desk.ended(&held[2], down()).change, Some(Change::StaysOpen));
    assert_eq!(desk.wait().1.circuit, open(20));
    desk.turned(Turned::default());
    desk.pass(Duration::from_secs(20));
    assert_eq!(desk.wait().1.claim, 1);
    desk.turned(some(&held[3..4]));
    assert_eq!(desk.ended(&held[3], delivered()).change, Some(Change::Closed));
    let (_, turn) = desk.wait();
    assert_eq!((turn.circuit, turn.hasten, turn.claim), (Some(Circuit::Closed), true, WINDOW));
}

#[test]
fn what_waits_for_its_next_attempt_serves_as_a_probe_when_there_is_nothing_else() {
    let held = parcels(1);
    let mut desk = Desk::with(&held);
    desk.ended(&held[0], down());
    desk.wait();
    desk.turned(Turned { next_due: Some(Duration::from_secs(600)), ..Turned::default() });
    desk.pass(Duration::from_secs(10));
    let (_, turn) = desk.wait();
    assert_eq!((turn.claim, turn.hasten), (1, false));
    desk.turned(Turned { next_due: Some(Duration::from_secs(590)), ..Turned::default() });
    let (waited, turn) = desk.wait();
    assert_eq!((waited, turn.claim, turn.hasten), (limits::LANE_PAUSE, 1, true));
    assert_eq!(desk.turned(some(&held)).len(), 1);
}

#[test]
fn what_was_claimed_before_it_went_down_is_given_back() {
    let held = parcels(3);
    let mut desk = Desk::with(&held[..1]);
    desk.agenda.has_more();
    desk.wait();
    desk.ended(&held[0], down());
    assert!(desk.turned(some(&held[1..])).is_empty());
    let settled: Vec<_> = desk.wait().1.settled.into_iter().map(|(id, _)| id).collect();
    assert_eq!(settled, [held[0].id, held[1].id, held[2].id]);
}

#[test]
fn failures_in_a_row_open_the_circuit_and_keep_their_own_waits() {
    let mut held = parcels(6);
    held[0].attempts = 3;
    let mut desk = Desk::with(&held);
    // That one says something about itself.
    for parcel in &held[..5] {
        assert_eq!(desk.ended(parcel, retry()).change, None);
    }
    assert_eq!(desk.ended(&held[5], retry()).change, Some(Change::Opened));
    let waits: Vec<_> = desk.wait().1.settled.into_iter().map(|(_, settlement)| settlement).collect();
    let again =
        |seconds| Settlement::Retry { after: Duration::from_secs(seconds), reason: "busy".to_owned() };
    assert_eq!(waits, [again(80), again(10), again(10), again(10), again(10), again(10)]);
}

#[test]
fn what_always_fails_neither_hastens_itself_nor_delays_what_comes() {
    let mut held = parcels(6);
    let mut desk = Desk::with(&held[..5]);
    for parcel in &held[..5] {
        desk.ended(parcel, retry());
    }
    desk.wait();
    let ten = Duration::from_secs(10);
    desk.turned(Turned { next_due: Some(ten), ..Turned::default() });
    desk.pass(ten);
    let soon = || Turned { next_due: Some(ms(500)), ..Turned::default() };
    let (_, turn) = desk.wait();
    assert_eq!((turn.claim, turn.hasten), (1, false));
    desk.turned(soon());
    // They are probes when they are due, one after the other, and not before.
    for parcel in &mut held[..5] {
        let (_, turn) = desk.wait();
        assert_eq!((turn.claim, turn.hasten), (1, false));
        parcel.attempts = 1;
        assert_eq!(desk.turned(some(std::slice::from_ref(parcel))).len(), 1);
        assert_eq!(desk.ended(parcel, retry()).change, None);
        let (_, turn) = desk.wait();
        assert_eq!((turn.settled.len(), turn.hasten), (1, false));
        desk.turned(soon());
    }
    // What comes now is tried at once.
    desk.agenda.has_more();
    let (waited, turn) = desk.wait();
    assert_eq!((waited, turn.claim), (limits::LANE_PAUSE, 1));
    desk.turned(some(&held[5..]));
    assert_eq!(desk.ended(&held[5], delivered()).change, Some(Change::Closed));
    let (_, turn) = desk.wait();
    assert_eq!((turn.circuit, turn.hasten, turn.claim), (Some(Circuit::Closed), false, WINDOW));
}

#[test]
fn giving_up_goes_on_at_once_while_there_are_more() {
    let held = parcels(1);
    let mut desk = Desk::with(&held);
    desk.ended(&held[0], down());
    desk.wait();
    desk.turned(Turned::default());
    desk.pass(ms(1000));
    assert!(desk.wait().1.give_up.is_some());
    desk.turned(Turned { gave_up: limits::GIVEN_UP.try_into().unwrap(), ..Turned::default() });
    let (waited, turn) = desk.wait();
    assert!(waited == limits::LANE_PAUSE && turn.give_up.is_some());
    desk.turned(Turned { gave_up: 3, ..Turned::default() });
    assert!(desk.wait().0 > ms(900));
}

#[test]
fn a_failed_turn_is_made_up_for() {
    let held = parcels(2);
    let mut desk = Desk::with(&held);
    desk.ended(&held[0], down());
    let first = desk.wait().1;
    desk.ended(&held[1], delivered());
    desk.agenda.failed(desk.now);
    let (waited, second) = desk.wait();
    assert_eq!(waited, limits::LANE_TICK);
    assert_eq!(second.settled[..1], first.settled[..]);
    assert_eq!(second.settled[1].0, held[1].id);
    assert_eq!((second.circuit, second.hasten), (Some(Circuit::Closed), true), "the latest counts");
    desk.agenda.failed(desk.now);
    let third = desk.wait().1;
    assert_eq!((third.settled.len(), third.circuit, third.hasten), (2, Some(Circuit::Closed), true));
    assert_eq!(third.claim, WINDOW);
}

#[test]
fn a_stopping_lane_claims_nothing_and_gives_back_what_still_comes() {
    let held = parcels(3);
    let mut desk = Desk::with(&held[..1]);
    desk.agenda.has_more();
    desk.wait();
    desk.agenda.stop();
    assert!(desk.turned(some(&held[1..])).is_empty());
    let (_, turn) = desk.wait();
    assert_eq!((turn.claim, turn.settled.len()), (0, 2));
    desk.turned(Turned { ready_left: true, ..Turned::default() });
    assert!(desk.agenda.is_settled());
    desk.ended(&held[0], delivered());
    assert!(!desk.agenda.is_settled());
    desk.agenda.flush(desk.now);
    let turn = desk.turn();
    assert_eq!((turn.claim, turn.settled.len()), (0, 1));
    desk.turned(Turned::default());
    assert!(desk.agenda.is_settled());
}
