//! `gantry doctor` of our own side: beside a running server, without one, and with everything that can be wrong.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::doctor::Found;
use crate::harness::{Launch, Server, free_ports, gantry};
use crate::pki::{Ca, LOCAL, Order};
use crate::routed::{S3_KEYS, everything_to, folder, s3};
use crate::seaweed::{BUCKET, SeaweedFs};
use crate::synthetic::Object;

fn own(dir: &Path) -> Found {
    let mut command = gantry();
    command.args(["doctor", "--config", "gantry.toml"]).current_dir(dir).envs(S3_KEYS.iter().copied());
    Found::by(&mut command)
}

#[test]
fn beside_a_running_server_and_without_one() {
    let rules = everything_to(&["copies"]);
    let tables = format!("[rules]\nfiles = [\"rules/*.toml\"]\n{}", folder("copies"));
    let files = [("rules/rules.toml", rules.as_str()), ("copies/.keep", "")];
    let mut server = Server::furnished(&files, ["", "", &tables], Launch::default());
    server.store(&[Object::new(1, 1, 1)]);
    server.wait_until_delivered("copies", 1);
    let before = fs::read_dir(server.data_dir()).unwrap().count();
    let found = own(server.dir());
    assert_eq!(found.code, 0, "{found:#?}");
    for (name, words) in [
        ("configuration", "no fault; 0 peers, 1 destination, 1 rule"),
        ("server", "runs on this data folder"),
        ("index", "SQLite finds no damage"),
        ("to copies", "can be written"),
    ] {
        let step = found.step(name);
        assert!(step.result == "ok" && step.words.contains(words), "{step:#?}");
    }
    for (port, words) in [
        (server.dimse.port(), "running server answers C-ECHO"),
        (server.web.port(), "running server is ready"),
    ] {
        let step = found.step(&format!("port {port}"));
        assert!(step.result == "ok" && step.words.contains(words), "{step:#?}");
    }
    assert!(found.step("sync").words.contains("median of"), "{found:#?}");
    assert!(found.step("data folder").words.contains("can be written"), "{found:#?}");
    assert_eq!(fs::read_dir(server.data_dir()).unwrap().count(), before, "nothing is left behind");
    assert!(!server.log().contains("level=error"), "{}", server.log());

    assert!(server.terminate().success());
    let found = own(server.dir());
    assert_eq!(found.code, 0, "{found:#?}");
    assert_eq!(found.step("server").result, "skipped");
    assert!(found.step(&format!("port {}", server.dimse.port())).words.contains("is free"));
    let taken = TcpListener::bind(server.dimse).unwrap();
    own(server.dir())
        .assert_failed(&format!("port {}", server.dimse.port()), &["another process listens", "ss -ltnp"]);
    drop(taken);

    // Damage of the index, behind the page that says what it is.
    let index = server.data_dir().join("index.sqlite");
    let mut file = fs::File::options().write(true).open(&index).unwrap();
    let bytes = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(8192)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(bytes - 8192).unwrap()]).unwrap();
    own(server.dir()).assert_failed("index", &["restore the index from a backup"]);
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_first() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gantry.toml"), "dat_dir = \"data\"\n").unwrap();
    let found = own(folder.path());
    let step = found.step("configuration");
    assert_eq!((found.code, step.result), (64, "failed"), "{found:#?}");
    assert!(step.words.contains("did you mean") && step.words.contains("data_dir"), "{step:#?}");
}

#[test]
fn before_the_first_start_and_with_a_wrong_address() {
    let folder = TempDir::new().unwrap();
    let [dimse] = free_ports();
    let config = format!(
        "data_dir = \"data\"\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"192.0.2.1:8080\"\nopen = true\n"
    );
    fs::write(folder.path().join("gantry.toml"), config).unwrap();
    let found = own(folder.path());
    found.assert_failed("port 8080", &["192.0.2.1:8080 is no address of this machine"]);
    assert!(found.step("data folder").words.contains("the first start makes it"), "{found:#?}");
    assert!(!folder.path().join("data").exists(), "nothing is made");
}

