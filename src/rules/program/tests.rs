use std::path::Path;
use std::time::Instant;

use model::header::Header;
use model::syntax::{self, Encoding};
use model::{Tag, Vr, element, scan};
use proptest::prelude::*;
use time::macros::date;
use toml::de::{DeTable, DeValue};

use super::*;
use crate::Arrival;
use crate::finding::Finder;
use crate::given::{self, Given};

/// What an expression comes to for an instance; `None` when that takes too many steps.
fn evaluate(text: &str, header: &Header, arrival: &Arrival) -> Option<bool> {
    let mut symbols = Symbols::default();
    let (program, _) =
        Program::compile(text, &mut symbols).unwrap_or_else(|flaws| panic!("{text}: {flaws:?}"));
    let facts = Facts::new(&symbols, header, arrival, date!(2026 - 03 - 31));
    let holds = program.matches(&facts);
    if let Some(holds) = holds {
        assert_eq!(program.whole.holds(&facts), holds, "{text}: the same before constants are folded");
        assert!(!program.trace(&facts).is_empty(), "{text}");
    }
    holds
}

/// What is said of an expression.
fn said(text: &str) -> Vec<Flaw> {
    match Program::compile(text, &mut Symbols::default()) {
        Ok((_, warnings)) => warnings,
        Err(flaws) => flaws,
    }
}

fn given(line: &str) -> Given {
    let root = DeTable::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let DeValue::Table(entries) = root.get_ref()["given"].get_ref() else { panic!("{line}") };
    let mut finder = Finder::new("", line);
    let given = given::read(entries, &(0..0), &mut finder);
    given.unwrap_or_else(|| panic!("{line}: {:?}", finder.finish()))
}

#[test]
fn conditions_come_to_what_is_written_of_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rules/conditions.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("\n\n").unwrap();
    let mut instance = None;
    let (mut count, mut wrong) = (0, Vec::new());
    for line in rest.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with("given") {
            instance = Some(given(line));
            continue;
        }
        let (expected, expression) = line.split_once(' ').unwrap();
        let Given { header, arrival } = instance.as_ref().unwrap();
        if let Err(flaws) = Program::compile(expression, &mut Symbols::default()) {
            wrong.push(format!("{line}: {flaws:?}"));
            continue;
        }
        let holds = evaluate(expression.trim(), header, arrival);
        count += 1;
        if holds != Some(expected == "true") {
            wrong.push(format!("{line}: {holds:?}"));
        }
    }
    assert!(count > 120, "{count}");
    assert!(wrong.is_empty(), "of {count}:\n{}", wrong.join("\n"));
}

/// Elements of a data set.
#[derive(Clone, Default)]
struct Elements(Vec<u8>);

impl Elements {
    fn put(mut self, tag: Tag, vr: Vr, value: &[u8]) -> Self {
        element::put(&mut self.0, Encoding::ExplicitLittle, tag, vr, value);
        self
    }

    /// A sequence of defined length.
    fn sequence(self, tag: Tag, items: impl IntoIterator<Item = Self>) -> Self {
        let mut value = Vec::new();
        for Self(item) in items {
            value.extend([0xFE, 0xFF, 0x00, 0xE0]);
            value.extend(u32::try_from(item.len()).unwrap().to_le_bytes());
            value.extend(item);
        }
        self.put(tag, Vr::SQ, &value)
    }

    fn header(&self) -> Header {
        scan::scan(syntax::form(syntax::EXPLICIT_VR_LITTLE_ENDIAN), &self.0).unwrap()
    }

    fn holds(&self, text: &str) -> Option<bool> {
        evaluate(text, &self.header(), &Arrival::default())
    }
}

const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
const CODE: Tag = Tag(0x0008, 0x0100);
const CODES: Tag = Tag(0x0008, 0x1032);
const REQUESTS: Tag = Tag(0x0040, 0x0275);

