use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::query::{Query, Selection};
use model::{DestinationName, RuleName, Scope, SopClassUid, TransferSyntaxUid};
use rusqlite::Connection;
use telemetry::Telemetry;
use tokio::sync::Notify;

use crate::files::{self, Files};
use crate::kinds::Kinds;
use crate::lock::Lock;
use crate::metadata::Dictionaries;
use crate::reader::Readers;
use crate::space::Gauge;
use crate::wakeups::Wakeups;
use crate::writer::{Shared, Writer};
use crate::{
    Committed, Cursor, DeadLetter, DestinationId, Error, LaneSummary, NewInstance, Overview, Page, Prepared,
    Row, RuleId, RuleSetId, Selected, Spool, StoredInstance, Turn, Turned, commitment, enrol, find, lanes,
    overview, peers, recover, resume, retrieve, schema, scratch, selected, verification,
};

/// Where the archive keeps its data.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the archive; made when missing.
    pub data_dir: PathBuf,
    /// With less than this free, [`Archive::has_space`] is false.
    pub min_free_bytes: u64,
}

/// Files and index of one data folder. Clones share them.
///
/// Dropped without [`Archive::close`], it commits what is queued; the next start then compares the latest files with
/// the index.
#[derive(Clone)]
pub struct Archive {
    inner: Arc<Inner>,
}

/// In the order in which it is dropped: the lock goes last.
struct Inner {
    writer: Writer,
    readers: Readers,
    files: Arc<Files>,
    dictionaries: Arc<Dictionaries>,
    kinds: Arc<Kinds>,
    wakeups: Arc<Wakeups>,
    space: Arc<Gauge>,
    min_free_bytes: u64,
    scratch: PathBuf,
    _lock: Lock,
}

