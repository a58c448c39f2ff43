//! One connection from a peer, from its first byte to its close.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use model::{AeTitle, PeerName, SopClassUid, limits};
use pipeline::{Pipeline, peers};
use telemetry::{Event, Telemetry};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use ul::negotiate::{self, Admission};
use ul::pdu::{AssociateRj, AssociateRq};
use ul::{Association, Violation};

use crate::access::Access;
use crate::agreed::Agreed;
use crate::config::Config;
use crate::drive::Drive;
use crate::end::End;
use crate::hops;
use crate::listener::Door;
use crate::lobby::Place;
use crate::places::{Places, Taken};
use crate::reporter::Reporter;
use crate::scp::{Caller, Granted, Owed, Scp};
use crate::secure::secure;
use crate::stream::Stream;
use crate::tally::Tally;
use crate::tls::looks_like_tls;

/// What all associations share.
pub(crate) struct Acceptor {
    config: Arc<Config>,
    access: Access,
    pipeline: Pipeline,
    telemetry: Telemetry,
    places: Places,
    /// Large data sets that are read into memory at once.
    large: Semaphore,
}

/// An association that was accepted.
pub(crate) struct Accepted {
    pub(crate) caller: Caller,
    /// What was negotiated about queries.
    granted: Granted,
    place: Taken,
}

impl Acceptor {
    pub(crate) fn new(config: Config, pipeline: Pipeline, telemetry: Telemetry) -> Self {
        let config = Arc::new(config);
        Self {
            access: Access::new(Arc::clone(&config)),
            places: Places::new(&config),
            large: Semaphore::new(limits::LARGE_DATA_SETS),
            config,
            pipeline,
            telemetry,
        }
    }

