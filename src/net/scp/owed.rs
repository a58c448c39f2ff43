use std::collections::VecDeque;

use model::limits;
use pipeline::CommitmentId;
use tokio::time::{Duration, Instant};

/// The storage commitment reports that are to go over one association, and when.
///
/// A report waits until the association has been quiet for [`limits::REPORT_DELAY`]: a peer that means to release it has done so by
/// then, and gets its report over an association of our own. One report at a time waits for its answer.
#[derive(Debug)]
pub(crate) struct Owed<I = CommitmentId> {
    waiting: VecDeque<Held<I>>,
    sent: Option<Sent<I>>,
    quiet_since: Option<Instant>,
    message_id: u16,
    /// The peer did not answer a report: it gets no further ones here.
    is_mute: bool,
}

/// A report, and the presentation context that it was asked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held<I = CommitmentId> {
    pub(crate) id: I,
    pub(crate) context_id: u8,
}

/// A report that waits for its answer.
#[derive(Debug)]
struct Sent<I> {
    held: Held<I>,
    /// Instances that it did not commit to.
    failed: usize,
    answer_due: Instant,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due<I = CommitmentId> {
    /// Send this report.
    Report(Held<I>),
    /// The peer has not answered in time.
    Unanswered,
}

impl<I: Copy> Owed<I> {
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::new(), sent: None, quiet_since: None, message_id: 0, is_mute: false }
    }

    /// Owes one more report.
    pub(crate) fn push(&mut self, held: Held<I>) {
        self.waiting.push_back(held);
    }

    /// A message came or went.
    pub(crate) fn is_disturbed(&mut self, now: Instant) {
        self.quiet_since = Some(now);
    }

    /// When [`Owed::due`] is to be asked; `None` when there is nothing to wait for.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match &self.sent {
            Some(sent) => Some(sent.answer_due),
            None if self.is_mute || self.waiting.is_empty() => None,
            None => Some(self.quiet_since? + limits::REPORT_DELAY),
        }
    }

    /// What is to be done at this time, if anything.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due<I>> {
        if self.wake_at().is_none_or(|at| at > now) {
            return None;
        }
        match &self.sent {
            Some(_) => Some(Due::Unanswered),
            None => self.waiting.pop_front().map(Due::Report),
        }
    }

    /// A report goes out; gives its Message ID.
    pub(crate) fn send(&mut self, held: Held<I>, failed: usize, patience: Duration, now: Instant) -> u16 {
        self.message_id = self.message_id.wrapping_add(1);
        self.sent = Some(Sent { held, failed, answer_due: now + patience });
        self.message_id
    }

    /// The peer answers the report of this Message ID: which it was, and how many instances it did not commit to. The outer `None`:
    /// no report of that number was ever sent; the inner: its answer is not waited for any more.
    pub(crate) fn answered(&mut self, message_id: u16) -> Option<Option<(Held<I>, usize)>> {
        if message_id == self.message_id && self.sent.is_some() {
            return Some(self.sent.take().map(|sent| (sent.held, sent.failed)));
        }
        (1..=self.message_id).contains(&message_id).then_some(None)
    }

    /// Gives up reporting here.
    pub(crate) fn give_up(&mut self) -> Vec<I> {
        self.is_mute = true;
        let sent = self.sent.take().map(|sent| sent.held);
        sent.into_iter().chain(self.waiting.drain(..)).map(|held| held.id).collect()
    }

    /// Whether reports can go over this association.
    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn held(id: u32) -> Held<u32> {
        Held { id, context_id: 1 }
    }

    /// One that owes two reports, and was disturbed at the given time.
    fn owing(now: Instant) -> Owed<u32> {
        let mut owed = Owed::new();
        owed.push(held(1));
        owed.push(held(2));
        owed.is_disturbed(now);
        owed
    }

    #[tokio::test]
    async fn a_report_goes_out_when_the_association_has_been_quiet() {
        let now = Instant::now();
        let mut owed = owing(now);
        let quiet = now + limits::REPORT_DELAY;
        assert_eq!(owed.wake_at(), Some(quiet));
        assert_eq!(owed.due(now), None);
        let later = now + limits::REPORT_DELAY / 2;
        owed.is_disturbed(later);
        assert_eq!(owed.due(quiet), None, "something came in between");
        assert_eq!(owed.due(later + limits::REPORT_DELAY), Some(Due::Report(held(1))));
    }

    #[tokio::test]
    async fn one_report_waits_for_its_answer_at_a_time() {
        let now = Instant::now();
        let mut owed = owing(now);
        let quiet = now + limits::REPORT_DELAY;
        assert_eq!(owed.due(quiet), Some(Due::Report(held(1))));
        assert_eq!(owed.send(held(1), 7, PATIENCE, quiet), 1);
        assert_eq!((owed.wake_at(), owed.due(quiet)), (Some(quiet + PATIENCE), None));
        assert_eq!(owed.answered(2), None, "no such report was sent");
        assert_eq!(owed.answered(1), Some(Some((held(1), 7))));
        assert_eq!(owed.answered(1), Some(None), "answered twice");
        assert_eq!(owed.due(quiet), Some(Due::Report(held(2))));
        assert_eq!(owed.send(held(2), 0, PATIENCE, quiet), 2);
        assert_eq!(owed.answered(2), Some(Some((held(2), 0))));
        assert!(owed.wake_at().is_none() && owed.give_up().is_empty());
    }

    #[tokio::test]
    async fn who_does_not_answer_gets_no_further_reports_here() {
        let now = Instant::now();
        let mut owed = owing(now);
        let quiet = now + limits::REPORT_DELAY;
        assert_eq!(owed.due(quiet), Some(Due::Report(held(1))));
        owed.send(held(1), 0, PATIENCE, quiet);
        assert_eq!(owed.due(quiet + PATIENCE), Some(Due::Unanswered));
        assert_eq!(owed.give_up(), [1, 2]);
        assert!(owed.is_mute() && owed.wake_at().is_none());
        assert_eq!(owed.answered(1), Some(None), "too late");
        assert!(owed.give_up().is_empty());
    }
}
