//! SeaweedFS as an S3 store on free loopback ports, with one user and one bucket.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::peers::{Place, free_ports};
use crate::process::Process;

/// The bucket that is there from the start.
pub(crate) const BUCKET: &str = "imaging";
/// The access key and the secret of its user, as Gantry's configuration looks for them.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "gantry"), ("AWS_SECRET_ACCESS_KEY", "not-much-of-a-secret")];

/// Longest wait for it to answer.
const START_PATIENCE: Duration = Duration::from_secs(60);

const PORTS: usize = 8;
/// What it names the sockets of its ports after, and the options that choose those.
const ROLES: [(&str, &str); PORTS] = [
    ("master-grpc", "master.port.grpc"),
    ("volume-grpc", "volume.port.grpc"),
    ("filer-grpc", "filer.port.grpc"),
    ("s3-grpc", "s3.port.grpc"),
    ("master", "master.port"),
    ("volume", "volume.port"),
    ("filer", "filer.port"),
    ("s3", "s3.port"),
];

/// A running SeaweedFS.
pub(crate) struct SeaweedFs {
    /// Where it speaks S3.
    pub(crate) s3: SocketAddr,
    process: Process,
    ports: [SocketAddr; PORTS],
    _folder: TempDir,
}

impl SeaweedFs {
    /// Starts with nothing but an empty bucket, [`BUCKET`].
    pub(crate) fn start(place: Place) -> Result<Self> {
        let program = program();
        ensure!(program.exists(), "{} is missing: run `make peers`", program.display());
        let folder = place.folder()?;
        let ports: [SocketAddr; PORTS] = free_ports()?;
        let [.., filer, s3] = ports;
        let process =
            Process::start(&mut command(&program, folder.path(), ports)?, &folder.path().join("log"))?;
        let mut seaweed = Self { s3, process, ports, _folder: folder };
        seaweed.eventually(|| ureq::get(format!("http://{s3}/healthz")).call().is_ok())?;
        let bucket = format!("http://{filer}/buckets/{BUCKET}/");
        seaweed.eventually(|| ureq::post(&bucket).send_empty().is_ok())?;
        Ok(seaweed)
    }

    fn eventually(&mut self, is_so: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !is_so() {
            if let Some(status) = self.process.has_ended()? {
                bail!("SeaweedFS ended with {status}");
            }
            ensure!(begin.elapsed() < START_PATIENCE, "SeaweedFS did not answer in time");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        self.process.stop().ok();
        for ((role, _), port) in ROLES.iter().zip(&self.ports) {
            // It leaves those behind that it had; no other process has these ports.
            fs::remove_file(format!("/tmp/seaweedfs-{role}-{}.sock", port.port())).ok();
        }
    }
}

/// The line by which the program names its version.
pub(crate) fn version() -> Result<String> {
    let output = Command::new(program()).arg("version").output().context("ask for the version")?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("unknown").to_owned())
}

fn program() -> PathBuf {
    let peers = env::var_os("GANTRY_PEERS").map(PathBuf::from);
    let peers = peers.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers"));
    peers.join("venv/bin/weed")
}

fn command(program: &Path, folder: &Path, ports: [SocketAddr; PORTS]) -> Result<Command> {
    let [(_, access), (_, secret)] = KEYS;
    let users = json!({"identities": [{
        "name": "bench",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    let users_file = folder.join("s3.json");
    fs::write(&users_file, users.to_string()).context("write the users of SeaweedFS")?;
    let mut command = Command::new(program);
    command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
    command.arg(format!("-dir={}", folder.display())).arg(format!("-s3.config={}", users_file.display()));
    for ((_, option), port) in ROLES.iter().zip(ports) {
        command.arg(format!("-{option}={}", port.port()));
    }
    // A single master needs nobody's vote.
    command.args(["-master.peers=none", "-master.telemetry=false", "-master.volumeSizeLimitMB=1024"]);
    command.args(["-volume.max=64", "-volume.minFreeSpace=1MiB"]);
    command.args(["-s3.iam=false", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
    Ok(command)
}
