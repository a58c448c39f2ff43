//! What we serve as SCP: one table, one file for each service.

pub(crate) mod commitment;
mod counts;
mod echo;
pub(crate) mod event_report;
mod find;
mod get;
mod mechanisms;
mod move_;
mod owed;
mod retrieve;
mod store;

use std::net::IpAddr;

use dimse::{Class, Command, Message, Outcome, Status};
use model::query::Root;
use model::{AeTitle, PeerName, sop};
pub(crate) use owed::Owed;
use pipeline::{Behalf, Pipeline};
use telemetry::Telemetry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use ul::negotiate;

use crate::config::Config;
use crate::drive::Drive;
use crate::end::End;
use crate::scu;
use crate::tally::Tally;

pub(crate) use mechanisms::{Granted, OFFERED, negotiate as negotiate_extended};

/// A service that we provide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// PS3.4 Annex A.
    Verification,
    /// PS3.4 Annex B.
    Storage,
    /// PS3.4 §C.4.1, with its information model.
    Find(Root),
    /// PS3.4 §C.4.2, with its information model.
    Move(Root),
    /// PS3.4 §C.4.3, with its information model.
    Get(Root),
    /// PS3.4 Annex J.
    Commitment,
}

/// Which abstract syntaxes make which service. Negotiation and dispatch read it.
const SERVICES: &[Provided] = &[
    Provided { by: |uid| uid == sop::VERIFICATION, service: Service::Verification },
    Provided { by: |uid| uid == sop::PATIENT_ROOT_FIND, service: Service::Find(Root::Patient) },
    Provided { by: |uid| uid == sop::STUDY_ROOT_FIND, service: Service::Find(Root::Study) },
    Provided { by: |uid| uid == sop::STORAGE_COMMITMENT_PUSH_MODEL, service: Service::Commitment },
    Provided { by: |uid| uid == sop::PATIENT_ROOT_MOVE, service: Service::Move(Root::Patient) },
    Provided { by: |uid| uid == sop::STUDY_ROOT_MOVE, service: Service::Move(Root::Study) },
    Provided { by: |uid| uid == sop::PATIENT_ROOT_GET, service: Service::Get(Root::Patient) },
    Provided { by: |uid| uid == sop::STUDY_ROOT_GET, service: Service::Get(Root::Study) },
    Provided { by: sop::is_storage, service: Service::Storage },
];

struct Provided {
    /// Tells the abstract syntaxes.
    by: fn(&str) -> bool,
    service: Service,
}

/// The service behind an abstract syntax; `None` where we have none.
pub(crate) fn service(abstract_syntax: &str) -> Option<Service> {
    SERVICES.iter().find(|provided| (provided.by)(abstract_syntax)).map(|provided| provided.service)
}

impl Service {
    /// Which transfer syntaxes it takes.
    pub(crate) fn negotiated_as(self) -> negotiate::Service {
        match self {
            Self::Storage => negotiate::Service::Keeps,
            Self::Commitment => negotiate::Service::Reports,
            Self::Verification | Self::Find(_) | Self::Move(_) | Self::Get(_) => negotiate::Service::Reads,
        }
    }

    /// Its service class (PS3.4).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verification => "Verification",
            Self::Storage => "Storage",
            Self::Find(_) | Self::Move(_) | Self::Get(_) => "Query/Retrieve",
            Self::Commitment => "Storage Commitment",
        }
    }

    /// The transfer syntaxes that we propose as SCU, in one context; `None`: those of the instances, in a context each.
    pub(crate) fn proposed_in(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Verification => Some(&scu::ECHO_SYNTAXES),
            Self::Storage => None,
            Self::Find(_) | Self::Move(_) | Self::Get(_) => Some(&scu::READABLE),
            Self::Commitment => Some(&scu::COMMITMENT_SYNTAXES),
        }
    }

    /// What asks for it as SCU.
    pub(crate) fn requested_by(self) -> &'static str {
        match self {
            Self::Verification => "`gantry echo`, `gantry doctor`",
            Self::Storage => {
                "`dicom` destinations, `gantry send`, sub-operations of C-MOVE and C-GET, `gantry doctor --store`"
            }
            Self::Find(Root::Patient) => {
                "`gantry find`, `gantry get`, upstream archives; `gantry doctor` proposes it only"
            }
            Self::Find(Root::Study) => {
                "`gantry find`, `gantry get`, upstream archives, `gantry doctor --query`"
            }
            Self::Move(_) => {
                "`gantry move`, upstream archives with `retrieve = \"move\"`; `gantry doctor` proposes it only"
            }
            Self::Get(_) => "`gantry get`, upstream archives; `gantry doctor` proposes it only",
            Self::Commitment => {
                "`dicom` destinations with `verify = \"commitment\"`, `gantry doctor --commitment`"
            }
        }
    }
}

/// The serving end of one association.
pub(crate) struct Scp<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) ae_title: &'a AeTitle,
    pub(crate) config: &'a Config,
    /// The process is stopping.
    pub(crate) shutdown: &'a CancellationToken,
    pub(crate) caller: Caller,
    /// What was negotiated about queries.
    pub(crate) granted: Granted,
    pub(crate) tally: Tally,
    /// Data sets of some size that all associations may have in memory at once.
    pub(crate) large: &'a Semaphore,
    /// Storage commitment reports that are to go over this association.
    pub(crate) owed: Owed,
}

