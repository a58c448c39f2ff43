//! JSON Web Tokens (RFC 7519), signed with a public key that we know (RFC 7515, RFC 8725).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::tls::{FileError, FileRole, Fresh, Reloadable, read_file};

/// Which tokens are taken: a handle on the settings, and on the public keys that their file held when it was last read.
///
/// Copies are handles on the same.
#[derive(Clone)]
pub struct Tokens(Arc<Held>);

struct Held {
    settings: TokenSettings,
    keys: Reloadable<Vec<Key>>,
}

/// What a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// File with the public keys, one of which must have signed it, in PEM: as such, or in certificates.
    pub keys: PathBuf,
    /// Its `iss`; `None`: any.
    pub issuer: Option<String>,
    /// One of its `aud`; `None`: any.
    pub audience: Option<String>,
    /// Its `sub`; `None`: any.
    pub subject: Option<String>,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token.
    #[error("is none: {0}")]
    Malformed(&'static str),
    /// It is signed in a way that fits none of the keys.
    #[error("is signed in a way that fits none of the keys")]
    Algorithm,
    /// None of the keys has signed it.
    #[error("is signed by none of the keys")]
    Signature,
    /// It is over.
    #[error("has expired")]
    Expired,
    /// It does not hold for good.
    #[error("has no `exp`, without which it would hold for good")]
    Endless,
    /// It does not hold yet.
    #[error("does not hold yet")]
    NotYetValid,
    /// A claim is not the one asked for.
    #[error("has another `{0}` than is asked for")]
    Claim(&'static str),
    /// The keys cannot be read.
    #[error("cannot be looked at: {0}")]
    Keys(FileError),
}

/// A public key, in the form that ring takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    family: Family,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Tokens {
    /// A handle; the file is not read yet.
    pub fn new(settings: TokenSettings) -> Self {
        Self(Arc::new(Held { settings, keys: Reloadable::unread() }))
    }

    /// Reads the file, whose keys are in force from then on if it was never read before.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be used.
    pub fn check_keys(&self) -> Result<(), FileError> {
        self.keys().map(drop)
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be used. Nothing changes.
    pub fn read_again(&self) -> Result<Fresh, FileError> {
        let (held, fresh) = (Arc::clone(&self.0), Arc::new(read_keys(&self.0.settings.keys)?));
        Ok(Fresh::of(move || held.keys.put(fresh)))
    }

    /// Whether a token is one that is taken at `now`, in seconds of the Unix epoch; its subject.
    pub(super) fn check(&self, token: &[u8], now: f64) -> Result<String, TokenError> {
        let keys = self.keys().map_err(TokenError::Keys)?;
        let claims = verified(token, &keys)?;
        self.0.settings.check(&claims, now)
    }

    fn keys(&self) -> Result<Arc<Vec<Key>>, FileError> {
        self.0.keys.get(|| read_keys(&self.0.settings.keys))
    }
}

impl TokenSettings {
    /// RFC 7519 §4.1.
    fn check(&self, claims: &Map<String, Value>, now: f64) -> Result<String, TokenError> {
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        match time("exp") {
            None => return Err(TokenError::Endless),
            Some(end) if end + LEEWAY_SECONDS <= now => return Err(TokenError::Expired),
            Some(_) => {}
        }
        match (claims.get("nbf"), time("nbf")) {
            (Some(_), None) => return Err(TokenError::Malformed("its `nbf` is no time")),
            (_, Some(start)) if start - LEEWAY_SECONDS > now => return Err(TokenError::NotYetValid),
            (_, _) => {}
        }
        let is = |claim: &str, wanted: &Option<String>| {
            wanted.is_none() || claims.get(claim).and_then(Value::as_str) == wanted.as_deref()
        };
        if !is("iss", &self.issuer) {
            return Err(TokenError::Claim("iss"));
        }
        if !is("sub", &self.subject) {
            return Err(TokenError::Claim("sub"));
        }
        if self.audience.as_deref().is_some_and(|wanted| !is_for(claims.get("aud"), wanted)) {
            return Err(TokenError::Claim("aud"));
        }
        Ok(claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned())
    }
}

/// One audience, or a list of them.
fn is_for(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(many)) => many.iter().any(|one| one == wanted),
        _ => false,
    }
}

