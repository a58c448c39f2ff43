use std::sync::Arc;

use archive::Cursor;
use model::query::Query;
use model::{UpstreamName, Vr, limits};
use telemetry::{Event, UpstreamEnd};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::UpstreamError;
use super::bridge::Member;
use super::port::{Answer, Behalf, Told};
use super::rows::{Candidate, INSTANCE_AVAILABILITY, Sieve, UpstreamRow};
use crate::{Error, Pipeline};

/// The rows of upstream archives that join the answer to a query, as they come.
///
/// Memory: [`limits::UPSTREAM_ROWS_WAITING`] rows twice, and 16 bytes for each that was given, 32 for a patient. Dropped, the upstream archives are told
/// that nobody wants more.
pub struct FromUpstreams {
    pipeline: Pipeline,
    asked: Vec<AskedOne>,
    receiver: mpsc::Receiver<Told>,
    /// What was told of ends, to be taken note of behind the rows that came before.
    ends: Vec<(usize, Result<(), UpstreamError>)>,
    sieve: Sieve,
    started: Instant,
}

/// One upstream archive that is asked.
struct AskedOne {
    member: Arc<Member>,
    /// Rows given on.
    rows: u64,
    is_over: bool,
    is_whole: bool,
}

/// The rows of upstream archives, all at once.
#[derive(Debug, Default)]
pub struct Gathered {
    /// In the order in which the upstream archives are configured, and each in its own.
    pub rows: Vec<UpstreamRow>,
    /// Those whose rows are not all here.
    pub incomplete: Vec<UpstreamName>,
    /// Those that did not match, or return, all that was asked for.
    pub unsure: Vec<UpstreamName>,
}

impl Pipeline {
    /// Begins to ask the upstream archives for what matches a query, but for its limit and offset; `None` when there is none to be
    /// asked.
    pub fn ask_upstreams(&self, query: &Query, behalf: &Behalf) -> Option<FromUpstreams> {
        let bridge = self.bridge.get()?;
        let members = bridge.finding(behalf);
        if members.is_empty() {
            return None;
        }
        let sieve = Sieve::new(query);
        let (sender, receiver) = mpsc::channel(limits::UPSTREAM_ROWS_WAITING);
        let mut asked = Vec::new();
        for (place, member) in members.into_iter().enumerate() {
            let is_down = member.health.is_down();
            if is_down {
                self.note_skipped(&member);
            } else {
                bridge.ask(&member, sieve.asked(behalf.hops + 1), sender.clone(), place);
            }
            asked.push(AskedOne { member, rows: 0, is_over: is_down, is_whole: false });
        }
        let (pipeline, started) = (self.clone(), Instant::now());
        Some(FromUpstreams { pipeline, asked, receiver, ends: Vec::new(), sieve, started })
    }

    /// How many rows a query has, up to `most`, whatever its limit and offset. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn count_rows(&self, query: &Query, most: u32) -> Result<u32, Error> {
        let query = Query { include: Default::default(), limit: Some(most), offset: 0, ..query.clone() };
        let (mut rows, mut after): (u32, Option<Cursor>) = (0, None);
        loop {
            let page = self.archive.find(&query, after).await?;
            rows = rows.saturating_add(u32::try_from(page.rows.len()).unwrap_or(u32::MAX));
            after = page.next;
            if after.is_none() || rows >= most {
                return Ok(rows.min(most));
            }
        }
    }

    /// Takes note that an upstream archive is left alone for a while.
    pub(super) fn note_skipped(&self, member: &Member) {
        self.count(member, UpstreamEnd::Skipped, 0, Instant::now());
    }

    fn count(&self, member: &Member, end: UpstreamEnd, rows: u64, started: Instant) {
        let (upstream, elapsed) = (member.name().clone(), started.elapsed());
        self.telemetry.record(Event::UpstreamQuery { upstream, end, rows, elapsed });
    }
}

