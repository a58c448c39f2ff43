//! A server for one peer, and what is done with it: the same for all.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::compare::{Came, compare};
use super::table::Cell;
use crate::harness::{Server, eventually, gantry, run};
use crate::pki::Ca;
use crate::routed::{dicom, everything_to};
use crate::sinks::StoreScp;
use crate::synthetic::Object;
use crate::tls_callers::{Secure, file, kept};

/// Gantry with a plain and a TLS port, and a viewer that instances are moved to.
pub(super) struct Stand {
    pub(super) secure: Secure,
    viewer: StoreScp,
    /// Files of the instances that peers store.
    pub(super) files: TempDir,
    /// What peers write to.
    pub(super) folder: TempDir,
}

/// The study that is moved and got; `study + 1` has another instance.
pub(super) const CALLS: u32 = 21;
/// As [`CALLS`], of peers that are called.
pub(super) const CALLED: u32 = 31;
/// What is stored by TLS, by whoever calls.
const BY_TLS: u32 = 41;

impl Stand {
    /// With more `[peer]` tables.
    pub(super) fn start(peers: &str) -> Self {
        let viewer = StoreScp::start();
        let peers = format!("{}{peers}", peer("STORESCP", viewer.address));
        let secure = Secure::with("", "", &Ca::new("Hospital CA"), &peers);
        let files = TempDir::new().unwrap();
        studies(CALLS).iter().for_each(|object| drop(file(files.path(), object)));
        Self { secure, viewer, files, folder: TempDir::new().unwrap() }
    }

    pub(super) fn port(&self) -> String {
        self.secure.server.dimse.port().to_string()
    }

    /// A new folder for a peer to write to.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let place = self.folder.path().join(name);
        fs::create_dir(&place).unwrap();
        place
    }

    /// The file of the instance that goes by TLS.
    pub(super) fn tls_file(&self) -> PathBuf {
        file(self.folder.path(), &by_tls())
    }

    /// A certificate and its key for this name.
    pub(super) fn certificate(&self, name: &str) -> [PathBuf; 2] {
        self.secure.files.keep(name, &self.secure.ca.local(name))
    }

    /// The peer's C-ECHO was answered.
    pub(super) fn echoed(&self) -> Cell {
        eventually("the echo is in the log", || self.secure.server.log().contains("C-ECHO-RSP 0000H: 1"));
        Cell::Did("answered".to_owned())
    }

    /// What the server keeps after the peer has stored [`Stand::files`].
    pub(super) fn stored(&self) -> Cell {
        self.keeps(&studies(CALLS))
    }

    /// What it keeps after the peer has stored [`Stand::tls_file`] by TLS.
    pub(super) fn stored_by_tls(&self) -> Cell {
        assert!(self.secure.handshakes("ok") > 0, "{}", self.secure.server.log());
        self.keeps(&[by_tls()])
    }

    /// What the viewer has after the peer had the study of [`CALLS`] moved there.
    pub(super) fn moved(&self) -> Cell {
        compare(&self.viewer.data_sets().into_iter().map(Came::explicit).collect::<Vec<_>>(), &study(CALLS))
    }

    /// `gantry echo`.
    pub(super) fn echo(&self, target: &str) -> Cell {
        done(gantry().args(["echo", target]));
        Cell::Did("answered".to_owned())
    }

    /// `gantry send` of the studies of [`CALLED`]; `came` is what the peer has then.
    pub(super) fn send(&self, target: &str, came: impl FnOnce() -> Vec<Came>) -> Cell {
        let files = TempDir::new().unwrap();
        studies(CALLED).iter().for_each(|object| drop(file(files.path(), object)));
        done(gantry().args(["send", target]).arg(files.path()));
        compare(&came(), &studies(CALLED))
    }

    /// `gantry send` of one instance by TLS; `came` is what the peer has then.
    pub(super) fn send_by_tls(&self, target: &str, came: impl FnOnce() -> Vec<Came>) -> Cell {
        let [certificate, key] = self.certificate("gantry");
        let mut send = gantry();
        send.args(["send", target]).arg(self.tls_file()).args(["--tls", "--ca"]).arg(&self.secure.ca_file);
        done(send.arg("--certificate").arg(certificate).arg("--key").arg(key));
        compare(&came(), &[by_tls()])
    }

    /// `gantry find` of both studies.
    pub(super) fn find(&self, target: &str) -> Cell {
        let key = format!("PatientName=Test{}*", CALLED / 10);
        let printed = done(gantry().args(["find", target, "--json", "-k", &key]));
        let rows: Vec<Value> = serde_json::from_str(&printed).unwrap();
        let value = |row: &Value, tag: &str| row[tag]["Value"][0].clone();
        let found: BTreeSet<_> = rows
            .iter()
            .map(|row| format!("{} {}", value(row, "0020000D"), value(row, "00100010")["Alphabetic"]))
            .collect();
        let expected = studies(CALLED)
            .iter()
            .map(|object| format!("{:?} {:?}", object.study, object.patient_name))
            .collect();
        assert_eq!(found, expected, "{printed}");
        Cell::Did(format!("{} rows", rows.len()))
    }

    /// `gantry move` of the study to the server.
    pub(super) fn fetch(&self, target: &str) -> Cell {
        let study_uid = format!("2.25.{CALLED}");
        done(gantry().args(["move", target, "--to", "GANTRY", "--study", &study_uid]));
        self.keeps(&study(CALLED))
    }

    /// `gantry get` of the study.
    pub(super) fn get(&self, target: &str) -> Cell {
        let folder = TempDir::new().unwrap();
        let study_uid = format!("2.25.{CALLED}");
        done(gantry().args(["get", target, "--study", &study_uid, "--out"]).arg(folder.path()));
        compare(&Came::below(folder.path()), &study(CALLED))
    }

    fn keeps(&self, objects: &[Object]) -> Cell {
        let kept: Vec<Came> =
            objects.iter().map(|object| Came::explicit(kept(&self.secure.server, object))).collect();
        compare(&kept, objects)
    }
}

