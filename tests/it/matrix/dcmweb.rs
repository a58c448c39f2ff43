//! dicomweb-client.

use super::compare::{Came, compare};
use super::stand::{CALLS, done, pinned, study};
use super::table::{Cell, WebRow};
use crate::harness::{Server, python};
use crate::sinks::script;
use crate::tls_callers::{file, kept};

pub(super) fn row() -> WebRow {
    let server = Server::start();
    let folder = tempfile::TempDir::new().unwrap();
    let object = study(CALLS).remove(0);
    let base = format!("http://{}/dicom-web", server.web);
    let printed = done(python().arg(script("dicomweb_path.py")).arg(base).arg(file(folder.path(), &object)));
    let counts: [u32; 5] = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let stored = compare(&[Came::explicit(kept(&server, &object))], &[object]);
    let [rows, metadata, instances, frames, bulk] = counts;
    let [rows, metadata, instances, frames, bulk] = [
        format!("{rows} rows"),
        format!("{metadata} alike"),
        format!("{instances} alike"),
        format!("{frames} exact"),
        format!("{bulk} exact"),
    ]
    .map(Cell::Did);
    let version = pinned("tests/interop/requirements.txt", "dicomweb-client==");
    WebRow {
        client: format!("dicomweb-client {version}"),
        cells: [stored, rows, metadata, instances, frames, bulk],
    }
}
