use archive::{Cursor, Page, Row, Support};
use model::query::Query;
use model::{QueryRetrieveLevel, Tag};

use crate::{Error, Pipeline};

impl Pipeline {
    /// One page of matches, in a stable order; [`Page::next`] continues. No read transaction outlives the call. Cancel safe: dropped, the
    /// search ends.
    ///
    /// PS3.4 §C.2.2.2.
    ///
    /// # Errors
    /// [`Error::TooLong`]; [`Error::Archive`] when the index cannot be read.
    pub async fn find(&self, query: &Query, after: Option<Cursor>) -> Result<Page<Row>, Error> {
        Ok(self.archive.find(query, after).await?)
    }

    /// Whether rows of the answer come with parts of stored objects: pages of them take more memory and time.
    pub fn needs_objects(&self, query: &Query) -> bool {
        archive::needs_objects(query)
    }

    /// Whether an attribute can be matched, returned, or neither, at a level.
    pub fn support(&self, level: QueryRetrieveLevel, tag: Tag) -> Support {
        archive::support(level, tag)
    }

    /// The same of an attribute inside the items of a sequence.
    pub fn support_within(&self, level: QueryRetrieveLevel, sequence: Tag, tag: Tag) -> Support {
        archive::support_within(level, sequence, tag)
    }
}
