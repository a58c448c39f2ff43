//! What peers do right over DIMSE.

use std::time::Duration;

use super::peers::SECRET;
use super::pool::{INSTANCES, SERIES, identifier};
use super::{Random, Stage, Valid};
use crate::commitment::{COMMITMENT, n_action};
use crate::harness::{dcmtk, gantry, run};
use crate::scu::{Response, Scu, associate_rq_with, command_set, item, padded};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object};

pub(super) const ACTS: &[(&str, Valid)] = &[
    ("C-ECHO", echo),
    ("C-STORE", store),
    ("C-STORE of what is there", store_again),
    ("C-FIND", find),
    ("C-GET", get),
    ("C-MOVE", move_),
    ("storage commitment", commit),
    ("user identity", identify),
    ("TLS", by_tls),
    ("DCMTK", by_dcmtk),
];

pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(super) const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
pub(super) const MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
pub(super) const GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
const PER_STUDY: u16 = (SERIES * INSTANCES) as u16;

fn echo(stage: &Stage, _: &mut Random) {
    let mut scu = stage.peers.associate(&[(VERIFICATION, &[IMPLICIT])]);
    assert_eq!(scu.echo(1).unwrap().status(), 0);
    scu.release().unwrap();
}

fn store(stage: &Stage, random: &mut Random) {
    let mut scu = stage.peers.associate(&[(CT, &[EXPLICIT])]);
    for _ in 0..=random.below(5) {
        let object = stage.pool.other(random);
        let stored = scu.store(1, CT, &object.instance, &object.data_set()).unwrap();
        assert_eq!(stored.status(), 0, "{}", object.instance);
    }
    scu.release().unwrap();
}

fn store_again(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let mut scu = stage.peers.associate(&[(CT, &[EXPLICIT])]);
    assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    scu.release().unwrap();
}

fn find(stage: &Stage, random: &mut Random) {
    let object = stage.pool.fixed(random);
    let mut scu = stage.peers.associate(&[(FIND, &[EXPLICIT])]);
    let name = format!("{}*", object.patient_name.to_lowercase());
    let of_study = [(0x20, 0x0D, "UI", ""), (0x10, 0x10, "PN", name.as_str())];
    let of_images = [(0x20, 0x0D, "UI", object.study.as_str()), (0x08, 0x18, "UI", "")];
    for (level, keys, word, count) in [
        ("STUDY", of_study, &object.study, 1),
        ("IMAGE", of_images, &object.instance, usize::from(PER_STUDY)),
    ] {
        let rows = scu.find(1, FIND, &identifier(level, &keys)).unwrap();
        let (last, rows) = rows.split_last().unwrap();
        assert_eq!((last.status(), rows.len()), (0, count), "{level}");
        assert!(rows.iter().any(|row| holds(row.data.as_deref(), word)), "{level}: {word}");
    }
    scu.release().unwrap();
}

pub(super) fn holds(data: Option<&[u8]>, word: &str) -> bool {
    crate::harness::find(data.unwrap(), word.as_bytes()).is_some()
}

fn get(stage: &Stage, random: &mut Random) {
    got(stage, &stage.pool.fixed(random).study, PER_STUDY);
}

/// Gets a study of so many instances, each as it should be.
pub(super) fn got(stage: &Stage, study: &str, count: u16) {
    let mut scu = get_scu(stage);
    ask(&mut scu, 0x0010, GET, &[], study);
    let mut came = 0;
    let last = loop {
        let message = scu.receive().unwrap();
        if field(&message) != 0x0001 {
            match message.status() {
                0xFF00 => continue,
                _ => break message,
            }
        }
        let instance = String::from_utf8(message.command[&0x1000].clone()).unwrap();
        let numbers: Vec<u32> =
            instance.trim_end_matches('\0').split('.').map(|n| n.parse().unwrap()).collect();
        let [_, _, study, series, n] = numbers[..] else { panic!("{instance}") };
        let expected = super::pool::object(study, series, n).data_set();
        assert!(message.data.as_deref() == Some(&expected[..]), "{instance}");
        answer_store(&mut scu, &message);
        came += 1;
    };
    assert_eq!((last.status(), came, counter(&last, 0x1021)), (0, count, count), "{study}: {last:?}");
    scu.release().unwrap();
}

