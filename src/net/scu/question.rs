use model::attributes::{Attributes, to_data_set};
use model::charset::Charset;
use model::query::Root;
use model::syntax::Encoding;
use model::{QueryRetrieveLevel, Tag, Vr};

/// What a query asks for, or what a retrieve is about.
#[derive(Debug, Clone)]
pub struct Question {
    /// The information model that it is put to.
    pub root: Root,
    /// What a match is.
    pub level: QueryRetrieveLevel,
    /// Keys with a value are to match, and all of them to be returned.
    pub keys: Attributes,
}

impl Question {
    /// The identifier, in UTF-8 where ASCII does not hold the keys.
    ///
    /// PS3.4 §C.4.1.1.3.1, §C.4.2.1.4.1.
    pub(super) fn identifier(&self, encoding: Encoding) -> Vec<u8> {
        let mut attributes = self.keys.clone();
        attributes.insert_text(QUERY_RETRIEVE_LEVEL, Vr::CS, self.level.keyword());
        to_data_set(&attributes, encoding, &Charset::default())
    }
}

const QUERY_RETRIEVE_LEVEL: Tag = Tag(0x0008, 0x0052);
