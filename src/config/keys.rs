use std::time::Duration;

/// The table that a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Root,
    Dimse,
    Web,
    Storage,
    /// One of the named tables below `peer`.
    Peer,
}

/// One key of the configuration file.
pub(super) struct Key {
    pub(super) section: Section,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The value in TOML that holds when the key is absent; `None`: the key must be there.
    pub(super) default: Option<&'static str>,
    /// A valid value in TOML, for the reference file and for help.
    pub(super) example: &'static str,
    /// What it does, in the words of the reference file.
    pub(super) explanation: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AeTitle,
    Folder,
    /// An IP address and port to listen at.
    Listen,
    Accept,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    Span {
        least: Duration,
        most: Duration,
    },
    /// Web origins.
    Origins,
    /// An HTTP URL, or nothing.
    Url,
    /// A host and port to connect to.
    Address,
    Networks,
}

impl Section {
    pub(super) const ALL: [Self; 5] = [Self::Root, Self::Dimse, Self::Web, Self::Storage, Self::Peer];

    /// The section's name at the top of the file; `None` for the top itself.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Root => None,
            Self::Dimse => Some("dimse"),
            Self::Web => Some("web"),
            Self::Storage => Some("storage"),
            Self::Peer => Some("peer"),
        }
    }

    /// Where a key of the section stands, as messages say it.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Root => "at the top of the file",
            Self::Dimse => "in [dimse]",
            Self::Web => "in [web]",
            Self::Storage => "in [storage]",
            Self::Peer => "in [peer.NAME]",
        }
    }

    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.section == self)
    }
}

impl Kind {
    /// What a message asks for.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::AeTitle => "an AE title in quotes",
            Self::Folder => "a folder's path in quotes",
            Self::Listen => "an IP address and a port in quotes",
            Self::Accept => "\"any\" or \"known\"",
            Self::Flag => "true or false",
            Self::Number { .. } => "a whole number without quotes",
            Self::Span { .. } => "a duration in quotes",
            Self::Origins => "a list of web origins",
            Self::Url => "a URL in quotes",
            Self::Address => "a host and a port in quotes",
            Self::Networks => "a list of networks",
        }
    }
}

const fn seconds(least_ms: u64, most_s: u64) -> Kind {
    Kind::Span { least: Duration::from_millis(least_ms), most: Duration::from_secs(most_s) }
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

/// Every key there is. Parsing, help and `deploy/reference.toml` are made from this table.
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
         with case, outer spaces aside), from its host or from its `from` networks. Without this key: any on loopback, known \
         elsewhere; so delete this line when you listen elsewhere than on loopback.",
    ),
    key(
        Section::Dimse,
        "check_called_ae",
        Kind::Flag,
        "false",
        "true: refuse associations that call another AE title than ours.",
    ),
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
        seconds(10, DAY),
        r#""10s""#,
        "How long a connection may wait for its A-ASSOCIATE-RQ, and for being closed at its end.",
    ),
    key(
        Section::Dimse,
        "idle_timeout",
        seconds(10, DAY),
        r#""60s""#,
        "How long an association may stay without a message before we abort it.",
    ),
    key(
        Section::Dimse,
        "message_timeout",
        seconds(10, DAY),
        r#""60s""#,
        "How long a message that has begun may stand still, either way, and how long a response is waited for. Standing still is \
         also what brings less than 4096 bytes per second on average over that time.",
    ),
    key(
        Section::Dimse,
        "connect_timeout",
        seconds(10, DAY),
        r#""10s""#,
        "How long connecting to a peer may take.",
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
        section: Section::Peer,
        name: "ae_title",
        kind: Kind::AeTitle,
        default: None,
        example: r#""PACS""#,
        explanation: "The peer's AE title. Needed.",
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
];
