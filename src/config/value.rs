use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use model::AeTitle;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::destination::Verify;
use super::fault::Finder;
use super::keys::{Key, Kind, Section};
use super::secret::SecretPlace;
use super::walk::Values;
use super::{names, object_store, secret, text};

/// A value that is what its key asks for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    AeTitle(AeTitle),
    Folder(PathBuf),
    Listen(SocketAddr),
    MaybeListen(Option<SocketAddr>),
    ClientAuth(net::tls::ClientAuth),
    File(Option<PathBuf>),
    Certificates(Vec<net::tls::CertificateName>),
    /// `None`: there is nothing in it.
    Table(Option<Values>),
    AeTitles(Vec<AeTitle>),
    SopClasses(Vec<net::SopClasses>),
    Accept(net::Accept),
    Flag(bool),
    Number(u64),
    Span(Duration),
    Origins(Vec<web::Origin>),
    Url(Option<web::PublicUrl>),
    Networks(Vec<IpNet>),
    Factor(f64),
    Destination(Section),
    Text(String),
    Retry(pipeline::Retry),
    Verify(Verify),
    RetrieveBy(net::RetrieveBy),
    Endpoint(Option<String>),
    Secret(Option<SecretPlace>),
    Texts(Vec<String>),
}

/// Why a text is not what it should be, and perhaps what it should be.
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Reads the value of a key; what is wrong with it is noted, each element of a list on its own.
pub(super) fn read(key: &Key, given: &Spanned<DeValue<'_>>, finder: &mut Finder<'_>) -> Option<Value> {
    let at = given.span();
    let read = match (key.kind, given.get_ref()) {
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Number { least, most }, DeValue::Integer(number)) => {
            let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
            within(number, least, most).map(Value::Number)
        }
        (_, DeValue::Array(list)) if key.kind.is_list() => return read_list(key, list, finder),
        (Kind::Identity, DeValue::Table(given)) => Ok(inner(Section::Identity, given, finder)),
        (Kind::OurIdentity, DeValue::Table(given)) => Ok(inner(Section::OurIdentity, given, finder)),
        (Kind::PduBytes, DeValue::Integer(number)) => {
            let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
            match number {
                Some(0) => Ok(Value::Number(0)),
                other => within(other, 4_096, 1_048_576).map(Value::Number),
            }
        }
        (Kind::PeerTls, DeValue::Boolean(false)) => Ok(Value::Table(None)),
        (Kind::PeerTls, DeValue::Boolean(true)) => {
            let given = Values::read(&[Section::PeerTls], &DeTable::new(), finder);
            Ok(Value::Table(Some(given)))
        }
        (Kind::PeerTls, DeValue::Table(given)) => {
            Ok(Value::Table(Some(Values::read(&[Section::PeerTls], given, finder))))
        }
        (Kind::Retry, DeValue::Table(given)) => return retry(given, &at, finder).map(Value::Retry),
        (Kind::Secret, DeValue::Table(given)) => secret::place(given).map(Value::Secret),
        (Kind::Secret, DeValue::String(_)) => Err(secret::refuse_literal(key)),
        (Kind::Factor { least, most }, DeValue::Float(number)) => {
            factor(number.as_str().replace('_', "").parse().ok(), least, most)
        }
        (Kind::Factor { least, most }, DeValue::Integer(number)) => {
            factor(number.as_str().parse().ok(), least, most)
        }
        (Kind::AeTitle, DeValue::String(given)) => text::ae_title(given).map(Value::AeTitle),
        (Kind::Folder, DeValue::String(given)) => text::folder(given).map(Value::Folder),
        (Kind::Listen, DeValue::String(given)) => text::listen(given).map(Value::Listen),
        (Kind::MaybeListen, DeValue::String(given)) => {
            text::or_nothing(given, text::listen).map(Value::MaybeListen)
        }
        (Kind::ClientAuth, DeValue::String(given)) => text::client_auth(given).map(Value::ClientAuth),
        (Kind::File, DeValue::String(given)) => text::or_nothing(given, text::file).map(Value::File),
        (Kind::Words, DeValue::String(given)) => text::words(given).map(Value::Text),
        (Kind::ServerName, DeValue::String(given)) => text::server_name(given).map(Value::Text),
        (Kind::Accept, DeValue::String(given)) => text::accept(given).map(Value::Accept),
        (Kind::Span { least, most }, DeValue::String(given)) => {
            text::span(given, least, most).map(Value::Span)
        }
        (Kind::Url, DeValue::String(given)) => text::url(given).map(Value::Url),
        (Kind::Address, DeValue::String(given)) => text::address(given).map(Value::Text),
        (Kind::Destination, DeValue::String(given)) => text::destination_kind(given).map(Value::Destination),
        (Kind::Verify, DeValue::String(given)) => text::verify(given).map(Value::Verify),
        (Kind::RetrieveBy, DeValue::String(given)) => text::retrieve_by(given).map(Value::RetrieveBy),
        (Kind::Peer, DeValue::String(given)) => Ok(Value::Text(given.to_string())),
        (Kind::Endpoint, DeValue::String(given)) => object_store::endpoint(given).map(Value::Endpoint),
        (Kind::Bucket, DeValue::String(given)) => object_store::bucket(given).map(Value::Text),
        (Kind::Prefix, DeValue::String(given)) => object_store::prefix(given).map(Value::Text),
        (Kind::Region, DeValue::String(given)) => object_store::region(given).map(Value::Text),
        (kind, other) => Err(wrong_type(kind, key, other)),
    };
    read.map_err(|refusal| note(key, &at, refusal, finder)).ok()
}

