//! What the pure parts cost, one by one: `cargo bench --bench micro -- [FILTER]`. Results and their history lie in `target/criterion`.

mod json;
mod multipart;
mod pdu;
mod pixels;
mod routing;
mod scanner;
#[path = "../synthetic.rs"]
#[expect(dead_code, reason = "the other bench program uses the rest")]
mod synthetic;
mod text;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    scanner::bench(&mut criterion);
    json::bench(&mut criterion);
    pdu::bench(&mut criterion);
    multipart::bench(&mut criterion);
    pixels::bench(&mut criterion);
    routing::bench(&mut criterion);
    text::bench(&mut criterion);
    criterion.final_summary();
}
