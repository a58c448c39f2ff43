use std::fmt;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{
    AttributeTypeAndValue, FromDer, RelativeDistinguishedName, X509Certificate, X509Name,
};

use super::name::CertificateName;

/// What a certificate says of itself: RFC 5280, as far as peers are told apart by it.
///
/// That it is true is what verification says; this only reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// Its subject, such as `C=DE, O=Hospital, CN=CT1`; what separates there has a `\` before it where it is in a value.
    pub subject: String,
    /// The subject of whoever certified it; its own where nobody else did.
    pub issuer: String,
    /// The common names of its subject.
    pub common_names: Vec<String>,
    /// Its subject alternative names.
    pub names: Vec<AlternativeName>,
    /// Seconds of the Unix epoch before which it does not hold.
    pub not_before: i64,
    /// Seconds of the Unix epoch after which it does not hold.
    pub not_after: i64,
}

/// A subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// The name of a host.
    Dns(String),
    /// The address of a host.
    Ip(IpAddr),
    /// A URI.
    Uri(String),
}

impl Certificate {
    /// Reads a certificate in DER; `None` where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let names = read.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|extension| &extension.value.general_names);
        let common_names = read.subject().iter_common_name();
        Some(Self {
            sha256: Sha256::digest(der).into(),
            subject: distinguished(read.subject()),
            issuer: distinguished(read.issuer()),
            common_names: common_names.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect(),
            names: names.filter_map(alternative).take(MOST_NAMES).collect(),
            not_before: read.validity().not_before.timestamp(),
            not_after: read.validity().not_after.timestamp(),
        })
    }

    /// Whether it names itself as the one who certified it.
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether one of the names is this certificate's.
    pub fn is_one_of(&self, names: &[CertificateName]) -> bool {
        names.iter().any(|name| name.is_of(self))
    }

    /// Whether one of the names is its fingerprint.
    pub(crate) fn is_pinned_by(&self, names: &[CertificateName]) -> bool {
        names.contains(&CertificateName::Sha256(self.sha256))
    }
}

/// A name in the order of the certificate, so that no value reads as a further attribute (RFC 4514 §2.4).
fn distinguished(name: &X509Name<'_>) -> String {
    let attribute = |attribute: &AttributeTypeAndValue<'_>| {
        let of = attribute.attr_type();
        let key = oid2abbrev(of, oid_registry()).map_or_else(|_| of.to_id_string(), str::to_owned);
        let value = match attribute.as_str() {
            Ok(text) => escaped(text),
            Err(_) => attribute.as_slice().iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        format!("{key}={value}")
    };
    let parts =
        |part: &RelativeDistinguishedName<'_>| part.iter().map(attribute).collect::<Vec<_>>().join(" + ");
    name.iter_rdn().map(parts).collect::<Vec<_>>().join(", ")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '+' | '=' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn alternative(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::DNSName(name) => Some(AlternativeName::Dns((*name).to_owned())),
        GeneralName::URI(uri) => Some(AlternativeName::Uri((*uri).to_owned())),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(AlternativeName::Ip)
        }
        _ => None,
    }
}

/// For a log line: subject, names, end, fingerprint, without what a peer could forge a further line with.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = if self.subject.is_empty() { "no subject" } else { &self.subject };
        f.write_str(&printable(subject))?;
        for name in self.names.iter().take(SHOWN_NAMES) {
            write!(f, ", {name}")?;
        }
        if self.names.len() > SHOWN_NAMES {
            f.write_str(", …")?;
        }
        write!(f, ", until {}, sha256:{}", day(self.not_after), fingerprint(&self.sha256))
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{}", printable(name)),
            Self::Ip(address) => write!(f, "ip:{address}"),
            Self::Uri(uri) => write!(f, "uri:{}", printable(uri)),
        }
    }
}

/// The date of a time, in UTC.
pub(super) fn day(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "a time unknown".to_owned(), |time| time.date().to_string())
}

/// 64 lower case hexadecimal digits.
pub(super) fn fingerprint(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn printable(text: &str) -> String {
    let plain = text.chars().take(SHOWN_CHARS);
    plain.map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Certificates for many hosts have some hundred names.
const MOST_NAMES: usize = 1_000;
/// What is shown of the names, and of each text, in a log line.
const SHOWN_NAMES: usize = 4;
const SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn der() -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["ct1.example".to_owned(), "10.1.2.3".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("urn:ct1".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "CT1\nlevel=error");
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 2), date_time_ymd(2027, 1, 2));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn reads_what_tells_peers_apart() {
        let der = der();
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.common_names, ["CT1\nlevel=error"]);
        assert_eq!(
            read.names,
            [
                AlternativeName::Dns("ct1.example".to_owned()),
                AlternativeName::Ip([10, 1, 2, 3].into()),
                AlternativeName::Uri("urn:ct1".to_owned()),
            ]
        );
        assert_eq!((day(read.not_before), day(read.not_after)), ("2026-01-02".into(), "2027-01-02".into()));
        let shown = read.to_string();
        let expected = ", dns:ct1.example, ip:10.1.2.3, uri:urn:ct1, until 2027-01-02, sha256:";
        assert!(shown.contains(expected) && !shown.contains('\n'), "{shown}");
    }

    #[test]
    fn no_value_reads_as_a_further_attribute() {
        let subject = |attributes: &[(DnType, &str)]| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (of, value) in attributes {
                params.distinguished_name.push(of.clone(), *value);
            }
            let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
            Certificate::read(&der).unwrap().subject
        };
        let (organization, name) = (DnType::OrganizationName, DnType::CommonName);
        let forged = subject(&[(organization.clone(), "Hospital, CN=CT4")]);
        assert_eq!(forged, "O=Hospital\\, CN\\=CT4");
        assert_eq!(subject(&[(organization, "Hospital"), (name, "CT4")]), "O=Hospital, CN=CT4");
        let named = CertificateName::parse(&format!("subject:{forged}")).unwrap();
        assert!(named.is_of(&Certificate { subject: forged, ..Certificate::read(&der()).unwrap() }));
    }

    /// Whatever a peer sends as its certificate is read, or is none.
    #[test]
    fn damaged_certificates_do_no_harm() {
        let der = der();
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None, "cut at {end}");
        }
        for at in 0..der.len() {
            for change in [1, 0x80, 0xFF] {
                let mut damaged = der.clone();
                damaged[at] ^= change;
                if let Some(read) = Certificate::read(&damaged) {
                    assert!(!read.to_string().contains('\n'));
                }
            }
        }
    }
}