/// Reads a list; what is wrong with it is noted, each element on its own.
fn read_list(key: &Key, list: &DeArray<'_>, finder: &mut Finder<'_>) -> Option<Value> {
    match key.kind {
        Kind::Origins => elements(key, list, finder, text::origin).map(Value::Origins),
        Kind::Networks => elements(key, list, finder, text::network).map(Value::Networks),
        Kind::Patterns => elements(key, list, finder, text::pattern).map(Value::Texts),
        Kind::Certificates => elements(key, list, finder, text::certificate).map(Value::Certificates),
        Kind::AeTitles => elements(key, list, finder, text::ae_title).map(Value::AeTitles),
        Kind::SopClasses => elements(key, list, finder, names::sop_classes).map(Value::SopClasses),
        Kind::TransferSyntaxes => elements(key, list, finder, names::transfer_syntax).map(Value::Texts),
        _ => None,
    }
}

/// A table in that of a peer; nothing where nothing is in it.
fn inner(section: Section, given: &DeTable<'_>, finder: &mut Finder<'_>) -> Value {
    Value::Table((!given.is_empty()).then(|| Values::read(&[section], given, finder)))
}

fn within(number: Option<i128>, least: u64, most: u64) -> Result<u64, Refusal> {
    match number.and_then(|number| u64::try_from(number).ok()) {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        Some(number) if number > most => Err(Refusal::new(format!("is more than {most}"), None)),
        Some(_) | None => Err(Refusal::new(format!("is not a number from {least} to {most}"), None)),
    }
}

fn factor(number: Option<f64>, least: f64, most: f64) -> Result<Value, Refusal> {
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(Value::Factor(number)),
        Some(_) | None => Err(Refusal::new(format!("is not a number from {least} to {most}"), None)),
    }
}

/// The parts of `retry`; those that are left out have their defaults.
fn retry(given: &DeTable<'_>, at: &Range<usize>, finder: &mut Finder<'_>) -> Option<pipeline::Retry> {
    let values = Values::read(&[Section::Retry], given, finder);
    let retry = pipeline::Retry {
        first: values.get("first")?,
        factor: values.get("factor")?,
        max: values.get("max")?,
        give_up: values.get("give_up")?,
    };
    if retry.max < retry.first {
        let at = values.place("max").or_else(|| values.place("first")).unwrap_or(at.clone());
        let help = "`max` is the longest wait, `first` the one after the first failure".to_owned();
        finder.add(&at, "`max` is less than `first`", help);
        return None;
    }
    Some(retry)
}

