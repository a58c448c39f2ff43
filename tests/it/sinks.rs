//! Peers that take instances: DCMTK's storescp, a scripted one of pynetdicom, Orthanc.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{dcmtk, eventually, files_below, free_ports, python};
use crate::synthetic::data_set_of;

/// storescp: keeps each data set bit by bit as it came, each time under a new name.
pub(crate) struct StoreScp {
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl StoreScp {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with more options of its own.
    pub(crate) fn with(options: &[&str]) -> Self {
        let [address] = free_ports();
        Self::at(address, options)
    }

    /// Starts at an address.
    pub(crate) fn at(address: SocketAddr, options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let child = dcmtk("storescp")
            .args(["--fork", "+B", "+uf", "-pdu", "131072", "-aet", "STORESCP"])
            .args(options)
            .arg("-od")
            .arg(folder.path())
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // The processes that it makes for its associations end with it.
            .process_group(0)
            .spawn()
            .unwrap();
        eventually("storescp listens", || TcpStream::connect(address).is_ok());
        Self { child, folder, address }
    }

    /// Its files; complete when the sender has got its answers.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files_below(self.folder.path())
    }

    /// The data sets in them, but for a file that has only been begun.
    pub(crate) fn data_sets(&self) -> Vec<Vec<u8>> {
        let files = self.files().into_iter().map(|file| fs::read(file).unwrap());
        files.filter(|file| file.len() > HEAD_BYTES).map(|file| data_set_of(&file).to_vec()).collect()
    }
}

impl Drop for StoreScp {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}

/// A peer of ours in Python that does as it is told; the keys of its orders stand at the top of its program.
pub(crate) struct Scripted {
    program: &'static str,
    child: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Scripted {
    /// tests/interop/sink.py with these orders: takes instances, and answers what they say.
    pub(crate) fn start(orders: Value) -> Self {
        Self::of("sink.py", orders)
    }

    /// tests/interop/commitment_scp.py: takes instances, and commits to them.
    pub(crate) fn archive() -> Self {
        Self::of("commitment_scp.py", json!({}))
    }

    fn of(program: &'static str, orders: Value) -> Self {
        let folder = TempDir::new().unwrap();
        let [address] = free_ports();
        fs::write(folder.path().join("script.json"), orders.to_string()).unwrap();
        Self { program, child: spawn(program, &folder, address), folder, address }
    }

    pub(crate) fn stop(&mut self) {
        end(&mut self.child);
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.program, &self.folder, self.address);
    }

    /// Its folder, in which its program may look for more than orders.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it other orders, which hold from its next message on.
    pub(crate) fn order(&self, orders: Value) {
        let aside = self.folder.path().join("script.new");
        fs::write(&aside, orders.to_string()).unwrap();
        fs::rename(aside, self.folder.path().join("script.json")).unwrap();
    }

    /// The same to an archive that is to report to this address over associations of its own.
    pub(crate) fn order_for(&self, address: SocketAddr, mut orders: Value) {
        orders["to"] = json!(address.port());
        self.order(orders);
    }

    /// The data sets that it kept.
    pub(crate) fn data_sets(&self) -> Vec<Vec<u8>> {
        let is_kept = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok();
        files_below(self.folder.path())
            .iter()
            .filter(|path| is_kept(path))
            .map(|path| fs::read(path).unwrap())
            .collect()
    }

    /// What happened there, of one kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        // A line that is being written is not yet one.
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|event| event["event"] == kind).collect()
    }

    /// The same once there are so many.
    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} {kind} at the scripted peer"), || self.events(kind).len() >= count);
        self.events(kind)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        end(&mut self.child);
        if std::thread::panicking() {
            let [said, log] = ["said", "log"].map(|name| fs::read_to_string(self.folder.path().join(name)));
            eprintln!("the scripted peer said:\n{}\n{}", said.unwrap_or_default(), log.unwrap_or_default());
        }
    }
}

fn spawn(program: &str, folder: &TempDir, address: SocketAddr) -> Child {
    let said = fs::File::options().create(true).append(true).open(folder.path().join("said")).unwrap();
    let child = python()
        .arg(script(program))
        .arg(address.port().to_string())
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .unwrap();
    eventually("the scripted peer listens", || TcpStream::connect(address).is_ok());
    child
}

/// Orthanc with an empty database.
pub(crate) struct Orthanc {
    child: Child,
    http: SocketAddr,
    pub(crate) dicom: SocketAddr,
    _folder: TempDir,
}

impl Orthanc {
    /// Starts; `gantry` is the address of the modality of that name.
    pub(crate) fn start(gantry: SocketAddr) -> Self {
        let [dicom] = free_ports();
        Self::start_at(gantry, dicom)
    }

    /// As [`Orthanc::start`], with this address for DICOM.
    pub(crate) fn start_at(gantry: SocketAddr, dicom: SocketAddr) -> Self {
        Self::start_with(gantry, dicom, serde_json::json!({}))
    }

    /// As [`Orthanc::start_at`], with more keys of its configuration.
    pub(crate) fn start_with(gantry: SocketAddr, dicom: SocketAddr, more: Value) -> Self {
        let folder = TempDir::new().unwrap();
        let [http] = free_ports();
        let mut config = json!({
            "Name": "test", "StorageDirectory": folder.path().join("db"), "IndexDirectory": folder.path().join("db"),
            "HttpPort": http.port(), "DicomPort": dicom.port(), "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "Plugins": [],
            "DicomAlwaysAllowStore": true, "DicomAlwaysAllowEcho": true,
            "DicomModalities": {"gantry": ["GANTRY", "127.0.0.1", gantry.port()]},
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = folder.path().join("orthanc.json");
        fs::write(&path, config.to_string()).unwrap();
        let binary =
            std::env::var_os("ORTHANC_BIN").map_or(PathBuf::from("/usr/sbin/Orthanc"), PathBuf::from);
        assert!(binary.exists(), "{} is missing: run `make peers`", binary.display());
        let child =
            Command::new(binary).arg(path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let orthanc = Self { child, http, dicom, _folder: folder };
        eventually("Orthanc answers", || ureq::get(format!("http://{http}/system")).call().is_ok());
        orthanc
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.read(path)).unwrap()
    }

    /// The file of an instance by Orthanc's own identifier.
    pub(crate) fn file(&self, id: &str) -> Vec<u8> {
        self.read(&format!("/instances/{id}/file"))
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Value {
        let mut answer = ureq::post(format!("http://{}{path}", self.http)).send(body).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    pub(crate) fn delete(&self, path: &str) {
        ureq::delete(format!("http://{}{path}", self.http)).call().unwrap();
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let mut answer = ureq::get(format!("http://{}{path}", self.http)).call().unwrap();
        answer.body_mut().read_to_vec().unwrap()
    }
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A script of ours in Python.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// SIGKILL; it fails only when the process is gone already.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// SIGKILL to a process and those it made, which has a group of its own.
pub(crate) fn kill_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    drop(Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status());
    drop(child.wait());
}

/// Preamble, prefix and group length of a file: what its beginning is read by.
const HEAD_BYTES: usize = 144;
