use super::bits::{BitReader, BitWriter};
use super::header::{Interleave, Parameters};
use super::model::{self, Context, RunContext};
use crate::Error;

/// Size of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) components: usize,
}

/// What both directions know of a scan.
struct State {
    parameters: Parameters,
    contexts: Vec<Context>,
    /// For runs that a sample unlike the one above ends, and for those that one alike ends.
    runs: [RunContext; 2],
    lines: Vec<Pair>,
}

/// Two lines of a component, each with a sample more at both ends.
struct Pair {
    above: Vec<i32>,
    line: Vec<i32>,
    /// RUNindex.
    run: usize,
}

/// The samples around the one to come (T.87 §A.3.1).
#[derive(Clone, Copy)]
struct Around {
    left: i32,
    above: i32,
    above_left: i32,
    above_right: i32,
}

impl Pair {
    fn new(columns: usize) -> Self {
        Self { above: vec![0; columns + 2], line: vec![0; columns + 2], run: 0 }
    }

    /// Begins the next line.
    fn advance(&mut self) {
        std::mem::swap(&mut self.above, &mut self.line);
        if let ([_, above, ..], Some(left)) = (self.above.as_slice(), self.line.first_mut()) {
            *left = *above;
        }
        if let [.., last, right] = self.above.as_mut_slice() {
            *right = *last;
        }
    }

    /// Around the sample in `column`, counted from 0.
    #[inline]
    fn around(&self, column: usize) -> Around {
        let at = |line: &[i32], index: usize| line.get(index).copied().unwrap_or(0);
        Around {
            left: at(&self.line, column),
            above: at(&self.above, column + 1),
            above_left: at(&self.above, column),
            above_right: at(&self.above, column + 2),
        }
    }

    #[inline]
    fn set(&mut self, column: usize, value: i32) {
        if let Some(place) = self.line.get_mut(column + 1) {
            *place = value;
        }
    }

    /// The samples of the line.
    fn samples(&self) -> &[i32] {
        self.line.get(1..self.line.len() - 1).unwrap_or_default()
    }
}

impl Around {
    /// The differences (T.87 §A.3.2).
    #[inline]
    fn gradients(self) -> [i32; 3] {
        [self.above_right - self.above, self.above - self.above_left, self.above_left - self.left]
    }

    #[inline]
    fn is_flat(self, near: i32) -> bool {
        self.gradients().iter().all(|gradient| gradient.abs() <= near)
    }

    /// The median edge detector (T.87 §A.4.1).
    #[inline]
    fn predict(self) -> i32 {
        let (low, high) = (self.left.min(self.above), self.left.max(self.above));
        if self.above_left >= high {
            low
        } else if self.above_left <= low {
            high
        } else {
            self.left + self.above - self.above_left
        }
    }
}

impl State {
    fn new(parameters: Parameters, lines: Lines) -> Self {
        Self {
            parameters,
            contexts: vec![Context::new(&parameters); CONTEXTS],
            runs: [RunContext::new(&parameters, false), RunContext::new(&parameters, true)],
            lines: (0..lines.components).map(|_| Pair::new(lines.columns)).collect(),
        }
    }

    /// The context of a sample, and whether its errors count the other way round (T.87 §A.3.4).
    #[inline]
    fn context(&self, around: Around) -> (usize, bool) {
        let [first, second, third] = around.gradients().map(|gradient| self.region(gradient));
        let signed = (first * 9 + second) * 9 + third;
        (signed.unsigned_abs() as usize, signed < 0) // at most 364
    }

    /// The region of a difference (T.87 §A.3.3).
    #[inline]
    fn region(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.parameters.thresholds;
        let size = gradient.abs();
        let region = if size <= self.parameters.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        if gradient < 0 { -region } else { region }
    }

    /// The corrected prediction.
    #[inline]
    fn corrected(&self, prediction: i32, correction: i32, is_negative: bool) -> i32 {
        let correction = if is_negative { -correction } else { correction };
        (prediction + correction).clamp(0, self.parameters.most)
    }

