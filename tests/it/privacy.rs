//! Who the patients are stays out of logs, metrics, the status page and what errors say, at any log level.

use std::io::Write;

use serde_json::json;

use crate::harness::{Answer, Launch, Server, find, free_ports};
use crate::proxy::{Mode, Proxy};
use crate::routed::{S3_KEYS, State, dicom, folder, s3};
use crate::scu::{Response, Scu, element, pdata};
use crate::sinks::Scripted;
use crate::synthetic::{CT, EXPLICIT, Object, part10, without};

const STUDY_ROOT: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// What identifies the patients of this test, in lower case, in all spellings that it is sent in.
const SECRETS: [&str; 11] = [
    "quixotical",
    "zebediah",
    "zqx-774411",
    "zqx-880022",
    "wolpertinger",
    "19410923",
    "1941-09-23",
    "accq990017",
    "ferbulator",
    "hortensia",
    "saltimbocca",
];
/// The date of their study, which stands on the status page and nowhere else.
const STUDY_DATE: [&str; 2] = ["19630517", "1963-05-17"];

#[test]
fn nothing_tells_who_the_patients_are() {
    let server = Server::launched(Launch { environment: &[("RUST_LOG", "trace")], ..Launch::default() });
    let mut told = Told::default();
    store(&server, &mut told);
    break_off(&server);
    stow(&server, &mut told);
    find_by_name(&server, &mut told);
    retrieve(&server, &mut told);
    search(&server, &mut told);
    for path in ["/metrics", "/", "/readyz"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        told.add(path, answer.body);
    }
    let log = server.log();
    assert!(log.contains(" level=debug ") && log.contains("instance not stored"), "all is logged");
    told.add("the log", log.into_bytes());
    let errors = told.0.iter().filter(|(what, _)| what.starts_with("error")).count();
    assert!(errors >= 15, "{errors} refusals were looked at");
    told.expect_nothing_told();
}

#[test]
fn rules_and_lanes_do_not_tell_it_either() {
    let refusing = Scripted::start(json!({"status": 0xC000}));
    let [nobody] = free_ports();
    let forbidding = Proxy::start(nobody, Mode::Http(403, "", "<Error><Code>AccessDenied</Code></Error>"));
    let rules = r#"
        [[rule]]
        name = "by name"
        when = 'contains(PatientName, "uixot") && PatientBirthDate < "1950-01-01" && PatientID == "nobody"'
        send = ["down"]

        [[rule]]
        name = "the rest"
        otherwise = true
        send = ["refusing", "down", "cloud", "copy"]
    "#;
    let tables = dicom("refusing", "PACS", refusing.address) + &dicom("down", "PACS", nobody);
    let tables = tables + &s3("cloud", forbidding.address) + &folder("copy");
    let tables = tables + "\n[rules]\nfiles = [\"rules/*.toml\"]\n";
    let launch = Launch { environment: TALKATIVE, ..Launch::default() };
    let server = Server::furnished(&[("rules/a.toml", rules)], ["", "", &tables], launch);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    for n in 1..=3 {
        assert_eq!(scu.store(1, CT, &patient(n).instance, &data_set(n)).unwrap().status(), 0);
    }
    server.wait_until_delivered("copy", 3);
    server.wait_for("refusing", State::Dead, 3);
    let mut told = Told::default();
    for destination in ["down", "cloud"] {
        told.add(destination, server.reason(destination).into_bytes());
    }
    for command in [&["queue"][..], &["queue", "--json"], &["queue", "retry"], &["reload"]] {
        told.add(&command.join(" "), server.command(command).printed.into_bytes());
    }
    for path in ["/metrics", "/"] {
        told.add(path, server.get(path).body);
    }
    let log = server.log();
    assert!(log.contains(" level=debug ") && log.contains("C000H"), "all is logged");
    assert!(!log.contains(S3_KEYS[1].1), "the log tells the secret key");
    told.add("the log", log.into_bytes());
    told.expect_nothing_told();
}

/// All is logged, and there are keys for S3.
const TALKATIVE: &[(&str, &str)] = &[("RUST_LOG", "trace"), S3_KEYS[0], S3_KEYS[1]];

/// What came out of the server, and where.
#[derive(Default)]
struct Told(Vec<(String, Vec<u8>)>);

impl Told {
    fn add(&mut self, what: &str, text: Vec<u8>) {
        self.0.push((what.to_owned(), text));
    }

    fn expect_nothing_told(&self) {
        for (what, text) in &self.0 {
            let text = String::from_utf8_lossy(text).to_lowercase();
            let dates = if what == "/" { &[][..] } else { &STUDY_DATE };
            for secret in SECRETS.iter().chain(dates) {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "{what} tells {secret}: {line:?}");
            }
        }
    }

    /// An HTTP answer that must be a refusal: its head and body.
    fn add_refusal(&mut self, what: &str, answer: Answer) {
        assert!(answer.status >= 400 || answer.status == 202, "{what}: {}", answer.status);
        let head = format!("{:?}", answer.headers);
        self.add(&format!("error of {what}"), [head.as_bytes(), &answer.body].concat());
    }

    /// A response whose status must be this: its whole command set.
    fn add_response(&mut self, what: &str, response: &Response, status: u16) {
        assert_eq!(response.status(), status, "{what}");
        let kind = if status == 0 { "answer" } else { "error" };
        self.add(&format!("{kind} of {what}"), response.command.values().flatten().copied().collect());
    }
}

