//! One CT slice out of and into each transfer syntax that we encode.

use std::hint::black_box;
use std::io::Cursor;

use ::pixels::{Object, transcode};
use criterion::{Criterion, Throughput};
use model::TransferSyntaxUid;
use model::scan::scan;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, form, name};

use crate::synthetic::Template;

/// RLE, JPEG Lossless, JPEG-LS, JPEG 2000, HTJ2K.
const COMPRESSED: [&str; 5] = [
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
];

pub(crate) fn bench(criterion: &mut Criterion) {
    let ct = Template::ct();
    let mut group = criterion.benchmark_group("pixels");
    group.throughput(Throughput::Elements(1));
    for syntax in COMPRESSED {
        let called = name(syntax).unwrap_or(syntax);
        let compressed = convert(EXPLICIT_VR_LITTLE_ENDIAN, syntax, ct.data_set());
        group.bench_function(format!("native to {called}"), |bencher| {
            bencher.iter(|| convert(EXPLICIT_VR_LITTLE_ENDIAN, syntax, black_box(ct.data_set())));
        });
        group.bench_function(format!("{called} to native"), |bencher| {
            bencher.iter(|| convert(syntax, EXPLICIT_VR_LITTLE_ENDIAN, black_box(&compressed)));
        });
    }
    group.finish();
}

fn convert(from: &str, to: &str, data_set: &[u8]) -> Vec<u8> {
    let header = scan(form(from), data_set).expect("a synthetic CT is readable");
    let length = data_set.len() as u64;
    let object = Object { bytes: &data_set, data_offset: 0, length, transfer_syntax: from, header: &header };
    let to = TransferSyntaxUid::lenient(to).expect("the constant is not empty");
    let mut out = Cursor::new(Vec::new());
    transcode(&object, &to, &mut out, &|| true).expect("a synthetic CT is transcoded");
    out.into_inner()
}
