use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use sha2::{Digest, Sha256};

/// What a [`Uid`] identifies, so that a study's UID is never taken for a series'.
pub trait Kind {
    /// The name used in messages, such as `Study Instance UID`.
    const NAME: &'static str;
}

macro_rules! kinds {
    ($($kind:ident $alias:ident $name:literal),* $(,)?) => {$(
        #[doc = concat!("Kind of [`", stringify!($alias), "`].")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind {}
        impl Kind for $kind {
            const NAME: &'static str = $name;
        }
        #[doc = concat!("A ", $name, ".")]
        pub type $alias = Uid<$kind>;
    )*};
}

kinds! {
    Study StudyInstanceUid "Study Instance UID",
    Series SeriesInstanceUid "Series Instance UID",
    SopInstance SopInstanceUid "SOP Instance UID",
    SopClass SopClassUid "SOP Class UID",
    TransferSyntaxKind TransferSyntaxUid "Transfer Syntax UID",
    Transaction TransactionUid "Transaction UID",
}

/// A unique identifier, kept as the text that was received.
///
/// Peers send UIDs that break PS3.5 §9.1; refusing them would lose images, so [`Uid::lenient`] keeps any text and
/// [`Uid::is_valid`] tells. Text that is not valid never reaches a path: see [`Uid::path_component`].
pub struct Uid<K> {
    text: Box<str>,
    kind: PhantomData<fn() -> K>,
}

/// The text is not a UID of PS3.5 §9.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: 1 to 64 digits and dots, no empty component")]
pub struct InvalidUid {
    kind: &'static str,
}

impl<K: Kind> Uid<K> {
    /// Takes a UID that keeps to PS3.5 §9.1 (leading zeros of a component are tolerated).
    ///
    /// # Errors
    /// [`InvalidUid`] when it does not.
    pub fn parse(text: &str) -> Result<Self, InvalidUid> {
        match Self::lenient(text) {
            Some(uid) if uid.is_valid() => Ok(uid),
            Some(_) | None => Err(InvalidUid { kind: K::NAME }),
        }
    }

    /// Takes any text, less the NULs and spaces around it; `None` when nothing is left.
    pub fn lenient(text: &str) -> Option<Self> {
        let text = text.trim_matches(|c| c == '\0' || c == ' ');
        (!text.is_empty()).then(|| Self { text: text.into(), kind: PhantomData })
    }

    /// [`Uid::lenient`] of bytes, each byte above 7FH as the character of that code, so that different bytes stay different.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => Self::lenient(text),
            _ => Self::lenient(&bytes.iter().copied().map(char::from).collect::<String>()),
        }
    }
}

impl<K> Uid<K> {
    /// The text as received, less padding.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the text keeps to PS3.5 §9.1: at most 64 digits and dots, no empty component.
    pub fn is_valid(&self) -> bool {
        self.text.len() <= 64
            && self.text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    }

    /// The UID as one component of a path or URL: itself when valid, else `x-` and the SHA-256 of its text in hex.
    pub fn path_component(&self) -> Cow<'_, str> {
        if self.is_valid() {
            Cow::Borrowed(&self.text)
        } else {
            Cow::Owned(format!("x-{}", hex::encode(Sha256::digest(self.text.as_bytes()))))
        }
    }
}

impl<K> Clone for Uid<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K> PartialEq for Uid<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Uid<K> {}

impl<K> PartialOrd for Uid<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Uid<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> Hash for Uid<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Debug for Uid<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// For logs and pages: text that is no UID may be anything, a patient's name too, and is shown as [`Uid::path_component`].
impl<K> fmt::Display for Uid<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path_component())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_padding_and_refuses_nothing_but_emptiness() {
        let uid = |bytes: &[u8]| SopInstanceUid::from_bytes(bytes);
        assert_eq!(uid(b"1.2.3\0").unwrap().as_str(), "1.2.3");
        assert_eq!(uid(b" 1.2.3  ").unwrap().as_str(), "1.2.3");
        assert_eq!(uid(b"\0\0"), None);
        assert_eq!(uid(b"a\xe9").unwrap().as_str(), "a\u{e9}");
    }

    #[test]
    fn tells_valid_from_kept() {
        let valid = |text: &str| StudyInstanceUid::lenient(text).unwrap().is_valid();
        assert!(valid("1.2.840.10008.1.2"));
        assert!(valid("2.25.0"));
        assert!(!valid("1..2"));
        assert!(!valid("1.2/../3"));
        assert!(!valid(&"1".repeat(65)));
        assert!(StudyInstanceUid::parse("1.2.").is_err());
    }

    #[test]
    fn never_lets_odd_text_into_a_path() {
        let odd = SopInstanceUid::lenient("2.25.7/../../x").unwrap();
        let component = odd.path_component();
        assert_eq!(component.len(), 66);
        assert!(component.starts_with("x-") && !component.contains('/'));
        assert_eq!(format!("{odd} {odd:?}"), format!("{component} {component}"));
        assert_eq!(SopInstanceUid::lenient("2.25.7").unwrap().path_component(), "2.25.7");
    }
}
