//! What operands are, and with what they may be compared.

use model::Vr;

/// What an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text(Style),
    Number,
    /// An age string (PS3.5 §6.2): a number of days, of which a year has 365.25.
    Age,
    Date,
    Time,
    DateTime,
    /// An IP address.
    Address,
    /// Items.
    Sequence,
    /// Bytes that are no text and no numbers: one may ask whether they are there.
    Bytes,
    /// Of an attribute that the dictionary does not have: what it is compared with decides.
    Unknown,
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    /// CS: upper-case letters, digits, space, underscore.
    Code,
    Person,
    Uid,
    /// AE.
    Title,
    /// AT: an attribute's tag as eight hexadecimal digits.
    Tag,
    /// `from.via`.
    Door,
    /// In lower case.
    Lower,
}

impl Type {
    pub(crate) fn of(vr: Vr) -> Self {
        match vr {
            Vr::AE => Self::Text(Style::Title),
            Vr::AT => Self::Text(Style::Tag),
            Vr::CS => Self::Text(Style::Code),
            Vr::PN => Self::Text(Style::Person),
            Vr::UI => Self::Text(Style::Uid),
            Vr::LO | Vr::LT | Vr::SH | Vr::ST | Vr::UC | Vr::UR | Vr::UT => Self::Text(Style::Plain),
            Vr::AS => Self::Age,
            Vr::DA => Self::Date,
            Vr::TM => Self::Time,
            Vr::DT => Self::DateTime,
            Vr::DS | Vr::FD | Vr::FL | Vr::IS | Vr::SL | Vr::SS | Vr::SV | Vr::UL | Vr::US | Vr::UV => {
                Self::Number
            }
            Vr::SQ => Self::Sequence,
            Vr::OB | Vr::OD | Vr::OF | Vr::OL | Vr::OV | Vr::OW => Self::Bytes,
            Vr::UN => Self::Unknown,
        }
    }

    /// As messages name it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text(Style::Person) => "a person's name",
            Self::Text(Style::Uid) => "a UID",
            Self::Text(Style::Title) => "an AE title",
            Self::Text(Style::Tag) => "a tag",
            Self::Text(Style::Code | Style::Plain | Style::Door | Style::Lower) => "text",
            Self::Number => "a number",
            Self::Age => "an age",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::DateTime => "a date with time",
            Self::Address => "an IP address",
            Self::Sequence => "a sequence",
            Self::Bytes => "bytes",
            Self::Unknown => "of unknown type",
        }
    }

    /// How a literal of it is written.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Text(Style::Person) => "\"DOE^JOHN\"",
            Self::Text(Style::Uid) => "\"1.2.840.10008.5.1.4.1.1.2\"",
            Self::Text(Style::Title) => "\"STORE_SCP\"",
            Self::Text(Style::Tag) => "\"00181063\"",
            Self::Text(Style::Door) => "\"dimse\" or \"dicomweb\"",
            Self::Text(Style::Code | Style::Plain | Style::Lower) | Self::Unknown => "\"text\"",
            Self::Number => "12 or 1.5",
            Self::Age => "\"018Y\", \"6M\", \"2W\" or \"10D\"",
            Self::Date => "\"20260131\" or \"2026-01-31\"",
            Self::Time => "\"10:30\" or \"103000\"",
            Self::DateTime => "\"2026-01-31 10:30\", \"20260131\" or \"2026\"",
            Self::Address => "\"10.1.2.3\"",
            Self::Sequence | Self::Bytes => "nothing",
        }
    }

    /// Whether values have an order.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            Self::Number | Self::Age | Self::Date | Self::Time | Self::DateTime => true,
            Self::Text(_) | Self::Address | Self::Sequence | Self::Bytes | Self::Unknown => false,
        }
    }

    /// Whether two references of these types may be compared, and as what.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Sequence | Self::Bytes, _) | (_, Self::Sequence | Self::Bytes) => None,
            (Self::Unknown, known) | (known, Self::Unknown) => Some(known),
            (Self::Text(one), Self::Text(two)) => {
                Some(Self::Text(if one == two { one } else { Style::Plain }))
            }
            (one, two) => (one == two).then_some(one),
        }
    }
}
