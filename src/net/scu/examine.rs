//! The way to an association in single steps, for whoever wants to know at which of them it ends, and what else speaks at a port.
//!
//! Read [`Line`] first. What comes of each step is handed out as it is; what it means is for the caller to say.

mod commitment;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dimse::Outcome;
use model::{sop, syntax};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use ul::pdu::{AssociateAc, ContextOutcome, RoleSelection};

use super::associate::Wishes;
use super::{Settings, Target, associate, echo};
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;
use crate::socket;
use crate::stream::Stream;
use crate::tls::{Certificate, Client, ClientSettings, Problem, Secured, TlsError};

pub use commitment::{Committed, Own};
/// What a status means in the answer to a request for storage commitment.
pub use dimse::service::action::meaning as action_meaning;

/// A connection on which DICOM has said nothing yet. Dropped, it is closed.
pub struct Line {
    stream: Stream,
}

/// An association that was accepted. Dropped, the connection is closed without a word.
pub struct Opened {
    drive: Drive,
    answer: Answer,
}

/// What the peer said when it accepted. Its texts are as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of each proposed context, in their order, the transfer syntax or why there is none.
    pub contexts: Vec<Result<String, &'static str>>,
    /// The SOP classes of which we may be SCP.
    pub scp_of: Vec<String>,
    /// The longest P-DATA-TF that it takes; 0: no limit, or not said.
    pub max_pdu_bytes: u32,
    /// Who wrote its software.
    pub implementation_class_uid: Option<String>,
    /// Which version that is.
    pub implementation_version_name: Option<String>,
}

/// A SOP class in the transfer syntaxes of one presentation context.
pub type Proposal = (String, Vec<String>);

/// How many contexts one association can have (PS3.8 §9.3.2.2).
pub const MAX_PROPOSALS: usize = 128;

/// Looks up the addresses of `host:port`, in the order in which the system would try them. Cancel safe.
///
/// # Errors
/// The system knows no such host, or does not answer in time.
pub async fn resolve(address: &str, patience: Duration) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(patience, tokio::net::lookup_host(address)).await;
    found.map_err(|_| io::ErrorKind::TimedOut)?.map(Iterator::collect)
}

impl Line {
    /// Connects. Cancel safe.
    ///
    /// # Errors
    /// What the system said, or that nothing came in time.
    pub async fn dial(at: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream =
            timeout(patience, TcpStream::connect(at)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Self { stream: stream.into() })
    }

    /// The address by which the peer sees us, as long as nobody in between changes it.
    pub fn own_address(&self) -> Option<IpAddr> {
        self.stream.tcp().local_addr().ok().map(|at| at.ip().to_canonical())
    }

    /// Makes the TLS handshake with a peer that is called at `address`, a host and a port. Cancel safe.
    ///
    /// # Errors
    /// Why there is no TLS.
    pub async fn secure(self, tls: &Client, address: &str, patience: Duration) -> Result<Self, TlsError> {
        let Stream::Plain(stream) = self.stream else { return Ok(self) };
        socket::send_at_once(&stream);
        match timeout(patience, tls.connect(stream, address)).await {
            Ok(secured) => Ok(Self { stream: secured?.into() }),
            Err(_) => Err(TlsError::new(Problem::TimedOut, "its TLS handshake takes too long")),
        }
    }

    /// What TLS says of the peer; `None` without TLS.
    pub fn secured(&self) -> Option<Secured> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(Secured::of(stream)),
        }
    }

    /// Asks for an association with these contexts, at most [`MAX_PROPOSALS`], and to be SCP too of the classes `scp_of`.
    ///
    /// Takes at most `message_timeout`. Cancel safe: dropped, there is no association.
    ///
    /// # Errors
    /// [`Error::OurIdentity`], [`Error::IdentityIgnored`], or [`Error::Association`] with how it ended.
    ///
    /// PS3.8 §9.3.2, PS3.7 §D.3.3.4.
    pub async fn associate(
        self,
        target: &Target,
        settings: &Settings,
        proposals: &[Proposal],
        scp_of: &[&str],
    ) -> Result<Opened, Error> {
        let role = |class: &&str| RoleSelection { sop_class: (*class).to_owned(), scu: true, scp: true };
        let roles = scp_of.iter().map(role).collect();
        let wishes = Wishes { roles, ..Wishes::default() };
        let association = associate::request(target, settings, proposals.iter().cloned(), wishes).await?;
        let mut drive = Drive::new(self.stream, association, settings.message_timeout);
        match drive.associate().await {
            Ok(ac) if target.terms.wants_response() && ac.identity_response.is_none() => {
                associate::close(drive, &End::Abandoned).await;
                Err(Error::IdentityIgnored)
            }
            Ok(ac) => {
                if let Some(most) = target.terms.max_pdu_bytes {
                    drive.limit_sent_pdus(most);
                }
                Ok(Opened { drive, answer: Answer::read(*ac, proposals) })
            }
            Err(end) => {
                associate::close(drive, &end).await;
                Err(Error::Association(end))
            }
        }
    }
}

impl Opened {
    /// What the peer said.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Asks for a sign of life in the first context, which is to be one for Verification. Not cancel safe: the association is to be
    /// dropped then.
    ///
    /// # Errors
    /// How the association ended instead.
    ///
    /// PS3.7 §9.1.5.
    pub async fn echo(&mut self, settings: &Settings) -> Result<Outcome, End> {
        echo::ask(&mut self.drive, settings).await
    }

