use archive::{Cursor, Page, Row, Support};
use model::query::Query;
use model::{QueryRetrieveLevel, Tag};

use crate::{Error, Pipeline};

impl Pipeline {
    /// One page of matches, in a stable order; [`Page::next`] continues. No read transaction outlives the call. Cancel safe.
    ///
    /// PS3.4 §C.2.2.2.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn find(&self, query: &Query, after: Option<Cursor>) -> Result<Page<Row>, Error> {
        Ok(self.archive.find(query, after).await?)
    }

    /// Whether an attribute can be matched, returned, or neither, at a level.
    pub fn support(&self, level: QueryRetrieveLevel, tag: Tag) -> Support {
        archive::support(level, tag)
    }
}
