//! PS3.8 Table 9-10, every cell: a real association is driven into the state, the event is let happen, and what came of it
//! is held against tables typed from the standard (testdata/pdu).

use std::time::Duration;

use bytes::{Buf, BytesMut};
use ul::pdu::{Abort, AbortReason, AssociateRj, RELEASE_RP, RELEASE_RQ};
use ul::{Association, Error, Event, State, pdata};

use crate::support::{ARTIM, answer, request, seconds, testdata};

const DRIVEN: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::from_secs(5);

#[test]
fn every_cell_does_what_the_standard_says() {
    let actions = actions();
    let (mut filled, mut empty) = (0, 0);
    for cell in cells() {
        match &cell.action {
            None => {
                assert_empty(&cell);
                empty += 1;
            }
            Some(action) => {
                let rows: Vec<&Action> = actions.iter().filter(|row| row.name == *action).collect();
                let seen: Vec<&Action> =
                    happenings(&cell).iter_mut().map(|one| one.check(&cell, &rows)).collect();
                for row in rows {
                    let is_shown = seen.iter().any(|shown| shown.condition == row.condition);
                    assert!(
                        is_shown,
                        "{} in Sta{}: {} never happened",
                        cell.event, cell.state, row.condition
                    );
                }
                filled += 1;
            }
        }
    }
    assert_eq!((filled, empty), (123, 13 * 19 - 123));
}

/// One cell of Table 9-10.
struct Cell {
    event: String,
    state: usize,
    action: Option<String>,
    /// One, or two by condition.
    next: Vec<String>,
}

/// One line of Tables 9-6 to 9-9.
struct Action {
    name: String,
    condition: String,
    sends: String,
    issues: String,
    artim: String,
    transport: String,
}

fn rows(name: &str) -> Vec<Vec<String>> {
    let lines = testdata(name);
    let lines = lines.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in rows("table-9-10.tsv") {
        assert_eq!(row.len(), 15);
        for (at, text) in row[2..].iter().enumerate() {
            let (action, next) = match text.split_once(' ') {
                Some((action, next)) => (Some(action.to_owned()), next),
                None => (None, ""),
            };
            let next = next.trim_start_matches("Sta").split('/').map(|state| format!("Sta{state}")).collect();
            cells.push(Cell { event: row[0].clone(), state: at + 1, action, next });
        }
    }
    cells
}

fn actions() -> Vec<Action> {
    let mut actions = Vec::new();
    for row in rows("tables-9-6-to-9-9.tsv") {
        let [name, condition, sends, issues, artim, transport, _definition] = row.try_into().unwrap();
        actions.push(Action { name, condition, sends, issues, artim, transport });
    }
    assert_eq!(actions.len(), 28 + 3);
    actions
}

/// An association in the state, as association-requestor or as acceptor; `None` where that end is never in it.
fn drive(state: usize, is_requestor: bool) -> Option<Association> {
    let rq = request(0);
    let from = |state: usize| drive(state, is_requestor).unwrap();
    let mut association = match (state, is_requestor) {
        (1, _) => {
            let mut association = from(if is_requestor { 4 } else { 2 });
            association.transport_closed();
            association
        }
        (2, false) => Association::acceptor(ARTIM),
        (3, false) => fed(from(2), &rq.to_pdu().unwrap()),
        (4, true) => Association::requestor(rq, ARTIM).unwrap(),
        (5, true) => done(from(4), |association| association.connected()),
        (6, false) => done(from(3), |association| association.accept(&answer(&rq, 16_384))),
        (6, true) => fed(from(5), &answer(&rq, 16_384).to_pdu().unwrap()),
        (7, _) => done(from(6), Association::release),
        (8, _) => fed(from(6), &RELEASE_RQ),
        (9, true) | (10, false) => fed(from(7), &RELEASE_RQ),
        (11, true) => done(from(9), |association| association.release_response(DRIVEN)),
        (12, false) => fed(from(10), &RELEASE_RP),
        (13, false) => done(from(3), |association| association.reject(AssociateRj::LOCAL_LIMIT, DRIVEN)),
        (13, true) => done(from(8), |association| association.release_response(DRIVEN)),
        _ => return None,
    };
    association.output().clear();
    assert_eq!(association.state().to_string(), format!("Sta{state}"));
    assert!(!association.wants_close());
    Some(association)
}

fn fed(mut association: Association, bytes: &[u8]) -> Association {
    let mut input = BytesMut::from(bytes);
    association.receive(&mut input, DRIVEN).unwrap();
    assert!(!input.has_remaining());
    association
}

fn done(
    mut association: Association,
    request: impl FnOnce(&mut Association) -> Result<(), Error>,
) -> Association {
    request(&mut association).unwrap();
    association
}

/// An event that happened to an association, in one of the ways in which it can.
struct Happening {
    is_requestor: bool,
    /// Which line of the action's definition the way asks for.
    condition: &'static str,
    before: Option<Duration>,
    association: Association,
    events: Vec<Event>,
}