    /// Ends the association in good order.
    ///
    /// # Errors
    /// [`Error::Lost`] when the peer does not let it.
    pub async fn release(self) -> Result<(), Error> {
        associate::release(self.drive).await
    }

    /// Ends an association that failed so.
    pub async fn close(self, end: &End) {
        associate::close(self.drive, end).await;
    }
}

impl Answer {
    fn read(ac: AssociateAc, proposals: &[Proposal]) -> Self {
        let ids = (1..=u8::MAX).step_by(2);
        let answered = proposals.iter().zip(ids).map(|((_, offered), id)| {
            let Some(result) = ac.contexts.iter().find(|result| result.id == id) else {
                return Err("not answered");
            };
            match &result.outcome {
                ContextOutcome::Accepted { transfer_syntax } if offered.contains(transfer_syntax) => {
                    Ok(transfer_syntax.clone())
                }
                ContextOutcome::Accepted { .. }
                | ContextOutcome::UserRejection
                | ContextOutcome::NoReason
                | ContextOutcome::AbstractSyntaxNotSupported
                | ContextOutcome::TransferSyntaxesNotSupported => {
                    Err(associate::refusal(result, "").unwrap_or("not accepted"))
                }
            }
        });
        Self {
            contexts: answered.collect(),
            scp_of: ac.roles.iter().filter(|role| role.scp).map(|role| role.sop_class.clone()).collect(),
            max_pdu_bytes: ac.max_pdu_bytes,
            implementation_class_uid: ac.implementation.class_uid,
            implementation_version_name: ac.implementation.version_name,
        }
    }
}

/// Whether a port answers a TLS handshake by TLS: with the certificate that it presents, where it goes so far. Cancel safe.
pub async fn speaks_tls(at: SocketAddr, patience: Duration) -> Option<Option<Box<Certificate>>> {
    let line = Line::dial(at, patience).await.ok()?;
    // It trusts nobody: the handshake ends with the certificate.
    let nobody = Client::new(ClientSettings::default());
    let Err(error) = line.secure(&nobody, &at.to_string(), patience).await else { return Some(None) };
    match error.problem {
        Problem::Expired
        | Problem::NotYetValid
        | Problem::UnknownCa
        | Problem::WrongName
        | Problem::BadCertificate
        | Problem::Nothing
        | Problem::Refused => Some(error.presented),
        Problem::Plain
        | Problem::Protocol
        | Problem::NoCertificate
        | Problem::Closed
        | Problem::TimedOut
        | Problem::Internal => None,
    }
}

/// Whether a port answers a request for an association without TLS as DICOM does, be it by a refusal. Cancel safe.
pub async fn speaks_dicom(at: SocketAddr, target: &Target, settings: &Settings, patience: Duration) -> bool {
    let Ok(line) = Line::dial(at, patience).await else { return false };
    let asked = Settings { message_timeout: patience, ..settings.clone() };
    // Without our user identity: what answers has not shown who it is.
    let target = &Target::plain(target.ae_title.clone(), target.address.clone());
    let verification = [(sop::VERIFICATION.to_owned(), vec![syntax::IMPLICIT_VR_LITTLE_ENDIAN.to_owned()])];
    match line.associate(target, &asked, &verification, &[]).await {
        Ok(opened) => {
            if let Err(error) = opened.release().await {
                tracing::debug!(error = crate::chain(&error), "not released");
            }
            true
        }
        Err(Error::Association(End::Rejected(_) | End::Aborted(_))) => true,
        Err(_) => false,
    }
}

/// The status line with which a port answers a request of HTTP; `None` where it does not. Cancel safe.
pub async fn speaks_http(at: SocketAddr, path: &str, patience: Duration) -> Option<String> {
    let asked = async {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MOST_HTTP).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(patience, asked).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next()?;
    line.starts_with("HTTP/").then(|| line.chars().take(SHOWN_CHARS).collect())
}

/// What is read of an answer of HTTP.
const MOST_HTTP: u64 = 16 << 10;
const SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use model::AeTitle;
    use ul::pdu::{AssociateRq, ContextResult, Implementation, Titles};

    use super::*;

    #[test]
    fn a_transfer_syntax_that_was_not_offered_is_not_taken() {
        let title = AeTitle::parse("A").unwrap();
        let rq = AssociateRq::new(Titles::new(&title, &title), Vec::new(), 0, Implementation::default());
        let accepted = |id, transfer_syntax: &str| ContextResult {
            id,
            outcome: ContextOutcome::Accepted { transfer_syntax: transfer_syntax.to_owned() },
        };
        let contexts = vec![accepted(1, "1.2.3"), accepted(3, "1.2.9")];
        let ac = AssociateAc::answer(&rq, contexts, Vec::new(), 0, Implementation::default());
        let proposal = || ("1.1".to_owned(), vec!["1.2.2".to_owned(), "1.2.3".to_owned()]);
        let answer = Answer::read(ac, &[proposal(), proposal(), proposal()]);
        let other = "it answered with another transfer syntax";
        assert_eq!(answer.contexts, [Ok("1.2.3".to_owned()), Err(other), Err("not answered")]);
    }
}
