//! Every numeric limit that is not a configuration key, each with its reason.

/// Nesting that the scanner enters; deeper sequences are walked past and left out of the JSON.
pub const DEPTH: usize = 64;

/// Bytes of elements and bookkeeping that one [`Header`](crate::header::Header) may hold. Enhanced multi-frame headers of some thousand
/// frames fit; what does not is left out of the JSON and counted.
pub const HEADER_BYTES: usize = 16 << 20;

/// Binary values longer than this are referred to by BulkDataURI and not copied into the header (PS3.18 §F.2.2).
pub const INLINE_BINARY_BYTES: u32 = 1024;

/// Text values longer than this are referred to by BulkDataURI where the VR allows it, and left out where not.
pub const INLINE_TEXT_BYTES: u32 = 64 << 10;

/// What a deflated data set may inflate to before it is called unreadable.
pub const INFLATED_BYTES: u64 = 1 << 30;

/// File Meta Information (PS3.10 §7.1) larger than this is unreadable.
pub const FILE_META_BYTES: usize = 64 << 10;

/// A command set (PS3.7 §6.3) larger than this aborts the association.
pub const COMMAND_SET_BYTES: usize = 64 << 10;

/// A C-FIND identifier larger than this is refused.
pub const IDENTIFIER_BYTES: usize = 1 << 20;

/// A-ASSOCIATE PDUs larger than this abort the connection: 128 contexts with 64 transfer syntaxes each fit.
pub const ASSOCIATE_PDU_BYTES: u32 = 1 << 20;

/// The largest P-DATA-TF PDU that we send, also to a peer that sets no limit.
pub const SENT_PDU_BYTES: u32 = 131_072;

/// Buffer in which received bytes travel from socket to file. One is being filled while one is being written.
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