/// The table of a peer of this title.
pub(super) fn peer(title: &str, address: SocketAddr) -> String {
    format!("[peer.{}]\nae_title = \"{title}\"\naddress = \"{address}\"\n", title.to_lowercase())
}

/// A destination that commits to what it is sent: the peer of this title at this address.
pub(super) fn committed(title: &str, address: SocketAddr, begin: impl FnOnce(&Server)) -> Cell {
    let tables = format!("{}verify = \"commitment\"\n", dicom("archive", title, address));
    let server = Server::routed(&everything_to(&["archive"]), &tables);
    begin(&server);
    let objects = study(CALLED);
    server.store(&objects);
    server.wait_until_delivered("archive", objects.len());
    assert!(server.ledger().iter().all(|row| row.status == "0000H success; committed"));
    Cell::Did(format!("{} committed", objects.len()))
}

/// Three instances in two series.
pub(super) fn study(number: u32) -> Vec<Object> {
    let object = |(series, n)| Object { pixel_bytes: 20_480 * n as usize, ..Object::new(number, series, n) };
    [(1, 1), (1, 2), (2, 1)].map(object).to_vec()
}

/// That study, and the next with one instance.
pub(super) fn studies(number: u32) -> Vec<Object> {
    let mut objects = study(number);
    objects.push(Object::new(number + 1, 1, 1));
    objects
}

/// The instance that goes by TLS.
pub(super) fn by_tls() -> Object {
    Object { pixel_bytes: 300_032, ..Object::new(BY_TLS, 1, 1) }
}

/// What a command printed that must succeed.
pub(super) fn done(command: &mut Command) -> String {
    let (ok, printed) = run(command);
    assert!(ok, "{command:?}\n{printed}");
    printed
}

/// Rows that a client printed, each with these words: as many as there are studies.
pub(super) fn rows(printed: &str, mark: &str) -> Cell {
    for object in studies(CALLS) {
        for word in [&object.study, &object.patient_name] {
            assert!(printed.contains(word.as_str()), "{word} is not in\n{printed}");
        }
    }
    let count = printed.matches(mark).count();
    assert_eq!(count, 2, "{printed}");
    Cell::Did(format!("{count} rows"))
}

/// A line of a file of the project that begins so, less what it begins with.
pub(super) fn pinned(file: &str, start: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let rest = text.lines().find_map(|line| line.trim().strip_prefix(start)).expect("a pinned version");
    rest.split([' ', '"', ',']).next().unwrap().to_owned()
}