/// Taken and refused by C-STORE: a conflict, another name for the same patient ID, damage of all kinds.
fn store(server: &Server, told: &mut Told) {
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let data = data_set(1);
    let renamed = data_set_of(&Object { patient_name: "Wolpertinger^Zebediah".to_owned(), ..patient(2) });
    let moved = data_set_of(&Object { patient_id: "ZQX-880022".to_owned(), ..patient(1) });
    let uid = |n: u32| patient(n).instance;
    let cases: [(&str, String, &[u8], u16); 9] = [
        ("C-STORE", uid(1), &data, 0),
        ("C-STORE of the same patient with another name", uid(2), &renamed, 0),
        ("C-STORE of a version", uid(1), &moved, 0),
        ("C-STORE under another UID", uid(9), &data, 0xA900),
        ("C-STORE without study", uid(1), &without(&data, (0x0020, 0x000D)), 0xC000),
        ("C-STORE without instance", uid(1), &without(&data, (0x0008, 0x0018)), 0xC000),
        ("C-STORE cut in the pixels", uid(1), &data[..data.len() - 100], 0xC000),
        ("C-STORE cut in the name", uid(1), cut_in_name(&data), 0xC000),
        ("C-STORE of a patient ID without end", uid(1), &endless_patient_id(&data), 0xC000),
    ];
    for (what, instance, bytes, status) in cases {
        let response = scu.store(1, CT, &instance, bytes).unwrap();
        told.add_response(what, &response, status);
    }
    scu.release().unwrap();
}

/// A peer that vanishes inside a data set, and one that sends a patient's data where a command belongs.
fn break_off(server: &Server) {
    let data = data_set(3);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let command = scu.command(1, CT, &[(0x0700, &[0, 0]), (0x1000, b"2.25.1")], true);
    scu.send(1, true, &command).unwrap();
    scu.stream().write_all(&pdata(1, 0, cut_in_name(&data))).unwrap();
    drop(scu);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    scu.stream().write_all(&pdata(1, 3, &data)).unwrap();
    scu.receive().expect_err("a data set is no command");
}

fn stow(server: &Server, told: &mut Told) {
    let data = data_set(4);
    let file = |data: &[u8]| part10(CT, &patient(4).instance, EXPLICIT, data);
    assert_eq!(server.stow("/dicom-web/studies", &[&file(&data)]).status, 200);
    let whole = file(&data);
    let other = "/dicom-web/studies/2.25.404";
    let cases: [(&str, &str, Vec<u8>); 6] = [
        ("STOW-RS to another study", other, whole.clone()),
        ("STOW-RS without series", "/dicom-web/studies", file(&without(&data, (0x0020, 0x000E)))),
        ("STOW-RS without class", "/dicom-web/studies", file(&without(&data, (0x0008, 0x0016)))),
        ("STOW-RS cut in the pixels", "/dicom-web/studies", whole[..whole.len() - 100].to_vec()),
        ("STOW-RS cut in the name", "/dicom-web/studies", file(cut_in_name(&data))),
        ("STOW-RS of a bare data set", "/dicom-web/studies", data.clone()),
    ];
    for (what, path, bytes) in cases {
        told.add_refusal(what, server.stow(path, &[&bytes]));
    }
    told.add_refusal("STOW-RS of two", server.stow("/dicom-web/studies", &[&whole, cut_in_name(&data)]));
    told.add_refusal(
        "STOW-RS of no multipart",
        server.post("/dicom-web/studies", "application/dicom", &data),
    );
    let multipart = "multipart/related; type=\"application/dicom\"; boundary=part";
    told.add_refusal("STOW-RS of no parts", server.post("/dicom-web/studies", multipart, &data));
}

fn find_by_name(server: &Server, told: &mut Told) {
    let mut scu = Scu::associate(server.dimse, &[(STUDY_ROOT, &[EXPLICIT])]).unwrap();
    let by = |level: &str, birth_date: &str| {
        [
            element(0x0008, 0x0052, "CS", level),
            element(0x0008, 0x0050, "SH", "ACCQ990017"),
            element(0x0010, 0x0010, "PN", "Quixotical*"),
            element(0x0010, 0x0020, "LO", "ZQX-774411"),
            element(0x0010, 0x0030, "DA", birth_date),
        ]
        .concat()
    };
    let found = scu.find(1, STUDY_ROOT, &by("STUDY", "19410923")).unwrap();
    assert_eq!(found.len(), 2, "the study and the end");
    told.add_response("C-FIND", &found[1], 0);
    for (what, identifier) in [
        ("C-FIND at no level", by("SALTIMBOCCA", "19410923")),
        ("C-FIND that is cut", by("STUDY", "19410923")[..60].to_vec()),
    ] {
        let answers = scu.find(1, STUDY_ROOT, &identifier).unwrap();
        let last = answers.last().unwrap();
        assert!(last.status() >= 0xA000, "{what}: {:04X}", last.status());
        told.add_response(what, last, last.status());
    }
    let last = scu.find(1, STUDY_ROOT, &by("STUDY", "19410923-x")).unwrap().pop().unwrap();
    told.add_response("C-FIND by a date that is none", &last, last.status());
}

