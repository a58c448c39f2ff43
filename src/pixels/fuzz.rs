use std::io::Cursor;

use model::{TransferSyntaxUid, scan, syntax};

use crate::ability::{Form, abilities};
use crate::codec;
use crate::image::Image;
use crate::{Object, fragments, transcode};

/// Decodes anything with the codec that the first byte chooses, as a frame of the small image that the next five describe: it must not
/// panic, and a frame that comes out has the size of the image and encodes again to itself.
pub fn fuzz_codec(data: &[u8]) {
    let Some(([choice, columns, rows, shape, stored, photometric], frame)) = data.split_first_chunk() else {
        return;
    };
    let forms = abilities().iter().filter_map(|ability| match ability.form {
        Form::Encapsulated(codec) => Some(codec),
        Form::Native => None,
    });
    let codecs: Vec<_> = forms.collect();
    let Some(codec) = codecs.get(usize::from(*choice) % codecs.len().max(1)) else { return };
    let bits_allocated = [8, 16, 32, 1].get(usize::from(*shape >> 4) % 4).copied().unwrap_or(8);
    let samples = if shape & 1 == 0 { 1 } else { 3 };
    let photometrics = ["MONOCHROME2", "RGB", "YBR_FULL_422", "YBR_RCT", "YBR_FULL"];
    let photometric =
        photometrics.get(usize::from(*photometric) % photometrics.len()).copied().unwrap_or_default();
    let image = Image {
        columns: usize::from(*columns) * 4 + 1,
        rows: usize::from(*rows) * 4 + 1,
        samples,
        bits_allocated,
        bits_stored: (u32::from(*stored) % bits_allocated) + 1,
        is_low: true,
        is_signed: shape & 2 != 0,
        photometric: photometric.to_owned(),
        is_planar: false,
        frames: 1,
    };
    if codec::can_decode(*codec, &image).is_err() {
        return;
    }
    let Ok(decoded) = codec::decode(*codec, frame, &image) else { return };
    assert_eq!(
        decoded.frame.len(),
        image.frame_bytes().unwrap_or_default(),
        "frames have the size of the image"
    );
    let image = Image { photometric: decoded.photometric.into_owned(), ..image };
    if codec::can_encode(codec::Codec::JpegLs, &image).is_ok()
        && let Ok(encoded) = codec::encode(codec::Codec::JpegLs, &decoded.frame, &image)
    {
        let again = codec::decode(codec::Codec::JpegLs, &encoded, &image).map(|again| again.frame);
        assert!(again.is_ok_and(|again| again == decoded.frame), "what is encoded decodes to itself");
    }
}

/// Tells anything apart into frames: the first two bytes are the number of frames, the rest the items. Every frame lies in the value,
/// and none in another.
///
/// # Panics
/// When one does not.
pub fn fuzz_fragments(data: &[u8]) {
    let Some((count, value)) = data.split_first_chunk() else { return };
    let Ok(fragments) = fragments::read(&value, 0..value.len() as u64) else { return };
    let Some(frames) = fragments.frames(u64::from(u16::from_be_bytes(*count)), &value) else { return };
    let mut end = 0;
    for index in 0..frames.len() {
        for place in frames.get(index).iter().flat_map(fragments::Places::iter) {
            assert!(end <= place.start && place.start <= place.end, "frames come one after the other");
            end = place.end;
        }
    }
    assert!(end <= value.len() as u64, "frames lie in the value");
    assert!(frames.get(frames.len()).is_none(), "there is no frame behind the last");
}

/// Transcodes anything that scans as a data set: the first two bytes choose from what to what. It must not panic, and the data set that
/// comes out scans.
pub fn fuzz_transcode(data: &[u8]) {
    let Some(([from, to], data_set)) = data.split_first_chunk() else { return };
    let abilities = abilities();
    let uid = |choice: &u8| abilities.get(usize::from(*choice) % abilities.len()).map(|ability| ability.uid);
    let (Some(from), Some(to)) = (uid(from), uid(to)) else { return };
    let Ok(header) = scan::scan_within(syntax::form(from), data_set, 1 << 20) else { return };
    let Some(target) = TransferSyntaxUid::lenient(to) else { return };
    let length = data_set.len() as u64;
    let object = Object { bytes: &data_set, data_offset: 0, length, transfer_syntax: from, header: &header };
    let mut out = Cursor::new(Vec::new());
    if transcode(&object, &target, &mut out, &|| true).is_ok() {
        let made = scan::scan(syntax::form(to), out.get_ref());
        assert!(made.is_ok(), "from {from} to {to}: {made:?}");
    }
}
