use crate::Error;

/// Reads the bits of a scan, in which a byte of ones is followed by one whose first bit is stuffed (T.87 §9.1).
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bits read ahead, in its highest places.
    held: u64,
    count: u32,
    is_after_ff: bool,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, held: 0, count: 0, is_after_ff: false }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, Error> {
        if count == 0 {
            return Ok(0);
        }
        self.need(count)?;
        let value = self.held >> (64 - count);
        self.take(count);
        Ok(value as u32) // at most 32 bits
    }

    pub(super) fn read_bit(&mut self) -> Result<bool, Error> {
        self.need(1)?;
        let is_one = self.held >> 63 == 1;
        self.take(1);
        Ok(is_one)
    }

    /// Zeros up to the next one, which is taken too.
    pub(super) fn read_unary(&mut self, most: u32) -> Result<u32, Error> {
        let mut zeros = 0;
        loop {
            self.need(1)?;
            let run = self.held.leading_zeros().min(self.count);
            zeros += run;
            if zeros > most {
                return Err(Error::Damaged("a JPEG-LS code is too long"));
            }
            if run < self.count {
                self.take(run + 1);
                return Ok(zeros);
            }
            self.take(run);
        }
    }

    /// Bytes of the scan that were looked at, up to the marker behind it at most.
    pub(super) fn used(&self) -> usize {
        let is_at_marker = self.is_after_ff && self.bytes.get(self.at).is_none_or(|byte| *byte >= 0x80);
        self.at - usize::from(is_at_marker)
    }

    fn take(&mut self, count: u32) {
        self.held = self.held.checked_shl(count).unwrap_or(0);
        self.count -= count;
    }

    fn need(&mut self, count: u32) -> Result<(), Error> {
        if self.count < count {
            self.fill();
            if self.count < count {
                return Err(Error::Damaged("a JPEG-LS scan ends early"));
            }
        }
        Ok(())
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.bytes.get(self.at).copied() else { return };
            if self.is_after_ff && byte >= 0x80 {
                // A marker, whose byte of ones was taken for bits.
                return;
            }
            let bits = if self.is_after_ff { 7 } else { 8 };
            self.at += 1;
            self.held |= u64::from(byte) << (64 - bits - self.count);
            self.count += bits;
            self.is_after_ff = byte == 0xFF;
        }
    }
}

/// Writes the bits of a scan.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
    is_after_ff: bool,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, count: 0, is_after_ff: false }
    }

    /// Writes the lowest `count` bits of `value`, at most 32.
    pub(super) fn write(&mut self, value: u32, count: u32) {
        if count == 0 {
            return;
        }
        self.held = (self.held << count) | (u64::from(value) & ((1 << count) - 1));
        self.count += count;
        self.drain(false);
    }

    /// Writes zeros and a one.
    pub(super) fn write_unary(&mut self, zeros: u32) {
        let mut left = zeros;
        while left > 24 {
            self.write(0, 24);
            left -= 24;
        }
        self.write(1, left + 1);
    }

    /// Fills the last byte with zeros; one of ones is followed by a stuffed one.
    pub(super) fn finish(mut self) {
        self.drain(true);
        if self.is_after_ff {
            self.out.push(0);
        }
    }

    fn drain(&mut self, is_last: bool) {
        loop {
            let wanted = if self.is_after_ff { 7 } else { 8 };
            let byte = if self.count >= wanted {
                self.count -= wanted;
                (self.held >> self.count) as u8 & (0xFF >> (8 - wanted)) // the wanted bits
            } else if is_last && self.count > 0 {
                let filled = (self.held << (wanted - self.count)) as u8 & (0xFF >> (8 - wanted)); // the same
                self.count = 0;
                filled
            } else {
                return;
            };
            self.held &= (1 << self.count) - 1;
            self.out.push(byte);
            self.is_after_ff = byte == 0xFF;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_stuffed_behind_ones_and_come_back() {
        let values = [(0xFFFF, 16), (1, 1), (0, 3), (0x1FF, 9), (5, 7), (0xFFFF_FFFF, 32), (0, 1)];
        let mut out = Vec::new();
        let mut writer = BitWriter::new(&mut out);
        for (value, count) in values {
            writer.write(value, count);
        }
        writer.write_unary(40);
        writer.finish();
        assert!(out.windows(2).all(|pair| !matches!(pair, [0xFF, next] if *next >= 0x80)), "{out:02X?}");
        let stream = [out.as_slice(), &[0xFF, 0xD9]].concat();
        let mut reader = BitReader::new(&stream);
        for (value, count) in values {
            assert_eq!(reader.read(count).unwrap(), value);
        }
        assert_eq!(reader.read_unary(40).unwrap(), 40);
        assert!(reader.read(32).is_err(), "no bits of the marker");
    }
}
