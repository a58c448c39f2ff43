//! References: what they lead to, and how that is read.

use std::ops::Range;

use model::{Tag, Vr, limits, vr};

use super::{Checker, It};
use crate::Flaw;
use crate::Symbols;
use crate::ast::{Expr, ExprKind, Part, PartKind, Path};
use crate::dictionary::{closest, closest_keyword, multiplicity};
use crate::program::{Base, Mention, Operand, Place};
use crate::symbols::{ALPHABETIC, Component, DATA_SET, Fact, Reading, ScopeId, SourceKind, View};
use crate::types::{Style, Type};

/// A reference that leads somewhere.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// What its values are.
    pub(super) kind: Type,
    /// The value multiplicity of an attribute that may have several values, when none of them is chosen.
    pub(super) several: Option<&'static str>,
    target: Target,
}

#[derive(Debug, Clone)]
enum Target {
    /// The value that an `any` or `all` is at.
    It { component: Option<Component> },
    Attribute {
        base: Base,
        path: Vec<(usize, usize)>,
        scope: ScopeId,
        source: usize,
        component: Option<Component>,
        index: Option<u32>,
        /// Whether its bytes are characters.
        is_text: bool,
    },
}

impl Reference {
    /// Whether it is a single value or item of several.
    pub(super) fn is_one_of_several(&self) -> bool {
        matches!(self.target, Target::Attribute { index: Some(_), .. })
    }

    /// How it is read to find out whether it is null.
    pub(super) fn presence(&self, symbols: &mut Symbols) -> Operand {
        self.read(Reading::Count, symbols)
    }

    /// How it is read as values of a type; `None` where there are none that compare.
    pub(super) fn operand(&self, kind: Type, symbols: &mut Symbols) -> Option<Operand> {
        Some(self.read(reading(kind)?, symbols))
    }

    /// Where its values of a type are decoded; `None` for what is no attribute, or has no values.
    pub(super) fn place(&self, kind: Type, symbols: &mut Symbols) -> Option<Place> {
        match self.operand(kind, symbols)? {
            Operand::Place(place) => Some(place),
            Operand::Constant(_) | Operand::Size(_) | Operand::It { .. } | Operand::Today { .. } => None,
        }
    }

    /// Where an `any` or `all` finds its values of a type: names with all their groups, of which the condition chooses.
    pub(super) fn values(&self, kind: Type, symbols: &mut Symbols) -> Option<Place> {
        match self.read_as(reading(kind)?, None, symbols) {
            Operand::Place(place) => Some(place),
            Operand::Constant(_) | Operand::Size(_) | Operand::It { .. } | Operand::Today { .. } => None,
        }
    }

    /// Whether it is a single part of a person's name.
    pub(super) fn is_part_of_name(&self) -> bool {
        let (Target::It { component } | Target::Attribute { component, .. }) = &self.target;
        component.is_some_and(|component| component.part.is_some())
    }

    /// How many values or items it has.
    pub(super) fn size(&self, symbols: &mut Symbols) -> Option<Operand> {
        match self.read(Reading::Count, symbols) {
            Operand::Place(place) => Some(Operand::Size(place)),
            Operand::Constant(_) | Operand::Size(_) | Operand::It { .. } | Operand::Today { .. } => None,
        }
    }

    /// Its values in lower case.
    pub(super) fn lower(&self, symbols: &mut Symbols) -> Operand {
        match &self.target {
            Target::It { component } => Operand::It { component: *component, is_lower: true },
            Target::Attribute { .. } => self.read(Reading::LowerText, symbols),
        }
    }

    /// Where its items are decoded, and what they have.
    pub(super) fn items(&self, symbols: &mut Symbols) -> (Place, ScopeId) {
        let Target::Attribute { base, path, scope, source, .. } = &self.target else {
            // A value has no items; its type says so before.
            return (Place { base: Base::It, path: Box::default(), view: usize::MAX }, DATA_SET);
        };
        let items = symbols.items(*scope, *source);
        let view = View { source: *source, component: None, index: None, reading: Reading::Items(items) };
        let view = symbols.view(*scope, view);
        (Place { base: *base, path: path.clone().into(), view }, items)
    }

    /// How an explanation shows it: as it stands in the data set.
    pub(super) fn mention(&self, expr: &Expr, symbols: &mut Symbols) -> Mention {
        let (reading, is_quoted) = match (&self.target, self.kind) {
            (Target::It { .. }, kind) => (Reading::Text, matches!(kind, Type::Text(_))),
            (_, Type::Sequence | Type::Bytes) => (Reading::Count, false),
            (_, Type::Address) => (Reading::Address, false),
            (Target::Attribute { is_text: false, .. }, Type::Number) => (Reading::Number, false),
            (_, kind) => (Reading::Text, matches!(kind, Type::Text(_) | Type::Unknown)),
        };
        let operand = match (&self.target, self.kind) {
            // All groups of a name are shown, not only the one that is compared.
            (Target::Attribute { component: None, .. }, Type::Text(Style::Person)) => {
                self.read_as(reading, None, symbols)
            }
            _ => self.read(reading, symbols),
        };
        Mention { at: expr.at.clone(), operand, is_quoted }
    }

