use crate::Tag;

/// Why a data set is unreadable: its top-level elements cannot all be told apart.
///
/// Everything else that may be wrong with a data set is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A top-level element runs past the end of the data set.
    #[error("element {0} runs past the end of the data set")]
    PastEnd(Tag),
    /// A fragment of top-level pixel data runs past the end of the data set.
    #[error("a fragment of element {0} runs past the end of the data set")]
    FragmentPastEnd(Tag),
    /// A top-level element of undefined length is never closed.
    #[error("element {0} of undefined length is never closed")]
    Unclosed(Tag),
    /// This tag stands where it cannot, and no defined length around it says where the walk may resume: at the top level, or inside a
    /// top-level element of undefined length.
    #[error("tag {0} stands where an item, an element or a delimiter belongs")]
    Lost(Tag),
    /// Fewer than eight bytes that are not all zero follow the last element.
    #[error("{0} bytes that are no padding follow the last element")]
    Trailing(usize),
    /// What should be a deflate stream (RFC 1951) is none, or it breaks off.
    #[error("the deflate stream is damaged or breaks off")]
    Deflate,
    /// The deflate stream inflates to more than [`limits::INFLATED_BYTES`](crate::limits::INFLATED_BYTES).
    #[error("the deflate stream inflates to more than {} bytes", crate::limits::INFLATED_BYTES)]
    Inflated,
}
