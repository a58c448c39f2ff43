use std::borrow::Cow;
use std::io::{Seek, Write};

use model::element::put_header;
use model::header::Header;
use model::syntax::{self, Encoding};
use model::{TransferSyntaxUid, Vr};

use crate::ability::{Form, ability};
use crate::attributes::{Edits, Loss};
use crate::codec::{self, Codec};
use crate::data_set::{Rewriter, has_nested_fragments};
use crate::encapsulate::Encapsulation;
use crate::image::{self, Image};
use crate::output::Output;
use crate::source::{Source, Stored};
use crate::words::{is_big, is_pixels, pixel_word_bytes, swap};
use crate::{Error, FrameReader, ReadAt, can};

/// A stored object.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    /// The file.
    pub bytes: &'a dyn ReadAt,
    /// Where its data set begins.
    pub data_offset: u64,
    /// Bytes of the file.
    pub length: u64,
    /// How the data set is laid out.
    pub transfer_syntax: &'a str,
    /// What a scan of the data set saw.
    pub header: &'a Header,
}

/// Writes the data set of an object in another transfer syntax, frame by frame.
///
/// Pixels stay the same, and so does the SOP Instance UID; a frame with chrominance that is decompressed becomes RGB. Where elements
/// are coded alike in both transfer syntaxes, everything but the pixels and what describes them is copied byte for byte. Blocking;
/// `goes_on` is asked before each write, of a frame or less.
///
/// # Errors
/// Why not; what was written until then is of no use. [`Error::Stopped`] when `goes_on` says no.
///
/// PS3.5 §8, §10, Annex A.
pub fn transcode(
    object: &Object<'_>,
    to: &TransferSyntaxUid,
    out: &mut (impl Write + Seek),
    goes_on: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let to = to.as_str();
    can(object.transfer_syntax, to).map_err(Error::Unsupported)?;
    let (from_form, to_form) = (syntax::form(object.transfer_syntax), syntax::form(to));
    let mut work = Work::plan(object, to)?;
    let edits = work.edits(object, to_form.encoding);
    let mut source = Source::new(object.stored(), object.transfer_syntax);
    let mut output = Output::new(out, to_form.deflated, goes_on);
    let is_alike = from_form.encoding == to_form.encoding;
    let rewriter = Rewriter {
        header: object.header,
        source: &mut source,
        out: &mut output,
        encoding: to_form.encoding,
        edits: &edits,
    };
    match &mut work {
        // At most, a deflate stream around the data set comes or goes.
        Work::Values if is_alike => rewriter.copy_all()?,
        Work::Values => rewriter.reencode(None)?,
        Work::Frames(frames) => {
            let mut pixels = |out: &mut Output<'_>| frames.write(out, to_form.encoding);
            if is_alike { rewriter.copy(&mut pixels)? } else { rewriter.reencode(Some(&mut pixels))? }
        }
    }
    output.finish()
}

impl<'a> Object<'a> {
    pub(crate) fn stored(&self) -> Stored<'a> {
        Stored { bytes: self.bytes, offset: self.data_offset, end: self.length }
    }
}

/// What is done to the pixels.
enum Work<'a> {
    /// Nothing: they are a value as all others are.
    Values,
    Frames(Box<FrameWork<'a>>),
}

/// Each frame is decoded, and encoded again when there is a codec for that.
struct FrameWork<'a> {
    frames: FrameReader<'a>,
    /// As the decoded frames are.
    image: Image,
    first: Vec<u8>,
    loss: Option<Loss>,
    codec: Option<Codec>,
}

