//! All that Gantry was compared in, one line each.

use crate::report::{GANTRY, Report, number, push_line};

/// Servers that have a column of their own.
const OTHERS: [&str; 5] = ["Orthanc", "storescp +B -pdu 131072", "dcmqrscp", "storescu", "floor"];

/// Appends the table; nothing when Gantry was not measured.
pub(crate) fn write(report: &Report, out: &mut String) {
    let mut lines = Vec::new();
    for section in report.sections() {
        for case in section.cases() {
            let figure = |server: &str, title: &str| section.figure(case, server, title);
            let Some(ours) = figure(GANTRY, section.compared()) else { continue };
            let what = format!("{}, {case}", section.title());
            let cpu = figure(GANTRY, "CPU ms each").map_or_else(String::new, number);
            let mut cells = vec![what, section.compared().to_owned(), number(ours), cpu];
            for server in OTHERS {
                let value = figure(server, section.compared()).map(number);
                let ratio = section.ratio(case, server).map(|ratio| format!(" ({}×)", number(ratio)));
                cells.push(value.unwrap_or_default() + &ratio.unwrap_or_default());
            }
            lines.push(cells);
        }
    }
    if lines.is_empty() {
        return;
    }
    out.push_str("\n## Summary\n\n");
    let titles = ["what", "unit", GANTRY, "CPU ms each"].into_iter().chain(OTHERS);
    push_line(out, &titles.map(str::to_owned).collect::<Vec<_>>());
    out.push_str("|---|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for cells in &lines {
        push_line(out, cells);
    }
}
