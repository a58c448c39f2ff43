//! Which peers do what with the server: each service in both directions is really used, what came is compared with what was sent, and
//! the table of it is held equal to `deploy/interoperability.md`.
//!
//! `UPDATE_REFERENCE=1 cargo test --test it matrix::` writes the file anew.

mod chosen;
mod compare;
mod curl;
mod dcmtk;
mod dcmweb;
mod javascript;
mod orthanc;
mod public;
mod python;
mod rust;
mod stand;
mod table;

use std::path::Path;
use std::thread;

use table::{Row, render};

#[test]
fn the_table_of_peers_says_what_they_do() {
    let rows: [fn() -> Row; 6] =
        [dcmtk::tools, dcmtk::archive, python::row, javascript::row, rust::row, orthanc::row];
    let (rows, web, public) = thread::scope(|scope| {
        let rows = rows.map(|row| scope.spawn(row));
        let web = scope.spawn(dcmweb::row);
        let public = scope.spawn(public::section);
        (rows.map(|row| row.join().unwrap()), web.join().unwrap(), public.join().unwrap())
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/interoperability.md");
    // Where the public files are not, the page says of them what it said.
    let known = || {
        let written = std::fs::read_to_string(&path).unwrap();
        let start = written.find(public::TITLE).unwrap();
        written[start..start + written[start..].find("## Notes").unwrap()].to_owned()
    };
    let rendered = render(&rows, &web, &public.unwrap_or_else(known));
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == rendered, "{} is not\n{rendered}", path.display());
}
