//! One instance → rows, inside the writer's transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::sync::LazyLock;

use lru::LruCache;
use model::{Kind as UidKind, QueryRetrieveLevel, Uid};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::attribute::{Terms, from_header};
use crate::clock::now_microseconds;
use crate::counters::Counters;
use crate::fanout::Fanout;
use crate::files::Files;
use crate::kinds::{self, Kind, Kinds};
use crate::merge;
use crate::metadata::{Dictionaries, SeriesKey, pack_plain, unpack_dictionary};
use crate::{DestinationId, Error, Prepared, Turn, Turned, items, terms, turn};

/// The rows that an instance hangs on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) patient_pk: i64,
    pub(crate) study_pk: i64,
    pub(crate) series_pk: i64,
    /// Of the [`Values`](crate::rows::Values) that were last merged into these rows.
    fingerprint: u64,
    /// Whether those disagreed with the rows.
    disagrees: bool,
}

/// The places of the series that came last. Whoever rolls back clears it, so that it holds nothing that is not there.
pub(crate) struct Places(LruCache<SeriesKey, Place>);

impl Places {
    pub(crate) fn new() -> Self {
        Self(LruCache::new(CACHED_PLACES))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What was done with an instance.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Added {
    /// It has rows of its own now.
    New,
    /// Its content is there.
    Duplicate,
    /// Its content has a row, but not the file that the row spoke of; now the row speaks of the instance's own.
    Repaired {
        /// The file that is missing or damaged.
        former: i64,
    },
    /// It is kept under this version number.
    Conflict { version: u32 },
}

/// A row that has the content of an instance already.
pub(crate) struct Keeper {
    pub(crate) table: &'static str,
    pub(crate) pk: i64,
    pub(crate) instance_pk: i64,
    pub(crate) version: u32,
    file: i64,
    length: i64,
}

/// The writer's transaction.
pub(crate) struct Store<'a> {
    pub(crate) connection: &'a Connection,
    files: &'a Files,
    pub(crate) places: &'a mut Places,
    pub(crate) counters: Counters,
    pub(crate) fanout: Fanout,
    dictionaries: &'a Dictionaries,
    kinds: &'a Kinds,
    learned: Learned,
}

/// What a transaction has added to what is cached, to be so once it is committed.
#[derive(Default)]
pub(crate) struct Learned {
    pub(crate) dictionaries: HashMap<SeriesKey, Vec<u8>>,
    /// How many more there are of them.
    pub(crate) kinds: Vec<(Kind, u64)>,
}

impl<'a> Store<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        files: &'a Files,
        places: &'a mut Places,
        dictionaries: &'a Dictionaries,
        kinds: &'a Kinds,
    ) -> Self {
        let (counters, fanout, learned) = Default::default();
        Self { connection, files, places, counters, fanout, dictionaries, kinds, learned }
    }

    /// Adds one instance, unless it is there, and queues it for where it goes.
    pub(crate) fn add(&mut self, instance: &Prepared) -> Result<Added, Error> {
        let same_uid = self
            .connection
            .prepare_cached(
                "SELECT instance_pk, file, length, sha256, transfer_syntax_uid FROM instance WHERE sop_instance_uid = ?1",
            )?
            .query_row([instance.ids.sop_instance.as_str()], |row| {
                let pk = row.get(0)?;
                let (file, length) = (row.get(1)?, row.get(2)?);
                let keeper = Keeper { table: "instance", pk, instance_pk: pk, version: 1, file, length };
                Ok((keeper, is_content_of(instance, row.get_ref(3)?, row.get_ref(4)?)))
            })
            .optional()?;
        match same_uid {
            None => {
                let instance_pk = self.add_new(instance)?;
                self.queue(instance.routing.as_ref(), instance_pk, 1)?;
                Ok(Added::New)
            }
            Some((keeper, true)) => self.confirm(instance, &keeper),
            Some((keeper, false)) => self.add_version(instance, keeper.pk),
        }
    }

    /// Lets a lane take its turn.
    pub(crate) fn turn(&mut self, destination: DestinationId, turn: &Turn) -> Result<Turned, Error> {
        turn::take(self.connection, self.files, &mut self.counters, destination, turn)
    }

    /// Writes what was counted, as the last thing in a transaction. Gives what is to be done once it is committed: what is
    /// to be cached, and what follows from routing.
    pub(crate) fn finish(mut self) -> Result<(Learned, Fanout), Error> {
        self.counters.write(self.connection)?;
        for ((class, syntax), instances) in &self.learned.kinds {
            kinds::write(self.connection, class.as_str(), syntax.as_str(), as_i64(*instances))?;
        }
        Ok((self.learned, self.fanout))
    }

    /// Sees to it that the content of a duplicate, which is about to be acknowledged once more, still has a file, and
    /// that it goes where it was never sent.
    fn confirm(&mut self, instance: &Prepared, keeper: &Keeper) -> Result<Added, Error> {
        self.queue_again(instance.routing.as_ref(), keeper)?;
        if self.files.is_whole(keeper.file, keeper.length) {
            return Ok(Added::Duplicate);
        }
        let length = as_i64(instance.length);
        let statement = format!(
            "UPDATE {table} SET file = ?2, data_offset = ?3, length = ?4, crc64 = ?5 WHERE {table}_pk = ?1",
            table = keeper.table
        );
        self.connection.prepare_cached(&statement)?.execute(params![
            keeper.pk,
            instance.file.number(),
            as_i64(instance.data_offset),
            length,
            instance.crc64.cast_signed()
        ])?;
        self.connection.prepare_cached("DELETE FROM damaged_file WHERE file = ?1")?.execute([keeper.file])?;
        self.counters.repair(length.saturating_sub(keeper.length));
        Ok(Added::Repaired { former: keeper.file })
    }

    /// Gives the key of the new row.
    fn add_new(&mut self, instance: &Prepared) -> Result<i64, Error> {
        let received = now_microseconds();
        let place = self.place(instance)?;
        let mut values = vec![place.series_pk.into(), text(instance.ids.sop_instance.as_str())];
        values.extend(kept(instance, received));
        values.extend(from_header(QueryRetrieveLevel::Image).map(|(at, _)| text(instance.values.at(at))));
        self.connection.prepare_cached(&INSERT_INSTANCE)?.execute(params_from_iter(values))?;
        let instance_pk = self.connection.last_insert_rowid();
        self.add_metadata(instance, place.series_pk, instance_pk)?;
        items::add(
            self.connection,
            &instance.values.items,
            &[QueryRetrieveLevel::Image],
            (QueryRetrieveLevel::Image, instance_pk),
        )?;
        self.remember_odd_uids(instance)?;
        self.note_kind(instance);
        self.counters.instance(&place, instance.length, received, place.disagrees);
        Ok(instance_pk)
    }

    /// The rows that the instance hangs on, made or filled in where needed.
    fn place(&mut self, instance: &Prepared) -> Result<Place, Error> {
        let key = SeriesKey::of(&instance.ids);
        let fingerprint = instance.values.fingerprint;
        if let Some(place) = self.places.0.get(&key)
            && place.fingerprint == fingerprint
        {
            return Ok(*place);
        }
        let study = merge::study(self, instance)?;
        let series = merge::series(self, instance, &study)?;
        let sop_class = instance.ids.sop_class.as_str();
        terms::add(self.connection, Terms::SopClass.code(), sop_class, study.owner())?;
        let place = Place {
            patient_pk: study.patient_pk,
            study_pk: study.pk,
            series_pk: series.pk,
            fingerprint,
            disagrees: study.disagrees || series.disagrees,
        };
        self.places.0.put(key, place);
        Ok(place)
    }

    fn note_kind(&mut self, instance: &Prepared) {
        let (class, syntax) = (&instance.ids.sop_class, &instance.transfer_syntax);
        let learned = &mut self.learned.kinds;
        if let Some((_, count)) = learned.iter_mut().find(|(kind, _)| kind.0 == *class && kind.1 == *syntax) {
            *count += 1;
        } else if self.kinds.counts(class, syntax) {
            learned.push(((class.clone(), syntax.clone()), 1));
        }
    }

    fn add_metadata(&mut self, instance: &Prepared, series_pk: i64, instance_pk: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO metadata (instance_pk, dictionary, json) VALUES (?1, ?2, ?3)")?
            .execute(params![instance_pk, instance.json.needs_dictionary, instance.json.bytes])?;
        match &instance.json.dictionary {
            Some(offered) => self.settle_dictionary(SeriesKey::of(&instance.ids), series_pk, offered),
            None => Ok(()),
        }
    }

    /// Makes `offered` the dictionary of a series that has none, and sees to it that the one it has gets cached.
    fn settle_dictionary(&mut self, key: SeriesKey, series_pk: i64, offered: &[u8]) -> Result<(), Error> {
        if self.dictionaries.has(&key) {
            return Ok(());
        }
        let Entry::Vacant(entry) = self.learned.dictionaries.entry(key) else { return Ok(()) };
        let stored: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT json FROM dictionary WHERE series_pk = ?1")?
            .query_row([series_pk], |row| row.get(0))
            .optional()?;
        if let Some(packed) = stored {
            // One that is damaged is no reason to refuse an instance, which does without.
            if let Ok(dictionary) = unpack_dictionary(&packed) {
                entry.insert(dictionary);
            }
            return Ok(());
        }
        self.connection
            .prepare_cached("INSERT INTO dictionary (series_pk, json) VALUES (?1, ?2)")?
            .execute(params![series_pk, pack_plain(offered)])?;
        entry.insert(offered.to_vec());
        Ok(())
    }

    fn add_version(&mut self, instance: &Prepared, instance_pk: i64) -> Result<Added, Error> {
        let same_content = self
            .connection
            .prepare_cached(VERSION_BY_CONTENT)?
            .query_row(params![instance_pk, instance.sha256, instance.transfer_syntax.as_str()], |row| {
                let (pk, version, file, length) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Keeper { table: "conflict", pk, instance_pk, version, file, length })
            })
            .optional()?;
        if let Some(keeper) = same_content {
            return self.confirm(instance, &keeper);
        }
        let latest: Option<u32> =
            self.connection.prepare_cached(LATEST_VERSION)?.query_row([instance_pk], |row| row.get(0))?;
        let version = latest.unwrap_or(1).saturating_add(1);
        self.insert_version(instance, instance_pk, version)?;
        self.remember_odd_uids(instance)?;
        self.queue(instance.routing.as_ref(), instance_pk, version)?;
        self.counters.conflict(instance.length);
        Ok(Added::Conflict { version })
    }

    fn insert_version(&self, instance: &Prepared, instance_pk: i64, version: u32) -> Result<(), Error> {
        let ids = &instance.ids;
        let dictionary: Option<i64> = match instance.json.needs_dictionary {
            true => Some(
                self.connection
                    .prepare_cached(
                        "SELECT series_pk FROM series JOIN study USING (study_pk)
                         WHERE series_instance_uid = ?1 AND study_instance_uid = ?2",
                    )?
                    .query_row([ids.series.as_str(), ids.study.as_str()], |row| row.get(0))?,
            ),
            false => None,
        };
        let mut values: Vec<Value> =
            vec![instance_pk.into(), version.into(), text(ids.study.as_str()), text(ids.series.as_str())];
        values.extend(kept(instance, now_microseconds()));
        values.extend([dictionary.into(), instance.json.bytes.clone().into()]);
        self.connection.prepare_cached(&INSERT_VERSION)?.execute(params_from_iter(values))?;
        Ok(())
    }

    fn remember_odd_uids(&self, instance: &Prepared) -> Result<(), Error> {
        self.remember_if_odd(&instance.ids.study)?;
        self.remember_if_odd(&instance.ids.series)?;
        self.remember_if_odd(&instance.ids.sop_instance)
    }

    fn remember_if_odd<K: UidKind>(&self, uid: &Uid<K>) -> Result<(), Error> {
        if !uid.is_valid() {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO odd_uid (component, uid) VALUES (?1, ?2)")?
                .execute([&uid.path_component(), uid.as_str()])?;
        }
        Ok(())
    }
}

