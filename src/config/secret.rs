//! Secrets: the file says where they are, never what they are.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::Key;
use super::text::closest;
use super::value::{Refusal, noun};

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// In this variable of the environment.
    Env(String),
    /// In this file.
    File(PathBuf),
}

impl SecretPlace {
    /// With the path of its file relative to a folder.
    pub(super) fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::Env(name) => Self::Env(name),
            Self::File(path) => Self::File(folder.join(path)),
        }
    }

    /// The secret; a line end behind it is not part of it.
    ///
    /// # Errors
    /// Why it cannot be had, and what to do.
    pub(crate) fn read(&self) -> Result<String, (String, String)> {
        let read = match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(value),
                Err(std::env::VarError::NotPresent) => Err("is not set".to_owned()),
                Err(std::env::VarError::NotUnicode(_)) => Err("is not UTF-8".to_owned()),
            },
            Self::File(path) => read_file(path),
        };
        let secret = read.and_then(|text| match text.trim_end_matches(['\n', '\r']) {
            "" => Err("is empty".to_owned()),
            secret if secret.contains(|c: char| c.is_control()) => {
                Err("has more than one line, or a control character".to_owned())
            }
            secret => Ok(secret.to_owned()),
        });
        secret.map_err(|reason| (format!("{self} {reason}"), self.help()))
    }

    fn help(&self) -> String {
        match self {
            Self::Env(_) => {
                "set it for the server (systemd: EnvironmentFile=), or use { file = \"…\" }".to_owned()
            }
            Self::File(_) => {
                "the server's user must be able to read it; the secret is its only line".to_owned()
            }
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) if may_be_key(name) => f.write_str("the environment variable that it names"),
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// `{ env = "NAME" }`, `{ file = "path" }`, or nothing in braces: no secret.
pub(super) fn place(table: &DeTable<'_>) -> Result<Option<SecretPlace>, Refusal> {
    let help = || "write { env = \"NAME\" } or { file = \"path\" }".to_owned();
    let mut entries = table.iter();
    let Some((name, value)) = entries.next() else { return Ok(None) };
    if entries.next().is_some() {
        return Err(Refusal::new("is in more than one place", help()));
    }
    let name = name.get_ref().as_ref();
    match (name, value.get_ref()) {
        ("env" | "file", DeValue::String(text)) if text.is_empty() => {
            Err(Refusal::new(format!("has nothing for `{name}`"), help()))
        }
        // Not repeated: it may be the secret itself.
        ("env", DeValue::String(text)) if !is_variable(text) => {
            let message = "is not the name of an environment variable: letters, digits and _, no digit first";
            Err(Refusal::new(message, help()))
        }
        ("env", DeValue::String(text)) => Ok(Some(SecretPlace::Env(text.to_string()))),
        ("file", DeValue::String(text)) => Ok(Some(SecretPlace::File(PathBuf::from(text.as_ref())))),
        ("env" | "file", other) => {
            Err(Refusal::new(format!("needs a text for `{name}`, not {}", noun(other)), help()))
        }
        (other, _) => {
            let meant = closest(other, ["env", "file"]).map(|word| format!("did you mean `{word}`? "));
            let help = format!("{}{}", meant.unwrap_or_default(), help());
            Err(Refusal::new(format!("has no place called `{other}`"), help))
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether the name of a variable looks like a key that stands in its place.
fn may_be_key(name: &str) -> bool {
    name.len() >= KEY_CHARS && !name.contains('_')
}

/// The shorter of the two keys of AWS has so many characters.
const KEY_CHARS: usize = 16;

/// The answer to a secret that stands in the file itself.
pub(super) fn refuse_literal(key: &Key) -> Refusal {
    let help = format!("write {} = {}, or {{ file = \"path\" }}", key.name, key.example);
    Refusal::new("stands in this file, where everyone who may read the configuration reads it", help)
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// A longer file holds something else.
const MOST_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_holds_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            SecretPlace::File(path.clone()).read().ok()
        };
        assert_eq!(read("s3cr=t/+\n").as_deref(), Some("s3cr=t/+"));
        assert_eq!(read("s3cret\r\n").as_deref(), Some("s3cret"));
        for text in ["", "\n", "a\nb\n", "a\0b"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert!(SecretPlace::File(folder.path().join("none")).read().is_err());
    }

    #[test]
    fn what_may_be_a_key_is_not_repeated() {
        let (message, _) =
            SecretPlace::Env("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned()).read().unwrap_err();
        assert_eq!(message, "the environment variable that it names is not set");
        for text in ["wJalr/XUtnFEMI", "7MDENG", "a+b", "A B", "A=B", "$A", "Ä"] {
            let written = format!("env = {text:?}");
            let table = DeTable::parse(&written).unwrap();
            let refusal = place(table.get_ref()).map(|_| ()).unwrap_err();
            let said = format!("{} {:?}", refusal.message, refusal.help);
            assert!(said.contains("environment variable") && !said.contains(text), "{said}");
        }
        let table = DeTable::parse("env = 'AWS_ACCESS_KEY_ID'").unwrap();
        assert!(place(table.get_ref()).is_ok());
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let (message, help) = SecretPlace::Env("GANTRY_TEST_NO_SUCH_VARIABLE".to_owned()).read().unwrap_err();
        assert_eq!(message, "the environment variable GANTRY_TEST_NO_SUCH_VARIABLE is not set");
        assert!(help.contains("EnvironmentFile"));
    }
}
