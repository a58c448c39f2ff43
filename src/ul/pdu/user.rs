//! Sub-items of the User Information Item that tell of more than contexts and roles: who the user is, how many operations may be under
//! way, and what service a SOP class belongs to.

#![deny(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects
)]

use std::fmt;

use super::decode::text;
use crate::Error;

/// Who uses the requestor (PS3.7 §D.3.3.7.1). What proves it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// What the fields hold.
    pub kind: IdentityKind,
    /// The requestor wants to be told that it was looked at.
    pub wants_response: bool,
    /// Primary-field: a user name in UTF-8, a ticket, an assertion or a token.
    pub primary: Vec<u8>,
    /// Secondary-field: the passcode in UTF-8; else empty.
    pub secondary: Vec<u8>,
}

/// User-Identity-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKind {
    /// 1.
    Username,
    /// 2.
    UsernameAndPasscode,
    /// 3: a Kerberos service ticket.
    Kerberos,
    /// 4: a SAML assertion.
    Saml,
    /// 5: a JSON Web Token.
    JsonWebToken,
    /// One that PS3.7 does not have.
    Other(u8),
}

/// How many operations may be under way at once (PS3.7 §D.3.3.3); 0 is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationsWindow {
    /// Those that the requestor invokes.
    pub invoked: u16,
    /// Those that the acceptor invokes.
    pub performed: u16,
}

/// What service a SOP class belongs to (PS3.7 §D.3.3.6), which an acceptor cannot know of a class that is newer than it, or private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonExtended {
    /// The SOP class.
    pub sop_class: String,
    /// Its Service Class UID.
    pub service_class: String,
}

impl UserIdentity {
    /// `None` where the fields are not as PS3.7 Table D.3-14 says: then nobody has said who it is.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (&[kind, response], rest) = value.split_first_chunk::<2>()?;
        let (primary, rest) = field(rest)?;
        let (secondary, _) = field(rest)?;
        Some(Self {
            kind: IdentityKind::of(kind),
            wants_response: response == 1,
            primary: primary.to_vec(),
            secondary: secondary.to_vec(),
        })
    }

    /// The value of the sub-item.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![self.kind.byte(), u8::from(self.wants_response)];
        put(&mut bytes, &self.primary)?;
        put(&mut bytes, &self.secondary)?;
        Ok(bytes)
    }

    /// The user's name, where that is what the fields hold.
    pub fn username(&self) -> Option<&str> {
        match self.kind {
            IdentityKind::Username | IdentityKind::UsernameAndPasscode => {
                std::str::from_utf8(&self.primary).ok()
            }
            IdentityKind::Kerberos
            | IdentityKind::Saml
            | IdentityKind::JsonWebToken
            | IdentityKind::Other(_) => None,
        }
    }
}

impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserIdentity")
            .field("kind", &self.kind)
            .field("wants_response", &self.wants_response)
            .finish_non_exhaustive()
    }
}

impl IdentityKind {
    fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Username,
            2 => Self::UsernameAndPasscode,
            3 => Self::Kerberos,
            4 => Self::Saml,
            5 => Self::JsonWebToken,
            other => Self::Other(other),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Username => 1,
            Self::UsernameAndPasscode => 2,
            Self::Kerberos => 3,
            Self::Saml => 4,
            Self::JsonWebToken => 5,
            Self::Other(other) => other,
        }
    }
}

impl OperationsWindow {
    /// `None` where the fields are not as PS3.7 Table D.3-7 says: then one operation is under way at a time.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *<&[u8; 4]>::try_from(value).ok()?;
        Some(Self { invoked: u16::from_be_bytes([a, b]), performed: u16::from_be_bytes([c, d]) })
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.invoked.to_be_bytes(), self.performed.to_be_bytes()].concat()
    }
}

impl CommonExtended {
    /// PS3.7 Table D.3-12, as far as it is of use: which related general SOP classes a class has changes nothing for us. `None` where
    /// the fields are not as that says.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (sop_class, rest) = field(value)?;
        let (service_class, _) = field(rest)?;
        Some(Self { sop_class: text(sop_class), service_class: text(service_class) })
    }
}

/// The server's response to a user identity: PS3.7 Table D.3-15.
pub(super) fn read_response(value: &[u8]) -> Vec<u8> {
    field(value).map(|(response, _)| response.to_vec()).unwrap_or_default()
}

/// The value of the sub-item with the server's response.
pub(super) fn response_to_bytes(response: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    put(&mut bytes, response)?;
    Ok(bytes)
}

/// A field with its length of 16 bits before it, and what follows.
fn field(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(field.len()).map_err(|_| Error::Unencodable { field: "User-identity" })?;
    bytes.extend(length.to_be_bytes());
    bytes.extend(field);
    Ok(())
}
