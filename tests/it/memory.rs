//! Memory stays flat whatever the object's size.

use std::io::Write;
use std::thread;

use crate::harness::{Server, eventually};
use crate::scu::{Scu, element, pdata};
use crate::synthetic::{CT, EXPLICIT, Object, part10};

const OBJECT_BYTES: usize = 600 << 20;
const ALLOWED_GROWTH: u64 = 32 << 20;
/// What may be free between what is in use.
const FREE: u64 = 8 << 20;

#[test]
fn six_hundred_megabytes_in_and_out_cost_less_than_thirty_two() {
    let server = Server::start();
    let idle = server.resident_bytes();
    assert!(idle < 50 << 20, "idle at {idle} bytes");
    let stored = Object { pixel_bytes: OBJECT_BYTES, ..Object::new(1, 1, 1) };
    let data = stored.data_set();

    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let growth =
        growth(&server, || assert_eq!(scu.store(1, CT, &stored.instance, &data).unwrap().status(), 0));
    assert!(growth < ALLOWED_GROWTH, "C-STORE grew the process by {growth} bytes");
    println!("C-STORE: {} KiB", growth >> 10);

    let other = Object { fill: 1, instance: "2.25.1.1.2".to_owned(), ..stored.clone() };
    let file = other.file();
    let growth =
        self::growth(&server, || assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200));
    assert!(growth < ALLOWED_GROWTH, "STOW-RS grew the process by {growth} bytes");
    println!("STOW-RS: {} KiB", growth >> 10);

    let growth = self::growth(&server, || {
        let path = "/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.1";
        let answer = server.get_as(path, "application/dicom; transfer-syntax=*");
        assert!(answer.body.ends_with(&data), "bit-exact");
    });
    assert!(growth < ALLOWED_GROWTH, "WADO-RS grew the process by {growth} bytes");
    println!("WADO-RS: {} KiB", growth >> 10);
}

#[test]
fn asking_for_a_frame_a_thousand_times_costs_little() {
    let server = Server::start();
    let object = Object { pixel_bytes: 64, ..Object::new(1, 1, 1) };
    let mut data = object.data_set();
    data.truncate(data.len() - 64 - 12);
    data.extend(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF");
    data.extend(b"\xFE\xFF\x00\xE0\0\0\0\0".repeat(300_000));
    data.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    let file = part10(CT, &object.instance, "1.2.840.10008.1.2.5", &data);
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    let frames = "/dicom-web/studies/2.25.1/series/2.25.1.1/instances/2.25.1.1.1/frames";
    let growth = growth(&server, || {
        let answer = server.get(&format!("{frames}/{}", ["1"; 1000].join(",")));
        assert_eq!((answer.status, answer.parts().len()), (200, 1000));
    });
    assert!(growth < ALLOWED_GROWTH, "grew by {growth} bytes");
}

#[test]
fn large_headers_have_a_common_limit() {
    let server = Server::start();
    let object = Object::new(1, 1, 1);
    // Fourteen million bytes of private elements without values: a header at its limit.
    let mut data = object.data_set();
    let pixels = data.split_off(data.len() - 2048 - 12);
    let empty = element(0x0099, 0x1001, "LO", "");
    data.extend(empty.repeat(600_000));
    data.extend(pixels);
    let send_half = |scu: &mut Scu| {
        let command = scu.command(1, CT, &[(0x0700, &[0, 0]), (0x1000, b"2.25.1")], true);
        scu.send(1, true, &command).unwrap();
        for chunk in data[..data.len() - 4096].chunks(100_000) {
            scu.stream().write_all(&pdata(1, 0, chunk)).unwrap();
        }
    };
    let growth = growth(&server, || {
        let mut open: Vec<_> =
            (0..40).map(|_| Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap()).collect();
        open.iter_mut().for_each(send_half);
        let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
        assert_eq!(
            scu.store(1, CT, &object.instance, &object.data_set()).unwrap().status(),
            0,
            "small ones pass"
        );
    });
    assert!(growth < (256 + 128) << 20, "grew by {growth} bytes");
}

#[test]
fn what_was_in_use_is_given_back() {
    let server = Server::start();
    let files: Vec<_> =
        (1..=400).map(|n| Object { pixel_bytes: 64, ..Object::new(n / 4, 1, n) }.file()).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    assert_eq!(server.stow("/dicom-web/studies", &files).status, 200);
    let in_use = || server.metric("gantry_memory_allocated_bytes");
    assert!(in_use() > 1 << 20, "all of the process allocates by what is measured: {}", in_use());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let answer = server.get("/dicom-web/instances?includefield=all&limit=1000");
                assert_eq!(answer.json().as_array().unwrap().len(), 400);
            });
        }
    });
    eventually("what is free is the kernel's", || server.anonymous_bytes() < in_use() + FREE);
}

/// By how much the process peaks above where it stood while `work` runs.
fn growth(server: &Server, work: impl FnOnce()) -> u64 {
    server.reset_peak();
    let before = server.resident_bytes();
    work();
    server.peak_resident_bytes().saturating_sub(before)
}
