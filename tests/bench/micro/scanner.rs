//! The scanner on one CT.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::header::Header;
use model::scan::{Scanner, scan};
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, form};

use crate::synthetic::Template;

/// As much as arrives at once.
const CHUNK_BYTES: usize = 256 << 10;

pub(crate) fn bench(criterion: &mut Criterion) {
    let ct = Template::ct();
    let header = ct.header();
    let mut group = criterion.benchmark_group("scanner");
    group.throughput(Throughput::Elements(1));
    group.bench_function("CT, pixels skipped", |bencher| bencher.iter(|| skim(black_box(ct.data_set()))));
    group.bench_function("CT, header only", |bencher| bencher.iter(|| readable(black_box(header))));
    group.bench_function("CT, pixels fed", |bencher| bencher.iter(|| readable(black_box(ct.data_set()))));
    group.finish();
}

fn readable(data_set: &[u8]) -> Header {
    scan(form(EXPLICIT_VR_LITTLE_ENDIAN), data_set).expect("a synthetic CT is readable")
}

/// As a receiver does: chunk by chunk, past what the scanner need not see.
fn skim(data_set: &[u8]) -> Header {
    let mut scanner = Scanner::new(form(EXPLICIT_VR_LITTLE_ENDIAN));
    for chunk in data_set.chunks(CHUNK_BYTES) {
        let skippable = usize::try_from(scanner.skippable()).unwrap_or(usize::MAX).min(chunk.len());
        let (skipped, seen) = chunk.split_at(skippable);
        scanner.skip(u64::try_from(skipped.len()).unwrap_or(0));
        scanner.feed(seen).expect("a synthetic CT is readable");
    }
    scanner.finish().expect("a synthetic CT is complete")
}