/// Refused C-MOVEs and C-GETs, and a C-GET of which nothing fits.
fn retrieve(server: &Server, told: &mut Told) {
    const MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
    const GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
    let mut scu = Scu::associate(server.dimse, &[(MOVE, &[EXPLICIT]), (GET, &[EXPLICIT])]).unwrap();
    let by = |level: &str, patient_id: &str| {
        [
            element(0x0008, 0x0052, "CS", level),
            element(0x0010, 0x0010, "PN", "Quixotical^Zebediah"),
            element(0x0010, 0x0020, "LO", patient_id),
        ]
        .concat()
    };
    for (what, patient_id, level, status) in [
        ("a C-GET of a patient", "ZQX-774411", "PATIENT", 0xA702),
        ("a C-GET of several patients", "ZQX-774411\\ZQX-880022", "PATIENT", 0xA900),
        ("a C-GET at no level", "ZQX-774411", "SALTIMBOCCA", 0xA900),
        ("a C-GET of no study", "ZQX-774411", "STUDY", 0xA900),
    ] {
        let command = scu.command(0x0010, GET, &[(0x0700, &[0, 0])], true);
        scu.send(3, true, &command).unwrap();
        scu.send(3, false, &by(level, patient_id)).unwrap();
        told.add_response(what, &scu.receive().unwrap(), status);
    }
    let command = scu.command(0x0021, MOVE, &[(0x0600, b"NOWHERE "), (0x0700, &[0, 0])], true);
    scu.send(1, true, &command).unwrap();
    scu.send(1, false, &by("PATIENT", "ZQX-774411")).unwrap();
    told.add_response("a C-MOVE to nowhere", &scu.receive().unwrap(), 0xA801);
}

fn search(server: &Server, told: &mut Told) {
    let keys =
        "PatientName=Quixotical*&PatientID=ZQX-774411&PatientBirthDate=19410923&AccessionNumber=ACCQ990017";
    let found = server.get(&format!("/dicom-web/studies?{keys}"));
    assert_eq!((found.status, found.json().as_array().unwrap().len()), (200, 1));
    for path in [
        &format!("/dicom-web/studies?{keys}&limit=Saltimbocca"),
        &format!("/dicom-web/studies?{keys}&StudyDate=19630517x"),
        &format!("/dicom-web/studies?{keys}&NoSuchKey=Saltimbocca"),
        "/dicom-web/studies?PatientBirthDate=1941-09-23&PatientName=Quixotical%",
        "/dicom-web/studies?includefield=Quixotical%5EZebediah",
        "/dicom-web/studies/Quixotical%5EZebediah/metadata",
        "/dicom-web/studies/2.25.31/series/ZQX-774411/instances/1",
        "/Quixotical/ZQX-774411?PatientName=Zebediah",
    ] {
        told.add_refusal("GET", server.get(path));
    }
    let study = server.get_as("/dicom-web/studies/2.25.31", "application/quixotical");
    told.add_refusal("GET as a patient", study);
}

/// Instance `n` of one study of one patient.
fn patient(n: u32) -> Object {
    Object {
        patient_id: "ZQX-774411".to_owned(),
        patient_name: "Quixotical^Zebediah".to_owned(),
        study_date: "19630517".to_owned(),
        ..Object::new(31, 1, n)
    }
}

fn data_set(n: u32) -> Vec<u8> {
    data_set_of(&patient(n))
}

/// The object's data set, with more that tells who the patient is.
fn data_set_of(object: &Object) -> Vec<u8> {
    let data = object.data_set();
    let modality = find(&data, &[0x08, 0, 0x60, 0, b'C', b'S']).unwrap();
    let study = find(&data, &[0x20, 0, 0x0D, 0, b'U', b'I']).unwrap();
    [
        &data[..modality],
        &element(0x0008, 0x0050, "SH", "ACCQ990017"),
        &data[modality..modality + 10],
        &element(0x0008, 0x0090, "PN", "Ferbulator^Hortensia"),
        &element(0x0008, 0x1030, "LO", "Saltimbocca"),
        &data[modality + 10..study],
        &element(0x0010, 0x0030, "DA", "19410923"),
        &data[study..],
    ]
    .concat()
}

/// The beginning of a data set, up to the middle of the patient's name.
fn cut_in_name(data: &[u8]) -> &[u8] {
    &data[..find(data, b"Zebediah").unwrap() + 2]
}

/// The data set with a patient ID that claims to go on far past the end.
fn endless_patient_id(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let length = find(&data, &[0x10, 0, 0x20, 0, b'L', b'O']).unwrap() + 6;
    data[length..length + 2].copy_from_slice(&0xFFFE_u16.to_le_bytes());
    data
}
