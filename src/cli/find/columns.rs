//! Attributes as the command line names them.

use model::header::{Header, Value};
use model::query::attribute;
use model::{QueryRetrieveLevel, Tag, Vr, vr};

/// An attribute that is to be returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the user wrote it.
    pub(super) name: String,
    pub(super) tag: Tag,
    pub(super) vr: Vr,
}

/// An attribute with what it must match; nothing where it is only to be returned.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) column: Column,
    pub(super) values: Vec<String>,
}

/// Without what is looked for, which may be a patient's.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} values)", self.column.name, self.values.len())
    }
}

/// Reads a keyword or tag: `PatientID`, `00100020`, `0010,0020`.
pub(super) fn column(given: &str) -> Result<Column, String> {
    let digits = given.trim_matches(['(', ')']).replace(',', "");
    let found = attribute(given).or_else(|| attribute(&digits).filter(|_| digits.len() == 8));
    let Some((tag, vr)) = found else {
        return Err(match rules::closest_keyword(given) {
            Some(meant) => format!("there is no such attribute; did you mean {meant}?"),
            None => "there is no such attribute; write its keyword, or its tag as 0010,0020".to_owned(),
        });
    };
    match tag {
        Tag(..0x0008, _) | Tag(_, 0) => Err("it is no attribute of data sets".to_owned()),
        Tag(0x0008, 0x0005 | 0x0052) => Err("the command sets it itself".to_owned()),
        _ => Ok(Column { name: given.to_owned(), tag, vr }),
    }
}

/// Reads `KEYWORD=VALUE` or `KEYWORD`.
pub(super) fn key(given: &str) -> Result<Key, String> {
    let (name, value) = given.split_once('=').unwrap_or((given, ""));
    let column = column(name)?;
    if value.is_empty() {
        return Ok(Key { column, values: Vec::new() });
    }
    let vr = column.vr;
    let values = match vr {
        Vr::SQ => return Err("it is a sequence, which can only be returned".to_owned()),
        _ if vr::is_binary(vr) => return Err(format!("its value is of VR {vr}, which cannot be matched")),
        _ if vr::is_text(vr) && !vr::is_multi_valued_text(vr) => vec![value.to_owned()],
        _ => value.split('\\').map(str::to_owned).collect(),
    };
    Ok(Key { column, values })
}

/// What is told of a match unless the user says it.
pub(super) fn usual(level: QueryRetrieveLevel) -> Vec<Column> {
    let names: &[&str] = match level {
        QueryRetrieveLevel::Patient => &["PatientID", "PatientName", "PatientBirthDate", "PatientSex"],
        QueryRetrieveLevel::Study => &[
            "StudyDate",
            "PatientID",
            "PatientName",
            "ModalitiesInStudy",
            "StudyDescription",
            "NumberOfStudyRelatedInstances",
            "StudyInstanceUID",
        ],
        QueryRetrieveLevel::Series => &[
            "SeriesNumber",
            "Modality",
            "SeriesDescription",
            "NumberOfSeriesRelatedInstances",
            "SeriesInstanceUID",
        ],
        QueryRetrieveLevel::Image => &["InstanceNumber", "SOPClassUID", "SOPInstanceUID"],
    };
    names.iter().map(|name| known(name)).collect()
}

/// The unique key of a level (PS3.4 §C.6.1.1).
pub(super) fn unique(level: QueryRetrieveLevel) -> Column {
    known(match level {
        QueryRetrieveLevel::Patient => "PatientID",
        QueryRetrieveLevel::Study => "StudyInstanceUID",
        QueryRetrieveLevel::Series => "SeriesInstanceUID",
        QueryRetrieveLevel::Image => "SOPInstanceUID",
    })
}

fn known(name: &str) -> Column {
    let (tag, vr) = vr::tag_of_keyword(name).expect("the dictionary has these");
    Column { name: name.to_owned(), tag, vr }
}

/// The value of an attribute as a cell of a table; empty where there is none.
pub(super) fn cell(row: &Header, column: &Column) -> String {
    let Some(element) = row.element(column.tag) else { return String::new() };
    match element.value() {
        Value::Items(items) => format!("[{}]", items.count()),
        Value::Bytes(_) if vr::is_text(element.vr) => element.text(row.charset()).unwrap_or_default(),
        Value::Bytes([]) => String::new(),
        Value::Bytes(bytes) => match element.integer() {
            Some(number) => number.to_string(),
            None => format!("[{} bytes]", bytes.len()),
        },
        Value::Bulk | Value::Fragments { .. } | Value::Omitted => "[…]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_keywords_and_tags() {
        for name in ["PatientID", "00100020", "0010,0020", "(0010,0020)"] {
            assert_eq!(column(name).map(|column| column.tag), Ok(Tag(0x0010, 0x0020)), "{name}");
        }
        for (name, part) in [
            ("PatientNam", "did you mean PatientName?"),
            ("patientid", "did you mean PatientID?"),
            ("Nonsense17", "no such attribute"),
            ("", "no such attribute"),
            ("QueryRetrieveLevel", "sets it itself"),
            ("00020010", "no attribute of data sets"),
        ] {
            let refusal = column(name).unwrap_err();
            assert!(refusal.contains(part), "{name}: {refusal}");
        }
    }

    #[test]
    fn keys_have_values_or_none() {
        let values = |given: &str| key(given).map(|key| key.values);
        assert_eq!(values("PatientName=DOE^*"), Ok(vec!["DOE^*".to_owned()]));
        assert_eq!(values("StudyInstanceUID=1.2\\1.3"), Ok(vec!["1.2".to_owned(), "1.3".to_owned()]));
        assert_eq!(values("StudyDescription=a=b"), Ok(vec!["a=b".to_owned()]));
        assert_eq!(values("StudyDate="), Ok(Vec::new()));
        assert_eq!(values("StudyDate"), Ok(Vec::new()));
        assert_eq!(values("RequestAttributesSequence"), Ok(Vec::new()));
        assert!(values("RequestAttributesSequence=x").is_err());
        assert!(values("PixelData=x").is_err());
    }

    #[test]
    fn every_level_has_its_columns_and_its_unique_key() {
        use QueryRetrieveLevel::{Image, Patient, Series, Study};
        for level in [Patient, Study, Series, Image] {
            assert!(usual(level).contains(&unique(level)), "{level:?}");
        }
    }
}
