use std::path::Path;

use archive::Traced;
use model::{InstanceIds, TransferSyntaxUid};
use pipeline::Examined;
use rules::{Arrival, Explanation, RuleSet, Source};
use time::Date;

use super::super::format::moment;
use super::{Now, Subject, origin};

/// All there is to say about one instance.
pub(super) struct Account {
    pub(super) subject: Subject,
    pub(super) ids: InstanceIds,
    pub(super) transfer_syntax: TransferSyntaxUid,
    pub(super) ruling: Ruling,
}

/// What rules make of an instance.
pub(super) struct Ruling {
    /// Which rules, in words.
    pub(super) rules: String,
    pub(super) version: Option<String>,
    /// Whether they are others than those that the instance was routed by.
    pub(super) is_supposed: bool,
    /// What else there is to say about them.
    pub(super) note: Option<String>,
    /// Otherwise the reason why there is nothing to explain.
    pub(super) explanation: Result<Explanation, String>,
}

impl Account {
    pub(super) fn of_file(
        path: &Path,
        examined: Examined,
        rules: Option<&RuleSet>,
        arrival: &Arrival,
        today: Date,
    ) -> Self {
        let explain = |rules: &RuleSet| rules.explain(&examined.header, arrival, today);
        let ruling = Ruling::of_now(rules, |rules| Ok(explain(rules)));
        Self {
            subject: Subject::File(path.to_owned()),
            ids: examined.ids,
            transfer_syntax: examined.transfer_syntax,
            ruling,
        }
    }

    pub(super) fn of_stored(traced: Traced, now: &Now<'_>) -> Self {
        let arrival = origin::of_stored(&traced);
        // `today()` is the day on which it came.
        let today = traced.received.date();
        let explain = |rules: &RuleSet| match pipeline::examine_stored(&traced.instance) {
            Ok(examined) => Ok(rules.explain(&examined.header, &arrival, today)),
            Err(error) => Err(format!(
                "the rules cannot be shown, since the file {} cannot be read: {:#}",
                traced.instance.path.display(),
                anyhow::Error::new(error)
            )),
        };
        let ruling = match now {
            Now::Asked(rules) => Ruling::of_now(*rules, explain),
            Now::Aside(_) | Now::Faulty => Ruling::of_then(&traced, now, explain),
        };
        Self {
            ids: traced.instance.ids.clone(),
            transfer_syntax: traced.instance.transfer_syntax.clone(),
            subject: Subject::Stored(Box::new(traced)),
            ruling,
        }
    }
}

impl Ruling {
    fn of_now(rules: Option<&RuleSet>, explain: impl Fn(&RuleSet) -> Result<Explanation, String>) -> Self {
        let Some(rules) = rules else {
            let none = Self::none("the configuration names no rules, so nothing is routed");
            return Self { is_supposed: true, ..none };
        };
        Self {
            rules: format!("{} (of the configuration)", rules.version()),
            version: Some(rules.version().to_owned()),
            is_supposed: true,
            note: None,
            explanation: explain(rules),
        }
    }

    /// By the rules that were in force when it came.
    fn of_then(
        traced: &Traced,
        now: &Now<'_>,
        explain: impl Fn(&RuleSet) -> Result<Explanation, String>,
    ) -> Self {
        let Some(then) = &traced.rule_set else {
            return Self::none("no rules were in force when it came, so it was kept and not routed");
        };
        let sources: Vec<Source> = then
            .sources
            .iter()
            .map(|(name, text)| Source { name: name.clone(), text: text.clone() })
            .collect();
        let explanation = match rules::load(&sources, None).rules {
            Some(rules) => explain(&rules),
            None => Err("the rules of that time are not understood by this version of gantry".to_owned()),
        };
        let note = match now {
            Now::Faulty => Some("the rules of the configuration have faults: see `gantry check`"),
            Now::Aside(Some(rules)) if rules.version() != then.version => {
                Some("the configuration has other rules now: --current explains by those")
            }
            Now::Aside(None) => Some("the configuration has no rules now"),
            Now::Aside(Some(_)) | Now::Asked(_) => None,
        };
        Self {
            rules: format!("{}, loaded {}", then.version, moment(then.loaded)),
            version: Some(then.version.clone()),
            is_supposed: false,
            note: note.map(str::to_owned),
            explanation,
        }
    }

    fn none(reason: &str) -> Self {
        Self {
            rules: "none".to_owned(),
            version: None,
            is_supposed: false,
            note: None,
            explanation: Err(reason.to_owned()),
        }
    }
}
