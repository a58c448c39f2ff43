//! The table as text.

use std::fmt::Write;

/// What a peer did.
#[derive(Clone)]
pub(super) enum Cell {
    /// It has no such service.
    Absent,
    /// It has none, for a reason worth telling.
    Without(&'static str),
    /// It did, this much.
    Did(String),
    /// It did, and this is to be told of it.
    Noted(String, &'static str),
}

/// A peer, and what it did by [`SERVICES`].
pub(super) struct Row {
    pub(super) peer: String,
    /// Its programs that call, and its programs that are called; empty where it is one.
    pub(super) programs: [&'static str; 2],
    /// As requestor of Gantry.
    pub(super) calls: [Cell; 7],
    /// As acceptor of Gantry.
    pub(super) called: [Cell; 7],
}

/// A client of DICOMweb, and what it did by [`RESOURCES`].
pub(super) struct WebRow {
    pub(super) client: String,
    pub(super) cells: [Cell; 6],
}

pub(super) const SERVICES: [&str; 7] =
    ["C-ECHO", "C-STORE", "C-FIND", "C-MOVE", "C-GET", "commitment", "TLS"];
pub(super) const RESOURCES: [&str; 6] =
    ["STOW-RS", "QIDO-RS", "WADO-RS metadata", "WADO-RS instances", "WADO-RS frames", "WADO-RS bulk data"];

impl Cell {
    /// The same with a note.
    pub(super) fn noted(self, note: &'static str) -> Self {
        match self {
            Self::Did(what) | Self::Noted(what, _) => Self::Noted(what, note),
            Self::Absent | Self::Without(_) => Self::Without(note),
        }
    }
}

impl Row {
    fn name(&self, direction: usize) -> String {
        match self.programs[direction] {
            "" => self.peer.clone(),
            programs => format!("{}: {programs}", self.peer),
        }
    }
}

/// The page of all of them.
pub(super) fn render(rows: &[Row], web: &WebRow, public: &str) -> String {
    let mut notes = Vec::new();
    let mut page = HEAD.to_owned();
    page += "## Peers that call Gantry\n\n";
    table(
        &mut page,
        "requestor",
        &SERVICES,
        rows.iter().map(|row| (row.name(0), &row.calls[..])),
        &mut notes,
    );
    page += "\n## Peers that Gantry calls\n\n";
    table(
        &mut page,
        "acceptor",
        &SERVICES,
        rows.iter().map(|row| (row.name(1), &row.called[..])),
        &mut notes,
    );
    page += "\n## Clients of DICOMweb\n\n";
    table(&mut page, "client", &RESOURCES, [(web.client.clone(), &web.cells[..])].into_iter(), &mut notes);
    page += "\n";
    page += public;
    page += "## Notes\n\n";
    for (number, note) in (1..).zip(notes) {
        writeln!(page, "{number}. {note}").expect("a string takes it");
    }
    page
}

fn table<'a>(
    page: &mut String,
    first: &str,
    columns: &[&str],
    rows: impl Iterator<Item = (String, &'a [Cell])>,
    notes: &mut Vec<&'static str>,
) {
    *page += &format!("| {first} | {} |\n|---|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for (name, cells) in rows.filter(|(_, cells)| !cells.iter().all(|cell| matches!(cell, Cell::Absent))) {
        let cells: Vec<String> = cells.iter().map(|cell| text(cell, notes)).collect();
        *page += &format!("| {name} | {} |\n", cells.join(" | "));
    }
}

fn text(cell: &Cell, notes: &mut Vec<&'static str>) -> String {
    let (text, note) = match cell {
        Cell::Absent => return "—".to_owned(),
        Cell::Without(note) => ("—", note),
        Cell::Did(what) => return what.clone(),
        Cell::Noted(what, note) => (what.as_str(), note),
    };
    let known = notes.iter().position(|known| known == note);
    let number = known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    format!("{text} <sup>{}</sup>", number + 1)
}

const HEAD: &str = "# Interoperability

Written by the test `matrix::`, which runs each of these peers against the real server and fails when this page says something else.

A cell says what came across, compared with what was sent: `exact` is bit by bit the data set, `alike` is each element with its value where
the peer writes data sets anew, `rows` are answers with the right values, `committed` are instances reported as kept. In the column TLS an
instance is stored with certificates demanded at both ends. — is a service that the peer does not have. What is sent are CT images in
Explicit VR Little Endian, but for the public files further down.

";
