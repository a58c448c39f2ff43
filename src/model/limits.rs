//! Every numeric limit that is not a configuration key, each with its reason.

use std::time::Duration;

/// Nesting that the scanner enters; deeper sequences are walked past and left out of the JSON.
pub const DEPTH: usize = 64;

/// Bytes of elements and bookkeeping that one [`Header`](crate::header::Header) may hold. Enhanced multi-frame headers of some thousand
/// frames fit; what does not is left out of the JSON and counted.
pub const HEADER_BYTES: usize = 16 << 20;

/// What a header may hold without being counted against [`HEADERS_BYTES`]; those of ordinary images take some kilobytes.
pub const SMALL_HEADER_BYTES: usize = 512 << 10;

/// What all larger headers in the process, and the JSON that is made of them, may hold at once; one more instance is told to come
/// again.
pub const HEADERS_BYTES: usize = 256 << 20;

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

/// Items of one sequence that the index keeps for matching. Requests and codes of one study or series are fewer.
pub const INDEXED_ITEMS: usize = 32;

/// Patterns and ranges that one key of a query may give to choose from: each is compared with every row looked at. Values without
/// wildcards, such as UIDs, are not counted.
pub const KEY_ALTERNATIVES: usize = 64;

/// Words of a name that are asked for by their sound: each is looked up for itself. Names of five components have fewer.
pub const FUZZY_WORDS: usize = 16;

/// The patterns and ranges of all keys of a query together, and the words that they ask for by sound.
pub const QUERY_ALTERNATIVES: usize = 256;

/// What one C-FIND response may have from a stored object, as DICOM JSON: attributes beyond that come with zero length. A peer that
/// does not read holds a page of about twice as much.
pub const STORED_ROW_BYTES: usize = 1 << 20;

/// A C-FIND identifier larger than this, or inflating to more, is refused.
pub const IDENTIFIER_BYTES: usize = 1 << 20;

/// Keys of a C-FIND identifier, those in items included: more than this is refused. PS3.6 has five thousand attributes.
pub const IDENTIFIER_KEYS: usize = 5_000;

/// What a peer asks to be committed to, or tells of, larger than this is refused: with UIDs of 64 characters,
/// [`COMMITMENT_REFERENCES`] take less.
pub const COMMITMENT_BYTES: usize = 4 << 20;

/// Instances of one Storage Commitment request or report (PS3.4 §J.3); a study of a few thousand is a large one.
pub const COMMITMENT_REFERENCES: usize = 20_000;

/// How long an association that storage commitment was asked on must be quiet before its report goes over it: a peer that means to
/// release it after the request does so at once.
pub const REPORT_DELAY: Duration = Duration::from_millis(200);

/// How long a report waits for an association to be quiet: after that it goes over another, or behind the next answer where none can be had.
pub const REPORT_DELAY_MOST: Duration = Duration::from_secs(5);

/// Data sets above 256 KiB that are read into memory at once, such as large requests for storage commitment: with what is made of it
/// each may take [`COMMITMENT_BYTES`] and a [`Header`](crate::header::Header).
pub const LARGE_DATA_SETS: usize = 8;

/// Deliveries that a destination is asked to commit to at once: peers have limits of their own.
pub const COMMITMENT_BATCH: u32 = 1000;

/// How long what a destination has taken waits for others, to be asked about together.
pub const COMMITMENT_GATHERED: Duration = Duration::from_secs(2);

/// How long an association on which a destination was asked to commit stays open for its report, which else comes over another.
pub const REPORT_PATIENCE: Duration = Duration::from_secs(30);

/// Storage Commitment reports that may wait at once, half of them for one AE; one more request is told to come again.
pub const COMMITMENTS_WAITING: u64 = 10_000;

/// How long a Storage Commitment request is kept after its report was sent or given up: so long its Transaction UID is known again.
pub const COMMITMENT_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Reports that are taken up at once, to be sent over associations of our own.
pub const REPORTS_DUE: u32 = 1000;

