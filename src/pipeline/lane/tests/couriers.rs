use std::sync::Arc;
use std::time::Duration;

use telemetry::Telemetry;
use tokio::sync::mpsc;
use tokio::time::{Instant, advance};

use super::sink::{Answer, Sink};
use super::{number, parcels};
use crate::lane::courier::{Ended, work};
use crate::lane::shelf::Shelf;
use crate::{IDLE, Outcome};

/// A courier at work, on a clock of its own.
struct Post {
    sink: Sink,
    shelf: Arc<Shelf>,
    ends: mpsc::Receiver<Ended>,
    telemetry: Telemetry,
    courier: tokio::task::JoinHandle<()>,
}

impl Post {
    fn new() -> Self {
        let (sink, shelf, telemetry) = (Sink::new("sink", 1), Arc::new(Shelf::new(1)), Telemetry::new());
        let (sender, ends) = mpsc::channel(8);
        let work = work(0, Arc::new(sink.clone()), shelf.clone(), sender, telemetry.clone());
        let courier = tokio::task::spawn_local(work);
        Self { sink, shelf, ends, telemetry, courier }
    }
}

fn run(test: impl AsyncFnOnce()) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test());
}

#[test]
fn a_courier_rests_when_nothing_comes_and_once_only() {
    let mut parcels = parcels(2);
    run(async || {
        let mut post = Post::new();
        let begin = Instant::now();
        tokio::time::sleep(IDLE * 3).await;
        assert_eq!(post.sink.seen().rests, 0, "it has nothing to let go of");
        post.shelf.put(parcels.drain(..1).collect());
        post.ends.recv().await.unwrap();
        tokio::time::sleep(IDLE - Duration::from_millis(1)).await;
        assert_eq!(post.sink.seen().rests, 0);
        tokio::time::sleep(IDLE * 5).await;
        assert_eq!(post.sink.seen().rests, 1);
        assert!(begin.elapsed() > IDLE * 8);
        post.shelf.put(parcels);
        let ended = post.ends.recv().await.unwrap();
        assert_eq!(number(&ended.parcel), 2);
        advance(Duration::from_millis(1)).await;
        post.shelf.close();
        post.courier.await.unwrap();
        let seen = post.sink.seen();
        assert_eq!((seen.rests, seen.couriers, &seen.delivered[..]), (2, 1, &[1, 2][..]));
    });
}

#[test]
fn a_panic_ends_the_delivery_only() {
    let parcels = parcels(2);
    run(async || {
        let mut post = Post::new();
        post.sink.does(|parcel| if number(parcel) == 1 { Answer::Panic } else { Answer::Take });
        post.shelf.put(parcels);
        let first = post.ends.recv().await.unwrap();
        assert_eq!(first.outcome, Outcome::Retry { reason: "internal error".to_owned(), after: None });
        let second = post.ends.recv().await.unwrap();
        assert!(matches!(second.outcome, Outcome::Delivered { .. }));
        assert_eq!(post.sink.seen().couriers, 2);
        assert!(post.telemetry.render().contains("gantry_panics_total 1"));
    });
}

#[test]
fn a_courier_goes_home_when_nobody_listens_any_more() {
    let parcels = parcels(1);
    run(async || {
        let post = Post::new();
        drop(post.ends);
        post.shelf.put(parcels);
        post.courier.await.unwrap();
        assert_eq!(post.sink.seen().rests, 1);
    });
}
