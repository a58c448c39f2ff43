//! From the text of a file to checked values: walks the whole document, so that all faults come out at once.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::Finder;
use super::keys::{KEYS, Key, Section};
use super::text::closest;
use super::value::{Of, Value, noun, read};

/// The values of a document, by table.
pub(super) struct Document {
    tables: BTreeMap<Section, Values>,
    pub(super) peers: Vec<Peer>,
}

/// One `[peer.NAME]`.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) values: Values,
}

/// The values of one table. A key that is absent has its default; one that is faulty is missing.
pub(super) struct Values {
    values: BTreeMap<&'static str, Entry>,
}

struct Entry {
    value: Value,
    at: Option<Range<usize>>,
}

type Name<'i> = Spanned<DeString<'i>>;

impl Document {
    pub(super) fn read(text: &str, finder: &mut Finder<'_>) -> Self {
        let (root, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            syntax_error(error, text, finder);
        }
        let mut document = Self { tables: BTreeMap::new(), peers: Vec::new() };
        let mut rest = Finder::new(text);
        document.read_root(root.get_ref(), &mut rest);
        // What follows from a syntax error is no news.
        finder.append_other_lines(rest);
        document
    }

    /// The values of one of the tables that occur once.
    pub(super) fn table(&self, section: Section) -> &Values {
        self.tables.get(&section).expect("every such table is read, absent ones as empty")
    }

    fn read_root(&mut self, root: &DeTable<'_>, finder: &mut Finder<'_>) {
        let empty = DeTable::new();
        for section in [Section::Dimse, Section::Web, Section::Storage] {
            let found = root.iter().find(|(name, _)| Some(name.get_ref().as_ref()) == section.name());
            let table = found.and_then(|(name, value)| table(name, value, "", finder));
            self.tables.insert(section, Values::read(section, table.unwrap_or(&empty), finder));
        }
        self.tables.insert(Section::Root, Values::read(Section::Root, root, finder));
        if let Some((name, peers)) = root.iter().find(|(name, _)| name.get_ref() == "peer") {
            let peers = table(name, peers, ": each peer is a table [peer.NAME]", finder);
            for (name, peer) in peers.unwrap_or(&empty) {
                self.peers.extend(Peer::read(name, peer, finder));
            }
        }
    }
}

impl Peer {
    fn read(name: &Name<'_>, peer: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) -> Option<Self> {
        let at = name.span();
        let name_text = name.get_ref().as_ref();
        let is_name = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if Section::Peer.keys().any(|key| key.name == name_text)
            && !matches!(peer.get_ref(), DeValue::Table(_))
        {
            let help = "give the peer a name: [peer.NAME]".to_owned();
            finder.add(&at, format!("`{name_text}` stands in [peer], outside of any peer"), help);
            return None;
        }
        if !is_name(name_text) {
            let help = "1 to 64 letters, digits, - and _".to_owned();
            finder.add(&at, format!("{name_text:?} is no name for a peer"), help);
        }
        let table = table(name, peer, ": a peer is a table [peer.NAME]", finder)?;
        let values = Values::read(Section::Peer, table, finder);
        for key in Section::Peer.keys().filter(|key| key.default.is_none()) {
            if !table.keys().any(|given| given.get_ref() == key.name) {
                let help = format!("{} For example: {} = {}", key.explanation, key.name, key.example);
                finder.add(&at, format!("[peer.{name_text}] has no `{}`", key.name), help);
            }
        }
        Some(Self { name: name_text.to_owned(), values })
    }
}

impl Values {
    fn read(section: Section, table: &DeTable<'_>, finder: &mut Finder<'_>) -> Self {
        let mut values = BTreeMap::new();
        for key in section.keys() {
            if let Some(default) = key.default {
                values.insert(key.name, Entry { value: default_value(key, default), at: None });
            }
        }
        for (name, given) in table {
            let Some(key) = section.keys().find(|key| key.name == name.get_ref()) else {
                if section != Section::Root || !is_table_name(name.get_ref()) {
                    unknown(section, name, given, finder);
                }
                continue;
            };
            values.remove(key.name);
            if let Some(value) = read(key, given, finder) {
                values.insert(key.name, Entry { value, at: Some(given.span()) });
            }
        }
        Self { values }
    }

    /// The value of a key, its default when it is absent; `None` when it is faulty.
    pub(super) fn get<T: Of>(&self, name: &str) -> Option<T> {
        let entry = self.values.get(name)?;
        Some(T::of(&entry.value).expect("the key's kind in the table is the type asked for"))
    }

    /// Where the value stands; `None` when it is absent or faulty.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        self.values.get(name)?.at.clone()
    }
}

/// Defaults go through the same reading as what the file says.
fn default_value(key: &Key, default: &str) -> Value {
    let mut finder = Finder::new(default);
    let given = DeValue::parse(default).expect("defaults are TOML");
    read(key, &given, &mut finder).expect("defaults are valid")
}

fn table<'v, 'i>(
    name: &Name<'_>,
    value: &'v Spanned<DeValue<'i>>,
    help: &str,
    finder: &mut Finder<'_>,
) -> Option<&'v DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        other => {
            finder.add(
                &name.span(),
                format!("`{}` is a table, not {}{help}", name.get_ref(), noun(other)),
                None,
            );
            None
        }
    }
}

fn is_table_name(name: &str) -> bool {
    Section::ALL.into_iter().any(|section| section.name() == Some(name))
}

/// Notes an unknown key with what it may have been meant to be: a key of this table, the same key of another, or a table.
fn unknown(section: Section, name: &Name<'_>, given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) {
    let text = name.get_ref().as_ref();
    let is_table = matches!(given.get_ref(), DeValue::Table(_));
    let here: Vec<&str> = match section {
        Section::Root if is_table => Section::ALL.into_iter().filter_map(Section::name).collect(),
        _ => section.keys().map(|key| key.name).collect(),
    };
    let elsewhere: Vec<&str> =
        KEYS.iter().filter(|key| key.name == text).map(|key| key.section.place()).collect();
    let meant = match closest(text, here.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? "),
        None if !elsewhere.is_empty() => format!("it belongs {}; ", elsewhere.join(" or ")),
        None => String::new(),
    };
    let (what, list) = if is_table { ("table", "tables") } else { ("key", "keys") };
    let help = format!("{meant}the {list} there: {}", here.join(", "));
    finder.add(&name.span(), format!("unknown {what} `{text}` {}", section.place()), help);
}

fn syntax_error(error: &toml::de::Error, text: &str, finder: &mut Finder<'_>) {
    let at = error.span().unwrap_or(text.len()..text.len());
    finder.add(&at, format!("not TOML: {}", error.message()), None);
}
