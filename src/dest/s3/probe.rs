use std::cell::Cell;

use bytes::Bytes;
use http::StatusCode;
use model::limits;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::time::timeout;

use super::bucket::Bucket;
use super::trouble::Trouble;
use crate::probe::Probed;

/// Puts, gets and deletes an object of a new key; which.
///
/// It is put only where nothing is, as far as the store knows how. What was put, or may have been, is deleted whatever became of the
/// others.
pub(super) async fn probe(bucket: &Bucket) -> (String, Vec<Probed>) {
    let path = bucket.probe_path();
    let mut steps = Vec::with_capacity(3);
    let refused = Cell::new(false);
    let putting = async {
        let done = put(bucket, &path).await;
        // Where the store answered that it did not do it, nothing is there.
        refused.set(done.as_ref().is_err_and(|trouble| trouble.status().is_some_and(is_refusal)));
        done
    };
    let put = Probed::of("put", worded(bucket, putting)).await;
    let is_there = put.outcome.is_ok();
    steps.push(put);
    if is_there {
        steps.push(Probed::of("get", worded(bucket, get(bucket, &path))).await);
    }
    if is_there || !refused.get() {
        steps.push(Probed::of("delete", worded(bucket, delete(bucket, &path))).await);
    }
    (path.to_string(), steps)
}

async fn worded(bucket: &Bucket, work: impl Future<Output = Result<(), Trouble>>) -> Result<(), String> {
    let silent = || Trouble::Unreachable("no answer in time".to_owned());
    let done = timeout(limits::S3_ANSWER_TIMEOUT * 2, work).await.unwrap_or_else(|_| Err(silent()));
    done.map_err(|trouble| trouble.reason(&bucket.place))
}

async fn put(bucket: &Bucket, path: &Path) -> Result<(), Trouble> {
    bucket.sign_in().await?;
    let put = async |mode| {
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = bucket.store.put_opts(path, Bytes::from_static(CONTENT).into(), options).await;
        put.map(drop).map_err(|error| Trouble::of(&error))
    };
    match put(PutMode::Create).await {
        // It does not know conditional writes; deliveries go on without them, too.
        Err(trouble) if trouble.status() == Some(StatusCode::NOT_IMPLEMENTED) => {
            put(PutMode::Overwrite).await
        }
        // The key is new: what stands there is of this request, which was sent again because its answer was lost.
        Err(trouble) if trouble.status() == Some(StatusCode::PRECONDITION_FAILED) => Ok(()),
        done => done,
    }
}

/// Whether nothing was done. 409: another write to that key is under way, and there is none but ours.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::CONFLICT
}

async fn get(bucket: &Bucket, path: &Path) -> Result<(), Trouble> {
    let found = bucket.store.get_opts(path, GetOptions::default()).await;
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

async fn delete(bucket: &Bucket, path: &Path) -> Result<(), Trouble> {
    bucket.store.delete(path).await.map_err(|error| Trouble::of(&error))
}

/// Says what it is to whoever finds it.
const CONTENT: &[u8] = b"written by gantry doctor; it may be deleted\n";
