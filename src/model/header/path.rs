use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use crate::{Tag, limits};

/// Where an element stands: its tag, behind the sequences and item numbers (from 1) that lead to it.
///
/// Written as in a bulk data URL: `7FE00010`, `00540016/1/00181234`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttributePath {
    containers: SmallVec<[(Tag, u32); 4]>,
    tag: Tag,
}

/// The text is not an [`AttributePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an attribute path: tags of eight hexadecimal digits, item numbers from 1 between them")]
pub struct InvalidPath;

impl AttributePath {
    /// The path of a top-level element.
    pub fn top(tag: Tag) -> Self {
        Self { containers: SmallVec::new(), tag }
    }

    /// The path of an element in item `number` (from 1) of the sequence at this path.
    pub fn inside(&self, number: u32, tag: Tag) -> Self {
        let mut containers = self.containers.clone();
        containers.push((self.tag, number));
        Self { containers, tag }
    }

    /// The path of another element in the same item, or at the top level.
    pub fn beside(&self, tag: Tag) -> Self {
        Self { containers: self.containers.clone(), tag }
    }

    /// The tag of the element itself.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The sequences that lead to it, the outermost first, each with the number of its item.
    pub fn containers(&self) -> &[(Tag, u32)] {
        &self.containers
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Tag(group, element), number) in &self.containers {
            write!(f, "{group:04X}{element:04X}/{number}/")?;
        }
        let Tag(group, element) = self.tag;
        write!(f, "{group:04X}{element:04X}")
    }
}

impl FromStr for AttributePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let mut parts = text.split('/');
        let mut path = Self::top(parse_tag(parts.next())?);
        while let Some(number) = parts.next() {
            let number = parse_number(number)?;
            path.containers.push((path.tag, number));
            path.tag = parse_tag(parts.next())?;
            if path.containers.len() > limits::DEPTH {
                return Err(InvalidPath);
            }
        }
        Ok(path)
    }
}

fn parse_tag(text: Option<&str>) -> Result<Tag, InvalidPath> {
    let text = text.filter(|text| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    let (group, element) = text.and_then(|text| text.split_at_checked(4)).ok_or(InvalidPath)?;
    let number = |text| u16::from_str_radix(text, 16).map_err(|_| InvalidPath);
    Ok(Tag(number(group)?, number(element)?))
}

fn parse_number(text: &str) -> Result<u32, InvalidPath> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(InvalidPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["7FE00010", "00540016/1/00181234", "00081115/2/0008114A/10/00081155"] {
            assert_eq!(text.parse::<AttributePath>().unwrap().to_string(), text);
        }
        let path = AttributePath::top(Tag(0x0054, 0x0016)).inside(1, Tag(0x0018, 0x1234));
        assert_eq!(path.to_string(), "00540016/1/00181234");
        assert_eq!("7fe00010".parse(), Ok(AttributePath::top(Tag(0x7FE0, 0x0010))));
    }

    #[test]
    fn refuses_what_leads_nowhere() {
        for text in [
            "",
            "/",
            "7FE0001",
            "7FE000100",
            "+FE00010",
            "00540016/1",
            "00540016/1/",
            "00540016/0/00181234",
            "00540016/01/00181234",
            "00540016/+1/00181234",
            "00540016/4294967296/00181234",
            "7FE00010/",
        ] {
            assert_eq!(text.parse::<AttributePath>(), Err(InvalidPath), "{text}");
        }
        let deep = format!("{}7FE00010", "00540016/1/".repeat(limits::DEPTH + 1));
        assert_eq!(deep.parse::<AttributePath>(), Err(InvalidPath));
    }
}
