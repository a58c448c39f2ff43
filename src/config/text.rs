//! Texts of the configuration file: AE titles, addresses, durations, URLs, networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use model::AeTitle;

use super::destination::Verify;
use super::keys::Section;
use super::value::Refusal;

pub(super) fn ae_title(given: &str) -> Result<AeTitle, Refusal> {
    AeTitle::parse(given).map_err(|refusal| Refusal::new(format!("is not an AE title: {refusal}"), None))
}

pub(super) fn folder(given: &str) -> Result<PathBuf, Refusal> {
    if given.is_empty() {
        return Err(Refusal::new("is empty", "name a folder, or leave the key out".to_owned()));
    }
    if given.starts_with('~') {
        let help = "only a shell knows `~`: write the whole path".to_owned();
        return Err(Refusal::new("starts with `~`", help));
    }
    Ok(PathBuf::from(given))
}

pub(super) fn listen(given: &str) -> Result<SocketAddr, Refusal> {
    if let Ok(address) = given.parse() {
        return Ok(address);
    }
    let help = match given.rsplit_once(':') {
        Some(("", port)) => format!("for every IPv4 address of the machine write \"0.0.0.0:{port}\""),
        Some(("*", port)) => format!("for every IPv4 address of the machine write \"0.0.0.0:{port}\""),
        Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
        _ if given.parse::<Ipv6Addr>().is_ok() => {
            format!("an IPv6 address stands in brackets: \"[{given}]:PORT\"")
        }
        _ if given.parse::<IpAddr>().is_ok() => format!("the port is missing: \"{given}:PORT\""),
        _ => "a host name is not taken; for example \"127.0.0.1:11112\"".to_owned(),
    };
    Err(Refusal::new(format!("is not an IP address and a port: {given:?}"), help))
}

pub(super) fn accept(given: &str) -> Result<net::Accept, Refusal> {
    match given {
        "any" => Ok(net::Accept::Any),
        "known" => Ok(net::Accept::Known),
        other => {
            let help = closest(other, ["any", "known"]).map(|word| format!("did you mean \"{word}\"?"));
            Err(Refusal::new(format!("is \"any\" or \"known\", not {other:?}"), help))
        }
    }
}

pub(super) fn client_auth(given: &str) -> Result<net::tls::ClientAuth, Refusal> {
    match given {
        "required" => Ok(net::tls::ClientAuth::Required),
        "optional" => Ok(net::tls::ClientAuth::Optional),
        "none" => Ok(net::tls::ClientAuth::None),
        other => {
            let meant = closest(other, ["required", "optional", "none"]);
            let help = meant.map(|word| format!("did you mean \"{word}\"?"));
            Err(Refusal::new(format!("is \"required\", \"optional\" or \"none\", not {other:?}"), help))
        }
    }
}

pub(super) fn verify(given: &str) -> Result<Verify, Refusal> {
    match given {
        "status" => Ok(Verify::Status),
        "commitment" => Ok(Verify::Commitment),
        other => {
            let help =
                closest(other, ["status", "commitment"]).map(|word| format!("did you mean \"{word}\"?"));
            Err(Refusal::new(format!("is \"status\" or \"commitment\", not {other:?}"), help))
        }
    }
}

pub(super) fn retrieve_by(given: &str) -> Result<net::RetrieveBy, Refusal> {
    match given {
        "get" => Ok(net::RetrieveBy::Get),
        "move" => Ok(net::RetrieveBy::Move),
        other => {
            let help = closest(other, ["get", "move"]).map(|word| format!("did you mean \"{word}\"?"));
            Err(Refusal::new(format!("is \"get\" or \"move\", not {other:?}"), help))
        }
    }
}

/// What is read, or nothing where the text is empty.
pub(super) fn or_nothing<T>(
    given: &str,
    read: impl FnOnce(&str) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    if given.is_empty() { Ok(None) } else { read(given).map(Some) }
}

pub(super) fn file(given: &str) -> Result<PathBuf, Refusal> {
    if given.starts_with('~') {
        let help = "only a shell knows `~`: write the whole path".to_owned();
        return Err(Refusal::new("starts with `~`", help));
    }
    if given.contains("-----BEGIN") {
        return Err(Refusal::new("is a certificate or key itself", "name the file that it is in".to_owned()));
    }
    Ok(PathBuf::from(given))
}

/// A name or the like.
pub(super) fn words(given: &str) -> Result<String, Refusal> {
    match given.len() > 1_000 || given.contains(|c: char| c.is_control()) {
        true => Err(Refusal::new("is longer than 1000 bytes, or has a control character", None)),
        false => Ok(given.to_owned()),
    }
}

