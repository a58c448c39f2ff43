use model::{scan, syntax};
use time::macros::date;

use crate::{Arrival, Facts, Program, Symbols};

/// Reads a text as an expression and, where that is one, evaluates and explains it for the rest of the data as a data set; the two
/// are parted by the first NUL. Must never panic; for fuzzing and for tests.
pub fn fuzz_expression(data: &[u8]) {
    let (text, data_set) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at + 1..).unwrap_or_default()),
        None => (data, &[][..]),
    };
    let text = String::from_utf8_lossy(text);
    let mut symbols = Symbols::default();
    let Ok((program, _)) = Program::compile(&text, &mut symbols) else { return };
    let form = syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN);
    let Ok(header) = scan::scan(form, data_set) else { return };
    let arrival = Arrival::default();
    let facts = Facts::new(&symbols, &header, &arrival, date!(2026 - 03 - 31));
    if program.matches(&facts).is_some() {
        assert!(!program.trace(&facts).is_empty());
    }
}