    /// The sample that a prediction and an error give (T.87 §A.4.5).
    #[inline]
    fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
        let Parameters { most, near, range, .. } = self.parameters;
        let step = 2 * near + 1;
        let mut value = prediction + error * step;
        if value < -near {
            value += range * step;
        } else if value > most + near {
            value -= range * step;
        }
        value.clamp(0, most)
    }

    /// An error brought into the range of codes (T.87 §A.4.5).
    #[inline]
    fn reduce(&self, error: i32) -> i32 {
        let range = self.parameters.range;
        let error = if error < 0 { error + range } else { error };
        if error >= (range + 1) / 2 { error - range } else { error }
    }
}

/// Decodes one scan.
pub(super) struct ScanDecoder<'a> {
    state: State,
    lines: Lines,
    bits: BitReader<'a>,
}

impl<'a> ScanDecoder<'a> {
    pub(super) fn new(parameters: Parameters, lines: Lines, bits: BitReader<'a>) -> Self {
        Self { state: State::new(parameters, lines), lines, bits }
    }

    /// Decodes all lines into `values`, where a pixel has `samples` of which those of the scan begin at `first`.
    pub(super) fn decode(
        &mut self,
        interleave: Interleave,
        values: &mut [u16],
        first: usize,
        samples: usize,
    ) -> Result<(), Error> {
        let row_values = self.lines.columns * samples;
        for row in values.chunks_exact_mut(row_values.max(1)).take(self.lines.rows) {
            if interleave == Interleave::Sample {
                self.state.lines.iter_mut().for_each(Pair::advance);
                self.line_by_sample()?;
            } else {
                for component in 0..self.lines.components {
                    if let Some(pair) = self.state.lines.get_mut(component) {
                        pair.advance();
                    }
                    self.line(component)?;
                }
            }
            for (component, pair) in self.state.lines.iter().enumerate() {
                let places = row.iter_mut().skip(first + component).step_by(samples);
                places.zip(pair.samples()).for_each(|(place, value)| *place = *value as u16); // at most MAXVAL
            }
        }
        Ok(())
    }

    /// Bytes of the scan.
    pub(super) fn into_used(self) -> usize {
        self.bits.used()
    }

    fn line(&mut self, component: usize) -> Result<(), Error> {
        let columns = self.lines.columns;
        let mut column = 0;
        while column < columns {
            let around = self.around(component, column);
            if !around.is_flat(self.state.parameters.near) {
                let value = self.regular(around)?;
                self.set(component, column, value);
                column += 1;
                continue;
            }
            let length = self.run_length(component, columns - column)?;
            for run in column..column + length {
                self.set(component, run, around.left);
            }
            column += length;
            if column < columns {
                let above = self.around(component, column).above;
                let value = self.interruption(component, around.left, above)?;
                self.set(component, column, value);
                self.shorten(component);
                column += 1;
            }
        }
        Ok(())
    }

    /// A line in which the samples of a pixel follow each other: runs are of all of them.
    fn line_by_sample(&mut self) -> Result<(), Error> {
        let (columns, components) = (self.lines.columns, self.lines.components);
        let near = self.state.parameters.near;
        let mut column = 0;
        while column < columns {
            let is_flat = self.state.lines.iter().all(|pair| pair.around(column).is_flat(near));
            if !is_flat {
                for component in 0..components {
                    let value = self.regular(self.around(component, column))?;
                    self.set(component, column, value);
                }
                column += 1;
                continue;
            }
            let length = self.run_length(0, columns - column)?;
            for component in 0..components {
                let left = self.around(component, column).left;
                for run in column..column + length {
                    self.set(component, run, left);
                }
            }
            column += length;
            if column < columns {
                for component in 0..components {
                    let Around { left, above, .. } = self.around(component, column);
                    let error = self.interruption_error(0, 0)?;
                    let error = if above < left { -error } else { error };
                    let value = self.state.reconstruct(above, error);
                    self.set(component, column, value);
                }
                self.shorten(0);
                column += 1;
            }
        }
        Ok(())
    }

    #[inline]
    fn around(&self, component: usize, column: usize) -> Around {
        let flat = Around { left: 0, above: 0, above_left: 0, above_right: 0 };
        self.state.lines.get(component).map_or(flat, |pair| pair.around(column))
    }