/// What a peer's certificate is.
pub(super) fn certificate(given: &str) -> Result<net::tls::CertificateName, Refusal> {
    net::tls::CertificateName::parse(given).map_err(|refusal| {
        let is_fingerprint = given.len() >= 64 && given.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        let help = match (&refusal, given.parse::<IpAddr>()) {
            (net::tls::NameError::Prefix, _) if is_fingerprint => format!("write \"sha256:{given}\""),
            (net::tls::NameError::Prefix, Ok(_)) => format!("write \"ip:{given}\""),
            (net::tls::NameError::Prefix, Err(_)) if is_host(given) => format!("write \"dns:{given}\""),
            _ => "`openssl x509 -in FILE -noout -fingerprint -sha256 -subject -ext subjectAltName` shows what one is"
                .to_owned(),
        };
        Refusal::new(format!("has {given:?}, which {refusal}"), help)
    })
}

/// A name that a certificate may be for, or nothing.
pub(super) fn server_name(given: &str) -> Result<String, Refusal> {
    if given.is_empty() || net::tls::is_server_name(given) {
        return Ok(given.to_owned());
    }
    let help = match given.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("write \"{host}\", without the port"),
        _ => "for example \"pacs.example\" or \"10.1.2.3\"".to_owned(),
    };
    Err(Refusal::new(format!("is no name that a certificate is for: {given:?}"), help))
}

/// Numbers with units, the larger first: `1h30m`, `10s`, `250ms`.
pub(super) fn span(given: &str, least: Duration, most: Duration) -> Result<Duration, Refusal> {
    let help = || {
        let spaceless: String = given.split_whitespace().collect();
        let seconds = given.parse::<u64>().is_ok().then(|| format!("{given}s"));
        match seconds.or_else(|| parse_span(&spaceless).map(|_| spaceless)) {
            Some(meant) => format!("write \"{meant}\""),
            None => "a number with h, m, s or ms, or several: \"10s\", \"1m30s\", \"250ms\"".to_owned(),
        }
    };
    match parse_span(given) {
        None => Err(Refusal::new(format!("is not a duration: {given:?}"), help())),
        Some(span) if span < least => Err(Refusal::new(format!("is less than {}", show_span(least)), None)),
        Some(span) if span > most => Err(Refusal::new(format!("is more than {}", show_span(most)), None)),
        Some(span) => Ok(span),
    }
}

fn parse_span(given: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = given;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        // Going on in the same iterator refuses a unit that comes twice or after a smaller one.
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        let millis = number.parse::<u64>().ok()?.checked_mul(*millis)?;
        total = total.checked_add(Duration::from_millis(millis))?;
        rest = tail;
    }
    (!given.is_empty()).then_some(total)
}

