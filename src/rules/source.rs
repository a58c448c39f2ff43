use sha2::{Digest, Sha256};

/// A rule file that has been read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// As operators are shown it: its path.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// 12 hexadecimal digits that differ where the parts do.
pub(crate) fn version<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(12);
    digits
}