/// An association for C-GET of CT.
pub(super) fn get_scu(stage: &Stage) -> Scu {
    let role = [&(CT.len() as u16).to_be_bytes()[..], CT.as_bytes(), &[0, 1]].concat();
    let contexts: &[(&str, &[&str])] = &[(GET, &[EXPLICIT]), (CT, &[EXPLICIT])];
    let request = associate_rq_with("GANTRY", "SOAK", contexts, &item(0x54, &role));
    Scu::request(stage.peers.server().dimse, &request).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// Sends a request on context 1 for a study.
pub(super) fn ask(scu: &mut Scu, field: u16, class: &str, more: &[(u16, &[u8])], study: &str) {
    let command = scu.command(field, class, &[&[(0x0700, &[0, 0][..])], more].concat(), true);
    scu.send(1, true, &command).unwrap();
    scu.send(1, false, &identifier("STUDY", &[(0x20, 0x0D, "UI", study)])).unwrap();
}

/// Success of a C-STORE on context 3.
fn answer_store(scu: &mut Scu, request: &Response) {
    let elements = [
        (0x0002, padded(CT)),
        (0x0100, vec![0x01, 0x80]),
        (0x0120, request.command[&0x0110].clone()),
        (0x0800, vec![0x01, 0x01]),
        (0x0900, vec![0, 0]),
        (0x1000, request.command[&0x1000].clone()),
    ];
    scu.send(3, true, &command_set(&elements.into_iter().collect())).unwrap();
}

/// Command Field.
pub(super) fn field(message: &Response) -> u16 {
    counter(message, 0x0100)
}

/// A number of a command set.
pub(super) fn counter(message: &Response, element: u16) -> u16 {
    message.command.get(&element).map_or(0, |value| u16::from_le_bytes([value[0], value[1]]))
}

fn move_(stage: &Stage, random: &mut Random) {
    let study = stage.pool.fixed(random).study;
    let mut scu = stage.peers.associate(&[(MOVE, &[EXPLICIT])]);
    ask(&mut scu, 0x0021, MOVE, &[(0x0600, b"STORESCP")], &study);
    let last = last_of(&mut scu);
    assert_eq!((last.status(), counter(&last, 0x1021)), (0, PER_STUDY));
    scu.release().unwrap();
}

/// The final response.
pub(super) fn last_of(scu: &mut Scu) -> Response {
    loop {
        let response = scu.receive().unwrap();
        if response.status() != 0xFF00 {
            return response;
        }
    }
}

fn commit(stage: &Stage, random: &mut Random) {
    let [one, other] = [stage.pool.fixed(random), stage.pool.fixed(random)];
    let mut scu = stage.peers.associate(&[(COMMITMENT, &[EXPLICIT])]);
    let transaction = format!("2.25.77.{}", stage.number());
    let unknown = format!("2.25.78.{}", random.below(100));
    let is_all = random.is_one_in(2);
    let mut instances = vec![one.instance.as_str()];
    instances.extend((one.instance != other.instance).then_some(other.instance.as_str()));
    instances.extend((!is_all).then_some(unknown.as_str()));
    assert_eq!(n_action(&mut scu, &transaction, &instances), 0);
    let report = scu.receive().unwrap();
    assert_eq!((field(&report), counter(&report, 0x1002)), (0x0100, if is_all { 1 } else { 2 }));
    assert!(instances.iter().all(|uid| holds(report.data.as_deref(), uid)));
    answer_report(&mut scu, 1, &report);
    scu.release().unwrap();
}

/// Success of an N-EVENT-REPORT.
pub(super) fn answer_report(scu: &mut Scu, context: u8, report: &Response) {
    let elements = [
        (0x0002, padded(COMMITMENT)),
        (0x0100, vec![0x00, 0x81]),
        (0x0120, report.command[&0x0110].clone()),
        (0x0800, vec![0x01, 0x01]),
        (0x0900, vec![0, 0]),
    ];
    scu.send(context, true, &command_set(&elements.into_iter().collect())).unwrap();
}

fn identify(stage: &Stage, _: &mut Random) {
    let request = identified("ct1", SECRET);
    let mut scu =
        Scu::request(stage.peers.server().dimse, &request).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(scu.echo(1).unwrap().status(), 0);
    scu.release().unwrap();
}

/// A-ASSOCIATE-RQ of the peer that has to say who it is.
pub(super) fn identified(user: &str, password: &str) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let identity = [&[2, 1][..], &text(user), &text(password)].concat();
    let contexts: &[(&str, &[&str])] = &[(VERIFICATION, &[IMPLICIT])];
    associate_rq_with("GANTRY", "LOCKED", contexts, &item(0x58, &identity))
}

fn by_tls(stage: &Stage, random: &mut Random) {
    let peers = &stage.peers;
    let is_trusted = random.is_one_in(2);
    let [certificate, key] = if is_trusted { &peers.trusted } else { &peers.stranger };
    let mut echo = gantry();
    echo.arg("echo").arg(format!("GANTRY@{}", peers.tls)).args(["--calling", "CT1", "--tls", "--ca"]);
    let (ok, printed) = run(echo.arg(&peers.ca).arg("--certificate").arg(certificate).arg("--key").arg(key));
    assert_eq!(ok, is_trusted, "{printed}");
}

fn by_dcmtk(stage: &Stage, random: &mut Random) {
    let study = stage.pool.fixed(random).study;
    let port = stage.peers.server().dimse.port().to_string();
    let key = format!("StudyInstanceUID={study}");
    let folder = tempfile::TempDir::new().unwrap();
    let place = folder.path().to_str().unwrap();
    let keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &key];
    let got = ["+B", "-od", place];
    let tools: [(&str, &[&str]); 3] =
        [("findscu", &[]), ("movescu", &["-aem", "STORESCP"]), ("getscu", &got)];
    let (tool, more) = *random.of(&tools);
    let mut command = dcmtk(tool);
    command.args(["-v", "-aec", "GANTRY"]).args(keys).args(more).args(["127.0.0.1", &port]);
    let (ok, printed) = run(&mut command);
    assert!(ok, "{tool}: {printed}");
    if tool == "getscu" {
        assert_eq!(crate::harness::files_below(folder.path()).len(), usize::from(PER_STUDY), "{printed}");
    }
    let file = folder.path().join("one");
    let object: Object = stage.pool.other(random);
    std::fs::write(&file, object.file()).unwrap();
    let (ok, printed) = run(dcmtk("storescu").args(["-aec", "GANTRY", "127.0.0.1", &port]).arg(&file));
    assert!(ok, "storescu: {printed}");
    std::thread::sleep(Duration::from_millis(200));
}
