use proptest::prelude::*;

use super::*;
use crate::element::put;
use crate::header::{AttributePath, Element, Header, Value};
use crate::syntax::{Encoding, Form};
use crate::{Tag, Vr, limits};

use Encoding::{ExplicitBig, ExplicitLittle, ImplicitLittle};

const NAME: Tag = Tag(0x0010, 0x0010);
const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const REFERENCE: Tag = Tag(0x0008, 0x1150);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;

/// Bytes of a data set, put together piece by piece.
#[derive(Clone)]
struct Data(Encoding, Vec<u8>);

impl Data {
    fn new(encoding: Encoding) -> Self {
        Self(encoding, Vec::new())
    }

    fn el(mut self, tag: Tag, vr: Vr, value: &[u8]) -> Self {
        put(&mut self.1, self.0, tag, vr, value);
        self
    }

    /// Tag, VR as these two bytes, 32-bit length.
    fn long(mut self, tag: Tag, vr: &[u8; 2], length: u32) -> Self {
        self = self.tag(tag);
        if self.0 != ImplicitLittle {
            self = self.raw(vr).raw(&[0, 0]);
        }
        self.number(length)
    }

    /// An item, fragment or delimiter.
    fn mark(self, tag: Tag, length: u32) -> Self {
        self.tag(tag).number(length)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.1.extend_from_slice(bytes);
        self
    }

    fn inside(self, content: &Data) -> Self {
        self.raw(&content.1)
    }

    /// The patient's ID, which shows that the walk got this far.
    fn last(self) -> Self {
        self.el(PATIENT_ID, Vr::LO, b"LAST")
    }

    fn tag(self, tag: Tag) -> Self {
        let bytes = [tag.group(), tag.element()].map(|word| match self.0 {
            ExplicitBig => word.to_be_bytes(),
            ImplicitLittle | ExplicitLittle => word.to_le_bytes(),
        });
        self.raw(bytes.as_flattened())
    }

    fn number(self, number: u32) -> Self {
        let bytes = match self.0 {
            ExplicitBig => number.to_be_bytes(),
            ImplicitLittle | ExplicitLittle => number.to_le_bytes(),
        };
        self.raw(&bytes)
    }

    fn len(&self) -> u32 {
        u32::try_from(self.1.len()).unwrap()
    }

    fn scan(&self) -> Result<Header, ScanError> {
        scan(form(self.0), &self.1)
    }
}

fn little() -> Data {
    Data::new(ExplicitLittle)
}

/// `(0008,1150)`, of eight bytes in explicit VR and a value of four.
fn reference() -> Data {
    little().el(REFERENCE, Vr::UI, b"1.2")
}

fn form(encoding: Encoding) -> Form {
    Form { encoding, deflated: false }
}

fn first_item(element: Element<'_>) -> Option<Vec<Tag>> {
    match element.value() {
        Value::Items(mut items) => Some(items.next()?.elements().map(|element| element.tag).collect()),
        _ => None,
    }
}

#[test]
fn reads_elements_of_every_encoding() {
    for encoding in [ImplicitLittle, ExplicitLittle, ExplicitBig] {
        let rows = if encoding == ExplicitBig { [2, 0] } else { [0, 2] };
        let header = Data::new(encoding)
            .el(Tag(0x0008, 0x0005), Vr::CS, b"ISO_IR 192")
            .el(NAME, Vr::PN, "Müller^Eva".as_bytes())
            .el(PATIENT_ID, Vr::LO, b" 7 ")
            .el(Tag(0x0020, 0x000D), Vr::UI, b"1.2.3")
            .el(Tag(0x0028, 0x0010), Vr::US, &rows)
            .scan()
            .unwrap();
        assert_eq!(header.encoding(), encoding);
        assert_eq!(header.text(NAME).unwrap(), "Müller^Eva");
        assert_eq!(header.text(PATIENT_ID).unwrap(), "7");
        assert_eq!(header.bytes(PATIENT_ID), Some(b" 7  ".as_slice()));
        assert_eq!(header.uid::<crate::Study>(Tag(0x0020, 0x000D)).unwrap().as_str(), "1.2.3");
        assert_eq!(header.integer(Tag(0x0028, 0x0010)), Some(512));
        assert_eq!(header.element(NAME).unwrap().vr, Vr::PN);
        assert_eq!((header.omitted(), header.text(REFERENCE)), (0, None));
    }
}

