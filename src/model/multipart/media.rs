#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use std::fmt;

/// A media type or range with its parameters (RFC 9110 §8.3.1, §12.5.1). Type, subtype and parameter names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a `Content-Type`; `None` when it is none.
    ///
    /// Parameter values may be quoted or, as many clients send `type=application/dicom`, bare with slashes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut parameters = Vec::new();
        for part in parts.filter(|part| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=')?;
            parameters.push((name.trim().to_ascii_lowercase(), unquote(value.trim())?));
        }
        Some(Self { essence, parameters })
    }

    /// Type and subtype, such as `application/dicom`.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// The value of the first parameter with this name (lower case).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether this, as a range, takes in a type given by its essence: `*/*`, `application/*` or the same.
    pub fn covers(&self, essence: &str) -> bool {
        match self.essence.strip_suffix('*') {
            Some("*/") => true,
            Some(prefix) => essence.starts_with(prefix),
            None => self.essence == essence,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.parameters {
            if is_token(value) {
                write!(f, "; {name}={value}")?;
            } else {
                write!(f, "; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
            }
        }
        Ok(())
    }
}

/// One entry of an `Accept` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What is wanted, without `q`.
    pub media: MediaType,
    /// How much, in thousandths: 0 not at all, 1000 most.
    pub quality: u16,
}

/// The entries of an `Accept` field, the most wanted first, else in their order. Entries that are no media range are left out.
///
/// Several fields are to be joined with commas first. RFC 9110 §12.5.1; PS3.18 §8.7.5.
pub fn accept(field: &str) -> Vec<Accepted> {
    let mut entries: Vec<Accepted> = split(field, ',')
        .filter_map(MediaType::parse)
        .map(|mut media| {
            let quality = media.parameter("q").map_or(1000, quality);
            media.parameters.retain(|(name, _)| name != "q");
            Accepted { media, quality }
        })
        .collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.quality));
    entries
}

/// The boundary of a `multipart/related` content type; `None` when it is of another type, or its boundary cannot be one.
///
/// RFC 2046 §5.1.1: at most 70 characters. Which characters is not held against a client, as long as they fit into a line.
pub fn boundary(content_type: &str) -> Option<String> {
    let media = MediaType::parse(content_type).filter(|media| media.essence == "multipart/related")?;
    let boundary = media.parameter("boundary")?;
    let usable =
        (1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    (usable && !boundary.ends_with(' ')).then(|| boundary.to_owned())
}

/// Reads anything as an `Accept` field and as a content type.
///
/// # Panics
/// When what is read breaks its promise.
pub fn fuzz_media_type(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let entries = accept(text);
    assert!(entries.is_sorted_by_key(|entry| std::cmp::Reverse(entry.quality)), "the most wanted come first");
    for entry in &entries {
        assert!(entry.quality <= 1000 && entry.media.parameter("q").is_none());
        assert!(entry.media.essence().contains('/'));
    }
    assert!(boundary(text).is_none_or(|boundary| (1..=70).contains(&boundary.len())));
}

fn quality(text: &str) -> u16 {
    let number: f64 = text.parse().unwrap_or(0.0);
    if number.is_nan() {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped, and never negative"
    )]
    let thousandths = (number.clamp(0.0, 1.0) * 1000.0).round() as u16;
    thousandths
}

/// Parts between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let parts = character == separator && !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        parts
    })
}

fn unquote(value: &str) -> Option<String> {
    let Some(inside) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let mut out = String::new();
    let mut characters = inside.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => out.push(characters.next()?),
            character => out.push(character),
        }
    }
    characters.as_str().is_empty().then_some(out)
}

fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_or_left_out(text in "[a-z/*;=, \"\\\\.0-9\u{e9}-]{0,80}", tail in ".{0,20}") {
            let known = "multipart/related; type=\"application/dicom\"; boundary=\"x\", image/jp2; q=0.5, ";
            fuzz_media_type([known, &text, &tail].concat().as_bytes());
            fuzz_media_type(text.as_bytes());
        }
    }

    #[test]
    fn reads_types_and_parameters() {
        let media = MediaType::parse(
            "Multipart/Related; TYPE=\"application/dicom\"; boundary=\"a\\\"b;c\"; transfer-syntax=*",
        )
        .unwrap();
        assert_eq!(media.essence(), "multipart/related");
        assert_eq!(media.parameter("type"), Some("application/dicom"));
        assert_eq!(media.parameter("boundary"), Some("a\"b;c"));
        assert_eq!(media.parameter("transfer-syntax"), Some("*"));
        assert_eq!(media.parameter("q"), None);
        assert_eq!(
            media.to_string(),
            "multipart/related; type=\"application/dicom\"; boundary=\"a\\\"b;c\"; transfer-syntax=*"
        );
        assert_eq!(MediaType::parse(" text/plain ;").unwrap().to_string(), "text/plain");
        let bare = MediaType::parse("multipart/related;type=application/dicom;boundary=x").unwrap();
        assert_eq!(bare.parameter("type"), Some("application/dicom"));
        for text in
            ["", "text", "/", "text/", "a b/c", "text/plain; x", "text/plain; x=\"y", "text/plain; x=\"y\"z"]
        {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn orders_what_is_accepted() {
        let entries = accept(
            "application/json;q=0.5, multipart/related; type=\"application/dicom, x\"; q=0.9, */*;q=0, nonsense, image/*",
        );
        let shown: Vec<_> = entries.iter().map(|entry| (entry.media.to_string(), entry.quality)).collect();
        assert_eq!(
            shown,
            [
                ("image/*".to_owned(), 1000),
                ("multipart/related; type=\"application/dicom, x\"".to_owned(), 900),
                ("application/json".to_owned(), 500),
                ("*/*".to_owned(), 0),
            ]
        );
        assert!(accept("").is_empty());
        for (q, quality) in [("7", 1000), ("0.0014", 1), ("x", 0), ("NaN", 0), ("-1", 0)] {
            assert_eq!(accept(&format!("a/b;q={q}")).first().unwrap().quality, quality, "{q}");
        }
    }

    #[test]
    fn ranges_cover_types() {
        let covers = |range: &str, essence| MediaType::parse(range).unwrap().covers(essence);
        assert!(covers("*/*", "application/dicom"));
        assert!(covers("application/*", "application/dicom"));
        assert!(covers("application/dicom", "application/dicom"));
        assert!(!covers("application/dicom", "application/dicom+json"));
        assert!(!covers("image/*", "application/dicom"));
    }

    #[test]
    fn finds_usable_boundaries_only() {
        let of =
            |rest: &str| boundary(&format!("multipart/related; type=\"application/dicom\"; boundary={rest}"));
        assert_eq!(of("abc").as_deref(), Some("abc"));
        assert_eq!(of("\"a b:c\"").as_deref(), Some("a b:c"));
        for rest in ["", "\"\"", "\"a \"", "é", "\"a\u{1}\"", &"x".repeat(71)] {
            assert_eq!(of(rest), None, "{rest}");
        }
        assert_eq!(boundary("multipart/form-data; boundary=abc"), None);
        assert_eq!(boundary("multipart/related"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "\\PC{0,40}", value in "[ -~]{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            for text in [text, format!("a/b; c=\"{quoted}\"; d=e")] {
                if let Some(media) = MediaType::parse(&text) {
                    prop_assert_eq!(MediaType::parse(&media.to_string()), Some(media));
                }
            }
            let media = MediaType::parse(&format!("a/b; c=\"{quoted}\"")).unwrap();
            prop_assert_eq!(media.parameter("c"), Some(value.as_str()));
        }
    }
}
