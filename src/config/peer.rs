//! From checked values to a peer: how it may call, and how it is called.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use net::identity::{Expected, OurIdentity, OurProof, Secret, Source, TokenSettings, Tokens};
use net::tls::CertificateName;
use net::{CallerTerms, Peer, SopClasses};

use super::For;
use super::fault::Finder;
use super::keys::Section;
use super::secret::SecretPlace;
use super::tls;
use super::walk::{Document, Named, Values};

/// Builds a peer; `None` when a fault stands in the way, which is then noted.
pub(super) fn peer(
    named: &Named,
    document: &Document,
    folder: &Path,
    purpose: For,
    finder: &mut Finder<'_>,
) -> Option<Peer> {
    let reading = Reading { named, folder, purpose };
    let tls = tls::client(named, document, folder, purpose, finder);
    let expected = reading.expected(way_in(named, document), finder);
    let ours = reading.ours(matches!(tls, Some(Some(_))), finder);
    let values = &named.values;
    let max_pdu_bytes = number(values, "max_pdu_bytes")?;
    let operations = number(values, "operations")?;
    Some(Peer {
        name: model::PeerName::new(&named.name),
        ae_title: values.get("ae_title")?,
        address: values.get("address")?,
        from: values.get("from")?,
        as_caller: CallerTerms {
            certificate: values.get("certificate")?,
            identity: expected?,
            sop_classes: values.get::<Vec<SopClasses>>("sop_classes")?,
            transfer_syntaxes: values.get("transfer_syntaxes")?,
            max_associations: number(values, "max_associations")?,
            max_pdu_bytes,
            operations,
        },
        as_called: net::scu::Terms {
            tls: tls?,
            identity: ours?,
            ahead: operations.unwrap_or(1),
            max_pdu_bytes,
            ..net::scu::Terms::default()
        },
    })
}

/// How a peer may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayIn {
    /// By TLS, or from this machine.
    Safe,
    /// By TLS, or from elsewhere without.
    Either,
    /// Without TLS.
    Plain,
}

fn way_in(named: &Named, document: &Document) -> WayIn {
    let must_be_tls =
        named.values.get::<Vec<CertificateName>>("certificate").is_some_and(|names| !names.is_empty());
    let is_loopback = |at: SocketAddr| at.ip().to_canonical().is_loopback();
    match document.table(Section::DimseTls).place("listen") {
        _ if must_be_tls => WayIn::Safe,
        None => WayIn::Plain,
        Some(_) if document.table(Section::Dimse).get("listen").is_some_and(is_loopback) => WayIn::Safe,
        Some(_) => WayIn::Either,
    }
}

/// A number, of which 0 is none.
fn number<T: TryFrom<u64>>(values: &Values, key: &str) -> Option<Option<T>> {
    match values.get::<u64>(key)? {
        0 => Some(None),
        number => T::try_from(number).ok().map(Some),
    }
}

/// One peer that is being read.
struct Reading<'r> {
    named: &'r Named,
    folder: &'r Path,
    purpose: For,
}

