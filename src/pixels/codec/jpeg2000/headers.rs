use crate::Error;
use crate::image::Image;

/// What the headers of a codestream say of all of it.
pub(super) struct Headers {
    /// Bits of a sample.
    pub(super) precision: u32,
    /// No transformation in it loses anything.
    pub(super) is_reversible: bool,
}

/// Reads the headers of a codestream and of its tile-parts, of which the decoder allocates tiles, precincts and code-blocks before it
/// sees any data.
///
/// # Errors
/// They are not of this image, or would take much more memory than its samples.
///
/// ITU-T T.800 Annex A.
pub(super) fn read(codestream: &[u8], image: &Image) -> Result<Headers, Error> {
    let mut reader = Reader { rest: codestream };
    let (Some(SOC), Some(SIZ)) = (reader.marker(), reader.marker()) else {
        return Err(Error::Damaged("a frame that is no JPEG 2000 codestream"));
    };
    let grid = Grid::read(reader.segment()?, image)?;
    let mut coding = Coding {
        grid: &grid,
        coded_bytes: codestream.len() as u64,
        layers: 1,
        resolutions: 1,
        precincts: 1,
        blocks: 0,
        bytes: 0,
        passes_end_alone: false,
        is_reversible: true,
    };
    loop {
        match reader.marker().ok_or(CUT)? {
            SOT => break,
            PRF => pass_over(reader.segment()?)?,
            marker @ (COD | COC | RGN | QCD | QCC | POC | TLM | PLM | PPM | CRG | COM | CAP | CPF) => {
                coding.take(marker, reader.segment()?)?;
            }
            _ => return Err(UNKNOWN),
        }
    }
    loop {
        let mut part = reader.tile_part()?;
        loop {
            match part.marker().ok_or(CUT)? {
                SOD => break,
                marker @ (COD | COC | RGN | QCD | QCC | POC | PLT | PPT | COM) => {
                    coding.take(marker, part.segment()?)?;
                }
                _ => return Err(UNKNOWN),
            }
        }
        match reader.marker() {
            Some(SOT) => {}
            // What is no marker ends it for the decoder too.
            None | Some(EOC | ..0xFF00) => break,
            // It would go on with that, whatever is behind it.
            Some(_) => return Err(UNKNOWN),
        }
    }
    Ok(Headers { precision: grid.precision, is_reversible: coding.is_reversible })
}

/// Lets a marker segment pass that the decoder does not know: it looks for the next marker word by word, from the length on, and must not
/// find one that we do not.
fn pass_over(segment: &[u8]) -> Result<(), Error> {
    let (words, odd) = segment.as_chunks::<2>();
    let is_short = segment.len() + 2 < 0xFF00;
    if is_short && odd.is_empty() && words.iter().all(|[high, _]| *high < 0xFF) {
        Ok(())
    } else {
        Err(UNKNOWN)
    }
}

/// Walks markers and their segments.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn marker(&mut self) -> Option<u16> {
        let (marker, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*marker))
    }

    fn segment(&mut self) -> Result<&'a [u8], Error> {
        let (length, _) = self.rest.split_first_chunk().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (segment, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        segment.get(2..).ok_or(CUT)
    }

    /// Steps over the tile-part whose SOT marker has been read; what is behind its segment (T.800 §A.4.2).
    fn tile_part(&mut self) -> Result<Self, Error> {
        let whole = self.rest;
        let [_, _, l3, l2, l1, l0, ..] = *self.segment()? else { return Err(CUT) };
        let head = whole.len() - self.rest.len() + 2; // with the marker
        let length = match u32::from_be_bytes([l3, l2, l1, l0]) as usize {
            0 => self.rest.len(),
            // Of an empty tile-part, which some writers count without its SOD.
            12 => 2,
            length => length.checked_sub(head).ok_or(CUT)?,
        };
        let (part, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(Self { rest: part })
    }
}

/// What the SIZ marker segment says (T.800 §A.5.1).
struct Grid {
    precision: u32,
    components: u64,
    tiles: u64,
    /// Of the largest tile.
    width: u64,
    height: u64,
    /// What the decoder may take beside the samples.
    most_bytes: u64,
}