/// Lets the event happen to each end that can be in the state, in each way.
fn happenings(cell: &Cell) -> Vec<Happening> {
    let mut happenings = Vec::new();
    for is_requestor in [false, true] {
        for condition in ways(&cell.event) {
            let Some((before, mut association)) = begin(cell, is_requestor) else {
                continue;
            };
            let events = strike(&mut association, &cell.event, condition).unwrap();
            happenings.push(Happening { is_requestor, condition, before, association, events });
        }
    }
    assert!(!happenings.is_empty(), "{} in Sta{}", cell.event, cell.state);
    happenings
}

/// The association before the event. Evt1 and Evt5 make it.
fn begin(cell: &Cell, is_requestor: bool) -> Option<(Option<Duration>, Association)> {
    match (cell.event.as_str(), is_requestor) {
        ("Evt1", true) => Some((None, Association::requestor(request(0), ARTIM).unwrap())),
        ("Evt5", false) => Some((None, Association::acceptor(ARTIM))),
        ("Evt1" | "Evt5", _) => None,
        _ => drive(cell.state, is_requestor).map(|association| (association.timeout(), association)),
    }
}

fn ways(event: &str) -> Vec<&'static str> {
    match event {
        "Evt6" => vec!["acceptable", "not acceptable"],
        "Evt16" => vec!["service-user", "service-provider"],
        "Evt19" => vec!["unrecognized type", "wrong length", "over the limit", "malformed"],
        _ => vec![""],
    }
}

/// Lets the event happen; what a peer does comes as bytes.
fn strike(association: &mut Association, event: &str, way: &str) -> Result<Vec<Event>, Error> {
    let rq = request(0);
    let ac = answer(&rq, 16_384);
    match event {
        "Evt1" | "Evt5" => Ok(()),
        "Evt2" => association.connected(),
        "Evt3" => return Ok(peer(association, &ac.to_pdu().unwrap())),
        "Evt4" => return Ok(peer(association, &AssociateRj::CALLED_AE_TITLE.to_pdu())),
        "Evt6" => {
            let mut rq = rq;
            rq.protocol_version = if way == "acceptable" { 1 } else { 2 };
            return Ok(peer(association, &rq.to_pdu().unwrap()));
        }
        "Evt7" => association.accept(&ac),
        "Evt8" => association.reject(AssociateRj::CALLED_AE_TITLE, NOW),
        "Evt9" => association.send(1, true, b"data"),
        "Evt10" => return Ok(peer(association, &pdata::header(1, true, true, 0))),
        "Evt11" => association.release(),
        "Evt12" => return Ok(peer(association, &RELEASE_RQ)),
        "Evt13" => return Ok(peer(association, &RELEASE_RP)),
        "Evt14" => association.release_response(NOW),
        "Evt15" => {
            association.abort(Abort::user(), NOW);
            Ok(())
        }
        "Evt16" => {
            let by_provider = Abort::provider(AbortReason::UnexpectedPdu);
            let abort = if way == "service-user" { Abort::user() } else { by_provider };
            return Ok(peer(association, &abort.to_pdu()));
        }
        "Evt17" => return Ok(association.transport_closed().into_iter().collect()),
        "Evt18" => return Ok(association.handle_timeout(seconds(3600)).into_iter().collect()),
        "Evt19" => return Ok(peer(association, &invalid_pdu(association.state(), way))),
        other => panic!("{other}"),
    }?;
    Ok(Vec::new())
}

fn peer(association: &mut Association, bytes: &[u8]) -> Vec<Event> {
    let mut input = BytesMut::from(bytes);
    let events = std::iter::from_fn(|| association.receive(&mut input, NOW)).collect();
    assert!(!input.has_remaining());
    events
}

fn invalid_pdu(state: State, way: &str) -> Vec<u8> {
    match (way, state) {
        ("unrecognized type", _) => vec![8, 0, 0, 0, 0, 1, 99],
        ("wrong length", _) => vec![7, 0, 0, 0, 0, 3, 0, 0, 0],
        ("over the limit", _) => vec![1, 0, 0x7F, 0, 0, 0],
        // Where the PDU would be read, something in it that cannot be; elsewhere nothing looks into it.
        ("malformed", State::Sta2) => vec![1, 0, 0, 0, 0, 2, 0, 1],
        ("malformed", State::Sta5) => vec![2, 0, 0, 0, 0, 2, 0, 1],
        ("malformed", State::Sta6 | State::Sta7) => vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3],
        ("malformed", _) => vec![6, 0, 0, 0, 0, 0],
        (other, _) => panic!("{other}"),
    }
}

