//! From the text of a file to checked values: walks the whole document, so that all faults come out at once.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::Finder;
use super::keys::{Key, Section};
use super::table::KEYS;
use super::text::closest;
use super::value::{Of, Value, noun, read};

/// The values of a document, by table.
pub(super) struct Document {
    tables: BTreeMap<Section, Values>,
    pub(super) peers: Vec<Named>,
    pub(super) destinations: Vec<Named>,
    pub(super) upstreams: Vec<Named>,
}

/// One `[peer.NAME]`, `[destination.NAME]` or `[upstream.NAME]`.
pub(super) struct Named {
    pub(super) name: String,
    /// Where the name stands.
    pub(super) at: Range<usize>,
    pub(super) values: Values,
}

/// The values of one table. A key that is absent has its default; one that is faulty is missing.
#[derive(Debug, Clone)]
pub(super) struct Values {
    values: BTreeMap<&'static str, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    at: Option<Range<usize>>,
}

/// A family of named tables.
#[derive(Clone, Copy)]
enum Family {
    Peer,
    Destination,
    Upstream,
}

type Name<'i> = Spanned<DeString<'i>>;

impl Document {
    pub(super) fn read(text: &str, finder: &mut Finder<'_>) -> Self {
        let (root, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            syntax_error(error, text, finder);
        }
        let mut document = Self {
            tables: BTreeMap::new(),
            peers: Vec::new(),
            destinations: Vec::new(),
            upstreams: Vec::new(),
        };
        let mut rest = finder.afresh();
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
        for section in Section::ONCE {
            let found = match section.name().map(|name| name.split_once('.').unwrap_or(("", name))) {
                Some(("", name)) => entry(root, name),
                // That the outer one is no table is said of it.
                Some((outer, name)) => entry(root, outer).and_then(|(_, outer)| inside(outer, name)),
                None => None,
            };
            let table = match section {
                Section::Root => Some(root),
                _ => found.and_then(|(name, value)| table(name, value, "", finder)),
            };
            self.tables.insert(section, Values::read(&[section], table.unwrap_or(&empty), finder));
        }
        self.peers = Family::Peer.read(root, finder);
        self.destinations = Family::Destination.read(root, finder);
        self.upstreams = Family::Upstream.read(root, finder);
    }
}

impl Family {
    fn section(self) -> Section {
        match self {
            Self::Peer => Section::Peer,
            Self::Destination => Section::Destination,
            Self::Upstream => Section::Upstream,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Destination => "destination",
            Self::Upstream => "upstream",
        }
    }

    /// The sections whose keys a table may have.
    fn sections(self, table: &DeTable<'_>) -> Vec<Section> {
        let kind = match self {
            Self::Peer | Self::Upstream => None,
            Self::Destination => entry(table, "kind").and_then(|(_, kind)| kind.get_ref().as_str()),
        };
        let of_kind = Section::KINDS.into_iter().find(|(name, _)| Some(*name) == kind);
        [self.section()].into_iter().chain(of_kind.map(|(_, section)| section)).collect()
    }

    fn read(self, root: &DeTable<'_>, finder: &mut Finder<'_>) -> Vec<Named> {
        let noun = self.noun();
        let Some((name, all)) = entry(root, noun) else { return Vec::new() };
        let Some(all) = table(name, all, &format!(": each {noun} is a table [{noun}.NAME]"), finder) else {
            return Vec::new();
        };
        all.iter().filter_map(|(name, one)| self.read_one(name, one, finder)).collect()
    }

