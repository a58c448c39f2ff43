//! The servers that are compared, each started with fresh data on free loopback ports.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::association::Association;
use crate::http::Http;
use crate::process::Process;
use crate::seaweed;

/// The destination that is a bucket.
pub(crate) const BUCKET: &str = "bucket";
/// The AE title of where instances may be moved.
pub(crate) const MOVED_TO: &str = "MOVED";
/// Uploads at once to it.
pub(crate) const PARALLEL: usize = 16;
/// Names of temporary folders begin with it; the process id and a dash follow.
const FOLDER_PREFIX: &str = "gantry-bench-";
/// Longest wait for a server to answer.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// Where the data of a measurement lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// tmpfs: the disk is out of the way, CPU is compared.
    Memory,
    /// The workspace's file system.
    Disk,
}

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Gantry,
    /// Orthanc with its defaults (one fdatasync per instance; index not synced) and DICOMweb.
    Orthanc,
    /// DCMTK's storescp at its fastest: writes what it reads, keeps no index, never syncs.
    StoreScp,
    /// DCMTK's storescp with nothing but `--fork`.
    PlainStoreScp,
    /// DCMTK's dcmqrscp: an archive whose index is one flat file.
    QrScp,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) peer: Peer,
    pub(crate) process: Process,
    pub(crate) dimse: SocketAddr,
    http: Option<SocketAddr>,
    /// From the start of the process to its first answers on every port.
    pub(crate) start: Duration,
    onward: Onward,
    folder: TempDir,
}

/// Where a server sends.
#[derive(Clone, Default)]
struct Onward {
    /// All that it receives, by C-STORE.
    receivers: Vec<SocketAddr>,
    /// What it is asked to by C-MOVE, as [`MOVED_TO`].
    movable: Option<SocketAddr>,
    /// What it is told to: to the bucket of a SeaweedFS, as [`BUCKET`]. Gantry only.
    bucket: Option<SocketAddr>,
}

impl Place {
    /// A new folder, in memory removed when dropped, on disk by [`Place::clear_disk`].
    pub(crate) fn folder(self) -> Result<TempDir> {
        fs::create_dir_all(self.parent())?;
        let prefix = format!("{FOLDER_PREFIX}{}-", std::process::id());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).disable_cleanup(self == Self::Disk);
        Ok(builder.tempdir_in(self.parent())?)
    }

    /// Removes this run's folders on disk and waits until ext4 has forgotten them: for five seconds it looks at each inode that was
    /// freed before it takes one, which whoever creates files next would pay for.
    pub(crate) fn clear_disk() -> Result<()> {
        let own = format!("{FOLDER_PREFIX}{}-", std::process::id());
        for entry in fs::read_dir(Self::Disk.parent())? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&own)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        thread::sleep(Duration::from_secs(6));
        Ok(())
    }

    /// Removes the folders of runs that were interrupted: gigabytes of memory else stay taken.
    pub(crate) fn sweep(self) -> Result<()> {
        fs::create_dir_all(self.parent())?;
        for entry in fs::read_dir(self.parent())? {
            let entry = entry?;
            let name = entry.file_name();
            let run = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split_once('-'));
            if run.is_some_and(|(process, _)| !Path::new("/proc").join(process).exists()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn parent(self) -> PathBuf {
        match self {
            Self::Memory => PathBuf::from("/dev/shm"),
            Self::Disk => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-tmp"),
        }
    }
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gantry => "Gantry",
            Self::Orthanc => "Orthanc",
            Self::StoreScp => "storescp +B -pdu 131072",
            Self::PlainStoreScp => "storescp",
            Self::QrScp => "dcmqrscp",
        }
    }

    /// Starts the server with no data.
    pub(crate) fn start(self, place: Place) -> Result<Server> {
        self.start_in(place.folder()?, Onward::default())
    }

    /// Starts Gantry or Orthanc with no data, to send all that it receives on to these receivers by C-STORE.
    pub(crate) fn start_routing(self, place: Place, onward: &[SocketAddr]) -> Result<Server> {
        self.start_in(place.folder()?, Onward { receivers: onward.to_vec(), ..Onward::default() })
    }

    /// Starts Gantry with no data, and with the bucket of the SeaweedFS at this address as a destination that no rule sends to.
    pub(crate) fn start_with_bucket(place: Place, s3: SocketAddr) -> Result<Server> {
        Self::Gantry.start_in(place.folder()?, Onward { bucket: Some(s3), ..Onward::default() })
    }

    /// Starts an archive with no data, that may be asked to move instances to this receiver, as [`MOVED_TO`].
    pub(crate) fn start_moving(self, place: Place, to: SocketAddr) -> Result<Server> {
        self.start_in(place.folder()?, Onward { movable: Some(to), ..Onward::default() })
    }

    /// The line by which the program names its version.
    pub(crate) fn version(self) -> Result<String> {
        let output = Command::new(self.program()).arg("--version").output().context("ask for the version")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().next().unwrap_or("unknown").trim_matches(['$', ' ']);
        // Orthanc names itself by its path.
        Ok(line.rsplit('/').next().unwrap_or(line).to_owned())
    }

    pub(crate) fn program(self) -> PathBuf {
        let chosen = |variable: &str| env::var_os(variable).map(PathBuf::from);
        match self {
            Self::Gantry => gantry(),
            Self::Orthanc => chosen("ORTHANC_BIN").unwrap_or_else(|| PathBuf::from("/usr/sbin/Orthanc")),
            // By full path: other toolkits install tools of the same names.
            Self::StoreScp | Self::PlainStoreScp => PathBuf::from("/usr/bin/storescp"),
            Self::QrScp => PathBuf::from("/usr/bin/dcmqrscp"),
        }
    }

    fn start_in(self, folder: TempDir, onward: Onward) -> Result<Server> {
        let [dimse, web] = free_ports()?;
        let http = matches!(self, Self::Gantry | Self::Orthanc).then_some(web);
        let mut command = self.command(folder.path(), dimse, web, &onward)?;
        let begin = Instant::now();
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let mut server = Server { peer: self, process, dimse, http, start: Duration::ZERO, onward, folder };
        server.await_readiness(begin).with_context(|| format!("start {}", self.name()))?;
        server.start = begin.elapsed();
        Ok(server)
    }

    fn command(self, folder: &Path, dimse: SocketAddr, web: SocketAddr, onward: &Onward) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.current_dir(folder);
        match self {
            Self::Gantry => {
                let config = folder.join("gantry.toml");
                fs::write(&config, gantry_config(dimse, web, onward))?;
                fs::write(folder.join("rules.toml"), gantry_rules(&onward.receivers))?;
                command.arg("serve").arg("--config").arg(config).envs(seaweed::KEYS);
            }
            Self::Orthanc => {
                let config = folder.join("orthanc.json");
                fs::write(&config, orthanc_config(folder, dimse, web, onward))?;
                fs::write(folder.join("route.lua"), orthanc_script(&onward.receivers))?;
                command.arg(config);
            }
            Self::StoreScp => {
                command.args(["--fork", "+B", "-pdu", "131072"]);
                receive_into(&mut command, folder, dimse)?;
            }
            Self::PlainStoreScp => {
                command.arg("--fork");
                receive_into(&mut command, folder, dimse)?;
            }
            Self::QrScp => {
                let config = folder.join("dcmqrscp.cfg");
                fs::create_dir_all(folder.join("received"))?;
                fs::write(&config, qrscp_config(folder, onward))?;
                command.arg("-c").arg(config).arg(dimse.port().to_string());
            }
        }
        Ok(command)
    }
}

