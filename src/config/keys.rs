use std::time::Duration;

use super::table::KEYS;

/// The table that a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Root,
    Dimse,
    /// The table `tls` in that of DIMSE.
    DimseTls,
    Web,
    Storage,
    Rules,
    /// One of the named tables below `peer`.
    Peer,
    /// The table `tls` in that of a peer.
    PeerTls,
    /// The table `identity` in that of a peer.
    Identity,
    /// The table `our_identity` in that of a peer.
    OurIdentity,
    /// One of the named tables below `destination`: the keys that each kind has.
    Destination,
    /// The further keys of a destination of kind `dicom`.
    Dicom,
    /// The further keys of a destination of kind `s3`.
    S3,
    /// The further keys of a destination of kind `folder`.
    Folder,
    /// The inline table `retry` of a destination.
    Retry,
    /// One of the named tables below `upstream`.
    Upstream,
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    AeTitle,
    Folder,
    /// An IP address and port to listen at.
    Listen,
    /// As [`Kind::Listen`], or nothing.
    MaybeListen,
    Accept,
    ClientAuth,
    /// The path of a file, or nothing.
    File,
    /// What a peer's certificate is.
    Certificates,
    /// Whether and how a peer is called by TLS: true, false, or the table of [`Section::PeerTls`].
    PeerTls,
    /// What a certificate is for, or nothing.
    ServerName,
    /// AE titles.
    AeTitles,
    SopClasses,
    TransferSyntaxes,
    /// The longest PDU, or 0.
    PduBytes,
    /// Any text, or nothing.
    Words,
    /// The table of [`Section::Identity`].
    Identity,
    /// The table of [`Section::OurIdentity`].
    OurIdentity,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    /// A number that may have a fraction.
    Factor {
        least: f64,
        most: f64,
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
    /// A kind of destination.
    Destination,
    /// The name of a `[peer]`.
    Peer,
    /// The inline table of [`Section::Retry`].
    Retry,
    /// How deliveries are verified.
    Verify,
    /// How instances are retrieved.
    RetrieveBy,
    /// The URL of an S3 service, or nothing.
    Endpoint,
    Bucket,
    /// What the keys of objects begin with.
    Prefix,
    Region,
    /// Where a secret is, or nothing.
    Secret,
    /// Patterns of file names.
    Patterns,
}

impl Section {
    /// The tables that occur once.
    pub(super) const ONCE: [Self; 6] =
        [Self::Root, Self::Dimse, Self::DimseTls, Self::Web, Self::Storage, Self::Rules];

    /// What may stand at the top of the file beside the keys there.
    const TABLES: [Self; 7] =
        [Self::Dimse, Self::Web, Self::Storage, Self::Rules, Self::Peer, Self::Destination, Self::Upstream];

    /// The kinds of destinations, by the names that `kind` takes.
    pub(super) const KINDS: [(&'static str, Self); 3] =
        [("dicom", Self::Dicom), ("s3", Self::S3), ("folder", Self::Folder)];

    /// The names of all tables at the top of the file.
    pub(super) fn tables() -> impl Iterator<Item = &'static str> {
        Self::TABLES.into_iter().filter_map(Self::name)
    }

    /// The table's name; `None` for the top itself and for what is no table that stands by itself.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Root | Self::PeerTls | Self::Identity | Self::OurIdentity | Self::Retry => None,
            Self::Dimse => Some("dimse"),
            Self::DimseTls => Some("dimse.tls"),
            Self::Web => Some("web"),
            Self::Storage => Some("storage"),
            Self::Rules => Some("rules"),
            Self::Peer => Some("peer"),
            Self::Destination | Self::Dicom | Self::S3 | Self::Folder => Some("destination"),
            Self::Upstream => Some("upstream"),
        }
    }

    /// Where a key of the section stands, as messages say it.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Root => "at the top of the file",
            Self::Dimse => "in [dimse]",
            Self::DimseTls => "in [dimse.tls]",
            Self::Web => "in [web]",
            Self::Storage => "in [storage]",
            Self::Rules => "in [rules]",
            Self::Peer => "in [peer.NAME]",
            Self::PeerTls => "in `tls` of a peer",
            Self::Identity => "in `identity` of a peer",
            Self::OurIdentity => "in `our_identity` of a peer",
            Self::Destination => "in [destination.NAME]",
            Self::Dicom => "in a destination of kind \"dicom\"",
            Self::S3 => "in a destination of kind \"s3\"",
            Self::Folder => "in a destination of kind \"folder\"",
            Self::Retry => "in `retry`",
            Self::Upstream => "in [upstream.NAME]",
        }
    }

    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.section == self)
    }
}

impl Kind {
    /// Whether it is a list of texts.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Origins
                | Self::Networks
                | Self::Patterns
                | Self::Certificates
                | Self::AeTitles
                | Self::SopClasses
                | Self::TransferSyntaxes
        )
    }

    /// What a message asks for.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::AeTitle => "an AE title in quotes",
            Self::Folder => "a folder's path in quotes",
            Self::Listen | Self::MaybeListen => "an IP address and a port in quotes",
            Self::Accept => "\"any\" or \"known\"",
            Self::ClientAuth => "\"required\", \"optional\" or \"none\"",
            Self::File => "a file's path in quotes",
            Self::Certificates => "a list of certificates",
            Self::PeerTls => "true, false or a table in braces",
            Self::ServerName => "the name of a host in quotes",
            Self::AeTitles => "a list of AE titles",
            Self::SopClasses => "a list of SOP classes",
            Self::TransferSyntaxes => "a list of transfer syntaxes",
            Self::PduBytes => "a whole number without quotes",
            Self::Words => "a text in quotes",
            Self::Identity | Self::OurIdentity => "a table in braces",
            Self::Flag => "true or false",
            Self::Number { .. } => "a whole number without quotes",
            Self::Factor { .. } => "a number without quotes",
            Self::Span { .. } => "a duration in quotes",
            Self::Origins => "a list of web origins",
            Self::Url | Self::Endpoint => "a URL in quotes",
            Self::Address => "a host and a port in quotes",
            Self::Networks => "a list of networks",
            Self::Destination => "a kind of destination in quotes",
            Self::Peer => "the name of a [peer] in quotes",
            Self::Retry => "a table in braces",
            Self::Verify => "\"status\" or \"commitment\"",
            Self::RetrieveBy => "\"get\" or \"move\"",
            Self::Bucket => "the name of a bucket in quotes",
            Self::Prefix => "a text in quotes",
            Self::Region => "the name of a region in quotes",
            Self::Secret => "a place where the secret is, never the secret itself",
            Self::Patterns => "a list of files",
        }
    }
}
