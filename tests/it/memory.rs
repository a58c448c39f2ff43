//! Memory stays flat whatever the object's size.

use crate::harness::Server;
use crate::scu::Scu;
use crate::synthetic::{CT, EXPLICIT, Object};

const OBJECT_BYTES: usize = 600 << 20;
const ALLOWED_GROWTH: u64 = 32 << 20;

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

/// By how much the process peaks above where it stood while `work` runs.
fn growth(server: &Server, work: impl FnOnce()) -> u64 {
    server.reset_peak();
    let before = server.resident_bytes();
    work();
    server.peak_resident_bytes().saturating_sub(before)
}