impl Server {
    /// An association with this server.
    pub(crate) fn associate(&self) -> Result<Association> {
        Association::open(self.dimse, self.called())
    }

    /// An association to retrieve what it has.
    pub(crate) fn associate_to_retrieve(&self) -> Result<Association> {
        Association::to_retrieve(self.dimse, self.called())
    }

    /// The AE title to call it by.
    pub(crate) fn called(&self) -> &'static str {
        match self.peer {
            Peer::Gantry => "GANTRY",
            Peer::Orthanc => "ORTHANC",
            Peer::StoreScp | Peer::PlainStoreScp => "STORESCP",
            Peer::QrScp => "QRSCP",
        }
    }

    /// A connection to its DICOMweb service; paths begin with `/dicom-web`.
    pub(crate) fn web(&self) -> Result<Http> {
        Ok(Http::new(self.http.context("this server has no DICOMweb")?))
    }

    /// What storescp has received.
    pub(crate) fn received(&self) -> PathBuf {
        self.folder.path().join("received")
    }

    /// Gantry's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs a command of Gantry's beside the server, with its configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.peer.program());
        command.args(arguments).arg("--config").arg(self.folder.path().join("gantry.toml"));
        let output = command.envs(seaweed::KEYS).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) fn restart(self) -> Result<Self> {
        self.restart_after(|_folder| Ok(()))
    }

    /// Stops the server, lets `work` at its folder, and starts it again.
    pub(crate) fn restart_after(mut self, work: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        self.process.stop()?;
        work(self.folder.path())?;
        self.peer.start_in(self.folder, self.onward)
    }

    /// Kills the server and starts it again on the same data.
    pub(crate) fn crash(mut self) -> Result<Self> {
        self.process.kill()?;
        self.peer.start_in(self.folder, self.onward)
    }

    fn await_readiness(&mut self, begin: Instant) -> Result<()> {
        while !self.answers() {
            if let Some(status) = self.process.has_ended()? {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("it ended with {status}: {}", log.lines().last().unwrap_or_default());
            }
            ensure!(begin.elapsed() < START_PATIENCE, "it did not answer in time");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let echo = || -> Result<()> {
            let mut association = self.associate()?;
            association.echo()?;
            association.release()
        };
        let path = if self.peer == Peer::Gantry { "/readyz" } else { "/system" };
        let web = || self.http.is_none_or(|server| Http::new(server).get(path, "*/*").is_ok());
        echo().is_ok() && web()
    }
}

