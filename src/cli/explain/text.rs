//! An account as a reader at a terminal sees it.

use std::io::IsTerminal;

use archive::{DeliveryRecord, DeliveryState, Traced};
use model::{sop, syntax};
use rules::{Explained, Explanation, Verdict};
use time::OffsetDateTime;

use super::super::format::{ago, clean, count, moment, until, width, wrap};
use super::account::Account;
use super::steps::steps;
use super::{Subject, origin};

/// How a page looks.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) width: usize,
    has_colour: bool,
    now: OffsetDateTime,
}

/// What a word is shown as.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Bad,
    Strong,
    Quiet,
}

pub(super) fn accounts(accounts: &[Account]) -> String {
    let has_colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let page = Page { width: width().unwrap_or(100), has_colour, now: OffsetDateTime::now_utc() };
    accounts.iter().map(|account| page.account(account)).collect::<Vec<_>>().join("\n\n\n")
}

impl Page {
    fn account(self, account: &Account) -> String {
        let mut parts = vec![self.head(account)];
        parts.push(match &account.ruling.explanation {
            Ok(explanation) => self.rules(explanation),
            Err(reason) => format!("{}\n{}", self.tone("Rules", Tone::Strong), wrap(reason, 2, 2)),
        });
        parts.push(match &account.subject {
            Subject::Stored(traced) if !account.ruling.is_supposed => self.deliveries(traced),
            Subject::Stored(_) | Subject::File(_) => self.outlook(account),
        });
        parts.join("\n\n")
    }

    fn head(self, account: &Account) -> String {
        let ids = &account.ids;
        let title = match &account.subject {
            Subject::File(path) => clean(&path.display().to_string()),
            Subject::Stored(traced) if traced.version > 1 => {
                format!(
                    "Instance {}, version {}: other content under the same UID",
                    ids.sop_instance, traced.version
                )
            }
            Subject::Stored(_) => format!("Instance {}", ids.sop_instance),
        };
        let class = sop::name(ids.sop_class.as_str()).unwrap_or(ids.sop_class.as_str());
        let syntax =
            syntax::name(account.transfer_syntax.as_str()).unwrap_or(account.transfer_syntax.as_str());
        let mut lines = vec![
            self.tone(&title, Tone::Strong),
            wrap(&format!("{class}, {syntax}"), 2, 2),
            format!("  study     {}", ids.study),
            format!("  series    {}", ids.series),
        ];
        match &account.subject {
            Subject::Stored(traced) => lines.push(wrap(&format!("received  {}", received(traced)), 2, 12)),
            Subject::File(_) => lines.push(format!("  instance  {}", ids.sop_instance)),
        }
        lines.push(wrap(&format!("rules     {}", account.ruling.rules), 2, 12));
        lines.extend(account.ruling.note.as_ref().map(|note| wrap(note, 12, 12)));
        lines.join("\n")
    }

    fn rules(self, explanation: &Explanation) -> String {
        let all = &explanation.rules;
        let mut text = self.tone("Rules", Tone::Strong);
        for explained in all {
            text += &format!("\n{}", self.rule(explained, all));
        }
        if all.is_empty() {
            text += "\n  there are none";
        }
        if all.iter().flat_map(|explained| &explained.steps).any(|step| step.value.is_none()) {
            text += "\n\n  - : not needed, what stands before it had decided";
        }
        text
    }

    /// `  match     1  ER chest CT → pacs, cloud          rules/er-chest-ct.toml:3`, and its steps below.
    fn rule(self, explained: &Explained, all: &[Explained]) -> String {
        let number = |index: usize| match all.get(index) {
            Some(other) => format!("{} ({})", index + 1, clean(other.name.as_str())),
            None => (index + 1).to_string(),
        };
        let name = clean(explained.name.as_str());
        let because = match explained.verdict {
            Verdict::Matched => String::new(),
            Verdict::NotMatched => String::new(),
            Verdict::GivenUp => {
                ": given up, its any(…) or all(…) has too many values or items to go through".to_owned()
            }
            Verdict::OtherwiseTaken => ": no earlier rule matched".to_owned(),
            Verdict::OtherwiseNotTaken { matched } => format!(": rule {} matched", number(matched)),
            Verdict::NotReached { stopped_by } => format!(": rule {} stopped", number(stopped_by)),
        };
        let sends: Vec<&str> = explained.sends.iter().map(|name| name.as_str()).collect();
        let (word, tone, to) = match (explained.verdict.is_match(), sends.is_empty()) {
            (true, false) => ("match", Tone::Good, format!(" → {}", sends.join(", "))),
            (true, true) => ("match", Tone::Good, " → nowhere".to_owned()),
            (false, _) => ("no match", Tone::Quiet, String::new()),
        };
        let said = format!("{:>3}  {name}{because}{to}", explained.rule + 1);
        let place = format!("{}:{}", explained.file, explained.line);
        let used = 2 + 8 + said.chars().count() + 2 + place.chars().count();
        let line = match self.width.checked_sub(used) {
            Some(room) => {
                let place = self.tone(&place, Tone::Quiet);
                format!("  {}{said}{}  {place}", self.tone(&format!("{word:8}"), tone), " ".repeat(room))
            }
            None => {
                let said = wrap(&said, 0, INDENT);
                let place = self.tone(&place, Tone::Quiet);
                format!("  {}  {said}\n{}{place}", self.tone(&format!("{word:8}"), tone), " ".repeat(INDENT))
            }
        };
        let steps = steps(self, &explained.steps, INDENT);
        format!("\n{line}{steps}")
    }

