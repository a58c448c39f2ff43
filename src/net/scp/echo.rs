use dimse::Status;
use dimse::service::echo::CEchoRq;

use super::Scp;
use crate::drive::Drive;
use crate::end::End;

impl Scp<'_> {
    /// Answers C-ECHO (PS3.7 §9.1.5).
    pub(super) async fn echo(
        &mut self,
        drive: &mut Drive,
        context_id: u8,
        request: CEchoRq,
    ) -> Result<(), End> {
        drive.drain().await?;
        self.respond(drive, context_id, &request.answer(Status::SUCCESS.into()).into()).await
    }
}
