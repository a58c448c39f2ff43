use super::*;
use crate::Vr;
use crate::element::put;
use crate::scan::scan;

const LITTLE: Encoding = Encoding::ExplicitLittle;

/// The JSON of a data set of these elements, without the braces around it.
fn json(encoding: Encoding, elements: &[(u32, Vr, &[u8])]) -> String {
    let data_set = encoded(encoding, elements);
    let header = scan(Form { encoding, deflated: false }, &data_set).unwrap();
    let mut out = Vec::new();
    assert_eq!(write_header(&header, "/b", &mut out), 0);
    let text = String::from_utf8(out).unwrap();
    check(&serde_json::from_str(&text).unwrap());
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap().to_owned()
}

fn encoded(encoding: Encoding, elements: &[(u32, Vr, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, vr, value) in elements {
        put(&mut out, encoding, Tag((tag >> 16) as u16, *tag as u16), *vr, value);
    }
    out
}

/// One item of explicit length.
fn item(elements: &[(u32, Vr, &[u8])]) -> Vec<u8> {
    let content = encoded(LITTLE, elements);
    let mut out = b"\xFE\xFF\x00\xE0".to_vec();
    out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&content);
    out
}

fn check_one(tag: u32, vr: Vr, value: &[u8], expected: &str) {
    assert_eq!(json(LITTLE, &[(tag, vr, value)]), expected);
}