fn elements<T>(
    key: &Key,
    list: &DeArray<'_>,
    finder: &mut Finder<'_>,
    read: fn(&str) -> Result<T, Refusal>,
) -> Option<Vec<T>> {
    let mut whole = Some(Vec::new());
    for element in list {
        let read = match element.get_ref() {
            DeValue::String(given) => read(given),
            other => Err(Refusal::new(format!("is a list of texts in quotes, not of {}", noun(other)), None)),
        };
        match read {
            Ok(value) => {
                if let Some(whole) = &mut whole {
                    whole.push(value);
                }
            }
            Err(refusal) => {
                note(key, &element.span(), refusal, finder);
                whole = None;
            }
        }
    }
    whole
}

fn note(key: &Key, at: &Range<usize>, refusal: Refusal, finder: &mut Finder<'_>) {
    finder.add(at, format!("`{}` {}", key.name, refusal.message), refusal.help);
}

/// Says what was meant where that can be guessed: a number in quotes, a duration or an address without, one text for a list.
fn wrong_type(kind: Kind, key: &Key, other: &DeValue<'_>) -> Refusal {
    let meant = match (kind, other) {
        (Kind::Span { .. }, DeValue::Integer(number)) => Some(format!("\"{number}s\"")),
        (Kind::Number { .. } | Kind::PduBytes, DeValue::String(text)) if is_number(text) => {
            Some(text.replace('_', ""))
        }
        (Kind::Flag | Kind::PeerTls, DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
            Some(text.to_string())
        }
        (Kind::Flag, DeValue::String(text)) if matches!(text.as_ref(), "yes" | "on") => {
            Some("true".to_owned())
        }
        (Kind::Flag, DeValue::String(text)) if matches!(text.as_ref(), "no" | "off") => {
            Some("false".to_owned())
        }
        (kind, DeValue::String(text)) if kind.is_list() => Some(format!("[{text:?}]")),
        (Kind::Factor { .. }, DeValue::String(text)) if text.parse::<f64>().is_ok() => Some(text.to_string()),
        (Kind::AeTitle, DeValue::Integer(number)) => Some(format!("\"{number}\"")),
        _ => None,
    };
    let help = match meant {
        Some(meant) => format!("write {} = {meant}", key.name),
        None => format!("for example {} = {}", key.name, key.example),
    };
    Refusal::new(format!("needs {}, not {}", kind.noun(), noun(other)), help)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// What a message calls a TOML value.
pub(super) fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Takes one kind of value out of a [`Value`], so that a key's use and its kind in the table cannot part unnoticed.
pub(super) trait Of: Sized {
    fn of(value: &Value) -> Option<Self>;
}

macro_rules! of {
    ($($variant:ident $type:ty),* $(,)?) => {$(
        impl Of for $type {
            fn of(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
        }
    )*};
}

of! {
    AeTitle AeTitle,
    Folder PathBuf,
    Listen SocketAddr,
    MaybeListen Option<SocketAddr>,
    ClientAuth net::tls::ClientAuth,
    File Option<PathBuf>,
    Certificates Vec<net::tls::CertificateName>,
    Table Option<Values>,
    AeTitles Vec<AeTitle>,
    SopClasses Vec<net::SopClasses>,
    Accept net::Accept,
    Flag bool,
    Number u64,
    Span Duration,
    Origins Vec<web::Origin>,
    Url Option<web::PublicUrl>,
    Networks Vec<IpNet>,
    Factor f64,
    Destination Section,
    Text String,
    Retry pipeline::Retry,
    Verify Verify,
    RetrieveBy net::RetrieveBy,
    Endpoint Option<String>,
    Secret Option<SecretPlace>,
    Texts Vec<String>,
}

/// Whether nobody but this machine can connect to an address.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