fn gantry() -> PathBuf {
    let built = option_env!("CARGO_BIN_EXE_gantry").map(PathBuf::from);
    let chosen = env::var_os("GANTRY_BIN").map(PathBuf::from);
    chosen.or(built).unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/gantry"))
}

/// Ports nobody listens on at the moment, each another one.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = (0..COUNT).map(|_| listen()).collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    addresses.try_into().ok().context("as many addresses as listeners")
}

fn gantry_config(dimse: SocketAddr, web: SocketAddr, onward: &Onward) -> String {
    let mut config =
        format!("data_dir = \"data\"\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"{web}\"\n");
    for (number, address) in onward.receivers.iter().enumerate() {
        config += &format!("[peer.sink{number}]\nae_title = \"SINK{number}\"\naddress = \"{address}\"\n");
        config += &format!("[destination.sink{number}]\nkind = \"dicom\"\npeer = \"sink{number}\"\n");
    }
    if let Some(address) = onward.movable {
        config += &format!("[peer.moved]\nae_title = \"{MOVED_TO}\"\naddress = \"{address}\"\n");
    }
    if let Some(s3) = onward.bucket {
        config += &format!(
            "[destination.{BUCKET}]\nkind = \"s3\"\nendpoint = \"http://{s3}\"\nbucket = \"{}\"\nparallel = {PARALLEL}\n",
            seaweed::BUCKET
        );
        config += "access_key_id = { env = \"AWS_ACCESS_KEY_ID\" }\n";
        config += "secret_access_key = { env = \"AWS_SECRET_ACCESS_KEY\" }\n";
    }
    if !onward.receivers.is_empty() {
        config += "[rules]\nfiles = [\"rules.toml\"]\n";
    }
    config
}

/// Everything goes everywhere.
fn gantry_rules(onward: &[SocketAddr]) -> String {
    let names: Vec<_> = (0..onward.len()).map(|number| format!("\"sink{number}\"")).collect();
    format!("[[rule]]\nname = \"all\"\nwhen = \"true\"\nsend = [{}]\n", names.join(", "))
}

/// Defaults, but for ports, folders, and doors open to any loopback caller.
fn orthanc_config(folder: &Path, dimse: SocketAddr, web: SocketAddr, onward: &Onward) -> String {
    let plugins = env::var("ORTHANC_PLUGINS")
        .unwrap_or_else(|_| "/usr/share/orthanc/plugins/libOrthancDicomWeb.so".to_owned());
    let data = folder.join("data");
    let sinks = onward.receivers.iter().enumerate().map(|(number, at)| (format!("SINK{number}"), at));
    let modalities: Vec<_> = sinks
        .chain(onward.movable.iter().map(|at| (MOVED_TO.to_owned(), at)))
        .map(|(title, at)| {
            format!(r#""{}": ["{title}", "{}", {}]"#, title.to_lowercase(), at.ip(), at.port())
        })
        .collect();
    format!(
        r#"{{ "Name": "bench", "DicomAet": "ORTHANC", "DicomPort": {dimse}, "HttpPort": {web}, "AuthenticationEnabled": false,
  "StorageDirectory": "{data}", "IndexDirectory": "{data}", "Plugins": ["{plugins}"],
  "DicomAlwaysAllowEcho": true, "DicomAlwaysAllowStore": true, "DicomAlwaysAllowFind": true,
  "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true,
  "DicomModalities": {{ {modalities} }}, "LuaScripts": ["{script}"],
  "DicomWeb": {{ "Enable": true, "Root": "/dicom-web/" }} }}"#,
        dimse = dimse.port(),
        web = web.port(),
        data = data.display(),
        modalities = modalities.join(", "),
        script = folder.join("route.lua").display(),
    )
}

/// Sends each instance on as its book shows it; Orthanc keeps its copy, as Gantry does.
fn orthanc_script(onward: &[SocketAddr]) -> String {
    let sends: String =
        (0..onward.len()).map(|number| format!("  SendToModality(instance, 'sink{number}')\n")).collect();
    if sends.is_empty() {
        return String::new();
    }
    format!("function OnStoredInstance(instance, tags, metadata, origin)\n{sends}end\n")
}

/// One storage area for whoever calls, large enough for a study of 2,000 CT.
fn qrscp_config(folder: &Path, onward: &Onward) -> String {
    let hosts = onward.movable.iter().map(|at| format!("moved = ({MOVED_TO}, {}, {})\n", at.ip(), at.port()));
    format!(
        "NetworkType = \"tcp\"\nMaxPDUSize = 131072\nMaxAssociations = 16\nHostTable BEGIN\n{}HostTable END\n\
         VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQRSCP {} RW (500, 4gb) ANY\nAETable END\n",
        hosts.collect::<String>(),
        folder.join("received").display(),
    )
}

fn receive_into(command: &mut Command, folder: &Path, dimse: SocketAddr) -> Result<()> {
    let received = folder.join("received");
    fs::create_dir_all(&received)?;
    command.arg("-od").arg(received).arg(dimse.port().to_string());
    Ok(())
}