#[test]
fn writes_each_kind_of_value() {
    check_one(0x0008_0060, Vr::CS, b"CT", r#""00080060":{"vr":"CS","Value":["CT"]}"#);
    check_one(0x0008_0018, Vr::UI, b"1.2.3", r#""00080018":{"vr":"UI","Value":["1.2.3"]}"#);
    check_one(0x0020_0013, Vr::IS, b" 7 ", r#""00200013":{"vr":"IS","Value":[7]}"#);
    check_one(0x0020_0013, Vr::IS, b"7.5", r#""00200013":{"vr":"IS","Value":["7.5"]}"#);
    check_one(0x0028_0030, Vr::DS, b"0.50\\+.5", r#""00280030":{"vr":"DS","Value":[0.50,0.5]}"#);
    check_one(0x0028_0030, Vr::DS, b"0,5", r#""00280030":{"vr":"DS","Value":["0,5"]}"#);
    check_one(0x0028_0010, Vr::US, b"\x00\x02", r#""00280010":{"vr":"US","Value":[512]}"#);
    check_one(0x0028_0106, Vr::SS, b"\xff\xff\x01\x00", r#""00280106":{"vr":"SS","Value":[-1,1]}"#);
    check_one(0x0018_9087, Vr::FD, &1.5f64.to_le_bytes(), r#""00189087":{"vr":"FD","Value":[1.5]}"#);
    check_one(0x0018_9087, Vr::FD, &f64::NAN.to_le_bytes(), r#""00189087":{"vr":"FD","Value":["NaN"]}"#);
    check_one(0x0028_0009, Vr::AT, b"\x18\0\x63\x10", r#""00280009":{"vr":"AT","Value":["00181063"]}"#);
    check_one(0x0009_1001, Vr::OB, b"\x01\x02", r#""00091001":{"vr":"OB","InlineBinary":"AQI="}"#);
    check_one(0x0009_1001, Vr::UN, b"\x01\x02", r#""00091001":{"vr":"UN","InlineBinary":"AQI="}"#);
    check_one(0x0009_0010, Vr::LO, b"ACME", r#""00090010":{"vr":"LO","Value":["ACME"]}"#);
    check_one(0x0008_1030, Vr::LO, b"a\"b\n\x01", r#""00081030":{"vr":"LO","Value":["a\"b\n\u0001"]}"#);
    check_one(0x0010_4000, Vr::LT, b" a\\b ", r#""00104000":{"vr":"LT","Value":[" a\\b"]}"#);
}

#[test]
fn empty_values_are_absent_alone_and_null_among_others() {
    check_one(0x0008_0060, Vr::CS, b"", r#""00080060":{"vr":"CS"}"#);
    check_one(0x0008_0060, Vr::CS, b"  ", r#""00080060":{"vr":"CS"}"#);
    check_one(0x0008_0008, Vr::CS, b"A\\\\B\\", r#""00080008":{"vr":"CS","Value":["A",null,"B",null]}"#);
    check_one(0x0028_0030, Vr::DS, b"1\\", r#""00280030":{"vr":"DS","Value":[1,null]}"#);
    check_one(0x0010_1001, Vr::PN, b"\\A", r#""00101001":{"vr":"PN","Value":[null,{"Alphabetic":"A"}]}"#);
    check_one(0x0010_0010, Vr::PN, b"==", r#""00100010":{"vr":"PN","Value":[null]}"#);
    check_one(0x0028_0010, Vr::US, b"", r#""00280010":{"vr":"US"}"#);
    check_one(0x0028_3006, Vr::OW, b"", r#""00283006":{"vr":"OW"}"#);
    check_one(0x0040_A730, Vr::SQ, b"", r#""0040A730":{"vr":"SQ"}"#);
    check_one(0x7FE0_0010, Vr::OW, b"", r#""7FE00010":{"vr":"OW"}"#);
    check_one(0x0040_A730, Vr::SQ, &item(&[]), r#""0040A730":{"vr":"SQ","Value":[{}]}"#);
}

#[test]
fn parts_the_groups_of_a_person_name() {
    check_one(
        0x0010_0010,
        Vr::PN,
        b"Yamada^Tarou= =ya ",
        r#""00100010":{"vr":"PN","Value":[{"Alphabetic":"Yamada^Tarou","Phonetic":"ya"}]}"#,
    );
}

#[test]
fn states_utf_8_where_a_set_or_text_beyond_ascii_was() {
    let set = r#""00080005":{"vr":"CS","Value":["ISO_IR 192"]},"#;
    assert_eq!(
        json(LITTLE, &[(0x0008_0005, Vr::CS, b"ISO_IR 144"), (0x0010_0020, Vr::LO, b"\xbb")]),
        format!(r#"{set}"00100020":{{"vr":"LO","Value":["Л"]}}"#)
    );
    assert_eq!(
        json(
            LITTLE,
            &[(0x0008_0001, Vr::UL, b""), (0x0008_0008, Vr::CS, b"A"), (0x0010_0020, Vr::LO, b"\xe9")]
        ),
        format!(
            r#""00080001":{{"vr":"UL"}},{set}"00080008":{{"vr":"CS","Value":["A"]}},"00100020":{{"vr":"LO","Value":["é"]}}"#
        )
    );
}

#[test]
fn an_item_is_read_by_its_own_character_set() {
    let items = [
        item(&[(0x0008_0005, Vr::CS, b"ISO_IR 144"), (0x0008_0104, Vr::LO, b"\xbb")]),
        item(&[(0x0008_0104, Vr::LO, b"\xe9")]),
    ]
    .concat();
    let text = json(
        LITTLE,
        &[
            (0x0008_0005, Vr::CS, b"ISO_IR 100"),
            (0x0040_A730, Vr::SQ, &items),
            (0x0040_DB00, Vr::LO, b"\xe9"),
        ],
    );
    assert_eq!(
        text,
        r#""00080005":{"vr":"CS","Value":["ISO_IR 192"]},"0040A730":{"vr":"SQ","Value":[{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080104":{"vr":"LO","Value":["Л"]}},{"00080104":{"vr":"LO","Value":["é"]}}]},"0040DB00":{"vr":"LO","Value":["é"]}"#
    );
}

#[test]
fn refers_to_bulk_data_by_its_path() {
    let long = vec![7; 1026];
    let items = [item(&[]), item(&[(0x0028_3006, Vr::OW, &long), (0x7FE0_0010, Vr::OW, b"\x01\0")])].concat();
    assert_eq!(
        json(LITTLE, &[(0x0028_3010, Vr::SQ, &items), (0x7FE0_0010, Vr::OB, b"\x01\0")]),
        r#""00283010":{"vr":"SQ","Value":[{},{"00283006":{"vr":"OW","BulkDataURI":"/b/00283010/2/00283006"},"7FE00010":{"vr":"OW","BulkDataURI":"/b/00283010/2/7FE00010"}}]},"7FE00010":{"vr":"OB","BulkDataURI":"/b/7FE00010"}"#
    );
    let fragments = b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0";
    let form = Form { encoding: LITTLE, deflated: false };
    let mut out = Vec::new();
    write_header(&scan(form, fragments).unwrap(), "/b", &mut out);
    assert_eq!(out, br#"{"7FE00010":{"vr":"OB","BulkDataURI":"/b/7FE00010"}}"#);
}

#[test]
fn a_long_value_that_may_not_be_referred_to_leaves_its_attribute_empty() {
    let name = vec![b'a'; limits::INLINE_TEXT_BYTES as usize + 2];
    let data_set =
        encoded(Encoding::ImplicitLittle, &[(0x0010_0010, Vr::PN, &name), (0x0010_4000, Vr::LT, &name)]);
    let form = Form { encoding: Encoding::ImplicitLittle, deflated: false };
    let mut out = Vec::new();
    write_header(&scan(form, &data_set).unwrap(), "/b", &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"00100010":{"vr":"PN"},"00104000":{"vr":"LT","BulkDataURI":"/b/00104000"}}"#
    );
}

#[test]
fn orders_attributes_and_takes_the_first_of_repeated_ones() {
    assert_eq!(
        json(
            LITTLE,
            &[
                (0x0010_0020, Vr::LO, b"first"),
                (0x0008_0000, Vr::UL, b"\0\0\0\0"),
                (0x0008_0060, Vr::CS, b"CT"),
                (0x0010_0020, Vr::LO, b"second"),
            ]
        ),
        r#""00080060":{"vr":"CS","Value":["CT"]},"00100020":{"vr":"LO","Value":["first"]}"#
    );
}

#[test]
fn swaps_big_endian_values() {
    assert_eq!(
        json(
            Encoding::ExplicitBig,
            &[
                (0x0028_0010, Vr::US, b"\x02\x00"),
                (0x0028_0011, Vr::UN, b"\x00\x02"),
                (0x0028_3006, Vr::OW, b"\x01\x02\x03\x04"),
                (0x0040_A30A, Vr::UN, b"1.5 "),
                (0x0040_A30B, Vr::UN, b"\x01\x02"),
            ]
        ),
        r#""00280010":{"vr":"US","Value":[512]},"00280011":{"vr":"US","Value":[512]},"00283006":{"vr":"OW","InlineBinary":"AgEEAw=="},"0040A30A":{"vr":"DS","Value":[1.5]},"0040A30B":{"vr":"UN","InlineBinary":"AQI="}"#
    );
}

#[test]
fn output_is_bounded_whatever_the_escapes() {
    let text = vec![1; limits::INLINE_TEXT_BYTES as usize];
    let elements: Vec<_> = (0..200u32).map(|n| (0x0011_1000 + n, Vr::UT, text.as_slice())).collect();
    let header = scan(Form { encoding: LITTLE, deflated: false }, &encoded(LITTLE, &elements));
    let mut out = Vec::new();
    let left_out = write_header(&header.unwrap(), "/b", &mut out);
    assert!(left_out > 50 && out.len() < limits::JSON_BYTES + 500_000, "{left_out}");
    check(&serde_json::from_slice(&out).unwrap());
}

#[test]
fn writes_a_query_answer() {
    let mut row = Attributes::new();
    row.insert_text(Tag(0x0008, 0x0020), Vr::DA, "20200101");
    row.insert_text(Tag(0x0008, 0x0050), Vr::SH, "");
    row.insert(Tag(0x0008, 0x0061), Vr::CS, vec!["CT".into(), "".into()]);
    row.insert_text(Tag(0x0010, 0x0010), Vr::PN, "Bué^X=山");
    row.insert_text(Tag(0x0020, 0x1208), Vr::IS, "12");
    row.insert_text(Tag(0x0028, 0x0010), Vr::US, "512");
    let mut out = b"[".to_vec();
    write_attributes(&row, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"[{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA","Value":["20200101"]},"00080050":{"vr":"SH"},"00080061":{"vr":"CS","Value":["CT",null]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Bué^X","Ideographic":"山"}]},"00201208":{"vr":"IS","Value":[12]},"00280010":{"vr":"US","Value":[512]}}"#
    );
    out = Vec::new();
    write_attributes(&Attributes::new(), &mut out);
    assert_eq!(out, b"{}");
}

#[test]
fn items_and_bytes_of_an_answer_come_back() {
    let mut item = Attributes::new();
    item.insert_text(Tag(0x0008, 0x0104), Vr::LO, "K\u{f6}pfe");
    let mut row = Attributes::new();
    row.insert_items(Tag(0x0008, 0x1032), vec![item, Attributes::new()]);
    row.put(Tag(0x0029, 0x1001), Attribute { vr: Vr::UN, values: vec![], items: vec![], bytes: vec![1, 2] });
    let mut out = Vec::new();
    write_attributes(&row, &mut out);
    assert!(
        out.starts_with(
            br#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00081032":{"vr":"SQ","Value":[{"#
        )
    );
    let mut back = read(&out).unwrap();
    back.remove(Tag(0x0008, 0x0005));
    assert_eq!(back, row);
}
