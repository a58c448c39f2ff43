use std::sync::Arc;
use std::time::Duration;

use dimse::service::find;
use dimse::{Class, Status};
use model::attributes::Attributes;
use model::header::Header;
use model::{json, limits};
use pipeline::{Answers, Asked, UpstreamError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Way, failed, lost, root};
use crate::end::{End, Wait};
use crate::scu::{FindScu, Question};

/// Puts a query and hands its matches on, within `patience`, in which the time does not count that we take for them. When nobody wants
/// more, it is cancelled.
pub(super) async fn find(
    way: Way,
    places: Arc<Semaphore>,
    patience: Duration,
    asked: Asked,
    answers: Answers,
) {
    let mut deadline = Instant::now() + patience;
    let question = Question { root: root(asked.level), level: asked.level, keys: asked.keys };
    let place = tokio::select! {
        place = timeout_at(deadline, places.acquire_owned()) => place,
        () = answers.closed() => return,
    };
    // That others keep it busy says nothing against it.
    let Ok(_place) = place else {
        return answers.end(Err(UpstreamError::busy("as many queries as may be are under way"))).await;
    };
    let associated = tokio::select! {
        associated = timeout_at(deadline, FindScu::associate(&way.target, &way.settings, question.root)) => associated,
        () = answers.closed() => return,
    };
    let mut scu = match associated {
        Ok(Ok(associated)) => associated,
        Ok(Err(error)) => return answers.end(Err(failed(&error))).await,
        Err(_) => return answers.end(Err(UpstreamError::late("no association in time"))).await,
    };
    let asked = match timeout_at(deadline, scu.ask(&question)).await {
        Ok(Ok(message_id)) => matches(&mut scu, message_id, &mut deadline, &answers).await,
        Ok(Err(end)) => Err(Stop::Over(end)),
        Err(_) => Err(Stop::Late),
    };
    match asked {
        Ok(end) => {
            answers.end(end).await;
            drop(timeout(limits::CANCEL_PATIENCE, scu.end(Ok(()))).await);
        }
        Err(Stop::Over(end)) => {
            answers.end(Err(lost(&end))).await;
            scu.close(&end).await;
        }
        Err(Stop::Late) => {
            answers.end(Err(UpstreamError::late("no answer in time"))).await;
            scu.close(&End::TimedOut(Wait::Message)).await;
        }
        Err(Stop::Cancelled(message_id)) => cancel(scu, message_id).await,
    }
}

/// Why a query is not read to its end.
enum Stop {
    /// The association is over.
    Over(End),
    /// Time is up.
    Late,
    /// Nobody wants more of this one.
    Cancelled(u16),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::Over(end)
    }
}

/// Hands the matches on. The inner error is a refusal.
async fn matches(
    scu: &mut FindScu,
    message_id: u16,
    deadline: &mut Instant,
    answers: &Answers,
) -> Result<Result<(), UpstreamError>, Stop> {
    loop {
        let outcome = tokio::select! {
            biased;
            () = answers.closed() => return Err(Stop::Cancelled(message_id)),
            outcome = timeout_at(*deadline, scu.response(message_id)) => outcome.map_err(|_| Stop::Late)??,
        };
        let status = outcome.status;
        match status.class() {
            Class::Pending => {}
            Class::Success | Class::Warning => return Ok(Ok(())),
            Class::Failure | Class::Cancel => {
                // Without the peer's comment: it may name the patient.
                let reason = format!("it answered {status} {}", find::meaning(status));
                return Ok(Err(UpstreamError::refused(reason)));
            }
        }
        let matching = timeout_at(*deadline, scu.matching()).await.map_err(|_| Stop::Late)??;
        let Some((row, bytes)) = matching.as_ref().and_then(row) else {
            tracing::debug!("a match of an upstream archive cannot be read");
            continue;
        };
        let before = Instant::now();
        if !answers.give(row, bytes, status == Status::PENDING_UNSUPPORTED_KEYS).await {
            return Err(Stop::Cancelled(message_id));
        }
        *deadline += before.elapsed();
    }
}

/// Its attributes, decoded, and how many bytes it has.
pub(super) fn row(header: &Header) -> Option<(Attributes, usize)> {
    let bytes = usize::try_from(header.len()).ok().filter(|_| header.len() <= limits::UPSTREAM_ROW_BYTES)?;
    let mut text = Vec::new();
    json::write_header(header, "", &mut text);
    Some((json::read(&text)?, bytes))
}

/// Says that nobody wants more, and waits for the end a moment.
async fn cancel(mut scu: FindScu, message_id: u16) {
    let ended = timeout(limits::CANCEL_PATIENCE, async {
        scu.cancel(message_id).await?;
        for _ in 0..limits::MATCHES_AFTER_CANCEL {
            let outcome = scu.response(message_id).await?;
            scu.drain().await?;
            if outcome.status.class() != Class::Pending {
                return Ok(());
            }
        }
        Err(End::Abandoned)
    });
    match ended.await {
        Ok(Ok(())) => drop(timeout(limits::CANCEL_PATIENCE, scu.end(Ok(()))).await),
        Ok(Err(end)) => scu.close(&end).await,
        Err(_) => scu.close(&End::Abandoned).await,
    }
}