#[test]
fn copies_short_values_and_notes_the_place_of_long_ones() {
    let long_text = vec![b'A'; limits::INLINE_TEXT_BYTES as usize + 2];
    let header = little()
        .el(Tag(0x0009, 0x1001), Vr::OB, &[1; limits::INLINE_BINARY_BYTES as usize])
        .el(Tag(0x0009, 0x1002), Vr::OB, &[1; limits::INLINE_BINARY_BYTES as usize + 2])
        .el(Tag(0x0009, 0x1003), Vr::UT, &long_text[2..])
        .el(Tag(0x0009, 0x1004), Vr::UT, &long_text)
        .el(PIXELS, Vr::OW, &[1, 2])
        .scan()
        .unwrap();
    let is_bulk = |tag| matches!(header.element(tag).unwrap().value(), Value::Bulk);
    assert!(!is_bulk(Tag(0x0009, 0x1001)) && is_bulk(Tag(0x0009, 0x1002)));
    assert!(!is_bulk(Tag(0x0009, 0x1003)) && is_bulk(Tag(0x0009, 0x1004)));
    let pixels = header.element(PIXELS).unwrap();
    assert!(is_bulk(PIXELS));
    assert_eq!((pixels.offset, pixels.length), (header.len() - 2, Some(2)));
}

#[test]
fn finds_nested_elements_by_path() {
    let two = little()
        .mark(ITEM, reference().len())
        .inside(&reference())
        .mark(ITEM, UNDEFINED)
        .el(NAME, Vr::PN, b"A")
        .mark(ITEM_END, 0);
    let header = little()
        .long(SEQUENCE, b"SQ", two.len())
        .inside(&two)
        .long(Tag(0x0040, 0xA730), b"SQ", UNDEFINED)
        .inside(&two)
        .mark(SEQUENCE_END, 0)
        .last()
        .scan()
        .unwrap();
    for sequence in [SEQUENCE, Tag(0x0040, 0xA730)] {
        let path = AttributePath::top(sequence);
        assert_eq!(header.at(&path.inside(2, NAME)).unwrap().bytes(), Some(b"A ".as_slice()));
        assert_eq!(header.at(&path.inside(1, REFERENCE)).unwrap().bytes(), Some(b"1.2\0".as_slice()));
        for nowhere in [path.inside(0, NAME), path.inside(1, NAME), path.inside(3, NAME)] {
            assert!(header.at(&nowhere).is_none());
        }
    }
    assert_eq!(header.elements().count(), 3);
    assert!(header.at(&AttributePath::top(PATIENT_ID).inside(1, NAME)).is_none());
}

#[test]
fn reads_un_of_undefined_length_as_implicit_little_endian() {
    let implicit = Data::new(ImplicitLittle)
        .mark(ITEM, UNDEFINED)
        .el(NAME, Vr::PN, b"AB")
        .mark(ITEM_END, 0)
        .mark(SEQUENCE_END, 0);
    let header =
        Data::new(ExplicitBig).long(Tag(0x0009, 0x1001), b"UN", UNDEFINED).inside(&implicit).last().scan();
    let header = header.unwrap();
    let sequence = header.element(Tag(0x0009, 0x1001)).unwrap();
    let Value::Items(mut items) = sequence.value() else { panic!("items") };
    let name = items.next().unwrap().element(NAME).unwrap();
    assert_eq!((sequence.vr, sequence.encoding()), (Vr::SQ, ExplicitBig));
    assert_eq!((name.vr, name.encoding(), name.bytes()), (Vr::PN, ImplicitLittle, Some(b"AB".as_slice())));
    assert_eq!(header.text(PATIENT_ID).unwrap(), "LAST");
}

