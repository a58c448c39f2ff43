//! What a store that has no words of its own is said to have answered.

/// It took it.
pub(crate) const STORED: &str = "stored";

/// It took it, under a name of its own: the first one is other content's.
pub(crate) const STORED_BESIDE: &str = "stored beside other content";

/// It has had it.
pub(crate) const THERE_ALREADY: &str = "there already";
