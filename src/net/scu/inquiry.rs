use dimse::Command;
use dimse::service::mechanisms;
use model::query::Mechanisms;
use model::syntax::{self, Form};
use model::{SopClassUid, sop};
use ul::pdu::{ExtendedNegotiation, RoleSelection};

use super::associate::{self, Requested, Wishes};
use super::{Question, Settings, Target};
use crate::drive::Drive;
use crate::end::End;
use crate::error::Error;
use crate::scp::Granted;

/// An association on which a peer is asked something of Query/Retrieve, in the context of one of its SOP classes.
pub(super) struct Inquiry {
    pub(super) drive: Drive,
    pub(super) settings: Settings,
    /// Of identifiers.
    pub(super) form: Form,
    sop_class: SopClassUid,
    message_id: u16,
}

impl Inquiry {
    /// Associates with a context for `sop_class`, and behind it those in which the peer may send us instances.
    ///
    /// # Errors
    /// As [`associate::associate`]; [`Error::NotAccepted`] where the peer does not have the SOP class.
    pub(super) async fn associate(
        target: &Target,
        settings: &Settings,
        sop_class: &str,
        storage: Vec<(String, Vec<String>)>,
        roles: Vec<RoleSelection>,
    ) -> Result<Self, Error> {
        let own = (sop_class.to_owned(), READABLE.map(str::to_owned).to_vec());
        let contexts = std::iter::once(own).chain(storage);
        let asked = of_class(target.terms.mechanisms, sop_class);
        let information = mechanisms::question(asked);
        let asking = ExtendedNegotiation { sop_class: sop_class.to_owned(), information };
        let extended = Vec::from_iter((!asking.information.is_empty()).then_some(asking));
        let wishes = Wishes { roles, extended, ..Wishes::default() };
        let Requested { drive, results, extended, .. } =
            associate::associate_as(target, settings, contexts, wishes).await?;
        if let Some(context) = drive.association().context(CONTEXT) {
            for refused in mechanisms::refused(asked, Granted::by(&extended).of(sop_class)) {
                tracing::warn!(refused, "the peer does not grant what was asked for by extended negotiation");
            }
            let form = syntax::form(&context.transfer_syntax);
            let sop_class = SopClassUid::parse(sop_class).expect("the standard's UIDs are valid");
            return Ok(Self { drive, settings: settings.clone(), form, sop_class, message_id: 0 });
        }
        let result = results.iter().find(|result| result.id == CONTEXT);
        let reason = result.map_or(Some("not answered"), |result| associate::refusal(result, READABLE[0]));
        release(drive).await;
        Err(Error::NotAccepted {
            sop_class: sop_class.to_owned(),
            transfer_syntax: READABLE[0].to_owned(),
            reason: reason.unwrap_or("not answered"),
        })
    }

    /// The id and SOP class of the next request.
    pub(super) fn next_request(&mut self) -> (u16, Option<SopClassUid>) {
        self.message_id = self.message_id.wrapping_add(1);
        (self.message_id, Some(self.sop_class.clone()))
    }

    /// Sends a request with what it asks for.
    pub(super) async fn ask(&mut self, request: &Command, question: &Question) -> Result<(), End> {
        let identifier = question.identifier(self.form.encoding);
        self.drive.queue(CONTEXT, request, Some(&identifier))?;
        self.drive.flush().await
    }

    /// Sends a command that has no data set.
    pub(super) async fn tell(&mut self, command: &Command) -> Result<(), End> {
        self.drive.queue(CONTEXT, command, None)?;
        self.drive.flush().await
    }

    /// Ends the association: in good order where what was asked is answered, else as the failure has it.
    ///
    /// # Errors
    /// [`Error::Lost`] with the failure.
    pub(super) async fn end<T>(self, asked: Result<T, End>) -> Result<T, Error> {
        match asked {
            Ok(answer) => {
                release(self.drive).await;
                Ok(answer)
            }
            Err(end) => {
                self.close(&end).await;
                Err(Error::Lost(end))
            }
        }
    }

    /// Ends the association so.
    pub(super) async fn close(self, end: &End) {
        associate::close(self.drive, end).await;
    }
}

/// What can be asked for of a SOP class: a retrieve is relational or not (PS3.4 §C.5.2.1, §C.5.3.1).
fn of_class(asked: Mechanisms, sop_class: &str) -> Mechanisms {
    match [sop::PATIENT_ROOT_FIND, sop::STUDY_ROOT_FIND].contains(&sop_class) {
        true => asked,
        false => Mechanisms { relational: asked.relational, ..Mechanisms::default() },
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

const CONTEXT: u8 = 1;
/// What identifiers are read in.
pub(crate) const READABLE: [&str; 2] = [syntax::EXPLICIT_VR_LITTLE_ENDIAN, syntax::IMPLICIT_VR_LITTLE_ENDIAN];