impl Archive {
    /// Opens the archive: locks the folder, makes or migrates the index, and after an unclean end compares the files
    /// that came last with it. Blocks.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has the folder; [`Error::IndexMissing`] when there are instances but no
    /// index, or an empty one; [`Error::NewerSchema`] when a later version has written the index; else what file system and index say.
    pub fn open(config: Config, telemetry: Telemetry) -> Result<Self, Error> {
        let Config { data_dir, min_free_bytes } = config;
        files::make_folders(&data_dir)?;
        let mut lock = Lock::take(&data_dir)?;
        let files = Arc::new(Files::open(&data_dir)?);
        let scratch = scratch::prepare(&data_dir)?;
        let index = data_dir.join("index.sqlite");
        let connection = schema::open_writer(&index, files.is_empty())?;
        let starts = Starts::read(&connection, &mut lock)?;
        recover::recover(&connection, &files, starts.of_folder <= starts.of_index)?;
        resume::resume(&connection)?;
        commitment::resume(&connection)?;
        verification::resume(&connection)?;
        peers::resume(&connection)?;
        // Not before: a start that fails or dies must leave an older copy recognisable as one, to be looked at again.
        starts.count(&connection, &mut lock)?;
        let dictionaries = Arc::new(Dictionaries::new());
        let kinds = Arc::new(Kinds::read(&connection)?);
        let wakeups = Arc::new(Wakeups::default());
        let shared = Shared {
            files: files.clone(),
            dictionaries: dictionaries.clone(),
            kinds: kinds.clone(),
            telemetry,
            wakeups: wakeups.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                writer: Writer::start(connection, shared)?,
                readers: Readers::new(&index),
                files,
                dictionaries,
                kinds,
                wakeups,
                space: Arc::new(Gauge::new(&data_dir)),
                min_free_bytes,
                scratch,
                _lock: lock,
            }),
        })
    }

    /// Whether there is room for another instance: at least `min_free_bytes` free, as of at most a tenth of a second ago.
    pub fn has_space(&self) -> bool {
        self.free_bytes().is_ok_and(|free| free >= self.inner.min_free_bytes)
    }

    /// In which transfer syntaxes there are how many instances of a SOP class, as far as that is remembered
    /// ([`KINDS_OF_A_CLASS`](model::limits::KINDS_OF_A_CLASS), [`STORED_KINDS`](model::limits::STORED_KINDS)).
    pub fn transfer_syntaxes_of(&self, sop_class: &SopClassUid) -> Vec<(TransferSyntaxUid, u64)> {
        self.inner.kinds.of(sop_class)
    }

    /// A folder for files that are made from instances; empty at the start.
    pub fn scratch_folder(&self) -> &Path {
        &self.inner.scratch
    }

    /// Bytes free for us on the file system of the archive, as of at most a tenth of a second ago.
    ///
    /// # Errors
    /// [`Error::Io`] when the file system does not tell.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        Ok(self.inner.space.read()?.free_bytes)
    }

    /// Begins the file of an instance, under the unique name that it will keep, in the folder of the present hour
    /// (UTC). Blocks.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`]; with the first file of an hour also [`Error::Index`] and [`Error::Closed`].
    pub fn spool(&self) -> Result<Spool, Error> {
        self.inner.files.spool(|hour| self.inner.writer.open_hour(hour))
    }

    /// Makes index rows and stored JSON of an instance. Takes up to a few milliseconds of CPU for large headers.
    pub fn prepare(&self, received: NewInstance) -> Prepared {
        Prepared::new(received, &self.inner.dictionaries)
    }

    /// Makes an instance durable and served: its folder is synced and its rows are committed, in one transaction with
    /// what else is queued, when this returns.
    ///
    /// Cancel safety: once the instance is queued it is committed, whether or not anybody waits.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Index`], [`Error::Closed`]: nothing is kept.
    /// [`Error::OutcomeUnknown`]: it may or may not be there after the next start. In all cases nothing may be
    /// acknowledged, and sending again is safe.
    pub async fn commit(&self, prepared: Prepared) -> Result<Committed, Error> {
        self.inner.writer.commit(prepared).await
    }

    /// Gives destinations their numbers, in order; those that are known keep theirs. Durable when this returns.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn enrol_destinations(&self, names: &[DestinationName]) -> Result<Vec<DestinationId>, Error> {
        let names = names.to_vec();
        self.inner.writer.change(move |connection| enrol::destinations(connection, &names)).await
    }

    /// Keeps the rules that were loaded together, by version, with name and text of each of their files; and gives
    /// each rule, a name and a version, its number. What is known stays as it is. Durable when this returns.
    ///
    /// Cancel safety: as [`Archive::commit`].
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`].
    pub async fn enrol_rules(
        &self,
        version: &str,
        sources: &[(String, String)],
        rules: &[(RuleName, String)],
    ) -> Result<(RuleSetId, Vec<RuleId>), Error> {
        let (version, sources, rules) = (version.to_owned(), sources.to_vec(), rules.to_vec());
        self.inner.writer.change(move |connection| enrol::rules(connection, &version, &sources, &rules)).await
    }

    /// Lets a lane say how its deliveries went and claim the next ones, in one transaction with the instances and turns
    /// that are queued. One that finds nothing writes nothing.
    ///
    /// When this returns, all of the turn outlives this process. A loss of power may undo turns that came after the
    /// last instance, of about a second: what they settled is delivered again. Settling a delivery twice has the effect
    /// of once, so that a turn may be repeated after an error.
    ///
    /// Not cancel safe: what a turn has claimed that nobody waited for stays leased until the lease ends.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Index`], [`Error::Closed`]: nothing has changed. [`Error::OutcomeUnknown`]: it may
    /// have; what was claimed is claimed again when its lease has ended.
    pub async fn turn(&self, destination: DestinationId, turn: Turn) -> Result<Turned, Error> {
        self.inner.writer.turn(destination, turn).await
    }

    /// The bell of a destination: rung after each commit that made deliveries ready for it, also when nobody listens
    /// yet. What another process makes ready does not ring it.
    pub fn wakeup(&self, destination: DestinationId) -> Arc<Notify> {
        self.inner.wakeups.of(destination)
    }

    /// All lanes at a glance, by the names of their destinations, those too that are no longer configured. Takes as
    /// long as there are destinations, however much waits. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn lanes(&self) -> Result<Vec<LaneSummary>, Error> {
        self.inner.readers.read(lanes::summaries).await
    }

    /// The latest deliveries that were given up, newest first, at most
    /// [`limits::DEAD_LETTERS`](model::limits::DEAD_LETTERS). Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Closed`].
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        let files = self.inner.files.clone();
        self.inner.readers.read(move |connection| lanes::dead_letters(connection, &files, limit)).await
    }

    /// Answers a query page by page: call again with [`Page::next`] until there is none.
    ///
    /// Studies come by descending Study Date, those of a date with the newest arrival first; other levels in the
    /// order of arrival, instances series by series. Keys that [`support`](crate::support) does not call a match are
    /// taken as universal; the caller tells the peer. `limit` and `offset` hold for the answer as a whole. A study
    /// whose date becomes known between two pages may show up twice or not at all; nothing else can.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    ///
    /// PS3.4 §C.2.2.2, PS3.18 §8.3.4.
    pub async fn find(&self, query: &Query, after: Option<Cursor>) -> Result<Page<Row>, Error> {
        let query = query.clone();
        self.inner.readers.read(move |connection| find::find(connection, &query, after.as_ref())).await
    }

    /// The instances of a scope, series by series in the order of arrival; none when the scope is unknown. Paged as
    /// [`Archive::find`].
    ///
    /// A UID of the scope may also be the [`path_component`](model::Uid::path_component) of one that is not valid.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    pub async fn instances(
        &self,
        scope: &Scope,
        after: Option<Cursor>,
    ) -> Result<Page<StoredInstance>, Error> {
        let (scope, files) = (scope.clone(), self.inner.files.clone());
        self.inner
            .readers
            .read(move |connection| retrieve::instances(connection, &files, &scope, after.as_ref()))
            .await
    }

    /// What a selection takes in at present. Cancel safe.
    ///
    /// # Errors
    /// [`Error::TooManySelected`], [`Error::TooLong`], [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    ///
    /// PS3.4 §C.4.2.2.1.
    pub async fn select(&self, selection: &Selection) -> Result<Arc<Selected>, Error> {
        let selection = selection.clone();
        let select = move |connection: &Connection| selected::select(connection, &selection);
        self.inner.readers.read(select).await.map(Arc::new)
    }

    /// The instances of a selection as they were when it was made, series by series in the order of arrival. Paged as
    /// [`Archive::find`]. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    pub async fn selected(
        &self,
        selected: &Arc<Selected>,
        after: Option<Cursor>,
    ) -> Result<Page<StoredInstance>, Error> {
        let (selected, files) = (selected.clone(), self.inner.files.clone());
        self.inner
            .readers
            .read(move |connection| selected::instances(connection, &files, &selected, after.as_ref()))
            .await
    }

    /// The DICOM JSON of the instances of a scope, one object each, in the order of [`Archive::instances`]. Paged as
    /// [`Archive::find`].
    ///
    /// BulkDataURIs are relative to the server: they begin with `/dicom-web/`. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Damaged`], [`Error::Closed`].
    ///
    /// PS3.18 §10.4.1.1.2.
    pub async fn metadata(&self, scope: &Scope, after: Option<Cursor>) -> Result<Page<Vec<u8>>, Error> {
        let scope = scope.clone();
        self.inner
            .readers
            .read(move |connection| retrieve::metadata(connection, &scope, after.as_ref()))
            .await
    }

    /// The archive at a glance. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Io`], [`Error::Damaged`], [`Error::Closed`].
    pub async fn overview(&self) -> Result<Overview, Error> {
        let space = self.inner.space.clone();
        self.inner.readers.read(move |connection| overview::overview(connection, space.read()?)).await
    }

    /// Shows that a transaction can be made durable now. Cancel safe.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn probe(&self) -> Result<(), Error> {
        self.inner.writer.probe().await
    }

    /// Runs a change in a transaction of its own; durable when this returns. Cancel safety: as [`Archive::commit`].
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.writer.change(change).await
    }

    /// Reads in one transaction, which must end soon. Cancel safe.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Files) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.inner.files.clone();
        self.inner.readers.read(move |connection| read(connection, &files)).await
    }

    /// Commits what is queued and leaves the index in one file, so that the next start has nothing to look at.
    /// Afterwards every call gives [`Error::Closed`].
    ///
    /// # Errors
    /// Why the index could not be left so; nothing acknowledged is lost by that.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.readers.close().await;
        self.inner.writer.close().await
    }
}

/// How often index and folder were opened. An index that was opened less often was not there at the last start.
struct Starts {
    of_index: i64,
    of_folder: i64,
}

impl Starts {
    fn read(connection: &Connection, lock: &mut Lock) -> Result<Self, Error> {
        let of_index = connection.query_row("SELECT starts FROM total", [], |row| row.get(0))?;
        Ok(Self { of_index, of_folder: lock.starts()? })
    }

    /// Counts one more.
    fn count(self, connection: &Connection, lock: &mut Lock) -> Result<(), Error> {
        let starts = self.of_index.max(self.of_folder).saturating_add(1);
        connection.execute("UPDATE total SET starts = ?1", [starts])?;
        lock.set_starts(starts)
    }
}
