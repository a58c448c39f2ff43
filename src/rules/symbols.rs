//! What the expressions of a rule set refer to, interned: equal references share one place, decoded once for an instance.

use model::Tag;

/// The references that the expressions of a rule set make: each is looked up and decoded once for an instance.
#[derive(Debug)]
pub(crate) struct Symbols {
    /// The data set, and the items of each sequence that is referred to.
    scopes: Vec<Scope>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { scopes: vec![Scope::default()] }
    }
}

/// A data set, or the items of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScopeId(usize);

/// The scope of what is no item.
pub(crate) const DATA_SET: ScopeId = ScopeId(0);

#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) sources: Vec<Source>,
    /// The sources that are plain tags, by tag.
    pub(crate) tags: Vec<(Tag, usize)>,
    pub(crate) views: Vec<View>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    /// The scope of its items, when something in them is referred to.
    items: Option<ScopeId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Tag(Tag),
    /// Of the block that the creator has reserved (PS3.5 §7.8.1).
    Private {
        creator: Box<str>,
        group: u16,
        element: u8,
    },
    Fact(Fact),
}

/// What is known of an instance besides its data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    Aet,
    Ip,
    Called,
    Peer,
    Via,
}

/// One way to read a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) source: usize,
    pub(crate) component: Option<Component>,
    /// One of several values or items, from 0.
    pub(crate) index: Option<u32>,
    pub(crate) reading: Reading,
}

/// A part of a person's name (PS3.5 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    /// 0 alphabetic, 1 ideographic, 2 phonetic.
    pub(crate) group: usize,
    /// From 0, as they stand between carets; `None`: all of the group.
    pub(crate) part: Option<usize>,
}

/// All of the alphabetic group: what a name is compared by.
pub(crate) const ALPHABETIC: Component = Component { group: 0, part: None };

/// As what a source is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// How many values or items there are.
    Count,
    Text,
    LowerText,
    Number,
    Age,
    Date,
    Time,
    DateTime,
    Address,
    Items(ScopeId),
}

impl Symbols {
    pub(crate) fn scope(&self, id: ScopeId) -> &Scope {
        self.scopes.get(id.0).expect("scopes are never removed")
    }

    /// The source of this kind in a scope.
    pub(crate) fn source(&mut self, scope: ScopeId, kind: SourceKind) -> usize {
        let scope = self.scope_mut(scope);
        if let Some(known) = scope.sources.iter().position(|source| source.kind == kind) {
            return known;
        }
        let source = scope.sources.len();
        if let SourceKind::Tag(tag) = kind {
            let place = scope.tags.partition_point(|(known, _)| *known < tag);
            scope.tags.insert(place, (tag, source));
        }
        scope.sources.push(Source { kind, items: None });
        source
    }

    /// The place where this view of a source is decoded.
    pub(crate) fn view(&mut self, scope: ScopeId, view: View) -> usize {
        let scope = self.scope_mut(scope);
        scope.views.iter().position(|known| *known == view).unwrap_or_else(|| {
            scope.views.push(view);
            scope.views.len() - 1
        })
    }

    /// The scope of the items of a source.
    pub(crate) fn items(&mut self, scope: ScopeId, source: usize) -> ScopeId {
        let next = ScopeId(self.scopes.len());
        let source = self.scope_mut(scope).sources.get_mut(source).expect("sources are never removed");
        let items = *source.items.get_or_insert(next);
        if items == next {
            self.scopes.push(Scope::default());
        }
        items
    }

    fn scope_mut(&mut self, id: ScopeId) -> &mut Scope {
        self.scopes.get_mut(id.0).expect("scopes are never removed")
    }
}
