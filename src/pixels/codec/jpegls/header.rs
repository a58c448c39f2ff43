use crate::Error;
use crate::image::Image;

/// Start of frame (T.87 §C.2.2).
pub(super) struct Frame {
    pub(super) precision: u32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Their identifiers.
    pub(super) components: Vec<u8>,
}

/// Start of scan (T.87 §C.2.3).
pub(super) struct Scan {
    pub(super) components: Vec<u8>,
    pub(super) near: i32,
    pub(super) interleave: Interleave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interleave {
    None,
    Line,
    Sample,
}

/// What follows in a stream.
pub(super) enum Part {
    Scan(Scan),
    End,
}

/// Preset coding parameters (T.87 §C.2.4.1.1); 0 for the default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presets {
    most: i32,
    thresholds: [i32; 3],
    reset: i32,
}

/// The parameters of one scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    /// The largest sample, MAXVAL.
    pub(super) most: i32,
    pub(super) near: i32,
    pub(super) range: i32,
    /// Bits of a mapped error in its longest code, qbpp.
    pub(super) error_bits: u32,
    /// Longest code, LIMIT.
    pub(super) limit: u32,
    pub(super) thresholds: [i32; 3],
    pub(super) reset: i32,
}

/// Walks the marker segments.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    presets: Presets,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, presets: Presets::default() }
    }

    pub(super) fn presets(&self) -> Presets {
        self.presets
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Reads up to the frame header.
    pub(super) fn frame(&mut self) -> Result<Frame, Error> {
        let Some(rest) = self.rest.strip_prefix(&START_OF_IMAGE) else {
            return Err(Error::Damaged("a frame that is no JPEG-LS stream"));
        };
        self.rest = rest;
        loop {
            match self.marker()? {
                START_OF_FRAME => return frame(self.segment()?),
                marker => self.other(marker)?,
            }
        }
    }

    /// Reads up to the data of the next scan.
    pub(super) fn next_scan(&mut self, frame: &Frame) -> Result<Part, Error> {
        loop {
            match self.marker()? {
                START_OF_SCAN => return Ok(Part::Scan(scan(self.segment()?, frame)?)),
                0xD9 => return Ok(Part::End),
                marker => self.other(marker)?,
            }
        }
    }

    fn other(&mut self, marker: u8) -> Result<(), Error> {
        match marker {
            PRESETS => {
                let presets = presets(self.segment()?)?;
                self.presets = presets;
            }
            RESTART_INTERVAL => {
                if self.segment()?.iter().any(|byte| *byte != 0) {
                    return Err(Error::Unsupported("JPEG-LS with restart intervals"));
                }
            }
            COLOUR_TRANSFORM => {
                if matches!(self.segment()?, [b'm', b'r', b'f', b'x', transform, ..] if *transform != 0) {
                    return Err(Error::Unsupported("JPEG-LS with a colour transform"));
                }
            }
            0xE0..=0xEF | 0xFE => {
                self.segment()?;
            }
            _ => return Err(Error::Damaged("an unexpected marker in a JPEG-LS stream")),
        }
        Ok(())
    }

    /// The next marker, after bytes of ones that fill.
    fn marker(&mut self) -> Result<u8, Error> {
        let early = Error::Damaged("a JPEG-LS stream ends early");
        let Some((0xFF, mut rest)) = self.rest.split_first() else { return Err(early) };
        while let Some((0xFF, after)) = rest.split_first() {
            rest = after;
        }
        let (marker, rest) = rest.split_first().ok_or(early)?;
        self.rest = rest;
        Ok(*marker)
    }

    /// A marker segment less its length.
    fn segment(&mut self) -> Result<&'a [u8], Error> {
        let early = || Error::Damaged("a JPEG-LS stream ends early");
        let (length, rest) = self.rest.split_first_chunk::<2>().ok_or_else(early)?;
        let length = usize::from(u16::from_be_bytes(*length)).checked_sub(2).ok_or_else(early)?;
        let (segment, rest) = rest.split_at_checked(length).ok_or_else(early)?;
        self.rest = rest;
        Ok(segment)
    }
}

fn frame(segment: &[u8]) -> Result<Frame, Error> {
    let [precision, y1, y0, x1, x0, count, components @ ..] = segment else {
        return Err(Error::Damaged("a JPEG-LS frame header is cut"));
    };
    let components: Vec<u8> = components.chunks_exact(3).filter_map(|part| part.first().copied()).collect();
    let is_plain = segment.iter().skip(7).step_by(3).all(|sampling| *sampling == 0x11);
    if components.len() != usize::from(*count) || !(2..=16).contains(precision) {
        return Err(Error::Damaged("a JPEG-LS frame header contradicts itself"));
    }
    if !is_plain {
        return Err(Error::Unsupported("JPEG-LS with subsampled components"));
    }
    Ok(Frame {
        precision: u32::from(*precision),
        rows: usize::from(u16::from_be_bytes([*y1, *y0])),
        columns: usize::from(u16::from_be_bytes([*x1, *x0])),
        components,
    })
}

