use archive::Committed;
use model::{AeTitle, DestinationName, PeerName};

use super::{Bytes, CT, Home, MR, data_set, received, received_from, rule_set};
use crate::{Body, BodyError, DestinationFacts, Pipeline, RoutingError};

fn facts(name: &str, peer: Option<(&str, &str)>) -> DestinationFacts {
    let peer = peer.map(|(name, title)| (PeerName::new(name), AeTitle::parse(title).unwrap()));
    DestinationFacts { name: DestinationName::new(name), peer, commitment: None }
}

async fn home() -> Home {
    Home::without_rules(vec![facts("pacs", Some(("pacs", "PACS"))), facts("copy", None)]).await
}

/// What is ready for the PACS and for the copy.
async fn ready(home: &Home) -> (u64, u64) {
    (home.lane("pacs").await.ready, home.lane("copy").await.ready)
}

const BY_CLASS: &str = "
[[rule]]
name = 'CT'
when = '''SOPClassUID == \"1.2.840.10008.5.1.4.1.1.2\"'''
send = ['pacs', 'copy']

[[rule]]
name = 'else'
otherwise = true
send = ['copy']
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rules_everything_is_kept_and_nothing_is_routed() {
    let home = home().await;
    home.store(1, CT).await;
    assert_eq!((ready(&home).await, home.pipeline.rules_version()), ((0, 0), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_goes_where_the_rules_say() {
    let home = home().await;
    home.route(BY_CLASS).await;
    home.store(1, CT).await;
    assert_eq!(ready(&home).await, (1, 1));
    home.store(2, MR).await;
    assert_eq!(ready(&home).await, (1, 2));
    assert_eq!(home.pipeline.rules_version().as_deref(), Some(rule_set(BY_CLASS).version()));
    assert!(!home.telemetry.render().contains("gantry_rules_loaded_timestamp_seconds 0.0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_goes_by_the_rules_it_began_to_come_under() {
    let home = home().await;
    home.route(BY_CLASS).await;
    let body = Swapping { pipeline: home.pipeline.clone(), data_set: data_set(1, CT, "") };
    assert_eq!(home.take(received(1, CT), body).await, Committed::New);
    assert_eq!(ready(&home).await, (1, 1));
    home.store(2, CT).await;
    assert_eq!(ready(&home).await, (1, 2));
}

/// While it comes, the rules are swapped.
struct Swapping {
    pipeline: Pipeline,
    data_set: Vec<u8>,
}

impl Body for Swapping {
    async fn fill(&mut self, buf: &mut Vec<u8>) -> Result<bool, BodyError> {
        let rules = "[[rule]]\nname = 'copy'\nwhen = 'true'\nsend = ['copy']\n";
        self.pipeline.route_by(rule_set(rules)).await.unwrap();
        buf.append(&mut self.data_set);
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_send_elsewhere_are_refused_and_the_former_stay() {
    let home = home().await;
    home.route(BY_CLASS).await;
    let version = home.pipeline.rules_version();
    let rules = "[[rule]]\nname = 'all'\nwhen = 'true'\nsend = ['pacs', 'cloud']\n";
    let error = home.pipeline.route_by(rule_set(rules)).await.unwrap_err();
    assert!(matches!(&error, RoutingError::UnknownDestination { destination, .. } if destination == "cloud"));
    assert!(error.to_string().contains("\"all\""), "{error}");
    assert_eq!(home.pipeline.rules_version(), version);
    home.store(1, CT).await;
    assert_eq!(ready(&home).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_does_not_go_back_to_where_it_came_from() {
    let home = home().await;
    home.route(BY_CLASS).await;
    home.store(1, CT).await;
    let other = Bytes(data_set(1, CT, "other"));
    assert_eq!(home.take(received_from(1, "pacs", "PACS"), other).await, Committed::Conflict { version: 2 });
    assert_eq!(ready(&home).await, (1, 2));
    assert_eq!(home.lane("pacs").await.withheld, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_queues_tell_what_waits() {
    let home = home().await;
    home.route(BY_CLASS).await;
    home.store(1, MR).await;
    home.pipeline.measure_queues().await.unwrap();
    home.has_metric(r#"gantry_queue_depth{destination="copy",state="ready"} 1"#);
    home.has_metric(r#"gantry_queue_depth{destination="pacs",state="ready"} 0"#);
    home.has_metric(r#"gantry_queue_oldest_seconds{destination="pacs"} 0.0"#);
    assert!(!home.telemetry.render().contains("gantry_queue_oldest_seconds{destination=\"copy\"} 0.0\n"));
}