/// Matches that are still read after our C-CANCEL: a peer that goes on after so many is not listening, and is left.
pub const MATCHES_AFTER_CANCEL: u32 = 10_000;

/// How long a peer may keep silent while it carries out a C-MOVE or C-GET: it may send no Pending responses, and fetch what is asked
/// for from afar.
pub const RETRIEVE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How many times as long as it may keep silent a peer may say of a C-MOVE or C-GET that it is pending, while nothing new comes and its
/// counters stay as they are: it may fetch from afar what it is asked for.
pub const RETRIEVE_STANDSTILL: u32 = 10;

/// How long a peer has to end an operation that we have cancelled (C-CANCEL), before its association is aborted.
pub const CANCEL_PATIENCE: Duration = Duration::from_secs(3);

/// Archives that a question may come through before us and still be put to our upstream archives: those that ask each other would else
/// ask for ever.
pub const UPSTREAM_HOPS: u8 = 3;

/// An identifier of an upstream archive's answer; a longer one counts as unreadable. Some hundred of them wait for their turn.
pub const UPSTREAM_ROW_BYTES: u64 = 64 << 10;

/// Rows of upstream archives that wait to be given on, for one query.
pub const UPSTREAM_ROWS_WAITING: usize = 64;

/// Rows that all upstream archives together give to one C-FIND; 16 bytes each, of patients 32, tell which have been given.
pub const UPSTREAM_ROWS: usize = 100_000;

/// Rows that all upstream archives together give to one search by HTTP: they are held until its client has read them.
pub const UPSTREAM_ROWS_HELD: usize = 2_000;

/// Bytes of these.
pub const UPSTREAM_HELD_BYTES: usize = 4 << 20;

/// Studies, series or instances that one retrieve has looked for at upstream archives; for one that names more they are not asked.
pub const UPSTREAM_PIECES: usize = 1_000;

/// UIDs that one question to an upstream archive, or one retrieve from it, names together: some look each up by itself.
pub const UPSTREAM_BATCH: usize = 100;

/// Rows that are read of what an upstream archive has of one study, or of one patient.
pub const UPSTREAM_LISTED: usize = 1 << 16;

/// How long an upstream archive that did not answer is left alone by those who can do without it.
pub const UPSTREAM_PAUSE: Duration = Duration::from_secs(10);

/// A-ASSOCIATE PDUs larger than this abort the connection. Every connection may make us hold one. 128 contexts that each offer all 58
/// registered transfer syntaxes, 26 bytes each, and a SOP class of 64 take 232,448 bytes; the rest is for roles and a user identity.
pub const ASSOCIATE_PDU_BYTES: u32 = 256 << 10;

/// More transfer syntaxes in one presentation context make an A-ASSOCIATE-RQ malformed: over twice as many as are registered, and too
/// few for a request made of the shortest ones to keep a thread busy.
pub const TRANSFER_SYNTAXES: usize = 128;

/// Bytes per second that a message must bring on average over each `message_timeout`: half of what a slow line to a remote site does.
/// A peer that sends less holds an association that others could use.
pub const MESSAGE_BYTES_PER_SECOND: u32 = 4 << 10;

/// What suffices within the first `message_timeout` of a message, where the rate asks for more: lines and peers may start slowly.
pub const MESSAGE_FIRST_BYTES: usize = 16 << 10;

/// Operations that a requestor may have under way on one association, where it asks for several: we take them one after the other, and
/// what has been sent ahead waits in the socket. So a long line is kept busy, and the few responses never fill the way back.
pub const OPERATIONS_WINDOW: u16 = 16;

/// The largest P-DATA-TF PDU that we send, also to a peer that sets no limit.
pub const SENT_PDU_BYTES: u32 = 131_072;

/// Buffer in which received bytes travel from socket to file. Small enough to stay in a cache between the two.
pub const SPOOL_CHUNK_BYTES: usize = 256 << 10;