impl FromUpstreams {
    /// The next rows, which we do not have; `None` when all have answered, or there are more than can be told apart. Not cancel safe:
    /// a dropped call may have taken rows.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<UpstreamRow>>, Error> {
        loop {
            let mut told = Vec::new();
            if self.sieve.is_full() || self.told(&mut told).await == 0 {
                self.note_ends();
                return Ok(None);
            }
            let answers = self.answers(told);
            let rows = self.sift(answers).await?;
            self.note_ends();
            if self.sieve.is_full() {
                tracing::warn!(
                    rows = limits::UPSTREAM_ROWS,
                    "upstream archives have more rows than are given on"
                );
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    /// Waits for all rows, of which some are left out where they are more than a client's answer may hold. Not cancel safe.
    ///
    /// # Errors
    /// As [`FromUpstreams::next`].
    pub async fn gather(mut self) -> Result<Gathered, Error> {
        let (mut answers, mut bytes) = (Vec::new(), 0);
        loop {
            let mut told = Vec::new();
            if self.told(&mut told).await == 0 {
                break;
            }
            for answer in self.answers(told) {
                bytes += answer.bytes;
                if answers.len() < limits::UPSTREAM_ROWS_HELD && bytes <= limits::UPSTREAM_HELD_BYTES {
                    answers.push(answer);
                }
            }
            if answers.len() >= limits::UPSTREAM_ROWS_HELD || bytes > limits::UPSTREAM_HELD_BYTES {
                tracing::warn!(
                    rows = answers.len(),
                    "upstream archives have more rows than one answer holds"
                );
                break;
            }
        }
        answers.sort_by_key(|answer| answer.place);
        let (mut rows, mut answers) = (Vec::new(), answers.into_iter().peekable());
        while answers.peek().is_some() {
            let batch = answers.by_ref().take(limits::UPSTREAM_ROWS_WAITING).collect();
            rows.extend(self.sift(batch).await?);
        }
        self.note_ends();
        let mut unsure: Vec<_> =
            rows.iter().filter(|row| row.has_unknown_keys).map(|row| row.upstream.clone()).collect();
        unsure.dedup();
        Ok(Gathered { rows, incomplete: self.incomplete(), unsure })
    }

    /// The upstream archives that have not given everything, or not yet.
    pub fn incomplete(&self) -> Vec<UpstreamName> {
        self.asked.iter().filter(|one| !one.is_whole).map(|one| one.member.name().clone()).collect()
    }

    /// Waits for what upstream archives tell next; how much it is.
    async fn told(&mut self, told: &mut Vec<Told>) -> usize {
        let received = self.receiver.recv_many(told, limits::UPSTREAM_ROWS_WAITING).await;
        if received == 0 {
            // Of those that have told their end, this is too late to be heard.
            self.ends.extend((0..self.asked.len()).map(|place| (place, Err(UpstreamError::broken_off()))));
        }
        received
    }

    /// The answers in what was told; ends are put aside.
    fn answers(&mut self, told: Vec<Told>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for told in told {
            match told {
                Told::Row(answer) => answers.push(answer),
                Told::Ended { place, end } => self.ends.push((place, end)),
            }
        }
        answers
    }

    /// Takes note of the ends that were told; the first one of each counts.
    fn note_ends(&mut self) {
        for (place, end) in std::mem::take(&mut self.ends) {
            let Some(one) = self.asked.get_mut(place).filter(|one| !one.is_over) else { continue };
            one.is_over = true;
            one.is_whole = end.is_ok();
            one.member.note(&end, one.rows, self.started.elapsed(), &self.pipeline.telemetry);
        }
    }

    /// The rows among answers that we do not have.
    async fn sift(&mut self, answers: Vec<Answer>) -> Result<Vec<UpstreamRow>, Error> {
        let sieve = &mut self.sieve;
        let candidates: Vec<_> = answers.into_iter().filter_map(|answer| sieve.candidate(answer)).collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let (query, mut ours, mut after) = (sieve.ours(&candidates), Vec::new(), None);
        loop {
            let page = self.pipeline.archive.find(&query, after).await?;
            ours.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let candidates = self.sieve.without(candidates, &ours);
        let asked = &mut self.asked;
        let row = |candidate: Candidate| {
            let one = asked.get_mut(candidate.place)?;
            one.rows += 1;
            let Candidate { mut row, has_unknown_keys, .. } = candidate;
            if !one.member.upstream.fetches() {
                row.attributes.insert_text(INSTANCE_AVAILABILITY, Vr::CS, "UNAVAILABLE");
            }
            let (upstream, (_, ae_title)) = (one.member.name().clone(), one.member.upstream.peer());
            Some(UpstreamRow { row, upstream, ae_title: ae_title.clone(), has_unknown_keys })
        };
        Ok(candidates.into_iter().filter_map(row).collect())
    }
}

impl Drop for FromUpstreams {
    fn drop(&mut self) {
        for one in self.asked.iter().filter(|one| !one.is_over) {
            self.pipeline.count(&one.member, UpstreamEnd::Cancelled, one.rows, self.started);
        }
    }
}
