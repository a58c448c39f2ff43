//! An S3 server over a folder, in this process, with the habits that stores have.

use std::net::SocketAddr;
use std::path::Path;

use http::header::IF_NONE_MATCH;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What a store does other than S3.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    /// Takes every write, whatever is there.
    pub(super) ignores_if_none_match: bool,
    /// Does not give metadata back.
    pub(super) forgets_metadata: bool,
    /// Something in front of it lets no HEAD through.
    pub(super) has_no_head: bool,
    /// Answers 501 to conditional writes.
    pub(super) has_no_conditions: bool,
}

pub(super) struct Store {
    pub(super) address: SocketAddr,
    _server: JoinSet<()>,
}

pub(super) const ACCESS_KEY_ID: &str = "AKIATEST";
pub(super) const SECRET_ACCESS_KEY: &str = "secret/of+the=tests";

impl Store {
    pub(super) async fn start(root: &Path, habits: Habits) -> Self {
        let inner = FileSystem::new(root).unwrap();
        let mut builder = S3ServiceBuilder::new(Habitual { inner, habits });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(service.clone(), habits, request));
                    let builder = Builder::new(TokioExecutor::new());
                    // A connection that the client cuts is no matter of the server.
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, _server: server }
    }
}

async fn answer(
    service: S3Service,
    habits: Habits,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    if habits.has_no_head && request.method() == Method::HEAD {
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(refusal);
    }
    if habits.has_no_conditions && request.headers().contains_key(IF_NONE_MATCH) {
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::NOT_IMPLEMENTED;
        return Ok(refusal);
    }
    service.call(request.map(Body::from)).await
}

struct Habitual {
    inner: FileSystem,
    habits: Habits,
}

#[async_trait::async_trait]
impl S3 for Habitual {
    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        if self.habits.ignores_if_none_match {
            request.input.if_none_match = None;
        }
        self.inner.put_object(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut found = self.inner.head_object(request).await?;
        if self.habits.forgets_metadata {
            found.output.metadata = None;
        }
        Ok(found)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.inner.get_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.inner.delete_object(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.inner.create_multipart_upload(request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.inner.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.inner.complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.inner.abort_multipart_upload(request).await
    }
}