/// The claims of a token that one of the keys has signed. Which algorithms there are is said by the keys, never by the token.
///
/// RFC 8725 §3.1.
fn verified(token: &[u8], keys: &[Key]) -> Result<Map<String, Value>, TokenError> {
    let token = std::str::from_utf8(token).map_err(|_| TokenError::Malformed("it is no text"))?.trim();
    let (signed, signature) =
        token.rsplit_once('.').ok_or(TokenError::Malformed("it has not three parts"))?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed("it has not three parts"))?;
    let header = object(header)?;
    // What is critical must be understood (RFC 7515 §4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::Malformed("its header has something critical that we do not know"));
    }
    let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let signature = decode(signature)?;
    let mut fitting = keys.iter().filter_map(|key| Some((key.family.algorithm(name)?, key))).peekable();
    if fitting.peek().is_none() {
        return Err(TokenError::Algorithm);
    }
    let is_signed = fitting.any(|(algorithm, key)| {
        UnparsedPublicKey::new(algorithm, &key.bytes).verify(signed.as_bytes(), &signature).is_ok()
    });
    if is_signed { object(claims) } else { Err(TokenError::Signature) }
}

/// Reads anything as a token of a caller, and its parts as claims whoever has signed them. Must never panic; for fuzzing and for tests.
pub fn fuzz_token(data: &[u8]) {
    let keys = [Family::Rsa, Family::P256, Family::P384, Family::Ed25519];
    let keys = keys.map(|family| Key { family, bytes: vec![4; 65] });
    assert!(verified(data, &keys).is_err(), "nobody has the keys");
    let any = TokenSettings { keys: PathBuf::new(), issuer: None, audience: None, subject: None };
    let named = Some("gantry".to_owned());
    let some =
        TokenSettings { issuer: named.clone(), audience: named.clone(), subject: named, ..any.clone() };
    for part in String::from_utf8_lossy(data).split('.') {
        if let Ok(claims) = object(part) {
            drop((any.check(&claims, 1e9), some.check(&claims, 1e9)));
        }
    }
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    match serde_json::from_slice(&decode(part)?) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(TokenError::Malformed("a part of it is no JSON object")),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part of it is not Base64url"))
}

impl Family {
    /// The algorithm of that name (RFC 7518 §3.1, RFC 8037), where keys of this family have it.
    fn algorithm(self, name: &str) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (self, name) {
            (Self::Rsa, "RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Self::Rsa, "RS384") => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Self::Rsa, "RS512") => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Self::Rsa, "PS256") => &signature::RSA_PSS_2048_8192_SHA256,
            (Self::Rsa, "PS384") => &signature::RSA_PSS_2048_8192_SHA384,
            (Self::Rsa, "PS512") => &signature::RSA_PSS_2048_8192_SHA512,
            (Self::P256, "ES256") => &signature::ECDSA_P256_SHA256_FIXED,
            (Self::P384, "ES384") => &signature::ECDSA_P384_SHA384_FIXED,
            (Self::Ed25519, "EdDSA") => &signature::ED25519,
            (_, _) => return None,
        })
    }
}

