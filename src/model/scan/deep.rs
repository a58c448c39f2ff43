use super::frame::Kind;
use crate::syntax::Encoding;

/// Containers of undefined length that are walked and not kept: a count, however many are open.
///
/// A count is enough. Containers of defined length are stepped over whole, so that sequences and items strictly alternate; and the
/// encoding changes but once, inside UN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deep {
    open: u64,
    kind: Kind,
    encoding: Encoding,
    /// How many are open inside of which the encoding is implicit; `encoding` holds in the others.
    implicit_from: Option<u64>,
}

impl Deep {
    /// One container open, in surroundings of this encoding.
    pub(super) fn new(kind: Kind, encoding: Encoding, content: Encoding) -> Self {
        let mut deep = Self { open: 0, kind, encoding, implicit_from: None };
        deep.open(kind, content);
        deep
    }

    pub(super) fn open(&mut self, kind: Kind, content: Encoding) {
        self.open += 1;
        self.kind = kind;
        if content != self.encoding() {
            self.implicit_from = Some(self.open);
        }
    }

    /// Closes the innermost; `None` when it was the last.
    pub(super) fn close(mut self) -> Option<Self> {
        self.open -= 1;
        self.kind = match self.kind {
            Kind::Item => Kind::Sequence,
            Kind::Sequence | Kind::Fragments | Kind::DataSet => Kind::Item,
        };
        self.implicit_from = self.implicit_from.filter(|from| *from <= self.open);
        (self.open > 0).then_some(self)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn encoding(&self) -> Encoding {
        if self.implicit_from.is_some() { Encoding::ImplicitLittle } else { self.encoding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_to_what_was_around() {
        let (big, implicit) = (Encoding::ExplicitBig, Encoding::ImplicitLittle);
        let mut deep = Deep::new(Kind::Sequence, big, big);
        deep.open(Kind::Item, big);
        deep.open(Kind::Sequence, implicit);
        deep.open(Kind::Item, implicit);
        deep.open(Kind::Fragments, implicit);
        for (kind, encoding) in [
            (Kind::Fragments, implicit),
            (Kind::Item, implicit),
            (Kind::Sequence, implicit),
            (Kind::Item, big),
            (Kind::Sequence, big),
        ] {
            assert_eq!((deep.kind(), deep.encoding()), (kind, encoding));
            match deep.close() {
                Some(outer) => deep = outer,
                None => assert_eq!(kind, Kind::Sequence),
            }
        }
    }
}
