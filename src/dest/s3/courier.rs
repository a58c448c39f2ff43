use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use model::limits;
use object_store::path::Path;
use pipeline::{Courier, Outcome, Parcel, StoredInstance, Waiting};

use super::bucket::{Bucket, Creation, Found, Object};
use super::trouble::Trouble;
use crate::key::Key;
use crate::source::{CHUNK_BYTES, Source, Unsendable, blocking};
use crate::words;

pub(super) struct S3Courier {
    bucket: Arc<Bucket>,
}

/// Why an instance is not in the bucket.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is our side.
    Ours(Unsendable),
    /// It is the store's.
    Theirs(Trouble),
    /// Objects are at both keys that could be its own, and are not it.
    Taken,
    /// No number of parts will do.
    TooLarge,
}

/// The file of an instance: in memory where it goes as a whole.
enum Content {
    Held(Bytes),
    File(Arc<File>),
}

impl S3Courier {
    pub(super) fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket }
    }

    async fn carry(&self, instance: &StoredInstance, is_repeated: bool) -> Result<Outcome, Failure> {
        self.bucket.sign_in().await?;
        let key = Key::of(&instance.ids);
        let _claim = self.bucket.claims.claim(key.to_string()).await;
        let is_whole = instance.length <= limits::S3_PART_BYTES;
        let _memory = if is_whole { Some(self.bucket.memory(instance.length).await) } else { None };
        let (content, sha256) = Content::read(instance.clone(), is_whole).await?;
        let object = Object::new(instance.length, sha256, &instance.transfer_syntax.path_component());
        for (file, answer) in [(key.file(), words::STORED), (key.other_file(&sha256), words::STORED_BESIDE)] {
            let path = self.bucket.path(&key, &file);
            let answer = match self.place(&path, &object, &content, is_repeated).await? {
                Found::Nothing => answer,
                Found::Same => words::THERE_ALREADY,
                Found::Other => continue,
            };
            return Ok(Outcome::Delivered { answer: answer.to_owned(), sent: sha256 });
        }
        Err(Failure::Taken)
    }

    /// Writes an object to a key, unless something stands there; what does.
    async fn place(
        &self,
        path: &Path,
        object: &Object,
        content: &Content,
        is_repeated: bool,
    ) -> Result<Found, Failure> {
        let creation = self.bucket.creation();
        // An attempt before this one may have done it; that is cheaper to see than to send it all again.
        if is_repeated || creation != Creation::Safe || matches!(content, Content::File(_)) {
            let found = self.bucket.look(path, object).await?;
            if found != Found::Nothing {
                return Ok(found);
            }
        }
        let is_free = match content {
            Content::File(file) => self.bucket.upload(path, object, file).await.map(|()| true)?,
            Content::Held(bytes) => self.bucket.put(path, object, bytes, creation).await?,
        };
        if is_free {
            return Ok(Found::Nothing);
        }
        match self.bucket.look(path, object).await? {
            Found::Nothing => {
                Err(Trouble::Broken("an object is in the way, and then there is none".to_owned()).into())
            }
            found => Ok(found),
        }
    }
}

impl Courier for S3Courier {
    fn deliver<'a>(&'a mut self, parcel: &'a Parcel, _waiting: &'a dyn Waiting) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let carried = self.carry(&parcel.instance, parcel.attempts > 0).await;
            carried.unwrap_or_else(|failure| failure.outcome(&parcel.instance, &self.bucket.place))
        })
    }

    /// Connections are the bucket's, and close when they are idle.
    fn rest(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Content {
    /// Reads and hashes a file; the SHA-256 of all of it.
    async fn read(instance: StoredInstance, is_whole: bool) -> Result<(Self, [u8; 32]), Failure> {
        let read = blocking(move || {
            let mut source = Source::open(&instance)?;
            if !is_whole {
                let mut chunk = vec![0; CHUNK_BYTES];
                while source.read(&mut chunk)? > 0 {}
                return source.finish().map(|(file, sha256)| (Self::File(Arc::new(file)), sha256));
            }
            let mut content = vec![0; usize::try_from(instance.length).unwrap_or(usize::MAX)];
            for chunk in content.chunks_mut(CHUNK_BYTES) {
                source.read(chunk)?;
            }
            // There must be no more.
            source.read(&mut [0])?;
            source.finish().map(|(_, sha256)| (Self::Held(content.into()), sha256))
        });
        read.await.map_err(Failure::Ours)
    }
}

impl Failure {
    fn outcome(self, instance: &StoredInstance, place: &str) -> Outcome {
        match self {
            Self::Ours(unsendable) => unsendable.outcome(instance),
            Self::Theirs(trouble) => trouble.outcome(place),
            Self::Taken => Outcome::Refused {
                reason: format!("{place} has other objects at both keys that this one could have"),
            },
            Self::TooLarge => {
                Outcome::Refused { reason: format!("{} bytes are too many for S3", instance.length) }
            }
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Theirs(trouble)
    }
}
