//! SeaweedFS as an S3 store, and what it keeps, read past S3: by the HTTP of its filer.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{eventually, free_ports, peer_program};
use crate::sinks::kill_group;

/// A running SeaweedFS whose only user is [`USER`].
pub(crate) struct SeaweedFs {
    child: Child,
    folder: TempDir,
    /// Where it speaks S3.
    pub(crate) s3: SocketAddr,
    filer: SocketAddr,
    ports: [SocketAddr; PORTS],
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) bytes: u64,
}

impl SeaweedFs {
    /// Starts with one bucket, [`BUCKET`].
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let users = json!({"identities": [{
            "name": "test",
            "credentials": [{"accessKey": USER.0, "secretKey": USER.1}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        fs::write(folder.path().join("s3.json"), users.to_string()).unwrap();
        let ports: [SocketAddr; PORTS] = free_ports();
        let [.., filer, s3] = ports;
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command(&folder, ports).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let seaweed = Self { child, folder, s3, filer, ports };
        eventually("SeaweedFS speaks S3", || ureq::get(format!("http://{s3}/healthz")).call().is_ok());
        eventually("SeaweedFS has a bucket", || seaweed.make_bucket(BUCKET));
        // The first object waits for its volume to be made: that is not to be a test's time.
        seaweed.put("first", b"x");
        seaweed.remove("first");
        seaweed
    }

    /// Makes a bucket, and whether that worked.
    pub(crate) fn make_bucket(&self, name: &str) -> bool {
        ureq::post(format!("http://{}/buckets/{name}/", self.filer)).send_empty().is_ok()
    }

    /// The objects below a prefix that ends in `/` or is empty, in order of their keys.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<Stored> {
        let mut objects = Vec::new();
        for entry in self.entries(prefix) {
            let name = entry["FullPath"].as_str().unwrap().rsplit('/').next().unwrap();
            // Parts of uploads that are not complete are below a folder of this name.
            if name == ".uploads" {
                continue;
            }
            if entry["Mode"].as_u64().unwrap() & GO_DIRECTORY != 0 {
                objects.extend(self.objects(&format!("{prefix}{name}/")));
            } else {
                let bytes = entry["FileSize"].as_u64().unwrap();
                objects.push(Stored { key: format!("{prefix}{name}"), bytes });
            }
        }
        objects
    }

    /// Uploads in parts that were begun and not ended.
    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.entries(".uploads/").len()
    }

    /// An object.
    pub(crate) fn get(&self, key: &str) -> Vec<u8> {
        let mut answer = ureq::get(self.url(key)).call().unwrap();
        answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap()
    }

    /// A header of an object, such as `Content-Type` or `X-Amz-Meta-Sha256`; empty when it has none.
    pub(crate) fn header(&self, key: &str, name: &str) -> String {
        let answer = ureq::head(self.url(key)).call().unwrap();
        answer.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    /// Puts an object there that nobody sent.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        ureq::put(self.url(key)).send(bytes).unwrap();
    }

    fn remove(&self, key: &str) {
        ureq::delete(self.url(key)).call().unwrap();
    }

    /// What lies in a folder of the bucket, page by page.
    fn entries(&self, prefix: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut last = String::new();
        loop {
            let url = format!("{}?limit=1000&lastFileName={last}", self.url(prefix));
            let mut answer = match ureq::get(url).header("accept", "application/json").call() {
                Ok(answer) => answer,
                Err(ureq::Error::StatusCode(404)) => return entries,
                Err(error) => panic!("{prefix}: {error}"),
            };
            let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
            let page: Value = serde_json::from_str(&text).unwrap();
            entries.extend(page["Entries"].as_array().into_iter().flatten().cloned());
            if page["ShouldDisplayLoadMore"] != true {
                return entries;
            }
            last = page["LastFileName"].as_str().unwrap().to_owned();
        }
    }

    fn url(&self, key: &str) -> String {
        format!("http://{}/buckets/{BUCKET}/{key}", self.filer)
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        kill_group(&mut self.child);
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(30).collect();
            eprintln!("the end of SeaweedFS's log, last line first:\n{}", end.join("\n"));
        }
        for (role, port) in SOCKETS.iter().zip(&self.ports) {
            // It leaves those behind that it had; no other process has these ports.
            drop(fs::remove_file(format!("/tmp/seaweedfs-{role}-{}.sock", port.port())));
        }
    }
}

fn command(folder: &TempDir, ports: [SocketAddr; PORTS]) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(peer_program("weed"));
    command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
    command.arg(format!("-dir={}", folder.path().display()));
    command.arg(format!("-s3.config={}", folder.path().join("s3.json").display()));
    for (name, port) in OPTIONS.iter().zip(ports) {
        command.arg(format!("-{name}={}", port.port()));
    }
    // A single master needs nobody's vote, and this disk may be nearly full.
    command.args(["-master.peers=none", "-master.telemetry=false", "-master.volumeSizeLimitMB=1024"]);
    command.args([
        "-filer",
        "-s3",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]);
    command.args(["-volume.max=64", "-volume.minFreeSpace=1MiB"]);
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// The bucket that is there from the start.
pub(crate) const BUCKET: &str = "imaging";
/// Access key and secret key of who may do everything.
pub(crate) const USER: (&str, &str) = ("gantry", "not-much-of-a-secret");

const PORTS: usize = OPTIONS.len();
const OPTIONS: [&str; 8] = [
    "master.port.grpc",
    "volume.port.grpc",
    "filer.port.grpc",
    "s3.port.grpc",
    "master.port",
    "volume.port",
    "filer.port",
    "s3.port",
];
/// What it names sockets of the ports after, in the order of the options.
const SOCKETS: [&str; 8] =
    ["master-grpc", "volume-grpc", "filer-grpc", "s3-grpc", "master", "volume", "filer", "s3"];
/// The bit of a folder in the mode of an entry, which is that of Go's fs.FileMode.
const GO_DIRECTORY: u64 = 1 << 31;