#[test]
fn reads_un_by_the_dictionary() {
    let implicit = Data::new(ImplicitLittle).el(REFERENCE, Vr::UI, b"1.2");
    let items = Data::new(ImplicitLittle).mark(ITEM, implicit.len()).inside(&implicit);
    let header = Data::new(ExplicitBig)
        .el(SEQUENCE, Vr::UN, &items.1)
        .el(SEQUENCE, Vr::UN, b"no items")
        .el(SEQUENCE, Vr::UN, b"none")
        .el(SEQUENCE, Vr::UN, b"")
        .el(Tag(0x0009, 0x0010), Vr::UN, b"US")
        .el(Tag(0x0009, 0x1001), Vr::UN, b"??")
        .el(NAME, Vr::UN, b"Doe")
        .el(Tag(0x0028, 0x0010), Vr::UN, &[2, 0])
        .scan()
        .unwrap();
    let vrs: Vec<_> = header.elements().map(|element| element.vr).collect();
    assert_eq!(vrs, [Vr::SQ, Vr::UN, Vr::UN, Vr::SQ, Vr::LO, Vr::UN, Vr::PN, Vr::US]);
    assert_eq!(first_item(header.element(SEQUENCE).unwrap()).unwrap(), [REFERENCE]);
    assert_eq!(header.elements().nth(1).unwrap().bytes(), Some(b"no items".as_slice()));
    assert_eq!(header.text(NAME).unwrap(), "Doe");
    assert_eq!(header.integer(Tag(0x0028, 0x0010)), Some(2));
}

#[test]
fn reads_unknown_vrs_by_their_letters() {
    let header = little()
        .long(NAME, b"ZZ", 4)
        .raw(b"A^B ")
        .tag(Tag(0x0009, 0x1001))
        .raw(b"lo\x02\0XY")
        .last()
        .scan()
        .unwrap();
    assert_eq!(header.text(NAME).unwrap(), "A^B");
    assert_eq!(header.element(Tag(0x0009, 0x1001)).unwrap().vr, Vr::UN);
    assert_eq!(header.text(PATIENT_ID).unwrap(), "LAST");
}

#[test]
fn chooses_the_sign_by_pixel_representation() {
    for (representation, vr) in [(0, Vr::US), (1, Vr::SS)] {
        let header = Data::new(ImplicitLittle)
            .el(Tag(0x0028, 0x0103), Vr::US, &[representation, 0])
            .el(Tag(0x0028, 0x0106), Vr::US, &[0xFF, 0xFF])
            .scan()
            .unwrap();
        assert_eq!(header.element(Tag(0x0028, 0x0106)).unwrap().vr, vr);
    }
}

#[test]
fn keeps_repeated_and_unordered_elements_and_finds_the_first() {
    let header = little().last().el(NAME, Vr::PN, b"A").el(PATIENT_ID, Vr::LO, b"B").scan().unwrap();
    assert_eq!(
        header.elements().map(|element| element.tag).collect::<Vec<_>>(),
        [PATIENT_ID, NAME, PATIENT_ID]
    );
    assert_eq!(header.text(PATIENT_ID).unwrap(), "LAST");
}

#[test]
fn measures_fragments_to_the_end_of_their_delimiter() {
    let fragments = little().mark(ITEM, 0).mark(ITEM, 5).raw(b"odd..").mark(SEQUENCE_END, 0);
    let icon =
        little().mark(ITEM, UNDEFINED).long(PIXELS, b"OB", UNDEFINED).inside(&fragments).mark(ITEM_END, 0);
    let header = little()
        .long(Tag(0x0088, 0x0200), b"SQ", UNDEFINED)
        .inside(&icon)
        .mark(SEQUENCE_END, 0)
        .long(PIXELS, b"OB", UNDEFINED)
        .inside(&fragments)
        .scan()
        .unwrap();
    let pixels = header.element(PIXELS).unwrap();
    let length = u64::from(fragments.len());
    assert!(matches!(pixels.value(), Value::Fragments { length: found } if found == length));
    assert_eq!((pixels.offset, pixels.length), (header.len() - length, None));
    let icon = header.at(&AttributePath::top(Tag(0x0088, 0x0200)).inside(1, PIXELS)).unwrap();
    assert!(matches!(icon.value(), Value::Fragments { length: found } if found == length));
}

