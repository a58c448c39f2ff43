//! strace over the real binary: file, folder and write-ahead log are synced before each C-STORE-RSP.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::harness::{Server, eventually};
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object};

#[test]
fn syncs_file_folder_and_log_before_it_acknowledges() {
    let server = Server::start();
    let trace = server.data_dir().join("../trace");
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-e",
            "trace=fsync,fdatasync,sendto,sendmsg,write,writev",
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(&trace)
        .args(["-p", &server.pid().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is missing: run `make peers`");
    eventually("strace attaches", || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        !status.contains("TracerPid:\t0")
    });

    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    for n in 1..=INSTANCES {
        let object = Object::new(1, 1, n);
        assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    }
    scu.release().unwrap();
    let mut server = server;
    assert!(server.terminate().success());
    strace.wait().unwrap();

    let trace = fs::read_to_string(&trace).unwrap();
    let mut acknowledged = 0;
    let mut synced = Synced::default();
    let mut pending: BTreeMap<&str, Synced> = BTreeMap::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap();
        if line.contains(" resumed>") {
            // The second half of a call that another thread's call came between: it is complete only now.
            synced.add(pending.remove(thread).unwrap_or_default());
        } else if line.contains("<unfinished") {
            pending.insert(thread, Synced::by(line));
        } else {
            synced.add(Synced::by(line));
        }
        // The response is counted when the call begins.
        if line.contains("<socket:") && is_pdata(line) {
            assert_eq!(
                synced,
                Synced { file: true, folder: true, log: true },
                "acknowledged early:\n{trace}"
            );
            acknowledged += 1;
            synced = Synced::default();
        }
    }
    assert_eq!(acknowledged, INSTANCES, "C-STORE-RSPs seen:\n{trace}");
}

/// What was synced since the last response.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Synced {
    file: bool,
    folder: bool,
    log: bool,
}

impl Synced {
    fn by(line: &str) -> Self {
        let is_fdatasync = line.contains(" fdatasync(");
        let is_sync = is_fdatasync || line.contains(" fsync(");
        Self {
            file: is_fdatasync && line.contains(".dcm>"),
            folder: is_sync && line.contains("/instances/") && !line.contains(".dcm>"),
            log: is_sync && line.contains("-wal>"),
        }
    }

    fn add(&mut self, other: Self) {
        self.file |= other.file;
        self.folder |= other.folder;
        self.log |= other.log;
    }
}

/// Whether the bytes written begin with a P-DATA-TF PDU.
fn is_pdata(line: &str) -> bool {
    line.contains("\"\\4\\0\\0\\0")
}

const INSTANCES: u32 = 5;