/// Connections without an association: A-ASSOCIATE-RQ has not come, or the association is over and the peer has yet to close. The one
/// that has been so for longest is closed to admit one more.
pub const UNASSOCIATED_CONNECTIONS: usize = 512;

/// HTTP connections open at once.
pub const HTTP_CONNECTIONS: usize = 512;

/// HTTP requests in progress, those for health and metrics not counted: the connections beyond are left for these, and for requests
/// that wait for their turn.
pub const HTTP_REQUESTS: usize = 480;

/// Rows fetched from the index at a time, so that no read transaction outlives a page.
pub const PAGE_ROWS: u32 = 256;

/// Series that one C-MOVE or C-GET may take in, or instances that it may name: their keys are held until it ends, 8 bytes each.
pub const SELECTED_KEYS: usize = 1 << 18;

/// How long a C-MOVE or C-GET goes without telling how far it is; its first instance is told at once.
pub const PENDING_INTERVAL: Duration = Duration::from_secs(1);

/// The UIDs of instances that could not be sent, as one value of the final response: more do not fit into Explicit VR (PS3.5 §7.1.2).
/// Those behind are only counted.
pub const FAILED_UIDS_BYTES: usize = 65_534;

/// Files up to this size are read as a whole before a C-GET begins to send them, larger ones while they are sent.
pub const CHECKED_AHEAD_BYTES: u64 = 64 << 20;

/// Different reasons of failed sub-operations that one retrieve remembers, to log each once.
pub const FAILURE_REASONS: usize = 16;

/// Transfer syntaxes that are remembered of the instances of one SOP class, so that presentation contexts fit them.
pub const KINDS_OF_A_CLASS: usize = 64;

/// Pairs of a SOP class and a transfer syntax that are remembered so in all.
pub const STORED_KINDS: usize = 4096;

/// How long one read of the index may take, a page of a query or the counting of a retrieve: it keeps a reader from others and the
/// write-ahead log from being emptied. To look through ten million studies for what no index has takes some 20 s.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Readers of the index.
pub const READERS: usize = 8;

/// Instances that wait for the index writer before senders feel it.
pub const WRITER_QUEUE: usize = 256;

/// Instances in one transaction.
pub const COMMIT_BATCH: usize = 128;

/// Files written at once; more threads make a disk slower, not faster.
pub const FILE_WRITERS: usize = 16;

/// Fragments of one Pixel Data element that a retrieve will look at.
pub const FRAGMENTS: usize = 1 << 20;

/// Samples of the largest frame that is decoded: 8192 by 8192 pixels of one, or a mammogram several times over. Codecs take some 16
/// bytes for each.
pub const FRAME_SAMPLES: usize = 1 << 26;

/// The longest that anybody waits for one frame to be decoded and encoded: several times what the largest takes.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Objects that are transcoded at once: with more, receiving would wait for a processor, and each may take a few times
/// [`FRAME_SAMPLES`] in memory.
pub const TRANSCODED_AT_ONCE: usize = 2;

/// The longest that anybody waits for a turn to transcode, while those before it go on.
pub const TURN_TIMEOUT: Duration = Duration::from_secs(600);

/// Fragments that are looked at one by one for where frames begin, where no table says it: two reads each.
pub const MARKED_FRAGMENTS: usize = 1 << 14;

/// Frames of a deflated object that are sent at a time: each is a pass over the object.
pub const DEFLATED_FRAMES: usize = 16;

/// Parts that one rendition of bulk data is split into, one for each frame; with more it is one part, as stored.
pub const PARTS: u64 = 1 << 16;

/// The head of an HTTP request.
pub const HTTP_HEAD_BYTES: usize = 128 << 10;

/// How long an HTTP connection may take for the head of its next request, the wait for its first byte included.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long we wait in all for what an HTTP body, in either direction, must bring in that time, before its connection is closed.
pub const HTTP_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes per second that an HTTP body must move on average over each [`HTTP_STALL_TIMEOUT`] of waiting: half of what a slow line to a
/// remote site does.
pub const HTTP_BODY_BYTES_PER_SECOND: usize = 4 << 10;

