use std::time::{SystemTime, UNIX_EPOCH};

use ul::pdu::{IdentityKind, UserIdentity};

use super::jwt::{TokenError, Tokens};
use super::secret::Secret;

/// The user identity that a peer has to present where it calls.
#[derive(Debug, Clone)]
pub enum Expected {
    /// A user, with a passcode if there is one.
    User {
        /// The name, compared with case.
        name: String,
        /// The passcode.
        passcode: Option<Secret>,
    },
    /// A JSON Web Token.
    Token(Tokens),
}

/// Why an identity is not the expected one. Nothing of it is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is none.
    #[error("it presented no user identity, and {wanted} is asked for")]
    None {
        /// What is asked for.
        wanted: &'static str,
    },
    /// It is of another kind.
    #[error("it presented {found} as its user identity, and {wanted} is asked for")]
    Kind {
        /// What it presented.
        found: &'static str,
        /// What is asked for.
        wanted: &'static str,
    },
    /// The user, or the passcode, is another.
    #[error("user name or passcode are wrong")]
    User,
    /// The token proves nothing.
    #[error("its JSON Web Token {0}")]
    Token(#[from] TokenError),
}

impl Expected {
    /// Whether what a caller presented proves who it is; the name of its user.
    ///
    /// # Errors
    /// [`IdentityError`], for the log. PS3.7 §D.3.3.7: the association is to be rejected.
    pub(crate) fn check(&self, presented: Option<&UserIdentity>) -> Result<String, IdentityError> {
        let wanted = self.wanted();
        let presented = presented.ok_or(IdentityError::None { wanted })?;
        match (self, presented.kind) {
            (Self::User { name, passcode: None }, IdentityKind::Username | IdentityKind::UsernameAndPasscode)
                if presented.primary == name.as_bytes() =>
            {
                Ok(name.clone())
            }
            (Self::User { name, passcode: Some(passcode) }, IdentityKind::UsernameAndPasscode)
                // Both are compared, so that it cannot be told which one is wrong.
                if passcode.is(&presented.secondary) & (presented.primary == name.as_bytes()) =>
            {
                Ok(name.clone())
            }
            (Self::User { passcode: None, .. }, IdentityKind::Username)
            | (Self::User { .. }, IdentityKind::UsernameAndPasscode) => Err(IdentityError::User),
            (Self::Token(tokens), IdentityKind::JsonWebToken) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
                Ok(tokens.check(&presented.primary, now)?)
            }
            (_, kind) => Err(IdentityError::Kind { found: noun(kind), wanted }),
        }
    }

    fn wanted(&self) -> &'static str {
        match self {
            Self::User { passcode: None, .. } => "a user name",
            Self::User { passcode: Some(_), .. } => "a user name with passcode",
            Self::Token(_) => "a JSON Web Token",
        }
    }
}

fn noun(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::Username => "a user name",
        IdentityKind::UsernameAndPasscode => "a user name with passcode",
        IdentityKind::Kerberos => "a Kerberos ticket",
        IdentityKind::Saml => "a SAML assertion",
        IdentityKind::JsonWebToken => "a JSON Web Token",
        IdentityKind::Other(_) => "something unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(kind: IdentityKind, primary: &str, secondary: &str) -> UserIdentity {
        UserIdentity {
            kind,
            wants_response: false,
            primary: primary.as_bytes().to_vec(),
            secondary: secondary.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_user_has_a_name_and_perhaps_a_passcode() {
        use IdentityKind::{Kerberos, Username, UsernameAndPasscode};
        let user = |passcode: Option<&str>| Expected::User {
            name: "ct1".to_owned(),
            passcode: passcode.map(|passcode| Secret::new(passcode.to_owned())),
        };
        let kind = |found, wanted| IdentityError::Kind { found, wanted };
        for (expected, given, outcome) in [
            (user(None), presented(Username, "ct1", ""), Ok(())),
            (user(None), presented(UsernameAndPasscode, "ct1", "whatever"), Ok(())),
            (user(None), presented(Username, "CT1", ""), Err(IdentityError::User)),
            (user(Some("secret")), presented(UsernameAndPasscode, "ct1", "secret"), Ok(())),
            (user(Some("secret")), presented(UsernameAndPasscode, "ct1", "Secret"), Err(IdentityError::User)),
            (user(Some("secret")), presented(UsernameAndPasscode, "ct2", "secret"), Err(IdentityError::User)),
            (
                user(Some("secret")),
                presented(Username, "ct1", "secret"),
                Err(kind("a user name", "a user name with passcode")),
            ),
            (user(None), presented(Kerberos, "ct1", ""), Err(kind("a Kerberos ticket", "a user name"))),
        ] {
            let found = expected.check(Some(&given));
            assert_eq!(found, outcome.map(|()| "ct1".to_owned()), "{given:?} for {expected:?}");
        }
        assert_eq!(user(None).check(None), Err(IdentityError::None { wanted: "a user name" }));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let user =
            Expected::User { name: "ct1".to_owned(), passcode: Some(Secret::new("hunter2".to_owned())) };
        assert!(!format!("{user:?}").contains("hunter2"));
        let given = presented(IdentityKind::UsernameAndPasscode, "ct1", "hunter2");
        assert!(!format!("{given:?}").contains("hunter2") && !format!("{given:?}").contains("104, 117"));
    }
}
