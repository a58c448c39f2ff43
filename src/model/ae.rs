use std::fmt;

/// An application entity title: 1 to 16 characters of ISO 646, outer spaces not significant (PS3.5 §6.2, PS3.8 Table 9-11).
///
/// Compared with case, as the standard does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AeTitle(Box<str>);

/// Why a text is not an AE title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeTitleError {
    /// Nothing but spaces.
    #[error("an AE title needs at least one character other than a space")]
    Empty,
    /// More than 16 characters.
    #[error("an AE title has at most 16 characters")]
    TooLong,
    /// A control character, a backslash, or something outside ISO 646.
    #[error("an AE title has only printable ASCII characters, and no backslash")]
    Character,
}

impl AeTitle {
    /// Takes a title, less the spaces around it.
    ///
    /// # Errors
    /// [`AeTitleError`] when the rest is empty, too long or has a character that no title may have.
    pub fn parse(text: &str) -> Result<Self, AeTitleError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(AeTitleError::Empty);
        }
        if text.bytes().any(|b| !(0x20..0x7F).contains(&b) || b == b'\\') {
            return Err(AeTitleError::Character);
        }
        if text.len() > 16 {
            return Err(AeTitleError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// The title without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_spaces_do_not_count_and_case_does() {
        assert_eq!(AeTitle::parse(" STORE SCP  ").unwrap().as_str(), "STORE SCP");
        assert_ne!(AeTitle::parse("pacs").unwrap(), AeTitle::parse("PACS").unwrap());
    }

    #[test]
    fn refuses_what_the_standard_refuses() {
        assert_eq!(AeTitle::parse("   "), Err(AeTitleError::Empty));
        assert_eq!(AeTitle::parse("ABCDEFGHIJKLMNOPQ"), Err(AeTitleError::TooLong));
        assert_eq!(AeTitle::parse("A\\B"), Err(AeTitleError::Character));
        assert_eq!(AeTitle::parse("A\u{e9}"), Err(AeTitleError::Character));
        assert_eq!(AeTitle::parse("A\nB"), Err(AeTitleError::Character));
    }
}
