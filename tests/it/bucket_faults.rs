//! S3 stores in trouble: the right class, a reason that an operator can read, no other lane held up, nothing lost.

use std::fs;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::{Launch, Server};
use crate::proxy::{Mode, Proxy};
use crate::routed::{everything_to, s3};
use crate::seaweed::{BUCKET, SeaweedFs, USER};
use crate::synthetic::Object;

#[test]
fn stores_in_trouble_have_their_reason_and_get_everything_later() {
    let seaweed = SeaweedFs::start();
    let modes = [
        ("busy", Mode::Http(503, XML, SLOW_DOWN), "503"),
        ("broken", Mode::Http(500, XML, INTERNAL), "500"),
        ("damaging", Mode::Corrupt, "checksum"),
        ("unreachable", Mode::Refuse, "cannot be reached: Connection refused"),
        ("stranger", Mode::Nonsense(b"220 mail.example ESMTP\r\n"), "did not answer well"),
    ];
    let proxies: Vec<_> = modes.iter().map(|(_, mode, _)| Proxy::start(seaweed.s3, mode.clone())).collect();
    let mut tables = bucket("good", &s3("good", seaweed.s3));
    let secret = "secret_access_key = { env = \"AWS_SECRET_ACCESS_KEY\" }";
    let by_file = s3("secret", seaweed.s3).replace(secret, "secret_access_key = { file = \"secret\" }");
    tables += &bucket("secret", &by_file);
    tables += &s3("nowhere", seaweed.s3).replace(&format!("bucket = \"{BUCKET}\""), "bucket = \"nowhere\"");
    let mut names = vec!["good", "secret", "nowhere"];
    for ((name, ..), proxy) in modes.iter().zip(&proxies) {
        tables += &bucket(name, &s3(name, proxy.address));
        names.push(name);
    }
    let rules = everything_to(&names);
    let files = [("rules/rules.toml", rules.as_str()), ("secret", "quite-another\n")];
    tables += "\n[rules]\nfiles = [\"rules/*.toml\"]\n";
    let launch = Launch { environment: crate::routed::S3_KEYS, ..Launch::default() };
    let mut server = Server::furnished(&files, ["", "", &tables], launch);
    let objects: Vec<_> = (1..=5).map(|n| Object { pixel_bytes: 32_768, ..Object::new(1, 1, n) }).collect();
    for object in &objects {
        assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    }
    server.wait_until_delivered("good", objects.len());
    let words = modes.iter().map(|(name, _, words)| (*name, *words));
    for (name, words) in
        words.chain([("secret", "secret_access_key"), ("secret", "403"), ("nowhere", "bucket")])
    {
        let reason = server.reason(name);
        assert!(reason.contains(words) && reason.len() < 400, "{name}: {reason}");
        assert!(!reason.contains("quite-another") && !reason.contains("X-Amz"), "{name}: {reason}");
        assert_eq!(server.queue()[name]["dead"], json!(0), "{name}");
    }

    proxies.iter().for_each(|proxy| proxy.set(Mode::Pass));
    assert!(seaweed.make_bucket("nowhere"));
    for name in names.iter().filter(|name| **name != "secret") {
        server.wait_until_delivered(name, objects.len());
    }
    fs::write(server.dir().join("secret"), format!("{}\n", USER.1)).unwrap();
    assert!(server.terminate().success());
    server.start_again();
    server.wait_until_delivered("secret", objects.len());
    for name in names.into_iter().filter(|name| *name != "nowhere") {
        let stored = seaweed.objects(&format!("{name}/"));
        let keys: Vec<_> = objects.iter().map(|object| format!("{name}/{}", key(object))).collect();
        assert_eq!(
            stored.iter().map(|stored| &stored.key).collect::<Vec<_>>(),
            keys.iter().collect::<Vec<_>>()
        );
        for (key, object) in keys.iter().zip(&objects) {
            assert!(seaweed.get(key) == object.file(), "{key}");
        }
    }
}

#[test]
fn what_lies_in_a_bucket_already_is_neither_doubled_nor_overwritten() {
    let seaweed = SeaweedFs::start();
    let server = Server::routed(&everything_to(&["cloud"]), &s3("cloud", seaweed.s3));
    let [same, other, second] = [1, 2, 2].map(|n| Object::new(1, 1, n));
    let second = Object { fill: 1, ..second };
    seaweed.put(&key(&same), &same.file());
    seaweed.put(&key(&other), b"something else");
    for object in [&same, &other, &second] {
        assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    }
    server.wait_until_delivered("cloud", 3);
    let beside = |object: &Object| {
        let hash = hex::encode(Sha256::digest(object.file()));
        key(object).replace(".dcm", &format!("~{}.dcm", &hash[..12]))
    };
    let mut expected =
        [key(&same), key(&other), beside(&other), beside(&second)].map(|key| (seaweed.get(&key), key));
    let contents = [same.file(), b"something else".to_vec(), other.file(), second.file()];
    for ((content, key), expected) in expected.iter().zip(contents) {
        assert!(*content == expected, "{key}");
    }
    expected.sort_by(|a, b| a.1.cmp(&b.1));
    let keys: Vec<_> = seaweed.objects("").into_iter().map(|stored| stored.key).collect();
    assert_eq!(keys, expected.map(|(_, key)| key));
}

/// A destination in the common bucket under a prefix of its own.
fn bucket(name: &str, table: &str) -> String {
    format!("{table}prefix = \"{name}/\"\n")
}

fn key(object: &Object) -> String {
    let spread = hex::encode(&Sha256::digest(&object.study)[..1]);
    format!("v1/{spread}/{}/{}/{}.dcm", object.study, object.series, object.instance)
}

const XML: &str = "Content-Type: application/xml\r\n";
const SLOW_DOWN: &str =
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
const INTERNAL: &str = "<Error><Code>InternalError</Code><Message>We encountered an error.</Message></Error>";