impl Reading<'_> {
    /// What it has to present where it calls.
    fn expected(&self, way_in: WayIn, finder: &mut Finder<'_>) -> Option<Option<Expected>> {
        let Some(given) = self.named.values.get::<Option<Values>>("identity")? else { return Some(None) };
        let user = text(&given, "user")?;
        let keys = given.get::<Option<PathBuf>>("jwt_key")?;
        self.refuse_mixture(&given, "identity", ["user", "jwt_key"], finder)?;
        let passcode = self.secret(&given, "identity", "password", finder)?;
        let claims = ["issuer", "audience", "subject"];
        match (user, keys) {
            (Some(name), _) => {
                self.refuse_without(&given, "jwt_key", &claims, finder)?;
                if passcode.is_none() {
                    let help = "add password = { file = \"…\" }, or a `certificate` of the peer".to_owned();
                    finder.warn(&self.place(&given, "user"), "a user name alone proves nothing", help);
                } else {
                    self.warn_of_listeners(&given, "password", way_in, finder);
                }
                Some(Some(Expected::User { name, passcode }))
            }
            (None, Some(keys)) => {
                self.refuse_without(&given, "user", &["password"], finder)?;
                let [issuer, audience, subject] = claims.map(|claim| text(&given, claim));
                let settings = TokenSettings {
                    keys: self.folder.join(keys),
                    issuer: issuer?,
                    audience: audience?,
                    subject: subject?,
                };
                if settings.subject.is_none() {
                    let (says, help) = match settings.audience {
                        None => (
                            "whatever the key has signed is taken",
                            "name the `subject` and the `audience` of its tokens",
                        ),
                        Some(_) => (
                            "a token of anybody in this audience is taken",
                            "name the `subject` of this peer's tokens",
                        ),
                    };
                    finder.warn(&self.place(&given, "jwt_key"), says, help.to_owned());
                }
                self.warn_of_listeners(&given, "jwt_key", way_in, finder);
                let tokens = Tokens::new(settings);
                self.look_at_keys(&tokens, &given, finder)?;
                Some(Some(Expected::Token(tokens)))
            }
            (None, None) => {
                self.refuse_without(&given, "user", &["password"], finder)?;
                self.refuse_without(&given, "jwt_key", &claims, finder)?;
                Some(None)
            }
        }
    }

    fn warn_of_listeners(&self, given: &Values, key: &str, way_in: WayIn, finder: &mut Finder<'_>) {
        let help = match way_in {
            WayIn::Safe => return,
            WayIn::Either => {
                "let only this machine reach `listen` of [dimse], or name the peer's `certificate`"
            }
            WayIn::Plain => "open a port for TLS: `listen` in [dimse.tls]",
        };
        let what = if key == "jwt_key" { "its tokens" } else { "`password`" };
        let message = format!("without TLS everybody on the way reads {what}");
        finder.warn(&self.place(given, key), message, help.to_owned());
    }

    fn look_at_keys(&self, tokens: &Tokens, given: &Values, finder: &mut Finder<'_>) -> Option<()> {
        if self.purpose == For::Asking {
            return Some(());
        }
        match tokens.check_keys() {
            Ok(()) => Some(()),
            Err(error) => tls::note_file(&error, given, self.purpose, finder),
        }
    }

    /// What we present where we call it.
    fn ours(&self, is_by_tls: bool, finder: &mut Finder<'_>) -> Option<Option<OurIdentity>> {
        let Some(given) = self.named.values.get::<Option<Values>>("our_identity")? else { return Some(None) };
        let user = text(&given, "user")?;
        self.refuse_mixture(&given, "our_identity", ["user", "jwt"], finder)?;
        self.secret(&given, "our_identity", "password", finder)?;
        self.secret(&given, "our_identity", "jwt", finder)?;
        let passcode = self.source(&given, "password")?;
        let proof = match (user, self.source(&given, "jwt")?) {
            (Some(name), _) => OurProof::User { name, passcode },
            (None, token) => {
                self.refuse_without(&given, "user", &["password"], finder)?;
                match token {
                    Some(token) => OurProof::Token(token),
                    None => return self.refuse_nobody(finder),
                }
            }
        };
        let secret = ["password", "jwt"].into_iter().find_map(|key| Some((key, given.place(key)?)));
        if let (Some((key, at)), false) = (secret, is_by_tls) {
            let message = format!("without TLS everybody on the way reads `{key}`");
            finder.warn(&at, message, "call the peer by TLS: tls = true".to_owned());
        }
        Some(Some(OurIdentity { proof, wants_response: given.get("response")? }))
    }

    fn refuse_nobody<T>(&self, finder: &mut Finder<'_>) -> Option<T> {
        let message = format!("`our_identity` of [peer.{}] has neither `user` nor `jwt`", self.named.name);
        let at = self.named.values.place("our_identity").unwrap_or(self.named.at.clone());
        finder.add(&at, message, "add one of them, or leave `our_identity` out".to_owned());
        None
    }

    /// Where a secret of ours is.
    fn source(&self, given: &Values, key: &str) -> Option<Option<Source>> {
        let place = given.get::<Option<SecretPlace>>(key)?.map(|place| place.in_folder(self.folder));
        Some(place.map(|place| match place {
            SecretPlace::File(path) => Source::File(path),
            SecretPlace::Env(name) => Source::Variable(name),
        }))
    }

    /// A secret of a table, as it is now; who only asks does not need it.
    fn secret(
        &self,
        given: &Values,
        table: &str,
        key: &str,
        finder: &mut Finder<'_>,
    ) -> Option<Option<Secret>> {
        let Some(place) = given.get::<Option<SecretPlace>>(key)? else { return Some(None) };
        let read = match self.purpose {
            For::Asking => Ok(String::new()),
            For::Serving | For::Checking => place.in_folder(self.folder).read(),
        };
        let (message, help) = match read {
            Ok(secret) => return Some(Some(Secret::new(secret))),
            Err(reason) => reason,
        };
        let (at, name) = (self.place(given, key), format!("`{key}` in `{table}`"));
        if self.purpose == For::Serving {
            finder.add(&at, format!("{name}: {message}"), help);
            return None;
        }
        finder.warn(&at, format!("{name}: {message}, so the server would not start here"), help);
        Some(Some(Secret::new(String::new())))
    }

    /// Notes that two keys are given of which a table may have one.
    fn refuse_mixture(
        &self,
        given: &Values,
        table: &str,
        keys: [&str; 2],
        finder: &mut Finder<'_>,
    ) -> Option<()> {
        let [Some(first), Some(second)] = keys.map(|key| given.place(key)) else { return Some(()) };
        let at = if first.start > second.start { first } else { second };
        let message = format!("`{table}` of [peer.{}] has `{}` and `{}`", self.named.name, keys[0], keys[1]);
        finder.add(&at, message, "a user is known by a name or by a token: leave one out".to_owned());
        None
    }

    /// Notes keys that say nothing without another.
    fn refuse_without(
        &self,
        given: &Values,
        needed: &str,
        keys: &[&str],
        finder: &mut Finder<'_>,
    ) -> Option<()> {
        let Some((key, at)) = keys.iter().find_map(|key| Some((key, given.place(key)?))) else {
            return Some(());
        };
        finder.add(&at, format!("`{key}` says nothing without `{needed}`"), None);
        None
    }

    fn place(&self, given: &Values, key: &str) -> Range<usize> {
        given.place(key).unwrap_or(self.named.at.clone())
    }
}

/// A text, of which an empty one is none.
fn text(values: &Values, key: &str) -> Option<Option<String>> {
    Some(Some(values.get::<String>(key)?).filter(|text| !text.is_empty()))
}
