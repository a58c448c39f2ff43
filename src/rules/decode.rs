//! Elements to the values that comparisons read.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use core::net::IpAddr;
use std::borrow::Cow;

use model::charset::Charset;
use model::header::{self, Element, Value};
use model::syntax::Encoding;
use model::{Tag, Vr, limits, vr};
use smallvec::SmallVec;

use crate::facts::Level;
use crate::symbols::{ALPHABETIC, Component, Reading, ScopeId, View};
use crate::value::{Moment, age, number};
use crate::{Budget, Symbols};

/// What a view of an element has.
pub(crate) enum Decoded<'a> {
    /// It is absent or empty.
    Null,
    /// It is there, but the header does not have its value, or it is nothing that can be read so: nothing compares with it.
    Unread,
    /// How many values or items there are, one at least.
    Count(usize),
    Text(Text<'a>),
    /// NaN where a value is no number.
    Numbers(SmallVec<[f64; 2]>),
    /// `None` where a value is no date or time.
    Moments(SmallVec<[Option<Moment>; 1]>),
    Address(IpAddr),
    Items(Items<'a>),
}

impl<'a> Decoded<'a> {
    /// What decoding it, or looking through all its values, takes of the budget.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Text(text) => Budget::steps(text.whole.len()),
            Self::Numbers(numbers) => Budget::steps(size_of_val(numbers.as_slice())),
            Self::Moments(moments) => Budget::steps(size_of_val(moments.as_slice())),
            Self::Count(count) => Budget::steps(*count),
            Self::Items(items) => items.steps,
            Self::Null | Self::Unread | Self::Address(_) => 0,
        }
    }

    pub(crate) fn text(&self) -> Option<&Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Values that are characters, without padding. None is empty, or it is not the only one.
pub(crate) struct Text<'a> {
    /// All values, with backslashes between them.
    pub(crate) whole: Cow<'a, str>,
    /// Whether a backslash parts values.
    is_parted: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn single(text: impl Into<Cow<'a, str>>) -> Self {
        Self { whole: text.into(), is_parted: false }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        let (parted, single) =
            if self.is_parted { (Some(self.whole.split('\\')), None) } else { (None, Some(&*self.whole)) };
        parted.into_iter().flatten().chain(single)
    }

    fn read(vr: Vr, bytes: &'a [u8], charset: &Charset) -> Self {
        let whole = charset.to_text(vr::trim(vr, bytes), vr);
        let is_parted = vr::is_multi_valued_text(vr) && whole.contains('\\');
        let is_padded = |value: &str| value.starts_with(PADDING) || value.ends_with(PADDING);
        let text = Self { whole, is_parted };
        if is_parted && text.values().any(is_padded) {
            text.map(|value| value.trim_matches(PADDING))
        } else {
            text
        }
    }

    /// Each value changed to a part of it.
    fn map(self, part: impl Fn(&str) -> &str) -> Self {
        let Self { whole, is_parted } = self;
        if is_parted {
            let values: Vec<&str> = whole.split('\\').map(part).collect();
            return Self { whole: Cow::Owned(values.join("\\")), is_parted };
        }
        let whole = match whole {
            Cow::Borrowed(text) => Cow::Borrowed(part(text)),
            Cow::Owned(text) => Cow::Owned(part(&text).to_owned()),
        };
        Self { whole, is_parted }
    }

    fn nth(self, index: u32) -> Option<Self> {
        let index = usize::try_from(index).ok()?;
        match self.whole {
            Cow::Borrowed(text) if self.is_parted => text.split('\\').nth(index).map(Self::single),
            Cow::Owned(text) if self.is_parted => {
                text.split('\\').nth(index).map(|value| Self::single(value.to_owned()))
            }
            whole => (index == 0).then(|| Self::single(whole)),
        }
    }
}

/// The items of a sequence, of which the first stay decoded.
pub(crate) struct Items<'a> {
    kept: Box<[Level<'a>]>,
    /// What decoding the kept ones took of the budget.
    steps: usize,
    behind: header::Items<'a>,
    scope: ScopeId,
    charset: Charset,
    symbols: &'a Symbols,
}

impl<'a> Items<'a> {
    fn new(mut items: header::Items<'a>, scope: ScopeId, charset: &Charset, symbols: &'a Symbols) -> Self {
        let first = items.by_ref().take(limits::DECODED_ITEMS);
        let kept: Box<[Level<'a>]> = first.map(|item| level(item, scope, charset, symbols)).collect();
        let steps = kept.iter().map(Level::steps).sum();
        Self { kept, steps, behind: items, scope, charset: charset.clone(), symbols }
    }

    /// An item among those that stay decoded.
    pub(crate) fn kept(&self, index: usize) -> Option<&Level<'a>> {
        self.kept.get(index)
    }

