//! Upstream archives that do what the test wants, asked through our own door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dimse::service::find::{CCancelRq, CFindRq};
use dimse::service::get::CGetRq;
use dimse::service::move_::CMoveRq;
use dimse::service::retrieve::SubOperations;
use dimse::{Command, Status};
use model::element::put;
use model::syntax::Encoding;
use model::{PeerName, Scope, SopClassUid, StudyInstanceUid, Tag, UpstreamName, Vr, sop};
use pipeline::{Upstream as _, UpstreamFault};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::peer::{EXPLICIT, Peer, store};
use super::send::settings;
use super::{CT, Server, image, instance_uid};
use crate::scu::Terms;
use crate::{CallerTerms, RetrieveBy, Upstream, UpstreamConfig};

const STUDY: Tag = Tag(0x0020, 0x000D);
const COUNT: Tag = Tag(0x0020, 0x1208);
const LEVEL: Tag = Tag(0x0008, 0x0052);

/// What the upstream archive does with its requests.
#[derive(Clone, Copy, PartialEq)]
enum Deed {
    /// Gives one study, and then nothing.
    Hang,
    /// Gives one study, and then waits for C-CANCEL.
    Cancel,
    /// Refuses.
    Refuse,
    /// Gives one study, and instance 1 of two; then fails.
    Half,
    /// Gives one study, and instance 1 of it again and again, whose number it says in turns.
    Repeat,
}

/// What it was told.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Cancelled,
    Aborted,
}

/// Starts one, and a server that it is upstream of.
async fn bridged(deed: Deed, retrieve: RetrieveBy) -> (Server, mpsc::Receiver<Heard>) {
    let timeout = Duration::from_millis(if deed == Deed::Hang { 400 } else { 20_000 });
    let (server, _, heard) = doing(deed, UpstreamConfig { retrieve, timeout, ..configured() }).await;
    (server, heard)
}

async fn doing(deed: Deed, config: UpstreamConfig) -> (Server, Arc<Upstream>, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heard) = mpsc::channel(100);
    let tracker = TaskTracker::new();
    let tasks = tracker.clone();
    tracker.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tasks.spawn(async move { serve(Peer::accept(stream, &[]).await, deed, sender).await });
        }
    });
    let (server, upstream) = above(address, config).await;
    (server, upstream, heard)
}

fn configured() -> UpstreamConfig {
    UpstreamConfig {
        name: UpstreamName::new("up"),
        find: true,
        fetch: true,
        retrieve: RetrieveBy::Get,
        associations: 2.try_into().unwrap(),
        timeout: Duration::from_secs(20),
        fetch_timeout: Duration::from_secs(20),
    }
}

/// A server that the archive at this address is upstream of.
async fn above(address: String, config: UpstreamConfig) -> (Server, Arc<Upstream>) {
    let server = Server::start().await;
    let peer = crate::Peer {
        name: PeerName::new("up"),
        ae_title: model::AeTitle::parse("UP").unwrap(),
        address,
        from: Vec::new(),
        as_caller: CallerTerms::default(),
        as_called: Terms::default(),
    };
    let upstream = Arc::new(Upstream::new(config, &peer, settings(), server.pipeline.peers()));
    let known: Arc<dyn pipeline::Upstream> = upstream.clone();
    server.pipeline.set_upstreams(vec![known], server.tracker.clone(), server.shutdown.clone());
    (server, upstream)
}

/// The address of one that takes connections and says nothing; how many it has taken.
async fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    TaskTracker::new().spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, taken)
}

/// The study that they have.
fn wanted() -> Scope {
    Scope { study: StudyInstanceUid::lenient("1.2.3.1").unwrap(), series: None, instance: None }
}

async fn serve(mut peer: Peer, deed: Deed, heard: mpsc::Sender<Heard>) {
    while let Some((command, data)) = peer.try_message().await {
        let is_over = match command {
            Command::CFindRq(request) => {
                // A retrieve asks for how much there is, and for the SOP classes.
                let asks_for_name = data.windows(4).any(|window| window == [0x10, 0, 0x10, 0]);
                found(&mut peer, &request, (deed, asks_for_name), &heard).await
            }
            Command::CGetRq(request) => got(&mut peer, &request, deed, &heard).await,
            Command::CMoveRq(request) => moved(&mut peer, &request, deed, &heard).await,
            other => panic!("{other:?}"),
        };
        if is_over {
            return;
        }
    }
}

