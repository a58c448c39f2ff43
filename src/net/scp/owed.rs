use std::collections::VecDeque;

use model::limits;
use pipeline::CommitmentId;
use tokio::time::{Duration, Instant};

/// The storage commitment reports that are to go over one association, and when.
///
/// A report waits until the association has been quiet for [`limits::REPORT_DELAY`]: a peer that means to release it has done so by
/// then, and gets its report over an association of our own. On one that is never quiet it is overdue after
/// [`limits::REPORT_DELAY_MOST`]. One report at a time waits for its answer.
#[derive(Debug)]
pub(crate) struct Owed<I = CommitmentId> {
    waiting: VecDeque<Held<I>>,
    sent: Option<Sent<I>>,
    quiet_since: Option<Instant>,
    /// Since when the first of those that wait has been that.
    waiting_since: Option<Instant>,
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

impl<I: Copy> Owed<I> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            sent: None,
            quiet_since: None,
            waiting_since: None,
            message_id: 0,
            is_mute: false,
        }
    }

    /// Owes one more report.
    pub(crate) fn push(&mut self, held: Held<I>, now: Instant) {
        self.waiting.push_back(held);
        self.waiting_since.get_or_insert(now);
    }

    /// A message came or went.
    pub(crate) fn is_disturbed(&mut self, now: Instant) {
        self.quiet_since = Some(now);
    }

    /// When [`Owed::is_unanswered`] and [`Owed::due`] are to be asked; `None` when there is nothing to wait for.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match &self.sent {
            Some(sent) => Some(sent.answer_due),
            None if self.is_mute || self.waiting.is_empty() => None,
            None => Some(self.quiet_since? + limits::REPORT_DELAY),
        }
    }

    /// Whether the peer has not answered a report in time.
    pub(crate) fn is_unanswered(&self, now: Instant) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.answer_due <= now)
    }

    /// The report that is to be sent now that nothing is under way, if any.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Held<I>> {
        let is_due = self.sent.is_none() && self.wake_at().is_some_and(|at| at <= now);
        if is_due { self.next(now) } else { None }
    }

    /// The report that has waited for too long, if any.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Held<I>> {
        let has_waited = self.waiting_since.is_some_and(|since| since + limits::REPORT_DELAY_MOST <= now);
        if has_waited && self.sent.is_none() && !self.is_mute { self.next(now) } else { None }
    }

    fn next(&mut self, now: Instant) -> Option<Held<I>> {
        let next = self.waiting.pop_front();
        self.waiting_since = (!self.waiting.is_empty()).then_some(now);
        next
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
        owed.push(held(1), now);
        owed.push(held(2), now);
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
        assert_eq!(owed.due(later + limits::REPORT_DELAY), Some(held(1)));
    }

    #[tokio::test]
    async fn a_report_does_not_wait_for_ever_for_an_association_to_be_quiet() {
        let now = Instant::now();
        let mut owed = owing(now);
        let late = now + limits::REPORT_DELAY_MOST;
        owed.is_disturbed(late);
        assert_eq!(owed.overdue(late - limits::REPORT_DELAY), None);
        assert!(owed.wake_at().is_some_and(|at| at > late), "nobody is woken within a message");
        assert_eq!(owed.overdue(late), Some(held(1)));
        owed.send(held(1), 0, PATIENCE, late);
        assert_eq!(owed.overdue(late + PATIENCE), None, "one at a time");
        assert!(owed.answered(1).is_some());
        assert_eq!(owed.overdue(late), None, "the next has its time too");
        assert_eq!(owed.overdue(late + limits::REPORT_DELAY_MOST), Some(held(2)));
    }

    #[tokio::test]
    async fn one_report_waits_for_its_answer_at_a_time() {
        let now = Instant::now();
        let mut owed = owing(now);
        let quiet = now + limits::REPORT_DELAY;
        assert_eq!(owed.due(quiet), Some(held(1)));
        assert_eq!(owed.send(held(1), 7, PATIENCE, quiet), 1);
        assert_eq!((owed.wake_at(), owed.due(quiet)), (Some(quiet + PATIENCE), None));
        assert_eq!(owed.answered(2), None, "no such report was sent");
        assert_eq!(owed.answered(1), Some(Some((held(1), 7))));
        assert_eq!(owed.answered(1), Some(None), "answered twice");
        assert_eq!(owed.due(quiet), Some(held(2)));
        assert_eq!(owed.send(held(2), 0, PATIENCE, quiet), 2);
        assert_eq!(owed.answered(2), Some(Some((held(2), 0))));
        assert!(owed.wake_at().is_none() && owed.give_up().is_empty());
    }

    #[tokio::test]
    async fn who_does_not_answer_gets_no_further_reports_here() {
        let now = Instant::now();
        let mut owed = owing(now);
        let quiet = now + limits::REPORT_DELAY;
        assert_eq!(owed.due(quiet), Some(held(1)));
        owed.send(held(1), 0, PATIENCE, quiet);
        assert!(!owed.is_unanswered(quiet) && owed.is_unanswered(quiet + PATIENCE));
        assert_eq!(owed.due(quiet + PATIENCE), None);
        assert_eq!(owed.give_up(), [1, 2]);
        assert!(owed.is_mute() && owed.wake_at().is_none());
        assert_eq!(owed.answered(1), Some(None), "too late");
        assert!(owed.give_up().is_empty());
    }
}
