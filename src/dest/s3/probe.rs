use bytes::Bytes;
use model::limits;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::time::timeout;

use super::bucket::Bucket;
use super::trouble::Trouble;
use crate::probe::Probed;

/// Puts, gets and deletes an object. What fails ends it, but for the get: what was put is deleted all the same.
pub(super) async fn probe(bucket: &Bucket) -> Vec<Probed> {
    let mut steps = Vec::with_capacity(3);
    let put = Probed::of("put", worded(bucket, put(bucket))).await;
    let is_there = put.outcome.is_ok();
    steps.push(put);
    if is_there {
        steps.push(Probed::of("get", worded(bucket, get(bucket))).await);
        steps.push(Probed::of("delete", worded(bucket, delete(bucket))).await);
    }
    steps
}

async fn worded(bucket: &Bucket, work: impl Future<Output = Result<(), Trouble>>) -> Result<(), String> {
    let silent = || Trouble::Unreachable("no answer in time".to_owned());
    let done = timeout(limits::S3_ANSWER_TIMEOUT * 2, work).await.unwrap_or_else(|_| Err(silent()));
    done.map_err(|trouble| trouble.reason(&bucket.place))
}

async fn put(bucket: &Bucket) -> Result<(), Trouble> {
    bucket.sign_in().await?;
    let options = PutOptions { mode: PutMode::Overwrite, ..PutOptions::default() };
    let content = Bytes::from_static(CONTENT).into();
    let put = bucket.store.put_opts(&bucket.probe_path(), content, options).await;
    put.map(drop).map_err(|error| Trouble::of(&error))
}

async fn get(bucket: &Bucket) -> Result<(), Trouble> {
    let found = bucket.store.get_opts(&bucket.probe_path(), GetOptions::default()).await;
    let found = found.map_err(|error| Trouble::of(&error))?;
    if found.meta.size != CONTENT.len() as u64 {
        return Err(Trouble::Broken("what it gives back is not what was put".to_owned()));
    }
    let content = found.bytes().await.map_err(|error| Trouble::of(&error))?;
    match content == CONTENT {
        true => Ok(()),
        false => Err(Trouble::Broken("what it gives back is not what was put".to_owned())),
    }
}

async fn delete(bucket: &Bucket) -> Result<(), Trouble> {
    bucket.store.delete(&bucket.probe_path()).await.map_err(|error| Trouble::of(&error))
}

/// Says what it is to whoever finds it.
const CONTENT: &[u8] = b"written by gantry doctor; it may be deleted\n";
