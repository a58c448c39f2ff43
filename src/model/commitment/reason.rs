use std::fmt;

/// Why an instance was not committed to: Failure Reason (0008,1197).
///
/// PS3.3 §C.14.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FailureReason(pub u16);

impl FailureReason {
    /// A general failure in processing the operation.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// The instance is not there.
    pub const NO_SUCH_OBJECT_INSTANCE: Self = Self(0x0112);
    /// The instance is there, of another SOP class.
    pub const CLASS_INSTANCE_CONFLICT: Self = Self(0x0119);
    /// The SOP class is not supported.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// The Transaction UID of the request is in use.
    pub const DUPLICATE_TRANSACTION_UID: Self = Self(0x0131);
    /// There are not enough resources to store it.
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);

    /// What the code means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::PROCESSING_FAILURE => "processing failure",
            Self::NO_SUCH_OBJECT_INSTANCE => "no such object instance",
            Self::CLASS_INSTANCE_CONFLICT => "class/instance conflict",
            Self::SOP_CLASS_NOT_SUPPORTED => "referenced SOP class not supported",
            Self::DUPLICATE_TRANSACTION_UID => "duplicate Transaction UID",
            Self::RESOURCE_LIMITATION => "resource limitation",
            _ => "a reason that the standard does not know",
        }
    }
}

/// Code and meaning: `0112H no such object instance`.
impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}H {}", self.0, self.meaning())
    }
}
