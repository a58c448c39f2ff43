use std::hint::black_box;

use criterion::Criterion;
use model::DestinationName;
use model::scan::scan;
use model::syntax::{self, EXPLICIT_VR_LITTLE_ENDIAN};
use rules::{Arrival, Source, Via};
use time::macros::date;

use crate::synthetic::Template;

/// 200 rules as a department writes them, on the header of a CT slice. Half of them match.
pub(crate) fn bench(criterion: &mut Criterion) {
    let text: String = (0..RULES).map(rule).collect();
    let sources = [Source { name: "rules.toml".to_owned(), text }];
    let destinations = ["pacs", "cloud", "copy"].map(DestinationName::new);
    let rules = rules::load(&sources, Some(&destinations)).rules.expect("the rules are right");
    let header =
        scan(syntax::form(EXPLICIT_VR_LITTLE_ENDIAN), Template::ct().data_set()).expect("a data set");
    let arrival = Arrival {
        aet: model::AeTitle::parse("CT7").ok(),
        ip: Some([10, 2, 3, 4].into()),
        called: model::AeTitle::parse("GANTRY").ok(),
        peer: None,
        via: Some(Via::Dimse),
    };
    let today = date!(2026 - 01 - 02);
    criterion.bench_function("rules: 200 on one instance", |bencher| {
        bencher.iter(|| rules.decide(black_box(&header), black_box(&arrival), today));
    });
}

const RULES: usize = 200;

fn rule(number: usize) -> String {
    let when = match number % 5 {
        0 => format!(r#"from.aet in ["CT{number}", "CT7"] && Modality == "CT""#),
        1 => format!(r#"Modality == "MR" && contains(SeriesDescription, "t{number}")"#),
        2 => r#"contains(StudyDescription, "thorax") && SliceThickness <= 1.5"#.to_owned(),
        3 => format!(r#"from.ip in cidr("10.{}.0.0/16") || glob(StationName, "CT*{number}")"#, number % 256),
        _ => r#"matches(SeriesDescription, "^thorax .*b3[01]f") && !has(PatientComments)"#.to_owned(),
    };
    let send = ["pacs", "cloud", "copy"][number % 3];
    format!("[[rule]]\nname = \"rule {number}\"\nwhen = '''{when}'''\nsend = [\"{send}\"]\n")
}