    /// Whether any item is so.
    pub(crate) fn any(&self, mut is_so: impl FnMut(&Level<'a>) -> bool) -> bool {
        self.kept.iter().any(&mut is_so) || { self.behind }
            .any(|item| is_so(&level(item, self.scope, &self.charset, self.symbols)))
    }
}

/// An item that states a character set is read by it, one that does not by that of what it is part of (PS3.3 §C.12.1.1.2).
fn level<'a>(item: header::Item<'a>, scope: ScopeId, charset: &Charset, symbols: &'a Symbols) -> Level<'a> {
    let own = item.element(SPECIFIC_CHARACTER_SET).and_then(|element| element.bytes()).map(Charset::parse);
    Level::new(symbols, symbols.scope(scope), item.elements(), own.unwrap_or_else(|| charset.clone()))
}

/// Reads an element as a view wants it.
pub(crate) fn decode<'a>(
    element: &Element<'a>,
    view: &View,
    charset: &Charset,
    symbols: &'a Symbols,
) -> Decoded<'a> {
    match element.value() {
        Value::Bytes(bytes) => bytes_of(element, bytes, view, charset),
        Value::Items(items) => items_of(items, view, charset, symbols),
        Value::Bulk | Value::Fragments { .. } | Value::Omitted if view.index.unwrap_or(0) == 0 => {
            Decoded::Unread
        }
        Value::Bulk | Value::Fragments { .. } | Value::Omitted => Decoded::Null,
    }
}

fn items_of<'a>(
    mut items: header::Items<'a>,
    view: &View,
    charset: &Charset,
    symbols: &'a Symbols,
) -> Decoded<'a> {
    match (view.reading, view.index) {
        (Reading::Count, Some(index)) => {
            let item = usize::try_from(index).ok().and_then(|index| items.nth(index));
            item.map_or(Decoded::Null, |_| Decoded::Count(1))
        }
        (Reading::Count, None) => match items.count() {
            0 => Decoded::Null,
            count => Decoded::Count(count),
        },
        _ if { items }.next().is_none() => Decoded::Null,
        (Reading::Items(scope), _) => Decoded::Items(Items::new(items, scope, charset, symbols)),
        _ => Decoded::Unread,
    }
}

fn bytes_of<'a>(element: &Element<'_>, bytes: &'a [u8], view: &View, charset: &Charset) -> Decoded<'a> {
    let encoding = element.encoding();
    // Private elements have no VR in Implicit VR Little Endian, and most that one compares are text.
    let vr = if element.vr == Vr::UN && view.reading != Reading::Count { Vr::LO } else { element.vr };
    if bytes.is_empty() {
        return Decoded::Null;
    }
    if vr::is_text(vr) {
        return text_of(vr, bytes, view, charset);
    }
    if vr::is_binary(vr) {
        return match (view.reading, view.index.unwrap_or(0)) {
            (_, 1..) => Decoded::Null,
            (Reading::Count, 0) => Decoded::Count(1),
            (_, 0) => Decoded::Unread,
        };
    }
    if vr == Vr::AT {
        let tags = bytes.chunks_exact(4).filter_map(|chunk| chunk.first_chunk());
        let tags: Vec<String> = tags.map(|bytes| tag_text(*bytes, encoding)).collect();
        return values_of(tags.join("\\"), tags.len() > 1, view);
    }
    let numbers = words(vr, encoding, bytes);
    match (view.reading, view.index) {
        (Reading::Number | Reading::Count, _) => numbers_of(numbers, view),
        _ => {
            let is_parted = numbers.len() > 1;
            let texts: Vec<String> = numbers.iter().map(f64::to_string).collect();
            values_of(texts.join("\\"), is_parted, view)
        }
    }
}

/// Text that was made of binary values.
fn values_of<'a>(whole: String, is_parted: bool, view: &View) -> Decoded<'a> {
    read_text(Text { whole: Cow::Owned(whole), is_parted }, view)
}

fn text_of<'a>(vr: Vr, bytes: &'a [u8], view: &View, charset: &Charset) -> Decoded<'a> {
    let text = Text::read(vr, bytes, charset);
    if text.values().all(str::is_empty) {
        return Decoded::Null;
    }
    let text = match view.component {
        Some(component) => text.map(|name| part_of_name(name, component)),
        None => text,
    };
    read_text(text, view)
}

