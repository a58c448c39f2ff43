//! A server with destinations and rules, and how tests look at its queue.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::harness::{Launch, Server, eventually, gantry};
use crate::scu::{Scu, associate_rq};
use crate::seaweed;
use crate::synthetic::{CT, EXPLICIT, Object};

/// What the command line gave back.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// Standard output, and then what went to standard error.
    pub(crate) printed: String,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    pub(crate) destination: String,
    pub(crate) instance: String,
    pub(crate) version: u32,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) status: String,
    pub(crate) sent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Ready,
    Retrying,
    Leased,
    Dead,
    Delivered,
    Withheld,
    Verifying,
}

impl Server {
    /// Starts with a file of rules and these tables.
    pub(crate) fn routed(rules: &str, tables: &str) -> Self {
        Self::routed_so(rules, ["", "", tables], Launch::default())
    }

    /// Starts with a file of rules, more keys at the top and in `[dimse]`, and tables; the S3 user's keys are in the environment.
    pub(crate) fn routed_so(rules: &str, [top, dimse, tables]: [&str; 3], launch: Launch) -> Self {
        let tables = format!("{tables}\n[rules]\nfiles = [\"rules/*.toml\"]\n");
        let launch = Launch { environment: S3_KEYS, ..launch };
        Self::furnished(&[("rules/rules.toml", rules)], [top, dimse, &tables], launch)
    }

    /// Runs a command of the binary with this server's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ran {
        let mut command = gantry();
        command.args(arguments).args(["--config", "gantry.toml"]).current_dir(self.dir());
        ran(command.envs(S3_KEYS.iter().copied()))
    }

    /// `gantry queue --json`: each destination's row by its name.
    pub(crate) fn queue(&self) -> BTreeMap<String, Value> {
        let ran = self.command(&["queue", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.printed);
        let rows: Vec<Value> =
            serde_json::from_str(&ran.printed).unwrap_or_else(|e| panic!("{e}: {}", ran.printed));
        rows.into_iter().map(|row| (row["destination"].as_str().unwrap().to_owned(), row)).collect()
    }

    /// The index, to read in.
    pub(crate) fn index(&self) -> Connection {
        let index = self.data_dir().join("index.sqlite");
        Connection::open_with_flags(index, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// The ledger as it stands in the index.
    pub(crate) fn ledger(&self) -> Vec<Delivery> {
        let index = self.index();
        let mut rows = index.prepare(LEDGER).unwrap();
        let rows = rows.query_map([], |row| {
            Ok(Delivery {
                destination: row.get(0)?,
                instance: row.get(1)?,
                version: row.get(2)?,
                state: STATES[usize::from(row.get::<_, u16>(3)?)],
                attempts: row.get(4)?,
                status: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
                sent: row.get::<_, Option<Vec<u8>>>(6)?.unwrap_or_default(),
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The rows of the ledger for one destination.
    pub(crate) fn ledger_of(&self, destination: &str) -> Vec<Delivery> {
        self.ledger().into_iter().filter(|row| row.destination == destination).collect()
    }

    /// Waits until a destination has so many deliveries in a state.
    pub(crate) fn wait_for(&self, destination: &str, state: State, count: usize) {
        let found = || self.ledger_of(destination).iter().filter(|row| row.state == state).count();
        eventually(&format!("{count} are {state:?} in {destination}"), || found() == count);
    }

    /// Waits until all is delivered, so many to this destination.
    pub(crate) fn wait_until_delivered(&self, destination: &str, count: usize) {
        self.wait_for(destination, State::Delivered, count);
    }

    /// Waits until a failed attempt stands in the ledger, and returns the reason.
    pub(crate) fn reason(&self, destination: &str) -> String {
        let found = || self.queue()[destination]["last_error"]["reason"].as_str().map(str::to_owned);
        eventually(&format!("{destination} has failed"), || found().is_some());
        found().unwrap()
    }

    /// C-STORE of these over one association; each must be stored.
    pub(crate) fn store<'a>(&self, objects: impl IntoIterator<Item = &'a Object>) {
        self.store_as("TESTSCU", objects);
    }

    /// The same from another calling AE title.
    pub(crate) fn store_as<'a>(&self, calling: &str, objects: impl IntoIterator<Item = &'a Object>) {
        let request = associate_rq("GANTRY", calling, &[(CT, &[EXPLICIT])]);
        let mut scu = Scu::request(self.dimse, &request).unwrap();
        for object in objects {
            let response = scu.store(1, CT, &object.instance, &object.data_set()).unwrap();
            assert_eq!(response.status(), 0, "{}", self.log());
        }
        scu.release().unwrap();
    }
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code().unwrap(), printed: String::from_utf8(printed).unwrap() }
}

/// A peer and a destination of the same name that leads to it; more keys of the destination may follow.
pub(crate) fn dicom(name: &str, ae_title: &str, address: SocketAddr) -> String {
    format!(
        "[peer.{name}]\nae_title = \"{ae_title}\"\naddress = \"{address}\"\n[destination.{name}]\nkind = \"dicom\"\npeer = \"{name}\"\n{SOON}\n"
    )
}

/// A folder beside the configuration; more keys may follow.
pub(crate) fn folder(name: &str) -> String {
    format!("[destination.{name}]\nkind = \"folder\"\npath = \"{name}\"\n{SOON}\n")
}

/// The bucket of a SeaweedFS, at its own address or that of a proxy before it; more keys may follow.
pub(crate) fn s3(name: &str, address: SocketAddr) -> String {
    let bucket = seaweed::BUCKET;
    format!(
        "[destination.{name}]\nkind = \"s3\"\nendpoint = \"http://{address}\"\nbucket = \"{bucket}\"\naccess_key_id = {{ env = \"AWS_ACCESS_KEY_ID\" }}\nsecret_access_key = {{ env = \"AWS_SECRET_ACCESS_KEY\" }}\n{SOON}\n"
    )
}

/// A rule that sends everything there.
pub(crate) fn everything_to(destinations: &[&str]) -> String {
    format!("[[rule]]\nname = \"everything\"\nwhen = \"true\"\nsend = {destinations:?}\n")
}

/// Tests cannot wait for the retries of the real world.
const SOON: &str = "retry = { first = \"100ms\", factor = 1.5, max = \"300ms\", give_up = \"1h\" }";

pub(crate) const S3_KEYS: &[(&str, &str)] =
    &[("AWS_ACCESS_KEY_ID", seaweed::USER.0), ("AWS_SECRET_ACCESS_KEY", seaweed::USER.1)];

const STATES: [State; 7] = [
    State::Ready,
    State::Retrying,
    State::Leased,
    State::Dead,
    State::Delivered,
    State::Withheld,
    State::Verifying,
];

const LEDGER: &str = "SELECT destination.name, sop_instance_uid, version, state, attempts, status, sent \
    FROM delivery JOIN destination USING (destination_pk) JOIN instance USING (instance_pk) \
    ORDER BY destination.name, sop_instance_uid, version";
