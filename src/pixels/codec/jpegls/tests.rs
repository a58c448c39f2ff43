use proptest::prelude::*;

use super::*;
use crate::samples::tests::image;

/// The example of T.87 Annex H.3.
#[test]
fn encodes_the_example_of_the_standard() {
    let image = image((8, 8), false, 1, (4, 4));
    let pixels = [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];
    let stream = encode(&pixels, &image).unwrap();
    let scan: &[u8] = &[
        0xC0, 0x00, 0x00, 0x6C, 0x80, 0x20, 0x8E, 0x01, 0xC0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6E, 0xE6,
        0x00, 0x00, 0x01, 0xBC, 0x18, 0x00, 0x00, 0x05, 0xD8, 0x00, 0x00, 0x91, 0x60,
    ];
    let at = stream.windows(scan.len()).position(|window| window == scan);
    assert!(at.is_some(), "{stream:02X?}");
    assert_eq!(decode(&stream, &image).unwrap().frame, pixels);
}

#[test]
fn streams_that_lie_are_refused() {
    let gray = image((8, 8), false, 1, (4, 4));
    let stream = encode(&[7; 16], &gray).unwrap();
    assert!(decode(&stream, &image((8, 8), false, 1, (4, 5))).is_err());
    assert!(decode(&stream, &image((8, 8), false, 3, (4, 4))).is_err());
    for length in 0..stream.len() - 4 {
        assert!(decode(stream.get(..length).unwrap(), &gray).is_err(), "cut after {length}");
    }
    let wide = image((16, 12), false, 1, (4, 4));
    let twelve = encode(&[0xFF, 0x0F].repeat(16), &wide).unwrap();
    assert!(decode(&twelve, &gray).is_err());
}

proptest! {
    #[test]
    fn comes_back(
        values in prop::collection::vec(prop_oneof![4 => Just(7_u8), 1 => Just(9), 1 => any::<u8>()], 9 * 7 * 6),
        shape in prop_oneof![
            Just((8, 8, false, 1)), Just((8, 8, false, 3)), Just((16, 16, true, 1)), Just((16, 12, false, 1)), Just((16, 16, false, 3)),
        ],
    ) {
        let (allocated, stored, is_signed, samples) = shape;
        let image = image((allocated, stored), is_signed, samples, (9, 7));
        let frame = values.get(..image.frame_bytes().unwrap()).unwrap();
        let stream = encode(frame, &image).unwrap();
        prop_assert_eq!(decode(&stream, &image).unwrap().frame, frame);
    }
}
