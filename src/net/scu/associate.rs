use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use ul::Association;
use ul::pdu::{
    AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation, OperationsWindow, ProposedContext,
    RoleSelection, Titles, UserIdentity,
};

use super::{Settings, Target, memory};
use crate::drive::Drive;
use crate::end::{End, Wait};
use crate::error::Error;
use crate::hops;
use crate::identity::OurIdentity;
use crate::socket;
use crate::stream::Stream;
use crate::tls::{Problem, Secured, TlsError};

/// An association that we requested.
pub(super) struct Requested {
    pub(super) drive: Drive,
    /// Operations that we may have under way: at least one.
    pub(super) window: u16,
    /// The peer's answers to the proposed contexts.
    pub(super) results: Vec<ContextResult>,
    /// The roles that the peer grants us.
    pub(super) roles: Vec<RoleSelection>,
    /// What it says to our extended negotiation.
    pub(super) extended: Vec<ExtendedNegotiation>,
}

/// What is asked for beside contexts.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// PS3.7 §D.3.3.4.
    pub(super) roles: Vec<RoleSelection>,
    /// PS3.7 §D.3.3.5.
    pub(super) extended: Vec<ExtendedNegotiation>,
    /// Operations that we would have under way at once; 0 and 1: one, which need not be asked for (PS3.7 §D.3.3.3).
    pub(super) operations: u16,
}

/// Connects and associates, proposing one context for each pair of abstract syntax and transfer syntaxes; their ids are 1, 3, 5 …
///
/// # Errors
/// [`Error::Connect`], [`Error::Tls`], [`Error::OurIdentity`], [`Error::IdentityIgnored`], or [`Error::Association`] with how it ended.
pub(super) async fn associate(
    target: &Target,
    settings: &Settings,
    contexts: impl IntoIterator<Item = (String, Vec<String>)>,
) -> Result<Requested, Error> {
    associate_as(target, settings, contexts, Wishes::default()).await
}

/// As [`associate`], with wishes.
pub(super) async fn associate_as(
    target: &Target,
    settings: &Settings,
    contexts: impl IntoIterator<Item = (String, Vec<String>)>,
    wishes: Wishes,
) -> Result<Requested, Error> {
    let contexts: Vec<_> = contexts.into_iter().collect();
    let requested = request_and_wait(target, settings, &contexts, wishes).await;
    requested.inspect_err(|error| {
        if let Some(known) = &target.memory {
            memory::failed(known, error);
        }
    })
}

async fn request_and_wait(
    target: &Target,
    settings: &Settings,
    contexts: &[(String, Vec<String>)],
    wishes: Wishes,
) -> Result<Requested, Error> {
    let (operations, proposed_roles) = (wishes.operations, wishes.roles.clone());
    let association = request(target, settings, contexts.iter().cloned(), wishes).await?;
    let terms = &target.terms;
    let stream = connect(target, settings).await?;
    let mut drive = Drive::new(stream, association, settings.message_timeout);
    match drive.associate().await {
        Ok(ac) if terms.wants_response() && ac.identity_response.is_none() => {
            close(drive, &End::Abandoned).await;
            Err(Error::IdentityIgnored)
        }
        Ok(ac) => {
            if let Some(known) = &target.memory {
                memory::accepted(known, contexts, &proposed_roles, &ac, drive.secured());
            }
            if let Some(most) = terms.max_pdu_bytes {
                drive.limit_sent_pdus(most);
            }
            let window = granted(operations, ac.window);
            Ok(Requested { drive, window, results: ac.contexts, roles: ac.roles, extended: ac.extended })
        }
        Err(end) => {
            close(drive, &end).await;
            Err(Error::Association(end))
        }
    }
}

/// An association that is to be requested so, once there is a connection.
///
/// # Errors
/// [`Error::OurIdentity`], or [`Error::Association`] with more contexts than ids can tell apart, or a value that does not fit its field.
pub(super) async fn request(
    target: &Target,
    settings: &Settings,
    contexts: impl IntoIterator<Item = (String, Vec<String>)>,
    wishes: Wishes,
) -> Result<Association, Error> {
    let Wishes { roles, extended, operations } = wishes;
    let implementation = hops::implementation(target.terms.hops);
    let contexts = ProposedContext::numbered(contexts).map_err(unrequestable)?;
    let titles = Titles::new(&target.ae_title, &settings.calling);
    let terms = &target.terms;
    let max_pdu_bytes = terms.max_pdu_bytes.unwrap_or(settings.max_pdu_bytes);
    let mut rq =
        AssociateRq { roles, extended, ..AssociateRq::new(titles, contexts, max_pdu_bytes, implementation) };
    rq.identity = match &terms.identity {
        Some(identity) => Some(present(identity, settings.connect_timeout).await?),
        None => None,
    };
    rq.window = (operations > 1).then_some(OperationsWindow { invoked: operations, performed: 1 });
    Association::requestor(rq, settings.artim_timeout).map_err(unrequestable)
}