    fn deliveries(self, traced: &Traced) -> String {
        let title = self.tone("Where it went", Tone::Strong);
        if traced.deliveries.is_empty() {
            return format!("{title}\n  nowhere");
        }
        let column = traced.deliveries.iter().map(|one| one.destination.as_str().chars().count()).max();
        let column = column.unwrap_or(0);
        let one = |delivery: &DeliveryRecord| {
            let name = format!("{:column$}", delivery.destination.as_str());
            let (said, tone) = self.outcome(delivery);
            let indent = column + 4;
            let mut lines =
                vec![format!("  {}  {}", self.tone(&name, tone), wrap(&said, indent, indent).trim_start())];
            let answer = Some(delivery.status.as_str()).filter(|status| !status.is_empty());
            lines.extend(answer.map(|answer| wrap(&clean(answer), indent, indent + 2)));
            lines.push(wrap(&asked_by(delivery), indent, indent));
            let sent = delivery.sent.as_ref();
            lines.extend(
                sent.map(|sent| format!("{}SHA-256 of what was sent:\n{0}{}", " ".repeat(indent), hex(sent))),
            );
            lines.join("\n")
        };
        let lines: Vec<String> = traced.deliveries.iter().map(one).collect();
        format!("{title}\n{}", lines.join("\n"))
    }

    fn outcome(self, delivery: &DeliveryRecord) -> (String, Tone) {
        let attempts = count(delivery.attempts.into(), "attempt", "attempts");
        match delivery.state {
            DeliveryState::Ready if delivery.attempts == 0 => {
                (format!("ready since {}, not tried yet", moment(delivery.queued)), Tone::Quiet)
            }
            DeliveryState::Ready => (format!("ready to be tried again after {attempts}"), Tone::Quiet),
            DeliveryState::Leased => (format!("being delivered now, after {attempts}"), Tone::Quiet),
            DeliveryState::Retrying => {
                (format!("retrying: {attempts}, next {}", until(delivery.due, self.now)), Tone::Bad)
            }
            DeliveryState::Dead => (
                format!("dead letter after {attempts}: `gantry queue retry --dead` queues it again"),
                Tone::Bad,
            ),
            DeliveryState::Delivered => {
                let done = delivery.done.unwrap_or(delivery.queued);
                let took = ago(delivery.queued, done);
                (format!("delivered {}, {took} after it was queued, {attempts}", moment(done)), Tone::Good)
            }
            DeliveryState::Withheld => ("withheld: it came from there".to_owned(), Tone::Quiet),
            DeliveryState::Verifying => {
                let stored = moment(delivery.done.unwrap_or(delivery.queued));
                let ask = until(delivery.due, self.now);
                (
                    format!("stored {stored}, {attempts}; storage is not committed to yet, next asked {ask}"),
                    Tone::Quiet,
                )
            }
        }
    }

    /// Where it would go by rules that have not seen it.
    fn outlook(self, account: &Account) -> String {
        let mut names: Vec<&str> = Vec::new();
        if let Ok(explanation) = &account.ruling.explanation {
            for name in explanation.rules.iter().flat_map(|explained| &explained.sends) {
                if !names.contains(&name.as_str()) {
                    names.push(name.as_str());
                }
            }
        }
        let to = if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") };
        format!("{}\n{}", self.tone("Where it would go", Tone::Strong), wrap(&to, 2, 2))
    }

    pub(super) fn tone(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Strong => "1",
            Tone::Quiet => "2",
        };
        if self.has_colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Where the steps of a rule stand: below its name.
const INDENT: usize = 15;

/// `2026-11-24 04:40:12 UTC by C-STORE from ER_CT1 at 10.2.3.4 (peer er-ct1), which called GANTRY`
fn received(traced: &Traced) -> String {
    let mut text = format!("{} by {}", moment(traced.received), origin::service(traced.door));
    if let Some(title) = &traced.calling_aet {
        text += &format!(" from {title}");
    }
    if let Some(address) = traced.address {
        text += &format!(" at {address}");
    }
    if let Some(peer) = &traced.peer {
        text += &format!(" (peer {peer})");
    }
    if let Some(called) = &traced.called_aet {
        text += &format!(", which called {called}");
    }
    clean(&text)
}

fn asked_by(delivery: &DeliveryRecord) -> String {
    match &delivery.rule {
        Some((rule, version)) => format!("by rule \"{}\" ({version})", clean(rule.as_str())),
        None => "by hand (gantry resend)".to_owned(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
