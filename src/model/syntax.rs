//! Transfer syntaxes: how the bytes of a data set are laid out (PS3.5 §10, PS3.6 Annex A).

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
    /// Pixel Data is a sequence of fragments (PS3.5 §A.4).
    pub encapsulated: bool,
}

/// The form of a transfer syntax; one we do not know is read as Explicit VR Little Endian, encapsulated where the length is undefined.
pub fn form(uid: &str) -> Form {
    let native = |encoding| Form { encoding, deflated: false, encapsulated: false };
    match uid {
        IMPLICIT_VR_LITTLE_ENDIAN => native(Encoding::ImplicitLittle),
        EXPLICIT_VR_LITTLE_ENDIAN => native(Encoding::ExplicitLittle),
        EXPLICIT_VR_BIG_ENDIAN => native(Encoding::ExplicitBig),
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => Form { deflated: true, ..native(Encoding::ExplicitLittle) },
        JPIP_REFERENCED_DEFLATE | JPIP_HTJ2K_REFERENCED_DEFLATE => {
            Form { deflated: true, ..native(Encoding::ExplicitLittle) }
        }
        JPIP_REFERENCED | JPIP_HTJ2K_REFERENCED => native(Encoding::ExplicitLittle),
        _ => Form { encapsulated: true, ..native(Encoding::ExplicitLittle) },
    }
}

/// The name in the standard's registry (PS3.6 Table A-1); `None` for a transfer syntax we do not know.
pub fn name(uid: &str) -> Option<&'static str> {
    REGISTRY
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .find(|(known, _)| *known == uid)
        .map(|(_, name)| name)
}

/// Data set transfer syntaxes of PS3.6 Table A-1, a line each: UID, tab, name.
const REGISTRY: &str = include_str!("syntax.tsv");

const JPIP_REFERENCED: &str = "1.2.840.10008.1.2.4.94";
const JPIP_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.95";
const JPIP_HTJ2K_REFERENCED: &str = "1.2.840.10008.1.2.4.204";
const JPIP_HTJ2K_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.205";