#[test]
fn texts_are_read_by_their_character_set() {
    for (set, name, expected) in [
        (&b"ISO_IR 100"[..], &b"M\xFCller"[..], "Müller"),
        (b"ISO_IR 144", b"\xBB\xEE\xDA", "Люк"),
        (b"ISO_IR 192", "山田".as_bytes(), "山田"),
        (b"GB18030", b"\xCD\xF5", "王"),
        (b"\\ISO 2022 IR 87", b"\x1B$B;3ED\x1B(B", "山田"),
        (b"", b"M\xFCller", "Müller"),
    ] {
        let one = Elements::default().put(CHARACTER_SET, Vr::CS, set).put(Tag(0x0010, 0x0010), Vr::PN, name);
        assert_eq!(one.holds(&format!("PatientName == {expected:?}")), Some(true), "{expected}");
        assert_eq!(one.holds(&format!("contains(PatientName, {expected:?})")), Some(true), "{expected}");
    }
    // An item may state its own.
    let item = Elements::default().put(CHARACTER_SET, Vr::CS, b"ISO_IR 144").put(
        Tag(0x0008, 0x0104),
        Vr::LO,
        b"\xBB\xEE\xDA",
    );
    let one = Elements::default().put(CHARACTER_SET, Vr::CS, b"ISO_IR 100").sequence(CODES, [item]);
    assert_eq!(one.holds("ProcedureCodeSequence[0].CodeMeaning == \"Люк\""), Some(true));
    assert_eq!(one.holds("any(ProcedureCodeSequence, contains(it.CodeMeaning, \"люк\"))"), Some(true));
}

#[test]
fn big_endian_and_implicit_values_are_read_as_others() {
    for (uid, encoding) in [
        (syntax::EXPLICIT_VR_BIG_ENDIAN, Encoding::ExplicitBig),
        (syntax::IMPLICIT_VR_LITTLE_ENDIAN, Encoding::ImplicitLittle),
    ] {
        let mut bytes = Vec::new();
        let is_big = encoding == Encoding::ExplicitBig;
        let short = |number: u16| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
        let double = if is_big { 1.5_f64.to_be_bytes() } else { 1.5_f64.to_le_bytes() };
        element::put(&mut bytes, encoding, Tag(0x0008, 0x0060), Vr::CS, b"CT");
        element::put(&mut bytes, encoding, Tag(0x0018, 0x9087), Vr::FD, &double);
        let pointer = [short(0x0018), short(0x1063)].concat();
        element::put(&mut bytes, encoding, Tag(0x0028, 0x0009), Vr::AT, &pointer);
        element::put(&mut bytes, encoding, Tag(0x0028, 0x0010), Vr::US, &short(512));
        element::put(&mut bytes, encoding, Tag(0x0029, 0x0010), Vr::LO, b"ACME");
        element::put(&mut bytes, encoding, Tag(0x0029, 0x1001), Vr::LO, b"text");
        let header = scan::scan(syntax::form(uid), &bytes).unwrap();
        for text in [
            "Modality == \"CT\"",
            "Rows == 512",
            "DiffusionBValue == 1.5",
            "FrameIncrementPointer == \"00181063\"",
            "private(\"ACME\", 0x29, 0x01) == \"text\"",
        ] {
            assert_eq!(evaluate(text, &header, &Arrival::default()), Some(true), "{uid}: {text}");
        }
    }
}

#[test]
fn of_what_repeats_the_first_counts_and_what_is_not_copied_is_there() {
    let one = Elements::default()
        .put(Tag(0x0008, 0x0060), Vr::CS, b"CT")
        .put(Tag(0x0008, 0x0060), Vr::CS, b"MR")
        .put(Tag(0x0029, 0x0011), Vr::LO, b"ACME")
        .put(Tag(0x0029, 0x0012), Vr::LO, b"ACME")
        .put(Tag(0x0029, 0x1201), Vr::LO, b"second")
        .put(Tag(0x7FE0, 0x0010), Vr::OW, &[0; 64]);
    assert_eq!(one.holds("Modality == \"CT\""), Some(true));
    assert_eq!(one.holds("private(\"ACME\", 0x29, 0x01) == \"second\""), Some(true));
    assert_eq!(one.holds("has(PixelData)"), Some(true));
    assert_eq!(one.holds("PixelData == null"), Some(false));
}

