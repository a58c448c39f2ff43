//! Kills the real binary at random moments while it receives and delivers, takes its destinations away and brings them back, and
//! changes its rules: what was acknowledged is in each destination, bit by bit and once, and the ledger says so.
//!
//! `make torture` is the long run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::harness::{Launch, Server, files_below, say};
use crate::proxy::{Mode, Proxy};
use crate::routed::{State, dicom, folder, s3};
use crate::seaweed::SeaweedFs;
use crate::senders::{Senders, number_of, object, setting, xorshift};
use crate::sinks::StoreScp;
use crate::synthetic::data_set_of;

#[test]
fn whatever_dies_each_destination_gets_everything_once() {
    let kills = setting("GANTRY_TORTURE_KILLS", 6);
    let wanted = setting("GANTRY_TORTURE_INSTANCES", 400);
    let mut scene = Scene::start();
    let mut senders = Senders::default();
    for done in 0..kills {
        senders.start(&scene.server);
        let enough = wanted * (done + 1) / kills;
        let started = Instant::now();
        while senders.acknowledged() < enough && started.elapsed() < Duration::from_secs(120) {
            scene.trouble();
        }
        senders.expect_death();
        scene.server.kill();
        senders.stop();
        scene.server.start_again();
        scene.kills += 1;
        // And while it only delivers.
        if done % 3 == 2 {
            scene.trouble();
            scene.server.kill();
            scene.server.start_again();
            scene.kills += 1;
        }
    }
    scene.make_peace();
    scene.wait_until_all_is_delivered();
    let sent = senders.sent();
    let acknowledged: BTreeSet<u32> =
        sent.iter().filter(|(_, fate)| fate.is_acknowledged).map(|(n, _)| *n).collect();
    assert!(acknowledged.len() as u32 >= wanted, "{} of {wanted} were acknowledged", acknowledged.len());
    let kept = scene.kept();
    let missing: Vec<_> = acknowledged.iter().filter(|n| !kept.contains_key(n)).collect();
    assert!(missing.is_empty(), "acknowledged and not kept: {missing:?}");
    scene.compare_ledger(&kept);
    let turns = scene.turns_of_rules();
    assert!(
        turns >= scene.reloads.min(3),
        "{} reloads, and instances went by {turns} of them",
        scene.reloads
    );
    let copies = scene.compare_files(&kept);
    say(&format!(
        "torture: {} kills, {} troubles, {} reloads of which {turns} routed, {} sent, {} acknowledged, {} kept and in each destination; the peer got {copies} copies",
        scene.kills,
        scene.troubles,
        scene.reloads,
        sent.len(),
        acknowledged.len(),
        kept.len(),
    ));
    // A kill forgets what was answered and not yet written down, a broken connection what was under way.
    let excusable = scene.kills * 18 + scene.breaks * 2;
    assert!(copies - kept.len() <= excusable, "{} were sent again", copies - kept.len());
}

/// The server, its three destinations, and what stands between them.
struct Scene {
    server: Server,
    sink: StoreScp,
    to_sink: Proxy,
    seaweed: SeaweedFs,
    to_seaweed: Proxy,
    random: u64,
    is_folder_away: bool,
    kills: usize,
    troubles: usize,
    /// Troubles in which connections to the peer may have broken.
    breaks: usize,
    reloads: usize,
}

impl Scene {
    fn start() -> Self {
        let (sink, seaweed) = (StoreScp::start(), SeaweedFs::start());
        let to_sink = Proxy::start(sink.address, Mode::Pass);
        let to_seaweed = Proxy::start(seaweed.s3, Mode::Pass);
        let tables =
            dicom("pacs", "STORESCP", to_sink.address) + &s3("cloud", to_seaweed.address) + &folder("copy");
        let impatient = "message_timeout = \"2s\"\nconnect_timeout = \"2s\"";
        let server = Server::routed_so(&rules(0), ["", impatient, &tables], Launch::default());
        fs::write(server.dir().join("away"), "in the way").unwrap();
        fs::create_dir(server.dir().join("copy")).ok();
        let random = 0x9E37_79B9_7F4A_7C15;
        Self {
            server,
            sink,
            to_sink,
            seaweed,
            to_seaweed,
            random,
            is_folder_away: false,
            kills: 0,
            troubles: 0,
            breaks: 0,
            reloads: 0,
        }
    }

