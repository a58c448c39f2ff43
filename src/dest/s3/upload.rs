use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use model::limits;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::bucket::{Bucket, Object, kib};
use super::courier::Failure;
use super::trouble::Trouble;
use crate::source::{Unsendable, blocking};

impl Bucket {
    /// Writes a large object in parts, a few at a time; what stood at `path` is gone then, so nothing must have been found there.
    ///
    /// Not cancel safe: dropped, it leaves parts in the bucket.
    pub(super) async fn upload(&self, path: &Path, object: &Object, file: &Arc<File>) -> Result<(), Failure> {
        let options =
            PutMultipartOptions { attributes: object.attributes.clone(), ..PutMultipartOptions::default() };
        let started = self.store.put_multipart_opts(path, options).await;
        let mut upload = started.map_err(|error| Trouble::of(&error))?;
        let sent = match self.send_parts(&mut *upload, object, file).await {
            Ok(()) => upload.complete().await.map(drop).map_err(|error| Trouble::of(&error).into()),
            Err(failure) => Err(failure),
        };
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(place = self.place, trouble = ?Trouble::of(&error), "parts of an object may be left in the bucket");
        }
        sent
    }

    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        object: &Object,
        file: &Arc<File>,
    ) -> Result<(), Failure> {
        let length = object.length;
        let size = part_bytes(length).ok_or(Failure::TooLarge)?;
        let mut under_way = FuturesUnordered::new();
        let mut read = Reading { file: file.clone(), hash: Sha256::new() };
        let mut position = 0;
        while position < length {
            let bytes = size.min(length - position);
            while under_way.len() >= limits::S3_PARTS_AT_ONCE {
                ended(under_way.next().await)?;
            }
            let memory = match self.memory.clone().try_acquire_many_owned(kib(bytes)) {
                Ok(memory) => memory,
                // Whoever waits holds nothing, so all get on.
                Err(_) if under_way.is_empty() => self.memory(bytes).await,
                Err(_) => {
                    ended(under_way.next().await)?;
                    continue;
                }
            };
            let part;
            (part, read) = read.part(position, bytes).await.map_err(Failure::Ours)?;
            under_way.push(upload.put_part(part.into()).map(move |sent| (sent, memory)));
            position += bytes;
        }
        while !under_way.is_empty() {
            ended(under_way.next().await)?;
        }
        if read.hash.finalize() == object.sha256 { Ok(()) } else { Err(Failure::Ours(Unsendable::Changed)) }
    }

    /// Waits for room for so many bytes.
    pub(super) async fn memory(&self, bytes: u64) -> OwnedSemaphorePermit {
        self.memory.clone().acquire_many_owned(kib(bytes)).await.expect("it is never closed")
    }
}

fn ended(part: Option<(object_store::Result<()>, OwnedSemaphorePermit)>) -> Result<(), Failure> {
    match part {
        Some((Err(error), _)) => Err(Trouble::of(&error).into()),
        Some((Ok(()), _)) | None => Ok(()),
    }
}

/// The size of the parts of an object; `None` when no size will do.
fn part_bytes(length: u64) -> Option<u64> {
    let bytes = length.div_ceil(limits::S3_PARTS).max(limits::S3_PART_BYTES);
    (bytes <= limits::S3_MEMORY_BYTES).then_some(bytes)
}

/// A file that is read a second time, part by part in order: it must be what the hash in the object's metadata is of.
struct Reading {
    file: Arc<File>,
    hash: Sha256,
}

impl Reading {
    async fn part(mut self, position: u64, length: u64) -> Result<(Vec<u8>, Self), Unsendable> {
        blocking(move || {
            let mut part = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            self.file.read_exact_at(&mut part, position).map_err(Unsendable::Unreadable)?;
            self.hash.update(&part);
            Ok((part, self))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_the_object() {
        assert_eq!(part_bytes(7 << 20), Some(6 << 20));
        assert_eq!(part_bytes(10_000 * (6 << 20)), Some(6 << 20));
        assert_eq!(part_bytes(10_000 * (6 << 20) + 1), Some((6 << 20) + 1));
        assert_eq!(part_bytes(1 << 50), None);
    }
}
