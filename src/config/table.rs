//! The table of keys. Parsing, help and `deploy/reference.toml` are made from it.

use std::time::Duration;

use super::keys::{Key, Kind, Section};

/// A duration of at least 10 ms.
const fn up_to(most_s: u64) -> Kind {
    Kind::Span { least: Duration::from_millis(10), most: Duration::from_secs(most_s) }
}

const DAY: u64 = 86_400;

/// A key whose example is its default.
const fn key(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    explanation: &'static str,
) -> Key {
    Key { section, name, kind, default: Some(default), example: default, explanation }
}

// `message_timeout` says it in words.
const _: () = assert!(model::limits::MESSAGE_BYTES_PER_SECOND == 4096);

/// Every key there is.
pub(super) const KEYS: &[Key] = &[
    key(
        Section::Root,
        "ae_title",
        Kind::AeTitle,
        r#""GANTRY""#,
        "Our application entity title: 1 to 16 ASCII characters, no backslash.",
    ),
    key(
        Section::Root,
        "data_dir",
        Kind::Folder,
        r#""gantry-data""#,
        "Folder of instances and index; made when absent. A relative path is relative to this file, and without a file to the \
         working directory. One server at a time may use it.",
    ),
    key(
        Section::Dimse,
        "listen",
        Kind::Listen,
        r#""127.0.0.1:11112""#,
        "IP address and port for associations; 0.0.0.0 is every IPv4 address of the machine, [::] every address. Port 0 takes a \
         free one, which the start log names.",
    ),
    key(
        Section::Dimse,
        "accept",
        Kind::Accept,
        r#""any""#,
        "Who may open an association. any: everybody who reaches the port. known: a [peer] with that calling AE title (compared \
         with case, outer spaces aside), from its host or from its `from` networks. Without this key: any while \
         we listen on loopback only, known otherwise; so delete this line when you listen elsewhere.",
    ),
    key(
        Section::Dimse,
        "check_called_ae",
        Kind::Flag,
        "false",
        "true: refuse associations that call another AE title than ours, `aliases` included.",
    ),
    Key {
        section: Section::Dimse,
        name: "aliases",
        kind: Kind::AeTitles,
        default: Some("[]"),
        example: r#"["OLD_PACS"]"#,
        explanation: "Other AE titles that we answer to when `check_called_ae` is true.",
    },
    key(
        Section::Dimse,
        "max_pdu_bytes",
        Kind::Number { least: 4_096, most: 1_048_576 },
        "131072",
        "Largest PDU that we say we take, in bytes (4096 to 1048576).",
    ),
    key(
        Section::Dimse,
        "max_associations",
        Kind::Number { least: 1, most: 10_000 },
        "100",
        "Associations open at once (1 to 10000); one more is refused for the time being. Connections that have not asked for an \
         association yet are limited separately, to 512.",
    ),
    key(
        Section::Dimse,
        "artim_timeout",
        up_to(DAY),
        r#""10s""#,
        "How long a connection may take for its TLS handshake, then wait for its A-ASSOCIATE-RQ, and at its end for being closed.",
    ),
    key(
        Section::Dimse,
        "idle_timeout",
        up_to(DAY),
        r#""60s""#,
        "How long an association may stay without a message before we abort it.",
    ),
    key(
        Section::Dimse,
        "message_timeout",
        up_to(DAY),
        r#""60s""#,
        "How long a message that has begun may stand still, either way, and how long a response is waited for. Standing still is \
         also what brings less than 4096 bytes per second on average over that time.",
    ),
    key(
        Section::Dimse,
        "connect_timeout",
        up_to(DAY),
        r#""10s""#,
        "How long connecting to a peer may take, its TLS handshake included.",
    ),
    key(
        Section::DimseTls,
        "listen",
        Kind::MaybeListen,
        r#""""#,
        "IP address and port for associations by TLS, beside the one without; \"0.0.0.0:2762\" is usual. Empty: there is none.",
    ),
    Key {
        section: Section::DimseTls,
        name: "certificate",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/gantry.pem""#,
        explanation: "File with our certificate in PEM, and behind it those between it and its CA; relative to this file. Callers see \
                      it, and the peers that we call by TLS if they ask for one. SIGHUP and `gantry reload` read it again, and all \
                      other certificates and keys.",
    },
    Key {
        section: Section::DimseTls,
        name: "key",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/gantry.key""#,
        explanation: "File with its private key in PEM, without a password. Nobody but the server's user should be able to read it.",
    },
    Key {
        section: Section::DimseTls,
        name: "ca",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/ca.pem""#,
        explanation: "File with the certificates of the CAs that certify callers and peers, in PEM. The system's own are not used.",
    },
    key(
        Section::DimseTls,
        "client_auth",
        Kind::ClientAuth,
        r#""required""#,
        "Whether callers must present a certificate that a CA of `ca` has issued, or whose fingerprint stands in a [peer]. \
         required: without one there is no association. optional: only who presents one must present such a one. none: they are \
         not asked.",
    ),
    key(
        Section::Dimse,
        "report_retry",
        Kind::Retry,
        r#"{ first = "10s", factor = 2.0, max = "15m", give_up = "72h" }"#,
        "When a storage commitment report that could not be sent is tried again, in the form of a destination's `retry`, counted \
         from the request. Reports go over the association that they were asked on, or else to the [peer] of that AE title.",
    ),
    key(
        Section::Dimse,
        "move_associations",
        Kind::Number { least: 1, most: 64 },
        "2",
        "Associations that one C-MOVE opens with its destination at once, at most (1 to 64). A destination that takes fewer gets as \
         many as it takes.",
    ),
    key(
        Section::Web,
        "listen",
        Kind::Listen,
        r#""127.0.0.1:8080""#,
        "IP address and port for HTTP: DICOMweb under /dicom-web, the status page at /, and /livez, /readyz, /metrics.",
    ),
    key(
        Section::Web,
        "open",
        Kind::Flag,
        "false",
        "HTTP has no access control: whoever reaches it reads and writes every image. Anything but a loopback address is \
         therefore refused unless this says true.",
    ),
    key(
        Section::Web,
        "cors_origins",
        Kind::Origins,
        "[]",
        r#"Web origins whose pages may call DICOMweb from a browser, such as "https://viewer.example"; "*" is every origin."#,
    ),
    key(
        Section::Web,
        "public_url",
        Kind::Url,
        r#""""#,
        "The URL under which clients reach this server, for URLs in answers, such as \"https://pacs.example\". Empty: those URLs \
         are relative.",
    ),
    key(
        Section::Storage,
        "min_free_bytes",
        Kind::Number { least: 0, most: i64::MAX as u64 },
        "1073741824",
        "Bytes that stay free on the disk of data_dir: below, instances are refused (A700H, 503) and nothing is written.",
    ),
    Key {
        section: Section::Rules,
        name: "files",
        kind: Kind::Patterns,
        default: Some("[]"),
        example: r#"["rules/*.toml"]"#,
        explanation: "Files with the rules that say which instance goes to which destination, relative to this file; * and ? stand \
                      for parts of a file's name, not of a folder's. All files together are read in byte order of their paths, and \
                      a pattern without a file is a fault. SIGHUP and `gantry reload` read them again. Without files everything is \
                      kept and nothing is routed.",
    },
    Key {
        section: Section::Peer,
        name: "ae_title",
        kind: Kind::AeTitle,
        default: None,
        example: r#""PACS""#,
        explanation: "The peer's AE title. Needed. Several peers may have the same one: a caller is told from the others by its address, \
                      and a C-MOVE to that title goes to the first of them in this file.",
    },
    Key {
        section: Section::Peer,
        name: "address",
        kind: Kind::Address,
        default: None,
        example: r#""127.0.0.1:4242""#,
        explanation: "Host (a name or an IP address) and port where it listens. Needed.",
    },
    key(
        Section::Peer,
        "from",
        Kind::Networks,
        "[]",
        r#"Networks that it may call from besides its own address, such as "10.1.0.0/16"."#,
    ),
    Key {
        section: Section::Peer,
        name: "certificate",
        kind: Kind::Certificates,
        default: Some("[]"),
        example: r#"["dns:pacs.example"]"#,
        explanation: "What its certificate is: who calls under its AE title, and who answers where it is called by TLS, must have one \
                      of these, or is refused. dns:, ip: and uri: are subject alternative names, cn: is a common name, subject: a \
                      whole subject, each of a certificate that a CA has issued. sha256: is the fingerprint of a certificate that \
                      is trusted as it is, self-signed or not. Without it no certificate is bound to the AE title.",
    },
    Key {
        section: Section::Peer,
        name: "tls",
        kind: Kind::PeerTls,
        default: Some("false"),
        example: r#"{ ca = "tls/pacs-ca.pem", server_name = "pacs.example" }"#,
        explanation: "Whether we call it by TLS: true, false, or true with `ca` (file with the CAs that certify it, in place of those in \
                      [dimse.tls]), `certificate` and `key` (files with ours for it, in place of those), and `server_name` (what its \
                      certificate must be for, in place of the host in `address`).",
    },
    Key {
        section: Section::Peer,
        name: "identity",
        kind: Kind::Identity,
        default: Some("{}"),
        example: r#"{ user = "ct1", password = { env = "CT1_PASSWORD" } }"#,
        explanation: "The user identity that it must present when it calls (PS3.7 §D.3.3.7): `user`, with `password` where one is asked \
                      for; or a JSON Web Token, signed by a public key in the file `jwt_key` (PEM: RSA, P-256, P-384 or Ed25519), with \
                      this `issuer`, `audience` and `subject` where they are given. {}: none is asked for. The key file is read again as \
                      certificates are, `password` when the server starts.",
    },
    Key {
        section: Section::Peer,
        name: "our_identity",
        kind: Kind::OurIdentity,
        default: Some("{}"),
        example: r#"{ user = "gantry", password = { env = "PACS_PASSWORD" } }"#,
        explanation: "The user identity that we present when we call it: `user`, with `password` if it has one; or `jwt`, the place of a \
                      JSON Web Token. Both are read for each association. With `response` = true there is no association \
                      unless it says that it looked at it.",
    },
    Key {
        section: Section::Peer,
        name: "sop_classes",
        kind: Kind::SopClasses,
        default: Some("[]"),
        example: r#"["storage", "StudyRootQueryRetrieveInformationModelFind"]"#,
        explanation: "What it may use when it calls: \"storage\" is all of storage; others by their keyword in PS3.6 or their UID. \
                      Verification always. []: all that we provide.",
    },
    Key {
        section: Section::Peer,
        name: "transfer_syntaxes",
        kind: Kind::TransferSyntaxes,
        default: Some("[]"),
        example: r#"["Explicit VR Little Endian", "Implicit VR Little Endian"]"#,
        explanation: "The transfer syntaxes that instances are taken from it in, by name or UID: of those that it offers, the first one \
                      in this list. []: all, as it prefers.",
    },
    key(
        Section::Peer,
        "max_associations",
        Kind::Number { least: 0, most: 10_000 },
        "0",
        "Associations that it may have open with us at once (1 to 10000), beside `max_associations` of all. 0: no limit of its own.",
    ),
    key(
        Section::Peer,
        "max_pdu_bytes",
        Kind::PduBytes,
        "0",
        "Largest PDU in associations with it, either way (4096 to 1048576), for peers that cannot take what they say. 0: as [dimse] has \
         it.",
    ),
    key(
        Section::Peer,
        "operations",
        Kind::Number { least: 0, most: model::limits::OPERATIONS_WINDOW as u64 },
        "0",
        "Asynchronous operations on an association with it (1 to 16): so many it may send ahead of our answers where it asks for that, and \
         so many instances of a C-MOVE go ahead of its answers where it grants them. 0: it may send 16, and gets one after the other.",
    ),
    key(Section::Identity, "user", Kind::Words, r#""""#, "The user's name."),
    Key {
        section: Section::Identity,
        name: "password",
        kind: Kind::Secret,
        default: Some("{}"),
        example: r#"{ env = "CT1_PASSWORD" }"#,
        explanation: "Where the user's passcode is.",
    },
    key(Section::Identity, "jwt_key", Kind::File, r#""""#, "The public keys of tokens."),
    key(Section::Identity, "issuer", Kind::Words, r#""""#, "Their `iss`."),
    key(Section::Identity, "audience", Kind::Words, r#""""#, "One of their `aud`."),
    key(Section::Identity, "subject", Kind::Words, r#""""#, "Their `sub`."),
    key(Section::OurIdentity, "user", Kind::Words, r#""""#, "The name that we have there."),
    Key {
        section: Section::OurIdentity,
        name: "password",
        kind: Kind::Secret,
        default: Some("{}"),
        example: r#"{ env = "PACS_PASSWORD" }"#,
        explanation: "Where our passcode there is.",
    },
    Key {
        section: Section::OurIdentity,
        name: "jwt",
        kind: Kind::Secret,
        default: Some("{}"),
        example: r#"{ file = "token" }"#,
        explanation: "Where our token for it is.",
    },
    key(Section::OurIdentity, "response", Kind::Flag, "false", "Whether it must answer to it."),
    Key {
        section: Section::PeerTls,
        name: "ca",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/pacs-ca.pem""#,
        explanation: "The CAs that certify it.",
    },
    Key {
        section: Section::PeerTls,
        name: "certificate",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/for-pacs.pem""#,
        explanation: "Our certificate for it.",
    },
    Key {
        section: Section::PeerTls,
        name: "key",
        kind: Kind::File,
        default: Some(r#""""#),
        example: r#""tls/for-pacs.key""#,
        explanation: "The key of that.",
    },
    Key {
        section: Section::PeerTls,
        name: "server_name",
        kind: Kind::ServerName,
        default: Some(r#""""#),
        example: r#""pacs.example""#,
        explanation: "What its certificate must be for.",
    },
    Key {
        section: Section::Destination,
        name: "kind",
        kind: Kind::Destination,
        default: None,
        example: r#""folder""#,
        explanation: "What it is: dicom, s3 or folder. Needed.",
    },
    key(
        Section::Destination,
        "retry",
        Kind::Retry,
        r#"{ first = "10s", factor = 2.0, max = "15m", give_up = "72h" }"#,
        "When a delivery that failed is tried again: `first` after the first failure (10 ms to 24 h), then each time `factor` (1 to \
         100) as long, at most `max` (10 ms to 24 h), each up to a fifth more or less. What has not gone out `give_up` after it was \
         queued (10 ms to 8784 h) becomes a dead letter, kept until `gantry queue retry --dead`; but nothing does in the first 15 \
         minutes after a start, or `give_up` where that is less: nobody has tried while the server was off. Parts left out have \
         the values shown.",
    ),
    Key {
        section: Section::Dicom,
        name: "peer",
        kind: Kind::Peer,
        default: None,
        example: r#""pacs""#,
        explanation: "The [peer.NAME] that instances are sent to by C-STORE, their bytes as they are. Needed.",
    },
    key(
        Section::Dicom,
        "associations",
        Kind::Number { least: 1, most: 64 },
        "2",
        "Associations open with it at once, at most (1 to 64).",
    ),
    key(
        Section::Dicom,
        "verify",
        Kind::Verify,
        r#""status""#,
        "When an instance counts as delivered. status: when the peer has answered its C-STORE with success. commitment: when it has \
         also committed to its storage, for which it is asked (Storage Commitment Push Model); its report may come over an \
         association that it opens with us, for which it must be let in. What it does not commit to is sent again or given up.",
    ),
    key(
        Section::Dicom,
        "commitment_timeout",
        up_to(29 * DAY),
        r#""1h""#,
        "With verify = \"commitment\": how long its report is waited for before it is asked again (10 ms to 696 h); not longer than \
         `give_up`.",
    ),
    key(
        Section::S3,
        "endpoint",
        Kind::Endpoint,
        r#""""#,
        "The URL of the service, such as \"http://127.0.0.1:8333\". Empty: AWS in the region below. Buckets are addressed by path.",
    ),
    Key {
        section: Section::S3,
        name: "bucket",
        kind: Kind::Bucket,
        default: None,
        example: r#""imaging""#,
        explanation: "The bucket, which must exist. Needed.",
    },
    key(
        Section::S3,
        "prefix",
        Kind::Prefix,
        r#""""#,
        "What keys begin with, such as \"site-1/\": {prefix}v1/{hh}/{study}/{series}/{instance}.dcm, where hh are two digits of the \
         study's SHA-256.",
    ),
    key(Section::S3, "region", Kind::Region, r#""us-east-1""#, "The region that requests are signed for."),
    Key {
        section: Section::S3,
        name: "access_key_id",
        kind: Kind::Secret,
        default: Some("{}"),
        example: r#"{ env = "AWS_ACCESS_KEY_ID" }"#,
        explanation: "Where the access key is: { env = \"NAME\" } or { file = \"path\" }, the path relative to this file. Read when the \
                      server starts. Without both keys requests are not signed.",
    },
    Key {
        section: Section::S3,
        name: "secret_access_key",
        kind: Kind::Secret,
        default: Some("{}"),
        example: r#"{ env = "AWS_SECRET_ACCESS_KEY" }"#,
        explanation: "Where the secret that belongs to it is.",
    },
    key(
        Section::S3,
        "parallel",
        Kind::Number { least: 1, most: 64 },
        "8",
        "Objects uploaded at once, at most (1 to 64).",
    ),
    Key {
        section: Section::Folder,
        name: "path",
        kind: Kind::Folder,
        default: None,
        example: r#""copies""#,
        explanation: "The folder, relative to this file; made when absent. Files in it are {study}/{series}/{instance}.dcm. Needed.",
    },
    key(
        Section::Folder,
        "parallel",
        Kind::Number { least: 1, most: 64 },
        "4",
        "Files written at once, at most (1 to 64).",
    ),
    key(Section::Retry, "first", up_to(DAY), r#""10s""#, "After the first failure."),
    key(
        Section::Retry,
        "factor",
        Kind::Factor { least: 1.0, most: 100.0 },
        "2.0",
        "How much longer each time.",
    ),
    key(Section::Retry, "max", up_to(DAY), r#""15m""#, "The longest wait."),
    key(Section::Retry, "give_up", up_to(366 * DAY), r#""72h""#, "Since it was queued."),
    Key {
        section: Section::Upstream,
        name: "peer",
        kind: Kind::Peer,
        default: None,
        example: r#""pacs""#,
        explanation: "The [peer.NAME] that is asked. Needed. It is never asked for what itself asks for.",
    },
    key(
        Section::Upstream,
        "find",
        Kind::Flag,
        "true",
        "Whether its rows join the answers to C-FIND and QIDO-RS, behind ours, without those that we have.",
    ),
    key(
        Section::Upstream,
        "fetch",
        Kind::Flag,
        "true",
        "Whether what it has and we lack is fetched when it is asked for by C-MOVE, C-GET or WADO-RS. It is then kept and routed like \
         whatever it sends.",
    ),
    key(
        Section::Upstream,
        "retrieve",
        Kind::RetrieveBy,
        r#""get""#,
        "How that is fetched. get: by C-GET. move: by C-MOVE to our `ae_title`, which it must know with our address, and for which it \
         must be let in.",
    ),
    key(
        Section::Upstream,
        "associations",
        Kind::Number { least: 1, most: 64 },
        "4",
        "Associations open with it at once for queries, at most, as many to find out what there is to retrieve, and as many for \
         retrieves (1 to 64).",
    ),
    key(
        Section::Upstream,
        "timeout",
        up_to(DAY),
        r#""10s""#,
        "How long it may take to answer a query, association included. What has come by then is given.",
    ),
    key(
        Section::Upstream,
        "fetch_timeout",
        up_to(DAY),
        r#""60s""#,
        "How long it may take for an association, the next instance, or a word about it, while it is fetched from. More, where it has to look for it \
         on slow media. Ten times as long it may say that it works on it while nothing comes and its counters stay as they are.",
    ),
];