    /// Who sends the storage commitment reports that are owed beyond their associations.
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter {
            config: Arc::clone(&self.config),
            pipeline: self.pipeline.clone(),
            telemetry: self.telemetry.clone(),
        }
    }

    /// Serves a connection to its end.
    pub(crate) async fn serve(
        &self,
        stream: TcpStream,
        door: Door,
        from: SocketAddr,
        place: Place,
        shutdown: CancellationToken,
    ) {
        let stream = match (door, &self.config.tls) {
            (Door::Tls, Some(tls)) => {
                secure(tls, stream, self.config.artim_timeout, &place, &self.telemetry).await
            }
            (Door::Plain, _) | (Door::Tls, None) => Some(Stream::from(stream)),
        };
        let Some(stream) = stream else { return };
        let association = Association::acceptor(self.config.artim_timeout);
        let mut drive = Drive::new(stream, association, self.config.message_timeout);
        let from = from.ip().to_canonical();
        let accepted = tokio::select! {
            biased;
            () = place.leave.cancelled() => Err(End::Displaced),
            accepted = self.guard(self.accept(&mut drive, from)) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                let lobby = place.vacate();
                let end = self.associated(&mut drive, accepted, &shutdown).await;
                let place = lobby.enter(&shutdown);
                drive.close(&end, place.must_close()).await;
            }
            Err(end) => {
                if let End::Rejected(rejection) = end {
                    self.telemetry.record(Event::AssociationRejected { reason: reason(rejection) });
                } else {
                    self.note_failure(&end, door);
                }
                drive.close(&end, place.must_close()).await;
            }
        }
    }

    /// Notes that a connection led to no association. That it was meant for the other port is worth knowing.
    fn note_failure(&self, end: &End, door: Door) {
        let is_tls = matches!(
            end,
            End::Violation(Violation::UnrecognizedPdu(first)) if looks_like_tls(*first)
        );
        match (door, &self.config.tls) {
            (Door::Plain, Some(tls)) if is_tls => {
                let port = tls.settings().listen.port();
                tracing::info!("a caller speaks TLS on the plain port; the port for TLS is {port}");
            }
            (Door::Plain, None) if is_tls => {
                tracing::info!(
                    "a caller speaks TLS on the plain port; there is no port for TLS: see [dimse.tls]"
                );
            }
            (Door::Plain | Door::Tls, _) => tracing::debug!(end = crate::chain(end), "no association"),
        }
    }

    /// In which transfer syntaxes there are how many instances of a SOP class.
    fn stored(&self, class: &str) -> Vec<(String, u64)> {
        let syntaxes = SopClassUid::lenient(class).map(|class| self.pipeline.transfer_syntaxes_of(&class));
        syntaxes.into_iter().flatten().map(|(syntax, instances)| (syntax.to_string(), instances)).collect()
    }

    /// Waits for A-ASSOCIATE-RQ and answers it.
    pub(crate) async fn accept(&self, drive: &mut Drive, from: IpAddr) -> Result<Accepted, End> {
        let rq = drive.requested().await.inspect_err(|end| {
            if let End::Rejected(rejection) = end {
                tracing::info!(%rejection, "association refused");
            }
        })?;
        tracing::debug!(titles = ?rq.titles, "association requested");
        let (calling, called) = (rq.titles.calling(), rq.titles.called());
        tracing::Span::current().record("calling", calling.as_ref().map(AeTitle::as_str));
        let secured = drive.secured();
        if let Some(secured) = &secured {
            tracing::Span::current().record("tls", &secured.version);
            let certificate = secured.certificate.as_ref().map(ToString::to_string);
            tracing::debug!(cipher_suite = secured.cipher_suite, certificate, "under TLS");
        }
        let presented = secured.as_ref().and_then(|secured| secured.certificate.as_ref());
        let admitted = self.access.admit(calling.as_ref(), from, presented).await;
        let peer = admitted.as_ref().ok().and_then(Option::as_ref);
        let agreed = Agreed::with(&self.config, peer);
        let identified = agreed.identify(&rq);
        // Only now: a name server that is slow to answer keeps nobody's place.
        let place = self.places.take(peer);
        let admission = Admission {
            is_calling_known: admitted.is_ok(),
            is_called_ours: agreed.is_called_ours(called.as_ref()),
            is_user_known: identified.is_ok(),
            has_room: place.is_ok(),
        };
        if let Err(rejection) = negotiate::acceptable(&rq, admission) {
            let why = match (rejection, &admitted, &identified, &place) {
                (AssociateRj::CALLING_AE_TITLE, Err(stranger), _, _) => Some(stranger.to_string()),
                (AssociateRj::USER_IDENTITY, _, Err(error), _) => Some(error.to_string()),
                (AssociateRj::LOCAL_LIMIT, _, _, Err(full)) => Some(full.to_string()),
                (AssociateRj::CALLED_AE_TITLE, _, _, _) => {
                    Some(format!("called AE title is not ours, {}", self.config.ae_title))
                }
                (_, _, _, _) => None,
            };
            let called = called.as_ref().map(AeTitle::as_str);
            tracing::info!(called, why, %rejection, "association refused");
            return Err(drive.reject(rejection));
        }
        let place = place.map_err(|_| End::Abandoned)?;
        let ac = agreed.answer(&rq, &|class| self.stored(class));
        drive.accept(&ac).await?;
        let granted = Granted::by(&ac.extended);
        if let Some(most) = agreed.most_sent() {
            drive.limit_sent_pdus(most);
        }
        let user = identified.ok().flatten();
        tracing::Span::current().record("user", user.as_deref().map(shown));
        tracing::debug!(
            contexts = drive.association().contexts().len(),
            proposed = rq.contexts.len(),
            implementation = rq.implementation.version_name,
            max_pdu_bytes = rq.max_pdu_bytes,
            ?granted,
            "association accepted",
        );
        let peer = admitted.ok().flatten();
        self.remember(peer.as_ref(), calling.as_ref(), from, &rq, drive.association().contexts().len());
        let hops = hops::of(&rq.implementation);
        let caller = Caller { calling, called, peer, from, hops };
        Ok(Accepted { caller, granted, place })
    }

    /// Notes as what a caller called that was let in.
    fn remember(
        &self,
        peer: Option<&PeerName>,
        calling: Option<&AeTitle>,
        from: IpAddr,
        rq: &AssociateRq,
        accepted: usize,
    ) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let implementation = peers::Implementation {
            class_uid: rq.implementation.class_uid.clone(),
            version_name: rq.implementation.version_name.clone(),
        };
        let caller = peers::Caller {
            aet: calling.cloned(),
            address: from,
            at: OffsetDateTime::now_utc(),
            implementation,
            proposed: count(rq.contexts.len()),
            accepted: count(accepted),
        };
        self.pipeline.peers().called_by(peer, caller);
    }

    /// Serves an association and sums it up.
    async fn associated(&self, drive: &mut Drive, accepted: Accepted, shutdown: &CancellationToken) -> End {
        let Accepted { caller, granted, place } = accepted;
        let started = Instant::now();
        self.telemetry.record(Event::AssociationOpened { requestor: false });
        let mut scp = Scp {
            pipeline: &self.pipeline,
            telemetry: &self.telemetry,
            ae_title: &self.config.ae_title,
            config: &self.config,
            shutdown,
            caller,
            granted,
            tally: Tally::default(),
            large: &self.large,
            owed: Owed::new(),
        };
        let end = match self.guard(self.messages(drive, &mut scp, shutdown)).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        scp.stop_reporting().await;
        drop(place);
        self.telemetry.record(Event::AssociationClosed { requestor: false, end: end.label() });
        tracing::info!(
            messages = %scp.tally,
            received_bytes = drive.bytes_received(),
            seconds = started.elapsed().as_secs_f64(),
            end = crate::chain(&end),
            "association over",
        );
        end
    }

    /// Answers message after message. After `shutdown`, the one that has begun to come is the last.
    async fn messages(
        &self,
        drive: &mut Drive,
        scp: &mut Scp<'_>,
        shutdown: &CancellationToken,
    ) -> Result<std::convert::Infallible, End> {
        loop {
            let message = tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    if drive.is_between_messages() {
                        return Err(End::Shutdown);
                    }
                    let message = drive.next_message(self.config.idle_timeout).await?;
                    scp.answer(drive, message).await?;
                    return Err(End::Shutdown);
                }
                message = drive.next_message(self.config.idle_timeout) => message?,
                () = until(scp.owed.wake_at()) => {
                    scp.report(drive).await?;
                    continue;
                }
            };
            scp.answer(drive, message).await?;
            scp.served(drive).await?;
        }
    }

    /// Turns a panic of the code that serves one association into its end.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = Result<T, End>>) -> Result<T, End> {
        // What a panic may leave half done is the association's own, which is aborted.
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            self.telemetry.record(Event::Panicked);
            tracing::error!("the code that served this association panicked");
            Err(End::Panicked)
        })
    }
}

/// Waits for a time; for ever where there is none. Cancel safe.
async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A name that a token may give at any length, for the log.
fn shown(user: &str) -> String {
    user.chars().filter(|c| !c.is_control()).take(limits::PEER_TEXT_CHARS).collect()
}

/// The metric label of a rejection: one of a closed set.
fn reason(rejection: AssociateRj) -> &'static str {
    match rejection {
        AssociateRj::CALLING_AE_TITLE => "calling_ae_title",
        AssociateRj::CALLED_AE_TITLE => "called_ae_title",
        AssociateRj::APPLICATION_CONTEXT => "application_context",
        AssociateRj::USER_IDENTITY => "user_identity",
        AssociateRj::PROTOCOL_VERSION => "protocol_version",
        AssociateRj::LOCAL_LIMIT => "local_limit",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_shown_on_one_short_line() {
        assert_eq!(shown("tech\nlevel=error\u{1b}[2J"), "techlevel=error[2J");
        assert_eq!(shown(&"x".repeat(1000)).len(), limits::PEER_TEXT_CHARS);
    }
}
