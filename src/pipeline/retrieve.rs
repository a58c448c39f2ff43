use std::sync::Arc;

use archive::{Cursor, Page, Selected, StoredInstance};
use model::query::Selection;
use model::{Scope, SopClassUid, TransferSyntaxUid};

use crate::{Error, Part, PartReader, Pipeline, Transcoder};

impl Pipeline {
    /// One page of the instances in a scope, version 1 of each. Cancel safe.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the first page is empty, [`Error::Archive`] when the index cannot be read.
    pub async fn instances(
        &self,
        scope: &Scope,
        after: Option<Cursor>,
    ) -> Result<Page<StoredInstance>, Error> {
        let is_first = after.is_none();
        let page = self.archive.instances(scope, after).await?;
        if is_first && page.rows.is_empty() { Err(Error::NotFound) } else { Ok(page) }
    }

    /// What a C-MOVE or C-GET takes in: instances that come later are not among them. Cancel safe.
    ///
    /// # Errors
    /// [`Error::TooManySelected`]; [`Error::Archive`] when the index cannot be read.
    pub async fn select(&self, selection: &Selection) -> Result<Arc<Selected>, Error> {
        Ok(self.archive.select(selection).await?)
    }

    /// One page of what was selected, version 1 of each. No read transaction outlives the call. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Archive`] when the index cannot be read.
    pub async fn selected(
        &self,
        selected: &Arc<Selected>,
        after: Option<Cursor>,
    ) -> Result<Page<StoredInstance>, Error> {
        Ok(self.archive.selected(selected, after).await?)
    }

    /// One page of DICOM JSON objects (PS3.18 §F.2), one for each instance in a scope. Cancel safe.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the first page is empty, [`Error::Archive`] when the index cannot be read.
    pub async fn metadata(&self, scope: &Scope, after: Option<Cursor>) -> Result<Page<Vec<u8>>, Error> {
        let is_first = after.is_none();
        let page = self.archive.metadata(scope, after).await?;
        if is_first && page.rows.is_empty() { Err(Error::NotFound) } else { Ok(page) }
    }

    /// In which transfer syntaxes there are how many instances of a SOP class.
    pub fn transfer_syntaxes_of(&self, sop_class: &SopClassUid) -> Vec<(TransferSyntaxUid, u64)> {
        self.archive.transfer_syntaxes_of(sop_class)
    }

    /// Opens the stored file, preamble and File Meta Information included, for reading in chunks. Cancel safe.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be opened.
    pub async fn open(&self, instance: &StoredInstance) -> Result<PartReader, Error> {
        PartReader::whole(instance).await
    }

    /// What makes copies in other transfer syntaxes.
    pub fn transcoder(&self) -> &Transcoder {
        &self.transcoder
    }

    /// Opens one part of a rendition of `instance`. Cancel safe.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be opened.
    pub async fn open_part(&self, instance: &StoredInstance, part: &Part) -> Result<PartReader, Error> {
        PartReader::of(instance, part).await
    }
}