/// The values of the columns [`KEPT`].
fn kept(instance: &Prepared, received: i64) -> [Value; 14] {
    let source = &instance.source;
    [
        text(instance.ids.sop_class.as_str()),
        text(instance.transfer_syntax.as_str()),
        instance.file.number().into(),
        as_i64(instance.data_offset).into(),
        as_i64(instance.length).into(),
        instance.sha256.to_vec().into(),
        received.into(),
        text(source.door.label()),
        text(source.calling_aet.as_ref().map_or("", |title| title.as_str())),
        source.address.map(|address| address.to_string()).unwrap_or_default().into(),
        text(source.called_aet.as_ref().map_or("", |title| title.as_str())),
        text(source.peer.as_ref().map_or("", |peer| peer.as_str())),
        instance.routing.as_ref().map(|routing| routing.rule_set.0).into(),
        instance.crc64.cast_signed().into(),
    ]
}

fn is_content_of(instance: &Prepared, sha256: ValueRef<'_>, transfer_syntax: ValueRef<'_>) -> bool {
    sha256 == ValueRef::Blob(&instance.sha256)
        && transfer_syntax == ValueRef::Text(instance.transfer_syntax.as_str().as_bytes())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// File offsets and lengths fit; nothing else comes here.
fn as_i64(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The later version of an instance that has this content, if any.
pub(crate) const VERSION_BY_CONTENT: &str = "SELECT conflict_pk, version, file, length FROM conflict
    WHERE instance_pk = ?1 AND sha256 = ?2 AND transfer_syntax_uid = ?3";

pub(crate) const LATEST_VERSION: &str = "SELECT max(version) FROM conflict WHERE instance_pk = ?1";

/// The columns that version 1 and later versions have in common.
const KEPT: &str = "sop_class_uid, transfer_syntax_uid, file, data_offset, length, sha256, received, door, calling_aet, address,
    called_aet, peer, rule_set_pk, crc64";

static INSERT_INSTANCE: LazyLock<String> = LazyLock::new(|| {
    let columns = merge::column_list(from_header(QueryRetrieveLevel::Image));
    merge::insert("instance", &format!("series_pk, sop_instance_uid, {KEPT}, {columns}"))
});

static INSERT_VERSION: LazyLock<String> = LazyLock::new(|| {
    let ids = "instance_pk, version, study_instance_uid, series_instance_uid";
    merge::insert("conflict", &format!("{ids}, {KEPT}, dictionary, json"))
});

const CACHED_PLACES: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not zero");
