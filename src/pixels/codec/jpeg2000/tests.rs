//! Codestreams of few bytes that would take much memory.

use std::collections::HashSet;
use std::fs;
use std::iter::repeat_n;

use super::{decode, encode, headers};
use crate::Error;
use crate::samples::tests::image;

/// The coding style of a codestream without data.
#[derive(Clone, Copy)]
struct Style {
    layers: u16,
    levels: u8,
    /// Of the width and of the height, less 2.
    block: u8,
    /// How coding passes end.
    passes: u8,
    precinct: Option<u8>,
}

const PLAIN: Style = Style { layers: 1, levels: 0, block: 4, passes: 0, precinct: None };

impl Style {
    fn parameters(self) -> Vec<u8> {
        let mut out = vec![self.levels, self.block, self.block, self.passes, 1];
        out.extend(repeat_n(self.precinct, usize::from(self.levels) + 1).flatten());
        out
    }

    fn cod(self) -> Vec<u8> {
        let [l1, l0] = self.layers.to_be_bytes();
        segment(0x52, &[&[u8::from(self.precinct.is_some()), 0, l1, l0, 0][..], &self.parameters()].concat())
    }

    fn coc(self) -> Vec<u8> {
        segment(0x53, &[&[0, u8::from(self.precinct.is_some())][..], &self.parameters()].concat())
    }
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let [l1, l0] = (content.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker, l1, l0][..], content].concat()
}

/// A codestream of 8 bits whose first tile-part has nothing in it.
fn codestream(size: u32, tile: u32, main: &[Vec<u8>], part: &[Vec<u8>]) -> Vec<u8> {
    filled(size, tile, main, part, &[0x00, 0x00])
}

/// The same with these packets in it.
fn filled(size: u32, tile: u32, main: &[Vec<u8>], part: &[Vec<u8>], packets: &[u8]) -> Vec<u8> {
    let numbers = [size, size, 0, 0, tile, tile, 0, 0].map(u32::to_be_bytes).concat();
    let siz = segment(0x51, &[&[0, 0], numbers.as_slice(), &[0, 1, 7, 1, 1]].concat());
    let quantization = segment(0x5C, &[&[0x40][..], &[0x40; 97]].concat());
    let part = [&part.concat(), &[0xFF, 0x93][..], packets].concat();
    let length = (part.len() as u32 + 12).to_be_bytes();
    let sot = segment(0x90, &[&[0, 0], length.as_slice(), &[0, 1]].concat());
    [&[0xFF, 0x4F][..], &siz, &main.concat(), &quantization, &sot, &part, &[0xFF, 0xD9]].concat()
}

/// The header of a packet with so many code-blocks in either direction, of as many coding passes as there can be, each of which ends
/// alone and is of no length (T.800 §B.10).
fn passes(across: usize) -> Vec<u8> {
    let mut out = Bits::default();
    out.put(1, 1);
    // Tag trees of nothing but zeros, one for inclusion, one for missing bit-planes: a bit when a node is met first.
    let mut met = [HashSet::new(), HashSet::new()];
    for (y, x) in (0..across).flat_map(|y| (0..across).map(move |x| (y, x))) {
        for tree in &mut met {
            let nodes =
                (0..=across.next_power_of_two().ilog2()).rev().map(|level| (level, y >> level, x >> level));
            nodes.filter(|node| tree.insert(*node)).for_each(|_| out.put(1, 1));
        }
        out.put(0xFFFF, 16);
        out.put(0, 1);
        (0..164).for_each(|_| out.put(0, 3));
    }
    out.put(0, 7);
    out.bytes
}

/// Bits behind each other, seven to a byte after one of ones.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    current: u8,
    count: u8,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.current = self.current << 1 | (value >> bit & 1) as u8;
            self.count += 1;
            let whole = if self.bytes.last() == Some(&0xFF) { 7 } else { 8 };
            if self.count == whole {
                self.bytes.push(std::mem::take(&mut self.current));
                self.count = 0;
            }
        }
    }
}

/// The most that this process has had resident, from now on.
fn forget_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_codestream_takes_no_more_memory_than_its_samples_call_for() {
    let many = Style { precinct: Some(0), ..PLAIN };
    let blocks = Style { block: 0, ..PLAIN };
    let layers = Style { layers: u16::MAX, precinct: Some(0x55), ..PLAIN };
    let fine = Style { precinct: Some(0x11), levels: 5, ..PLAIN };
    let plain = || vec![PLAIN.cod()];
    for (what, size, tile, main, part) in [
        ("precincts", 1200, 1200, vec![many.cod()], vec![]),
        ("precincts of a component", 1200, 1200, vec![PLAIN.cod(), many.coc()], vec![]),
        ("precincts of a tile", 1200, 1200, plain(), vec![many.cod()]),
        ("precincts of a component of a tile", 1200, 1200, plain(), vec![many.coc()]),
        ("precincts of each level", 1200, 1200, vec![fine.cod()], vec![]),
        ("code-blocks", 2400, 2400, vec![blocks.cod()], vec![]),
        ("layers", 1200, 1200, vec![layers.cod()], vec![]),
        ("tiles", 250, 1, plain(), vec![]),
    ] {
        let image = image((8, 8), false, 1, (size as usize, size as usize));
        let bomb = codestream(size, tile, &main, &part);
        assert!(bomb.len() < 400);
        let before = forget_peak();
        let decoded = decode(&bomb, &image);
        let taken = peak().saturating_sub(before);
        assert!(taken < 100 << 20, "{what}: {taken} bytes");
        assert!(matches!(decoded, Err(Error::TooLarge(_))), "{what}: {:?}", decoded.err());
    }
}