    #[inline]
    fn set(&mut self, component: usize, column: usize, value: i32) {
        if let Some(pair) = self.state.lines.get_mut(component) {
            pair.set(column, value);
        }
    }

    /// T.87 §A.4 to §A.6.
    #[inline]
    fn regular(&mut self, around: Around) -> Result<i32, Error> {
        let (index, is_negative) = self.state.context(around);
        let parameters = self.state.parameters;
        let Some(context) = self.state.contexts.get_mut(index) else { return Ok(0) };
        let k = context.golomb();
        let correction = context.correction;
        let code = read_code(&mut self.bits, k, parameters.limit, parameters.error_bits)?;
        let error = model::unmap(code, context.is_turned(k, parameters.near));
        if error.abs() > parameters.range {
            return Err(Error::Damaged("a JPEG-LS error is out of range"));
        }
        context.learn(error, &parameters);
        let prediction = self.state.corrected(around.predict(), correction, is_negative);
        Ok(self.state.reconstruct(prediction, if is_negative { -error } else { error }))
    }

    /// T.87 §A.7.1.
    fn run_length(&mut self, component: usize, room: usize) -> Result<usize, Error> {
        let Some(pair) = self.state.lines.get_mut(component) else { return Ok(0) };
        let mut length = 0;
        while self.bits.read_bit()? {
            let whole = 1 << run_bits(pair.run);
            let taken = whole.min(room - length);
            length += taken;
            if taken == whole {
                pair.run = (pair.run + 1).min(RUN_BITS.len() - 1);
            }
            if length == room {
                return Ok(length);
            }
        }
        length += self.bits.read(run_bits(pair.run))? as usize; // at most 15 bits
        if length < room { Ok(length) } else { Err(Error::Damaged("a JPEG-LS run is longer than its line")) }
    }

    /// The sample that ends a run (T.87 §A.7.2).
    fn interruption(&mut self, component: usize, left: i32, above: i32) -> Result<i32, Error> {
        let is_alike = (left - above).abs() <= self.state.parameters.near;
        let error = self.interruption_error(component, usize::from(is_alike))?;
        if is_alike {
            return Ok(self.state.reconstruct(left, error));
        }
        Ok(self.state.reconstruct(above, if left > above { -error } else { error }))
    }

    fn interruption_error(&mut self, component: usize, kind: usize) -> Result<i32, Error> {
        let parameters = self.state.parameters;
        let run = self.state.lines.get(component).map_or(0, |pair| pair.run);
        let Some(context) = self.state.runs.get_mut(kind) else { return Ok(0) };
        let k = context.golomb();
        let limit = parameters.limit - run_bits(run) - 1;
        let code = read_code(&mut self.bits, k, limit, parameters.error_bits)?;
        let error = context.unmap(code, k);
        if error.abs() > parameters.range {
            return Err(Error::Damaged("a JPEG-LS error is out of range"));
        }
        context.learn(error, code, &parameters);
        Ok(error)
    }

    fn shorten(&mut self, component: usize) {
        if let Some(pair) = self.state.lines.get_mut(component) {
            pair.run = pair.run.saturating_sub(1);
        }
    }
}

/// Encodes one scan without loss, components line by line.
pub(super) struct ScanEncoder<'a> {
    state: State,
    lines: Lines,
    bits: BitWriter<'a>,
}

impl<'a> ScanEncoder<'a> {
    pub(super) fn new(parameters: Parameters, lines: Lines, bits: BitWriter<'a>) -> Self {
        Self { state: State::new(parameters, lines), lines, bits }
    }

    /// Encodes pixels whose samples stand side by side.
    pub(super) fn encode(&mut self, values: &[u16]) {
        let samples = self.lines.components;
        for row in values.chunks_exact((self.lines.columns * samples).max(1)).take(self.lines.rows) {
            for component in 0..samples {
                let Some(pair) = self.state.lines.get_mut(component) else { return };
                pair.advance();
                let line = row.iter().skip(component).step_by(samples);
                let places = pair.line.iter_mut().skip(1);
                places.zip(line).for_each(|(place, value)| *place = i32::from(*value));
                self.line(component);
            }
        }
    }

