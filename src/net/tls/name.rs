use std::fmt;
use std::net::IpAddr;

use super::certificate::{AlternativeName, Certificate, fingerprint};

/// What tells a peer's certificate from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// `sha256:…`: this very certificate, and no other. It needs no CA.
    Sha256([u8; 32]),
    /// `dns:…`: it has this name of a host, compared without case; a wildcard in a certificate stands for nothing else.
    Dns(String),
    /// `ip:…`: it has this address.
    Ip(IpAddr),
    /// `uri:…`: it has this URI.
    Uri(String),
    /// `cn:…`: a common name of its subject is this.
    CommonName(String),
    /// `subject:…`: its whole subject, as log lines show it; spaces around commas do not count.
    Subject(String),
}

/// Why a text names no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no prefix, or one that is not known.
    #[error("begins with none of {}", PREFIXES.join(", "))]
    Prefix,
    /// There is nothing behind the prefix.
    #[error("has nothing behind {0}")]
    Empty(&'static str),
    /// A fingerprint that is none.
    #[error("needs 64 hexadecimal digits behind sha256:")]
    Fingerprint,
    /// An address that is none.
    #[error("needs an IP address behind ip:")]
    Address,
}

impl CertificateName {
    /// Reads `sha256:`, `dns:`, `ip:`, `uri:`, `cn:` or `subject:` and what follows. The digits of a fingerprint may be parted by colons.
    ///
    /// # Errors
    /// [`NameError`], for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let prefix = PREFIXES
            .into_iter()
            .find(|prefix| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
        let prefix = prefix.ok_or(NameError::Prefix)?;
        let rest = text.get(prefix.len()..).unwrap_or_default().trim();
        if rest.is_empty() {
            return Err(NameError::Empty(prefix));
        }
        Ok(match prefix {
            "sha256:" => Self::Sha256(digits(rest).ok_or(NameError::Fingerprint)?),
            "dns:" => Self::Dns(rest.trim_end_matches('.').to_ascii_lowercase()),
            "ip:" => Self::Ip(rest.parse().map_err(|_| NameError::Address)?),
            "uri:" => Self::Uri(rest.to_owned()),
            "cn:" => Self::CommonName(rest.to_owned()),
            _ => Self::Subject(plain(rest)),
        })
    }

    /// Whether it is this certificate's.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        let mut names = certificate.names.iter();
        match self {
            Self::Sha256(sha256) => *sha256 == certificate.sha256,
            Self::Dns(wanted) => names.any(|name| {
                matches!(name, AlternativeName::Dns(name) if name.trim_end_matches('.').eq_ignore_ascii_case(wanted))
            }),
            Self::Ip(wanted) => names.any(
                |name| matches!(name, AlternativeName::Ip(ip) if ip.to_canonical() == wanted.to_canonical()),
            ),
            Self::Uri(wanted) => names.any(|name| matches!(name, AlternativeName::Uri(uri) if uri == wanted)),
            Self::CommonName(wanted) => certificate.common_names.contains(wanted),
            Self::Subject(wanted) => plain(&certificate.subject) == *wanted,
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(sha256) => write!(f, "sha256:{}", fingerprint(sha256)),
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Ip(address) => write!(f, "ip:{address}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
            Self::CommonName(name) => write!(f, "cn:{name}"),
            Self::Subject(subject) => write!(f, "subject:{subject}"),
        }
    }
}

/// 64 hexadecimal digits, colons aside.
fn digits(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
    if rest.is_empty() { bytes?.try_into().ok() } else { None }
}

/// Without spaces around commas.
fn plain(subject: &str) -> String {
    subject.split(',').map(str::trim).collect::<Vec<_>>().join(",")
}

/// What a name begins with.
pub(crate) const PREFIXES: [&str; 6] = ["sha256:", "dns:", "ip:", "uri:", "cn:", "subject:"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_prefix_and_something_behind_it() {
        let digits = "0f".repeat(32);
        let colons = "0F:".repeat(32);
        for (text, expected) in [
            (format!("sha256:{digits}"), Ok(CertificateName::Sha256([15; 32]))),
            (format!("SHA256: {}", colons.trim_end_matches(':')), Ok(CertificateName::Sha256([15; 32]))),
            (format!("sha256:{digits}0"), Err(NameError::Fingerprint)),
            (format!("sha256:{}", "0g".repeat(32)), Err(NameError::Fingerprint)),
            ("dns:CT1.Example.".to_owned(), Ok(CertificateName::Dns("ct1.example".to_owned()))),
            ("ip:10.1.2.3".to_owned(), Ok(CertificateName::Ip([10, 1, 2, 3].into()))),
            ("ip:ct1".to_owned(), Err(NameError::Address)),
            ("cn:CT 1".to_owned(), Ok(CertificateName::CommonName("CT 1".to_owned()))),
            ("subject:O=H , CN=CT1".to_owned(), Ok(CertificateName::Subject("O=H,CN=CT1".to_owned()))),
            ("uri:urn:x".to_owned(), Ok(CertificateName::Uri("urn:x".to_owned()))),
            ("uri: ".to_owned(), Err(NameError::Empty("uri:"))),
            ("ct1.example".to_owned(), Err(NameError::Prefix)),
            ("ü".to_owned(), Err(NameError::Prefix)),
        ] {
            assert_eq!(CertificateName::parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_is_that_of_one_certificate() {
        let certificate = Certificate {
            sha256: [7; 32],
            issuer: String::new(),
            subject: "O=H, CN=CT1".to_owned(),
            common_names: vec!["CT1".to_owned()],
            names: vec![
                AlternativeName::Dns("ct1.example".to_owned()),
                AlternativeName::Dns("*.example".to_owned()),
                AlternativeName::Ip([10, 1, 2, 3].into()),
                AlternativeName::Uri("urn:ct1".to_owned()),
            ],
            not_before: 0,
            not_after: 0,
        };
        for (text, expected) in [
            (format!("sha256:{}", "07".repeat(32)), true),
            (format!("sha256:{}", "08".repeat(32)), false),
            ("dns:CT1.EXAMPLE".to_owned(), true),
            ("dns:ct2.example".to_owned(), false),
            ("ip:::ffff:10.1.2.3".to_owned(), true),
            ("ip:10.1.2.4".to_owned(), false),
            ("uri:urn:ct1".to_owned(), true),
            ("cn:CT1".to_owned(), true),
            ("cn:ct1.example".to_owned(), false),
            ("subject:O=H,CN=CT1".to_owned(), true),
            ("subject:CN=CT1".to_owned(), false),
        ] {
            assert_eq!(CertificateName::parse(&text).unwrap().is_of(&certificate), expected, "{text}");
        }
    }
}
