use std::borrow::Cow;
use std::fmt;

use model::Tag;

use crate::Status;

/// How an operation ended, as a response tells it: status, and where and why it failed (PS3.7 §C.4.2, §9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Status (0000,0900).
    pub status: Status,
    /// Offending Element (0000,0901): the attributes that were not understood.
    pub offending_elements: Vec<Tag>,
    /// Error Comment (0000,0902).
    pub error_comment: Option<ErrorComment>,
}

impl Outcome {
    /// A status with the reason in words. The words carry no patient data: they end up in the peer's logs.
    pub fn because(status: Status, reason: impl Into<ErrorComment>) -> Self {
        Self { status, offending_elements: Vec::new(), error_comment: Some(reason.into()) }
    }
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        Self { status, offending_elements: Vec::new(), error_comment: None }
    }
}

/// The text of Error Comment (0000,0902): LO in the default repertoire, so at most 64 printable ASCII characters and no backslash
/// (PS3.5 §6.2). What does not fit is cut or becomes `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorComment(Cow<'static, str>);

impl ErrorComment {
    /// The comment.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The comment of a received response; `None` when nothing but padding was sent.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let comment = Self::from(bytes.iter().copied().map(char::from).collect::<String>());
        (!comment.0.is_empty()).then_some(comment)
    }
}

impl From<&'static str> for ErrorComment {
    fn from(text: &'static str) -> Self {
        let fits = text.len() <= MAX_CHARACTERS && text.trim() == text && text.chars().all(is_permitted);
        if fits { Self(Cow::Borrowed(text)) } else { Self::from(text.to_owned()) }
    }
}

impl From<String> for ErrorComment {
    fn from(text: String) -> Self {
        let text = text.trim_matches([' ', '\0']);
        let kept = text.chars().take(MAX_CHARACTERS).map(|c| if is_permitted(c) { c } else { '?' });
        Self(Cow::Owned(kept.collect::<String>().trim_end().to_owned()))
    }
}

impl fmt::Display for ErrorComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_permitted(c: char) -> bool {
    matches!(c, ' '..='~') && c != '\\'
}

const MAX_CHARACTERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_fit_their_value_representation() {
        assert_eq!(ErrorComment::from("not enough disk space").as_str(), "not enough disk space");
        assert_eq!(ErrorComment::from("x".repeat(70)).as_str().len(), 64);
        assert_eq!(ErrorComment::from(" a\\b\u{e9}\n ".to_owned()).as_str(), "a?b??");
        assert_eq!(ErrorComment::from_bytes(b"  \0"), None);
    }
}
