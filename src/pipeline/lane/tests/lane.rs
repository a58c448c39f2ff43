use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use archive::Desk;
use model::DestinationName;

use super::sink::{Answer, Sink, down, retry};
use super::{QUICK, number};
use crate::lane::Retry;
use crate::tests::{CT, Home};
use crate::{Courier, Destination, IDLE, Outcome};

/// Hours, so that no test is told by them.
const SLOW: Retry = Retry {
    first: Duration::from_secs(3600),
    factor: 2.0,
    max: Duration::from_secs(7200),
    give_up: Duration::from_secs(259_200),
};

/// Attempts and reasons of all dead letters.
async fn dead(home: &Home) -> Vec<(u32, String)> {
    let letters = home.pipeline.dead_letters(1000).await.unwrap();
    letters.into_iter().map(|letter| (letter.attempts, letter.reason)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_and_what_comes_is_delivered_once() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..100).await;
    let sink = Sink::new("sink", 3);
    home.run(sink.clone(), SLOW);
    home.store_all(100..201).await;
    home.until("sink", |lane| lane.delivered == 200).await;
    let mut delivered = sink.seen().delivered.clone();
    delivered.sort_unstable();
    assert_eq!(delivered, (1..201).collect::<Vec<_>>());
    let lane = home.lane("sink").await;
    assert_eq!((lane.ready, lane.leased, lane.retrying, lane.dead, lane.oldest), (0, 0, 0, 0, None));
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="delivered"} 200"#);
    home.has_metric(r#"gantry_delivery_seconds_count{destination="sink"} 200"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_lane_is_woken_by_the_commit() {
    let home = Home::new(&["sink"]).await;
    let sink = Sink::new("sink", 1);
    home.run(sink.clone(), SLOW);
    home.store(1, CT).await;
    sink.until(|seen| seen.delivered.len() == 1).await;
    let mut waits = Vec::new();
    for number in 2..22 {
        home.store(number, CT).await;
        let acknowledged = Instant::now();
        sink.until(|seen| seen.delivered.len() == number as usize).await;
        let begun = sink.seen().begun.last().map(|(_, _, begun)| *begun).unwrap();
        waits.push(begun.saturating_duration_since(acknowledged));
    }
    waits.sort();
    assert!(waits[10] < Duration::from_millis(200), "looks into the index each second only: {waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_tried_again_until_it_is_delivered() {
    let home = Home::new(&["sink"]).await;
    home.store(1, CT).await;
    let sink = Sink::new("sink", 1);
    let mut attempts = 0;
    sink.does(move |_| {
        attempts += 1;
        if attempts < 4 { retry() } else { Answer::Take }
    });
    home.run(sink.clone(), QUICK);
    let lane = home.until("sink", |lane| lane.delivered == 1).await;
    assert!(lane.last_error.unwrap().0.contains("out of resources"));
    assert_eq!(sink.seen().begun.len(), 4);
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="retry"} 3"#);
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="delivered"} 1"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_will_never_be_taken_is_a_dead_letter_at_once() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..4).await;
    let sink = Sink::new("sink", 1);
    sink.does(|parcel| match number(parcel) {
        1 => Answer::Say(Outcome::Refused { reason: "no such syntax".to_owned() }),
        2 => Answer::Say(Outcome::Poison { reason: "the file is gone".to_owned() }),
        _ => Answer::Take,
    });
    home.run(sink.clone(), QUICK);
    home.until("sink", |lane| (lane.dead, lane.delivered) == (2, 1)).await;
    let mut dead = dead(&home).await;
    dead.sort();
    assert_eq!(dead, [(1, "no such syntax".to_owned()), (1, "the file is gone".to_owned())]);
    home.pipeline.measure_queues().await.unwrap();
    home.has_metric(r#"gantry_queue_depth{destination="sink",state="dead"} 2"#);
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="refused"} 1"#);
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="poison"} 1"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_down_is_left_alone_and_caught_up_with_when_it_is_back() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..101).await;
    let sink = Sink::new("sink", 2);
    sink.does(|_| down());
    home.run(sink.clone(), QUICK);
    // What was claimed is released; only what was tried has failed.
    let lane = home.until("sink", |lane| lane.circuit_open.is_some() && lane.leased == 0).await;
    assert!(lane.last_error.unwrap().0.contains("nobody answers"));
    assert!(lane.ready >= 90 && lane.retrying < 10, "{} {}", lane.ready, lane.retrying);
    sink.until(|seen| seen.begun.len() > 5).await;
    sink.does(|_| Answer::Take);
    let lane = home.until("sink", |lane| lane.delivered == 100).await;
    assert_eq!(lane.circuit_open, None);
    assert!(sink.seen().begun.len() < 130, "{}", sink.seen().begun.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_that_always_fail_do_not_hold_up_the_others() {
    let home = Home::new(&["sink"]).await;
    let sink = Sink::new("sink", 2);
    sink.does(|parcel| if (2..=6).contains(&number(parcel)) { retry() } else { Answer::Wait });
    home.run(sink.clone(), SLOW);
    home.store(1, CT).await;
    sink.until(|seen| seen.begun.len() == 1).await;
    home.store_all(2..7).await;
    home.until("sink", |lane| lane.circuit_open.is_some() && lane.retrying == 5).await;
    home.store_all(7..207).await;
    // The one on its way shows that the destination answers.
    sink.let_go(201);
    let lane = home.until("sink", |lane| lane.delivered == 201).await;
    assert_eq!((lane.retrying, lane.circuit_open), (5, None));
    assert_eq!(sink.seen().begun.len(), 206, "their own waits hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_alone_serves_as_its_own_probe() {
    let home = Home::new(&["sink"]).await;
    home.store(1, CT).await;
    let sink = Sink::new("sink", 2);
    sink.does(|_| down());
    // After some failures its own wait would be far longer than that between probes.
    home.run(sink.clone(), Retry { factor: 100.0, max: Duration::from_millis(300), ..QUICK });
    sink.until(|seen| seen.begun.len() == 5).await;
    sink.does(|_| Answer::Take);
    home.until("sink", |lane| lane.delivered == 1 && lane.circuit_open.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_waited_for_too_long_is_given_up_tried_or_not() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..6).await;
    let sink = Sink::new("sink", 1);
    sink.does(|_| down());
    home.run(sink.clone(), Retry { give_up: Duration::from_millis(1), ..SLOW });
    home.until("sink", |lane| lane.dead == 5).await;
    let dead = dead(&home).await;
    assert!(dead.iter().all(|(_, reason)| reason.starts_with("gave up after 1 ms")), "{dead:?}");
    assert!(dead.contains(&(1, "gave up after 1 ms: nobody answers".to_owned())), "{dead:?}");
    assert_eq!(sink.seen().begun.len(), 1, "the others went without an attempt");
    home.has_metric(r#"gantry_deliveries_total{destination="sink",outcome="gave_up"} 5"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lane_that_hangs_or_is_down_never_delays_another() {
    let home = Home::new(&["hangs", "down", "works"]).await;
    let (hangs, is_down, works) = (Sink::new("hangs", 2), Sink::new("down", 2), Sink::new("works", 2));
    hangs.does(|_| Answer::Wait);
    is_down.does(|_| down());
    for sink in [&hangs, &is_down, &works] {
        home.run(sink.clone(), QUICK);
    }
    home.store_all(1..101).await;
    works.until(|seen| seen.delivered.len() == 100).await;
    hangs.saw(|seen| assert_eq!((seen.begun.len(), seen.delivered.len()), (2, 0)));
    hangs.let_go(100);
    home.until("hangs", |lane| lane.delivered == 100).await;
    assert_eq!(home.lane("down").await.delivered, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_a_courier_costs_an_attempt() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..4).await;
    let sink = Sink::new("sink", 1);
    let mut has_panicked = false;
    sink.does(move |_| if std::mem::replace(&mut has_panicked, true) { Answer::Take } else { Answer::Panic });
    home.run(sink.clone(), QUICK);
    let lane = home.until("sink", |lane| lane.delivered == 3).await;
    assert_eq!(lane.last_error.unwrap().0, "internal error");
    sink.saw(|seen| assert_eq!((seen.couriers, seen.begun.len()), (2, 4)));
    home.has_metric("gantry_panics_total 1");
}

/// A destination of one courier that panics when it is asked for its width, or for the courier, for the first time.
struct Shaky {
    sink: Sink,
    has_width: AtomicBool,
    has_courier: AtomicBool,
}

impl Destination for Shaky {
    fn name(&self) -> &DestinationName {
        self.sink.name()
    }

    fn width(&self) -> usize {
        assert!(self.has_width.swap(true, Ordering::Relaxed), "told to");
        self.sink.width()
    }

    fn courier(&self) -> Box<dyn Courier> {
        assert!(self.has_courier.swap(true, Ordering::Relaxed), "told to");
        self.sink.courier()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_panics_or_is_left_by_its_couriers_begins_anew() {
    for has_width in [false, true] {
        let home = Home::new(&["sink"]).await;
        home.store_all(1..4).await;
        let has_courier = AtomicBool::new(!has_width);
        let sink = Sink::new("sink", 1);
        home.run(Shaky { sink, has_width: AtomicBool::new(has_width), has_courier }, SLOW);
        home.until("sink", |lane| lane.delivered == 3).await;
        home.has_metric("gantry_panics_total 1");
        home.stop();
        home.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_waits_for_what_is_on_its_way_and_gives_back_the_rest() {
    let home = Home::new(&["sink"]).await;
    home.store_all(1..31).await;
    let sink = Sink::new("sink", 2);
    sink.does(|_| Answer::Wait);
    home.run(sink.clone(), SLOW);
    sink.until(|seen| seen.begun.len() == 2).await;
    home.stop();
    home.until("sink", |lane| (lane.ready, lane.leased) == (28, 2)).await;
    sink.let_go(30);
    home.stopped().await;
    let lane = home.lane("sink").await;
    assert_eq!((lane.delivered, lane.ready, lane.leased), (2, 28, 0));
    let seen = sink.seen();
    assert_eq!((seen.begun.len(), seen.rests), (2, 2));
    drop(seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_lane_stops_at_once() {
    let home = Home::new(&["sink"]).await;
    let sink = Sink::new("sink", 4);
    home.run(sink.clone(), SLOW);
    home.store(1, CT).await;
    home.until("sink", |lane| lane.delivered == 1).await;
    let begin = Instant::now();
    home.stop();
    home.stopped().await;
    assert!(begin.elapsed() < IDLE);
    assert_eq!(sink.seen().rests, 1, "the others have nothing to let go of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_by_hand_from_another_process_is_noticed_within_a_second_or_so() {
    let home = Home::new(&["sink"]).await;
    home.store(1, CT).await;
    let sink = Sink::new("sink", 1);
    sink.does(|_| Answer::Say(Outcome::Refused { reason: "full".to_owned() }));
    home.run(sink.clone(), SLOW);
    home.until("sink", |lane| lane.dead == 1).await;
    sink.does(|_| Answer::Take);
    let begin = Instant::now();
    let which = archive::Retry { destination: None, dead: true, waiting: false };
    assert_eq!(Desk::open(home.folder.path()).unwrap().retry(&which).unwrap(), 1);
    sink.until(|seen| seen.delivered.len() == 1).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_takes_one_association_at_a_time_is_not_down() {
    let home = Home::new(&["sink"]).await;
    let sink = Sink::new("sink", 2);
    home.run(sink.clone(), SLOW);
    home.store(1, CT).await;
    home.until("sink", |lane| lane.delivered == 1).await;
    sink.does(|parcel| match number(parcel) {
        2 => Answer::Wait,
        3 => down(),
        _ => Answer::Take,
    });
    home.store(2, CT).await;
    sink.until(|seen| seen.begun.len() == 2).await;
    home.store(3, CT).await;
    home.until("sink", |lane| lane.retrying == 1).await;
    sink.let_go(1);
    home.store_all(4..20).await;
    let lane = home.until("sink", |lane| lane.delivered == 18).await;
    assert_eq!((lane.retrying, lane.circuit_open), (1, None));
    // From then on all of it goes by the courier that is served.
    let seen = sink.seen();
    assert!(seen.begun.iter().all(|(number, courier, _)| (*courier == seen.begun[2].1) == (*number == 3)));
}
