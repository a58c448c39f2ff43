//! Upstream archives that say exactly what the test wants.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use model::attributes::Attributes;
use model::query::{Query, Selection};
use model::{
    AeTitle, PeerName, QueryRetrieveLevel, Scope, SopInstanceUid, StudyInstanceUid, Tag, UpstreamName,
    limits, vr,
};
use tokio_util::sync::CancellationToken;

use super::{Bytes, CT, Home, data_set, eventually, received_from, uid};
use crate::{
    Answers, Asked, Behalf, Error, Fetched, Gathered, Pipeline, Progress, Upstream, UpstreamError,
    UpstreamSummary,
};

const SOP: Tag = Tag(0x0008, 0x0018);
const STUDY: Tag = Tag(0x0020, 0x000D);
const SERIES: Tag = Tag(0x0020, 0x000E);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER: Tag = Tag(0x0010, 0x0021);
const STUDY_COUNT: Tag = Tag(0x0020, 0x1208);
const SERIES_COUNT: Tag = Tag(0x0020, 0x1209);

/// An archive that has instances of the one study and series of these tests, and answers studies as it is told.
#[derive(Clone)]
struct Memory {
    name: UpstreamName,
    peer: (PeerName, AeTitle),
    /// Studies beside the one whose instances it has.
    studies: Vec<String>,
    patients: Vec<(&'static str, &'static str)>,
    instances: BTreeSet<u32>,
    /// Whether it says how many instances it has.
    counts: bool,
    /// After its rows; else it ends well.
    fails: bool,
    /// Never ends.
    hangs: bool,
    /// Instances that it does not give.
    keeps: BTreeSet<u32>,
    /// Looks at the first value of a key only.
    knows_no_lists: bool,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    asked: AtomicUsize,
    fetched: Mutex<Vec<Vec<Scope>>>,
    cancelled: AtomicUsize,
    /// From now on we keep it busy ourselves.
    is_busy: AtomicBool,
}

impl Memory {
    fn new(name: &str) -> Self {
        Self {
            name: UpstreamName::new(name),
            peer: (PeerName::new(name), AeTitle::parse("UP").unwrap()),
            studies: Vec::new(),
            patients: Vec::new(),
            instances: BTreeSet::new(),
            counts: true,
            fails: false,
            hangs: false,
            keeps: BTreeSet::new(),
            knows_no_lists: false,
            log: Arc::default(),
        }
    }

    fn rows(&self, asked: &Asked) -> Vec<Attributes> {
        let row = |values: &[(Tag, &str)]| {
            let mut row = Attributes::new();
            values.iter().for_each(|(tag, value)| row.insert_text(*tag, vr::of_tag(*tag, false), value));
            row
        };
        let count = if self.counts { self.instances.len().to_string() } else { String::new() };
        let has_some = !self.instances.is_empty();
        let rows = match asked.level {
            QueryRetrieveLevel::Patient => {
                self.patients.iter().map(|(id, issuer)| row(&[(PATIENT_ID, id), (ISSUER, issuer)])).collect()
            }
            QueryRetrieveLevel::Study => {
                let own = has_some.then(|| row(&[(STUDY, "2.25.1"), (STUDY_COUNT, &count)]));
                let others = self.studies.iter().map(|study| row(&[(STUDY, study)]));
                own.into_iter().chain(others).collect::<Vec<_>>()
            }
            QueryRetrieveLevel::Series => {
                let own = || row(&[(STUDY, "2.25.1"), (SERIES, "2.25.2"), (SERIES_COUNT, &count)]);
                has_some.then(own).into_iter().collect()
            }
            QueryRetrieveLevel::Image => {
                let of = |number: &u32| row(&[(STUDY, "2.25.1"), (SERIES, "2.25.2"), (SOP, &uid(*number))]);
                self.instances.iter().map(of).collect()
            }
        };
        let most = if self.knows_no_lists { 1 } else { usize::MAX };
        let is_meant = |row: &Attributes| {
            asked.keys.iter().all(|(tag, key)| {
                let mut values = key.values.iter().take(most);
                key.values.is_empty()
                    || row.get(*tag).is_none_or(|found| values.any(|value| found.values.contains(value)))
            })
        };
        rows.into_iter().filter(is_meant).collect()
    }
}

