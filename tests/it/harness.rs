//! The real binary on free loopback ports and a folder of its own, and what tests ask of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `gantry serve`. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    launch: Launch,
    pub(crate) dimse: SocketAddr,
    pub(crate) web: SocketAddr,
}

/// How the process is started, beyond its configuration.
#[derive(Clone, Copy, Default)]
pub(crate) struct Launch {
    /// Set in its environment.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Its soft limit of open files; the hard one stays.
    pub(crate) open_files: Option<u32>,
    /// A folder beside the configuration that is a disk of its own, of one MiB, for this process only.
    pub(crate) small_disk: Option<&'static str>,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header as text, empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The parts of a multipart body: head and content of each.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let content_type = self.header("content-type");
        let boundary = content_type.split("boundary=").nth(1).expect("a boundary");
        let boundary = boundary.split(';').next().unwrap().trim_matches('"');
        split_parts(&self.body, boundary)
    }
}

impl Server {
    /// Starts with default settings but for the ports, the folder and the space it wants free.
    pub(crate) fn start() -> Self {
        Self::with("", "", "")
    }

    /// Starts with more keys at the top, in `[dimse]` and in `[web]`; tables may follow the last.
    pub(crate) fn with(top: &str, dimse: &str, web: &str) -> Self {
        Self::build(0, [top, dimse, web], Launch::default())
    }

    /// Starts with default settings, and the process so.
    pub(crate) fn launched(launch: Launch) -> Self {
        Self::build(0, ["", "", ""], launch)
    }

    /// Starts with so many bytes to be left free.
    pub(crate) fn with_free_bytes(bytes: u64) -> Self {
        Self::build(bytes, ["", "", ""], Launch::default())
    }

    /// Starts with files beside its configuration; for `tables` see [`Server::with`].
    pub(crate) fn furnished(files: &[(&str, &str)], tables: [&str; 3], launch: Launch) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self::build_in(dir, 0, tables, launch)
    }

    /// Starts at these addresses, for DIMSE and HTTP, with more keys at the top, and with tables.
    pub(crate) fn at(dimse: SocketAddr, web: SocketAddr, top: &str, tables: &str) -> Self {
        Self::build_at([dimse, web], TempDir::new().unwrap(), 0, [top, "", tables], Launch::default())
    }

    fn build(free_bytes: u64, tables: [&str; 3], launch: Launch) -> Self {
        Self::build_in(TempDir::new().unwrap(), free_bytes, tables, launch)
    }

    fn build_in(dir: TempDir, free_bytes: u64, tables: [&str; 3], launch: Launch) -> Self {
        Self::build_at(free_ports(), dir, free_bytes, tables, launch)
    }

    /// Starts at these addresses, in this folder; for the tables see [`Server::with`].
    pub(crate) fn build_at(
        [dimse_at, web_at]: [SocketAddr; 2],
        dir: TempDir,
        free_bytes: u64,
        [top, dimse, web]: [&str; 3],
        launch: Launch,
    ) -> Self {
        let config = format!(
            "data_dir = \"data\"\n{top}\n[storage]\nmin_free_bytes = {free_bytes}\n[dimse]\nlisten = \"{dimse_at}\"\n{dimse}\n[web]\nlisten = \"{web_at}\"\n{web}\n"
        );
        fs::write(dir.path().join("gantry.toml"), config).unwrap();
        let mut server = Self { child: spawn(dir.path(), launch), dir, launch, dimse: dimse_at, web: web_at };
        server.wait_until_ready();
        server
    }

    /// Starts again after [`Server::kill`] or [`Server::terminate`].
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.dir.path(), self.launch);
        self.wait_until_ready();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// The exit status, once the process has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How many files and sockets the process has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A folder beside the configuration as the process sees it, also when it is a [`Launch::small_disk`].
    pub(crate) fn seen(&self, folder: &str) -> PathBuf {
        let inside = self.dir.path().join(folder);
        PathBuf::from(format!("/proc/{}/root{}", self.pid(), inside.display()))
    }

    /// Where its configuration is, which is its working directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What the server wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_as(path, "")
    }

    /// GET with an Accept header, unless it is empty.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Answer {
        let mut request = agent().get(format!("http://{}{path}", self.web));
        if !accept.is_empty() {
            request = request.header("accept", accept);
        }
        answer(request.call().unwrap())
    }

    /// POST of a multipart/related body with these DICOM files.
    pub(crate) fn stow(&self, path: &str, files: &[&[u8]]) -> Answer {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--part\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--part--\r\n");
        let content_type = "multipart/related; type=\"application/dicom\"; boundary=part";
        self.post(path, content_type, &body)
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let url = format!("http://{}{path}", self.web);
        answer(agent().post(url).header("content-type", content_type).send(body).unwrap())
    }

    /// A value of `/metrics` by its name and labels as they stand there, without its fraction.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.get("/metrics").body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("{name} is not in\n{text}")) as u64
    }

    /// Bytes of memory the process holds now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_kib("VmRSS:") * 1024
    }

    /// Bytes of memory the process holds now that no file can be read into again: heap, stacks, caches of its own.
    pub(crate) fn anonymous_bytes(&self) -> u64 {
        self.status_kib("RssAnon:") * 1024
    }

    /// Threads of the process.
    pub(crate) fn threads(&self) -> u64 {
        self.status_kib("Threads:")
    }

    /// Most bytes of memory the process held since [`Server::reset_peak`].
    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.status_kib("VmHWM:") * 1024
    }

    /// Starts the peak anew.
    pub(crate) fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    fn status_kib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended at start, {status}:\n{}", self.log());
            }
            let answer = agent().get(format!("http://{}/readyz", self.web)).call();
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("log of the server:\n{}", self.log());
        }
    }
}

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until a condition holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The binary under test.
pub(crate) fn gantry() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gantry"))
}