    fn read_one(
        self,
        name: &Name<'_>,
        given: &Spanned<DeValue<'_>>,
        finder: &mut Finder<'_>,
    ) -> Option<Named> {
        let at = name.span();
        let text = name.get_ref().as_ref();
        let noun = self.noun();
        let is_key = KEYS.iter().any(|key| key.section.name() == Some(noun) && key.name == text);
        if is_key && !matches!(given.get_ref(), DeValue::Table(_)) {
            let help = format!("give the {noun} a name: [{noun}.NAME]");
            finder.add(&at, format!("`{text}` stands in [{noun}], outside of any {noun}"), help);
            return None;
        }
        if !is_name(text) {
            let help = "1 to 64 letters, digits, - and _".to_owned();
            finder.add(&at, format!("{text:?} is no name for a {noun}"), help);
        }
        let table = table(name, given, &format!(": a {noun} is a table [{noun}.NAME]"), finder)?;
        let sections = self.sections(table);
        let values = Values::read(&sections, table, finder);
        for key in sections.iter().flat_map(|section| section.keys()).filter(|key| key.default.is_none()) {
            if entry(table, key.name).is_none() {
                let help = format!("{} For example: {} = {}", key.explanation, key.name, key.example);
                finder.add(&at, format!("[{noun}.{text}] has no `{}`", key.name), help);
            }
        }
        Some(Named { name: text.to_owned(), at, values })
    }
}

impl Values {
    /// Reads a table that may have the keys of these sections.
    pub(super) fn read(sections: &[Section], table: &DeTable<'_>, finder: &mut Finder<'_>) -> Self {
        let mut values = BTreeMap::new();
        for key in sections.iter().flat_map(|section| section.keys()) {
            if let Some(default) = key.default {
                values.insert(key.name, Entry { value: default_value(key, default), at: None });
            }
        }
        for (name, given) in table {
            let mut keys = sections.iter().flat_map(|section| section.keys());
            let Some(key) = keys.find(|key| key.name == name.get_ref()) else {
                if !may_stand_beside(sections, name.get_ref()) {
                    unknown(sections, name, given, finder);
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

/// Whether something that is no key of these sections is not to be spoken of.
fn may_stand_beside(sections: &[Section], name: &str) -> bool {
    match sections {
        [Section::Root] => Section::tables().any(|table| table == name),
        [Section::Dimse] => name == "tls",
        // Without a kind nobody knows which keys it has; that there is none is said.
        [Section::Destination] => {
            KEYS.iter().any(|key| key.name == name && Section::KINDS.iter().any(|kind| kind.1 == key.section))
        }
        _ => false,
    }
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(&'t Name<'i>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(given, _)| given.get_ref() == name)
}

/// What stands under a name in a table; nothing, where that is none.
fn inside<'t, 'i>(
    outer: &'t Spanned<DeValue<'i>>,
    name: &str,
) -> Option<(&'t Name<'i>, &'t Spanned<DeValue<'i>>)> {
    match outer.get_ref() {
        DeValue::Table(table) => entry(table, name),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Defaults go through the same reading as what the file says.
fn default_value(key: &Key, default: &str) -> Value {
    let mut finder = Finder::new("", default);
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

/// Notes an unknown key with what it may have been meant to be: the same key of another table, a key of this one, or a table.
fn unknown(sections: &[Section], name: &Name<'_>, given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) {
    let text = name.get_ref().as_ref();
    let is_root = sections == [Section::Root];
    // Elsewhere a table is just a value of a wrong type.
    let is_table = matches!(given.get_ref(), DeValue::Table(_)) && is_root;
    let here: Vec<&str> = match is_table {
        true => Section::tables().collect(),
        false => sections.iter().flat_map(|section| section.keys()).map(|key| key.name).collect(),
    };
    let elsewhere = KEYS.iter().filter(|key| key.name == text && key.section != Section::Retry);
    let elsewhere: Vec<&str> = elsewhere.map(|key| key.section.place()).collect();
    let meant = match closest(text, here.iter().copied()) {
        None if elsewhere.is_empty() => String::new(),
        Some(word) if elsewhere.is_empty() => format!("did you mean `{word}`? "),
        Some(_) | None => format!("it belongs {}; ", elsewhere.join(" or ")),
    };
    let (what, list) = if is_table { ("table", "tables") } else { ("key", "keys") };
    let help = format!("{meant}the {list} there: {}", here.join(", "));
    let place = sections.last().map_or("", |section| section.place());
    finder.add(&name.span(), format!("unknown {what} `{text}` {place}"), help);
}

fn syntax_error(error: &toml::de::Error, text: &str, finder: &mut Finder<'_>) {
    let at = error.span().unwrap_or(text.len()..text.len());
    finder.add(&at, format!("not TOML: {}", error.message()), None);
}
