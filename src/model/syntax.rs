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

const JPIP_REFERENCED: &str = "1.2.840.10008.1.2.4.94";
const JPIP_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.95";
const JPIP_HTJ2K_REFERENCED: &str = "1.2.840.10008.1.2.4.204";
const JPIP_HTJ2K_REFERENCED_DEFLATE: &str = "1.2.840.10008.1.2.4.205";
