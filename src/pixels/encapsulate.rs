use crate::Error;
use crate::output::Output;

/// Writes the fragments of Pixel Data, one for each frame (PS3.5 §A.4).
pub(crate) struct Encapsulation {
    /// Where the entries of the Basic Offset Table go; `None` when it is left empty.
    table: Option<u64>,
    offsets: Vec<u32>,
    origin: u64,
}

impl Encapsulation {
    /// Begins the value, for so many frames of so many bytes when decoded.
    pub(crate) fn begin(out: &mut Output<'_>, frames: u64, frame_bytes: usize) -> Result<Self, Error> {
        // Offsets have 32 bits: where they might not do, the table is empty, which it may be.
        let most = frames.saturating_mul(frame_bytes as u64 * 4 + SLACK_BYTES);
        let entries = if frames > 1 && most < u64::from(u32::MAX) { frames } else { 0 };
        let length = entries as u32 * 4; // far below 4 GiB, as `most` is
        item(out, length)?;
        let table = (entries > 0).then(|| out.position());
        out.write(&vec![0; length as usize])?;
        Ok(Self { table, offsets: Vec::new(), origin: out.position() })
    }

    pub(crate) fn frame(&mut self, out: &mut Output<'_>, bytes: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(bytes.len().next_multiple_of(2));
        let length = length.ok().filter(|length| *length < u32::MAX - 1);
        if self.table.is_some() {
            self.offsets.push(u32::try_from(out.position() - self.origin).unwrap_or(u32::MAX));
        }
        item(out, length.ok_or(Error::TooLarge("an encoded frame is larger than 4 GiB"))?)?;
        out.write(bytes)?;
        if bytes.len().is_multiple_of(2) { Ok(()) } else { out.write(&[0]) }
    }

    pub(crate) fn finish(self, out: &mut Output<'_>) -> Result<(), Error> {
        if let Some(table) = self.table {
            let entries: Vec<u8> = self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
            out.patch(table, &entries)?;
        }
        out.write(&SEQUENCE_END)
    }
}

fn item(out: &mut Output<'_>, length: u32) -> Result<(), Error> {
    out.write(&ITEM)?;
    out.write(&length.to_le_bytes())
}

/// Item and Sequence Delimitation Item in little endian (PS3.5 §7.5).
const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];
/// What headers of frames may take.
const SLACK_BYTES: u64 = 64 << 10;
