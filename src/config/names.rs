//! Texts that name what the standard has: SOP classes, transfer syntaxes.

use net::SopClasses;

use super::text::closest;
use super::value::Refusal;

/// `storage`, a keyword of the dictionary, or a UID.
pub(super) fn sop_classes(given: &str) -> Result<SopClasses, Refusal> {
    if given == "storage" {
        return Ok(SopClasses::Storage);
    }
    if let Some(uid) = model::sop::by_keyword(given) {
        return Ok(SopClasses::One(uid.to_owned()));
    }
    if is_uid(given) {
        return Ok(SopClasses::One(given.to_owned()));
    }
    let help = match closest(given, ["storage"]) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => "\"storage\", a keyword of PS3.6 Annex A such as \"CTImageStorage\", or a UID".to_owned(),
    };
    Err(Refusal::new(format!("has no SOP class in {given:?}"), help))
}

/// A name of the registry, or a UID.
pub(super) fn transfer_syntax(given: &str) -> Result<String, Refusal> {
    if let Some(uid) = model::syntax::by_name(given) {
        return Ok(uid.to_owned());
    }
    if is_uid(given) {
        return Ok(given.to_owned());
    }
    let lower: Vec<String> = model::syntax::names().map(str::to_lowercase).collect();
    let meant = closest(given, lower.iter().map(String::as_str)).and_then(model::syntax::by_name);
    let help = match meant.and_then(model::syntax::name) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => "a name of PS3.6 Annex A such as \"Explicit VR Little Endian\", or a UID".to_owned(),
    };
    Err(Refusal::new(format!("has no transfer syntax in {given:?}"), help))
}

/// PS3.5 §9.1.
fn is_uid(given: &str) -> bool {
    given.len() <= 64
        && given.contains('.')
        && given.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sop_classes_have_keywords_and_uids() {
        let one = |uid: &str| SopClasses::One(uid.to_owned());
        for (given, expected) in [
            ("storage", Some(SopClasses::Storage)),
            ("CTImageStorage", Some(one("1.2.840.10008.5.1.4.1.1.2"))),
            ("1.3.12.2.1107.5.9.1", Some(one("1.3.12.2.1107.5.9.1"))),
            ("CT Image Storage", None),
            ("1.02.3", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(sop_classes(given).ok(), expected, "{given}");
        }
        let refusal = sop_classes("storag").unwrap_err();
        assert_eq!(refusal.help.as_deref(), Some("did you mean \"storage\"?"));
    }

    #[test]
    fn transfer_syntaxes_have_names_and_uids() {
        for (given, expected) in [
            ("Explicit VR Little Endian", Some("1.2.840.10008.1.2.1")),
            ("explicit vr little endian", Some("1.2.840.10008.1.2.1")),
            ("Explicit VR Big Endian", Some("1.2.840.10008.1.2.2")),
            ("1.2.840.10008.1.2.4.50", Some("1.2.840.10008.1.2.4.50")),
            ("JPEG", None),
        ] {
            assert_eq!(transfer_syntax(given).ok().as_deref(), expected, "{given}");
        }
        let refusal = transfer_syntax("Explicit VR Litle Endian").unwrap_err();
        assert_eq!(refusal.help.as_deref(), Some("did you mean \"Explicit VR Little Endian\"?"));
    }
}
