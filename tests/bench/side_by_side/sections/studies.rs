//! An index full of made-up studies, and the queries put to it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::figures::{Figures, milliseconds, percentile};
use crate::load::{Load, Turn};
use crate::peers::Server;
use crate::synthetic::{Field, Subject, Template, uid};
use crate::wire::identifier_element;

/// Studies that one day or one surname matches.
pub(super) const MATCHES: u64 = 100;

/// Made-up studies: `count` in all, 100 of each day and of each surname, two of each patient.
#[derive(Clone, Copy)]
pub(super) struct Studies {
    pub(super) count: u64,
    /// Instances of each study, spread over series of up to 25.
    pub(super) instances: u64,
}

/// A question in both dialects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Day,
    Surname,
    Patient,
    Study,
    /// No key at all, limited to 100; QIDO only.
    First,
}

impl Studies {
    /// Stores all of them over 16 associations.
    pub(super) fn fill(self, server: &Server) -> Result<Figures> {
        let next = move |template: &mut Template, turn: Turn| self.set(template, turn.number);
        let load = Load {
            template: &Template::tiny(),
            associations: 16,
            seconds: f64::MAX,
            instances: self.count * self.instances,
            next: &next,
        };
        let figures = load.run(server)?;
        ensure!(figures.failed == Some(0), "{:?} instances were refused", figures.failed);
        Ok(figures)
    }

    fn set(self, template: &mut Template, number: u64) {
        let (study, instance) = (number / self.instances, number % self.instances);
        template.set(Field::SopInstanceUid, &uid(Subject::Instance, study, instance));
        template.set(Field::SeriesInstanceUid, &uid(Subject::Series, study, instance / 25));
        template.set(Field::StudyInstanceUid, &uid(Subject::Study, study, 0));
        template.set(Field::InstanceNumber, &(instance + 1).to_string());
        template.set(Field::StudyDate, &self.day(study));
        template.set(Field::AccessionNumber, &format!("A{study:09}"));
        template.set(Field::PatientName, &format!("{}^{}", self.surname(study), given_name(study)));
        template.set(Field::PatientId, &format!("B{:09}", study / 2));
    }

    /// A day such that each is the day of 100 studies, which lie apart in the order of arrival.
    fn day(self, study: u64) -> String {
        let day = study % self.groups();
        // Months of 28 days make every date valid without a calendar.
        format!("{:04}{:02}{:02}", 1990 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
    }

    /// A surname that 100 studies share, in blocks that are independent of the days.
    fn surname(self, study: u64) -> String {
        let mut left = study / MATCHES;
        let mut name = String::new();
        for _ in 0..4 {
            let syllable = usize::try_from(left % 20).unwrap_or(0);
            name.push_str(SYLLABLES.get(syllable).copied().unwrap_or_default());
            left /= 20;
        }
        name
    }

    fn groups(self) -> u64 {
        (self.count / MATCHES).max(1)
    }

    /// Puts `question` `times` by C-FIND over one association, each time about another value.
    pub(super) fn find(self, server: &Server, question: Question, times: u64) -> Result<Figures> {
        let mut association = server.associate()?;
        let ask = |about: u64| association.find(&self.identifier(question, about));
        let figures = self.ask(server, question, times, ask)?;
        association.release()?;
        Ok(figures)
    }

    /// Puts `question` `times` by QIDO-RS over one connection, each time about another value.
    pub(super) fn search(self, server: &Server, question: Question, times: u64) -> Result<Figures> {
        let mut web = server.web()?;
        self.ask(server, question, times, |about| {
            let body = web.get(&self.url(question, about), "application/dicom+json")?;
            // Every study has one Study Instance UID, and no nested one in these data sets.
            Ok(u64::try_from(String::from_utf8_lossy(&body).matches("\"0020000D\"").count())?)
        })
    }

    fn ask(
        self,
        server: &Server,
        question: Question,
        times: u64,
        mut ask: impl FnMut(u64) -> Result<u64>,
    ) -> Result<Figures> {
        let expected = match question {
            Question::Day | Question::Surname | Question::First => MATCHES,
            Question::Patient => 2,
            Question::Study => 1,
        };
        let mut latencies = Vec::new();
        let cpu_before = server.process.cpu()?;
        let begin = Instant::now();
        for time in 0..times {
            let about = time * 7919 % self.count;
            let asked = Instant::now();
            let matches = ask(about)?;
            latencies.push(asked.elapsed());
            ensure!(matches == expected, "{matches} answers came where {expected} are right");
        }
        let (elapsed, cpu) = (begin.elapsed(), server.process.cpu()?.saturating_sub(cpu_before));
        Ok(Figures { matches: Some(expected), ..query_figures(latencies, elapsed, cpu) })
    }

    fn identifier(self, question: Question, study: u64) -> Vec<u8> {
        let key = |wanted: Question, value: String| if question == wanted { value } else { String::new() };
        let mut out = Vec::new();
        identifier_element(&mut out, 0x0008_0020, &key(Question::Day, self.day(study)), b' ');
        identifier_element(&mut out, 0x0008_0030, "", b' ');
        identifier_element(&mut out, 0x0008_0050, "", b' ');
        identifier_element(&mut out, 0x0008_0052, "STUDY", b' ');
        identifier_element(&mut out, 0x0008_0061, "", b' ');
        identifier_element(&mut out, 0x0008_1030, "", b' ');
        let name = format!("{}*", self.surname(study));
        identifier_element(&mut out, 0x0010_0010, &key(Question::Surname, name), b' ');
        let patient = format!("B{:09}", study / 2);
        identifier_element(&mut out, 0x0010_0020, &key(Question::Patient, patient), b' ');
        identifier_element(&mut out, 0x0020_000D, &key(Question::Study, uid(Subject::Study, study, 0)), 0);
        identifier_element(&mut out, 0x0020_1206, "", b' ');
        identifier_element(&mut out, 0x0020_1208, "", b' ');
        out
    }

    fn url(self, question: Question, study: u64) -> String {
        let filter = match question {
            Question::Day => format!("StudyDate={}", self.day(study)),
            Question::Surname => format!("PatientName={}*", self.surname(study)),
            Question::Patient => format!("PatientID=B{:09}", study / 2),
            Question::Study => format!("StudyInstanceUID={}", uid(Subject::Study, study, 0)),
            Question::First => format!("limit={MATCHES}"),
        };
        format!("/dicom-web/studies?{filter}")
    }
}

fn query_figures(mut latencies: Vec<Duration>, elapsed: Duration, cpu: Duration) -> Figures {
    latencies.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = latencies.len() as f64;
    Figures {
        per_second: Some(count / elapsed.as_secs_f64()),
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        cpu_ms: Some(milliseconds(cpu) / count),
        ..Figures::default()
    }
}

fn given_name(study: u64) -> &'static str {
    let index = usize::try_from(study / 2 % 10).unwrap_or(0);
    GIVEN_NAMES.get(index).copied().unwrap_or_default()
}

const SYLLABLES: [&str; 20] = [
    "BA", "CE", "DI", "FO", "GU", "HA", "JE", "KI", "LO", "MU", "NA", "PE", "RI", "SO", "TU", "VA", "WE",
    "XI", "YO", "ZU",
];
const GIVEN_NAMES: [&str; 10] =
    ["ADA", "BEN", "CLARA", "DAVID", "EMMA", "FELIX", "GRETA", "HUGO", "IDA", "JONAS"];
