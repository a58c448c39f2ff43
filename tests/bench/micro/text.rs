//! Character sets, and folding for searches.

use std::hint::black_box;

use criterion::Criterion;
use model::Vr;
use model::charset::Charset;
use model::fold::fold_person_name;

/// PS3.5 §H.3.1.
const JAPANESE: &[u8] =
    b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
const GERMAN: &[u8] = b"M\xFCller^J\xF6rg";

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text");
    for (name, set, bytes) in [
        ("ASCII", b"ISO_IR 100".as_slice(), b"MUELLER^JOERG".as_slice()),
        ("ISO_IR 100", b"ISO_IR 100", GERMAN),
        ("ISO 2022 IR 87", b"\\ISO 2022 IR 87", JAPANESE),
    ] {
        let charset = Charset::parse(set);
        let text = charset.decode(bytes, Vr::PN);
        group.bench_function(format!("decode a name, {name}"), |bencher| {
            bencher.iter(|| charset.decode(black_box(bytes), Vr::PN));
        });
        group.bench_function(format!("fold a name, {name}"), |bencher| {
            bencher.iter(|| fold_person_name(black_box(&text)));
        });
    }
    group.finish();
}