impl Grid {
    fn read(siz: &[u8], image: &Image) -> Result<Self, Error> {
        let (numbers, components) = siz.split_at_checked(36).ok_or(CUT)?;
        let mut numbers = numbers.iter().skip(2).copied();
        let mut next =
            |bytes: usize| numbers.by_ref().take(bytes).fold(0, |all, byte| all << 8 | u64::from(byte));
        let [right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top] =
            [(); 8].map(|()| next(4));
        let own = (image.columns as u64, image.rows as u64, image.samples as u64);
        let size = (right.checked_sub(left), bottom.checked_sub(top));
        if (size, next(2)) != ((Some(own.0), Some(own.1)), own.2) {
            return Err(Error::Damaged("the JPEG 2000 codestream has another size than the object says"));
        }
        let tiles = |end: u64, start, size: u64| {
            end.checked_sub(start).filter(|_| size > 0).map(|length: u64| length.div_ceil(size))
        };
        let (Some(across), Some(down)) =
            (tiles(right, tiles_left, tile_width), tiles(bottom, tiles_top, tile_height))
        else {
            return Err(Error::Damaged("a JPEG 2000 codestream whose tiles contradict each other"));
        };
        let grid = Self {
            precision: precision(components, image)?,
            components: own.2,
            tiles: across.saturating_mul(down),
            width: own.0.min(tile_width),
            height: own.1.min(tile_height),
            most_bytes: image.frame_samples() as u64 * BYTES_PER_SAMPLE + BASE_BYTES,
        };
        if grid.tile_bytes() > grid.most_bytes {
            return Err(Error::TooLarge("a JPEG 2000 codestream of too many tiles"));
        }
        Ok(grid)
    }

    fn tile_bytes(&self) -> u64 {
        self.tiles.saturating_mul(TILE_BYTES + self.components * COMPONENT_BYTES)
    }
}

fn precision(components: &[u8], image: &Image) -> Result<u32, Error> {
    let components = components.get(..3 * image.samples).ok_or(CUT)?;
    let mut depths = components.chunks_exact(3).map(|component| match component {
        [depth, 1, 1] => Some(u32::from(depth & 0x7F) + 1),
        _ => None,
    });
    let first = depths.next().flatten();
    match first.filter(|first| depths.all(|depth| depth == Some(*first))) {
        Some(depth) if depth <= 31 && depth <= image.bits_allocated => Ok(depth),
        Some(_) => Err(Error::Damaged("compressed samples have more bits than Bits Allocated")),
        None => Err(Error::Unsupported("JPEG 2000 with subsampled components or components of unlike depth")),
    }
}

/// The most that any coding style of a codestream makes of a tile.
struct Coding<'a> {
    grid: &'a Grid,
    /// Of the whole codestream.
    coded_bytes: u64,
    layers: u64,
    resolutions: u64,
    /// Of one resolution.
    precincts: u64,
    /// Of a component.
    blocks: u64,
    /// Of the precincts and code-blocks of a component.
    bytes: u64,
    /// Coding passes are segments of their own, all or many.
    passes_end_alone: bool,
    is_reversible: bool,
}

impl Coding<'_> {
    /// Looks at a marker segment: at coding styles, all others are left to the decoder (T.800 §A.6.1, §A.6.2).
    fn take(&mut self, marker: u16, segment: &[u8]) -> Result<(), Error> {
        match (marker, segment) {
            (COD, [style, _, l1, l0, _, parameters @ ..]) => {
                self.layers = self.layers.max(u16::from_be_bytes([*l1, *l0]).into());
                self.style(*style, parameters)?;
            }
            (COC, [_, style, parameters @ ..]) => self.style(*style, parameters)?,
            (COD | COC, _) => return Err(CUT),
            _ => return Ok(()),
        }
        let inclusions =
            self.layers.saturating_add(1).saturating_mul(self.resolutions * self.grid.components);
        let all = [
            self.grid.tile_bytes(),
            self.grid.components.saturating_mul(self.bytes),
            inclusions.saturating_mul(self.precincts).saturating_mul(INCLUSION_BYTES),
        ];
        let segments = self.segments().saturating_mul(SEGMENT_BYTES);
        if all.into_iter().fold(0, u64::saturating_add) > self.grid.most_bytes
            || segments > 2 * self.grid.most_bytes + SEGMENTS_BASE_BYTES
        {
            return Err(Error::TooLarge(
                "a JPEG 2000 codestream of too many layers, precincts, code-blocks and passes for its size",
            ));
        }
        Ok(())
    }

    /// The most segments of code-blocks that the data can have: the length of each takes 3 bits at least (T.800 §B.10.7).
    fn segments(&self) -> u64 {
        let of_layer = if self.passes_end_alone { MOST_PASSES } else { 2 };
        let blocks = self.grid.components.saturating_mul(self.blocks);
        blocks
            .saturating_mul(self.layers)
            .saturating_mul(of_layer)
            .min(self.coded_bytes.saturating_mul(8) / 3)
    }

    fn style(&mut self, style: u8, parameters: &[u8]) -> Result<(), Error> {
        let [levels, width, height, passes, transformation, exponents @ ..] = parameters else {
            return Err(CUT);
        };
        if *levels > MOST_LEVELS || *width > MOST_BLOCK || *height > MOST_BLOCK {
            return Err(Error::Damaged("a JPEG 2000 coding style that there is not"));
        }
        self.is_reversible &= *transformation == 1;
        self.passes_end_alone |= passes & (BYPASS | TERMINATION) != 0;
        self.resolutions = self.resolutions.max(u64::from(*levels) + 1);
        let (mut all_blocks, mut bytes) = (0_u64, 0_u64);
        for resolution in 0..=*levels {
            let [across, down] = match exponents.get(usize::from(resolution)).filter(|_| style & 1 == 1) {
                Some(exponents) => [exponents & 0x0F, exponents >> 4],
                None if style & 1 == 1 => return Err(CUT),
                None => [15, 15],
            };
            let level = u32::from(levels - resolution);
            let (columns, rows) = (reduced(self.grid.width, level), reduced(self.grid.height, level));
            let precincts = parts(columns, across).saturating_mul(parts(rows, down));
            self.precincts = self.precincts.max(precincts);
            let (bands, halved) = if resolution == 0 { (1, 0) } else { (3, 1) };
            let (Some(across), Some(down)) = (across.checked_sub(halved), down.checked_sub(halved)) else {
                return Err(Error::Damaged("a JPEG 2000 coding style with precincts of no size"));
            };
            let (columns, rows) = (reduced(columns, halved.into()), reduced(rows, halved.into()));
            let blocks =
                parts(columns, across.min(width + 2)).saturating_mul(parts(rows, down.min(height + 2)));
            let band =
                precincts.saturating_mul(PRECINCT_BYTES).saturating_add(blocks.saturating_mul(BLOCK_BYTES));
            bytes = bytes.saturating_add(band.saturating_mul(bands));
            all_blocks = all_blocks.saturating_add(blocks.saturating_mul(bands));
        }
        self.blocks = self.blocks.max(all_blocks);
        self.bytes = self.bytes.max(bytes);
        Ok(())
    }
}

