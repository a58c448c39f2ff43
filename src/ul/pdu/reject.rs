use std::fmt;

/// An A-ASSOCIATE-RJ PDU (PS3.8 §9.3.4). Bytes that the standard does not know are kept as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociateRj {
    /// Result: 1 permanent, 2 transient.
    pub result: u8,
    /// Source: 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation).
    pub source: u8,
    /// Reason/Diag., by source.
    pub reason: u8,
}

impl AssociateRj {
    /// 1/1/2: the application context is not ours.
    pub const APPLICATION_CONTEXT: Self = Self { result: 1, source: 1, reason: 2 };
    /// 1/1/3: the calling AE title is not one we know.
    pub const CALLING_AE_TITLE: Self = Self { result: 1, source: 1, reason: 3 };
    /// 1/1/7: the called AE title is not ours.
    pub const CALLED_AE_TITLE: Self = Self { result: 1, source: 1, reason: 7 };
    /// 1/2/1: the user identity is not one we know (PS3.7 §D.3.3.7).
    pub const USER_IDENTITY: Self = Self { result: 1, source: 2, reason: 1 };
    /// 1/2/2: the peer does not speak version 1 of the protocol.
    pub const PROTOCOL_VERSION: Self = Self { result: 1, source: 2, reason: 2 };
    /// 2/3/2: as many associations as we allow are open.
    pub const LOCAL_LIMIT: Self = Self { result: 2, source: 3, reason: 2 };

    /// Whether trying again later makes sense.
    pub const fn is_transient(self) -> bool {
        self.result == 2
    }
}

impl fmt::Display for AssociateRj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match (self.source, self.reason) {
            (1 | 2, 1) => "no reason given",
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognized",
            (1, 7) => "called AE title not recognized",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            (_, _) => "reason not in the standard",
        };
        write!(f, "rejected: {reason} ({}/{}/{})", self.result, self.source, self.reason)
    }
}