    pub(super) fn finish(self) {
        self.bits.finish();
    }

    fn line(&mut self, component: usize) {
        let columns = self.lines.columns;
        let mut column = 0;
        while column < columns {
            let Some(pair) = self.state.lines.get(component) else { return };
            let around = pair.around(column);
            if !around.is_flat(0) {
                let value = pair.around(column + 1).left;
                self.regular(around, value);
                column += 1;
                continue;
            }
            let rest = pair.samples().get(column..).unwrap_or_default();
            let length = rest.iter().take_while(|value| **value == around.left).count();
            let end = rest.get(length).copied();
            let above = pair.around(column + length).above;
            self.run_length(component, length, end.is_none());
            column += length;
            if let Some(value) = end {
                self.interruption(component, around.left, above, value);
                column += 1;
            }
        }
    }

    #[inline]
    fn regular(&mut self, around: Around, value: i32) {
        let (index, is_negative) = self.state.context(around);
        let parameters = self.state.parameters;
        let Some(context) = self.state.contexts.get(index) else { return };
        let k = context.golomb();
        let prediction = self.state.corrected(around.predict(), context.correction, is_negative);
        let error = value - prediction;
        let error = self.state.reduce(if is_negative { -error } else { error });
        let Some(context) = self.state.contexts.get_mut(index) else { return };
        let code = model::map(error, context.is_turned(k, 0));
        write_code(&mut self.bits, code, k, parameters.limit, parameters.error_bits);
        context.learn(error, &parameters);
    }

    fn run_length(&mut self, component: usize, length: usize, is_to_the_end: bool) {
        let Some(pair) = self.state.lines.get_mut(component) else { return };
        let mut left = length;
        while left >= 1 << run_bits(pair.run) {
            self.bits.write(1, 1);
            left -= 1 << run_bits(pair.run);
            pair.run = (pair.run + 1).min(RUN_BITS.len() - 1);
        }
        if !is_to_the_end {
            self.bits.write(left as u32, run_bits(pair.run) + 1); // fewer than 1 << 15
        } else if left > 0 {
            self.bits.write(1, 1);
        }
    }

    fn interruption(&mut self, component: usize, left: i32, above: i32, value: i32) {
        let is_alike = left == above;
        let error = if left > above { above - value } else { value - above };
        let error = self.state.reduce(error);
        let parameters = self.state.parameters;
        let Some(pair) = self.state.lines.get_mut(component) else { return };
        let Some(context) = self.state.runs.get_mut(usize::from(is_alike)) else { return };
        let k = context.golomb();
        let code = context.map(error, k);
        let limit = parameters.limit - run_bits(pair.run) - 1;
        write_code(&mut self.bits, code, k, limit, parameters.error_bits);
        context.learn(error, code, &parameters);
        pair.run = pair.run.saturating_sub(1);
    }
}

/// A code of limited length (T.87 §A.5.3).
#[inline]
fn read_code(bits: &mut BitReader<'_>, k: u32, limit: u32, error_bits: u32) -> Result<i32, Error> {
    let most = limit - error_bits - 1;
    let zeros = bits.read_unary(most)?;
    let code = if zeros < most {
        (u64::from(zeros) << k) + u64::from(bits.read(k)?)
    } else {
        u64::from(bits.read(error_bits)?) + 1
    };
    i32::try_from(code).map_err(|_| Error::Damaged("a JPEG-LS error is out of range"))
}

#[inline]
fn write_code(bits: &mut BitWriter<'_>, code: i32, k: u32, limit: u32, error_bits: u32) {
    let most = limit - error_bits - 1;
    let code = code.unsigned_abs();
    if code >> k < most {
        bits.write_unary(code >> k);
        bits.write(code, k);
    } else {
        bits.write_unary(most);
        bits.write(code - 1, error_bits);
    }
}

/// Bits of the length of a run, J (T.87 §A.2.1).
fn run_bits(run: usize) -> u32 {
    RUN_BITS.get(run).copied().unwrap_or(15)
}

const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const CONTEXTS: usize = 365;