/// What suffices within the first [`HTTP_STALL_TIMEOUT`] of an HTTP body: lines and peers may start slowly.
pub const HTTP_BODY_FIRST_BYTES: usize = 16 << 10;

/// How long an HTTP request waits for its turn when [`HTTP_REQUESTS`] are in progress.
pub const HTTP_TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// A page of a JSON answer is handed to its connection in pieces of this size.
pub const HTTP_PIECE_BYTES: usize = 64 << 10;

/// What all pages of JSON answers that are longer than a piece may take while their peers read them. The page that has been left alone
/// for longest is dropped to keep one more, and made again when its peer comes back for it.
pub const HTTP_PAGES_BYTES: usize = 128 << 20;

/// Pages of stored JSON made at once. One may take [`JSON_BYTES`] twice while it is made.
pub const HTTP_PAGES_MADE: usize = 3;

/// Bytes of a refused HTTP request that are read and thrown away, so that the peer comes to read the answer.
pub const HTTP_DRAINED_BYTES: u64 = 64 << 20;

/// Parts of one STOW-RS request that are taken: its response, which is made in memory, names each of them. Those behind are only
/// counted.
pub const STOW_PARTS: usize = 20_000;

/// The response to a STOW-RS request; once it is as long, further parts are not taken. UIDs that are far too long are kept as well.
pub const STOW_ANSWER_BYTES: usize = 16 << 20;

/// How long the readiness check waits for a write transaction.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Rule files that a configuration may name: some hundred rules are many, and each is read at every reload.
pub const RULE_FILES: usize = 1_000;

/// Bytes of one rule file.
pub const RULE_FILE_BYTES: usize = 1 << 20;

/// More rules are refused: every one of them is asked about every instance.
pub const RULES: usize = 4096;

/// Characters of a rule's name, which has to fit a line of a log.
pub const RULE_NAME_CHARS: usize = 100;

/// Deliveries that a lane holds at least, claimed and not settled, if there are so many: enough to keep its couriers busy while the index
/// commits the next ones, few enough to be done again after a crash.
pub const LANE_WINDOW: usize = 64;

/// Deliveries that a lane holds at most, however wide it is: what a crash leaves leased, and what one transaction settles.
pub const LANE_WINDOW_MAX: usize = 256;

/// How long a claimed delivery is its lane's alone; longer than any delay of the index.
pub const LEASE: Duration = Duration::from_secs(300);

/// A lease that is so old is renewed, which leaves two more chances to do so before it ends.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(100);

/// How often a lane looks into the index unasked: for what another process made ready, and for what is due.
pub const LANE_TICK: Duration = Duration::from_secs(1);

/// How long the outcome of a delivery may wait for others, to be committed together.
pub const SETTLE_DELAY: Duration = Duration::from_millis(20);

/// The least time between two transactions of a lane that has work: with more of them, senders and other lanes would wait.
pub const LANE_PAUSE: Duration = Duration::from_millis(5);

/// How long a peer is taken at its word that it does not take something, where it takes that in another form; then it is asked again.
pub const REFUSAL_REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What is remembered of one peer: SOP classes in transfer syntaxes, of which what was learned first makes way. Eight times as many as
/// one association can have.
pub const CONTEXTS_REMEMBERED: usize = 1024;

/// Callers that are remembered though the configuration does not know them.
pub const STRANGERS: u32 = 1000;

/// Characters that are kept of what a peer calls its software; the standard has 16 for a name, and 64 for a UID (PS3.7 Table D.3-3).
pub const PEER_TEXT_CHARS: usize = 64;

/// So many deliveries failed in a row, each for the first time and for now only, and their destination is left alone.
pub const FAILURES_IN_A_ROW: usize = 5;