pub(super) fn show_span(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{} ms", span.as_millis())
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

pub(super) fn origin(given: &str) -> Result<web::Origin, Refusal> {
    let bare = given.trim_end_matches('/');
    let lower = bare.to_ascii_lowercase();
    match given.parse() {
        // A browser sends the host in lower case, so another spelling would never match.
        Ok(origin) if given == lower => Ok(origin),
        Ok(_) => Err(Refusal::new("has an origin in capital letters", format!("write {lower:?}"))),
        Err(refusal) => {
            let help = lower.parse::<web::Origin>().is_ok().then(|| format!("write {lower:?}"));
            Err(Refusal::new(format!("has no origin in {given:?}: {refusal}"), help))
        }
    }
}

/// A URL to prefix paths with; `None` when empty.
pub(super) fn url(given: &str) -> Result<Option<web::PublicUrl>, Refusal> {
    if given.is_empty() {
        return Ok(None);
    }
    let bare = given.trim_end_matches('/');
    match given.parse() {
        Ok(url) if given == bare => Ok(Some(url)),
        Ok(_) => Err(Refusal::new("ends with a slash", format!("write {bare:?}"))),
        Err(refusal) => {
            let with_scheme = format!("https://{bare}");
            let is_meant = !given.contains("://") && with_scheme.parse::<web::PublicUrl>().is_ok();
            let help = is_meant.then(|| format!("write {with_scheme:?}"));
            Err(Refusal::new(format!("is not the URL of a server: {refusal}"), help))
        }
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

/// `host:port`, the host a name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn address(given: &str) -> Result<String, Refusal> {
    let refuse = |help: String| Err(Refusal::new(format!("is not a host and a port: {given:?}"), help));
    if let Some((_, address)) = given.split_once('@') {
        return refuse(format!("the AE title has a key of its own: write \"{address}\""));
    }
    if given.parse::<Ipv6Addr>().is_ok() {
        return refuse(format!("an IPv6 address stands in brackets: \"[{given}]:104\""));
    }
    let Some((host, port)) = given.rsplit_once(':') else {
        return refuse(format!("the port is missing: \"{given}:104\""));
    };
    if !port.parse::<u16>().is_ok_and(|port| port != 0) {
        return refuse("a port is a number from 1 to 65535".to_owned());
    }
    if !is_host(host) {
        return refuse(
            "a host is a name or an IP address: \"pacs.example:104\", \"[fd00::7]:104\"".to_owned(),
        );
    }
    Ok(given.to_owned())
}

/// A network in CIDR form, or one IP address.
pub(super) fn network(given: &str) -> Result<IpNet, Refusal> {
    if let Ok(ip) = given.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let Ok(network) = given.parse::<IpNet>() else {
        let help = "for example \"10.1.0.0/16\" or \"10.1.2.3\"".to_owned();
        return Err(Refusal::new(format!("has no network or IP address in {given:?}"), help));
    };
    if network != network.trunc() {
        let help = format!(
            "for the network write \"{}\", for the one address \"{}\"",
            network.trunc(),
            network.addr()
        );
        return Err(Refusal::new(format!("has an address inside a network in {given:?}"), help));
    }
    Ok(network)
}

/// The section of a destination's kind.
pub(super) fn destination_kind(given: &str) -> Result<Section, Refusal> {
    if let Some((_, section)) = Section::KINDS.into_iter().find(|(name, _)| *name == given) {
        return Ok(section);
    }
    let help = match closest(given, dest::KINDS.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("the kinds: {}", dest::KINDS.join(", ")),
    };
    Err(Refusal::new(format!("is no kind of destination: {given:?}"), help))
}

/// A pattern of files: a path, in whose last part `*` and `?` may stand for other characters.
pub(super) fn pattern(given: &str) -> Result<String, Refusal> {
    if given.is_empty() {
        return Err(Refusal::new("has an empty pattern", "for example \"rules/*.toml\"".to_owned()));
    }
    if given.starts_with('~') {
        let help = "only a shell knows `~`: write the whole path".to_owned();
        return Err(Refusal::new(format!("has a pattern that starts with `~`: {given:?}"), help));
    }
    let (folder, name) = given.rsplit_once('/').unwrap_or(("", given));
    if name.is_empty() || name == "." || name == ".." {
        let help = format!("for the files in it write \"{}/*.toml\"", given.trim_end_matches('/'));
        return Err(Refusal::new(format!("names a folder: {given:?}"), help));
    }
    if folder.contains(['*', '?']) {
        let help = "* and ? stand for parts of a file's name; write one pattern for each folder".to_owned();
        return Err(Refusal::new(format!("has a pattern for folders: {given:?}"), help));
    }
    Ok(given.to_owned())
}

/// The known word that a mistyped one was probably meant to be.
pub(crate) fn closest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&given, word), word))
        .filter(|(distance, word)| *distance <= word.len().max(given.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn millis(given: &str) -> Option<u128> {
        span(given, Duration::from_millis(10), DAY).ok().map(|span| span.as_millis())
    }

    #[test]
    fn durations_have_units_in_order() {
        for (given, expected) in [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("1h", Some(3_600_000)),
            ("1s500ms", Some(1_500)),
            ("24h", Some(86_400_000)),
            ("24h1ms", None),
            ("9ms", None),
            ("", None),
            ("10", None),
            ("s", None),
            ("1s1m", None),
            ("1s1s", None),
            ("1.5s", None),
            ("-1s", None),
            ("10 s", None),
            ("10sec", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
        ] {
            assert_eq!(millis(given), expected, "{given}");
        }
    }

    fn help<T>(read: Result<T, Refusal>) -> Option<String> {
        read.err().and_then(|refusal| refusal.help)
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for given in ["*", "http://localhost:3000", "https://viewer.example", "http://[::1]:3000"] {
            assert!(origin(given).is_ok(), "{given}");
        }
        assert!(origin("viewer.example").is_err());
        assert_eq!(
            help(origin("https://Viewer.example/")).as_deref(),
            Some(r#"write "https://viewer.example""#)
        );
        assert_eq!(
            help(origin("https://VIEWER.example")).as_deref(),
            Some(r#"write "https://viewer.example""#)
        );
    }

    #[test]
    fn public_urls_end_without_a_slash() {
        assert!(url("").is_ok_and(|url| url.is_none()));
        assert!(url("https://pacs.example/dicom").is_ok_and(|url| url.is_some()));
        assert_eq!(help(url("https://pacs.example/")).as_deref(), Some(r#"write "https://pacs.example""#));
        assert_eq!(help(url("pacs.example")).as_deref(), Some(r#"write "https://pacs.example""#));
        assert!(url("ftp://pacs.example").is_err());
    }

    #[test]
    fn addresses_have_host_and_port() {
        for given in ["pacs:104", "10.1.2.3:11112", "[::1]:104", "pacs-1.example:4242"] {
            assert!(address(given).is_ok(), "{given}");
        }
        for given in
            ["pacs", "pacs:", "pacs:0", "pacs:65536", ":104", "::1", "A@pacs:104", "a b:104", "[x]:1"]
        {
            assert!(address(given).is_err(), "{given}");
        }
    }

    #[test]
    fn networks_are_whole() {
        for (given, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert!(network(given).is_ok_and(|network| network.to_string() == expected), "{given}");
        }
        for given in ["10.1.2.3/8", "10.0.0.0/33", "pacs", ""] {
            assert!(network(given).is_err(), "{given}");
        }
    }

    #[test]
    fn finds_the_closest_word_or_none() {
        let known = ["listen", "open", "cors_origins"];
        assert_eq!(closest("lisen", known), Some("listen"));
        assert_eq!(closest("CORS-origin", known), Some("cors_origins"));
        assert_eq!(closest("tls_certificate", known), None);
    }
}
