//! The ports that we listen at: free, ours, or another's.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use model::{part10, sop, syntax};
use net::scu::examine::{self, Line};
use net::scu::{Settings, Target};
use net::{End, Error};
use tokio::net::TcpSocket;

use super::advice::advice;
use super::report::{Report, Step};
use super::steps::causes;
use crate::config::Config;
use crate::control::Presence;

/// What is to be listened for.
#[derive(Clone, Copy)]
enum Door {
    Dicom,
    Tls,
    Web,
}

/// Looks at each.
pub(super) async fn look(config: &Config, presence: Presence, report: &mut Report) {
    let tls = config.net.tls.as_ref().map(|tls| (Door::Tls, tls.settings().listen));
    let doors =
        [(Door::Dicom, config.net.listen)].into_iter().chain(tls).chain([(Door::Web, config.web.listen)]);
    for (door, listen) in doors {
        let name = format!("port {}", listen.port());
        let begin = Instant::now();
        let step = match presence {
            Presence::Runs => held(&name, door, listen, config).await,
            Presence::None => free(&name, door, listen),
            Presence::Unknown => match bind(listen) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => held(&name, door, listen, config).await,
                Ok(()) | Err(_) => free(&name, door, listen),
            },
        };
        report.step(step.taking(begin.elapsed()));
    }
}

/// A running server holds it: it is to answer.
async fn held(name: &str, door: Door, listen: SocketAddr, config: &Config) -> Step {
    let at = reachable(listen);
    let answered = match door {
        Door::Dicom => dicom(at, config).await,
        Door::Tls => match examine::speaks_tls(at, PATIENCE).await {
            Some(_) => Ok("answers by TLS".to_owned()),
            None => Err("does not answer by TLS".to_owned()),
        },
        Door::Web => match examine::speaks_http(at, "/readyz", PATIENCE).await {
            Some(status) if status.contains(" 200") => Ok("is ready".to_owned()),
            Some(status) => Err(format!("is not ready: {status}")),
            None => Err("does not answer".to_owned()),
        },
    };
    match answered {
        Ok(words) => Step::ok(name, format!("{}: the running server {words} at {listen}", door.word())),
        Err(words) => {
            let why = "It may run by another configuration, or be starting or stopping just now.";
            let next =
                "look at the server's log, and whether it was started anew since the configuration changed";
            Step::failed(name, format!("{}: what is at {listen} {words}", door.word()), advice(why, next))
        }
    }
}

async fn dicom(at: SocketAddr, config: &Config) -> Result<String, String> {
    let own = config.net.ae_title.clone();
    let target = Target::plain(own.clone(), at.to_string());
    let settings = Settings { message_timeout: PATIENCE, ..Settings::new(&config.net, own) };
    let line = Line::dial(at, PATIENCE).await.map_err(|error| format!("does not answer: {error}"))?;
    let verification = [(sop::VERIFICATION.to_owned(), vec![syntax::IMPLICIT_VR_LITTLE_ENDIAN.to_owned()])];
    match line.associate(&target, &settings, &verification, &[]).await {
        Ok(mut opened) => {
            let is_ours =
                opened.answer().implementation_class_uid.as_deref() == Some(part10::IMPLEMENTATION_CLASS_UID);
            let echoed = opened.echo(&settings).await;
            if let Err(end) = echoed {
                let words = format!("does not answer C-ECHO: {}", causes(&end));
                opened.close(&end).await;
                return Err(words);
            }
            if let Err(error) = opened.release().await {
                tracing::debug!(error = error.explain(), "not released");
            }
            if is_ours { Ok("answers C-ECHO".to_owned()) } else { Err("is not gantry".to_owned()) }
        }
        // It need not know its own AE title as that of a caller.
        Err(Error::Association(End::Rejected(_))) => Ok("answers".to_owned()),
        Err(Error::Association(end)) => Err(format!("gives no association: {}", causes(&end))),
        Err(error) => Err(format!("gives no association: {}", causes(&error))),
    }
}

/// No server runs: the port is to be free.
fn free(name: &str, door: Door, listen: SocketAddr) -> Step {
    let word = door.word();
    let Err(error) = bind(listen) else { return Step::ok(name, format!("{word}: {listen} is free")) };
    let port = listen.port();
    match error.kind() {
        ErrorKind::AddrInUse => {
            let why = "No server would start.";
            let next = format!(
                "see who it is (ss -ltnp 'sport = :{port}'), and end it or choose another port in `listen`"
            );
            Step::failed(name, format!("{word}: another process listens at {listen}"), advice(why, next))
        }
        ErrorKind::AddrNotAvailable => {
            let next = "write an address of this machine into `listen`, or 0.0.0.0 for all";
            Step::failed(name, format!("{word}: {listen} is no address of this machine"), advice("", next))
        }
        ErrorKind::PermissionDenied => {
            let next = "see that the server's unit has AmbientCapabilities=CAP_NET_BIND_SERVICE, which this user lacks";
            Step::warning(name, format!("{word}: this user may not listen at port {port}"), next)
        }
        _ => Step::failed(name, format!("{word}: {listen}: {error}"), advice("", "look at `listen`")),
    }
}

/// Takes the address without listening: a server that starts at this moment is not kept from it.
fn bind(listen: SocketAddr) -> io::Result<()> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)
}

/// Where one listens at all addresses, the machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, listen.port())
}

impl Door {
    fn word(self) -> &'static str {
        match self {
            Self::Dicom => "DICOM",
            Self::Tls => "DICOM by TLS",
            Self::Web => "HTTP",
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
