use super::{ScanError, Scanner, scan};
use crate::header::{Elements, Header, Value};
use crate::limits;
use crate::query::{Mechanisms, Query, Root, Selection};
use crate::syntax::{Encoding, Form};

/// Scans anything: it must not panic, any chunking must give the same header, and the header must hold together. It is then read as
/// the identifier of a C-FIND, C-MOVE or C-GET.
///
/// The first byte chooses the form (0 implicit, 1 explicit, 2 big endian; 4 more: deflated), the second the size of the chunks; the
/// rest is the data set.
pub fn fuzz_scan(data: &[u8]) {
    let Some(([form, chunk], data_set)) = data.split_first_chunk() else { return };
    let encoding = match form & 3 {
        0 => Encoding::ImplicitLittle,
        1 => Encoding::ExplicitLittle,
        _ => Encoding::ExplicitBig,
    };
    let deflated = form & 4 != 0;
    let form = Form { encoding, deflated };
    let whole = scan(form, data_set);
    let chunked = scan_in_chunks(form, data_set, usize::from(*chunk) + 1);
    if deflated {
        // How far a damaged stream inflates before the damage shows depends on the chunks, and so does what is found first.
        assert_eq!(whole.as_ref().ok(), chunked.as_ref().ok(), "chunks change nothing");
    } else {
        assert_eq!(whole, chunked, "chunks change nothing");
    }
    if let Ok(header) = whole {
        check(&header);
        for root in [Root::Patient, Root::Study] {
            drop(Query::from_identifier(&header, root, Mechanisms::default()));
            drop(Selection::from_identifier(&header, root));
        }
    }
}

/// Feeds chunks, and steps over what may be stepped over, as a reader of a file does.
fn scan_in_chunks(form: Form, mut data_set: &[u8], chunk: usize) -> Result<Header, ScanError> {
    let mut scanner = Scanner::new(form);
    while !data_set.is_empty() {
        let skippable = usize::try_from(scanner.skippable()).unwrap_or(usize::MAX).min(data_set.len());
        let skipped = if skippable >= chunk { skippable } else { 0 };
        scanner.skip(skipped as u64);
        if skipped > 0 {
            data_set = data_set.get(skipped..).unwrap_or_default();
            continue;
        }
        let (fed, rest) = data_set.split_at_checked(chunk).unwrap_or((data_set, &[]));
        scanner.feed(fed)?;
        data_set = rest;
    }
    scanner.finish()
}

fn check(header: &Header) {
    let size = size_of_val(header.records.as_slice()) + header.bytes.len();
    assert!(size <= limits::HEADER_BYTES, "the header is bounded");
    let seen = check_elements(header.elements(), header.len(), 0);
    assert_eq!(seen, header.records.len(), "every record is reached once");
}

/// Records seen.
fn check_elements(elements: Elements<'_>, length: u64, depth: usize) -> usize {
    assert!(depth <= limits::DEPTH, "nesting is bounded");
    let mut seen = 0;
    for element in elements {
        seen += 1;
        let stated = u64::from(element.length.unwrap_or(0));
        assert!(element.offset + stated <= length, "values lie in the data set");
        match element.value() {
            Value::Bytes(bytes) => assert_eq!(bytes.len() as u64, stated, "values are whole"),
            Value::Fragments { length: fragments } => assert!(element.offset + fragments <= length),
            Value::Items(items) => {
                for item in items {
                    seen += 1 + check_elements(item.elements(), length, depth + 1);
                }
            }
            Value::Bulk | Value::Omitted => {}
        }
    }
    seen
}
