use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ul::pdu::{IdentityKind, UserIdentity};

/// The user identity that we present to a peer that we call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurIdentity {
    /// What it is.
    pub proof: OurProof,
    /// Whether the peer has to say that it looked at it: without that answer there is no association.
    pub wants_response: bool,
}

/// What we present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OurProof {
    /// A user, with a passcode if there is one.
    User {
        /// The name.
        name: String,
        /// Where the passcode is.
        passcode: Option<Source>,
    },
    /// A JSON Web Token.
    Token(Source),
}

/// Where a secret of ours is. It is read for each association: tokens are renewed, and passcodes changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this file, whose only line it is.
    File(PathBuf),
    /// In this variable of the environment.
    Variable(String),
}

impl OurIdentity {
    /// As it goes out. Reads what is in a file.
    ///
    /// # Errors
    /// A secret is not where it should be, in words without it.
    pub(crate) fn present(&self) -> Result<UserIdentity, String> {
        let (kind, primary, secondary) = match &self.proof {
            OurProof::User { name, passcode: None } => (IdentityKind::Username, name.clone(), String::new()),
            OurProof::User { name, passcode: Some(passcode) } => {
                (IdentityKind::UsernameAndPasscode, name.clone(), passcode.read()?)
            }
            OurProof::Token(token) => (IdentityKind::JsonWebToken, token.read()?, String::new()),
        };
        Ok(UserIdentity {
            kind,
            wants_response: self.wants_response,
            primary: primary.into_bytes(),
            secondary: secondary.into_bytes(),
        })
    }
}

/// Which identity it is, without secrets. Passcodes change, and tokens are renewed: it stays the same identity.
impl fmt::Display for OurIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proof {
            OurProof::User { name, passcode: None } => write!(f, "user {name}"),
            OurProof::User { name, passcode: Some(_) } => write!(f, "user {name} with a passcode"),
            OurProof::Token(token) => write!(f, "JSON Web Token of {token}"),
        }
    }
}

/// Where it is.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl Source {
    fn read(&self) -> Result<String, String> {
        let read = match self {
            Self::File(path) => read_file(path),
            Self::Variable(name) => env::var(name).map_err(|_| "is not set".to_owned()),
        };
        let text = read.map_err(|reason| format!("{self} {reason}"))?;
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(format!("{self} is empty")),
            secret if secret.contains(|c: char| c.is_control()) => {
                Err(format!("{self} has more than one line, or a control character"))
            }
            secret => Ok(secret.to_owned()),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MOST_BYTES => Err("is too long".to_owned()),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// What the length of a field can say.
const MOST_BYTES: u64 = 0xFFFF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_when_it_is_presented() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let ours = OurIdentity { proof: OurProof::Token(Source::File(path.clone())), wants_response: true };
        let reason = ours.present().unwrap_err();
        assert!(reason.contains("token cannot be read"), "{reason}");
        for (text, expected) in
            [("a.b.c\n", Some("a.b.c")), ("d.e.f", Some("d.e.f")), ("\n", None), ("a\nb\n", None)]
        {
            std::fs::write(&path, text).unwrap();
            let presented = ours.present().ok();
            let token = presented.map(|identity| String::from_utf8(identity.primary).unwrap());
            assert_eq!(token.as_deref(), expected, "{text:?}");
        }
        let passcode = Some(Source::Variable("GANTRY_NO_SUCH_VARIABLE".to_owned()));
        let proof = OurProof::User { name: "gantry".to_owned(), passcode };
        let reason = OurIdentity { proof, wants_response: false }.present().unwrap_err();
        assert_eq!(reason, "the environment variable GANTRY_NO_SUCH_VARIABLE is not set");
    }

    #[test]
    fn it_is_told_from_others_without_its_secret() {
        let user = |name: &str, passcode| OurProof::User { name: name.to_owned(), passcode };
        let secret = || Source::Variable("T".to_owned());
        for (proof, expected) in [
            (user("ct1", None), "user ct1"),
            (user("ct1", Some(secret())), "user ct1 with a passcode"),
            (OurProof::Token(Source::File("a/b".into())), "JSON Web Token of the file a/b"),
            (OurProof::Token(secret()), "JSON Web Token of the environment variable T"),
        ] {
            assert_eq!(OurIdentity { proof, wants_response: true }.to_string(), expected);
        }
    }
}