#[test]
fn steps_over_what_is_bounded_and_counts_it() {
    let one = reference();
    let item = little().mark(ITEM, one.len()).inside(&one);
    let cases: &[(&str, Data, u32)] = &[
        ("an item runs past its sequence", little().mark(ITEM, one.len() + 40).inside(&one), 1),
        ("an element where an item belongs", one.clone(), 1),
        ("bytes after the last item", item.clone().raw(&[0; 6]), 1),
        ("an element runs past its item", little().mark(ITEM, one.len() - 2).raw(&one.1[..10]), 1),
        ("a head runs past its item", little().mark(ITEM, 10).tag(NAME).raw(b"OB\0\0\0\0"), 1),
        ("an item that is never closed", little().mark(ITEM, UNDEFINED).inside(&one), 1),
        ("a sequence delimiter closes an item", little().mark(ITEM, UNDEFINED).mark(SEQUENCE_END, 0), 1),
        ("a stray delimiter with a length", item.clone().mark(ITEM_END, 8), 1),
        ("an item delimiter between items", item.clone().mark(ITEM_END, 0).inside(&item), 0),
        ("a sequence delimiter in spite of a length", item.clone().mark(SEQUENCE_END, 0), 0),
        ("an item delimiter in an item of defined length", little().mark(ITEM, 8).mark(ITEM_END, 0), 0),
        ("delimiters of some length", little().mark(ITEM, UNDEFINED).mark(ITEM_END, 9), 0),
        ("nothing", little(), 0),
    ];
    for (what, content, omitted) in cases {
        let bounded = little().long(SEQUENCE, b"SQ", content.len()).inside(content).last().scan();
        let bounded = bounded.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(bounded.text(PATIENT_ID).as_deref(), Some("LAST"), "{what}");
        assert_eq!((bounded.omitted(), bounded.elements().count()), (*omitted, 2), "{what}");
    }
}

#[test]
fn takes_what_is_stray_at_the_top_level() {
    for (stray, omitted) in [
        (little().mark(ITEM_END, 0), 0),
        (little().mark(SEQUENCE_END, 0), 0),
        (little().mark(ITEM, 0), 0),
        (little().mark(ITEM, reference().len()).inside(&reference()), 1),
        (little().el(Tag(0x0000, 0x0100), Vr::US, &[1, 0]), 0),
        (little().long(Tag(0xFFFF, 0xFFFF), b"OB", 0), 0),
    ] {
        let header = stray.last().scan().unwrap();
        assert_eq!((header.text(PATIENT_ID).as_deref(), header.omitted()), (Some("LAST"), omitted));
    }
}

#[test]
fn refuses_what_breaks_the_walk() {
    let open = || little().long(SEQUENCE, b"SQ", UNDEFINED);
    let pixels = || little().long(PIXELS, b"OB", UNDEFINED).mark(ITEM, 0);
    let cases: &[(&str, Data, ScanError)] = &[
        ("a value cut", little().tag(NAME).raw(b"PN\x04\0ABC"), ScanError::PastEnd(NAME)),
        ("a doubtful value cut", little().long(SEQUENCE, b"UN", 8).raw(&[0]), ScanError::PastEnd(SEQUENCE)),
        ("a head cut", little().tag(NAME).raw(b"UN\0\0\0\0"), ScanError::PastEnd(NAME)),
        ("a tag cut", little().last().raw(b"\x10\0"), ScanError::Trailing(2)),
        ("a defined sequence cut", little().long(SEQUENCE, b"SQ", 9), ScanError::PastEnd(SEQUENCE)),
        ("no delimiter at all", open(), ScanError::Unclosed(SEQUENCE)),
        ("no item delimiter", open().mark(ITEM, UNDEFINED).last(), ScanError::Unclosed(SEQUENCE)),
        ("no sequence delimiter", open().mark(ITEM, 0).last(), ScanError::Lost(PATIENT_ID)),
        ("a sequence delimiter closes an item", open().mark(ITEM, UNDEFINED).mark(SEQUENCE_END, 0), {
            ScanError::Lost(SEQUENCE_END)
        }),
        ("native data of undefined length", little().long(PIXELS, b"OW", UNDEFINED).mark(NAME, 7), {
            ScanError::Lost(NAME)
        }),
        ("fragments without delimiter", pixels(), ScanError::Unclosed(PIXELS)),
        ("a fragment cut", pixels().mark(ITEM, 4).raw(b"AB"), ScanError::FragmentPastEnd(PIXELS)),
        ("a fragment of undefined length", pixels().mark(ITEM, UNDEFINED), ScanError::Lost(ITEM)),
        ("an item delimiter among fragments", pixels().mark(ITEM_END, 0), ScanError::Lost(ITEM_END)),
        ("a stray delimiter with a length", little().mark(ITEM_END, 4), ScanError::Lost(ITEM_END)),
        ("a stray item of undefined length", little().mark(ITEM, UNDEFINED), ScanError::Lost(ITEM)),
    ];
    for (what, data, error) in cases {
        assert_eq!(data.scan().unwrap_err(), *error, "{what}");
    }
}