#[test]
fn passes_that_end_alone_take_no_more_memory_either() {
    let style = Style { block: 1, passes: 4, layers: 3, ..PLAIN };
    let image = image((8, 8), false, 1, (1200, 1200));
    let bomb = filled(1200, 1200, &[style.cod()], &[], &passes(150).repeat(3));
    let before = forget_peak();
    let decoded = decode(&bomb, &image);
    let taken = peak().saturating_sub(before);
    assert!(taken < 100 << 20, "{} become {taken} bytes", bomb.len());
    assert!(matches!(decoded, Err(Error::TooLarge(_))), "{:?}", decoded.err());
    // Larger code-blocks have room for so many.
    let usual = filled(1200, 1200, &[Style { block: 3, ..style }.cod()], &[], &passes(38).repeat(3));
    assert!(headers::read(&usual, &image).is_ok());
}

#[test]
fn what_encoders_make_is_within_the_bounds() {
    let named = [
        (64, 64, Style { block: 0, levels: 5, ..PLAIN }),
        (512, 512, Style { block: 1, levels: 5, precinct: Some(0x77), ..PLAIN }),
        (512, 64, PLAIN),
        (8192, 8192, Style { block: 3, levels: 5, layers: 30, precinct: Some(0x88), ..PLAIN }),
        (8192, 256, Style { block: 4, levels: 5, layers: 20, precinct: Some(0x77), ..PLAIN }),
        (8192, 8192, Style { block: 4, levels: 5, passes: 5, layers: 5, ..PLAIN }),
        (2236, 2236, Style { block: 4, levels: 5, passes: 1, layers: 12, ..PLAIN }),
        (2236, 2236, Style { block: 3, levels: 5, passes: 5, layers: 4, ..PLAIN }),
        (512, 512, Style { block: 4, levels: 5, passes: 5, layers: 50, ..PLAIN }),
    ];
    for (size, tile, style) in named {
        let image = image((8, 8), false, 1, (size as usize, size as usize));
        let packets = vec![0; image.frame_samples()];
        let headers = headers::read(&filled(size, tile, &[style.cod()], &[], &packets), &image).unwrap();
        assert!(headers.is_reversible && headers.precision == 8, "{size} {tile}");
    }
}

#[test]
fn headers_that_are_cut_or_unknown_are_refused() {
    let image = image((8, 8), false, 1, (16, 16));
    let whole = codestream(16, 16, &[PLAIN.cod()], &[PLAIN.coc()]);
    assert!(headers::read(&whole, &image).is_ok());
    let data = whole.len() - 4; // before the tile-part's two bytes and the end
    for cut in 0..data {
        assert!(headers::read(whole.get(..cut).unwrap(), &image).is_err(), "{cut}");
    }
    // A decoder that looks for the next marker inside of an unknown segment finds others than we.
    let hidden = segment(0x30, &Style { precinct: Some(0), ..PLAIN }.cod());
    for (main, part) in [(vec![PLAIN.cod(), hidden.clone()], vec![]), (vec![PLAIN.cod()], vec![hidden])] {
        let refused = headers::read(&codestream(16, 16, &main, &part), &image);
        assert!(matches!(refused, Err(Error::Unsupported(_))));
    }
    let frame: Vec<u8> = (0..=255).collect();
    for high_throughput in [false, true] {
        let encoded = encode(&frame, &image, high_throughput).unwrap();
        assert!(headers::read(&encoded, &image).is_ok_and(|headers| headers.is_reversible));
    }
}

#[test]
fn a_profile_passes_and_hides_nothing() {
    let image = image((8, 8), false, 1, (16, 16));
    let frame: Vec<u8> = (0..=255).collect();
    let bomb = Style { precinct: Some(0), ..PLAIN };
    for high_throughput in [false, true] {
        let encoded = encode(&frame, &image, high_throughput).unwrap();
        let (before, after) = encoded.split_at(4 + 41); // behind SIZ, which is so long for one component
        let with = |content: &[u8]| [before, &segment(0x56, content), after].concat();
        for profile in [&[0, 1][..], &[0xFE, 0xFF, 0x12, 0x34]] {
            assert_eq!(decode(&with(profile), &image).unwrap().frame, frame);
        }
        let long = [0; 0xFF52 - 2];
        for hidden in [&bomb.cod()[..], &[&[0, 1][..], &bomb.coc()].concat(), &[0, 1, 2], &long] {
            assert!(matches!(headers::read(&with(hidden), &image), Err(Error::Unsupported(_))));
        }
    }
    let in_tile = codestream(16, 16, &[PLAIN.cod()], &[segment(0x56, &[0, 1])]);
    assert!(matches!(headers::read(&in_tile, &image), Err(Error::Unsupported(_))));
}

#[test]
fn nothing_hides_between_tile_parts() {
    let image = image((8, 8), false, 1, (8, 8));
    let bomb = Style { precinct: Some(0), ..PLAIN };
    let whole = codestream(8, 8, &[PLAIN.cod()], &[]);
    let (before, end) = whole.split_at(whole.len() - 2);
    assert!(headers::read(&whole, &image).is_ok());
    for between in [&[0xFF, 0x93, 0, 0][..], &bomb.coc(), &[0xFF, 0x30]] {
        let hidden = [before, between, end].concat();
        assert!(matches!(headers::read(&hidden, &image), Err(Error::Unsupported(_) | Error::Damaged(_))));
    }
    assert!(headers::read(before, &image).is_ok());
    assert!(headers::read(&[before, &[0, 0, 0]].concat(), &image).is_ok());
}
