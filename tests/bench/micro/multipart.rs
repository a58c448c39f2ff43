//! The parser of multipart bodies on one CT.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use model::multipart::{Event, Parser};

use crate::synthetic::Template;

/// As much as a connection yields at once.
const CHUNK_BYTES: usize = 64 << 10;

pub(crate) fn bench(criterion: &mut Criterion) {
    let ct = Template::ct();
    let mut body = b"--bench-boundary\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(&ct.file_head());
    body.extend_from_slice(ct.data_set());
    body.extend_from_slice(b"\r\n--bench-boundary--\r\n");
    let mut group = criterion.benchmark_group("multipart");
    group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap_or(0)));
    group.bench_function("body of one CT", |bencher| {
        bencher.iter(|| assert!(data_bytes(black_box(&body)) > ct.data_set().len()));
    });
    group.finish();
}

fn data_bytes(body: &[u8]) -> usize {
    let mut parser = Parser::new("bench-boundary");
    let mut bytes = 0;
    for mut chunk in body.chunks(CHUNK_BYTES) {
        while let Some(event) = parser.next(&mut chunk).expect("the fields are short") {
            if let Event::Data(data) = event {
                bytes += data.len();
            }
        }
    }
    parser.finish().expect("the body is complete");
    bytes
}