/// Runs where there is half of the stack that a reload has, so that a debug build has room to spare.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn no_expression_takes_the_stack() {
    let repeat = |first: &str, part: &str| {
        let times = (limits::EXPRESSION_BYTES - first.len()) / part.len();
        format!("{first}{}", part.repeat(times))
    };
    let nested = |open: &str, inside: &str, close: &str| {
        let times = (limits::EXPRESSION_BYTES - inside.len()) / (open.len() + close.len());
        format!("{}{inside}{}", open.repeat(times), close.repeat(times))
    };
    let texts = [
        repeat("1", "==1"),
        repeat("Modality", " in [1]"),
        repeat("today()", "+1"),
        repeat("StudyDate<today()", "-days(1)"),
        repeat("true", "&&true"),
        repeat("true", "||true"),
        repeat("", "!"),
        repeat("", "-"),
        repeat("", "("),
        repeat("", "["),
        repeat("ImageType", "[0]"),
        repeat("A", ".A"),
        repeat("A", "[0].A"),
        repeat("RequestAttributesSequence", "[0].RequestAttributesSequence"),
        repeat("Modality", ".contains()"),
        repeat("true", ")"),
        repeat("not ", "not "),
        repeat("a", " and a"),
        nested("(", "true", ")"),
        nested("any(A,", "true", ")"),
        nested("(today()", "", "+1)"),
        nested("[", "1", "]"),
    ];
    on_small_stack(move || {
        for text in texts {
            assert!(text.len() <= limits::EXPRESSION_BYTES && text.len() > limits::EXPRESSION_BYTES - 64);
            let begin = text.get(..20).unwrap_or_default().to_owned();
            let begun = Instant::now();
            let flaws = said(&text);
            assert!(flaws.len() <= limits::EXPRESSION_FLAWS, "{begin}");
            assert!(begun.elapsed().as_secs() < 20, "{begin} takes {:?}", begun.elapsed());
        }
    });
    assert_eq!(said(&repeat("1", "==1")).len(), 1, "one chain is one mistake");
    assert_eq!(said("today()+1").len(), 1);
    let deepest = format!("{}true", "!".repeat(limits::EXPRESSION_DEPTH));
    on_small_stack(move || assert_eq!(Elements::default().holds(&deepest), Some(true)));
}

/// `any` over as many codes as that, each with so many in it.
fn codes(outer: usize, inner: usize) -> Elements {
    let leaf = |n: usize| Elements::default().put(CODE, Vr::SH, format!("{n:06}").as_bytes());
    Elements::default().sequence(CODES, (0..outer).map(leaf)).sequence(REQUESTS, (0..inner).map(leaf))
}

const ALL_WITH_ALL: &str = "any(ProcedureCodeSequence, it.CodeValue == \"x\" \
    || any(RequestAttributesSequence, it.CodeValue == \"y\"))";