/// Runs a command to its end and returns whether it succeeded, and all it printed.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

/// The public corpus beside the project; `None`, said aloud, where it is absent.
pub(crate) fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let found = path.join("MANIFEST.csv").exists();
    if !found {
        say("no corpus beside the project, which is no failure: testing with what comes with the tests only");
    }
    found.then_some(path)
}

/// Says what a test did, also when it passes and its output is captured.
#[expect(clippy::explicit_write, reason = "what eprintln! prints is seen of failed tests only")]
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// A Python with the packages that tests need.
pub(crate) fn python() -> Command {
    let mut python = Command::new(peer_program("python"));
    // Its cache would stand among the sources.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// A program that `make peers` brought; its absence is a failure.
pub(crate) fn peer_program(name: &str) -> PathBuf {
    peer_file(&format!("venv/bin/{name}"))
}

/// A file or folder that `make peers` brought; its absence is a failure.
pub(crate) fn peer_file(path: &str) -> PathBuf {
    let peers = std::env::var_os("GANTRY_PEERS").map(PathBuf::from);
    let peers = peers.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers"));
    let file = peers.join(path);
    assert!(file.exists(), "{} is missing: run `make peers`", file.display());
    file
}

/// A tool of DCMTK by its full path: other packages install namesakes.
pub(crate) fn dcmtk(tool: &str) -> Command {
    let path = Path::new("/usr/bin").join(tool);
    assert!(path.exists(), "{} is missing: run `make peers`", path.display());
    Command::new(path)
}

/// Loopback addresses that nothing listens on, with ports that the system gives to nobody who leaves the choice to it.
pub(crate) fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] = std::array::from_fn(|_| {
        let tried =
            std::iter::repeat_with(|| TcpListener::bind(("127.0.0.1", fastrand::u16(12_000..32_000))));
        tried.take(1_000).find_map(Result::ok).expect("a port is free")
    });
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// The files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The parts between boundaries: head and content of each.
pub(crate) fn split_parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let finder = format!("--{boundary}");
    let mut marks: Vec<usize> = Vec::new();
    let mut from = 0;
    while let Some(found) = find(&body[from..], finder.as_bytes()) {
        marks.push(from + found);
        from += found + finder.len();
    }
    let mut parts = Vec::new();
    for pair in marks.windows(2) {
        let part = &body[pair[0] + finder.len() + 2..pair[1] - 2];
        let head = find(part, b"\r\n\r\n").expect("a part has a head");
        parts.push((String::from_utf8_lossy(&part[..head]).into_owned(), part[head + 4..].to_vec()));
    }
    parts
}

/// Where `needle` first stands in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn spawn(dir: &Path, launch: Launch) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut command = match (launch.open_files, launch.small_disk) {
        (None, None) => gantry(),
        (Some(limit), _) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", "ulimit -S -n \"$0\" && exec \"$@\"", &limit.to_string()]);
            shell.arg(env!("CARGO_BIN_EXE_gantry"));
            shell
        }
        (None, Some(folder)) => {
            let mount = "mkdir -p \"$0\" && mount -t tmpfs -o size=1m none \"$0\" && exec \"$@\"";
            let mut shell = Command::new("unshare");
            shell.args(["-rm", "sh", "-c", mount, folder, env!("CARGO_BIN_EXE_gantry")]);
            shell
        }
    };
    command
        .args(["serve", "--config", "gantry.toml"])
        .envs(launch.environment.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE * 4));
    ureq::Agent::new_with_config(config.build())
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let mut body = Vec::new();
    response.body_mut().as_reader().read_to_end(&mut body).unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
}