    fn read(&self, reading: Reading, symbols: &mut Symbols) -> Operand {
        let is_name = self.kind == Type::Text(Style::Person) && reading != Reading::Count;
        self.read_as(reading, is_name.then_some(ALPHABETIC), symbols)
    }

    fn read_as(&self, reading: Reading, otherwise: Option<Component>, symbols: &mut Symbols) -> Operand {
        match &self.target {
            Target::It { component } => {
                Operand::It { component: component.or(otherwise), is_lower: reading == Reading::LowerText }
            }
            Target::Attribute { base, path, scope, source, component, index, .. } => {
                let component = component.or(otherwise);
                let view = View { source: *source, component, index: *index, reading };
                let view = symbols.view(*scope, view);
                Operand::Place(Place { base: *base, path: path.clone().into(), view })
            }
        }
    }
}

fn reading(kind: Type) -> Option<Reading> {
    match kind {
        Type::Text(Style::Lower) => Some(Reading::LowerText),
        Type::Text(_) | Type::Unknown => Some(Reading::Text),
        Type::Number => Some(Reading::Number),
        Type::Age => Some(Reading::Age),
        Type::Date => Some(Reading::Date),
        Type::Time => Some(Reading::Time),
        Type::DateTime => Some(Reading::DateTime),
        Type::Address => Some(Reading::Address),
        Type::Sequence | Type::Bytes => None,
    }
}

/// What a walk along a path has come to.
struct Walk {
    base: Base,
    path: Vec<(usize, usize)>,
    scope: ScopeId,
}

/// An attribute that a part of a path names.
struct Named {
    kind: SourceKind,
    value: Type,
    several: Option<&'static str>,
    is_text: bool,
}

