use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use model::header::Header;
use model::syntax;
use time::macros::date;

use super::*;
use crate::{Arrival, Decision, Verdict};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn destinations(names: &str) -> Vec<DestinationName> {
    names.split_whitespace().map(DestinationName::new).collect()
}

/// The rules of texts that have no error.
fn rules(texts: &[&str]) -> RuleSet {
    let name = |index: usize| format!("{}.toml", char::from(b'a' + u8::try_from(index).unwrap()));
    let sources: Vec<Source> =
        texts.iter().enumerate().map(|(index, text)| source(&name(index), text)).collect();
    let loaded = load(&sources, None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

fn rule(name: &str, rest: &str) -> String {
    format!("[[rule]]\nname = '{name}'\n{rest}\n")
}

/// An instance of one modality.
fn instance(modality: &str) -> Header {
    let mut bytes = Vec::new();
    let encoding = syntax::Encoding::ExplicitLittle;
    model::element::put(&mut bytes, encoding, model::Tag(8, 0x60), model::Vr::CS, modality.as_bytes());
    model::scan::scan(syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN), &bytes).unwrap()
}

/// Where an instance of a modality goes, each with the rule.
fn sends(rules: &RuleSet, modality: &str) -> Vec<(String, usize)> {
    let decision = rules.decide(&instance(modality), &Arrival::default(), date!(2026 - 01 - 01));
    decision.sends.iter().map(|send| (send.destination.to_string(), send.rule)).collect()
}

/// What became of each rule.
fn verdicts(rules: &RuleSet, modality: &str) -> Vec<Verdict> {
    let explanation = rules.explain(&instance(modality), &Arrival::default(), date!(2026 - 01 - 01));
    explanation.rules.iter().map(|explained| explained.verdict).collect()
}

/// `UPDATE_MISTAKES=1 cargo test -p rules mistakes` writes the answers anew, to be reviewed.
#[test]
fn mistakes_are_told_with_their_place_and_the_way_out() {
    let path = root().join("testdata/rules/mistakes.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, mistakes) = text.split_once("=== ").unwrap();
    let mut written = head.to_owned();
    let mut count = 0;
    for mistake in mistakes.split("\n=== ") {
        let (title, rest) = mistake.split_once('\n').unwrap();
        let (file, _) = rest.split_once("---\n").unwrap();
        let known = destinations(title.split_once(" |").map_or("pacs", |(_, names)| names));
        let Loaded { findings, unused, .. } = load(&[source("", file)], Some(&known));
        assert!(!findings.is_empty() || !unused.is_empty(), "{title}: nothing is said");
        write!(written, "=== {title}\n{file}---\n").unwrap();
        for finding in findings {
            writeln!(written, "{}", finding.to_string().trim_start_matches(':')).unwrap();
        }
        for name in unused {
            writeln!(written, "unused: {name}").unwrap();
        }
        written.push('\n');
        count += 1;
    }
    assert!(count >= 40, "{count}");
    if std::env::var_os("UPDATE_MISTAKES").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert!(text == written, "run UPDATE_MISTAKES=1 cargo test -p rules mistakes, and review the difference");
}

/// The shipped rule files: each alone, and all together as a server reads them.
#[test]
fn shipped_rules_are_right_alone_and_together() {
    let mut sources: Vec<Source> = std::fs::read_dir(root().join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            source(path.file_name().unwrap().to_str().unwrap(), &std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(sources.len() >= 3);
    for source in &sources {
        expect_sound(std::slice::from_ref(source));
    }
    expect_sound(&sources);
}

/// Nothing is found, every test passes, and every rule is matched by one.
fn expect_sound(sources: &[Source]) {
    let historic = load(sources, None);
    assert_eq!(historic.findings, [], "{:?}", sources[0].name);
    let mut known: Vec<DestinationName> =
        historic.rules.unwrap().rules().iter().flat_map(|rule| rule.send.clone()).collect();
    known.sort();
    known.dedup();
    let loaded = load(sources, Some(&known));
    assert_eq!(loaded.findings, []);
    let rules = loaded.rules.unwrap();
    assert!(loaded.tests.len() >= rules.rules().len(), "{:?} has too few tests", sources[0].name);
    assert!(loaded.tests.iter().all(|test| test.failure.is_none()));
}

#[test]
fn every_rule_that_matches_sends_and_each_destination_is_sent_to_once() {
    let first = rule("a", "when = 'Modality == \"CT\"'\nsend = ['pacs', 'cloud']");
    let second = rule("b", "when = 'true'\nsend = ['copy', 'pacs']");
    let rules = rules(&[&first, &second]);
    let to = |name: &str, rule| (name.to_owned(), rule);
    assert_eq!(sends(&rules, "CT"), [to("pacs", 0), to("cloud", 0), to("copy", 1)]);
    assert_eq!(sends(&rules, "MR"), [to("copy", 1), to("pacs", 1)]);
    assert_eq!(verdicts(&rules, "CT"), [Verdict::Matched, Verdict::Matched]);
    assert_eq!(verdicts(&rules, "MR"), [Verdict::NotMatched, Verdict::Matched]);
}

#[test]
fn a_rule_that_stops_ends_the_asking_in_all_files() {
    let drop = rule("drop", "when = 'Modality == \"OT\"'\nsend = []\nstop = true");
    let all = rule("all", "when = 'true'\nsend = ['pacs']");
    let rest = rule("rest", "otherwise = true\nsend = ['copy']");
    let rules = rules(&[&drop, &format!("{all}{rest}")]);
    assert_eq!(sends(&rules, "OT"), []);
    let stopped = Verdict::NotReached { stopped_by: 0 };
    assert_eq!(verdicts(&rules, "OT"), [Verdict::Matched, stopped, stopped]);
    assert_eq!(sends(&rules, "CT"), [("pacs".to_owned(), 1)]);
    let taken = Verdict::OtherwiseNotTaken { matched: 1 };
    assert_eq!(verdicts(&rules, "CT"), [Verdict::NotMatched, Verdict::Matched, taken]);
}

#[test]
fn otherwise_is_what_no_rule_before_it_matched() {
    let ct = rule("ct", "when = 'Modality == \"CT\"'\nsend = ['pacs']");
    let rest = rule("rest", "otherwise = true\nsend = ['copy']\nstop = true");
    let mr = rule("mr", "when = 'Modality == \"MR\"'\nsend = ['cloud']");
    let rules = rules(&[&ct, &rest, &mr]);
    assert_eq!(sends(&rules, "CT"), [("pacs".to_owned(), 0)]);
    assert_eq!(sends(&rules, "MR"), [("copy".to_owned(), 1)], "the one behind it is not before it");
    let verdicts = verdicts(&rules, "MR");
    let not_reached = Verdict::NotReached { stopped_by: 1 };
    assert_eq!(verdicts, [Verdict::NotMatched, Verdict::OtherwiseTaken, not_reached]);
}

#[test]
fn a_rule_that_takes_too_long_is_given_up_and_the_others_go_on() {
    let mut bytes = Vec::new();
    let encoding = syntax::Encoding::ExplicitLittle;
    let values = "A\\".repeat(30_000);
    model::element::put(&mut bytes, encoding, model::Tag(8, 8), model::Vr::CS, values.as_bytes());
    let header = model::scan::scan(syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN), &bytes).unwrap();
    const DEAR: &str = "any(ImageType, any(ImageType, it == \"B\"))";
    let dear =
        |name: &str, not: &str| rule(name, &format!("when = '{not}{DEAR}'\nsend = ['pacs']\nstop = true"));
    let cheap = rule("cheap", "when = 'any(ImageType, it == \"A\")'\nsend = ['cloud']");
    let plain = rule("plain", "when = 'has(ImageType)'\nsend = ['copy']");
    let decide = |set: &RuleSet| set.decide(&header, &Arrival::default(), date!(2026 - 01 - 01));
    let to = |decision: &Decision| -> Vec<usize> { decision.sends.iter().map(|send| send.rule).collect() };

    let rest = rule("rest", "otherwise = true\nsend = ['pacs']");
    let set = rules(&[&(dear("one", "") + &dear("two", "!") + &cheap + &plain + &rest)]);
    let decision = decide(&set);
    assert_eq!((to(&decision), decision.given_up), (vec![2, 3], vec![0, 1]));
    let explanation = set.explain(&header, &Arrival::default(), date!(2026 - 01 - 01));
    let verdicts: Vec<Verdict> = explanation.rules.iter().map(|explained| explained.verdict).collect();
    let taken = Verdict::OtherwiseNotTaken { matched: 2 };
    assert_eq!(verdicts, [Verdict::GivenUp, Verdict::GivenUp, Verdict::Matched, Verdict::Matched, taken]);
    assert!(explanation.rules[0].steps.is_empty() && explanation.rules[0].sends.is_empty());

    // What all may take together is bounded, too; what is asked once is asked all the same.
    let many: String = (0..20).map(|n| dear(&format!("dear {n}"), "")).collect();
    let set = rules(&[&(many + &cheap + &plain)]);
    let decision = decide(&set);
    assert_eq!((to(&decision), decision.given_up), (vec![21], (0..21).collect()));
}

#[test]
fn versions_change_with_what_they_are_of() {
    let text = rule("a", "when = 'Modality == \"CT\"'\nsend = ['pacs']");
    let version = |text: &str| rules(&[text]).rules()[0].version.clone();
    let of_text = version(&text);
    assert_eq!(of_text.len(), 12);
    assert_eq!(version(&format!("# a comment\n{text}")), of_text);
    assert_eq!(version(&text.replace("'a'", "'b'")), of_text, "the name is told beside it");
    let other = ["stop = true", "send", "when"].map(|part| match part {
        "stop = true" => version(&format!("{text}stop = true\n")),
        "send" => version(&text.replace("pacs", "cloud")),
        _ => version(&text.replace("CT", "MR")),
    });
    assert!(!other.contains(&of_text));

    let set = |name: &str, text: &str| load(&[source(name, text)], None).rules.unwrap().version().to_owned();
    let of_set = set("a.toml", &text);
    assert_eq!(of_set.len(), 12);
    assert_eq!(set("a.toml", &text), of_set);
    assert_ne!(set("b.toml", &text), of_set);
    assert_ne!(set("a.toml", &format!("# a comment\n{text}")), of_set);
}

#[test]
fn rules_of_another_day_load_without_destinations_and_tests() {
    let text = rule("a", "when = 'true'\nsend = ['gone']")
        + "[[test]]\nname = 't'\ngiven = {}\nexpect = ['elsewhere']\n";
    let loaded = load(&[source("a.toml", &text)], None);
    assert_eq!((loaded.findings, loaded.tests), (Vec::new(), Vec::new()));
    let rules = loaded.rules.unwrap();
    assert_eq!((rules.rules()[0].line, rules.rules()[0].file.as_str()), (2, "a.toml"));
    assert_eq!(rules.sources(), [source("a.toml", &text)]);
}

#[test]
fn tests_see_the_rules_of_all_files() {
    let rest = rule("rest", "otherwise = true\nsend = ['copy']");
    let ct = rule("ct", "when = 'Modality == \"CT\"'\nsend = ['pacs']")
        + "[[test]]\nname = 'MR'\ngiven = { Modality = 'MR' }\nexpect = ['copy']\n";
    let known = destinations("pacs copy");
    let loaded = load(&[source("a.toml", &ct), source("b.toml", &rest)], Some(&known));
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.tests.len(), 1);
    let loaded = load(&[source("a.toml", &ct)], Some(&destinations("pacs copy")));
    assert!(loaded.rules.is_none());
    let failure = loaded.tests[0].failure.as_deref().unwrap();
    assert_eq!(failure, "not sent to copy; no rule matched");
}

#[test]
fn the_day_of_a_test_is_its_own() {
    let rule = rule("recent", "when = 'StudyDate >= today() - days(7)'\nsend = ['pacs']");
    let test = |today: &str| {
        let text = format!(
            "{rule}[[test]]\nname = 't'\n{today}\ngiven = {{ StudyDate = 2026-03-25 }}\nexpect = ['pacs']\n"
        );
        load(&[source("a.toml", &text)], Some(&destinations("pacs"))).rules.is_some()
    };
    assert!(test("today = 2026-03-31"));
    assert!(!test("today = 2026-04-03"));
}

#[test]
fn too_much_is_refused() {
    let text = "#".repeat(limits::RULE_FILE_BYTES + 1);
    let loaded = load(&[source("a.toml", &text)], None);
    assert!(loaded.findings[0].message.starts_with("the file has 1048577 bytes, more than"));
    let many: String = (0..=limits::RULES)
        .map(|index| rule(&index.to_string(), "when = 'true'\nsend = []\nstop = true"))
        .collect();
    let loaded = load(&[source("a.toml", &many)], None);
    assert!(loaded.rules.is_none());
    assert_eq!(loaded.findings[0].message, "there are 4097 rules, more than 4096");
}