impl Happening {
    /// Holds what happened against the action's definition, and gives the line that applied.
    fn check<'a>(&mut self, cell: &Cell, rows: &[&'a Action]) -> &'a Action {
        let condition = match rows {
            [only] => only.condition.as_str(),
            _ if rows[0].name == "AR-8" && self.is_requestor => "requestor",
            _ if rows[0].name == "AR-8" => "acceptor",
            _ => self.condition,
        };
        let at = rows.iter().position(|row| row.condition == condition).unwrap();
        let row = rows[at];
        let name = format!("{} in Sta{}, {}, {condition}", cell.event, cell.state, row.name);
        let next = if cell.next.len() == 2 { &cell.next[at] } else { &cell.next[0] };
        assert_eq!(self.association.state().to_string(), *next, "{name}");
        self.check_sent(row, &cell.event, &name);
        self.check_issued(row, &cell.event, &name);
        let started_at = if cell.event == "Evt5" { Duration::ZERO } else { NOW };
        let artim = match row.artim.as_str() {
            "start" => Some(started_at + ARTIM),
            "stop" => None,
            _ => self.before,
        };
        assert_eq!(self.association.timeout(), artim, "{name}");
        assert_eq!(self.association.wants_close(), row.transport == "close", "{name}");
        row
    }

    fn check_sent(&mut self, row: &Action, event: &str, name: &str) {
        let sent = self.association.output().split();
        let expected_reason = match (event, self.condition) {
            ("Evt19", "unrecognized type") => AbortReason::UnrecognizedPdu,
            ("Evt19", _) => AbortReason::InvalidPduParameterValue,
            _ => AbortReason::UnexpectedPdu,
        };
        let expected = match row.sends.as_str() {
            "." => Vec::new(),
            "A-ASSOCIATE-RQ" => request(0).to_pdu().unwrap(),
            "A-ASSOCIATE-AC" => answer(&request(0), 16_384).to_pdu().unwrap(),
            "A-ASSOCIATE-RJ" if event == "Evt6" => AssociateRj::PROTOCOL_VERSION.to_pdu().into(),
            "A-ASSOCIATE-RJ" => AssociateRj::CALLED_AE_TITLE.to_pdu().into(),
            "P-DATA-TF" => [&pdata::header(1, true, true, 4)[..], b"data"].concat(),
            "A-RELEASE-RQ" => RELEASE_RQ.into(),
            "A-RELEASE-RP" => RELEASE_RP.into(),
            "A-ABORT (service-user)" => Abort::user().to_pdu().into(),
            "A-ABORT (service-provider)" | "A-ABORT" => Abort::provider(expected_reason).to_pdu().into(),
            other => panic!("{other}"),
        };
        assert_eq!(sent.as_ref(), expected, "{name}");
    }

    fn check_issued(&self, row: &Action, event: &str, name: &str) {
        let issued: Vec<&str> = self.events.iter().map(primitive).collect();
        // Told for the log, where the standard has no user to tell: AA-1 for what a peer sent, a refusal of its own, ARTIM.
        let note = match (row.name.as_str(), event) {
            ("AA-1", "Evt15") => None,
            ("AA-1", _) => Some("A-P-ABORT indication"),
            ("AE-6", _) if row.condition == "not acceptable" => Some("refused"),
            ("AA-2", "Evt18") => Some("timed out"),
            _ => None,
        };
        let expected = if row.issues == "." { note } else { Some(row.issues.as_str()) };
        assert_eq!(issued, Vec::from_iter(expected), "{name}");
    }
}

fn primitive(event: &Event) -> &'static str {
    match event {
        Event::AssociateRequested(_) => "A-ASSOCIATE indication",
        Event::Refused(_) => "refused",
        Event::Associated(_) => "A-ASSOCIATE confirmation (accept)",
        Event::Rejected(_) => "A-ASSOCIATE confirmation (reject)",
        Event::Data(_) => "P-DATA indication",
        Event::ReleaseRequested => "A-RELEASE indication",
        Event::Released => "A-RELEASE confirmation",
        Event::Aborted(abort) if abort.source == 2 => "A-P-ABORT indication",
        Event::Aborted(_) => "A-ABORT indication",
        Event::ProtocolError(_) | Event::Closed => "A-P-ABORT indication",
        Event::TimedOut => "timed out",
    }
}

/// An empty cell: a local request is refused, anything else does nothing. Evt1 and Evt5 make an association and so cannot
/// happen to one.
fn assert_empty(cell: &Cell) {
    if matches!(cell.event.as_str(), "Evt1" | "Evt5") {
        assert_ne!(cell.state, 1);
        return;
    }
    let mut count = 0;
    for is_requestor in [false, true] {
        for way in ways(&cell.event) {
            let Some(mut association) = drive(cell.state, is_requestor) else {
                continue;
            };
            let name = format!("{} in Sta{}", cell.event, cell.state);
            let (state, artim) = (association.state(), association.timeout());
            let is_request =
                matches!(cell.event.as_str(), "Evt2" | "Evt7" | "Evt8" | "Evt9" | "Evt11" | "Evt14");
            match strike(&mut association, &cell.event, way) {
                Ok(events) => assert!(events.is_empty() && !is_request, "{name}: {events:?}"),
                Err(Error::OutOfPlace { state: refused_in, .. }) => assert_eq!(refused_in, state, "{name}"),
                Err(error) => panic!("{name}: {error}"),
            }
            assert_eq!((association.state(), association.timeout()), (state, artim), "{name}");
            assert!(association.output().is_empty() && !association.wants_close(), "{name}");
            count += 1;
        }
    }
    assert!(count > 0);
}