#[test]
fn takes_fewer_than_eight_zeros_as_padding() {
    for length in 0..8 {
        assert_eq!(little().last().raw(&[0; 8][..length]).scan().unwrap().elements().count(), 1);
    }
    assert_eq!(little().last().raw(&[0; 8]).scan().unwrap().elements().count(), 2);
    assert_eq!(little().last().raw(&[0, 0, 1]).scan(), Err(ScanError::Trailing(3)));
}

fn nested(depth: usize, closed: bool) -> Data {
    let mut data = little();
    for _ in 0..depth {
        data = data.long(SEQUENCE, b"SQ", UNDEFINED).mark(ITEM, UNDEFINED);
    }
    for _ in 0..if closed { depth } else { 0 } {
        data = data.mark(ITEM_END, 0).mark(SEQUENCE_END, 0);
    }
    data
}

#[test]
fn keeps_sequences_to_the_limit_of_depth_and_walks_the_rest() {
    let records = |header: &Header| header.records.len();
    let header = nested(limits::DEPTH, true).last().scan().unwrap();
    assert_eq!((header.omitted(), records(&header)), (0, 2 * limits::DEPTH + 1));
    for depth in [limits::DEPTH + 1, 50_000] {
        let header = nested(depth, true).last().scan().unwrap();
        assert_eq!((header.omitted(), records(&header)), (1, 2 * limits::DEPTH + 2));
        assert_eq!(header.text(PATIENT_ID).unwrap(), "LAST");
    }
    assert_eq!(nested(50_000, false).scan(), Err(ScanError::Unclosed(SEQUENCE)));
}

#[test]
fn walks_anything_beyond_the_limit_of_depth() {
    let deep = nested(limits::DEPTH, false)
        .long(SEQUENCE, b"SQ", UNDEFINED)
        .mark(ITEM, 3)
        .raw(b"abc")
        .mark(ITEM, UNDEFINED)
        .inside(&reference())
        .long(PIXELS, b"OB", UNDEFINED)
        .mark(ITEM, 2)
        .raw(b"ab")
        .mark(SEQUENCE_END, 0)
        .long(SEQUENCE, b"SQ", 5)
        .raw(b"abcde")
        .long(NAME, b"UN", UNDEFINED)
        .inside(&Data::new(ImplicitLittle).mark(ITEM, UNDEFINED).el(NAME, Vr::PN, b"UN"))
        .mark(ITEM_END, 0)
        .mark(SEQUENCE_END, 0)
        .inside(&reference())
        .mark(ITEM_END, 0)
        .mark(SEQUENCE_END, 0);
    let closing = nested(limits::DEPTH, true).1.split_off(nested(limits::DEPTH, false).1.len());
    let header = deep.raw(&closing).last().scan().unwrap();
    assert_eq!((header.omitted(), header.text(PATIENT_ID).as_deref()), (1, Some("LAST")));
}

#[test]
fn bounds_the_header_and_still_finds_what_follows() {
    let mut items = little();
    for _ in 0..limits::HEADER_BYTES / 32 {
        items = items.mark(ITEM, 0);
    }
    let count = u64::from(items.len()) / 8;
    let header = little().long(SEQUENCE, b"SQ", items.len()).inside(&items).last().scan().unwrap();
    assert_eq!(header.text(PATIENT_ID).unwrap(), "LAST");
    assert_eq!(u64::from(header.omitted()) + header.records.len() as u64, count + 2);
    assert!(size_of_val(header.records.as_slice()) <= limits::HEADER_BYTES);
    assert!(header.omitted() > 0);
}

