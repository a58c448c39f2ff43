//! Transfer syntaxes: how the bytes of a data set are laid out (PS3.5 §10, PS3.6 Annex A).

use std::collections::HashMap;
use std::sync::LazyLock;

/// Implicit VR Little Endian, the default transfer syntax (PS3.5 §10.1).
pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
/// Explicit VR Little Endian.
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Deflated Explicit VR Little Endian.
pub const DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1.99";
/// Explicit VR Big Endian (retired, still sent).
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// How elements are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// No VR on the wire, little endian.
    ImplicitLittle,
    /// VR on the wire, little endian.
    ExplicitLittle,
    /// VR on the wire, big endian.
    ExplicitBig,
}

/// What must be known of a transfer syntax to walk its data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// How elements are coded, after inflation.
    pub encoding: Encoding,
    /// The data set bytes are a raw deflate stream (RFC 1951; PS3.5 §A.5).
    pub deflated: bool,
}

/// The form of a transfer syntax; one we do not know is read as Explicit VR Little Endian.
pub fn form(uid: &str) -> Form {
    let plain = |encoding| Form { encoding, deflated: false };
    match uid {
        IMPLICIT_VR_LITTLE_ENDIAN => plain(Encoding::ImplicitLittle),
        EXPLICIT_VR_BIG_ENDIAN => plain(Encoding::ExplicitBig),
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN | JPIP_REFERENCED_DEFLATE | JPIP_HTJ2K_REFERENCED_DEFLATE => {
            Form { encoding: Encoding::ExplicitLittle, deflated: true }
        }
        _ => plain(Encoding::ExplicitLittle),
    }
}

/// The name in the standard's registry (PS3.6 Table A-1); `None` for a transfer syntax we do not know.
pub fn name(uid: &str) -> Option<&'static str> {
    NAMES.get(uid).copied()
}

/// The UID of a transfer syntax by its name there; case does not count, nor that it is retired.
pub fn by_name(name: &str) -> Option<&'static str> {
    let is_so = |registered: &str| registered.trim_end_matches(" (Retired)").eq_ignore_ascii_case(name);
    let named = |line: &'static str| line.split_once('\t').filter(|(_, registered)| is_so(registered));
    REGISTRY.lines().find_map(named).map(|(uid, _)| uid)
}

/// The names there.
pub fn names() -> impl Iterator<Item = &'static str> {
    REGISTRY.lines().filter_map(|line| Some(line.split_once('\t')?.1))
}

/// The media type in which one frame of this transfer syntax is sent (PS3.18 Table 8.7.3-5).
pub fn frame_media_type(uid: &str) -> &'static str {
    match uid.strip_prefix("1.2.840.10008.1.2.").unwrap_or_default() {
        "4.50" | "4.51" | "4.57" | "4.70" => "image/jpeg",
        "4.80" | "4.81" => "image/jls",
        "4.90" | "4.91" => "image/jp2",
        "4.92" | "4.93" => "image/jpx",
        "4.110" | "4.111" | "4.112" => "image/jxl",
        "4.201" | "4.202" | "4.203" => "image/jphc",
        "5" => "image/dicom-rle",
        "4.100" | "4.100.1" | "4.101" | "4.101.1" => "video/mpeg2",
        "4.102" | "4.102.1" | "4.103" | "4.103.1" | "4.104" | "4.104.1" | "4.105" | "4.105.1" | "4.106"
        | "4.106.1" => "video/mp4",
        "4.107" | "4.108" => "video/H265",
        _ => OCTET_STREAM,
    }
}

/// Media type of bulk data without a media type of its own.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Data set transfer syntaxes of PS3.6 Table A-1, a line each: UID, tab, name.
const REGISTRY: &str = include_str!("syntax.tsv");

/// By UID: peers offer thousands of them in one request.
static NAMES: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| REGISTRY.lines().filter_map(|line| line.split_once('\t')).collect());

const JPIP_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.95";
const JPIP_HTJ2K_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.205";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_registered_and_nothing_else() {
        assert_eq!(REGISTRY.lines().count(), 58);
        for line in REGISTRY.lines() {
            let (uid, registered) = line.split_once('\t').unwrap();
            assert_eq!(name(uid), Some(registered));
            assert_eq!(by_name(registered.trim_end_matches(" (Retired)")), Some(uid));
        }
        for unknown in ["", "1.2.840.10008.1.2.", "1.2.840.10008.1.2.4.999", "1.2.840.113619.5.2"] {
            assert_eq!(name(unknown), None);
        }
    }

    #[test]
    fn deflates_and_swaps_where_the_registry_says_so() {
        for line in REGISTRY.lines() {
            let (uid, registered) = line.split_once('\t').unwrap();
            let form = form(uid);
            // That one deflates frames, not the data set.
            let is_deflated =
                registered.contains("Deflate") && registered != "Deflated Image Frame Compression";
            assert_eq!(form.deflated, is_deflated, "{registered}");
            assert_eq!(
                form.encoding == Encoding::ExplicitBig,
                registered.contains("Big Endian"),
                "{registered}"
            );
            let is_implicit = registered.starts_with("Implicit VR");
            assert_eq!(form.encoding == Encoding::ImplicitLittle, is_implicit, "{registered}");
        }
    }
}