#[test]
fn going_through_much_is_given_up() {
    let few = codes(200, 200);
    assert_eq!(few.holds(ALL_WITH_ALL), Some(false));
    assert_eq!(few.holds(&format!("!{ALL_WITH_ALL}")), Some(true));
    let many = codes(20_000, 20_000);
    let begun = Instant::now();
    assert_eq!(many.holds(ALL_WITH_ALL), None);
    assert_eq!(many.holds(&format!("!{ALL_WITH_ALL}")), None, "nor does the contrary hold");
    assert_eq!(many.holds(&format!("{ALL_WITH_ALL} || true && has(Modality)")), None);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(many.holds("any(ProcedureCodeSequence, it.CodeValue == \"019999\")"), Some(true));
    assert_eq!(many.holds("all(ProcedureCodeSequence, has(it.CodeValue))"), Some(true));
    // So is counting items, and decoding them, inside of items that are not kept.
    let item = codes(0, 300);
    let deep = Elements::default().sequence(CODES, (0..280).map(|_| item.clone()));
    let begun = Instant::now();
    for condition in [
        "size(it.RequestAttributesSequence) == 1",
        "any(it.RequestAttributesSequence, it.CodeValue == \"x\")",
    ] {
        let text = format!("any(ProcedureCodeSequence, any(ProcedureCodeSequence, {condition}))");
        assert_eq!(deep.holds(&text), None, "{condition}");
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    // Values are gone through as items are, and long texts count.
    let values = Elements::default().put(Tag(0x0008, 0x0008), Vr::CS, "A\\".repeat(30_000).as_bytes());
    assert_eq!(values.holds("any(ImageType, it == \"B\")"), Some(false));
    assert_eq!(values.holds("any(ImageType, any(ImageType, it == \"B\"))"), None);
    assert_eq!(values.holds("any(ImageType, contains(ImageType, \"b\"))"), None);
    assert_eq!(values.holds("any(ImageType, matches(ImageType, \"b\"))"), None);
    assert_eq!(values.holds("any(ImageType, \"B\" in ImageType)"), None);
    assert_eq!(values.holds("any(ImageType, it in ImageType && it == \"B\")"), None);
}

#[test]
fn creators_that_repeat_are_looked_up_in_one_pass() {
    let mut one = Elements::default();
    for _ in 0..100_000 {
        one = one.put(Tag(0x0029, 0x0010), Vr::LO, b"ACME");
    }
    let begun = Instant::now();
    assert_eq!(one.holds("has(private(\"ACME\", 0x29, 0x01))"), Some(false));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn numbers_that_were_read_are_shown() {
    let both = [1_u32.to_le_bytes(), 70_000_u32.to_le_bytes()].concat();
    let header = Elements::default().put(Tag(0x0008, 0x1161), Vr::UL, &both).header();
    let (mut symbols, arrival) = (Symbols::default(), Arrival::default());
    let (program, _) = Program::compile("any(SimpleFrameList, it > 2)", &mut symbols).unwrap();
    let facts = Facts::new(&symbols, &header, &arrival, date!(2026 - 03 - 31));
    let steps = program.trace(&facts);
    let shown = ("SimpleFrameList".to_owned(), "1\\70000".to_owned());
    assert!(steps.iter().any(|step| step.references.contains(&shown)), "{:?}", steps[0].references);
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(TOKENS)
}

const TOKENS: &[&str] = &[
    "true",
    "false",
    "null",
    "it",
    "it.CodeValue",
    "it.family",
    "it.ideographic",
    "Modality",
    "ImageType",
    "ImageType[1]",
    "PatientName",
    "PatientName.family",
    "Rows",
    "PixelSpacing",
    "StudyDate",
    "StudyTime",
    "AcquisitionDateTime",
    "PatientAge",
    "SOPClassUID",
    "PixelData",
    "RequestAttributesSequence",
    "RequestAttributesSequence[0].ScheduledProcedureStepID",
    "ProcedureCodeSequence",
    "from.aet",
    "from.ip",
    "from.via",
    "tag(0009,1001)",
    "tag(0002,0010)",
    "private(\"ACME\", 0x29, 0x10)",
    "FrameIncrementPointer",
    "has(",
    "any(",
    "all(",
    "size(",
    "lower(",
    "contains(",
    "startsWith(",
    "endsWith(",
    "glob(",
    "matches(",
    "ieq(",
    "cs.contains(",
    "cs:glob(",
    "cs.ieq(",
    "cidr(\"10.0.0.0/8\")",
    "today()",
    "days(30)",
    "(",
    ")",
    "[",
    "]",
    ",",
    ",",
    ")",
    ")",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "&&",
    "||",
    "!",
    "+",
    "-",
    "in",
    "not",
    "and",
    ".",
    ":",
    "\"CT\"",
    "\"\"",
    "\"2026-03-31\"",
    "\"10:30\"",
    "\"018Y\"",
    "\"*a?\"",
    "\"ä+\"",
    "'\\u{308}'",
    "1",
    "512",
    "1.5",
    "0x1F",
    "-1",
    "// c\n",
    "\\",
    "“",
    "ß",
    "\u{3000}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_soup_of_tokens_panics(tokens in prop::collection::vec(token(), 1..24), tail in any::<Vec<u8>>()) {
        let Elements(instance) = codes(3, 2).put(Tag(0x0010, 0x0010), Vr::PN, b"A^B=C").put(Tag(0x0028, 0x0010), Vr::US, &[0, 2]);
        let text = tokens.join(" ");
        crate::fuzz_expression(&[text.as_bytes(), &[0], &instance, &tail].concat());
    }

    #[test]
    fn no_comparison_panics(
        one in token(), two in token(), op in prop::sample::select(&["==", "!=", "<", "<=", ">", ">=", "in"][..]),
        list in any::<bool>(),
    ) {
        let Elements(instance) = codes(3, 2).put(Tag(0x0010, 0x0010), Vr::PN, b"A^B=C");
        let two = if list { format!("[{two}]") } else { two.to_owned() };
        for text in [format!("{one} {op} {two}"), format!("any({one}, it {op} {two})"), format!("!all({one}, it {op} it)")] {
            crate::fuzz_expression(&[text.as_bytes(), &[0], &instance].concat());
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        crate::fuzz_expression(text.as_bytes());
    }
}
