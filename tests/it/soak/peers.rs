//! The server and those that it calls.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::called::Called;
use crate::harness::{Launch, Server, free_ports};
use crate::pki::{Ca, Files};
use crate::scu::{Context, Refusal, Scu, associate_rq};
use crate::sinks::StoreScp;

pub(super) struct Peers {
    server: Server,
    pub(super) tls: SocketAddr,
    /// An upstream archive, and one that sends what is to be fetched over associations of its own.
    pub(super) far: Server,
    pub(super) moved: Server,
    /// Takes reports, and is an upstream archive that gives all with damage.
    pub(super) called: Called,
    /// Takes what a C-MOVE brings, and keeps nothing.
    _sink: StoreScp,
    /// Connections to it are made, and that is all; it is an upstream archive as well.
    _mute: TcpListener,
    _files: Files,
    /// Certificate and key of a caller that is trusted, and of one that is not.
    pub(super) trusted: [PathBuf; 2],
    pub(super) stranger: [PathBuf; 2],
    pub(super) ca: PathBuf,
}

impl Peers {
    pub(super) fn start() -> Self {
        // What is said of hostile peers would fill the disk.
        let launch = Launch { environment: &[("RUST_LOG", "error")], ..Launch::default() };
        let far = Server::furnished(&[], ["ae_title = \"FAR\"", "max_associations = 400", ""], launch);
        let called = Called::start();
        let sink = StoreScp::with(&["--ignore"]);
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let [tls, gone, moved, moved_web] = free_ports();
        let (ca, files) = (Ca::new("Hospital CA"), Files::new());
        let own = ca.local("gantry");
        let tables: String = [
            ("storescp", "STORESCP", sink.address),
            ("mute", "MUTE", mute.local_addr().unwrap()),
            ("gone", "GONE", gone),
            ("far", "FAR", far.dimse),
            ("moved", "MOVED", moved),
            ("modality", "MODALITY", called.address),
            ("odd", "ODD", called.address),
        ]
        .iter()
        .map(|(name, title, at)| format!("[peer.{name}]\nae_title = \"{title}\"\naddress = \"{at}\"\n"))
        .collect();
        let tables = tables + IDENTIFIED + UPSTREAMS;
        let dimse = format!("{LIMITS}\n[dimse.tls]\nlisten = \"{tls}\"\n{CERTIFICATES}");
        let pem = ca.pem();
        let furniture = [
            ("tls/gantry.pem", own.certificate.as_str()),
            ("tls/gantry.key", own.key.as_str()),
            ("tls/ca.pem", &pem),
            ("secret", SECRET),
        ];
        let server = Server::furnished(&furniture, ["", &dimse, &tables], launch);
        let gantry = format!("[peer.gantry]\nae_title = \"GANTRY\"\naddress = \"{}\"\n", server.dimse);
        let keys = ["ae_title = \"MOVED\"", "max_associations = 400", &gantry];
        let moved = Server::build_at([moved, moved_web], TempDir::new().unwrap(), 0, keys, launch);
        let trusted = files.keep("trusted", &ca.local("CT1"));
        let stranger = files.keep("stranger", &Ca::new("Another CA").local("CT1"));
        let ca = files.write("ca.pem", &pem);
        Self {
            server,
            tls,
            far,
            moved,
            called,
            _sink: sink,
            _mute: mute,
            _files: files,
            trusted,
            stranger,
            ca,
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// An association with these contexts, which must come about.
    pub(super) fn associate(&self, contexts: &[Context<'_>]) -> Scu {
        let request = associate_rq("GANTRY", "SOAK", contexts);
        Scu::request(self.server.dimse, &request).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    /// An association that may be refused, whose peer does not wait for long.
    pub(super) fn dare(&self, request: &[u8]) -> Result<Scu, Refusal> {
        let mut scu = Scu::request(self.server.dimse, request)?;
        scu.stream().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Ok(scu)
    }

    /// A connection and no more.
    pub(super) fn connect(&self, address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        stream
    }
}

/// Short, so that what hangs is let go within the soak; associations enough for all that are held.
const LIMITS: &str = "artim_timeout = \"3s\"
idle_timeout = \"20s\"
message_timeout = \"20s\"
connect_timeout = \"2s\"
max_associations = 200
report_retry = { first = \"200ms\", max = \"1s\", give_up = \"4s\" }";
const CERTIFICATES: &str =
    "certificate = \"tls/gantry.pem\"\nkey = \"tls/gantry.key\"\nca = \"tls/ca.pem\"\n";
/// What the peer LOCKED has to say when it calls.
pub(super) const SECRET: &str = "open sesame";
/// Hostile peers hold many queries, and those archives are to be there for others all the same; the others are not waited for.
const UPSTREAMS: &str = "[upstream.far]
peer = \"far\"
associations = 64
timeout = \"30s\"
[upstream.moved]
peer = \"moved\"
associations = 64
timeout = \"30s\"
retrieve = \"move\"
[upstream.mute]
peer = \"mute\"
timeout = \"300ms\"
fetch_timeout = \"300ms\"
[upstream.odd]
peer = \"odd\"
timeout = \"1s\"
fetch_timeout = \"1s\"
";
const IDENTIFIED: &str = "[peer.locked]
ae_title = \"LOCKED\"
address = \"127.0.0.1:104\"
identity = { user = \"ct1\", password = { file = \"secret\" } }
";
