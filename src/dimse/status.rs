use std::fmt;

/// A DIMSE status code (0000,0900).
///
/// The same code means different things in different services; [`crate::service`] has a table for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

/// What a status says about the operation (PS3.7 Annex C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Done.
    Success,
    /// Done, with something to look at.
    Warning,
    /// Not done.
    Failure,
    /// Ended at the requestor's wish.
    Cancel,
    /// More responses follow.
    Pending,
}

impl Status {
    /// Success.
    pub const SUCCESS: Self = Self(0x0000);
    /// Failed: processing failure (PS3.7 Annex C).
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// Failed: no such SOP instance (PS3.7 Annex C).
    pub const NO_SUCH_SOP_INSTANCE: Self = Self(0x0112);
    /// Failed: no such event type (PS3.7 Annex C).
    pub const NO_SUCH_EVENT_TYPE: Self = Self(0x0113);
    /// Failed: invalid argument value (PS3.7 Annex C).
    pub const INVALID_ARGUMENT_VALUE: Self = Self(0x0115);
    /// Failed: no such SOP class (PS3.7 Annex C).
    pub const NO_SUCH_SOP_CLASS: Self = Self(0x0118);
    /// Refused: SOP Class not supported (PS3.7 §C.5.6): the command's SOP class is not that of its presentation context.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// Failed: no such action type (PS3.7 Annex C).
    pub const NO_SUCH_ACTION: Self = Self(0x0123);
    /// Refused: not authorized (PS3.7 Annex C).
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// Failed: unrecognized operation (PS3.7 §C.5.10).
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// Failed: resource limitation (PS3.7 Annex C).
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);
    /// Cancel: the requestor asked for it (PS3.7 §C.3).
    pub const CANCEL: Self = Self(0xFE00);
    /// Pending (PS3.7 §C.2).
    pub const PENDING: Self = Self(0xFF00);
    /// Pending, and optional keys that are not supported were ignored (PS3.4 Table C.4-1).
    pub const PENDING_UNSUPPORTED_KEYS: Self = Self(0xFF01);

    /// The class. Codes that the standard leaves open are failures.
    ///
    /// PS3.7 Annex C, Table C-1.
    pub fn class(self) -> Class {
        match self.0 {
            0x0000 => Class::Success,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => Class::Warning,
            0xFE00 => Class::Cancel,
            0xFF00 | 0xFF01 => Class::Pending,
            _ => Class::Failure,
        }
    }

    /// What the code means in every service (PS3.7 Annex C); [`crate::service`] knows the codes of each.
    pub fn meaning(self) -> &'static str {
        GENERAL.iter().find(|(code, _)| *code == self.0).map_or(
            match self.class() {
                Class::Success => "success",
                Class::Warning => "warning",
                Class::Failure => "failure",
                Class::Cancel => "cancelled",
                Class::Pending => "pending",
            },
            |(_, meaning)| meaning,
        )
    }
}

/// As the standard prints it: `A700H`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}H", self.0)
    }
}

/// PS3.7 Annex C.
const GENERAL: &[(u16, &str)] = &[
    (0x0000, "success"),
    (0x0105, "no such attribute"),
    (0x0106, "invalid attribute value"),
    (0x0107, "attribute list warning"),
    (0x0110, "processing failure"),
    (0x0111, "duplicate SOP instance"),
    (0x0112, "no such SOP instance"),
    (0x0113, "no such event type"),
    (0x0114, "no such argument"),
    (0x0115, "invalid argument value"),
    (0x0116, "attribute value out of range"),
    (0x0117, "invalid SOP instance"),
    (0x0118, "no such SOP class"),
    (0x0119, "class-instance conflict"),
    (0x0120, "missing attribute"),
    (0x0121, "missing attribute value"),
    (0x0122, "SOP class not supported"),
    (0x0123, "no such action type"),
    (0x0124, "not authorized"),
    (0x0210, "duplicate invocation"),
    (0x0211, "unrecognized operation"),
    (0x0212, "mistyped argument"),
    (0x0213, "resource limitation"),
    (0xFE00, "cancelled"),
    (0xFF00, "pending"),
    (0xFF01, "pending, some optional keys not supported"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_annex_c() {
        for (code, class) in [
            (0x0000, Class::Success),
            (0x0001, Class::Warning),
            (0x0107, Class::Warning),
            (0x0110, Class::Failure),
            (0x0116, Class::Warning),
            (0x0122, Class::Failure),
            (0x0211, Class::Failure),
            (0xA700, Class::Failure),
            (0xA9FF, Class::Failure),
            (0xB000, Class::Warning),
            (0xB007, Class::Warning),
            (0xC123, Class::Failure),
            (0xFE00, Class::Cancel),
            (0xFF00, Class::Pending),
            (0xFF01, Class::Pending),
            (0xFFFF, Class::Failure),
        ] {
            assert_eq!(Status(code).class(), class, "{code:04X}");
        }
    }

    #[test]
    fn every_code_has_words() {
        assert_eq!(Status(0x0211).meaning(), "unrecognized operation");
        assert_eq!(Status(0xA700).meaning(), "failure");
        assert_eq!(Status(0xB123).meaning(), "warning");
        assert_eq!(Status(0xA9).to_string(), "00A9H");
    }
}
