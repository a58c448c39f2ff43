//! One table of a rule file: which keys it may have, and their values where they are what the key asks for.

use std::ops::Range;

use model::DestinationName;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::dictionary::closest;
use crate::finding::Finder;

/// The keys of one kind of table, each with an example.
pub(crate) struct Keys {
    /// The table as a file writes it.
    pub(crate) place: &'static str,
    pub(crate) examples: &'static [(&'static str, &'static str)],
}

/// A table of which every key is known.
pub(crate) struct Table<'d, 'i> {
    keys: &'static Keys,
    /// Where it begins.
    pub(crate) at: Range<usize>,
    entries: &'d DeTable<'i>,
}

/// A destination where a file names it.
pub(crate) type Named = (DestinationName, Range<usize>);

impl<'d, 'i> Table<'d, 'i> {
    /// Takes a table, and notes the keys that it should not have.
    pub(crate) fn read(
        keys: &'static Keys,
        given: &'d Spanned<DeValue<'i>>,
        finder: &mut Finder<'_>,
    ) -> Option<Self> {
        let DeValue::Table(entries) = given.get_ref() else {
            let message = format!("{} is a table, not {}", keys.place, noun(given.get_ref()));
            finder.error(&given.span(), message, None);
            return None;
        };
        for name in entries.keys().filter(|name| !keys.has(name.get_ref())) {
            let known = keys.examples.iter().map(|(key, _)| *key);
            let meant = closest(name.get_ref(), known.clone())
                .map_or(String::new(), |word| format!("did you mean `{word}`? "));
            let help = format!("{meant}the keys there: {}", known.collect::<Vec<_>>().join(", "));
            finder.error(&name.span(), format!("unknown key `{}` in {}", name.get_ref(), keys.place), help);
        }
        Some(Self { keys, at: given.span(), entries })
    }

    /// The key and its value.
    pub(crate) fn get(&self, key: &str) -> Option<(&'d Spanned<DeString<'i>>, &'d Spanned<DeValue<'i>>)> {
        self.entries.iter().find(|(name, _)| name.get_ref() == key)
    }

    /// The value of a key; its absence is noted.
    pub(crate) fn require(&self, key: &str, finder: &mut Finder<'_>) -> Option<&'d Spanned<DeValue<'i>>> {
        let found = self.get(key).map(|(_, value)| value);
        if found.is_none() {
            finder.error(&self.at, format!("{} has no `{key}`", self.keys.place), self.example(key));
        }
        found
    }

    /// A text and where it stands.
    pub(crate) fn text(&self, key: &str, finder: &mut Finder<'_>) -> Option<(&'d str, Range<usize>)> {
        let (_, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text, value.span())),
            other => {
                self.note(key, &value.span(), "a text in quotes", other, finder);
                None
            }
        }
    }

    /// True or false; `None` when it is absent or neither.
    pub(crate) fn flag(&self, key: &str, finder: &mut Finder<'_>) -> Option<bool> {
        let (_, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.note(key, &value.span(), "true or false", other, finder);
                None
            }
        }
    }

    /// The names of destinations; `None` when one of them is none, or the key is absent, which is noted.
    pub(crate) fn destinations(&self, key: &str, finder: &mut Finder<'_>) -> Option<Vec<Named>> {
        let value = self.require(key, finder)?;
        let DeValue::Array(list) = value.get_ref() else {
            self.note(key, &value.span(), "a list of destinations", value.get_ref(), finder);
            return None;
        };
        let mut names: Vec<Named> = Vec::new();
        let mut is_whole = true;
        for element in list {
            let DeValue::String(name) = element.get_ref() else {
                self.note(key, &element.span(), "names of destinations in quotes", element.get_ref(), finder);
                is_whole = false;
                continue;
            };
            if names.iter().any(|(known, _)| known.as_str() == name) {
                finder.warning(&element.span(), format!("`{key}` names {name:?} twice"), None);
                continue;
            }
            names.push((DestinationName::new(name), element.span()));
        }
        is_whole.then_some(names)
    }

    /// Notes that the value of a key is something else than it should be.
    pub(crate) fn note(
        &self,
        key: &str,
        at: &Range<usize>,
        needed: &str,
        given: &DeValue<'_>,
        finder: &mut Finder<'_>,
    ) {
        finder.error(at, format!("`{key}` needs {needed}, not {}", noun(given)), self.example(key));
    }

    fn example(&self, key: &str) -> Option<String> {
        let found = self.keys.examples.iter().find(|(name, _)| *name == key);
        found.map(|(key, example)| format!("for example: {key} = {example}"))
    }
}

impl Keys {
    fn has(&self, key: &str) -> bool {
        self.examples.iter().any(|(name, _)| *name == key)
    }
}

/// What a message calls a TOML value.
pub(crate) fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
