//! Person names as keys: by component group (PS3.4 §C.2.2.2.1, §C.2.2.2.4; PS3.5 §6.2.1). Pure.

use model::fold::{fold_groups, without_rest};
use model::limits;
use model::query::{Matching, matches_wildcard};

/// What a name must be, each alternative by its folded component groups.
///
/// A key of one group is met by any group of a name. One with `=` in it says which group each of its own is for; those it
/// leaves empty may be anything. An alternative without groups is met by the lack of a name.
#[derive(Debug, PartialEq)]
pub(crate) struct Alternatives(Vec<Vec<String>>);

impl Alternatives {
    /// The alternatives of a key; `None` when every name meets it.
    pub(crate) fn of(matching: &Matching) -> Option<Self> {
        let mut alternatives = Vec::new();
        add(matching, &mut alternatives).then_some(Self(alternatives))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[String]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Whether any says which group is meant.
    pub(crate) fn are_by_group(&self) -> bool {
        self.0.iter().any(|groups| groups.len() > 1)
    }

    /// As JSON, for [`Alternatives::read`].
    pub(crate) fn write(&self) -> String {
        serde_json::Value::from_iter(self.0.iter().cloned()).to_string()
    }

    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json).map(Self)
    }

    /// Whether one of the names in the text of a column meets one of them.
    pub(crate) fn are_met_by(&self, column: &str) -> bool {
        if column.is_empty() {
            return self.0.iter().any(Vec::is_empty);
        }
        column.split('\\').any(|name| {
            let name: Vec<String> = fold_groups(name).collect();
            self.0.iter().any(|groups| is_met(groups, &name))
        })
    }
}

/// Whether alternatives were added, and not all names meet them.
fn add(matching: &Matching, alternatives: &mut Vec<Vec<String>>) -> bool {
    match matching {
        Matching::Single(name) | Matching::Wildcard(name) => {
            let groups: Vec<String> = fold_groups(name).map(bounded).collect();
            let says_something = groups.iter().any(|group| !group.is_empty());
            alternatives.push(groups);
            says_something
        }
        Matching::UidList(names) => {
            names.iter().all(|name| add(&Matching::Single(name.clone()), alternatives))
        }
        Matching::AnyOf(parts) => parts.iter().all(|part| add(part, alternatives)),
        Matching::Empty => {
            alternatives.push(Vec::new());
            true
        }
        // Names have no order that a range could mean, and no items.
        Matching::Range { .. } | Matching::Moments { .. } | Matching::Item(_) => true,
    }
}

/// A single value may have become a pattern by folding, as `＊` does: one that is longer than any key with wildcards matches nothing.
fn bounded(group: String) -> String {
    let is_pattern = group.contains(['*', '?']);
    if is_pattern && group.len() > LONGEST_FOLDED { "\0".to_owned() } else { group }
}

/// Bytes of a pattern that is folded: some characters are a word of eighteen.
const LONGEST_FOLDED: usize = 16 * limits::PATTERN_BYTES;

fn is_met(wanted: &[String], name: &[String]) -> bool {
    match wanted {
        [] => false,
        [any] => name.iter().any(|group| !group.is_empty() && is_group(any, group)),
        groups => groups.iter().enumerate().all(|(at, wanted)| {
            wanted.is_empty() || is_group(wanted, name.get(at).map_or("", String::as_str))
        }),
    }
}

fn is_group(wanted: &str, group: &str) -> bool {
    matches_wildcard(wanted, group) || without_rest(wanted) == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wildcard(name: &str) -> Matching {
        Matching::Wildcard(name.to_owned())
    }

    fn is_met_by(matching: &Matching, name: &str) -> bool {
        let Some(alternatives) = Alternatives::of(matching) else { return true };
        let read = Alternatives::read(&alternatives.write()).unwrap();
        assert_eq!(read, alternatives);
        read.are_met_by(name)
    }

    #[test]
    fn one_group_is_met_by_any_and_several_by_those_in_their_places() {
        const YAMADA: &str = "Yamada^Tarou=山田^太郎=やまだ^たろう";
        for (key, name, expected) in [
            ("yamada*", YAMADA, true),
            ("山*", YAMADA, true),
            ("yamada^tarou=山田^太郎", YAMADA, true),
            ("yamada*=山田*=", YAMADA, true),
            ("=山田*", YAMADA, true),
            ("==やまだ*", YAMADA, true),
            ("=yamada*", YAMADA, false),
            ("山田*=", YAMADA, false),
            ("suzuki*=山田*", YAMADA, false),
            ("yamada*=", YAMADA, true),
            ("yamada*=?*", "Yamada^Tarou", false),
            ("yamada*=*", "Yamada^Tarou", true),
            ("doe^*=", "Doe", true),
            ("doe^*", "Doering", false),
            ("doe^*", "Roe\\DOE^Jane", true),
            ("doe", "", false),
            ("=", "Doe", true),
            ("= ^", "", true),
        ] {
            assert_eq!(is_met_by(&wildcard(key), name), expected, "{key} {name}");
        }
    }

    #[test]
    fn alternatives_are_met_one_at_a_time() {
        let either = Matching::AnyOf(vec![Matching::Single("Doe".into()), Matching::Empty, wildcard("=山*")]);
        for (name, expected) in [("DOE", true), ("", true), ("x=山", true), ("山", false), ("Doe^J", false)]
        {
            assert_eq!(is_met_by(&either, name), expected, "{name}");
        }
        assert!(Alternatives::of(&either).unwrap().are_by_group());
        assert!(!Alternatives::of(&wildcard("doe*")).unwrap().are_by_group());
        assert!(
            Alternatives::of(&Matching::AnyOf(vec![Matching::Empty, Matching::Single("=".into())])).is_none()
        );
        let wide = Matching::Single("＊a".repeat(10_000));
        assert!(is_met_by(&Matching::Single("＊a".into()), "bA") && !is_met_by(&wide, &"a".repeat(20_000)));
    }
}