    /// Changes something, and lets that be for a moment.
    fn trouble(&mut self) {
        self.troubles += 1;
        let cut = 1_000 + (xorshift(&mut self.random) % 500_000) as usize;
        let kind = xorshift(&mut self.random) % 14;
        self.breaks += usize::from(kind < 6);
        match kind {
            0 => self.to_sink.set(Mode::Refuse),
            1 => self.to_sink.set(Mode::Cut(cut)),
            2 => self.to_sink.set(Mode::Silent),
            3 => self.to_sink.set(Mode::Slow(2_000_000)),
            4..6 => self.to_sink.set(Mode::Pass),
            6 => self.to_seaweed.set(Mode::Refuse),
            7 => self.to_seaweed.set(Mode::Cut(cut)),
            8 => self.to_seaweed.set(Mode::Corrupt),
            9 => self.to_seaweed.set(Mode::Http(503, "", "busy")),
            10 => self.to_seaweed.set(Mode::Pass),
            11 => self.swap_folder(),
            _ => {
                write_aside(&self.server.dir().join("rules/rules.toml"), &rules(self.troubles));
                self.server.signal("HUP");
                self.reloads += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(xorshift(&mut self.random) % 150_000));
    }

    /// Takes the folder away and puts a file in its place, or puts it back; in one step.
    fn swap_folder(&mut self) {
        let [here, away] = ["copy", "away"].map(|name| self.server.dir().join(name));
        renameat_with(CWD, here, CWD, away, RenameFlags::EXCHANGE).unwrap();
        self.is_folder_away = !self.is_folder_away;
    }

    fn make_peace(&mut self) {
        self.to_sink.set(Mode::Pass);
        self.to_seaweed.set(Mode::Pass);
        if self.is_folder_away {
            self.swap_folder();
        }
    }

    /// Gives up only when nothing has moved for long.
    fn wait_until_all_is_delivered(&self) {
        let mut last = (u32::MAX, Instant::now());
        let index = self.server.index();
        let mut open = index.prepare("SELECT count(*) FROM delivery WHERE state < 4").unwrap();
        loop {
            let open = open.query_row([], |row| row.get(0)).unwrap();
            if open == 0 {
                return;
            }
            if open != last.0 {
                last = (open, Instant::now());
            }
            let ledger = || self.server.ledger().into_iter().find(|row| row.state != State::Delivered);
            assert!(last.1.elapsed() < Duration::from_secs(30), "{open} wait, such as {:?}", ledger());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The files of the archive by the number of their instance.
    fn kept(&self) -> BTreeMap<u32, PathBuf> {
        let index = self.server.index();
        let mut uids = index.prepare("SELECT sop_instance_uid FROM instance").unwrap();
        let uids = uids.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        let known: BTreeSet<u32> = uids.map(|uid| uid.rsplit('.').next().unwrap().parse().unwrap()).collect();
        let mut kept = BTreeMap::new();
        for path in files_below(&self.server.data_dir().join("instances")) {
            kept.insert(expect_whole(data_set_of(&fs::read(&path).unwrap())), path);
        }
        assert!(kept.keys().eq(&known), "files and index");
        kept
    }

    fn compare_ledger(&self, kept: &BTreeMap<u32, PathBuf>) {
        let expected: BTreeSet<_> = kept.keys().map(|n| object(*n).instance).collect();
        for destination in ["pacs", "cloud", "copy"] {
            let rows = self.server.ledger_of(destination);
            assert!(rows.iter().all(|row| row.state == State::Delivered && row.version == 1));
            let instances: BTreeSet<_> = rows.iter().map(|row| row.instance.clone()).collect();
            assert_eq!(rows.len(), instances.len(), "{destination} has each once");
            assert!(instances == expected, "{destination}: {:?}", instances.symmetric_difference(&expected));
        }
    }

    /// How many of the rules that took turns have sent something.
    fn turns_of_rules(&self) -> usize {
        let count = "SELECT count(DISTINCT rule.name) FROM delivery JOIN rule USING (rule_pk) WHERE name LIKE 'turn %'";
        self.server.index().query_row(count, [], |row| row.get::<_, u32>(0)).unwrap() as usize
    }

    /// Compares what the destinations have; returns how many copies the peer got.
    fn compare_files(&self, kept: &BTreeMap<u32, PathBuf>) -> usize {
        let got: Vec<u32> = self
            .sink
            .files()
            .iter()
            .map(|path| expect_whole(data_set_of(&fs::read(path).unwrap())))
            .collect();
        assert!(got.iter().collect::<BTreeSet<_>>().into_iter().eq(kept.keys()), "instances at the peer");
        let folder = self.server.dir().join("copy");
        let copies = files_below(&folder);
        let names: BTreeSet<_> = kept.keys().map(|n| format!("{}.dcm", object(*n).instance)).collect();
        let others: Vec<_> = copies
            .iter()
            .filter(|path| !names.contains(&*path.file_name().unwrap().to_string_lossy()))
            .collect();
        assert!(others.is_empty(), "other files in the folder: {others:?}");
        assert_eq!(copies.len(), kept.len(), "files in the folder");
        let objects = self.seaweed.objects("");
        assert_eq!(objects.len(), kept.len(), "objects in the bucket");
        let keys: BTreeMap<_, _> =
            objects.iter().map(|stored| (stored.key.rsplit('/').next().unwrap(), &stored.key)).collect();
        for (n, file) in kept {
            let object = object(*n);
            let name = format!("{}.dcm", object.instance);
            let file = fs::read(file).unwrap();
            let copy = fs::read(folder.join(&object.study).join(&object.series).join(&name)).unwrap();
            assert!(copy == file, "{name} in the folder");
            assert!(self.seaweed.get(keys[name.as_str()]) == file, "{name} in the bucket");
        }
        got.len()
    }
}

/// The number of an instance that is what was sent, bit by bit.
fn expect_whole(data_set: &[u8]) -> u32 {
    let n = number_of(data_set);
    assert!(data_set == object(n).data_set(), "instance {n}");
    n
}

/// Rules that send everything everywhere, each time by other ones.
fn rules(turn: usize) -> String {
    let odd = turn % 2;
    format!(
        r#"
        [[rule]]
        name = "turn {turn}"
        when = 'Modality == "CT" && InstanceNumber > {turn}'
        send = ["pacs", "cloud", "copy"]
        stop = true

        [[rule]]
        name = "half of it {odd}"
        when = 'has(PatientID)'
        send = ["copy", "pacs"]

        [[rule]]
        name = "the other half"
        when = "true"
        send = ["cloud"]
        "#
    )
}

/// Whoever reads the file reads all of it or what was there before.
fn write_aside(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(aside, path).unwrap();
}