/// Who requested an association.
pub(crate) struct Caller {
    /// What it calls itself.
    pub(crate) calling: Option<AeTitle>,
    /// What it calls us.
    pub(crate) called: Option<AeTitle>,
    /// The configured peer that it is.
    pub(crate) peer: Option<PeerName>,
    pub(crate) from: IpAddr,
    /// How many archives its questions have come through.
    pub(crate) hops: u8,
}

impl Caller {
    /// For whom upstream archives are asked.
    fn behalf(&self) -> Behalf {
        Behalf { peer: self.peer.clone(), calling: self.calling.clone(), hops: self.hops, to: None }
    }
}

impl Scp<'_> {
    /// Serves one message, data set included. Whatever can be answered is; the association goes on.
    ///
    /// # Errors
    /// [`End`] when the association is over.
    pub(crate) async fn answer(&mut self, drive: &mut Drive, message: Message) -> Result<(), End> {
        let Message { context_id, command, has_data_set } = message;
        tracing::debug!(context_id, command = command.name(), has_data_set, "received");
        let Some(context) = drive.association().context(context_id).cloned() else {
            return Err(End::OutOfTurn("presentation context"));
        };
        let service = service(&context.abstract_syntax);
        match (service, command) {
            (Some(Service::Verification), Command::CEchoRq(request)) => {
                self.echo(drive, context_id, request).await
            }
            (Some(Service::Storage), Command::CStoreRq(request)) => {
                self.store(drive, &context, request, has_data_set).await
            }
            (Some(Service::Find(root)), Command::CFindRq(request)) => {
                self.find(drive, &context, root, request).await
            }
            (Some(Service::Commitment), Command::NActionRq(request)) => {
                self.action(drive, &context, request, has_data_set).await
            }
            (Some(Service::Commitment), Command::NEventReportRq(request)) => {
                self.event_report(drive, &context, request, has_data_set).await
            }
            (Some(Service::Commitment), Command::NEventReportRsp(response)) => {
                self.report_answered(drive, response).await
            }
            (Some(Service::Move(root)), Command::CMoveRq(request)) => {
                self.move_(drive, &context, root, request).await
            }
            (Some(Service::Get(root)), Command::CGetRq(request)) => {
                self.get(drive, &context, root, request).await
            }
            // The operation it means is over; a C-CANCEL that is late is not answered (PS3.7 §9.3.2.3).
            (_, Command::CCancelRq(_)) => drive.drain().await.map(|_| ()),
            (
                _,
                Command::CStoreRsp(_)
                | Command::CFindRsp(_)
                | Command::CEchoRsp(_)
                | Command::NEventReportRsp(_)
                | Command::NActionRsp(_)
                | Command::CGetRsp(_)
                | Command::CMoveRsp(_)
                | Command::OtherRsp(_),
            ) => Err(End::OutOfTurn("response")),
            (
                _,
                command @ (Command::CEchoRq(_)
                | Command::CStoreRq(_)
                | Command::CFindRq(_)
                | Command::NEventReportRq(_)
                | Command::NActionRq(_)
                | Command::CGetRq(_)
                | Command::CMoveRq(_)
                | Command::OtherRq(_)),
            ) => self.refuse(drive, context_id, command).await,
        }
    }

    /// Refuses a request that its presentation context has no service for.
    async fn refuse(&mut self, drive: &mut Drive, context_id: u8, command: Command) -> Result<(), End> {
        drive.drain().await?;
        let outcome = match &command {
            Command::OtherRq(_) => Status::UNRECOGNIZED_OPERATION.into(),
            _ => Outcome::because(
                Status::SOP_CLASS_NOT_SUPPORTED,
                "not a service of this presentation context",
            ),
        };
        match command.answer(outcome) {
            Some(response) => self.respond(drive, context_id, &response).await,
            None => Err(End::OutOfTurn("response")),
        }
    }

    /// Counts a final response and writes it, with all that is queued, as one piece.
    async fn respond(&mut self, drive: &mut Drive, context_id: u8, response: &Command) -> Result<(), End> {
        self.respond_with(drive, context_id, response, None).await
    }

    /// [`Scp::respond`] with a data set.
    async fn respond_with(
        &mut self,
        drive: &mut Drive,
        context_id: u8,
        response: &Command,
        data_set: Option<&[u8]>,
    ) -> Result<(), End> {
        if let Some(outcome) = response.outcome() {
            self.tally.add(response.name(), outcome.status);
            self.tell(context_id, response, outcome);
        }
        drive.queue(context_id, response, data_set)?;
        drive.flush().await
    }

    /// Says in the log what an answer is, and at the usual level why a request is not done. Neither comment nor meaning has a value of the
    /// identifier.
    fn tell(&mut self, context_id: u8, response: &Command, outcome: &Outcome) {
        let (command, status, meaning) = (response.name(), outcome.status, response.meaning());
        let comment = outcome.error_comment.as_ref().map(dimse::ErrorComment::as_str);
        // What becomes of a C-STORE is told with its instance.
        let is_refusal = status.class() == Class::Failure && !matches!(response, Command::CStoreRsp(_));
        if is_refusal && self.tally.is_news(command, status, comment.unwrap_or_default()) {
            let text = "not done; others for the same reason are only counted";
            tracing::info!(context_id, command, %status, meaning, comment, "{text}");
        } else {
            tracing::debug!(context_id, command, %status, meaning, comment, "answering");
        }
    }
}