fn read_text<'a>(text: Text<'a>, view: &View) -> Decoded<'a> {
    let text = match view.index {
        Some(index) => text.nth(index),
        None => Some(text),
    };
    // A name that has no alphabetic group is not null, though its alphabetic group is.
    let is_name = view.component == Some(ALPHABETIC) && view.reading != Reading::Count;
    let text = match text {
        Some(text) if is_name && view.index.is_none() || text.values().any(|value| !value.is_empty()) => text,
        Some(_) | None => return Decoded::Null,
    };
    match view.reading {
        Reading::Text => Decoded::Text(text),
        Reading::LowerText => Decoded::Text(Text { whole: Cow::Owned(text.whole.to_lowercase()), ..text }),
        Reading::Count => Decoded::Count(text.values().count()),
        Reading::Number => {
            Decoded::Numbers(text.values().map(|value| number(value).unwrap_or(f64::NAN)).collect())
        }
        Reading::Age => Decoded::Numbers(text.values().map(|value| age(value).unwrap_or(f64::NAN)).collect()),
        Reading::Date => moments(&text, Moment::date),
        Reading::Time => moments(&text, Moment::time),
        Reading::DateTime => moments(&text, Moment::datetime),
        Reading::Address | Reading::Items(_) => Decoded::Unread,
    }
}

fn moments<'a>(text: &Text<'_>, read: fn(&str) -> Option<Moment>) -> Decoded<'a> {
    Decoded::Moments(text.values().map(|value| read(value).map(Moment::begin)).collect())
}

/// A part of a person's name, without padding; of a whole group also without the carets at its end.
pub(crate) fn part_of_name(name: &str, component: Component) -> &str {
    let group = name.split('=').nth(component.group).unwrap_or_default();
    match component.part {
        None => group.trim_matches(PADDING).trim_end_matches(['^', ' ', '\0']),
        Some(part) => group.split('^').nth(part).unwrap_or_default().trim_matches(PADDING),
    }
}

fn numbers_of<'a>(mut numbers: SmallVec<[f64; 2]>, view: &View) -> Decoded<'a> {
    if let Some(index) = view.index {
        let number = usize::try_from(index).ok().and_then(|index| numbers.get(index).copied());
        numbers = number.into_iter().collect();
    }
    match (numbers.len(), view.reading) {
        (0, _) => Decoded::Null,
        (count, Reading::Count) => Decoded::Count(count),
        (_, _) => Decoded::Numbers(numbers),
    }
}

/// The numbers of a binary value.
fn words(vr: Vr, encoding: Encoding, bytes: &[u8]) -> SmallVec<[f64; 2]> {
    macro_rules! numbers {
        ($number:ty, $to_f64:expr) => {{
            let chunks = bytes.chunks_exact(size_of::<$number>()).filter_map(|chunk| chunk.first_chunk());
            let number = |bytes: &[u8; size_of::<$number>()]| match encoding {
                Encoding::ExplicitBig => <$number>::from_be_bytes(*bytes),
                Encoding::ImplicitLittle | Encoding::ExplicitLittle => <$number>::from_le_bytes(*bytes),
            };
            chunks.map(number).map($to_f64).collect()
        }};
    }
    match vr {
        Vr::US => numbers!(u16, f64::from),
        Vr::SS => numbers!(i16, f64::from),
        Vr::UL => numbers!(u32, f64::from),
        Vr::SL => numbers!(i32, f64::from),
        // The nearest number that comparisons have: these have 53 bits.
        Vr::UV => numbers!(u64, |number| number as f64),
        Vr::SV => numbers!(i64, |number| number as f64),
        Vr::FD => numbers!(f64, |number| number),
        // The decimal that was meant: 1.1 is another number in 32 bits than in 64.
        Vr::FL => numbers!(f32, |number: f32| number.to_string().parse().unwrap_or(f64::NAN)),
        _ => SmallVec::new(),
    }
}

/// A value of AT as eight hexadecimal digits.
fn tag_text([a, b, c, d]: [u8; 4], encoding: Encoding) -> String {
    let Tag(group, element) = match encoding {
        Encoding::ExplicitBig => Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        Encoding::ImplicitLittle | Encoding::ExplicitLittle => {
            Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
        }
    };
    format!("{group:04X}{element:04X}")
}

const PADDING: [char; 2] = [' ', '\0'];

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
