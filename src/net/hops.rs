//! How archives that ask each other on somebody's behalf know when to stop.

use model::part10;
use ul::pdu::Implementation;

/// How we introduce ourselves where we ask for somebody else whose question has come through so many archives, us included.
///
/// DIMSE has no place for it; our own implementation version name is free text (PS3.7 §D.3.3.2.4), which nobody else reads.
pub(crate) fn implementation(hops: u8) -> Implementation {
    let version_name = match hops {
        0 => part10::IMPLEMENTATION_VERSION_NAME.to_owned(),
        hops => format!("{PREFIX}{hops}"),
    };
    Implementation {
        class_uid: Some(part10::IMPLEMENTATION_CLASS_UID.to_owned()),
        version_name: Some(version_name),
    }
}

/// How many archives a caller's questions have come through before us.
pub(crate) fn of(caller: &Implementation) -> u8 {
    let is_gantry = caller.class_uid.as_deref() == Some(part10::IMPLEMENTATION_CLASS_UID);
    let said =
        caller.version_name.as_deref().filter(|_| is_gantry).and_then(|name| name.strip_prefix(PREFIX));
    said.and_then(|hops| hops.parse().ok()).unwrap_or(0)
}

const PREFIX: &str = "GANTRY_HOP_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_only_of_us() {
        for hops in [0, 1, 3, u8::MAX] {
            let said = implementation(hops);
            assert!(said.version_name.as_ref().is_some_and(|name| name.len() <= 16));
            assert_eq!(of(&said), hops);
            assert_eq!(of(&Implementation { class_uid: Some("1.2".to_owned()), ..said }), 0);
        }
        assert_eq!(of(&Implementation::default()), 0);
    }
}
