//! One instance as expressions see it.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use model::charset::Charset;
use model::fold::fold;
use model::header::{Element, Elements, Header};
use model::{Tag, Vr, vr};
use time::Date;

use crate::decode::{Decoded, Text, decode};
use crate::symbols::{DATA_SET, Fact, Scope, Source, SourceKind};
use crate::{Arrival, Budget, Symbols};

/// One instance: what its data set and its arrival say, decoded where an expression first asks.
pub(crate) struct Facts<'a> {
    top: Level<'a>,
    today: Date,
    budget: Budget,
}

impl<'a> Facts<'a> {
    /// Looks up, in one pass over the header, all that the expressions refer to in its top level.
    pub(crate) fn new(symbols: &'a Symbols, header: &'a Header, arrival: &'a Arrival, today: Date) -> Self {
        let scope = symbols.scope(DATA_SET);
        let top = Level::new(symbols, scope, header.elements(), header.charset().clone());
        for (view, cell) in scope.views.iter().zip(&top.cells) {
            if let Some(SourceKind::Fact(fact)) = scope.sources.get(view.source).map(|source| &source.kind) {
                cell.decoded.get_or_init(|| of_arrival(*fact, arrival));
            }
        }
        Self { top, today, budget: Budget::default() }
    }

    pub(crate) fn top(&self) -> &Level<'a> {
        &self.top
    }

    pub(crate) fn today(&self) -> Date {
        self.today
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// A data set or an item.
pub(crate) struct Level<'a> {
    symbols: &'a Symbols,
    scope: &'a Scope,
    charset: Charset,
    /// For each source of the scope, its element.
    found: Vec<Option<Element<'a>>>,
    /// For each view of the scope, what was decoded.
    cells: Vec<Cell<'a>>,
    /// What decoding it takes.
    steps: usize,
}

#[derive(Default)]
struct Cell<'a> {
    decoded: OnceCell<Decoded<'a>>,
    folded: OnceCell<Option<Box<str>>>,
}

impl<'a> Level<'a> {
    pub(crate) fn new(
        symbols: &'a Symbols,
        scope: &'a Scope,
        elements: Elements<'a>,
        charset: Charset,
    ) -> Self {
        let mut found = vec![None; scope.sources.len()];
        let mut steps = 1 + scope.sources.len() + scope.views.len();
        let is_private = |source: &&Source| matches!(source.kind, SourceKind::Private { .. });
        let passes = 1 + scope.sources.iter().filter(is_private).count();
        for element in elements {
            steps += passes;
            // Of elements that repeat, the first counts.
            if let Ok(index) = scope.tags.binary_search_by_key(&element.tag, |(tag, _)| *tag)
                && let Some((_, source)) = scope.tags.get(index)
                && let Some(place) = found.get_mut(*source)
            {
                place.get_or_insert(element);
            }
        }
        for (source, place) in scope.sources.iter().zip(&mut found) {
            if let SourceKind::Private { creator, group, element } = &source.kind {
                *place = private(elements, &charset, creator, Tag(*group, u16::from(*element)));
            }
        }
        let bytes = found.iter().flatten().filter_map(Element::bytes).map(<[u8]>::len).sum();
        steps += Budget::steps(bytes);
        let cells = scope.views.iter().map(|_| Cell::default()).collect();
        Self { symbols, scope, charset, found, cells, steps }
    }

    /// What decoding it takes of the budget.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// What a view of this level reads.
    pub(crate) fn decoded(&self, view: usize) -> &Decoded<'a> {
        let (Some(cell), Some(read)) = (self.cells.get(view), self.scope.views.get(view)) else {
            return &Decoded::Null;
        };
        cell.decoded.get_or_init(|| {
            let element = self.found.get(read.source).copied().flatten();
            element.map_or(Decoded::Null, |element| decode(&element, read, &self.charset, self.symbols))
        })
    }

    /// The text that a view of this level reads, without case, accents and spacing.
    pub(crate) fn folded(&self, view: usize) -> Option<&str> {
        let cell = self.cells.get(view)?;
        let fold_text = || self.decoded(view).text().map(|text| fold(&text.whole).into());
        cell.folded.get_or_init(fold_text).as_deref()
    }
}

/// The element of the first block that a creator has reserved and that has it (PS3.5 §7.8.1). Two passes, however often elements repeat.
fn private<'a>(elements: Elements<'a>, charset: &Charset, creator: &str, tag: Tag) -> Option<Element<'a>> {
    let Tag(group, number) = tag;
    let is_creator = |element: &Element<'_>| {
        let bytes = element.bytes().map(|bytes| vr::trim(Vr::LO, bytes));
        bytes.is_some_and(|bytes| charset.to_text(bytes, Vr::LO) == creator)
    };
    let mut blocks: BTreeMap<u16, Option<Element<'a>>> = elements
        .filter(|element| element.tag.group() == group && matches!(element.tag.element(), 0x10..=0xFF))
        .filter(is_creator)
        .map(|element| (element.tag.element(), None))
        .collect();
    if blocks.is_empty() {
        return None;
    }
    for element in elements.filter(|element| element.tag.group() == group) {
        let [block, own] = element.tag.element().to_be_bytes();
        if u16::from(own) == number
            && let Some(place) = blocks.get_mut(&u16::from(block))
        {
            place.get_or_insert(element);
        }
    }
    blocks.into_values().flatten().next()
}

fn of_arrival(fact: Fact, arrival: &Arrival) -> Decoded<'_> {
    match fact {
        Fact::Aet => text(arrival.aet.as_ref().map(model::AeTitle::as_str)),
        Fact::Called => text(arrival.called.as_ref().map(model::AeTitle::as_str)),
        Fact::Peer => text(arrival.peer.as_ref().map(model::PeerName::as_str)),
        Fact::Via => text(arrival.via.map(crate::Via::as_str)),
        Fact::Ip => arrival.ip.map_or(Decoded::Null, |ip| Decoded::Address(ip.to_canonical())),
    }
}

fn text(text: Option<&str>) -> Decoded<'_> {
    text.filter(|text| !text.is_empty()).map_or(Decoded::Null, |text| Decoded::Text(Text::single(text)))
}
