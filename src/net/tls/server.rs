use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use super::certificate::Certificate;
use super::error::{Problem, TlsError};
use super::files::{self, FileError, FileRole, Identity, KeyFiles};
use super::reload::{Fresh, Reloadable};
use super::verify::{CallerVerifier, Seen};

/// The TLS that callers meet: a handle on its settings and on what the files named there held when they were last read.
///
/// Copies are handles on the same.
#[derive(Clone)]
pub struct Server(Arc<Held>);

struct Held {
    settings: ServerSettings,
    ready: Reloadable<Ready>,
}

/// How we meet callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where we listen.
    pub listen: SocketAddr,
    /// Our certificate.
    pub own: KeyFiles,
    /// Certificates of the CAs that certify callers.
    pub ca: Option<PathBuf>,
    /// Whether callers are asked for theirs.
    pub client_auth: ClientAuth,
    /// SHA-256 of certificates that are trusted as they are.
    pub pins: Vec<[u8; 32]>,
}

/// Whether callers present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Without one that we trust there is no association.
    Required,
    /// Who presents one must present one that we trust.
    Optional,
    /// They are not asked.
    None,
}

struct Ready {
    identity: Identity,
    chain: Option<Arc<dyn ClientCertVerifier>>,
    pins: Arc<[[u8; 32]]>,
}

impl Server {
    /// A handle; no file is read yet.
    pub fn new(settings: ServerSettings) -> Self {
        Self(Arc::new(Held { settings, ready: Reloadable::unread() }))
    }

    /// How it was made.
    pub fn settings(&self) -> &ServerSettings {
        &self.0.settings
    }

    /// Reads the files, which are in force from then on if they were never read before; our certificate.
    ///
    /// # Errors
    /// [`FileError`] with the first that cannot be used.
    pub fn certificate(&self) -> Result<Certificate, FileError> {
        Ok(self.ready()?.identity.certificate.clone())
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// [`FileError`] with the first that cannot be used. Nothing changes.
    pub fn read_again(&self) -> Result<Fresh, FileError> {
        let (held, fresh) = (Arc::clone(&self.0), Arc::new(Ready::read(&self.0.settings)?));
        Ok(Fresh::of(move || held.ready.put(fresh)))
    }

    /// What one connection is served with; what its caller presents is noted in `seen`.
    pub(super) fn config(&self, seen: &Seen) -> Result<Arc<ServerConfig>, TlsError> {
        let ready = self.ready().map_err(|error| TlsError::new(Problem::Internal, error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of(&error))?;
        let builder = match self.0.settings.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            asked @ (ClientAuth::Required | ClientAuth::Optional) => {
                builder.with_client_cert_verifier(Arc::new(CallerVerifier {
                    chain: ready.chain.clone(),
                    pins: Arc::clone(&ready.pins),
                    is_required: asked == ClientAuth::Required,
                    seen: seen.clone(),
                }))
            }
        };
        let key = SingleCertAndKey::from(Arc::clone(&ready.identity.key));
        let mut config = builder.with_cert_resolver(Arc::new(key));
        // No session is resumed: its certificate would not be looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn ready(&self) -> Result<Arc<Ready>, FileError> {
        self.0.ready.get(|| Ready::read(&self.0.settings))
    }
}

impl Ready {
    fn read(settings: &ServerSettings) -> Result<Self, FileError> {
        let identity = settings.own.read()?;
        let chain = match &settings.ca {
            Some(ca) => Some(verifier(files::roots(ca)?, ca)?),
            None => None,
        };
        let pins = settings.pins.clone().into();
        Ok(Self { identity, chain, pins })
    }
}

fn verifier(
    roots: Arc<RootCertStore>,
    ca: &std::path::Path,
) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let built = WebPkiClientVerifier::builder_with_provider(roots, super::provider()).build();
    built.map_err(|error| FileError::new(FileRole::Ca, ca, format!("cannot be used: {error}")))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.settings.fmt(f)
    }
}