/// Answers a C-FIND; whether the association is over.
async fn found(
    peer: &mut Peer,
    request: &CFindRq,
    (deed, is_query): (Deed, bool),
    heard: &mpsc::Sender<Heard>,
) -> bool {
    if deed == Deed::Refuse {
        peer.answer(request.answer(Status(0xA900).into())).await;
        return false;
    }
    let mut row = Vec::new();
    put(&mut row, Encoding::ExplicitLittle, STUDY, Vr::UI, b"1.2.3.1\0");
    put(&mut row, Encoding::ExplicitLittle, COUNT, Vr::IS, b"2 ");
    peer.send(1, request.answer(Status::PENDING.into()), Some(&row)).await;
    match deed {
        Deed::Hang => {
            let told = matches!(peer.event().await, ul::Event::Aborted(_));
            assert!(told, "A-ABORT");
            heard.send(Heard::Aborted).await.unwrap();
            true
        }
        Deed::Cancel if is_query => {
            wait_for_cancel(peer, request.message_id, heard).await;
            peer.answer(request.answer(Status::CANCEL.into())).await;
            false
        }
        Deed::Cancel | Deed::Half | Deed::Refuse | Deed::Repeat => {
            peer.answer(request.answer(Status::SUCCESS.into())).await;
            false
        }
    }
}

async fn got(peer: &mut Peer, request: &CGetRq, deed: Deed, heard: &mpsc::Sender<Heard>) -> bool {
    let failed = SubOperations { completed: Some(1), failed: Some(1), ..SubOperations::default() };
    if deed == Deed::Half {
        let mut store = store(CT, &instance_uid(1));
        store.affected_sop_class_uid = SopClassUid::lenient(CT);
        let context =
            peer.association.contexts().iter().find(|context| context.abstract_syntax == CT).unwrap().id;
        peer.send(context, store, Some(&image(1, 10))).await;
        assert_eq!(peer.status().await, 0);
        peer.send(1, request.answer(Status(0xB000).into(), failed), None).await;
        return false;
    }
    if deed == Deed::Repeat {
        repeat(peer, request).await;
        return true;
    }
    wait_for_cancel(peer, request.message_id, heard).await;
    peer.send(1, request.answer(Status::CANCEL.into(), SubOperations::default()), None).await;
    false
}

/// Until the association is over.
async fn repeat(peer: &mut Peer, request: &CGetRq) {
    let of_ct = |context: &&ul::PresentationContext| context.abstract_syntax == CT;
    let context = peer.association.contexts().iter().find(of_ct).unwrap().id;
    for time in 0.. {
        peer.send(1, request.answer(Status::PENDING.into(), to_and_fro(time)), None).await;
        let store = store(CT, &instance_uid(1));
        peer.send(context, store, Some(&image(1, 10))).await;
        if peer.try_message().await.is_none() {
            return;
        }
    }
}

/// Counters that change and do not rise.
fn to_and_fro(time: u16) -> SubOperations {
    let (remaining, completed) = (Some(2 + time % 2), Some(1 - time % 2));
    SubOperations { remaining, completed, ..SubOperations::default() }
}

async fn moved(peer: &mut Peer, request: &CMoveRq, deed: Deed, heard: &mpsc::Sender<Heard>) -> bool {
    if deed == Deed::Repeat {
        for time in 0.. {
            peer.send(1, request.answer(Status::PENDING.into(), to_and_fro(time)), None).await;
            if timeout(Duration::from_millis(20), peer.try_message()).await.is_ok() {
                return true;
            }
        }
    }
    wait_for_cancel(peer, request.message_id, heard).await;
    peer.send(1, request.answer(Status::CANCEL.into(), SubOperations::default()), None).await;
    false
}

async fn wait_for_cancel(peer: &mut Peer, message_id: u16, heard: &mpsc::Sender<Heard>) {
    let (command, _) = peer.message().await;
    let Command::CCancelRq(cancel) = command else { panic!("{command:?}") };
    assert_eq!(cancel.message_id_being_responded_to, message_id);
    heard.send(Heard::Cancelled).await.unwrap();
}

