use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;

use super::error::{Problem, TlsError};
use super::files::{self, FileError, FileRole, Identity, KeyFiles};
use super::name::CertificateName;
use super::reload::{Fresh, Reloadable};
use super::verify::{CalledVerifier, Seen};

/// The TLS by which one peer is called: a handle on its settings and on what the files named there held when they were last read.
///
/// Copies are handles on the same.
#[derive(Clone)]
pub struct Client(Arc<Held>);

struct Held {
    settings: ClientSettings,
    ready: Reloadable<Ready>,
}

/// How we call a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Our certificate, for peers that ask for it.
    pub own: Option<KeyFiles>,
    /// Certificates of the CAs that certify the peer. Without it, only a fingerprint among `names` is trusted.
    pub ca: Option<PathBuf>,
    /// The name of a host, or the IP address, that its certificate must be for; `None`: the host it is reached at.
    pub server_name: Option<String>,
    /// Which certificate it must be besides; none: any that a CA proves.
    pub names: Vec<CertificateName>,
}

struct Ready {
    identity: Option<Identity>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl Client {
    /// A handle; no file is read yet.
    pub fn new(settings: ClientSettings) -> Self {
        Self(Arc::new(Held { settings, ready: Reloadable::unread() }))
    }

    /// How it was made.
    pub fn settings(&self) -> &ClientSettings {
        &self.0.settings
    }

    /// Reads the files, which are in force from then on if they were never read before.
    ///
    /// # Errors
    /// [`FileError`] with the first that cannot be used.
    pub fn check(&self) -> Result<(), FileError> {
        self.ready().map(drop)
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// [`FileError`] with the first that cannot be used. Nothing changes.
    pub fn read_again(&self) -> Result<Fresh, FileError> {
        let (held, fresh) = (Arc::clone(&self.0), Arc::new(Ready::read(&self.0.settings)?));
        Ok(Fresh::of(move || held.ready.put(fresh)))
    }

    /// What one connection is made with; what the peer presents is noted in `seen`.
    pub(super) fn config(&self, seen: &Seen) -> Result<Arc<ClientConfig>, TlsError> {
        let ready = self.ready().map_err(|error| TlsError::new(Problem::Internal, error.to_string()))?;
        let verifier = CalledVerifier {
            chain: ready.chain.clone(),
            names: self.0.settings.names.clone(),
            seen: seen.clone(),
        };
        let builder = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &ready.identity {
            Some(identity) => {
                let key = SingleCertAndKey::from(Arc::clone(&identity.key));
                builder.with_client_cert_resolver(Arc::new(key))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The name that the certificate of a peer at `host` must be for.
    pub(super) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.0.settings.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|_| {
            let words = format!("{name:?} is no name that a certificate could be for");
            TlsError::new(Problem::WrongName, words)
        })
    }

    fn ready(&self) -> Result<Arc<Ready>, FileError> {
        self.0.ready.get(|| Ready::read(&self.0.settings))
    }
}

impl Ready {
    fn read(settings: &ClientSettings) -> Result<Self, FileError> {
        let chain = match &settings.ca {
            Some(ca) => {
                let roots = files::roots(ca)?;
                let built = WebPkiServerVerifier::builder_with_provider(roots, super::provider()).build();
                let fault = |error| FileError::new(FileRole::Ca, ca, format!("cannot be used: {error}"));
                Some(built.map_err(fault)?)
            }
            None => None,
        };
        let identity = settings.own.as_ref().map(KeyFiles::read).transpose()?;
        Ok(Self { identity, chain })
    }
}

/// Whether a certificate can be for this: a name of a host, or an IP address.
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.settings.fmt(f)
    }
}