impl<'a> Work<'a> {
    /// Decodes the first frame, of which it depends what the object will say of all.
    fn plan(object: &Object<'a>, to: &str) -> Result<Self, Error> {
        let header = object.header;
        let form = |uid| ability(uid).map(|ability| ability.form);
        let (from, target) = (form(object.transfer_syntax), form(to));
        let is_new = object.transfer_syntax != to;
        if is_new && is_big(syntax::form(to).encoding) && header.integer(image::BITS_ALLOCATED) == Some(1) {
            // Readers are not of one mind whether the words that hold them are swapped.
            return Err(Error::Unsupported("single bits are not made big endian"));
        }
        if !is_new || (from, target) == (Some(Form::Native), Some(Form::Native)) {
            return Ok(Self::Values);
        }
        let may_hide_frames = from != Some(Form::Native) && header.omitted() > 0;
        if may_hide_frames {
            return Err(Error::Unsupported(
                "some of its elements nest too deep, are too many or cannot be read",
            ));
        }
        if has_nested_fragments(header) {
            return Err(Error::Unsupported("compressed pixel data inside a sequence"));
        }
        let codec = match (from, target) {
            (_, Some(Form::Encapsulated(codec))) => Some(codec),
            // No pixels, or floating point ones, in a transfer syntax for compressed pixels.
            _ if header.element(image::PIXEL_DATA).is_none() => return Ok(Self::Values),
            _ => None,
        };
        if header.elements().filter(|element| is_pixels(element.tag)).count() > 1 {
            return Err(Error::Damaged("the object has more than one element of pixel data"));
        }
        let mut frames = FrameReader::open(object)?;
        let first = frames.decoded(0)?;
        if let Some(codec) = codec {
            frames.can_encode(codec, &first)?;
        }
        let loss = frames.loss(&first);
        let image = Image { photometric: first.photometric.into_owned(), ..frames.image().clone() };
        if let Some(codec) = codec {
            codec::can_encode(codec, &image)?;
        }
        Ok(Self::Frames(Box::new(FrameWork { frames, image, first: first.frame, loss, codec })))
    }

    fn edits(&self, object: &Object<'_>, encoding: Encoding) -> Edits {
        let Self::Frames(work) = self else { return Edits::none() };
        let photometric = match work.codec {
            Some(codec) => codec::encoded_photometric(codec, &work.image),
            None => Cow::Borrowed(work.image.photometric.as_str()),
        };
        Edits::of_frames(object.header, work.frames.image(), encoding, &photometric, work.loss.as_ref())
    }
}

impl FrameWork<'_> {
    /// Writes the element of the pixels.
    fn write(&mut self, out: &mut Output<'_>, encoding: Encoding) -> Result<(), Error> {
        let mut writer = Writer::begin(out, encoding, self.codec, &self.image)?;
        for index in 0..self.image.frames {
            let frame = if index == 0 {
                std::mem::take(&mut self.first)
            } else {
                let decoded = self.frames.decoded(index)?;
                if decoded.photometric != self.image.photometric {
                    return Err(Error::Damaged("the frames have unlike colours"));
                }
                if decoded.is_lossy && self.loss.is_none() {
                    return Err(Error::Damaged("a frame has lost something, and the first one has not"));
                }
                decoded.frame
            };
            writer.frame(out, frame, &self.image)?;
        }
        writer.finish(out, &self.image)
    }
}

/// Writes frames into the element of the pixels.
enum Writer {
    Native { word_bytes: usize },
    Encapsulated { codec: Codec, fragments: Encapsulation },
}

impl Writer {
    fn begin(
        out: &mut Output<'_>,
        encoding: Encoding,
        codec: Option<Codec>,
        image: &Image,
    ) -> Result<Self, Error> {
        let mut head = Vec::with_capacity(12);
        let Some(codec) = codec else {
            let vr = if image.bits_allocated > 8 { Vr::OW } else { Vr::OB };
            put_header(&mut head, encoding, image::PIXEL_DATA, vr, image.value_bytes()?);
            out.write(&head)?;
            let word = pixel_word_bytes(image::PIXEL_DATA, vr, Some(i64::from(image.bits_allocated)));
            return Ok(Self::Native { word_bytes: if is_big(encoding) { word } else { 1 } });
        };
        put_header(&mut head, encoding, image::PIXEL_DATA, Vr::OB, u32::MAX);
        out.write(&head)?;
        let fragments = Encapsulation::begin(out, image.frames, image.frame_bytes()?)?;
        Ok(Self::Encapsulated { codec, fragments })
    }

    fn frame(&mut self, out: &mut Output<'_>, mut frame: Vec<u8>, image: &Image) -> Result<(), Error> {
        match self {
            Self::Native { word_bytes } => {
                swap(&mut frame, *word_bytes);
                out.write(&frame)
            }
            Self::Encapsulated { codec, fragments } => {
                let encoded = codec::encode(*codec, &frame, image)?;
                fragments.frame(out, &encoded)
            }
        }
    }

    fn finish(self, out: &mut Output<'_>, image: &Image) -> Result<(), Error> {
        match self {
            Self::Native { .. } => {
                let bytes = image.frame_bytes()? as u64 * image.frames;
                if bytes.is_multiple_of(2) { Ok(()) } else { out.write(&[0]) }
            }
            Self::Encapsulated { fragments, .. } => fragments.finish(out),
        }
    }
}
