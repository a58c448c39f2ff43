//! What the conformance statement says, asked of the server by an independent requestor.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use crate::harness::{Server, gantry, python, run};
use crate::sinks::script;

/// The UIDs in the second column of the tables that begin with a header.
fn uids(statement: &str, header: &str) -> BTreeSet<String> {
    let tables = statement.split("\n\n").filter(|part| part.starts_with(header));
    let rows = tables.flat_map(|table| table.lines().skip(2));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    cells.map(|cell| cell.trim_end_matches(" |").to_owned()).filter(|cell| cell.starts_with("1.2.")).collect()
}

#[test]
fn what_is_stated_is_what_is_accepted_and_nothing_else() {
    let (ok, statement) = run(gantry().arg("conformance"));
    assert!(ok, "{statement}");
    let stated: BTreeSet<String> = uids(&statement, "| SOP Class | UID | SCU")
        .union(&uids(&statement, "| SOP Class | UID |\n"))
        .cloned()
        .collect();
    assert!(stated.len() > 150, "{}", stated.len());

    let server = Server::start();
    let mut asking = python()
        .arg(script("conformance.py"))
        .arg(server.dimse.port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list: Vec<&str> = stated.iter().map(String::as_str).collect();
    asking.stdin.take().unwrap().write_all(list.join("\n").as_bytes()).unwrap();
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let of = |kind: &str| -> BTreeSet<String> {
        printed.lines().filter_map(|line| line.strip_prefix(kind)).map(str::to_owned).collect()
    };
    let (known, accepted) = (of("known "), of("class "));
    // Classes newer than the registry of the statement lie below the storage root, as the statement says.
    let newer = |uid: &&String| uid.starts_with("1.2.840.10008.5.1.4.1.1.");
    assert_eq!(stated.difference(&accepted).collect::<Vec<_>>(), Vec::<&String>::new(), "stated and refused");
    let unstated: Vec<&String> = accepted.difference(&stated).filter(|uid| !newer(uid)).collect();
    assert_eq!(unstated, Vec::<&String>::new(), "accepted and not stated");
    assert!(known.difference(&accepted).count() > 50, "what is no service of ours is refused");
    let (proposed, taken) = (of("proposed "), of("syntax "));
    assert!(statement.contains("| Storage SOP Classes | all, known or not |"));
    assert!(proposed.len() > 30 && proposed == taken, "{proposed:?} {taken:?}");
}
