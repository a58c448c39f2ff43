use model::syntax::{
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
};

use crate::codec::Codec;

/// What is done with one transfer syntax, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Ability {
    /// Its UID.
    pub uid: &'static str,
    /// What decodes it; `None` when nothing does.
    pub decoder: Option<&'static str>,
    /// What encodes it; `None` when nothing does.
    pub encoder: Option<&'static str>,
    /// Its frames may have lost something.
    pub is_lossy: bool,
    pub(crate) form: Form,
}

/// How pixel data lies in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One value, frame after frame.
    Native,
    /// A frame in one or more fragments (PS3.5 §A.4).
    Encapsulated(Codec),
}

/// Whether objects of the transfer syntax `from` can become objects of `to`; for a single one [`transcode()`](crate::transcode()) may
/// still have a reason against it.
///
/// # Errors
/// Why not, in words.
pub fn can(from: &str, to: &str) -> Result<(), &'static str> {
    if from == to {
        return Ok(());
    }
    let from = ability(from).filter(|from| from.decoder.is_some());
    let to = ability(to).filter(|to| to.encoder.is_some());
    let from = from.ok_or("there is no decoder for the stored transfer syntax")?;
    let to = to.ok_or("there is no encoder for that transfer syntax")?;
    if from.is_lossy && to.form != Form::Native {
        return Err("what was compressed with losses is decompressed only");
    }
    Ok(())
}

/// What is done with each transfer syntax with which something is.
pub fn abilities() -> &'static [Ability] {
    ABILITIES
}

pub(crate) fn ability(uid: &str) -> Option<&'static Ability> {
    ABILITIES.iter().find(|ability| ability.uid == uid)
}

const fn native(uid: &'static str) -> Ability {
    Ability { uid, decoder: Some(OWN), encoder: Some(OWN), is_lossy: false, form: Form::Native }
}

const fn both(uid: &'static str, codec: Codec, decoder: &'static str, encoder: &'static str) -> Ability {
    let form = Form::Encapsulated(codec);
    Ability { uid, decoder: Some(decoder), encoder: Some(encoder), is_lossy: false, form }
}

const fn decoded(uid: &'static str, codec: Codec, decoder: &'static str) -> Ability {
    let form = Form::Encapsulated(codec);
    Ability { uid, decoder: Some(decoder), encoder: None, is_lossy: false, form }
}

const fn lossy(uid: &'static str, codec: Codec, decoder: &'static str) -> Ability {
    Ability { is_lossy: true, ..decoded(uid, codec, decoder) }
}

const OWN: &str = "own";
const FLATE2: &str = "flate2";
const OXIARC_JPEG: &str = "oxiarc-jpeg";
const OPENJP2: &str = "openjp2";
const OPENJPH: &str = "openjph-core";
const JXL_OXIDE: &str = "jxl-oxide";

const ABILITIES: &[Ability] = &[
    native(IMPLICIT_VR_LITTLE_ENDIAN),
    native(EXPLICIT_VR_LITTLE_ENDIAN),
    native(EXPLICIT_VR_BIG_ENDIAN),
    Ability { decoder: Some(FLATE2), encoder: Some(FLATE2), ..native(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) },
    both("1.2.840.10008.1.2.1.98", Codec::Uncompressed, OWN, OWN),
    both("1.2.840.10008.1.2.5", Codec::Rle, OWN, OWN),
    both("1.2.840.10008.1.2.8.1", Codec::Deflated, FLATE2, FLATE2),
    lossy("1.2.840.10008.1.2.4.50", Codec::Jpeg, OXIARC_JPEG),
    lossy("1.2.840.10008.1.2.4.51", Codec::Jpeg, OXIARC_JPEG),
    lossy("1.2.840.10008.1.2.4.53", Codec::Jpeg, OXIARC_JPEG),
    lossy("1.2.840.10008.1.2.4.55", Codec::Jpeg, OXIARC_JPEG),
    both("1.2.840.10008.1.2.4.57", Codec::JpegLossless, OXIARC_JPEG, OXIARC_JPEG),
    both("1.2.840.10008.1.2.4.70", Codec::JpegLossless, OXIARC_JPEG, OXIARC_JPEG),
    both("1.2.840.10008.1.2.4.80", Codec::JpegLs, OWN, OWN),
    lossy("1.2.840.10008.1.2.4.81", Codec::JpegLs, OWN),
    both("1.2.840.10008.1.2.4.90", Codec::Jpeg2000, OPENJP2, OPENJP2),
    lossy("1.2.840.10008.1.2.4.91", Codec::Jpeg2000, OPENJP2),
    decoded("1.2.840.10008.1.2.4.110", Codec::JpegXl, JXL_OXIDE),
    lossy("1.2.840.10008.1.2.4.111", Codec::JpegXl, JXL_OXIDE),
    lossy("1.2.840.10008.1.2.4.112", Codec::JpegXl, JXL_OXIDE),
    both("1.2.840.10008.1.2.4.201", Codec::Htj2k, OPENJP2, OPENJPH),
    decoded("1.2.840.10008.1.2.4.202", Codec::Htj2k, OPENJP2),
    lossy("1.2.840.10008.1.2.4.203", Codec::Htj2k, OPENJP2),
];

#[cfg(test)]
mod tests {
    use super::*;

    const RLE: &str = "1.2.840.10008.1.2.5";

    #[test]
    fn every_syntax_is_a_registered_one_and_stands_once() {
        for (n, row) in ABILITIES.iter().enumerate() {
            assert!(model::syntax::name(row.uid).is_some(), "{}", row.uid);
            assert!(ABILITIES.iter().skip(n + 1).all(|other| other.uid != row.uid), "{}", row.uid);
        }
    }

    #[test]
    fn what_was_lossy_is_decompressed_only() {
        for lossy in ABILITIES.iter().filter(|row| row.is_lossy) {
            for to in ABILITIES {
                let is_fine = lossy.uid == to.uid || to.form == Form::Native;
                assert_eq!(can(lossy.uid, to.uid).is_ok(), is_fine, "{} to {}", lossy.uid, to.uid);
            }
        }
    }

    #[test]
    fn reasons_are_given() {
        let no_decoder = can("1.2.840.10008.1.2.4.102", EXPLICIT_VR_LITTLE_ENDIAN).unwrap_err();
        assert!(no_decoder.contains("no decoder"));
        assert!(can(RLE, "1.2.840.10008.1.2.4.50").unwrap_err().contains("no encoder"));
        assert_eq!(can("1.2.3", "1.2.3"), Ok(()));
        assert!(can("1.2.3", RLE).is_err() && can(RLE, "1.2.3").is_err());
    }
}
