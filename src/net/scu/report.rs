use dimse::{Command, Outcome};
use model::commitment::Report;
use model::{sop, syntax};
use telemetry::Telemetry;
use ul::pdu::{ContextOutcome, RoleSelection};

use super::associate::{self, Requested, Wishes};
use super::association::Open;
use super::{Settings, Target};
use crate::data_set;
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;
use crate::scp::commitment::request;

/// An association that we request to be SCP of Storage Commitment on: reports go over it.
pub(crate) struct ReportAssociation {
    /// `None` once it is over.
    drive: Option<Drive>,
    settings: Settings,
    message_id: u16,
    open: Open,
}

impl ReportAssociation {
    /// Connects and associates, proposing to be SCP.
    ///
    /// A peer that takes the context and says nothing about roles is reported to all the same.
    // deviation: PS3.7 §D.3.3.4: without an answer to the role selection we are SCU; many peers wait for reports and never heard of it.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Association`], [`Error::NotAccepted`].
    ///
    /// PS3.4 §J.3.3, PS3.7 §D.3.3.4.
    pub(crate) async fn open(
        target: &Target,
        settings: &Settings,
        telemetry: &Telemetry,
    ) -> Result<Self, Error> {
        let class = sop::STORAGE_COMMITMENT_PUSH_MODEL.to_owned();
        let role = RoleSelection { sop_class: class.clone(), scu: false, scp: true };
        let wishes = Wishes { roles: vec![role], ..Wishes::default() };
        let syntaxes = SYNTAXES.map(str::to_owned).to_vec();
        let requested =
            associate::associate_as(target, settings, [(class.clone(), syntaxes)], wishes).await?;
        let Requested { drive, results, roles, .. } = requested;
        let association = Self {
            drive: Some(drive),
            settings: settings.clone(),
            message_id: 0,
            open: Open::new(telemetry),
        };
        let refusal = results.first().map(|result| &result.outcome);
        let Some(ContextOutcome::Accepted { .. }) = refusal else {
            let reason =
                results.first().and_then(|result| associate::refusal(result, "")).unwrap_or("not answered");
            association.close().await;
            let transfer_syntax = SYNTAXES[0].to_owned();
            return Err(Error::NotAccepted { sop_class: class, transfer_syntax, reason });
        };
        if !roles.iter().any(|role| role.scp) {
            tracing::debug!("the peer does not say that we may be SCP of Storage Commitment");
        }
        Ok(association)
    }

    /// Sends one report and waits for the answer, which may be a refusal: see its status. Not cancel safe: the association is to be
    /// dropped then.
    ///
    /// # Errors
    /// [`Error::Lost`] when the association is over; the peer may have got the report.
    ///
    /// PS3.7 §10.1.1.
    pub(crate) async fn send(&mut self, report: &Report) -> Result<Outcome, Error> {
        let Some(drive) = &mut self.drive else { return Err(Error::Lost(End::Closed)) };
        self.message_id = self.message_id.wrapping_add(1);
        match send(drive, self.message_id, report, &self.settings).await {
            Ok(outcome) => Ok(outcome),
            Err(end) => {
                self.open.end(&end);
                if let Some(drive) = self.drive.take() {
                    associate::close(drive, &end).await;
                }
                Err(Error::Lost(end))
            }
        }
    }

    /// Ends the association in good order. Takes at most the ARTIM timeout, after which it is closed all the same.
    pub(crate) async fn close(mut self) {
        let Some(drive) = self.drive.take() else { return };
        self.open.end(&associate::release_within(drive, self.settings.artim_timeout).await);
    }
}

async fn send(
    drive: &mut Drive,
    message_id: u16,
    report: &Report,
    settings: &Settings,
) -> Result<Outcome, End> {
    let context = drive.association().context(FIRST_CONTEXT).cloned();
    let context = context.ok_or(End::OutOfTurn("presentation context"))?;
    let form = syntax::form(&context.transfer_syntax);
    let bytes = data_set::in_form(form, report.to_data_set(form.encoding));
    drive.queue(context.id, &request(message_id, report).into(), Some(&bytes))?;
    drive.flush().await?;
    let answer = drive.next_message(settings.message_timeout).await?;
    match answer.command {
        Command::NEventReportRsp(response) if response.message_id_being_responded_to == message_id => {
            drive.drain().await?;
            Ok(response.outcome)
        }
        other => Err(End::OutOfTurn(other.name())),
    }
}

const FIRST_CONTEXT: u8 = 1;

/// What storage commitment is proposed in.
pub(crate) const SYNTAXES: [&str; 2] = [syntax::EXPLICIT_VR_LITTLE_ENDIAN, syntax::IMPLICIT_VR_LITTLE_ENDIAN];
