use dimse::service::echo::CEchoRq;
use dimse::{Command, Outcome};
use model::{sop, syntax};

use super::associate::{self, Requested};
use super::{Settings, Target};
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;

/// Asks a peer whether it is there: associates, sends C-ECHO, releases.
///
/// PS3.4 Annex A, PS3.7 §9.1.5.
///
/// # Errors
/// [`Error`] when there was no answer. An answer may still be a refusal: see its status.
pub async fn echo(target: &Target, settings: &Settings) -> Result<Outcome, Error> {
    let transfer_syntax = SYNTAXES[0].to_owned();
    let contexts = [(sop::VERIFICATION.to_owned(), vec![transfer_syntax.clone()])];
    let Requested { mut drive, results, .. } = associate::associate(target, settings, contexts).await?;
    let reason = match results.first() {
        Some(result) => associate::refusal(result, &transfer_syntax),
        None => Some("not answered"),
    };
    if let Some(reason) = reason {
        release(drive).await;
        return Err(Error::NotAccepted { sop_class: sop::VERIFICATION.to_owned(), transfer_syntax, reason });
    }
    match ask(&mut drive, settings).await {
        Ok(outcome) => {
            release(drive).await;
            Ok(outcome)
        }
        Err(end) => {
            associate::close(drive, &end).await;
            Err(Error::Lost(end))
        }
    }
}

/// What was to be known is known: that the peer does not release well is only noted.
async fn release(drive: Drive) {
    if let Err(error) = associate::release(drive).await {
        tracing::warn!(
            error = crate::chain(&error),
            "the peer answered, and then did not release the association"
        );
    }
}

/// Asks in the first context of an association, which is one for Verification.
pub(super) async fn ask(drive: &mut Drive, settings: &Settings) -> Result<Outcome, End> {
    drive.queue(FIRST_CONTEXT, &CEchoRq { message_id: 1 }.into(), None)?;
    drive.flush().await?;
    match drive.next_message(settings.message_timeout).await?.command {
        Command::CEchoRsp(response) if response.message_id_being_responded_to == 1 => Ok(response.outcome),
        other => Err(End::OutOfTurn(other.name())),
    }
}

const FIRST_CONTEXT: u8 = 1;

/// What verification is proposed in.
pub(crate) const SYNTAXES: [&str; 1] = [syntax::IMPLICIT_VR_LITTLE_ENDIAN];
