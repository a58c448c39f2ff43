//! DICOM JSON of one CT header.

use criterion::{Criterion, Throughput};
use model::json::write_header;
use model::scan::scan;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, form};

use crate::synthetic::Template;

pub(crate) fn bench(criterion: &mut Criterion) {
    let ct = Template::ct();
    let header = scan(form(EXPLICIT_VR_LITTLE_ENDIAN), ct.data_set()).expect("a synthetic CT is readable");
    let mut out = Vec::new();
    write_header(&header, "/dicom-web/studies/1/series/2/instances/3/bulkdata", &mut out);
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Bytes(u64::try_from(out.len()).unwrap_or(0)));
    group.bench_function("metadata of a CT", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_header(&header, "/dicom-web/studies/1/series/2/instances/3/bulkdata", &mut out)
        });
    });
    group.finish();
}
