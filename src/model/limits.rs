//! Every numeric limit that is not a configuration key, each with its reason.

use std::time::Duration;

/// Nesting that the scanner enters; deeper sequences are walked past and left out of the JSON.
pub const DEPTH: usize = 64;

/// Bytes of elements and bookkeeping that one [`Header`](crate::header::Header) may hold. Enhanced multi-frame headers of some thousand
/// frames fit; what does not is left out of the JSON and counted.
pub const HEADER_BYTES: usize = 16 << 20;

/// Binary values longer than this are referred to by BulkDataURI and not copied into the header (PS3.18 §F.2.2).
pub const INLINE_BINARY_BYTES: u32 = 1024;

/// Text values longer than this are referred to by BulkDataURI where the VR allows it, and left out where not.
pub const INLINE_TEXT_BYTES: u32 = 64 << 10;

/// The DICOM JSON of one header. Escapes and the paths of bulk data can make it several times as large as what it is written from;
/// attributes behind this are left out.
pub const JSON_BYTES: usize = 32 << 20;

/// Header fields of one part of a multipart body; more makes the body malformed.
pub const PART_HEADER_BYTES: usize = 16 << 10;

/// What a deflated data set may inflate to before it is called unreadable.
pub const INFLATED_BYTES: u64 = 1 << 30;

/// File Meta Information (PS3.10 §7.1) larger than this is unreadable.
pub const FILE_META_BYTES: usize = 64 << 10;

/// A command set (PS3.7 §6.3) larger than this aborts the association.
pub const COMMAND_SET_BYTES: usize = 64 << 10;

/// A pattern with wildcards longer than this is refused: matching takes the product of both lengths.
pub const PATTERN_BYTES: usize = 1024;

/// A C-FIND identifier larger than this is refused.
pub const IDENTIFIER_BYTES: usize = 1 << 20;

/// A-ASSOCIATE PDUs larger than this abort the connection: 128 contexts with 64 transfer syntaxes each fit.
pub const ASSOCIATE_PDU_BYTES: u32 = 1 << 20;

/// The largest P-DATA-TF PDU that we send, also to a peer that sets no limit.
pub const SENT_PDU_BYTES: u32 = 131_072;

/// Buffer in which received bytes travel from socket to file. Small enough to stay in a cache between the two.
pub const SPOOL_CHUNK_BYTES: usize = 256 << 10;

/// Connections that have not yet sent A-ASSOCIATE-RQ; the oldest is closed to admit one more.
pub const UNASSOCIATED_CONNECTIONS: usize = 512;

/// HTTP connections open at once.
pub const HTTP_CONNECTIONS: usize = 512;

/// Rows fetched from the index at a time, so that no read transaction outlives a page.
pub const PAGE_ROWS: u32 = 256;

/// Readers of the index.
pub const READERS: usize = 8;

/// Instances that wait for the index writer before senders feel it.
pub const WRITER_QUEUE: usize = 256;

/// Instances in one transaction.
pub const COMMIT_BATCH: usize = 128;

/// Files written at once; more threads make a disk slower, not faster.
pub const FILE_WRITERS: usize = 16;

/// Fragments of one Pixel Data element that a retrieve will look at.
pub const FRAGMENTS: usize = 4 << 20;

/// The head of an HTTP request.
pub const HTTP_HEAD_BYTES: usize = 128 << 10;

/// How long an HTTP connection may take for the head of its next request, the wait for its first byte included.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an HTTP body may make no progress in either direction before its connection is closed.
pub const HTTP_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a refused HTTP request that are read and thrown away, so that the peer comes to read the answer.
pub const HTTP_DRAINED_BYTES: u64 = 64 << 20;

/// Parts of one STOW-RS request: its response names each of them.
pub const STOW_PARTS: usize = 1 << 18;

/// How long the readiness check waits for a write transaction.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
