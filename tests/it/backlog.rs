//! A million deliveries that wait: starting, looking and memory must not depend on them.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::harness::{Server, free_ports};
use crate::routed::{dicom, everything_to};
use crate::synthetic::Object;

#[test]
fn a_million_waiting_deliveries_cost_neither_time_at_the_start_nor_memory() {
    let nobody: [_; DESTINATIONS] = free_ports();
    let names: Vec<_> = (0..DESTINATIONS).map(|n| format!("pacs_{n}")).collect();
    let tables = names.iter().zip(nobody).map(|(name, address)| dicom(name, "PACS", address));
    let tables: String = tables.collect();
    let mut server =
        Server::routed(&everything_to(&names.iter().map(String::as_str).collect::<Vec<_>>()), &tables);
    server.store(&[Object::new(1, 1, 1)]);
    assert!(server.terminate().success());
    multiply(&server);

    let mut starts = Vec::new();
    for _ in 0..3 {
        let started = Instant::now();
        server.start_again();
        starts.push(started.elapsed());
        // Each lane has tried its luck, and each way to look at the queue has been taken.
        for name in &names {
            server.reason(name);
        }
        let metric = format!("gantry_queue_depth{{destination=\"{}\",state=\"ready\"}}", names[0]);
        assert!(server.metric(&metric) > u64::from(INSTANCES) / 2);
        assert_eq!(server.get("/").status, 200);
        let peak = server.peak_resident_bytes();
        assert!(peak < 150 << 20, "{peak} bytes at the peak");
        server.store(&[Object::new(2, 1, starts.len() as u32)]);
        assert!(server.terminate().success());
    }
    // Others may hold up one start, but not each.
    let best = starts.iter().min().unwrap();
    assert!(*best < Duration::from_secs(2), "{starts:?}");
}

/// Makes the one instance and its deliveries many, in the index only.
fn multiply(server: &Server) {
    let index = Connection::open(server.data_dir().join("index.sqlite")).unwrap();
    index.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    let all: Vec<String> = {
        let mut columns = index.prepare("SELECT name FROM pragma_table_info('instance')").unwrap();
        columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let copied = all.iter().map(|column| match column.as_str() {
        "instance_pk" => "1000 + n".to_owned(),
        "sop_instance_uid" => "'2.25.1.1.' || (1000 + n)".to_owned(),
        "file" => "file - n".to_owned(),
        other => other.to_owned(),
    });
    let copied = copied.collect::<Vec<_>>().join(", ");
    let numbers = "WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?1)";
    let instances = format!(
        "{numbers} INSERT INTO instance ({}) SELECT {copied} FROM number, instance WHERE sop_instance_uid = '2.25.1.1.1'",
        all.join(", ")
    );
    index.execute(&instances, params![INSTANCES]).unwrap();
    let deliveries = format!(
        "{numbers} INSERT INTO delivery (destination_pk, instance_pk, version, rule_pk, state, queued, due) \
         SELECT destination_pk, 1000 + n, 1, rule_pk, 0, queued, queued FROM number, delivery"
    );
    index.execute(&deliveries, params![INSTANCES]).unwrap();
    index.execute("UPDATE destination SET ready = ready + ?1", params![INSTANCES]).unwrap();
    index.execute_batch("COMMIT").unwrap();
}

const DESTINATIONS: usize = 5;
const INSTANCES: u32 = 200_000;