impl Upstream for Memory {
    fn name(&self) -> &UpstreamName {
        &self.name
    }

    fn peer(&self) -> (&PeerName, &AeTitle) {
        (&self.peer.0, &self.peer.1)
    }

    fn finds(&self) -> bool {
        true
    }

    fn fetches(&self) -> bool {
        true
    }

    fn find(&self, asked: Asked, answers: Answers) -> BoxFuture<'static, ()> {
        let this = self.clone();
        async move {
            this.log.asked.fetch_add(1, Ordering::Relaxed);
            if this.log.is_busy.load(Ordering::Relaxed) {
                return answers.end(Err(UpstreamError::busy("all places are taken"))).await;
            }
            for row in this.rows(&asked) {
                if !answers.give(row, 100, false).await {
                    this.log.cancelled.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
            if this.hangs {
                answers.closed().await;
                this.log.cancelled.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let end = if this.fails { Err(UpstreamError::failed("it is away")) } else { Ok(()) };
            answers.end(end).await;
        }
        .boxed()
    }

    fn fetch(
        &self,
        wanted: Vec<Scope>,
        _hops: u8,
        into: Pipeline,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Fetched> {
        let this = self.clone();
        async move {
            this.log.fetched.lock().unwrap().push(wanted.clone());
            if this.hangs {
                stop.cancelled().await;
                this.log.cancelled.fetch_add(1, Ordering::Relaxed);
                return Fetched::failed(UpstreamError::failed("cancelled"));
            }
            let mut came = 0;
            for number in this.instances.difference(&this.keeps) {
                let is_wanted = |scope: &Scope| match &scope.instance {
                    Some(instance) => instance.as_str() == uid(*number),
                    None => true,
                };
                if wanted.iter().any(is_wanted) {
                    let mut body = Bytes(data_set(*number, CT, ""));
                    into.ingest(received_from(*number, "up", "UP"), &mut body).await.unwrap();
                    came += 1;
                }
            }
            let failed = this.keeps.len() as u64;
            Fetched { came, failed, failed_uids: Vec::new(), end: Ok(()) }
        }
        .boxed()
    }
}

async fn home(upstreams: &[&Memory]) -> Home {
    let home = Home::without_rules(Vec::new()).await;
    let all = upstreams.iter().map(|memory| Arc::new((*memory).clone()) as Arc<dyn Upstream>).collect();
    home.pipeline.set_upstreams(all, home.tracker.clone(), home.shutdown.clone());
    home
}

fn studies() -> Query {
    Query::new(QueryRetrieveLevel::Study)
}

async fn gathered(home: &Home, query: &Query) -> Gathered {
    home.pipeline.ask_upstreams(query, &Behalf::default()).unwrap().gather().await.unwrap()
}

fn uids(gathered: &Gathered) -> Vec<&str> {
    gathered.rows.iter().map(|found| found.row.ids.study.as_ref().unwrap().as_str()).collect()
}

fn study() -> Selection {
    Selection {
        level: QueryRetrieveLevel::Study,
        patient_id: None,
        issuer_of_patient_id: None,
        studies: vec![StudyInstanceUid::lenient("2.25.1").unwrap()],
        series: Vec::new(),
        instances: Vec::new(),
    }
}

/// Instances of the study by their numbers.
fn named(numbers: impl IntoIterator<Item = u32>) -> Selection {
    let instances = numbers.into_iter().map(|number| SopInstanceUid::lenient(&uid(number)).unwrap());
    Selection { level: QueryRetrieveLevel::Image, instances: instances.collect(), ..study() }
}

async fn complete(home: &Home) -> (u64, Vec<String>) {
    completed(home, &study()).await
}

async fn completed(home: &Home, wanted: &Selection) -> (u64, Vec<String>) {
    let completion = home.pipeline.complete(wanted, &Behalf::default(), &Progress::default()).await.unwrap();
    (completion.missing(), completion.silent.iter().map(ToString::to_string).collect())
}

async fn ours(home: &Home) -> u64 {
    home.pipeline.select(&study()).await.unwrap().instances()
}

#[tokio::test]
async fn rows_are_there_once_in_the_order_of_the_configuration() {
    let other = |from: u32, to: u32| (from..to).map(|number| format!("2.25.9.{number}")).collect();
    let first = Memory { studies: other(0, 150), instances: [1].into(), ..Memory::new("first") };
    let second = Memory { studies: other(100, 200), fails: true, ..Memory::new("second") };
    let home = home(&[&first, &second]).await;
    home.store(1, CT).await;
    let found = gathered(&home, &studies()).await;
    let expected: Vec<String> = other(0, 200);
    assert_eq!(uids(&found), expected);
    assert_eq!(found.incomplete, [UpstreamName::new("second")]);
    let from: Vec<&str> = found.rows.iter().map(|row| row.upstream.as_str()).collect();
    assert!(
        from[..150].iter().all(|name| *name == "first") && from[150..].iter().all(|name| *name == "second")
    );
    home.has_metric(r#"gantry_upstream_queries_total{upstream="first",outcome="answered"} 1"#);
    home.has_metric(r#"gantry_upstream_queries_total{upstream="second",outcome="failed"} 1"#);
    home.has_metric(r#"gantry_upstream_rows_total{upstream="first"} 150"#);
    // For a while it is left alone.
    let found = gathered(&home, &studies()).await;
    assert_eq!((found.rows.len(), found.incomplete.len()), (150, 1));
    home.has_metric(r#"gantry_upstream_queries_total{upstream="second",outcome="skipped"} 1"#);
}

#[tokio::test]
async fn what_comes_is_given_as_it_comes_and_nobody_wants_more_is_heard() {
    let slow = Memory { studies: vec!["2.25.7".to_owned()], hangs: true, ..Memory::new("slow") };
    let home = home(&[&slow]).await;
    let mut asked = home.pipeline.ask_upstreams(&studies(), &Behalf::default()).unwrap();
    let rows = asked.next().await.unwrap().unwrap();
    assert_eq!((rows.len(), asked.incomplete().len()), (1, 1));
    drop(asked);
    eventually("it is told", || slow.log.cancelled.load(Ordering::Relaxed) == 1).await;
    home.has_metric(r#"gantry_upstream_queries_total{upstream="slow",outcome="cancelled"} 1"#);
    let its_own = Behalf { peer: Some(PeerName::new("slow")), ..Behalf::default() };
    assert!(home.pipeline.ask_upstreams(&studies(), &its_own).is_none());
}

#[tokio::test]
async fn a_patient_without_issuer_may_be_anybodys() {
    let first = Memory { patients: vec![("P1", "A"), ("P2", ""), ("P3", "A")], ..Memory::new("first") };
    let second =
        Memory { patients: vec![("P1", "B"), ("P1", "A"), ("P2", "A"), ("P3", "")], ..Memory::new("second") };
    let home = home(&[&first, &second]).await;
    let found = gathered(&home, &Query::new(QueryRetrieveLevel::Patient)).await;
    let patients: Vec<_> = found
        .rows
        .iter()
        .map(|found| [PATIENT_ID, ISSUER].map(|tag| found.row.attributes.first(tag).unwrap_or_default()))
        .collect();
    assert_eq!(patients, [["P1", "A"], ["P2", ""], ["P3", "A"], ["P1", "B"]]);
}

#[tokio::test]
async fn what_is_lacking_is_fetched_and_nothing_else() {
    for counts in [true, false] {
        let up = Memory { instances: (1..=5).collect(), counts, ..Memory::new("up") };
        let home = home(&[&up]).await;
        home.store_all(1..3).await;
        assert_eq!(complete(&home).await, (0, vec![]));
        assert_eq!(ours(&home).await, 5, "{counts}");
        let fetched: Vec<Scope> = up.log.fetched.lock().unwrap().concat();
        let mut wanted: Vec<_> =
            fetched.iter().map(|scope| scope.instance.as_ref().unwrap().as_str()).collect();
        wanted.sort_unstable();
        assert_eq!(wanted, ["2.25.1.3", "2.25.1.4", "2.25.1.5"]);
        assert_eq!(complete(&home).await, (0, vec![]));
        assert_eq!(up.log.fetched.lock().unwrap().len(), 1, "there is nothing more to fetch");
        home.has_metric(r#"gantry_upstream_fetched_instances_total{upstream="up"} 3"#);
    }
}

#[tokio::test]
async fn a_study_that_we_do_not_have_comes_as_a_whole_and_once() {
    let up = Memory { instances: (1..=9).collect(), ..Memory::new("up") };
    let home = home(&[&up]).await;
    join_all((0..5).map(|_| complete(&home))).await;
    assert_eq!(ours(&home).await, 9);
    let fetched = up.log.fetched.lock().unwrap();
    assert!(fetched.len() == 1 && fetched[0].len() == 1 && fetched[0][0].series.is_none(), "{fetched:?}");
}

#[tokio::test]
async fn what_one_keeps_another_may_give_and_what_nobody_gives_counts_once() {
    let keeps = |keeps: &[u32], name| Memory {
        instances: (1..=4).collect(),
        keeps: keeps.iter().copied().collect(),
        ..Memory::new(name)
    };
    let (first, second) = (keeps(&[2, 3], "first"), keeps(&[3], "second"));
    let home = home(&[&first, &second]).await;
    assert_eq!(complete(&home).await, (1, vec![]));
    assert_eq!(ours(&home).await, 3);
    let blind = Memory { counts: false, ..keeps(&[1, 2, 3, 4], "blind") };
    let home = self::home(&[&blind]).await;
    assert_eq!(complete(&home).await, (4, vec![]), "as it says itself");
}

#[tokio::test]
async fn one_that_says_nothing_is_named_and_one_that_nobody_waits_for_is_stopped() {
    let silent = Memory { fails: true, ..Memory::new("silent") };
    let slow = Memory { instances: [1].into(), ..Memory::new("slow") };
    let home = home(&[&silent, &slow]).await;
    assert_eq!(complete(&home).await, (0, vec!["silent".to_owned()]));
    assert_eq!(ours(&home).await, 1);
    let asked = silent.log.asked.load(Ordering::Relaxed);
    assert_eq!(complete(&home).await.1.len(), 1);
    assert_eq!(silent.log.asked.load(Ordering::Relaxed), asked, "what is ours waits for nobody");

    let slow = SlowFetch(Memory { instances: [1].into(), ..Memory::new("slow") });
    let home = Home::without_rules(Vec::new()).await;
    home.pipeline.set_upstreams(vec![Arc::new(slow.clone())], home.tracker.clone(), home.shutdown.clone());
    {
        let completing = complete(&home);
        tokio::pin!(completing);
        while slow.0.log.fetched.lock().unwrap().is_empty() {
            tokio::select! {
                _ = &mut completing => panic!("it hangs"),
                () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
            }
        }
    }
    eventually("it is stopped", || slow.0.log.cancelled.load(Ordering::Relaxed) == 1).await;
}

#[tokio::test]
async fn one_that_knows_lists_is_not_asked_one_by_one_for_what_it_lacks() {
    let up = Memory { instances: [1].into(), ..Memory::new("up") };
    let home = home(&[&up]).await;
    let mut questions = Vec::new();
    // The last of many, then none, and none again.
    for wanted in [named((100..150).chain([1])), named(200..250), named(300..350)] {
        let before = up.log.asked.load(Ordering::Relaxed);
        assert_eq!(completed(&home, &wanted).await, (0, vec![]));
        questions.push(up.log.asked.load(Ordering::Relaxed) - before);
    }
    assert_eq!((questions, ours(&home).await), (vec![2, 1, 1], 1));
}

#[tokio::test]
async fn one_that_knows_no_lists_is_asked_one_by_one() {
    let up = Memory { instances: [1, 3, 5].into(), knows_no_lists: true, ..Memory::new("up") };
    let home = home(&[&up]).await;
    for (wanted, expected) in [([1, 2, 7], 1), ([2, 3, 7], 2), ([2, 7, 5], 3)] {
        assert_eq!(completed(&home, &named(wanted)).await, (0, vec![]));
        assert_eq!(ours(&home).await, expected, "{wanted:?}");
    }
}

#[tokio::test]
async fn that_we_keep_one_busy_says_nothing_of_it() {
    let away = Memory { fails: true, ..Memory::new("away") };
    let there = Memory { studies: vec!["2.25.7".to_owned()], ..Memory::new("there") };
    let home = home(&[&away, &there]).await;
    let seen = || {
        let of = |one: UpstreamSummary| (one.is_down, one.answered, one.failure);
        home.pipeline.upstreams().into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(complete(&home).await.1, ["away"]);
    let before = seen();
    assert!(before[0].0 && before[0].1.is_none() && before[0].2.is_some(), "{before:?}");
    assert!(!before[1].0 && before[1].1.is_some() && before[1].2.is_none(), "{before:?}");
    for one in [&away, &there] {
        one.log.is_busy.store(true, Ordering::Relaxed);
    }
    assert_eq!(complete(&home).await.1, ["away", "there"]);
    assert_eq!(seen(), before);
}

/// Two archives that ask each other for the same study would else wait for each other.
#[tokio::test]
async fn who_is_asked_for_somebody_else_waits_for_no_other_request() {
    let slow = SlowFetch(Memory { instances: [1].into(), ..Memory::new("slow") });
    let home = Home::without_rules(Vec::new()).await;
    home.pipeline.set_upstreams(vec![Arc::new(slow.clone())], home.tracker.clone(), home.shutdown.clone());
    let fetches = || slow.0.log.fetched.lock().unwrap().len();
    let (wanted, progress) = (study(), Progress::default());
    let [ours, others] = [0, 1].map(|hops| Behalf { hops, ..Behalf::default() });
    let own = home.pipeline.complete(&wanted, &ours, &progress);
    let others = home.pipeline.complete(&wanted, &others, &progress);
    tokio::pin!(own, others);
    while fetches() < 2 {
        tokio::select! {
            _ = &mut own => panic!("it hangs"),
            _ = &mut others, if fetches() > 0 => panic!("it hangs"),
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
        }
    }
}

#[tokio::test]
async fn for_more_than_can_be_looked_for_what_is_ours_has_to_do() {
    let up = Memory { instances: [1].into(), ..Memory::new("up") };
    let home = home(&[&up]).await;
    let studies =
        (0..=limits::UPSTREAM_PIECES).map(|n| StudyInstanceUid::parse(&format!("2.25.9.{n}")).unwrap());
    let mut wanted = Selection { studies: studies.collect(), ..study() };
    let refused = home.pipeline.complete(&wanted, &Behalf::default(), &Progress::default()).await;
    let told = "more than 1000 things at once to ask upstream archives for";
    assert!(
        matches!(&refused, Err(error @ Error::TooManySought) if error.to_string() == told),
        "{refused:?}"
    );
    assert_eq!(complete(&home).await, (0, vec![]));
    let asked = up.log.asked.load(Ordering::Relaxed);
    wanted.studies.extend(study().studies);
    let completion = home.pipeline.complete(&wanted, &Behalf::default(), &Progress::default()).await.unwrap();
    assert_eq!((completion.missing(), completion.silent), (0, vec![UpstreamName::new("up")]));
    assert_eq!(up.log.asked.load(Ordering::Relaxed), asked, "nobody is asked");
}

/// Answers, and hangs when it is fetched from.
#[derive(Clone)]
struct SlowFetch(Memory);

impl Upstream for SlowFetch {
    fn name(&self) -> &UpstreamName {
        self.0.name()
    }

    fn peer(&self) -> (&PeerName, &AeTitle) {
        self.0.peer()
    }

    fn finds(&self) -> bool {
        true
    }

    fn fetches(&self) -> bool {
        true
    }

    fn find(&self, asked: Asked, answers: Answers) -> BoxFuture<'static, ()> {
        self.0.find(asked, answers)
    }

    fn fetch(
        &self,
        wanted: Vec<Scope>,
        hops: u8,
        into: Pipeline,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Fetched> {
        Memory { hangs: true, ..self.0.clone() }.fetch(wanted, hops, into, stop)
    }
}