fn scan(segment: &[u8], frame: &Frame) -> Result<Scan, Error> {
    let cut = Error::Damaged("a JPEG-LS scan header is cut");
    let Some((count, rest)) = segment.split_first() else { return Err(cut) };
    let Some((components, rest)) = rest.split_at_checked(usize::from(*count) * 2) else { return Err(cut) };
    let [near, interleave, point_transform, ..] = rest else { return Err(cut) };
    let is_mapped = components.chunks_exact(2).any(|part| part.last() != Some(&0));
    if is_mapped || *point_transform != 0 {
        return Err(Error::Unsupported("JPEG-LS with mapping tables or a point transform"));
    }
    let components: Vec<u8> = components.iter().step_by(2).copied().collect();
    if components.is_empty() || components.len() > frame.components.len() {
        return Err(Error::Damaged("a JPEG-LS scan header contradicts its frame"));
    }
    let interleave = match interleave {
        0 => Interleave::None,
        1 => Interleave::Line,
        2 => Interleave::Sample,
        _ => return Err(Error::Damaged("a JPEG-LS scan header contradicts itself")),
    };
    Ok(Scan { components, near: i32::from(*near), interleave })
}

fn presets(segment: &[u8]) -> Result<Presets, Error> {
    let Some((1, numbers)) = segment.split_first() else {
        return Err(Error::Unsupported("JPEG-LS with mapping tables or sizes beyond 65535"));
    };
    let numbers: Vec<i32> =
        numbers.as_chunks::<2>().0.iter().map(|pair| i32::from(u16::from_be_bytes(*pair))).collect();
    match numbers.as_slice() {
        [most, t1, t2, t3, reset] => Ok(Presets { most: *most, thresholds: [*t1, *t2, *t3], reset: *reset }),
        _ => Err(Error::Damaged("JPEG-LS preset parameters are cut")),
    }
}

impl Parameters {
    /// The defaults (T.87 §C.2.4.1.1), but for what is preset.
    pub(super) fn new(frame: &Frame, presets: Presets, near: i32) -> Result<Self, Error> {
        let contradiction = Error::Damaged("JPEG-LS preset parameters contradict the frame");
        let highest = (1 << frame.precision) - 1;
        let most = if presets.most > 0 { presets.most } else { highest };
        if most > highest || near > (most / 2).min(255) {
            return Err(contradiction);
        }
        let mut parameters = Self::of(most, near);
        for (threshold, preset) in parameters.thresholds.iter_mut().zip(presets.thresholds) {
            *threshold = if preset > 0 { preset } else { *threshold };
        }
        let [t1, t2, t3] = parameters.thresholds;
        if !(near < t1 && t1 <= t2 && t2 <= t3 && t3 <= most.max(near + 1)) {
            return Err(contradiction);
        }
        if presets.reset > 0 {
            if presets.reset < 3 {
                return Err(contradiction);
            }
            parameters.reset = presets.reset;
        }
        Ok(parameters)
    }

    pub(super) fn lossless(precision: u32) -> Self {
        Self::of((1 << precision) - 1, 0)
    }

    fn of(most: i32, near: i32) -> Self {
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let bits = |count: i32| i32::BITS - (count - 1).leading_zeros(); // of the numbers below
        let sample_bits = bits(most + 1).max(2);
        let limit = 2 * (sample_bits + sample_bits.max(8));
        let thresholds = default_thresholds(most, near);
        Self { most, near, range, error_bits: bits(range), limit, thresholds, reset: 64 }
    }
}

fn default_thresholds(most: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, low: i32| if value > most || value < low { low } else { value };
    let basic = [3, 7, 21];
    let offsets = [3 * near, 5 * near, 7 * near];
    let mut low = near + 1;
    let mut thresholds = [0; 3];
    for ((threshold, (basic, offset)), floor) in
        thresholds.iter_mut().zip(basic.into_iter().zip(offsets)).zip([2, 3, 4])
    {
        let value = if most >= 128 {
            let factor = (most.min(4095) + 128) / 256;
            factor * (basic - floor) + floor + offset
        } else {
            let factor = 256 / (most + 1);
            (basic / factor + offset).max(floor)
        };
        *threshold = clamp(value, low);
        low = *threshold;
    }
    thresholds
}

/// The headers of a frame in one scan.
pub(super) fn write(image: &Image, precision: u32) -> Result<Vec<u8>, Error> {
    let size = |number: usize| {
        u16::try_from(number).map_err(|_| Error::Unsupported("JPEG-LS has at most 65535 rows and columns"))
    };
    let (rows, columns) = (size(image.rows)?.to_be_bytes(), size(image.columns)?.to_be_bytes());
    let components = image.samples as u8; // at most 4
    let mut out = Vec::with_capacity(image.frame_samples() / 2);
    out.extend_from_slice(&START_OF_IMAGE);
    out.extend([0xFF, START_OF_FRAME, 0, 8 + 3 * components, precision as u8]); // at most 16
    out.extend(rows);
    out.extend(columns);
    out.push(components);
    out.extend((1..=components).flat_map(|id| [id, 0x11, 0]));
    out.extend([0xFF, START_OF_SCAN, 0, 6 + 2 * components, components]);
    out.extend((1..=components).flat_map(|id| [id, 0]));
    out.extend([0, u8::from(components > 1), 0]);
    Ok(out)
}

const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
pub(super) const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
const START_OF_FRAME: u8 = 0xF7;
const START_OF_SCAN: u8 = 0xDA;
const PRESETS: u8 = 0xF8;
const RESTART_INTERVAL: u8 = 0xDD;
/// APP8, in which some note a transform between colours.
const COLOUR_TRANSFORM: u8 = 0xE8;