/// The longest that a destination is left alone before the next probe, jitter aside.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// How long after its start a lane gives nothing up for its age, unless what it is told to wait before that is less.
pub const GRACE: Duration = Duration::from_secs(15 * 60);

/// The longest that a destination can ask not to be sent an instance.
pub const RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The reason of a failed delivery as it is kept and logged.
pub const REASON_CHARS: usize = 500;

/// Kinds of instances that a lane remembers to have met, for what a courier prepares for.
pub const KINDS_MET: usize = 32;

/// The text of one expression of a rule; a longer one is refused.
pub const EXPRESSION_BYTES: usize = 64 << 10;

/// Parentheses, lists, calls and `!` inside each other in an expression: each takes some of the stack.
pub const EXPRESSION_DEPTH: usize = 64;

/// What is said to be wrong with one expression; the rest of it shows once these are gone.
pub const EXPRESSION_FLAWS: usize = 32;

/// A regular expression of a rule takes no more once compiled.
pub const REGEX_BYTES: usize = 10 << 20;

/// What each thread keeps to evaluate a regular expression of a rule.
pub const REGEX_CACHE_BYTES: usize = 1 << 20;

/// Steps that one rule may take inside of `any` and `all` for one instance, of some ten nanoseconds each: a peer can send a hundred
/// thousand items in sequences, and a rule with one `any` in another would compare all with all. It then counts as not matching.
pub const RULE_STEPS: usize = 1_000_000;

/// Steps that all rules together may take so for one instance: it waits for its rules while others wait for its place.
pub const ROUTING_STEPS: usize = 10 * RULE_STEPS;

/// Items of a sequence that rules keep decoded; those behind are decoded again by each rule that comes to them.
pub const DECODED_ITEMS: usize = 256;

/// A folder that is written to may take so long for an instance, and [`FOLDER_BYTES_PER_SECOND`] on top, before it is given up: a
/// network drive that has gone blocks whoever asks it for good.
pub const FOLDER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes per second that a folder is trusted to take at least: a tenth of what an old disk does.
pub const FOLDER_BYTES_PER_SECOND: u64 = 4 << 20;

/// Larger objects go to S3 in parts of this size: S3 wants 5 MiB or more, and what is sent is held in memory.
pub const S3_PART_BYTES: u64 = 6 << 20;

/// Parts of one object, as S3 has it. What is larger than so many of [`S3_PART_BYTES`] goes in larger parts.
pub const S3_PARTS: u64 = 10_000;

/// Parts of one object on their way at once: on a long line, one at a time leaves it idle.
pub const S3_PARTS_AT_ONCE: usize = 4;

/// What the objects and parts on their way to one S3 destination may take in memory; also the largest part.
pub const S3_MEMORY_BYTES: u64 = 64 << 20;

/// How long S3 may take to answer, beyond the time for what it is sent and sends.
pub const S3_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes per second that one request to S3 must move on average: with [`S3_MEMORY_BYTES`] in as many objects as it holds, a line of
/// 3 Mbit/s suffices.
pub const S3_BYTES_PER_SECOND: u64 = 32 << 10;

/// An answer of S3 that is no object; longer ones are not read to their end.
pub const S3_ANSWER_BYTES: usize = 256 << 10;

/// How long an S3 store that asks to be left alone is, unless it says how long.
pub const S3_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that an S3 store may ask for.
pub const S3_LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Deliveries that die of their age in one turn of a lane: nobody is in a hurry for that, and senders wait for the index meanwhile.
pub const GIVEN_UP: u32 = 256;

/// Deliveries that are tried at once because their destination is back: several windows of its lane. Those beyond keep their time.
pub const HASTENED: u32 = 1024;

/// Rows that a command beside the server changes in one transaction: the server's own transactions wait for it.
pub const DESK_BATCH: u32 = 1000;

/// Instances that one trace tells of, each with all its deliveries.
pub const TRACED: usize = 1000;

/// Dead letters that are listed at once.
pub const DEAD_LETTERS: u32 = 1000;