impl Key {
    /// `None` for a key of a family that we cannot use.
    fn read(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let curve = || info.algorithm.parameters.as_ref()?.as_oid().ok().map(|oid| oid.to_id_string());
        let family = match info.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => Family::Rsa,
            "1.3.101.112" => Family::Ed25519,
            "1.2.840.10045.2.1" => match curve()?.as_str() {
                "1.2.840.10045.3.1.7" => Family::P256,
                "1.3.132.0.34" => Family::P384,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { family, bytes: info.subject_public_key.data.to_vec() })
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, FileError> {
    let bytes = read_file(FileRole::TokenKeys, path)?;
    let fault = |problem: &str| FileError::new(FileRole::TokenKeys, path, problem.to_owned());
    let unusable = || fault("has a key that cannot be used: RSA, P-256, P-384 and Ed25519 can");
    let mut keys = Vec::new();
    for info in SubjectPublicKeyInfoDer::pem_slice_iter(&bytes) {
        let info = info.map_err(|_| fault("is not PEM"))?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| unusable())?;
        keys.push(Key::read(&info).ok_or_else(unusable)?);
    }
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| fault("is not PEM"))?;
        let (_, certificate) = X509Certificate::from_der(&certificate).map_err(|_| unusable())?;
        keys.push(Key::read(certificate.public_key()).ok_or_else(unusable)?);
    }
    if keys.is_empty() {
        return Err(fault(
            "has no public key in PEM (-----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(keys)
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.settings.fmt(f)
    }
}

/// Clocks differ.
const LEEWAY_SECONDS: f64 = 60.0;

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    /// Signs as `EdDSA` and as `ES256`.
    struct Signer {
        edwards: Ed25519KeyPair,
        nist: EcdsaKeyPair,
    }

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let nist = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self {
                edwards: Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap(),
                nist: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, nist.as_ref(), &random)
                    .unwrap(),
            }
        }

        fn keys(&self) -> Vec<Key> {
            vec![
                Key { family: Family::Ed25519, bytes: self.edwards.public_key().as_ref().to_vec() },
                Key { family: Family::P256, bytes: self.nist.public_key().as_ref().to_vec() },
            ]
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", part(header), part(claims));
            let signature = match header["alg"].as_str() {
                Some("ES256") => {
                    self.nist.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
                }
                _ => self.edwards.sign(signed.as_bytes()).as_ref().to_vec(),
            };
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn a_token_is_signed_as_a_key_says_and_not_as_it_says_itself() {
        let signer = Signer::new();
        let keys = signer.keys();
        let claims = json!({"sub": "ct1"});
        for (header, expected) in [
            (json!({"alg": "EdDSA"}), Ok(())),
            (json!({"alg": "ES256", "typ": "JWT", "kid": "1"}), Ok(())),
            (json!({"alg": "none"}), Err(TokenError::Algorithm)),
            (json!({"alg": "HS256"}), Err(TokenError::Algorithm)),
            (json!({"alg": "RS256"}), Err(TokenError::Algorithm)),
            (json!({"alg": 1}), Err(TokenError::Algorithm)),
            (
                json!({"alg": "EdDSA", "crit": ["b64"]}),
                Err(TokenError::Malformed("its header has something critical that we do not know")),
            ),
        ] {
            let token = signer.sign(&header, &claims);
            assert_eq!(verified(token.as_bytes(), &keys).map(|_| ()), expected, "{header}");
        }
        let token = signer.sign(&json!({"alg": "EdDSA"}), &claims);
        let others = Signer::new().keys();
        assert_eq!(verified(token.as_bytes(), &others), Err(TokenError::Signature));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(json!({"sub": "ct2"}).to_string());
        for (token, expected) in [
            (format!("{header}.{other}.{signature}"), TokenError::Signature),
            (format!("{signed}."), TokenError::Signature),
            (signed.to_owned(), TokenError::Malformed("it has not three parts")),
            (String::new(), TokenError::Malformed("it has not three parts")),
            (format!("{signed}.{signature}="), TokenError::Malformed("a part of it is not Base64url")),
            (format!("{signed}.x.{signature}"), TokenError::Signature),
            (
                format!("e30x.{signature}.{signature}"),
                TokenError::Malformed("a part of it is no JSON object"),
            ),
        ] {
            assert_eq!(verified(token.as_bytes(), &keys), Err(expected), "{token}");
        }
        assert!(verified(&[0xFF], &keys).is_err());
    }

    #[test]
    fn mutated_tokens_do_no_harm() {
        let claims = json!({"exp": 1e300, "nbf": -1, "iss": "gantry", "aud": ["gantry", 1], "sub": null});
        let token = Signer::new().sign(&json!({"alg": "ES256"}), &claims).into_bytes();
        let mut random = 5_u32;
        for _ in 0..20_000 {
            let mut token = token.clone();
            for _ in 0..4 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (random >> 8) as usize % token.len();
                token[at] = random.to_le_bytes()[3];
            }
            fuzz_token(&token);
        }
    }

    #[test]
    fn claims_are_those_that_are_asked_for() {
        let any = TokenSettings { keys: PathBuf::new(), issuer: None, audience: None, subject: None };
        let all = TokenSettings {
            issuer: Some("https://idp".to_owned()),
            audience: Some("gantry".to_owned()),
            subject: Some("ct1".to_owned()),
            ..any.clone()
        };
        let good = json!({"exp": 2_000, "nbf": 1_000.5, "iss": "https://idp", "aud": ["pacs", "gantry"], "sub": "ct1"});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        for (settings, claims, now, expected) in [
            (&all, good.clone(), 1_500.0, Ok("ct1")),
            (&all, with("aud", json!("gantry")), 1_500.0, Ok("ct1")),
            (&all, good.clone(), 2_059.0, Ok("ct1")),
            (&all, good.clone(), 2_060.0, Err(TokenError::Expired)),
            (&all, good.clone(), 941.0, Ok("ct1")),
            (&all, good.clone(), 940.0, Err(TokenError::NotYetValid)),
            (&all, with("exp", Value::Null), 1_500.0, Err(TokenError::Endless)),
            (&all, with("exp", json!("2000")), 1_500.0, Err(TokenError::Endless)),
            (&all, with("nbf", json!("soon")), 1_500.0, Err(TokenError::Malformed("its `nbf` is no time"))),
            (&all, with("iss", json!("https://other")), 1_500.0, Err(TokenError::Claim("iss"))),
            (&all, with("aud", json!(["pacs"])), 1_500.0, Err(TokenError::Claim("aud"))),
            (&all, with("aud", json!({"gantry": 1})), 1_500.0, Err(TokenError::Claim("aud"))),
            (&all, with("sub", json!("ct2")), 1_500.0, Err(TokenError::Claim("sub"))),
            (&any, json!({"exp": 2_000}), 1_500.0, Ok("")),
        ] {
            let found = settings.check(claims.as_object().unwrap(), now);
            assert_eq!(found, expected.map(str::to_owned), "{claims} at {now}");
        }
    }
}
