//! C-STORE and STOW-RS: statuses, versions, patients, space.

use crate::harness::{Server, files_below};
use crate::scu::{Scu, element};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object, data_set_of, part10};

#[test]
fn the_same_content_twice_is_kept_once() {
    let server = Server::start();
    let object = Object::new(1, 1, 1);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    for _ in 0..2 {
        assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    }
    assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    assert_eq!(files(&server), 1);
    assert_eq!(server.metric("gantry_conflicts_total"), 0);
    assert_eq!(server.metric("gantry_instances_received_total{door=\"dimse\",status=\"duplicate\"}"), 1);
    assert_eq!(server.metric("gantry_instances_received_total{door=\"web\",status=\"duplicate\"}"), 1);
}

#[test]
fn other_content_under_a_known_uid_is_kept_as_a_version_and_not_served() {
    let server = Server::start();
    let first = Object::new(1, 1, 1);
    let second = Object { fill: 9, patient_id: "OTHER".to_owned(), ..first.clone() };
    let third = Object { fill: 10, study: "2.25.77".to_owned(), ..first.clone() };
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    for object in [&first, &second, &third, &second, &first] {
        assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0);
    }
    assert_eq!(files(&server), 3);
    assert_eq!(server.metric("gantry_conflicts_total"), 2);
    let rows = server.get("/dicom-web/instances").json();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(server.get("/dicom-web/studies/2.25.77").status, 404);
    let back = server.get_as(&path(&first), STORED);
    assert!(data_set_of(&back.body) == first.data_set());
    let page = String::from_utf8(server.get("/").body).unwrap();
    assert!(page.contains(&first.instance), "the conflict stands on the status page");
}

#[test]
fn refusals_have_their_status_and_the_association_goes_on() {
    let server = Server::start();
    let object = Object::new(1, 1, 1);
    let data = object.data_set();
    let mut scu =
        Scu::associate(server.dimse, &[(CT, &[EXPLICIT]), ("1.2.840.10008.5.1.4.1.1.4", &[EXPLICIT])])
            .unwrap();
    let mut status =
        |id, class: &str, instance: &str, data: &[u8]| scu.store(id, class, instance, data).unwrap().status();
    assert_eq!(status(1, CT, "2.25.999", &data), 0xA900);
    assert_eq!(status(3, "1.2.840.10008.5.1.4.1.1.4", &object.instance, &data), 0xA900);
    assert_eq!(status(3, CT, &object.instance, &data), 0x0122);
    assert_eq!(status(1, CT, &object.instance, &data[..data.len() - 1]), 0xC000);
    assert_eq!(status(1, CT, &object.instance, &[]), 0xC000);
    let without_series = Object { series: String::new(), ..object.clone() };
    assert_eq!(status(1, CT, &object.instance, &without_series.data_set()), 0xC000);
    assert_eq!(status(1, CT, &object.instance, &data), 0);
    assert_eq!(files(&server), 1);
}

#[test]
fn without_space_the_data_set_is_drained_and_refused() {
    let server = Server::with_free_bytes(1 << 60);
    let object = Object { pixel_bytes: 1 << 20, ..Object::new(1, 1, 1) };
    let mut scu =
        Scu::associate(server.dimse, &[(CT, &[EXPLICIT]), ("1.2.840.10008.1.1", &[IMPLICIT])]).unwrap();
    assert_eq!(scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(), 0xA700);
    assert_eq!(scu.echo(3).unwrap().status(), 0);
    let answer = server.stow("/dicom-web/studies", &[&object.file()]);
    assert_eq!(answer.status, 503);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(files(&server), 0);
}

#[test]
fn an_object_may_not_eat_the_space_that_is_to_stay_free() {
    // Others may free space while the object comes, and then it may be taken: tried again.
    for _ in 0..5 {
        let limit = free_bytes() - (64 << 20);
        let server = Server::with_free_bytes(limit);
        let object = Object { pixel_bytes: 700 << 20, ..Object::new(1, 1, 1) };
        let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
        let status = scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status();
        if status == 0xA700 {
            assert_eq!(files(&server), 0, "what was written of it is gone");
            return;
        }
        assert_eq!(status, 0);
        assert!(free_bytes() >= limit, "the object was taken below the limit");
    }
    panic!("space never ran short");
}

#[test]
fn a_lost_file_is_shown_and_comes_back_by_sending_it_again() {
    let mut server = Server::start();
    let object = Object::new(1, 1, 1);
    assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    server.kill();
    let [file] = &files_below(&server.data_dir().join("instances"))[..] else { panic!("one file") };
    std::fs::remove_file(file).unwrap();
    server.start_again();
    let page = |server: &Server| String::from_utf8(server.get("/").body).unwrap();
    assert!(page(&server).contains("1 stored files are missing or damaged"), "{}", page(&server));
    assert_eq!(server.get_as(&path(&object), STORED).status, 500);
    assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    let back = server.get_as(&path(&object), STORED);
    assert_eq!(back.status, 200);
    assert!(data_set_of(&back.body) == object.data_set());
    assert!(
        !page(&server).contains("missing or damaged") && page(&server).contains("1 lost files came back")
    );
}

