use std::fmt;

/// Protected health information: a value that never prints itself.
///
/// Names, patient IDs, birth dates and accession numbers travel as this, so that no log line, error text or panic message can
/// carry them by accident.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks a value as protected.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Each call says in a comment why it is needed in the clear.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Gives up the mark.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[protected]")
    }
}

impl<T> fmt::Display for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[protected]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nothing_of_the_value() {
        let name = Phi::new("Doe^Jane");
        assert_eq!(format!("{name} {name:?}"), "[protected] [protected]");
    }
}
