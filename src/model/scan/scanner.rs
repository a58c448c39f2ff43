use super::ScanError;
use super::inflate::Inflate;
use super::walk::Walk;
use crate::header::Header;
use crate::limits;
use crate::syntax::Form;

/// Walks a data set as its bytes arrive, in any chunks, and keeps its [`Header`].
///
/// Any chunking gives the same header. After an error the scanner has nothing more to say: the data set is unreadable.
///
/// Read more leniently than written (PS3.5 §7), as long as the top-level elements can be told apart:
/// - elements out of order, repeated, of any group, of odd length, and with values that their VR does not allow are taken;
/// - UN is read by the dictionary's VR, and as Implicit VR Little Endian (PS3.5 §6.2.2), but not as SQ where it begins with no item;
/// - so is a VR that we do not know: two capital letters have the 32-bit length form (PS3.5 §7.1.2), anything else the 16-bit form;
/// - inside a sequence or item of defined length, what cannot be read is left out up to the end of that length;
/// - sequences deeper than [`limits::DEPTH`] are walked, not kept;
/// - the length of a delimiter is not looked at, and a delimiter of length zero that closes nothing is stepped over, as is an item of
///   defined length where an element belongs;
/// - fewer than eight bytes after the last element, all zero, are padding, and so is all that follows a deflate stream.
pub struct Scanner {
    walk: Walk,
    inflate: Option<Box<Inflate>>,
}

impl Scanner {
    /// A scanner of a data set of this form; a deflated one is inflated on the way, up to [`limits::INFLATED_BYTES`].
    pub fn new(form: Form) -> Self {
        Self::inflating(form, limits::INFLATED_BYTES)
    }

    fn inflating(form: Form, most_bytes: u64) -> Self {
        let inflate = form.deflated.then(|| Box::new(Inflate::new(most_bytes)));
        Self { walk: Walk::new(form.encoding), inflate }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ScanError`] as soon as the data set cannot be read any further.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        match &mut self.inflate {
            Some(inflate) => inflate.feed(bytes, &mut self.walk),
            None => self.walk.feed(bytes),
        }
    }

    /// Memory that the header takes so far.
    pub fn held_bytes(&self) -> usize {
        self.walk.held_bytes()
    }

    /// How many of the bytes that follow the scanner need not see; 0 while inflating. They may be more than there are.
    pub fn skippable(&self) -> u64 {
        if self.inflate.is_some() { 0 } else { self.walk.skippable() }
    }

    /// Notes that the caller stepped over bytes, at most [`Scanner::skippable`] of them.
    pub fn skip(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.skippable(), "only what is skippable may be skipped");
        self.walk.skip(bytes);
    }

    /// Takes the end of the data set.
    ///
    /// # Errors
    /// [`ScanError`] when something is missing.
    pub fn finish(self) -> Result<Header, ScanError> {
        if let Some(inflate) = &self.inflate {
            inflate.finish()?;
        }
        self.walk.finish()
    }
}

/// Scans a data set that is all there.
///
/// # Errors
/// [`ScanError`] when the data set is unreadable.
pub fn scan(form: Form, data_set: &[u8]) -> Result<Header, ScanError> {
    scan_within(form, data_set, limits::INFLATED_BYTES)
}

/// As [`scan`], for data sets that have no reason to be large: at most `most_bytes` are inflated.
///
/// # Errors
/// [`ScanError`] when the data set is unreadable.
pub fn scan_within(form: Form, data_set: &[u8], most_bytes: u64) -> Result<Header, ScanError> {
    let mut scanner = Scanner::inflating(form, most_bytes);
    scanner.feed(data_set)?;
    scanner.finish()
}