impl Checker<'_, '_, '_> {
    /// What stands as an argument that must be a reference.
    pub(super) fn reference_of(&mut self, expr: &Expr, function: &str) -> Option<Reference> {
        match &expr.kind {
            ExprKind::Path(path) => self.reference(path, &expr.at),
            ExprKind::Broken => None,
            _ => {
                let message = format!("{function} asks for an attribute, and this is none");
                let help = "a keyword such as Modality, or tag(…), private(…), from.aet".to_owned();
                self.flaws.push(Flaw::error(expr.at.clone(), message).help(help));
                None
            }
        }
    }

    /// Looks up a reference; what it adds to the symbols stays there.
    pub(super) fn reference(&mut self, path: &Path, at: &Range<usize>) -> Option<Reference> {
        if path.is_of_it {
            return self.of_it(path, at);
        }
        if let [Part { kind: PartKind::Name(from), .. }, fact @ ..] = path.parts.as_slice()
            && from == "from"
        {
            return self.fact(fact, at);
        }
        let walk = Walk { base: Base::DataSet, path: Vec::new(), scope: DATA_SET };
        self.walk(walk, &path.parts)
    }

    fn of_it(&mut self, path: &Path, at: &Range<usize>) -> Option<Reference> {
        match self.it.last().copied() {
            None => {
                let flaw = Flaw::error(at.clone(), "`it` stands outside of any(…) and all(…)");
                self.flaws.push(flaw.help("any(Sequence, it.Keyword == …)"));
                None
            }
            Some(It::Item(_)) if path.parts.is_empty() => {
                let flaw = Flaw::error(at.clone(), "`it` is an item here");
                self.flaws.push(flaw.help("name an attribute of it: it.Keyword"));
                None
            }
            Some(It::Item(scope)) => self.walk(Walk { base: Base::It, path: Vec::new(), scope }, &path.parts),
            Some(It::Value(kind)) => {
                let (component, rest) = match kind {
                    Type::Text(Style::Person) => self.component(&path.parts)?,
                    _ => (None, path.parts.as_slice()),
                };
                if let Some(part) = rest.first() {
                    let message = format!("`it` is {} here and has no parts", kind.noun());
                    self.flaws.push(Flaw::error(part.at.clone(), message));
                    return None;
                }
                Some(Reference { kind, several: None, target: Target::It { component } })
            }
        }
    }

    fn fact(&mut self, parts: &[Part], at: &Range<usize>) -> Option<Reference> {
        let name = match parts {
            [Part { kind: PartKind::Name(name), .. }] => Some(name.as_str()),
            _ => None,
        };
        let known = FACTS.iter().find(|(known, ..)| Some(*known) == name);
        let Some((_, fact, kind)) = known else {
            let flaw = Flaw::error(at.clone(), "nothing of this name is known of the sender");
            let meant = name.and_then(|name| closest(name, FACTS.iter().map(|(known, ..)| *known)));
            self.flaws.push(match meant {
                Some(meant) => flaw.help(format!("did you mean from.{meant}?")),
                None => flaw.help("there are from.aet, from.ip, from.called, from.peer, from.via"),
            });
            return None;
        };
        let source = self.symbols.source(DATA_SET, SourceKind::Fact(*fact));
        let target = Target::Attribute {
            base: Base::DataSet,
            path: Vec::new(),
            scope: DATA_SET,
            source,
            component: None,
            index: None,
            is_text: true,
        };
        Some(Reference { kind: *kind, several: None, target })
    }

    fn walk(&mut self, mut walk: Walk, mut parts: &[Part]) -> Option<Reference> {
        loop {
            let (part, rest) = parts.split_first()?;
            let named = self.named(part)?;
            let source = self.symbols.source(walk.scope, named.kind.clone());
            match rest {
                [Part { at, kind: PartKind::Number(item) }, next, ..]
                    if is_attribute(next) && matches!(named.value, Type::Sequence | Type::Unknown) =>
                {
                    let number = usize::try_from(*item).unwrap_or(usize::MAX);
                    if number >= limits::DECODED_ITEMS {
                        let message = format!("items are numbered up to {} here", limits::DECODED_ITEMS - 1);
                        self.flaws
                            .push(Flaw::error(at.clone(), message).help("write any(Sequence, it.Keyword …)"));
                        return None;
                    }
                    let items = self.symbols.items(walk.scope, source);
                    let view = View { source, component: None, index: None, reading: Reading::Items(items) };
                    walk.path.push((self.symbols.view(walk.scope, view), number));
                    walk.scope = items;
                    parts = rest.get(1..).unwrap_or_default();
                }
                _ => return self.end(walk, source, named, rest, part),
            }
        }
    }

    /// The last attribute of a path, and what of its value is meant.
    fn end(
        &mut self,
        walk: Walk,
        source: usize,
        named: Named,
        rest: &[Part],
        part: &Part,
    ) -> Option<Reference> {
        let (mut index, mut rest) = (None, rest);
        if let [Part { kind: PartKind::Number(number), .. }, behind @ ..] = rest {
            (index, rest) = (Some(*number), behind);
        }
        let component = match named.value {
            Type::Text(Style::Person) => {
                let (component, behind) = self.component(rest)?;
                rest = behind;
                component
            }
            _ => None,
        };
        if let Some(extra) = rest.first() {
            self.no_part(part, &named, extra);
            return None;
        }
        let several = named.several.filter(|_| index.is_none());
        let Walk { base, path, scope } = walk;
        let target =
            Target::Attribute { base, path, scope, source, component, index, is_text: named.is_text };
        Some(Reference { kind: named.value, several, target })
    }

    fn no_part(&mut self, part: &Part, named: &Named, extra: &Part) {
        let written = self.written(&part.at).to_owned();
        let flaw = match (named.value, &extra.kind) {
            (Type::Sequence, PartKind::Name(name)) => {
                let message = format!("`{written}` is a sequence: which of its items is meant?");
                let help = format!("write any({written}, … it.{name} …), or {written}[0].{name}");
                Flaw::error(extra.at.clone(), message).help(help)
            }
            (kind, PartKind::Name(name)) => {
                let message = format!("`{written}` is {} and has no part `{name}`", kind.noun());
                Flaw::error(extra.at.clone(), message)
            }
            (_, PartKind::Number(_)) => Flaw::error(extra.at.clone(), "one number is enough"),
            (_, PartKind::Private { .. } | PartKind::Tag(_)) => {
                let message = format!("`{written}` has no attributes in it");
                Flaw::error(extra.at.clone(), message)
                    .help(format!("write {written}[0].… for an item of a sequence"))
            }
        };
        self.flaws.push(flaw);
    }

    /// A part of a person's name.
    fn component<'p>(&mut self, parts: &'p [Part]) -> Option<(Option<Component>, &'p [Part])> {
        let Some(Part { at, kind: PartKind::Name(name) }) = parts.first() else { return Some((None, parts)) };
        let rest = parts.get(1..).unwrap_or_default();
        if let Some(part) = index_of(&NAME_PARTS, name) {
            return Some((Some(Component { group: 0, part: Some(part) }), rest));
        }
        let Some(group) = index_of(&NAME_GROUPS, name) else {
            let flaw = Flaw::error(at.clone(), format!("a person's name has no part `{name}`"));
            let known = NAME_PARTS.iter().chain(&NAME_GROUPS).copied();
            self.flaws.push(match closest(name, known) {
                Some(meant) => flaw.help(format!("did you mean {meant}?")),
                None => flaw.help(
                    "there are family, given, middle, prefix, suffix, and the groups alphabetic, ideographic, phonetic",
                ),
            });
            return None;
        };
        match rest.first() {
            Some(Part { kind: PartKind::Name(name), at }) => match index_of(&NAME_PARTS, name) {
                Some(part) => {
                    Some((Some(Component { group, part: Some(part) }), rest.get(1..).unwrap_or_default()))
                }
                None => {
                    let flaw = Flaw::error(at.clone(), format!("a person's name has no part `{name}`"));
                    self.flaws.push(flaw.help("there are family, given, middle, prefix, suffix"));
                    None
                }
            },
            _ => Some((Some(Component { group, part: None }), rest)),
        }
    }

    fn named(&mut self, part: &Part) -> Option<Named> {
        match &part.kind {
            PartKind::Name(name) => self.keyword(name, part),
            PartKind::Tag(tag) if !is_of_data_set(*tag) => {
                self.not_of_data_set(part);
                None
            }
            PartKind::Tag(tag) => {
                let vr = vr::of_tag(*tag, false);
                let several = vr::keyword(*tag).and_then(multiplicity);
                Some(Named {
                    kind: SourceKind::Tag(*tag),
                    value: Type::of(vr),
                    several,
                    is_text: is_text(vr),
                })
            }
            PartKind::Private { creator, group, element } => {
                let creator = creator.as_str().into();
                let kind = SourceKind::Private { creator, group: *group, element: *element };
                Some(Named { kind, value: Type::Unknown, several: None, is_text: true })
            }
            PartKind::Number(_) => None,
        }
    }

    fn keyword(&mut self, name: &str, part: &Part) -> Option<Named> {
        if let Some((tag, vr)) = vr::tag_of_keyword(name).filter(|(tag, _)| is_of_data_set(*tag)) {
            let several = multiplicity(name);
            return Some(Named {
                kind: SourceKind::Tag(tag),
                value: Type::of(vr),
                several,
                is_text: is_text(vr),
            });
        }
        if vr::tag_of_keyword(name).is_some() {
            self.not_of_data_set(part);
            return None;
        }
        let flaw = Flaw::error(part.at.clone(), format!("there is no attribute `{name}`"));
        if self.flaws.len() >= limits::EXPRESSION_FLAWS {
            // It is hardly shown, and looking for what was meant takes its time.
            self.flaws.push(flaw);
            return None;
        }
        let fact = FACTS.iter().find(|(fact, ..)| fact.eq_ignore_ascii_case(name));
        self.flaws.push(match (fact, closest_keyword(name)) {
            (Some((fact, ..)), _) => flaw.help(format!("did you mean from.{fact}?")),
            (None, Some(meant)) => flaw.help(format!("did you mean {meant}?")),
            (None, None) => flaw.help(
                "a text stands in quotes; an attribute is named by its DICOM keyword, or as tag(0008,0060)",
            ),
        });
        None
    }

    fn not_of_data_set(&mut self, part: &Part) {
        let message = format!("`{}` is no attribute of a data set", self.written(&part.at));
        let help = "rules are asked about the data set, not about commands, file meta information or what delimits items";
        self.flaws.push(Flaw::error(part.at.clone(), message).help(help));
    }
}

/// Whether an element with this tag may stand in a data set: not in a command (PS3.7 §6.3.1), not in the file meta information
/// (PS3.10 §7.1), and no item or delimiter (PS3.5 §7.5).
fn is_of_data_set(Tag(group, _): Tag) -> bool {
    group > 2 && group != 0xFFFE
}

fn is_text(vr: Vr) -> bool {
    vr::is_text(vr) || vr == Vr::UN
}

fn is_attribute(part: &Part) -> bool {
    !matches!(part.kind, PartKind::Number(_))
}

fn index_of(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

const FACTS: [(&str, Fact, Type); 5] = [
    ("aet", Fact::Aet, Type::Text(Style::Title)),
    ("ip", Fact::Ip, Type::Address),
    ("called", Fact::Called, Type::Text(Style::Title)),
    ("peer", Fact::Peer, Type::Text(Style::Plain)),
    ("via", Fact::Via, Type::Text(Style::Door)),
];

/// In the order of PS3.5 §6.2.1.
const NAME_PARTS: [&str; 5] = ["family", "given", "middle", "prefix", "suffix"];
const NAME_GROUPS: [&str; 3] = ["alphabetic", "ideographic", "phonetic"];
