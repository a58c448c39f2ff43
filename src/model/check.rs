//! Whether the bytes of a data set are still those that were received.

use crc_fast::CrcAlgorithm;
use sha2::{Digest, Sha256};

/// The CRC-64/NVME of what is added: it misses no change within 8 bytes, and of others one in 2^64.
///
/// It tells a file that a disk has damaged from one that is whole, some thirty times as fast as SHA-256 does. Not what says whether two data
/// sets are the same: whoever wants to can make two of one CRC.
pub struct Crc64(crc_fast::Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl Crc64 {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// That of all that was added.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// Compares a data set that is read with what is known of it.
pub struct Check(Kind);

enum Kind {
    Crc64(Crc64, u64),
    Sha256(Sha256, [u8; 32]),
}

impl Check {
    /// With its CRC-64 where that is known, else with its SHA-256.
    pub fn new(crc64: Option<u64>, sha256: [u8; 32]) -> Self {
        Self(match crc64 {
            Some(crc64) => Kind::Crc64(Crc64::default(), crc64),
            None => Kind::Sha256(Sha256::new(), sha256),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Kind::Crc64(crc64, _) => crc64.update(bytes),
            Kind::Sha256(sha256, _) => sha256.update(bytes),
        }
    }

    /// Whether what was added is what it is to be.
    pub fn holds(self) -> bool {
        match self.0 {
            Kind::Crc64(crc64, expected) => crc64.value() == expected,
            Kind::Sha256(sha256, expected) => sha256.finalize() == expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &[u8] = b"123456789";

    #[test]
    fn the_crc_is_the_one_of_the_catalogue() {
        let mut crc64 = Crc64::default();
        for piece in CHECK.chunks(2) {
            crc64.update(piece);
        }
        assert_eq!(crc64.value(), 0xAE8B_1486_0A79_9888);
    }

    #[test]
    fn one_bit_that_changed_is_found_by_either() {
        let sha256 = Sha256::digest(CHECK).into();
        for crc64 in [None, Some(0xAE8B_1486_0A79_9888)] {
            let holds = |bytes: &[u8]| {
                let mut check = Check::new(crc64, sha256);
                bytes.chunks(4).for_each(|piece| check.update(piece));
                check.holds()
            };
            assert!(holds(CHECK));
            for bit in 0..8 * CHECK.len() {
                let mut changed = CHECK.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(!holds(&changed), "bit {bit}");
            }
            assert!(!holds(&CHECK[1..]));
        }
    }
}