#[test]
fn folders_that_cannot_be_written_are_told() {
    let dir = TempDir::new().unwrap();
    let [dimse, web] = free_ports();
    let destination = |name: &str| format!("[destination.{name}]\nkind = \"folder\"\npath = \"{name}\"\n");
    let config = format!(
        "data_dir = \"data\"\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"{web}\"\n{}{}{}",
        destination("sealed"),
        destination("absent"),
        destination("file")
    );
    fs::write(dir.path().join("gantry.toml"), config).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let sealed = dir.path().join("sealed");
    fs::create_dir(&sealed).unwrap();
    // Read-only for whoever it is, also for root.
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", "mount -t tmpfs -o ro none \"$0\" && exec \"$@\""])
        .arg(&sealed)
        .arg(env!("CARGO_BIN_EXE_gantry"))
        .args(["doctor", "--config", "gantry.toml"])
        .current_dir(dir.path());
    let found = Found::by(&mut command);
    found.assert_failed("to sealed", &["cannot write into", "Read-only file system", "mounted read-only"]);
    let absent = found.step("to absent");
    assert!(
        absent.result == "warning" && absent.words.contains("the first delivery makes it"),
        "{absent:#?}"
    );
    let file = found.step("to file");
    assert!(file.result == "failed" && file.words.contains("is no folder"), "{file:#?}");
}

#[test]
fn buckets_are_tried_and_what_is_wrong_is_told() {
    let seaweed = SeaweedFs::start();
    let dir = TempDir::new().unwrap();
    let [dimse, web, nobody] = free_ports();
    let apart = |name: &str, table: String| format!("{table}prefix = \"{name}/\"\n");
    let secret = "secret_access_key = { env = \"AWS_SECRET_ACCESS_KEY\" }";
    let bad = s3("bad", seaweed.s3).replace(secret, "secret_access_key = { file = \"secret\" }");
    let nowhere =
        s3("nowhere", seaweed.s3).replace(&format!("bucket = \"{BUCKET}\""), "bucket = \"nowhere\"");
    let unknown = s3("unknown", seaweed.s3).replace(&seaweed.s3.to_string(), "no-such-host.invalid:9000");
    let config = [
        format!("data_dir = \"data\"\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"{web}\"\n"),
        apart("good", s3("good", seaweed.s3)),
        apart("bad", bad),
        apart("nowhere", nowhere),
        apart("down", s3("down", nobody)),
        apart("unknown", unknown),
    ];
    fs::write(dir.path().join("gantry.toml"), config.concat()).unwrap();
    fs::write(dir.path().join("secret"), "quite-another\n").unwrap();
    let before = seaweed.objects("").len();
    let found = own(dir.path());
    let good = found.step("to good");
    assert!(
        good.result == "ok" && good.words.contains("put ") && good.words.contains("delete "),
        "{good:#?}"
    );
    assert_eq!(seaweed.objects("").len(), before, "the object is gone again");
    for (name, words) in [
        ("to bad", ["SignatureDoesNotMatch", "look at secret_access_key"]),
        ("to nowhere", ["NoSuchBucket", "look at bucket"]),
        ("to down", ["cannot be reached: Connection refused", "see that the service runs"]),
        ("to unknown", ["cannot be reached", "this machine's DNS"]),
    ] {
        found.assert_failed(name, &words);
    }
    let printed = found.told.to_string();
    assert!(!printed.contains("quite-another") && !printed.contains("not-much-of-a-secret"), "{printed}");
    let one = Found::by(
        gantry()
            .args(["doctor", "good", "--config", "gantry.toml"])
            .current_dir(dir.path())
            .envs(S3_KEYS.iter().copied()),
    );
    assert_eq!((one.code, one.step("to good").result), (0, "ok"), "{one:#?}");
}

#[test]
fn our_certificates_are_looked_at() {
    let dir = TempDir::new().unwrap();
    let [dimse, tls, web] = free_ports();
    let ca = Ca::new("Hospital CA");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let config = format!(
        "data_dir = \"data\"\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"{web}\"\n[dimse.tls]\nlisten = \"{tls}\"\n\
         certificate = \"own.pem\"\nkey = \"own.key\"\nclient_auth = \"none\"\n"
    );
    write("gantry.toml", &config);
    for (years, result, words) in
        [((2020, 2100), "ok", "until 2100-01-01"), ((2020, 2021), "failed", "has expired")]
    {
        let own_one = ca.issue(&Order { years, ..LOCAL });
        write("own.pem", &own_one.certificate);
        write("own.key", &own_one.key);
        let found = own(dir.path());
        let step = found.step("certificate");
        assert!(step.result == result && step.words.contains(words), "{step:#?}");
        assert_eq!(found.step(&format!("port {}", tls.port())).result, "ok", "{found:#?}");
    }
}
