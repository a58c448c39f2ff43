//! P-DATA-TF framing for what we send (PS3.8 §9.3.5, Annex E).
//!
//! ```
//! let data = [7_u8; 40_000];
//! let mut wire = Vec::new();
//! for fragment in ul::pdata::fragments(16_384, data.len() as u64) {
//!     wire.extend(fragment.header(1, false));
//!     wire.extend(&data[..fragment.bytes as usize]); // the next so many bytes of the message
//! }
//! assert_eq!(wire.len(), 40_000 + 3 * ul::pdata::HEADER_BYTES);
//! ```

use model::limits;

/// Bytes before the data of a P-DATA-TF that carries one PDV: PDU header, Item-length, context, message control header.
pub const HEADER_BYTES: usize = 12;

/// The bytes that precede `bytes` bytes of data in a P-DATA-TF with one PDV.
///
/// # Panics
/// In debug builds, when `bytes` is over [`fragment_bytes`] of any peer.
///
/// PS3.8 §9.3.5.1, §E.2.
pub const fn header(context_id: u8, is_command: bool, is_last: bool, bytes: u32) -> [u8; HEADER_BYTES] {
    debug_assert!(bytes <= limits::SENT_PDU_BYTES);
    let [a, b, c, d] = (bytes + 6).to_be_bytes();
    let [e, f, g, h] = (bytes + 2).to_be_bytes();
    let control = (is_command as u8) | ((is_last as u8) << 1); // bool is 0 or 1
    [4, 0, a, b, c, d, e, f, g, h, context_id, control]
}

/// The most data bytes of one PDV for a peer that takes P-DATA-TF of `peer_max_pdu_bytes` (0: no limit).
///
/// Even, at least 2, and never over what [`limits::SENT_PDU_BYTES`] allows. PS3.8 §D.1, §E.1.
pub const fn fragment_bytes(peer_max_pdu_bytes: u32) -> u32 {
    let max = match peer_max_pdu_bytes {
        0 => limits::SENT_PDU_BYTES,
        max if max > limits::SENT_PDU_BYTES => limits::SENT_PDU_BYTES,
        max => max,
    };
    let bytes = max.saturating_sub(6) & !1;
    if bytes < 2 { 2 } else { bytes }
}

/// Splits a message of `bytes` bytes for a peer that takes P-DATA-TF of `peer_max_pdu_bytes`.
///
/// All fragments but the last are of [`fragment_bytes`]; the last one is marked. An empty message is one empty last fragment.
pub fn fragments(peer_max_pdu_bytes: u32, bytes: u64) -> Fragments {
    Fragments { most: fragment_bytes(peer_max_pdu_bytes), left: Some(bytes) }
}

/// Iterator over the fragments of a message, made by [`fragments`].
#[derive(Debug, Clone)]
pub struct Fragments {
    most: u32,
    left: Option<u64>,
}

/// How much of a message goes into the next PDV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Data bytes.
    pub bytes: u32,
    /// The message ends with it.
    pub is_last: bool,
}

impl Fragment {
    /// The bytes that precede the fragment's data on the wire.
    pub const fn header(self, context_id: u8, is_command: bool) -> [u8; HEADER_BYTES] {
        header(context_id, is_command, self.is_last, self.bytes)
    }
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        let left = self.left?;
        match u32::try_from(left) {
            Ok(bytes) if bytes <= self.most => {
                self.left = None;
                Some(Fragment { bytes, is_last: true })
            }
            Ok(_) | Err(_) => {
                self.left = Some(left - u64::from(self.most));
                Some(Fragment { bytes: self.most, is_last: false })
            }
        }
    }
}