#[test]
fn asks_only_for_what_it_must_see() {
    let data = little().long(PIXELS, b"OW", 1 << 30);
    let mut scanner = Scanner::new(form(ExplicitLittle));
    scanner.feed(&data.1).unwrap();
    assert_eq!(scanner.skippable(), 1 << 30);
    scanner.skip((1 << 30) - 2);
    assert_eq!(scanner.skippable(), 2);
    scanner.feed(&[0, 0]).unwrap();
    assert_eq!(scanner.skippable(), 0);
    scanner.feed(&little().last().1).unwrap();
    let header = scanner.finish().unwrap();
    assert_eq!((header.len(), header.elements().count()), ((1 << 30) + 24, 2));
}

#[test]
fn tells_nothing_of_the_patient_when_printed() {
    let header = little().el(NAME, Vr::PN, b"Doe^Jane").scan().unwrap();
    assert!(!format!("{header:?}").contains("Doe"));
}

/// An element of a made-up data set.
#[derive(Debug, Clone)]
enum Node {
    Value(Tag, Vec<u8>),
    /// Items, and whether lengths are defined.
    Items(Tag, Vec<Vec<Node>>, bool),
}

fn write_nodes(data: Data, nodes: &[Node]) -> Data {
    nodes.iter().fold(data, |data, node| match node {
        Node::Value(tag, value) => data.el(*tag, Vr::UN, value),
        Node::Items(tag, items, is_defined) => {
            let mut content = Data::new(data.0);
            for item in items {
                let item = write_nodes(Data::new(data.0), item);
                let length = if *is_defined { item.len() } else { UNDEFINED };
                content = content.mark(ITEM, length).inside(&item);
                content = if *is_defined { content } else { content.mark(ITEM_END, 0) };
            }
            let length = if *is_defined { content.len() } else { UNDEFINED };
            let data = data.long(*tag, b"SQ", length).inside(&content);
            if *is_defined { data } else { data.mark(SEQUENCE_END, 0) }
        }
    })
}

fn read_nodes<'a>(elements: impl Iterator<Item = Element<'a>>) -> Vec<Node> {
    let node = |element: Element<'a>| match element.value() {
        Value::Items(items) => {
            let items = items.map(|item| read_nodes(item.elements())).collect();
            Node::Items(element.tag, items, element.length.is_some())
        }
        _ => Node::Value(element.tag, element.bytes().unwrap().to_vec()),
    };
    elements.map(node).collect()
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    // Private values, which no dictionary gives another VR; a standard sequence, which implicit VR knows for one.
    let value =
        (0x1000_u16..0x1100, prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(element, value)| {
            let even = value.len() & !1;
            Node::Value(Tag(0x0009, element), value[..even].to_vec())
        });
    let node = value.prop_recursive(4, 48, 4, |node| {
        let item = prop::collection::vec(node, 0..4);
        (prop::collection::vec(item, 0..4), any::<bool>())
            .prop_map(|(items, is_defined)| Node::Items(SEQUENCE, items, is_defined))
    });
    prop::collection::vec(node, 0..8)
}

proptest! {
    #[test]
    fn reads_back_any_tree(nodes in nodes(), which in 0..3_usize) {
        let encoding = [ImplicitLittle, ExplicitLittle, ExplicitBig][which];
        let data = write_nodes(Data::new(encoding), &nodes);
        let header = data.scan().unwrap();
        prop_assert_eq!(header.omitted(), 0);
        prop_assert_eq!(format!("{:?}", read_nodes(header.elements())), format!("{nodes:?}"));
    }

    #[test]
    fn takes_damaged_trees_in_any_chunks(
        nodes in nodes(),
        form in 0..3_u8,
        chunk in any::<u8>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let encoding = [ImplicitLittle, ExplicitLittle, ExplicitBig][usize::from(form)];
        let mut data = write_nodes(Data(encoding, vec![form, chunk]), &nodes).last().1;
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
        }
        fuzz_scan(&data);
    }

    #[test]
    fn takes_any_bytes_in_any_chunks(data in prop::collection::vec(any::<u8>(), 0..512)) {
        fuzz_scan(&data);
    }
}