/// The most samples that so many become, wherever they lie, when they are halved so often.
fn reduced(samples: u64, level: u32) -> u64 {
    (samples >> level) + 1
}

/// The most parts of 2^`exponent` samples that so many samples have a part in, wherever they lie.
fn parts(samples: u64, exponent: u8) -> u64 {
    (samples >> exponent) + 2
}

const CUT: Error = Error::Damaged("a JPEG 2000 codestream is cut");
/// Where the length of a segment is not known, nothing is that follows.
const UNKNOWN: Error =
    Error::Unsupported("a JPEG 2000 codestream with markers that are not of T.800 or T.814");

const SOC: u16 = 0xFF4F;
const CAP: u16 = 0xFF50;
const SIZ: u16 = 0xFF51;
const COD: u16 = 0xFF52;
const COC: u16 = 0xFF53;
const TLM: u16 = 0xFF55;
const PRF: u16 = 0xFF56;
const PLM: u16 = 0xFF57;
const PLT: u16 = 0xFF58;
const CPF: u16 = 0xFF59;
const QCD: u16 = 0xFF5C;
const QCC: u16 = 0xFF5D;
const RGN: u16 = 0xFF5E;
const POC: u16 = 0xFF5F;
const PPM: u16 = 0xFF60;
const PPT: u16 = 0xFF61;
const CRG: u16 = 0xFF63;
const COM: u16 = 0xFF64;
const SOT: u16 = 0xFF90;
const SOD: u16 = 0xFF93;
const EOC: u16 = 0xFFD9;

/// Of the style of code-blocks (T.800 Table A.19): some passes end a segment, and each does.
const BYPASS: u8 = 0x01;
const TERMINATION: u8 = 0x04;
/// Of a code-block in a layer (T.800 Table B.4).
const MOST_PASSES: u64 = 164;

const MOST_LEVELS: u8 = 32;
/// Of the exponent of a code-block's width or height, less 2.
const MOST_BLOCK: u8 = 8;

/// What the decoder holds for each tile, for each component of one, for each precinct, code-block, place of a packet, and segment.
const TILE_BYTES: u64 = 16 << 10;
const COMPONENT_BYTES: u64 = 1200;
const PRECINCT_BYTES: u64 = 272;
const BLOCK_BYTES: u64 = 512;
const INCLUSION_BYTES: u64 = 2;
const SEGMENT_BYTES: u64 = 56;

/// What it may hold for each sample, beside the samples, and for the rest: room for code-blocks of 8 by 8 samples, and in small images
/// for any.
const BYTES_PER_SAMPLE: u64 = 8;
const BASE_BYTES: u64 = 32 << 20;
/// What segments may take beside twice that: how many there are is not known before, and few of those that there could be.
const SEGMENTS_BASE_BYTES: u64 = 256 << 20;