#[test]
fn stow_says_what_was_kept_and_what_was_not() {
    let server = Server::start();
    let (good, other) = (Object::new(1, 1, 1), Object::new(2, 1, 1));
    let all = server.stow("/dicom-web/studies/2.25.1", &[&good.file()]);
    assert_eq!(all.status, 200);
    assert_eq!(all.json()["00081199"]["Value"][0]["00081155"]["Value"][0], good.instance.as_str());
    let some = server.stow("/dicom-web/studies/2.25.1", &[&good.file(), &other.file()]);
    assert_eq!(some.status, 202);
    assert_eq!(some.json()["00081198"]["Value"][0]["00081155"]["Value"][0], other.instance.as_str());
    let none = server.stow("/dicom-web/studies", &[b"this is no DICOM file"]);
    assert_eq!(none.status, 409);
    assert_eq!(server.post("/dicom-web/studies", "application/dicom", b"x").status, 415);
    assert_eq!(
        server.post("/dicom-web/studies", "multipart/related; type=\"application/dicom\"", b"x").status,
        400
    );
    let metadata_part = "multipart/related; type=\"application/dicom+json\"; boundary=x";
    assert_eq!(server.post("/dicom-web/studies", metadata_part, b"--x--").status, 415);
}

#[test]
fn what_came_with_a_file_is_kept_with_it() {
    let server = Server::start();
    let mut file = Object::new(1, 1, 1).file();
    file[..4].copy_from_slice(b"II*\0");
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    let back = server.get_as(&path(&Object::new(1, 1, 1)), STORED);
    assert!(back.body == file, "preamble and File Meta Information are those that came");
}

#[test]
fn an_odd_uid_is_text_in_answers_and_a_hash_in_paths() {
    let server = Server::start();
    let object = Object { instance: "2.25.7/../../x".to_owned(), ..Object::new(1, 1, 1) };
    assert_eq!(server.stow("/dicom-web/studies", &[&object.file()]).status, 200);
    let row = &server.get("/dicom-web/instances").json()[0];
    assert_eq!(row["00080018"]["Value"][0], object.instance.as_str());
    let url = row["00081190"]["Value"][0].as_str().unwrap();
    assert_eq!(server.get_as(url, STORED).status, 200, "{url}");
    let percent = "/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.7%2F..%2F..%2Fx";
    assert_eq!(server.get_as(percent, STORED).status, 200);
    assert!(files_below(&server.data_dir()).iter().all(|file| file.starts_with(server.data_dir())));
}

#[test]
fn patients_without_an_id_are_one_a_study() {
    let server = Server::start();
    let anonymous = |study| Object { patient_id: String::new(), ..Object::new(study, 1, 1) };
    let files = [anonymous(1).file(), anonymous(2).file(), Object::new(3, 1, 1).file()];
    assert_eq!(server.stow("/dicom-web/studies", &files.each_ref().map(Vec::as_slice)).status, 200);
    let mut scu = Scu::associate(server.dimse, &[("1.2.840.10008.5.1.4.1.2.1.1", &[EXPLICIT])]).unwrap();
    let identifier =
        [element(8, 0x52, "CS", "PATIENT"), element(0x10, 0x10, "PN", ""), element(0x10, 0x20, "LO", "")];
    let rows = scu.find(1, "1.2.840.10008.5.1.4.1.2.1.1", &identifier.concat()).unwrap();
    assert_eq!(rows.len(), 4, "three patients and the end");
}

#[test]
fn private_and_unknown_classes_and_syntaxes_are_kept() {
    let server = Server::start();
    let class = "1.3.6.1.4.1.99999.1";
    let object = Object::new(1, 1, 1);
    let data = object.data_set();
    let at = data.windows(CT.len()).position(|window| window == CT.as_bytes()).unwrap();
    let private = [&data[..at - 2], &[20, 0], class.as_bytes(), &[0], &data[at + CT.len() + 1..]].concat();
    let syntax = "1.3.6.1.4.1.99999.2";
    let mut scu = Scu::associate(server.dimse, &[(class, &[syntax])]).unwrap();
    assert_eq!(scu.store(1, class, &object.instance, &private).unwrap().status(), 0);
    let back = server.get_as(&path(&object), &format!("application/dicom; transfer-syntax={syntax}"));
    assert_eq!(back.status, 200);
    assert!(data_set_of(&back.body) == private);
    assert_eq!(
        server.stow("/dicom-web/studies", &[&part10(class, &object.instance, syntax, &private)]).status,
        200
    );
}

fn free_bytes() -> u64 {
    let found = rustix::fs::statvfs(std::env::temp_dir()).unwrap();
    found.f_bavail * found.f_frsize
}

fn path(object: &Object) -> String {
    format!("/dicom-web/studies/{}/series/{}/instances/{}", object.study, object.series, object.instance)
}

fn files(server: &Server) -> usize {
    files_below(&server.data_dir().join("instances")).len()
}

const STORED: &str = "application/dicom; transfer-syntax=*";