/// Our user identity, whose secret may be in a file, and that on a file system that hangs.
async fn present(identity: &OurIdentity, patience: Duration) -> Result<UserIdentity, Error> {
    let identity = identity.clone();
    let presented = timeout(patience, tokio::task::spawn_blocking(move || identity.present())).await;
    let presented = presented.map_err(|_| Error::OurIdentity("reading it takes too long".to_owned()))?;
    presented.unwrap_or_else(|_| Err("reading it has failed".to_owned())).map_err(Error::OurIdentity)
}

/// Ends an association in good order.
///
/// # Errors
/// [`Error::Lost`] when the peer does not let it.
pub(super) async fn release(mut drive: Drive) -> Result<(), Error> {
    match drive.release().await {
        Ok(()) => {
            close(drive, &End::Released).await;
            Ok(())
        }
        Err(end) => {
            close(drive, &end).await;
            Err(Error::Lost(end))
        }
    }
}

/// Ends an association in good order, for so long; then it is closed all the same. How it ended.
pub(super) async fn release_within(drive: Drive, patience: Duration) -> End {
    match timeout(patience, release(drive)).await {
        Ok(Ok(())) => End::Released,
        Ok(Err(Error::Lost(end))) => end,
        Ok(Err(_)) | Err(_) => End::TimedOut(Wait::Message),
    }
}

/// Ends an association that failed so. ARTIM is not waited for: whoever asked wants to know.
pub(super) async fn close(drive: Drive, end: &End) {
    drive.close(end, tokio::time::sleep(FAREWELL)).await;
}

/// Why a context was not accepted, in words; `None` when it was.
///
/// PS3.8 Table 9-18.
pub(super) fn refusal(result: &ContextResult, proposed: &str) -> Option<&'static str> {
    match &result.outcome {
        ContextOutcome::Accepted { transfer_syntax } if transfer_syntax == proposed => None,
        ContextOutcome::Accepted { .. } => Some("it answered with another transfer syntax"),
        ContextOutcome::UserRejection => Some("rejected by its user"),
        ContextOutcome::NoReason => Some("rejected without reason"),
        ContextOutcome::AbstractSyntaxNotSupported => Some(UNKNOWN_CLASS),
        ContextOutcome::TransferSyntaxesNotSupported => Some("transfer syntax not supported"),
    }
}

/// The peer does not take the SOP class, in whatever transfer syntax.
pub(super) const UNKNOWN_CLASS: &str = "SOP class not supported";

/// Operations that we may have under way, of those that we asked for; without an answer it is one.
///
/// PS3.7 §D.3.3.3.
fn granted(asked: u16, answer: Option<OperationsWindow>) -> u16 {
    match answer.map(|window| window.invoked) {
        Some(0) => asked.max(1),
        Some(granted) => granted.min(asked.max(1)),
        None => 1,
    }
}

fn unrequestable(error: ul::Error) -> Error {
    Error::Association(error.into())
}

/// Connects, by TLS where that is agreed, which shares the time for connecting.
async fn connect(target: &Target, settings: &Settings) -> Result<Stream, Error> {
    let deadline = Instant::now() + settings.connect_timeout;
    let connected = match timeout_at(deadline, TcpStream::connect(&target.address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    let stream = connected.map_err(|source| Error::Connect { address: target.address.clone(), source })?;
    let Some(tls) = &target.terms.tls else { return Ok(stream.into()) };
    socket::send_at_once(&stream);
    let secured = match timeout_at(deadline, tls.connect(stream, &target.address)).await {
        Ok(secured) => secured,
        Err(_) => Err(TlsError::new(Problem::TimedOut, "its TLS handshake takes too long")),
    };
    let stream = secured.map_err(|source| Error::Tls { address: target.address.clone(), source })?;
    tracing::debug!(secured = ?Secured::of(&stream), "TLS with the peer");
    Ok(stream.into())
}

/// How long a peer has to read our A-ABORT and close, before closing with bytes unread may take it away from it.
const FAREWELL: Duration = Duration::from_millis(200);