fn identifier() -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, Encoding::ExplicitLittle, LEVEL, Vr::CS, b"STUDY ");
    put(&mut out, Encoding::ExplicitLittle, STUDY, Vr::UI, b"1.2.3.1\0");
    out
}

/// A requestor that has asked for the study.
async fn asking(server: &Server, service: Service) -> Peer {
    let class = match service {
        Service::Find => sop::STUDY_ROOT_FIND,
        Service::Get => sop::STUDY_ROOT_GET,
    };
    let mut peer = Peer::associate(server.address, &[(class, &[EXPLICIT])]).await;
    let affected_sop_class_uid = SopClassUid::lenient(class);
    match service {
        Service::Find => {
            peer.send(1, CFindRq { message_id: 3, affected_sop_class_uid }, Some(&identifier())).await;
        }
        Service::Get => {
            peer.send(1, CGetRq { message_id: 3, affected_sop_class_uid }, Some(&identifier())).await;
        }
    }
    peer
}

#[derive(Clone, Copy)]
enum Service {
    Find,
    Get,
}

#[tokio::test]
async fn one_that_hangs_is_left_at_its_time_and_what_came_counts() {
    let (server, mut heard) = bridged(Deed::Hang, RetrieveBy::Get).await;
    let started = Instant::now();
    let mut peer = asking(&server, Service::Find).await;
    assert_eq!(peer.status().await, 0xFF00);
    assert!(started.elapsed() < Duration::from_millis(390), "{:?}", started.elapsed());
    assert_eq!(peer.status().await, 0);
    assert!(started.elapsed() >= Duration::from_millis(390));
    peer.release().await;
    assert_eq!(heard.recv().await, Some(Heard::Aborted));
    assert!(server.counts(r#"gantry_upstream_queries_total{upstream="up",outcome="late"} 1"#));
}

#[tokio::test]
async fn a_refusal_is_no_failure_of_ours_and_no_reason_to_leave_it_alone() {
    let (server, _heard) = bridged(Deed::Refuse, RetrieveBy::Get).await;
    for number in 1..=2 {
        let mut peer = asking(&server, Service::Find).await;
        assert_eq!(peer.status().await, 0);
        peer.release().await;
        let line = format!(r#"gantry_upstream_queries_total{{upstream="up",outcome="failed"}} {number}"#);
        assert!(server.counts(&line));
    }
    // Of what it does not tell nobody knows whether it is there.
    let mut peer = asking(&server, Service::Get).await;
    assert_eq!(peer.status().await, 0xA701);
    peer.release().await;
}

#[tokio::test]
async fn a_retrieve_that_is_cancelled_is_cancelled_there() {
    for retrieve in [RetrieveBy::Get, RetrieveBy::Move] {
        let (server, mut heard) = bridged(Deed::Cancel, retrieve).await;
        let mut peer = asking(&server, Service::Get).await;
        // It is kept waiting, and told so.
        let (command, _) = peer.message().await;
        let Command::CGetRsp(response) = command else { panic!("{command:?}") };
        assert_eq!((response.outcome.status, response.sub_operations.remaining), (Status::PENDING, Some(2)));
        peer.send(1, CCancelRq { message_id_being_responded_to: 3 }, None).await;
        assert_eq!(peer.status().await, 0xFE00);
        assert_eq!(heard.recv().await, Some(Heard::Cancelled), "{retrieve:?}");
        peer.release().await;
    }
}

#[tokio::test]
async fn what_it_has_and_does_not_give_is_a_failed_sub_operation() {
    let (server, _heard) = bridged(Deed::Half, RetrieveBy::Get).await;
    let mut peer =
        Peer::associate(server.address, &[(sop::STUDY_ROOT_GET, &[EXPLICIT]), (CT, &[EXPLICIT])]).await;
    let request = CGetRq { message_id: 3, affected_sop_class_uid: SopClassUid::lenient(sop::STUDY_ROOT_GET) };
    peer.send(1, request, Some(&identifier())).await;
    let (command, _) = peer.message().await;
    let Command::CGetRsp(response) = command else { panic!("{command:?}") };
    // The one that came has no context here, the other one never came.
    assert_eq!((response.outcome.status, response.sub_operations.failed), (Status(0xA702), Some(2)));
    peer.release().await;
    assert!(server.counts(r#"gantry_upstream_fetched_instances_total{upstream="up"} 1"#));
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 1"#));
}

#[tokio::test]
async fn one_that_sends_the_same_again_and_again_is_left() {
    let config = UpstreamConfig { fetch_timeout: Duration::from_millis(200), ..configured() };
    let (server, upstream, _heard) = doing(Deed::Repeat, config).await;
    let fetch = upstream.fetch(vec![wanted()], 1, server.pipeline.clone(), server.shutdown.clone());
    let fetched = timeout(Duration::from_secs(20), fetch).await.unwrap();
    assert_eq!(fetched.end.unwrap_err().kind, UpstreamFault::Late);
    assert!(fetched.came > 1, "{}", fetched.came);
    assert!(server.counts(r#"gantry_instances_received_total{door="dimse",status="stored"} 1"#));

    let retrieve = RetrieveBy::Move;
    let config = UpstreamConfig { retrieve, fetch_timeout: Duration::from_millis(200), ..configured() };
    let (server, upstream, _heard) = doing(Deed::Repeat, config).await;
    let fetch = upstream.fetch(vec![wanted()], 1, server.pipeline.clone(), server.shutdown.clone());
    let fetched = timeout(Duration::from_secs(20), fetch).await.unwrap();
    assert_eq!(fetched.end.unwrap_err().kind, UpstreamFault::Late);
}

#[tokio::test]
async fn a_fetch_waits_for_associations_no_longer_than_for_instances() {
    let (address, taken) = silent().await;
    let fetch_timeout = Duration::from_millis(300);
    let (server, upstream) = above(address, UpstreamConfig { fetch_timeout, ..configured() }).await;
    let started = Instant::now();
    let stop = server.shutdown.clone();
    let fetched = upstream.fetch(vec![wanted()], 1, server.pipeline.clone(), stop).await;
    assert_eq!(fetched.end.unwrap_err().kind, UpstreamFault::Late);
    // One association for the SOP classes, and one for what is fetched.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(taken.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_fetch_asks_for_sop_classes_when_it_has_a_place_for_a_query() {
    let (address, taken) = silent().await;
    let config = UpstreamConfig { associations: 1.try_into().unwrap(), ..configured() };
    let (server, upstream) = above(address, config).await;
    let pipeline = server.pipeline.clone();
    server.tracker.spawn(async move {
        drop(pipeline.complete_scope(&wanted(), &pipeline::Behalf::default()).await);
    });
    while taken.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stop = server.shutdown.clone();
    let fetch = upstream.fetch(vec![wanted()], 1, server.pipeline.clone(), stop);
    assert!(timeout(Duration::from_millis(500), fetch).await.is_err());
    assert_eq!(taken.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn that_our_own_queries_take_all_places_is_no_failure_of_the_archive() {
    let (address, taken) = silent().await;
    let timeout = Duration::from_millis(50);
    let (server, upstream) = above(address, UpstreamConfig { timeout, ..configured() }).await;
    let places = Arc::clone(&upstream.queries).acquire_many_owned(2).await.unwrap();
    let query = model::query::Query::new(model::QueryRetrieveLevel::Study);
    let behalf = pipeline::Behalf::default();
    let gathered = server.pipeline.ask_upstreams(&query, &behalf).unwrap().gather().await.unwrap();
    assert_eq!(gathered.incomplete, [UpstreamName::new("up")]);
    let seen = &server.pipeline.upstreams()[0];
    assert!(!seen.is_down && seen.failure.is_none(), "{seen:?}");
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    drop(places);
}

#[tokio::test]
async fn a_query_that_is_cancelled_is_cancelled_there() {
    let (server, mut heard) = bridged(Deed::Cancel, RetrieveBy::Get).await;
    let behalf = pipeline::Behalf::default();
    let mut query = model::query::Query::new(model::QueryRetrieveLevel::Study);
    query.include.tags.insert(Tag(0x0010, 0x0010));
    let mut rows = server.pipeline.ask_upstreams(&query, &behalf).unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().len(), 1);
    drop(rows);
    assert_eq!(heard.recv().await, Some(Heard::Cancelled));
}
